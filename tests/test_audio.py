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
from gtzan_helpers.audio import AudioError, player, read_audio, read_header, sonify

RATE = 22050
KINDS = ["wav", "au", "aiff", "flac", "ogg", "mp3"]
NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, (4 * RATE, 2))


def tone(seconds=2.0, rate=RATE, amplitude=0.5):
    return amplitude * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)


def pitch(samples):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return np.argmax(spectrum) * RATE / len(samples)


@pytest.fixture
def written(tmp_path):
    """Write samples into a file of a kind; audioread, too, knows a WAV file called M4A."""

    def write(samples, kind="wav", rate=RATE):
        sf.write(tmp_path / f"a.{kind}", samples, rate, format="WAV" if kind == "m4a" else None)
        return tmp_path / f"a.{kind}"

    return write


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_gives_the_same_tone(written, kind):
    path = written(tone(), kind)
    path.with_name(f"._{path.name}").write_bytes(b"\0\5\26\7" + bytes(100))  # a stray of macOS
    samples = read_audio(path)
    assert (samples.dtype, samples.shape) == (np.float32, (2 * RATE,))
    assert pitch(samples) == pytest.approx(440, abs=1)
    assert np.abs(samples[RATE // 2 : -RATE // 2]).max() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("kind", ["wav", "mp3"])
@pytest.mark.parametrize("rate", [8000, RATE, 44100])
def test_samples_are_those_of_librosa_whatever_the_rate(written, kind, rate):
    path = written(NOISE, kind, rate)
    samples = read_audio(path)
    np.testing.assert_array_equal(samples, librosa.load(path, sr=RATE)[0], strict=True)
    assert read_header(path) == (pytest.approx(len(samples) / RATE, abs=1e-4), rate)


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3"])
def test_a_part_is_the_same_as_in_the_whole(written, kind):
    path = written(NOISE, kind)
    whole = read_audio(path)
    for part in (slice(11025, 33075), slice(33075, 77175), slice(77175, 88200)):
        samples = read_audio(path, RATE, part.start / RATE, (part.stop - part.start) / RATE)
        np.testing.assert_allclose(samples, whole[part], atol=1e-5)


def test_other_formats_go_to_the_system_decoder_once_though_they_are_read_in_parts(
    written, monkeypatch
):
    opened, open_it = [], audio._audioread
    monkeypatch.setattr(audio, "_audioread", lambda path: opened.append(path) or open_it(path))
    path = written(np.stack([tone(10), tone(10)], axis=1), "m4a")
    assert read_header(path) == (10.0, RATE)  # without decoding
    for start in range(9):
        part = read_audio(path, offset=start, seconds=1)
        np.testing.assert_allclose(part, tone(10)[start * RATE :][:RATE], atol=1e-4)
    assert len(opened) == 2
    assert len(read_audio(written(tone(4), "m4a"))) == 4 * RATE  # another file by now


def test_what_was_decoded_is_deleted_when_the_program_ends(written, tmp_path):
    code = "import sys; from gtzan_helpers.audio import read_audio; read_audio(sys.argv[1])"
    (tmp_path / "temporary").mkdir()
    command = [sys.executable, "-W", "ignore", "-c", code, written(tone(), "m4a")]
    subprocess.run(command, env=os.environ | {"TMPDIR": str(tmp_path / "temporary")}, check=True)
    assert list((tmp_path / "temporary").iterdir()) == []


def test_real_tracks_are_read_whole(real_data):
    for path in sorted((real_data / "gtzan_dev").glob("*/*.wav"))[::5]:
        assert 660_000 <= len(read_audio(path)) <= 675_808
    for name in ("blues.00010.au", "jazz.00010.au"):  # the original; one lacks a byte
        assert len(read_audio(real_data / "gtzan_au" / name)) == pytest.approx(661_794, abs=1)


# Broken files, and parts that are not there


def without_a_byte(data):
    return data[:-1]


def size_unknown(data):
    return data[:4] + b"\xff" * 4 + data[8:40] + b"\xff" * 4 + data[44:]  # from ffmpeg's pipe


def length_unknown(data):
    return data[:21] + bytes([data[21] & 0xF0]) + bytes(4) + data[26:]


@pytest.mark.parametrize(("kind", "change"), [("au", without_a_byte), ("wav", size_unknown)])
def test_a_header_that_does_not_fit_is_allowed_where_the_end_is_there(written, kind, change):
    path = written(tone(), kind)
    path.write_bytes(change(path.read_bytes()))
    samples = read_audio(path)
    np.testing.assert_allclose(samples, tone()[: len(samples)], atol=1e-4)
    assert len(samples) >= 2 * RATE - 1


def half(data):
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    ("kind", "change"), [*((kind, half) for kind in KINDS), ("flac", length_unknown)]
)
def test_a_file_cut_short_or_of_unknown_length_is_refused(written, kind, change):
    path = written(NOISE, kind)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(AudioError, match=re.escape(str(path))):
        read_audio(path)


@pytest.mark.parametrize("kind", [*KINDS, "m4a"])
@pytest.mark.parametrize("content", [b"", b"Not audio but words. " * 500, bytes(4096), None])
def test_what_is_not_audio_is_refused(tmp_path, kind, content):
    path = tmp_path / f"a.{kind}"
    if content is not None:
        path.write_bytes(content)
    for read in (read_audio, read_header):
        with pytest.raises(AudioError, match=re.escape(str(path))):
            read(path)


def test_kaggles_broken_track_is_recognised_also_from_another_process(tmp_path):
    (tmp_path / "jazz.00054.wav").write_bytes(b"\x12\x34" * 1000)
    with pytest.raises(AudioError, match="Kaggle") as refused:
        read_audio(tmp_path / "jazz.00054.wav")
    assert str(pickle.loads(pickle.dumps(refused.value))) == str(refused.value)


@pytest.mark.parametrize("part", [{"offset": 3}, {"offset": -1}, {"seconds": 0}, {"seconds": -2}])
def test_a_part_that_cannot_be_is_refused(written, part):
    with pytest.raises(ValueError, match=str(*part.values())):
        read_audio(written(tone()), **part)


# The player


def played(samples, rate=RATE, label=""):
    html = player(samples, rate, label).data
    data = re.search(r'src="data:(audio/\w+);base64,([^"]+)"', html)
    return html, data[1], *sf.read(io.BytesIO(base64.b64decode(data[2])))


@pytest.mark.parametrize(("amplitude", "expected"), [(0.1, 0.1), (4.0, 1.0)])
def test_a_player_keeps_the_level_but_of_what_would_clip(amplitude, expected):
    _, kind, samples, rate = played(tone(amplitude=amplitude))
    assert (kind, rate) == ("audio/mpeg", RATE)
    assert pitch(samples) == pytest.approx(440, abs=1)
    assert np.std(samples) == pytest.approx(np.std(tone(amplitude=expected)), rel=0.05)


def test_a_player_holds_ten_seconds_at_most_and_says_so_in_text_that_is_no_markup():
    html, _, samples, _ = played(np.tile(NOISE[:, 0], 8), label='<b>"Rock & Roll"</b>')
    assert "first 10 s of 32 s" in html and "&quot;Rock &amp; Roll&quot;" in html
    assert "<b>" not in html and len(html) < 150_000
    assert len(samples) == pytest.approx(10 * RATE, abs=2304)
    assert "first" not in played(tone(10))[0]


def test_a_rate_that_mp3_does_not_know_is_played_as_wav():
    _, kind, samples, rate = played(tone(rate=4000), 4000)
    assert (kind, rate, len(samples)) == ("audio/wav", 4000, 8000)


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros((10, 3)), np.array([0.0, np.nan])])
def test_a_player_refuses_what_is_not_a_waveform(samples):
    with pytest.raises(ValueError, match="waveform"):
        player(samples)


