"""How often the course's networks say that a sound is unlike all they know, and how rightly.

The measure is a song's distance, by its features, from the nearest training track, held against
that of tracks by artists who were kept out of the training: of these, it speaks up for one in
twenty, by its making. What it does for noise, speech, other genres and synthetic music, the table
says.
"""

from __future__ import annotations

from collections.abc import Iterator

import click
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gtzan_helpers.datasets import load_songs, load_tracks
from gtzan_helpers.faults import usable
from gtzan_helpers.features import FEATURE_NAMES, extract_features, track_features
from gtzan_helpers.models import Models, load_models, nearest_distances
from gtzan_helpers.predict import UNLIKE

from .common import show

RATE = 22050
N_NOISES = 20


def table(models: Models, folder: str | None = None) -> pd.DataFrame:
    """Return, for each kind of sound, how many there are and for which share the measure speaks."""
    rows = []
    for kind, features in kinds_of_sound(models, folder):
        distances = nearest_distances(models.dense, models.known, features)
        strangeness = models.share_nearer(distances)
        sure = models.dense.predict(features, verbose=0).max(axis=1)
        row = {"sound": kind, "n": len(features), "speaks up": np.mean(strangeness >= UNLIKE)}
        rows.append(row | {"median strangeness": np.median(strangeness), "sure": sure.mean()})
    return pd.DataFrame(rows)


def kinds_of_sound(models: Models, folder: str | None) -> Iterator[tuple[str, NDArray]]:
    """Yield kinds of sound and their features, shape (n, 57)."""
    sets = [("demo", usable(load_tracks("demo")))]
    if folder is not None:
        tracks = usable(load_tracks(folder))
        sets.insert(0, ("real", tracks[~tracks["genre"].isin(models.genres)]))
    for source, tracks in sets:
        for known, chosen in tracks.groupby(tracks["genre"].isin(models.genres)):
            features = extract_features(chosen)
            kind = f"{source}, {'the genres they know' if known else 'other genres'}"
            yield kind, features[FEATURE_NAMES].to_numpy(np.float32)
            if not known:
                for genre, rows in features.groupby("label"):
                    yield f"{source}, {genre}", rows[FEATURE_NAMES].to_numpy(np.float32)
    songs = load_songs()
    measured = extract_features(songs.rename(columns={"song": "track_id", "called": "genre"}))
    for called, rows in measured.groupby("label"):
        yield f"songs: {called}", rows[FEATURE_NAMES].to_numpy(np.float32)
    for name, waveforms in noises().items():
        rows = [list(track_features(samples, RATE).values())[1:] for samples in waveforms]
        yield name, np.array(rows, np.float32)


def noises() -> dict[str, list[NDArray[np.float32]]]:
    """Return white noise, brown noise and lone tones, ten seconds each, at many levels."""
    random, n = np.random.default_rng(0), 10 * RATE
    made: dict[str, list] = {"white noise": [], "brown noise": [], "tones": []}
    for level in 10 ** random.uniform(-2, -0.3, N_NOISES):
        white = random.standard_normal(n)
        brown = np.cumsum(white - white.mean())
        tone = np.sin(2 * np.pi * random.uniform(80, 2000) * np.arange(n) / RATE)
        for name, samples in zip(made, (white, brown, tone), strict=True):
            made[name].append((level * samples / np.abs(samples).max()).astype(np.float32))
    return made


@click.command()
@click.argument("folder", required=False)
@click.option("--models", help="Folder of networks; by default those of the course.")
def main(folder: str | None, models: str | None) -> None:
    """Hold the measure against songs, the demo and noises; and against the tracks in FOLDER."""
    show(table(load_models(models) if models else load_models(), folder))


if __name__ == "__main__":
    main()
