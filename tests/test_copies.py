"""Knowing a recording again, however its copy was made, and telling different ones apart."""

import io
from pathlib import Path

import librosa
import numpy as np
import pytest
import scipy.signal
import soundfile as sf

from gtzan_helpers.audio import read_audio
from gtzan_helpers.copies import landmarks, same_recordings
from gtzan_helpers.lists import DEMO

RATE = 22050


@pytest.fixture(scope="module")
def demo() -> list[np.ndarray]:
    """One track of each genre."""
    return [read_audio(path) for path in sorted(DEMO.glob("*/*.00001.flac"))]


def mp3(samples):
    file = io.BytesIO()
    sf.write(file, samples, RATE, format="MP3", compression_level=0.9)
    file.seek(0)
    return sf.read(file, dtype="float32")[0][: len(samples)]


def band_passed(samples):
    return scipy.signal.lfilter(*scipy.signal.butter(1, (500, 3000), "band", fs=RATE), samples)


def noisy(samples):
    noise = np.random.default_rng(0).normal(0, 0.05 * samples.std(), len(samples))
    return samples + noise


def quieter(samples):
    return np.rint(0.3 * samples * 32768) / 32768


COPIES = {
    "quieter": quieter,
    "compressed": mp3,
    "filtered": band_passed,
    "noisy": noisy,
    "shifted": lambda samples: samples[8159:],
    "delayed": lambda samples: np.concatenate([np.zeros(30_001), samples]),
    "a little quieter, 10 ms later": lambda samples: 10 ** (-1.0 / 20) * samples[220:],
    "a little louder, 10 ms earlier": lambda samples: np.concatenate(
        [np.zeros(220), 10 ** (1.0 / 20) * samples]
    ),
    "half": lambda samples: samples[len(samples) // 2 :],
}


def check_copies(tracks, change):
    changed = [landmarks(change(samples).astype(np.float32), RATE) for samples in tracks]
    originals = [landmarks(samples, RATE) for samples in tracks]
    found = {(match.first, match.second) for match in same_recordings(originals + changed)}
    assert found == {(place, place + len(tracks)) for place in range(len(tracks))}


@pytest.mark.parametrize("change", COPIES.values(), ids=COPIES)
def test_a_changed_copy_is_known_again(demo, change):
    check_copies(demo, change)


def test_a_copy_at_another_rate_is_known_again(demo):
    for rate in (11025, 44100, 48000):
        copy = landmarks(librosa.resample(demo[5], orig_sr=RATE, target_sr=rate), rate)
        (match,) = same_recordings([landmarks(demo[5], RATE), copy])
        assert match.shift_seconds == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("shift", [0.0, 0.5, 3.0])
def test_the_shift_is_measured(demo, shift):
    copy = landmarks(demo[0][round(shift * RATE) :], RATE)
    (match,) = same_recordings([landmarks(demo[0], RATE), copy])
    assert match.shift_seconds == pytest.approx(-shift, abs=0.02)


def test_different_demo_tracks_are_told_apart(demo):
    assert list(same_recordings([landmarks(samples, RATE) for samples in demo])) == []


def test_what_holds_no_music_matches_nothing():
    silence, short, hum = np.zeros(5 * RATE), np.ones(100), np.sin(np.arange(5 * RATE) / 20)
    tracks = [landmarks(x.astype(np.float32), RATE) for x in (silence, silence, short, hum, hum)]
    assert {match[:2] for match in same_recordings(tracks)} <= {(3, 4)}
    assert list(same_recordings([])) == []


def real_tracks(folder: Path) -> list[np.ndarray]:
    return [read_audio(path) for path in sorted(folder.glob("gtzan_dev/*/*.wav"))]


def test_different_real_tracks_are_told_apart(real_data):
    marks = [landmarks(samples, RATE) for samples in real_tracks(real_data)]
    assert list(same_recordings(marks)) == []


def test_changed_copies_of_real_tracks_are_known_again(real_data):
    tracks = real_tracks(real_data)[::12]
    for change in COPIES.values():
        check_copies(tracks, change)
