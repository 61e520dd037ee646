"""What each system costs: numbers it learns, seconds to train, seconds to answer about a track."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import pandas as pd
from tqdm import tqdm

from gtzan_helpers.audio import read_track
from gtzan_helpers.datasets import load_tracks
from gtzan_helpers.errors import CourseError
from gtzan_helpers.features import FEATURE_NAMES, mel_spectrogram, track_features
from gtzan_helpers.models import CNN, DENSE, PRETRAINED, SAMPLE_RATE
from gtzan_helpers.networks import abdoli_cnn, dense_network, mel_cnn
from gtzan_helpers.pretrained import SAMPLE_RATE as MUSICNN_RATE
from gtzan_helpers.pretrained import musicnn
from gtzan_helpers.slices import cut

from .answers import CNN_EPOCHS, REFERENCE, SYSTEMS, Exam
from .common import seconds_of, show
from .mel import MEL, N_FRAMES
from .tables import of_manifest

N_TRACKS = 10  # that the inputs are made of for the clock, after one to warm up


def input_of(system: str) -> Callable[[str], object]:
    """Return what makes a system's input from a file."""
    if system == CNN:
        return lambda path: cut(read_track(path, SAMPLE_RATE))
    if system == MEL:
        return lambda path: mel_spectrogram(read_track(path, SAMPLE_RATE))
    if system == PRETRAINED:
        return lambda path: musicnn(read_track(path, MUSICNN_RATE))
    return lambda path: track_features(read_track(path, SAMPLE_RATE))


def parameters(n_genres: int) -> dict[str, int]:
    """Return how many numbers each system learns from the tracks, where that can be said."""
    networks = {
        DENSE: dense_network(len(FEATURE_NAMES), n_genres),
        CNN: abdoli_cnn(2 * SAMPLE_RATE, n_genres),
        MEL: mel_cnn(N_FRAMES, 64, n_genres),
    }
    counts = {
        name: sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)
        for name, network in networks.items()
    }
    linear = {"logistic regression": len(FEATURE_NAMES), PRETRAINED: 200}
    return counts | {name: (n_inputs + 1) * n_genres for name, n_inputs in linear.items()}


def table(exam: Exam) -> pd.DataFrame:
    """Return a row per system: it is trained and asked once, for the first fold by artist."""
    fold = next(exam.folds(exam.splits[0], 1))
    learned = parameters(len(exam.genres))
    paths = [Path(path) for path in exam.tracks["path"][: N_TRACKS + 1]]
    # What all inputs are made of is there before the clock starts.
    for inputs in ("features", "embeddings", "spectrograms", "slices"):
        getattr(exam, inputs)
    rows = []
    systems = ["nearest neighbour", "logistic regression", REFERENCE, DENSE, CNN, MEL, PRETRAINED]
    for system in tqdm(systems, "systems"):
        make = input_of(system)
        make(paths[0])
        seconds = seconds_of(lambda make=make: [make(path) for path in paths[1:]]) / N_TRACKS
        training = seconds_of(lambda system=system: SYSTEMS[system](exam, fold, 0))
        names = {"system": system, "learned numbers": learned.get(system)}
        rows.append(names | {"seconds to train": training, "seconds a track": seconds})
    return pd.DataFrame(rows)


@click.command()
@click.argument("folder")
@click.option("--epochs", default=CNN_EPOCHS, show_default=True, help="Of the CNN.")
def main(folder: str, epochs: int) -> None:
    """Train each system once on the tracks in FOLDER, which holds those of gtzan-five."""
    try:
        exam = Exam.of(of_manifest(load_tracks(folder)), epochs)
        show(table(exam))
    except CourseError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
