"""Reading and playing audio: real files in every format, and files that are broken."""

import base64
import io
import os
import pickle
import re
import subprocess
import sys

import librosa
import numpy as np
import pytest
import soundfile as sf

from gtzan_helpers import audio
from gtzan_helpers.audio import AudioError, player, read_audio, read_header

RATE = 22050
KINDS = ["wav", "au", "aiff", "flac", "ogg", "mp3"]


def tone(seconds=2.0, rate=RATE, amplitude=0.5):
    return amplitude * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)


def noise(seconds, n_channels=1):
    shape = (round(seconds * RATE), n_channels)
    return np.random.default_rng(0).uniform(-0.5, 0.5, shape)


def pitch(samples):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return np.argmax(spectrum) * RATE / len(samples)


@pytest.fixture
def written(tmp_path):
    """Write samples into a file of a kind."""

    def write(samples, kind="wav", rate=RATE, **options):
        sf.write(tmp_path / f"a.{kind}", samples, rate, **options)
        return tmp_path / f"a.{kind}"

    return write


@pytest.fixture
def m4a(written):
    # audioread also knows plain WAV, so that this way can be walked without ffmpeg.
    return lambda samples: written(samples).replace(written(samples).with_suffix(".m4a"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_gives_the_same_tone(written, kind):
    path = written(tone(), kind)
    path.with_name(f"._{path.name}").write_bytes(b"\0\5\26\7" + bytes(100))  # a stray of macOS
    samples = read_audio(path)
    assert (samples.dtype, samples.shape) == (np.float32, (2 * RATE,))
    assert pitch(samples) == pytest.approx(440, abs=1)
    assert np.abs(samples[RATE // 2 : -RATE // 2]).max() == pytest.approx(0.5, abs=0.02)


def test_sixteen_bit_samples_are_read_without_loss(written):
    numbers = np.array([-32768, -1, 0, 1, 32767] * 100, np.int16)
    np.testing.assert_array_equal(read_audio(written(numbers)) * 32768, numbers)


@pytest.mark.parametrize("kind", ["wav", "mp3"])
@pytest.mark.parametrize("rate", [8000, RATE, 44100])
def test_samples_are_those_of_librosa_whatever_the_rate(written, kind, rate):
    path = written(noise(2, n_channels=2), kind, rate)
    samples, expected = read_audio(path), librosa.load(path, sr=RATE)[0]
    assert samples.dtype == np.float32
    np.testing.assert_array_equal(samples, expected)
    assert read_header(path) == (pytest.approx(len(samples) / RATE, abs=1e-4), rate)


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3"])
def test_a_part_is_the_same_as_in_the_whole(written, kind):
    path = written(noise(4), kind)
    whole = read_audio(path)
    for part in (slice(33075, 77175), slice(77175, 120000)):
        samples = read_audio(path, RATE, part.start / RATE, (part.stop - part.start) / RATE)
        np.testing.assert_allclose(samples, whole[part], atol=1e-5)


def test_other_formats_go_to_the_system_decoder_once_though_they_are_read_in_parts(
    m4a, monkeypatch
):
    decoded, decode = [], audio._decoded_by_system
    monkeypatch.setattr(audio, "_decoded_by_system", lambda p: decoded.append(p) or decode(p))
    path = m4a(np.stack([tone(10), tone(10)], axis=1))
    assert read_header(path) == (10.0, RATE)
    assert len(decoded) == 0
    for start in range(9):
        part = read_audio(path, offset=start, seconds=1)
        np.testing.assert_allclose(part, tone(10)[start * RATE :][:RATE], atol=1e-4)
    assert len(decoded) == 1
    assert len(read_audio(m4a(tone(4)))) == 4 * RATE
    assert len(decoded) == 2


def test_what_was_decoded_is_deleted_when_the_program_ends(m4a, tmp_path):
    code = "import sys; from gtzan_helpers.audio import read_audio; read_audio(sys.argv[1])"
    (tmp_path / "temporary").mkdir()
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, m4a(tone())],
        env=os.environ | {"TMPDIR": str(tmp_path / "temporary")},
        check=True,
    )
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_short_is_refused(written, kind):
    path = written(noise(10), kind)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(AudioError, match=r"cut short|damaged") as error:
        read_audio(path)
    assert str(path) in str(error.value)
    if kind == "wav":
        with pytest.raises(AudioError, match=re.escape("5.0 s of 10.0 s")):
            read_header(path)


def test_a_missing_byte_is_allowed(written):
    path = written(tone(), "au")
    path.write_bytes(path.read_bytes()[:-1])
    assert len(read_audio(path)) == pytest.approx(2 * RATE, abs=1)


def test_a_size_that_its_recorder_did_not_know_is_allowed(written):
    path = written(tone())
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"  # as ffmpeg writes into a pipe
    path.write_bytes(data)
    np.testing.assert_allclose(read_audio(path), tone(), atol=1e-4)


def test_a_stream_of_unknown_length_is_refused(written):
    path = written(tone(), "flac")
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # the number of samples: 36 bits of the stream's description
    data[22:26] = bytes(4)
    path.write_bytes(data)
    with pytest.raises(AudioError, match=re.escape(str(path))):
        read_audio(path)


@pytest.mark.parametrize("kind", [*KINDS, "m4a"])
@pytest.mark.parametrize("content", [b"", b"Not audio but words. " * 500, bytes(4096)])
def test_what_is_not_audio_is_refused(tmp_path, kind, content):
    (tmp_path / f"a.{kind}").write_bytes(content)
    for read in (read_audio, read_header):
        with pytest.raises(AudioError, match=rf"a\.{kind}: .*; "):
            read(tmp_path / f"a.{kind}")


def test_kaggles_broken_track_is_recognised(tmp_path):
    (tmp_path / "jazz.00054.wav").write_bytes(b"\x12\x34" * 1000)
    with pytest.raises(AudioError, match=r"no RIFF header.*Kaggle"):
        read_audio(tmp_path / "jazz.00054.wav")


def test_a_path_without_a_file_is_named(tmp_path):
    with pytest.raises(AudioError, match=r"nothing\.wav: there is no such file"):
        read_audio(tmp_path / "nothing.wav")


def test_a_part_behind_the_end_is_refused(written):
    with pytest.raises(AudioError, match=r"3 s.* 2\.0 s"):
        read_audio(written(tone()), offset=3)


@pytest.mark.parametrize("part", [{"offset": -1}, {"seconds": 0}, {"seconds": -2}])
def test_a_part_that_cannot_be_is_refused(written, part):
    with pytest.raises(ValueError, match=str(*part.values())):
        read_audio(written(tone()), **part)


def test_an_error_survives_the_way_between_processes():
    error = pickle.loads(pickle.dumps(AudioError("a.wav", "empty", "fill it")))
    assert (str(error), error.reason) == ("a.wav: empty; fill it", "empty")


def test_real_tracks_are_read_whole(real_data):
    for path in sorted((real_data / "gtzan_dev").glob("*/*.wav"))[::5]:
        assert 660_000 <= len(read_audio(path)) <= 675_808
    for name in ("blues.00010.au", "jazz.00010.au"):  # the original; one lacks a byte
        assert len(read_audio(real_data / "gtzan_au" / name)) == pytest.approx(661_794, abs=1)


def heard(html):
    data = re.search(r'src="data:(audio/\w+);base64,([^"]+)"', html.data)
    return data[1], *sf.read(io.BytesIO(base64.b64decode(data[2])))


@pytest.mark.parametrize(("amplitude", "expected"), [(0.1, 0.1), (4.0, 1.0)])
def test_a_player_keeps_the_level_but_of_what_would_clip(amplitude, expected):
    kind, samples, rate = heard(player(tone(amplitude=amplitude)))
    assert (kind, rate) == ("audio/mpeg", RATE)
    assert pitch(samples) == pytest.approx(440, abs=1)
    assert np.std(samples) == pytest.approx(np.std(tone(amplitude=expected)), rel=0.05)


def test_a_player_holds_ten_seconds_at_most_and_is_small_and_says_so():
    html = player(noise(30)[:, 0], label="hum")
    assert "hum (the first 10 s of 30 s)" in html.data
    assert len(heard(html)[1]) == pytest.approx(10 * RATE, abs=2304)
    assert len(html.data) < 150_000
    assert "first" not in player(tone(10), label="hum").data


def test_a_rate_that_mp3_does_not_know_is_played_as_wav():
    kind, samples, rate = heard(player(tone(rate=4000), 4000))
    assert (kind, rate, len(samples)) == ("audio/wav", 4000, 8000)


def test_a_label_is_text_and_never_markup():
    html = player(tone(), label='<b>"Rock & Roll"</b>').data
    assert "&lt;b&gt;&quot;Rock &amp; Roll&quot;" in html
    assert "<b>" not in html


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros((10, 2)), np.array([0.0, np.nan])])
def test_a_player_refuses_what_is_not_a_waveform(samples):
    with pytest.raises(ValueError, match="waveform"):
        player(samples)
