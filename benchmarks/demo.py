"""Are the demo tracks taken for their genre, and do they punish a careless split?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click
import librosa
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from gtzan_helpers.datasets import load_tracks
from gtzan_helpers.evaluation import Score, accuracy_interval
from gtzan_helpers.faults import usable
from gtzan_helpers.features import FEATURE_NAMES, extract_features, read_features
from gtzan_helpers.slices import SliceSet
from gtzan_helpers.splits import PARTS, folds, split

from .common import classifier, dense_network, show

NETWORK_SEEDS = range(10)
FOLD_SEEDS = range(3)
CLASSIFIERS = ("SVM", "logistic regression")


def table(features_csv: str | Path | None = None) -> pd.DataFrame:
    """Measure what is claimed of the demo tracks, in a row for each claim.

    `features_csv` is GTZAN's published features_30_sec.csv; without it, that file in the folder
    named by the environment variable GTZAN_TEST_DATA is taken, if there is one. The dense network
    is trained with ten seeds, others on five folds drawn with three; intervals resample artists.
    What could not be measured is NaN, and `note` says why.
    """
    tracks = usable(load_tracks("demo"))
    features = extract_features(tracks)
    tracks = tracks.assign(**features[FEATURE_NAMES])
    rows = [*recognised(tracks, features_csv), *network_rows(tracks), *slice_rows(tracks)]
    columns = ["measured on", "trained on", "classifier", "split", *Score._fields, "note"]
    return pd.DataFrame(rows, columns=columns).fillna({"note": ""})


def recognised(tracks: pd.DataFrame, features_csv: str | Path | None) -> Iterator[dict]:
    """Yield how often classifiers that learned from real tracks name the demo's genres."""
    folder = os.environ.get("GTZAN_TEST_DATA")
    path = features_csv or (folder and Path(folder) / "features_30_sec.csv")
    for name in CLASSIFIERS:
        about = {"measured on": "tracks", "trained on": "real tracks", "classifier": name}
        if not path or not Path(path).is_file():
            why = "not measured: give GTZAN's features_30_sec.csv by --features"
            yield about | {"split": "–", "note": why}
            continue
        real = read_features(path)
        model = classifier(name).fit(real[FEATURE_NAMES].to_numpy(), real["label"].to_numpy(object))
        predicted = model.predict(tracks[FEATURE_NAMES].to_numpy())
        score = accuracy_interval(tracks["genre"], predicted, tracks["artist"])
        yield about | {"split": "–"} | score._asdict()


def network_rows(tracks: pd.DataFrame) -> Iterator[dict]:
    """Yield the dense network's accuracy on demo tracks, by an honest and by a careless split."""
    for by in ("artist", "track"):
        outcomes = [network_outcome(tracks, by, seed) for seed in NETWORK_SEEDS]
        about = {"measured on": "tracks", "trained on": "demo", "classifier": "dense network"}
        each = [f"{(outcome['truth'] == outcome['predicted']).mean():.2f}" for outcome in outcomes]
        note = f"by seed: {' '.join(each)}"
        yield about | {"split": by} | score_of(pd.concat(outcomes))._asdict() | {"note": note}


def network_outcome(tracks: pd.DataFrame, by: str, seed: int) -> pd.DataFrame:
    """Train the dense network once; return truth, prediction and artist of the test tracks."""
    from gtzan_helpers.networks import fit, keras

    parts = split(tracks, by=by, seed=seed)
    genres, codes = np.unique(tracks["genre"].to_numpy(dtype=str), return_inverse=True)
    features = tracks[FEATURE_NAMES].to_numpy(np.float32)
    train, validation, test = ((parts == part).to_numpy() for part in PARTS)
    network = dense_network(features[train], len(genres), seed)
    both = [(features[rows], codes[rows]) for rows in (train, validation)]
    keras.utils.set_random_seed(seed)
    fit(network, *both, epochs=100, patience=10)
    predicted = genres[network.predict(features[test], verbose=0).argmax(axis=1)]
    return outcome_of(tracks[test], predicted)


def slice_rows(tracks: pd.DataFrame) -> Iterator[dict]:
    """Yield an SVM's accuracy on slices of the demo tracks, by slice, by track and by artist."""
    slices = SliceSet(tracks)
    measured = np.array(
        [
            slice_features(slices.samples([row])[0])
            for row in tqdm(range(len(slices)), "measure slices", leave=False)
        ]
    )
    for by in ("slice", "track", "artist"):
        outcomes = []
        for seed in FOLD_SEEDS:
            for train, test in folds(slices.table, by=by, seed=seed):
                genres = slices.table["genre"].to_numpy(object)
                model = classifier("SVM").fit(measured[train], genres[train])
                outcomes.append(outcome_of(slices.table.iloc[test], model.predict(measured[test])))
        about = {"measured on": "slices", "trained on": "demo", "classifier": "SVM", "split": by}
        yield about | score_of(pd.concat(outcomes))._asdict()


def slice_features(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Measure a slice cheaply: means and variances of MFCCs, brightness, bandwidth and level."""
    magnitude = np.abs(librosa.stft(samples))
    mel = librosa.power_to_db(librosa.feature.melspectrogram(S=magnitude**2))
    series = (
        librosa.feature.mfcc(S=mel, n_mfcc=20),
        librosa.feature.spectral_centroid(S=magnitude),
        librosa.feature.spectral_bandwidth(S=magnitude),
        librosa.feature.rms(S=magnitude),
    )
    rows = np.vstack(series)
    return np.concatenate([rows.mean(axis=1), rows.var(axis=1)])


def outcome_of(table: pd.DataFrame, predicted: NDArray) -> pd.DataFrame:
    """Put truth, prediction and artist side by side."""
    return pd.DataFrame(
        {
            "truth": table["genre"].to_numpy(),
            "predicted": predicted,
            "artist": table["artist"].to_numpy(),
        }
    )


def score_of(outcomes: pd.DataFrame) -> Score:
    """Score all predictions together; the interval resamples artists."""
    return accuracy_interval(outcomes["truth"], outcomes["predicted"], outcomes["artist"])


@click.command()
@click.option(
    "--features", "features_csv", type=click.Path(exists=True), help="GTZAN's features_30_sec.csv."
)
def demo(features_csv: str | None) -> None:
    """Show that the demo tracks are taken for their genre, and punish a careless split."""
    result = table(features_csv)
    show(result)
    accuracy = result.set_index(["measured on", "trained on", "split"])["accuracy"]
    for kind, careless in (("tracks", "track"), ("slices", "slice")):
        gap = accuracy[kind, "demo", careless] - accuracy[kind, "demo", "artist"]
        click.echo(f"{kind}: the {careless} split flatters by {100 * gap:.0f} points")


if __name__ == "__main__":
    demo()
