"""Train the networks that come with the course, on all tracks; and see how sure they may be.

Their scores, their temperatures and how far music by new artists usually lies come from the
cross-validation by artist (benchmarks.answers), where networks trained in the same way were asked
about artists from whom they had not learned. Where too few artists are known it is by track, and
the card says so. What that has computed is kept.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from gtzan_helpers.datasets import describe_source, load_tracks
from gtzan_helpers.errors import CourseError
from gtzan_helpers.evaluation import accuracy_interval
from gtzan_helpers.measured import FIVE, measured_folder
from gtzan_helpers.models import (
    CNN,
    DENSE,
    PRETRAINED,
    Models,
    best_temperature,
    nearest_distances,
    save_models,
    scaled_features,
    tempered,
    train_networks,
)

from .answers import CNN_EPOCHS, Exam, Fold, logistic_regression, votes
from .common import artist_groups, dense_network, show
from .musicnn_weights import shapes
from .tables import of_manifest

SURE = [0.0, 0.3, 0.5, 0.7, 0.9, 1.0]  # edges between which answers are counted


def train_all(exam: Exam, seeds: int = 3) -> tuple[Models, pd.DataFrame]:
    """Return the networks, trained on all tracks, and how right they are where they are sure."""
    tried = list(exam.folds(exam.splits[0], seeds))
    said = {name: held_out(exam, name, tried) for name in (DENSE, CNN, PRETRAINED)}
    everything = exam.features, exam.labels, exam.slices, np.arange(len(exam.slices))
    dense, cnn, card = train_networks(*everything, exam.epochs)
    head, card.loc[PRETRAINED] = train_head(exam.embeddings, exam.labels)
    card["temperature"] = [temperature_of(said[name]) for name in card.index]
    card["by"] = exam.splits[0]
    models = Models(
        dense,
        cnn,
        exam.genres,
        float(exam.tracks["seconds"].median()),
        card.join(pd.DataFrame({name: score_of(part) for name, part in said.items()}).T),
        scaled_features(dense, exam.features),
        np.sort(np.concatenate([distances_of(exam, fold) for fold in tried])),
        about(exam.tracks),
        head,
    )
    return models, sureness(said)


def train_head(
    embeddings: NDArray[np.float32], labels: NDArray[np.intp]
) -> tuple[NDArray[np.float32], dict[str, float]]:
    """Return constants and weights from embeddings to genres, (201, n_genres), and their card."""
    start = time.perf_counter()
    scaler, last = logistic_regression().fit(embeddings, labels).named_steps.values()
    seconds = time.perf_counter() - start
    coefficients, constants = last.coef_, last.intercept_
    if len(coefficients) == 1:  # two genres: how much more the second is likely than the first
        halves = np.array([[-0.5], [0.5]])
        coefficients, constants = halves * coefficients, halves[:, 0] * constants
    weights = coefficients / scaler.scale_
    head = np.vstack([constants - weights @ scaler.mean_, weights.T]).astype(np.float32)
    size = sum(math.prod(shape) for shape in shapes().values()) + head.size
    return head, {"parameters": size, "epochs": last.n_iter_[0], "seconds": seconds}


def held_out(exam: Exam, name: str, tried: list[Fold]) -> pd.DataFrame:
    """Return what a network said of the test tracks of some folds: a row per vote."""
    tracks = exam.tracks.assign(label=exam.labels, group=artist_groups(exam.tracks))
    rows = [
        tracks.iloc[fold.test][["group", "label"]]
        .assign(seed=fold.seed, fold=fold.number)
        .join(pd.DataFrame(votes(exam, name, fold), fold.test))
        for fold in tqdm(tried, name)
    ]
    return pd.concat(rows, ignore_index=True)


def votes_in(said: pd.DataFrame) -> NDArray[np.float64]:
    """Return the probabilities among the columns of `held_out`."""
    return said.drop(columns=["group", "label", "seed", "fold"]).to_numpy()


def temperature_of(said: pd.DataFrame) -> float:
    """Return the temperature that suits some votes."""
    return best_temperature(votes_in(said), said["label"].to_numpy())


def score_of(said: pd.DataFrame) -> dict[str, float]:
    """Return the accuracy of votes, and the ends of its interval over artists."""
    score = accuracy_interval(said["label"], votes_in(said).argmax(axis=1), said["group"])
    return {"accuracy": score.accuracy, "low": score.low, "high": score.high}


def distances_of(exam: Exam, fold: Fold) -> NDArray[np.float32]:
    """Return how far test tracks lie from the nearest training track, by their features."""
    network = dense_network(exam.features[fold.train], len(exam.genres), fold.seed)
    known = scaled_features(network, exam.features[fold.train])
    return nearest_distances(network, known, exam.features[fold.test])


def sureness(said: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return how sure votes were on average, and how often right, before and after tempering.

    The temperature for a fold comes from the other folds of its cross-validation.
    """
    rows = []
    for name, everything in said.items():
        for (seed, number), part in everything.groupby(["seed", "fold"]):
            others = everything[(everything["seed"] == seed) & (everything["fold"] != number)]
            for kind, temperature in (("raw", 1.0), ("tempered", temperature_of(others))):
                given = tempered(votes_in(part), temperature)
                right = given.argmax(axis=1) == part["label"].to_numpy()
                table = pd.DataFrame({"sure": given.max(axis=1), "right": right})
                rows.append(table.assign(network=name, kind=kind))
    table = pd.concat(rows)
    table["between"] = pd.cut(table["sure"], SURE).astype(str)
    grouped = table.groupby(["network", "kind", "between"])
    return grouped.agg(n=("right", "size"), sure=("sure", "mean"), right=("right", "mean"))


def about(tracks: pd.DataFrame) -> str:
    """Say what the networks learned from."""
    n_artists = tracks["artist"].where(tracks["artist"] != "").nunique()
    return (
        f"{describe_source(tracks)} Learned from all of them, by {n_artists} known artists; the "
        "rights in these recordings are unclear, so the networks are for learning and research."
    )


@click.command()
@click.argument("folder")
@click.option("--out", type=click.Path(file_okay=False), help="New folder for the networks.")
@click.option("--index", help="List of artists, as Sturm's index.txt.")
@click.option("--epochs", default=CNN_EPOCHS, show_default=True, help="Of the CNN.")
@click.option("--seeds", default=3, show_default=True, help="How many cross-validations.")
def main(folder: str, out: str | None, index: str | None, epochs: int, seeds: int) -> None:
    """Train the networks on all tracks in FOLDER.

    Without --out they replace those in the package, and FOLDER must hold its 500 tracks.
    """
    place = Path(out) if out else measured_folder(FIVE) / "models"
    try:
        if out and place.exists():
            raise CourseError(f"{place} exists already: name a new folder")
        place.parent.mkdir(parents=True, exist_ok=True)
        tracks = load_tracks(folder, index)
        models, sure = train_all(Exam.of(tracks if out else of_manifest(tracks), epochs), seeds)
        with tempfile.TemporaryDirectory(dir=place.parent) as temporary:
            save_models(models, Path(temporary, "models"))
            shutil.rmtree(place, ignore_errors=True)
            Path(temporary, "models").rename(place)
    except (CourseError, ValueError, OSError) as error:
        raise click.ClickException(str(error)) from error
    show(models.card.reset_index(names="network"))
    click.echo()
    show(sure.reset_index())


if __name__ == "__main__":
    main()