# Curves that are heard


def test_the_pitch_of_each_ear_follows_its_curve_on_one_scale_for_both():
    flat, rising = [2.0] * 5, [0.0, 1.0, 2.0, 3.0, 4.0]
    samples = sonify(flat, rising, seconds=5)
    assert (samples.shape, samples.dtype) == ((5 * RATE, 2), np.float32)
    left, right = (
        [pitch(ear[start : start + 1000]) for start in (0, 54625, 109250)] for ear in samples.T
    )
    assert left == pytest.approx([440, 440, 440], abs=RATE / 1000)
    assert right == pytest.approx([220, 440, 880], abs=RATE / 1000)


def test_curves_are_heard_without_clicks_and_far_from_full_scale():
    samples = sonify([0, 5, 0, 5], [5, 0, 5, 0], seconds=2)
    assert 0.29 < np.abs(samples).max() < 0.31
    assert samples[[0, -1]] == pytest.approx(0, abs=1e-6)
    steepest = 0.3 * 2 * np.pi * 880 / RATE  # of a sine at the highest pitch
    assert np.abs(np.diff(samples, axis=0)).max() < 1.01 * steepest


def test_two_ears_hear_the_same_where_two_curves_are_equal():
    falling = [3.0, 2.0, 1.0]
    one, other = sonify(falling, falling).T
    assert np.array_equal(one, other)
    assert pitch(sonify([1, 1], [1, 1])[:, 0]) == pytest.approx(220, abs=1)


@pytest.mark.parametrize(
    ("left", "right", "reason"),
    [
        ([1.0], [2.0], "two curves"),
        ([1.0, 2.0], [1.0, 2.0, 3.0], "two curves"),
        (1.0, 2.0, "two curves"),
        ([1.0, np.nan], [1.0, 2.0], "not numbers"),
    ],
)
def test_what_is_no_pair_of_curves_is_not_made_audible(left, right, reason):
    with pytest.raises(ValueError, match=reason):
        sonify(left, right)


def test_a_player_plays_each_ear_its_own():
    ears = np.column_stack([tone(), np.zeros(2 * RATE)])
    _, _, samples, _ = played(ears)
    assert samples.shape[1] == 2
    assert pitch(samples[:, 0]) == pytest.approx(440, abs=1)
    assert np.abs(samples[:, 1]).max() < 0.01 < 0.4 < np.abs(samples[:, 0]).max()
