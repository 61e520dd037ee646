"""Knowing a recording again, however its copy was made, and telling different ones apart."""

import io
import shutil
from pathlib import Path

import librosa
import numpy as np
import pandas as pd
import pytest
import scipy.signal
import soundfile as sf

from gtzan_helpers.audio import read_audio
from gtzan_helpers.copies import landmarks, recordings, same_recordings
from gtzan_helpers.datasets import load_tracks
from gtzan_helpers.lists import DEMO

RATE = 22050


# Landmarks


@pytest.fixture(scope="module")
def demo() -> list[np.ndarray]:
    """One track of each genre."""
    return [read_audio(path) for path in sorted(DEMO.glob("*/*.00001.flac"))]


def marks(samples, rate=RATE):
    return landmarks(np.array_split(samples.astype(np.float32), 3), rate)


def mp3(samples):
    file = io.BytesIO()
    sf.write(file, samples, RATE, format="MP3", compression_level=0.9)
    file.seek(0)
    return sf.read(file, dtype="float32")[0][: len(samples)]


BAND = scipy.signal.butter(1, (500, 3000), "band", fs=RATE)
NOISE = np.random.default_rng(0).normal(0, 0.05, 31 * RATE)
COPIES = {
    "quieter": lambda samples: np.rint(0.3 * samples * 32768) / 32768,
    "compressed": mp3,
    "filtered": lambda samples: scipy.signal.lfilter(*BAND, samples),
    "noisy": lambda samples: samples + samples.std() * NOISE[: len(samples)],
    "half": lambda samples: samples[len(samples) // 2 :],
    "delayed": lambda samples: np.concatenate([np.zeros(30_001), samples]),
    "a little quieter, 10 ms later": lambda samples: 0.89 * samples[220:],
}


def check_copies(tracks, change):
    found = same_recordings([marks(x) for x in tracks] + [marks(change(x)) for x in tracks])
    assert list(found["first"]) == list(range(len(tracks)))
    assert list(found["second"]) == list(range(len(tracks), 2 * len(tracks)))


@pytest.mark.parametrize("change", COPIES.values(), ids=COPIES)
def test_a_changed_copy_is_known_again(demo, change):
    check_copies(demo, change)


@pytest.mark.parametrize(("shift", "rate"), [(0.5, RATE), (3.0, RATE), (0, 11025), (0, 48000)])
def test_the_shift_is_measured_whatever_the_rate(demo, shift, rate):
    copy = librosa.resample(demo[5][round(shift * RATE) :], orig_sr=RATE, target_sr=rate)
    (match,) = same_recordings([marks(demo[5]), marks(copy, rate)]).itertuples()
    assert match.shift_seconds == pytest.approx(-shift, abs=0.05)


def test_what_holds_no_music_matches_nothing():
    silence, short, hum = np.zeros(5 * RATE), np.ones(100), np.sin(np.arange(5 * RATE) / 20)
    found = same_recordings([marks(x) for x in (silence, silence, short, hum, hum)])
    assert set(zip(found["first"], found["second"], strict=True)) <= {(3, 4)}
    assert same_recordings([]).empty


def test_different_real_tracks_are_told_apart_and_changed_copies_known(real_data):
    paths = sorted(Path(real_data).glob("gtzan_dev/*/*.wav"))
    tracks = [read_audio(path) for path in paths]
    assert same_recordings([marks(samples) for samples in tracks]).empty
    for change in COPIES.values():
        check_copies(tracks[::12], change)


# Recordings


def noise(seed, seconds=4.0):
    samples = np.random.default_rng(seed).normal(0, 6000, round(seconds * RATE))
    return samples.clip(-30_000, 30_000).astype(np.int16)


@pytest.fixture
def folder(tmp_path):
    """Three sound tracks."""
    (tmp_path / "jazz").mkdir()
    for number in range(3):
        sf.write(tmp_path / "jazz" / f"jazz.0000{number}.wav", noise(number), RATE)
    return tmp_path


def recordings_in(folder):
    """Return the recordings that are not named as their track."""
    tracks = load_tracks(folder)
    pairs = zip(tracks["track_id"], recordings(tracks), strict=True)
    return {track_id: name for track_id, name in pairs if name != track_id}


def test_a_recording_is_named_after_the_first_track_that_holds_it(folder):
    sf.write(folder / "jazz" / "jazz.00007.flac", noise(2), RATE)
    sf.write(folder / "jazz" / "jazz.00008.au", noise(2), RATE)
    same = {"jazz.00007": "jazz.00002", "jazz.00008": "jazz.00002"}
    assert recordings_in(folder) == same
    tracks = load_tracks(folder)
    slices = tracks.loc[tracks.index.repeat(3)].sample(frac=1, random_state=0)
    found = recordings(slices.assign(path=slices["path"].map(Path)))
    expected = slices["track_id"].replace(same).rename("recording")
    pd.testing.assert_series_equal(found, expected)


def test_a_recording_differs_by_one_sample_by_its_rate_and_by_its_channels(folder):
    last = np.arange(4 * RATE) == 4 * RATE - 1
    sf.write(folder / "jazz" / "other.wav", noise(2) + np.int16(300) * last, RATE)
    sf.write(folder / "jazz" / "rate.wav", noise(2), 2 * RATE)
    sf.write(folder / "jazz" / "channels.wav", np.stack([noise(2)] * 2, 1), RATE)
    sf.write(folder / "jazz" / "shorter.wav", noise(2)[:-1], RATE)
    assert recordings_in(folder) == {}


def test_an_unreadable_or_missing_file_is_a_recording_of_its_own(folder):
    path = folder / "jazz" / "jazz.00000.wav"
    path.write_bytes(path.read_bytes()[:100_000])
    shutil.copy(path, folder / "jazz" / "jazz.00009.wav")
    assert recordings_in(folder) == {}
    missing = pd.DataFrame({"track_id": list("abcd"), "path": ["gone.wav", "gone.wav", None, None]})
    assert list(recordings(missing)) == list("abcd")
    assert recordings(missing[:0]).empty


@pytest.mark.parametrize("kind", ["mp3", "ogg", "flac"])
def test_a_copied_file_is_one_recording_in_every_format(folder, kind, capfd):
    path = folder / "jazz" / f"jazz.00006.{kind}"
    sf.write(path, noise(9, 7), RATE)
    shutil.copy(path, path.with_name(f"jazz.00007.{kind}"))
    sf.write(path.with_name("jazz.00008.wav"), read_audio(path), RATE, subtype="FLOAT")
    assert recordings_in(folder) == {"jazz.00007": "jazz.00006", "jazz.00008": "jazz.00006"}
    assert capfd.readouterr() == ("", "")  # decoders complain where one seeks
