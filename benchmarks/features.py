"""How fast the features are measured, and how near they come to the recipe written out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import click
import librosa
import numpy as np
import pandas as pd

from gtzan_helpers.audio import read_audio
from gtzan_helpers.datasets import load_tracks
from gtzan_helpers.faults import usable
from gtzan_helpers.features import FEATURE_NAMES, extract_features, track_features

from .common import empty_cache


def written_out(samples: np.ndarray, sample_rate: int = 22050) -> dict[str, float]:
    """Measure the published columns the way they are described: one librosa call for each.

    `samples` are a mono waveform; the result holds "length" and the numbers of `FEATURE_NAMES`.
    """
    measure, reflect = librosa.feature, {"pad_mode": "reflect"}
    spectrum = librosa.stft(samples, **reflect)
    parts = (librosa.istft(part) for part in librosa.decompose.hpss(spectrum))
    harmony, percussion = (librosa.util.fix_length(part, size=samples.size) for part in parts)
    onsets = librosa.onset.onset_strength(y=samples, sr=sample_rate, aggregate=np.median, **reflect)
    tempo, _ = librosa.beat.beat_track(onset_envelope=onsets, sr=sample_rate)
    series = {
        "chroma_stft": measure.chroma_stft(y=samples, sr=sample_rate, **reflect),
        "rms": measure.rms(y=samples, **reflect),
        "spectral_centroid": measure.spectral_centroid(y=samples, sr=sample_rate, **reflect),
        "spectral_bandwidth": measure.spectral_bandwidth(y=samples, sr=sample_rate, **reflect),
        "rolloff": measure.spectral_rolloff(y=samples, sr=sample_rate, **reflect),
        "zero_crossing_rate": measure.zero_crossing_rate(samples),
        "harmony": harmony,
        "perceptr": percussion,
    }
    coefficients = measure.mfcc(y=samples, sr=sample_rate, n_mfcc=20, **reflect)
    series |= {f"mfcc{number}": row for number, row in enumerate(coefficients, start=1)}
    values = {"length": samples.size, "tempo": float(np.squeeze(tempo))}
    for name, measured in series.items():
        values |= {f"{name}_mean": float(np.mean(measured)), f"{name}_var": float(np.var(measured))}
    return values


def table(folder: str | Path, n_tracks: int = 10) -> tuple[pd.DataFrame, pd.Series]:
    """Compare the recipe written out, ours, and ours in parallel, on the same tracks.

    `n_tracks` of the data set, at least two, are taken, spread evenly. There is a row for each way:
    `seconds` per track (of processor time; for `extract_features` of waiting time, which includes
    reading the files), `speed_up`, and `deviation`: the largest difference from the recipe over
    tracks and columns, in standard deviations of that column. The series has the deviation of
    `track_features` in each column.
    """
    tracks = usable(load_tracks(folder))
    tracks = tracks.iloc[np.linspace(0, len(tracks) - 1, min(n_tracks, len(tracks))).astype(int)]
    waveforms = [read_audio(path) for path in tracks["path"]]
    recipe, recipe_seconds = _measured(written_out, waveforms)
    ours, our_seconds = _measured(track_features, waveforms)
    deviations = _deviations(ours, recipe)
    rows = {
        "recipe written out": (recipe_seconds, 0.0),
        "track_features": (our_seconds, deviations.max()),
    }
    for name, n_jobs in (("one process", 1), ("every core", -1)):
        extracted, seconds = _extracted(tracks, n_jobs)
        rows[f"extract_features, {name}"] = (seconds, _deviations(extracted, recipe).max())
    result = pd.DataFrame.from_dict(rows, orient="index", columns=["seconds", "deviation"])
    result.insert(1, "speed_up", recipe_seconds / result["seconds"])
    return result, deviations


@click.command()
@click.argument("folder", default="demo")
@click.option("--tracks", "n_tracks", default=10, show_default=True, help="How many to measure.")
def features(folder: str, n_tracks: int) -> None:
    """Time the features on the tracks of FOLDER, and compare their values with the recipe's."""
    result, deviations = table(folder, n_tracks)
    click.echo(f"{os.cpu_count()} cores; seconds per track; deviation in standard deviations")
    click.echo(result.to_string(formatters=_FORMATS))
    click.echo("\nlargest deviation of track_features, column by column")
    click.echo(deviations.map("{:.0e}".format).to_string())


_FORMATS: dict[str, Callable[[float], str]] = {
    "seconds": "{:.2f}".format,
    "speed_up": "{:.1f} x".format,
    "deviation": "{:.0e}".format,
}


def _measured(
    measure: Callable[[np.ndarray], dict[str, float]], waveforms: list[np.ndarray]
) -> tuple[pd.DataFrame, float]:
    """Return the features of each waveform, and the processor seconds that one takes."""
    measure(waveforms[0])  # imports and compiles what is needed
    started = time.process_time()
    rows = [measure(samples) for samples in waveforms]
    seconds = (time.process_time() - started) / len(waveforms)
    return pd.DataFrame(rows), seconds


def _extracted(tracks: pd.DataFrame, n_jobs: int) -> tuple[pd.DataFrame, float]:
    """Return the features of all tracks, and the seconds of waiting for each.

    The processes are started before, because they are started once for however many tracks.
    """
    with empty_cache():
        extract_features(tracks.iloc[:2], n_jobs)
    with empty_cache():
        started = time.perf_counter()
        extracted = extract_features(tracks, n_jobs)
        return extracted, (time.perf_counter() - started) / len(tracks)


def _deviations(ours: pd.DataFrame, recipe: pd.DataFrame) -> pd.Series:
    differences = (ours[FEATURE_NAMES] - recipe[FEATURE_NAMES]).abs().max()
    return differences / recipe[FEATURE_NAMES].std(ddof=0)


if __name__ == "__main__":
    features()
