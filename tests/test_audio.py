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
from gtzan_helpers.audio import AudioError, decode, player, read_audio, read_header

RATE = 22050


def tone(seconds=2.0, rate=RATE, frequency=440.0, amplitude=0.5):
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def pitch(samples, rate=RATE):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return np.argmax(spectrum) * rate / len(samples)


@pytest.mark.parametrize("kind", ["wav", "au", "flac", "ogg", "mp3", "aiff"])
def test_every_format_gives_the_same_tone(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    sf.write(path, tone(), RATE)
    samples = read_audio(path)
    assert samples.dtype == np.float32
    assert samples.shape == (2 * RATE,)
    assert pitch(samples) == pytest.approx(440, abs=1)
    assert np.abs(samples[RATE // 2 : -RATE // 2]).max() == pytest.approx(0.5, abs=0.02)


def test_sixteen_bit_samples_are_read_without_loss(tmp_path):
    numbers = np.array([-32768, -1, 0, 1, 32767] * 100, np.int16)
    sf.write(tmp_path / "a.wav", numbers, RATE)
    np.testing.assert_array_equal(read_audio(tmp_path / "a.wav") * 32768, numbers)


def test_channels_are_averaged(tmp_path):
    sf.write(tmp_path / "a.wav", np.stack([tone(), -0.5 * tone()], axis=1), RATE)
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav"), 0.25 * tone(), atol=1e-4)


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_another_rate_is_resampled_and_the_pitch_kept(tmp_path, rate):
    sf.write(tmp_path / "a.wav", tone(rate=rate), rate)
    samples = read_audio(tmp_path / "a.wav")
    assert samples.shape == (2 * RATE,)
    assert samples.dtype == np.float32
    assert pitch(samples) == pytest.approx(440, abs=1)


def test_samples_are_those_of_librosa(tmp_path):
    noise = np.random.default_rng(0).uniform(-1, 1, (30000, 2))
    sf.write(tmp_path / "a.wav", noise, 44100)
    expected, _ = librosa.load(tmp_path / "a.wav", sr=RATE)
    np.testing.assert_array_equal(read_audio(tmp_path / "a.wav"), expected)


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3"])
def test_a_part_is_the_same_as_in_the_whole(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    sf.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 4 * RATE), RATE)
    part = read_audio(path, offset=1.5, seconds=2)
    np.testing.assert_allclose(part, read_audio(path)[33075:77175], atol=1e-5)


def test_a_part_of_an_mp3_file_of_variable_rate_is_the_same_as_in_the_whole(tmp_path):
    samples = tone(6, 44100) + np.random.default_rng(0).normal(0, 0.1, 6 * 44100) * np.repeat(
        [0, 1], 3 * 44100
    )
    sf.write(tmp_path / "a.mp3", samples, 44100, bitrate_mode="VARIABLE", compression_level=0.3)
    whole, _ = sf.read(tmp_path / "a.mp3", dtype="float32", always_2d=True)
    np.testing.assert_array_equal(decode(tmp_path / "a.mp3")[0], whole)
    for start in (0.3, 1.5, 2.9):
        part, _ = decode(tmp_path / "a.mp3", start, 1)
        first = round(start * 44100)
        np.testing.assert_allclose(part, whole[first : first + 44100], atol=1e-5)


def test_a_part_that_passes_the_end_is_shorter(tmp_path):
    sf.write(tmp_path / "a.wav", tone(), RATE)
    assert read_audio(tmp_path / "a.wav", offset=1.5, seconds=10).shape == (RATE // 2,)


def test_all_channels_at_their_own_rate_can_be_had(tmp_path):
    sf.write(tmp_path / "a.wav", np.zeros((100, 2)), 44100)
    samples, rate = decode(tmp_path / "a.wav")
    assert (samples.shape, rate) == ((100, 2), 44100)
    assert read_header(tmp_path / "a.wav") == (100 / 44100, 44100)


def test_other_formats_go_to_the_system_decoder(tmp_path):
    # audioread also knows plain WAV, so that this way can be walked without ffmpeg.
    sf.write(tmp_path / "a.wav", np.stack([tone(), tone()], axis=1), RATE)
    (tmp_path / "a.wav").rename(tmp_path / "a.m4a")
    np.testing.assert_allclose(read_audio(tmp_path / "a.m4a"), tone(), atol=1e-4)
    assert read_header(tmp_path / "a.m4a") == (2.0, RATE)


def test_other_formats_are_decoded_once_though_they_are_read_in_parts(tmp_path, monkeypatch):
    sf.write(tmp_path / "a.wav", tone(10), RATE)
    (tmp_path / "a.wav").rename(tmp_path / "a.m4a")
    decoded = []
    monkeypatch.setattr(
        audio,
        "_decoded_by_system",
        lambda path, do=audio._decoded_by_system: decoded.append(do(path)) or decoded[-1],
    )
    assert read_header(tmp_path / "a.m4a") == (10.0, RATE)
    assert decoded == []
    for start in range(9):
        assert len(read_audio(tmp_path / "a.m4a", offset=start, seconds=1)) == RATE
    assert len(decoded) == 1
    sf.write(tmp_path / "b.wav", tone(4), RATE)
    (tmp_path / "b.wav").replace(tmp_path / "a.m4a")
    assert len(read_audio(tmp_path / "a.m4a")) == 4 * RATE
    assert len(decoded) == 2


def test_what_was_decoded_is_deleted_when_the_program_ends(tmp_path):
    sf.write(tmp_path / "a.wav", tone(), RATE)
    (tmp_path / "a.wav").rename(tmp_path / "a.m4a")
    code = "import sys; from gtzan_helpers.audio import read_audio; read_audio(sys.argv[1])"
    place = tmp_path / "temporary"
    place.mkdir()
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, tmp_path / "a.m4a"],
        env=os.environ | {"TMPDIR": str(place)},
        check=True,
    )
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("kind", ["wav", "au", "flac", "ogg", "mp3"])
def test_a_stray_of_macos_beside_a_file_does_no_harm(tmp_path, kind):
    sf.write(tmp_path / f"a.{kind}", tone(), RATE)
    (tmp_path / f"._a.{kind}").write_bytes(b"\0\5\26\7" + bytes(100))
    assert read_audio(tmp_path / f"a.{kind}").shape == (2 * RATE,)


def half(path):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


@pytest.mark.parametrize("kind", ["wav", "au", "aiff", "flac", "mp3", "ogg"])
def test_a_file_cut_short_is_refused(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    sf.write(path, np.random.default_rng(0).uniform(-1, 1, 10 * RATE), RATE)
    half(path)
    with pytest.raises(AudioError, match=r"cut short|damaged") as error:
        read_audio(path)
    assert str(path) in str(error.value)


def test_a_header_shows_how_much_is_missing(tmp_path):
    sf.write(tmp_path / "a.wav", tone(10), RATE)
    half(tmp_path / "a.wav")
    with pytest.raises(AudioError, match=re.escape("only 5.0 s of 10.0 s are there")):
        read_header(tmp_path / "a.wav")


def test_a_missing_byte_is_allowed(tmp_path):
    sf.write(tmp_path / "a.au", tone(), RATE)
    data = (tmp_path / "a.au").read_bytes()
    (tmp_path / "a.au").write_bytes(data[:-1])
    assert len(read_audio(tmp_path / "a.au")) == pytest.approx(2 * RATE, abs=1)


def test_a_size_that_its_recorder_did_not_know_is_allowed(tmp_path):
    sf.write(tmp_path / "a.wav", tone(), RATE)
    data = bytearray((tmp_path / "a.wav").read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"  # as ffmpeg writes into a pipe
    (tmp_path / "a.wav").write_bytes(data)
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav"), tone(), atol=1e-4)


@pytest.mark.parametrize("kind", ["wav", "au", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("content", [b"Not audio but words. " * 500, b"\0" * 4096])
def test_what_is_not_audio_is_refused(tmp_path, kind, content):
    path = tmp_path / f"a.{kind}"
    path.write_bytes(content)
    with pytest.raises(AudioError, match="not a readable") as error:
        read_audio(path)
    assert "fetch the file again" in str(error.value)
    with pytest.raises(AudioError):
        read_header(path)


def test_kaggles_broken_track_is_recognised(tmp_path):
    (tmp_path / "jazz.00054.wav").write_bytes(b"\x12\x34" * 1000)
    with pytest.raises(AudioError, match=r"WAV file \(no RIFF header\); GTZAN's copy on Kaggle"):
        read_audio(tmp_path / "jazz.00054.wav")


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "a.mp3").touch()
    with pytest.raises(AudioError, match="empty"):
        read_audio(tmp_path / "a.mp3")


def test_a_header_without_samples_is_refused(tmp_path):
    sf.write(tmp_path / "a.wav", np.zeros(0), RATE)
    with pytest.raises(AudioError, match="no samples"):
        read_header(tmp_path / "a.wav")


def test_a_stream_of_unknown_length_is_refused(tmp_path):
    sf.write(tmp_path / "a.flac", tone(), RATE)
    data = bytearray((tmp_path / "a.flac").read_bytes())
    data[21] &= 0xF0  # the number of samples: 36 bits of the stream's description
    data[22:26] = b"\0\0\0\0"
    (tmp_path / "a.flac").write_bytes(data)
    with pytest.raises(AudioError, match="how long"):
        read_audio(tmp_path / "a.flac")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_numbers_are_refused(tmp_path, value):
    samples = tone()
    samples[100] = value
    sf.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    with pytest.raises(AudioError, match="not numbers"):
        read_audio(tmp_path / "a.wav")


def test_what_the_system_cannot_decode_either_is_refused(tmp_path):
    (tmp_path / "a.m4a").write_bytes(b"no audio at all" * 100)
    with pytest.raises(AudioError, match="convert it to WAV"):
        read_audio(tmp_path / "a.m4a")


def test_a_path_without_a_file_is_named(tmp_path):
    with pytest.raises(AudioError, match=r"nothing\.wav: there is no such file"):
        read_audio(tmp_path / "nothing.wav")
    with pytest.raises(AudioError, match="is a folder"):
        read_audio(tmp_path)


def test_a_part_behind_the_end_is_refused(tmp_path):
    sf.write(tmp_path / "a.wav", tone(), RATE)
    with pytest.raises(AudioError, match=re.escape("no audio at 3 s, it lasts 2.0 s")):
        read_audio(tmp_path / "a.wav", offset=3)


@pytest.mark.parametrize("part", [{"offset": -1}, {"seconds": 0}, {"seconds": -2}])
def test_a_part_that_cannot_be_is_refused(tmp_path, part):
    sf.write(tmp_path / "a.wav", tone(), RATE)
    with pytest.raises(ValueError, match="not a part"):
        read_audio(tmp_path / "a.wav", **part)


def test_an_error_survives_the_way_between_processes():
    error = pickle.loads(pickle.dumps(AudioError("a.wav", "empty", "fill it")))
    assert (str(error), error.reason) == ("a.wav: empty; fill it", "empty")


def test_real_tracks_are_read_whole(real_data):
    for path in sorted((real_data / "gtzan_dev").glob("*/*.wav"))[::5]:
        assert 660_000 <= len(read_audio(path)) <= 675_808


def test_original_files_are_read_though_one_lacks_a_byte(real_data):
    for name in ("blues.00010.au", "jazz.00010.au"):
        assert len(read_audio(real_data / "gtzan_au" / name)) == pytest.approx(661_794, abs=1)


def heard(html):
    data = re.search(r'src="data:(audio/\w+);base64,([^"]+)"', html)
    return data[1], sf.read(io.BytesIO(base64.b64decode(data[2])))


def test_a_player_holds_the_sound_at_its_level():
    kind, (samples, rate) = heard(player(tone(amplitude=0.1)).data)
    assert (kind, rate) == ("audio/mpeg", RATE)
    assert pitch(samples) == pytest.approx(440, abs=1)
    assert np.std(samples) == pytest.approx(np.std(tone(amplitude=0.1)), rel=0.05)


def test_a_player_turns_down_only_what_would_clip():
    _, (samples, _) = heard(player(tone(amplitude=4.0)).data)
    assert np.std(samples) == pytest.approx(np.std(tone(amplitude=1.0)), rel=0.05)


def test_a_player_holds_ten_seconds_at_most_and_says_so():
    html = player(tone(30), label="hum").data
    assert "hum (the first 10 s of 30 s)" in html
    assert len(heard(html)[1][0]) == pytest.approx(10 * RATE, abs=2304)
    assert "first" not in player(tone(10), label="hum").data


def test_a_player_is_small_enough_for_a_notebook():
    noise = np.random.default_rng(0).normal(0, 0.1, 10 * RATE)
    assert len(player(noise).data) < 150_000


def test_a_rate_that_mp3_does_not_know_is_played_as_wav():
    kind, (samples, rate) = heard(player(tone(rate=4000), 4000).data)
    assert (kind, rate, len(samples)) == ("audio/wav", 4000, 8000)


def test_a_label_is_text_and_never_markup():
    html = player(tone(), label='<b>"Rock & Roll"</b>').data
    assert "&lt;b&gt;&quot;Rock &amp; Roll&quot;" in html
    assert "<b>" not in html


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros((10, 2)), np.array([0.0, np.nan])])
def test_a_player_refuses_what_is_not_a_waveform(samples):
    with pytest.raises(ValueError, match="waveform"):
        player(samples)
