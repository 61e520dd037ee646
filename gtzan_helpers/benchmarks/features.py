"""How fast the features are measured, and how near they come to the recipe written out."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import librosa
import numpy as np
import pandas as pd

from ..audio import read_audio
from ..datasets import load_tracks, usable
from ..features import FEATURE_NAMES, extract_features, track_features


def written_out(samples: np.ndarray, sample_rate: int = 22050) -> dict[str, float]:
    """Measure the published columns the way they are described: one librosa call for each.

    Parameters
    ----------
    samples : ndarray of float32, shape (n_samples,)
        Mono waveform.
    sample_rate : int
        Hz.

    Returns
    -------
    dict
        "length", and the 57 numbers of `FEATURE_NAMES`.
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


def table(folder: str | Path, n_tracks: int = 10) -> pd.DataFrame:
    """Compare the recipe written out, ours, and ours in parallel, on the same tracks.

    Parameters
    ----------
    folder : str or path
        Data set, as for `load_tracks`.
    n_tracks : int
        How many tracks to take, spread evenly over the data set; at least 2.

    Returns
    -------
    DataFrame, one row per way
        `seconds` per track (of processor time; for the parallel way, of waiting time, which
        includes starting the processes and reading the files), `speed_up`, and `deviation`: the
        largest difference from the recipe over tracks and columns, in standard deviations of that
        column.
    """
    tracks = usable(load_tracks(folder))
    tracks = tracks.iloc[np.linspace(0, len(tracks) - 1, min(n_tracks, len(tracks))).astype(int)]
    waveforms = [read_audio(path) for path in tracks["path"]]
    recipe, recipe_seconds = _measured(written_out, waveforms)
    ours, our_seconds = _measured(track_features, waveforms)
    with empty_cache():
        started = time.perf_counter()
        parallel = extract_features(tracks)
        waited = (time.perf_counter() - started) / len(tracks)
    rows = {
        "recipe written out": (recipe_seconds, 0.0),
        "track_features": (our_seconds, _deviation(ours, recipe)),
        "extract_features, every core": (waited, _deviation(parallel, recipe)),
    }
    result = pd.DataFrame.from_dict(rows, orient="index", columns=["seconds", "deviation"])
    result.insert(1, "speed_up", recipe_seconds / result["seconds"])
    return result


@click.command()
@click.argument("folder", default="demo")
@click.option("--tracks", "n_tracks", default=10, show_default=True, help="How many to measure.")
def features(folder: str, n_tracks: int) -> None:
    """Time the features on the tracks of FOLDER, and compare their values with the recipe's."""
    result = table(folder, n_tracks)
    click.echo(f"{os.cpu_count()} cores; seconds per track; deviation in standard deviations")
    click.echo(result.to_string(formatters=_FORMATS))


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


def _deviation(ours: pd.DataFrame, recipe: pd.DataFrame) -> float:
    differences = (ours[FEATURE_NAMES] - recipe[FEATURE_NAMES]).abs().max()
    return float((differences / recipe[FEATURE_NAMES].std(ddof=0)).max())


@contextmanager
def empty_cache() -> Iterator[None]:
    """Let nothing be found that an earlier run has measured."""
    usual = os.environ.get("GTZAN_CACHE")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GTZAN_CACHE"] = folder
        try:
            yield
        finally:
            del os.environ["GTZAN_CACHE"]
            if usual is not None:
                os.environ["GTZAN_CACHE"] = usual
