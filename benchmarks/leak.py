"""How much a careless split flatters: the same classifiers and features, divided in five ways."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from gtzan_helpers.downloads import fetch_index
from gtzan_helpers.errors import CourseError
from gtzan_helpers.evaluation import Score, accuracy_interval
from gtzan_helpers.features import FEATURE_NAMES, read_features
from gtzan_helpers.lists import read_index
from gtzan_helpers.splits import PARTS, folds

from .common import artist_groups, as_markdown, classifier, dense_network, show
from .published import fault_filtered, read_list

# The same tracks in other folds score up to two points more or less: ten drawings are averaged.
# A published division is one; the networks are trained on it with five seeds.
FOLD_SEEDS, NETWORK_SEEDS = range(10), range(5)
VOTERS = 5
EPOCH_SEEDS, MOST_EPOCHS = range(5), 160
Rows = NDArray[np.intp]
Division = list[tuple[Rows, Rows, Rows]]
Classifier = Callable[[pd.DataFrame, Rows, Rows, Rows, int], NDArray]


def table(
    features: pd.DataFrame,
    artists: pd.DataFrame,
    lists: str | Path | None = None,
    network: bool = False,
) -> pd.DataFrame:
    """Judge classifiers on the same features by different splits.

    `features` are as from `read_features`, `artists` as from `read_index`. `lists` is a folder with
    the published lists, train_filtered.txt and so on; without it the fault-filtered ones are
    fetched, and the stratified split is left out. `network` judges the dense networks, too; this
    takes half an hour. Folds are drawn with ten seeds; on a published division the accuracy is the
    mean of five seeds of the networks. Intervals resample artists.
    """
    tracks = _with_artists(features, artists)
    divisions = _divisions(tracks, lists)
    classifiers: dict[str, Classifier] = {"logistic regression": logistic_regression}
    if network:
        train, validation, _ = divisions.get("fault-filtered", divisions["artist 5-fold"])[0]
        epochs = best_epochs(tracks.iloc[np.concatenate([train, validation])])
        click.echo(f"the dense networks are trained for {epochs} epochs", err=True)
        classifiers["dense networks"] = partial(dense_networks, epochs=epochs)
    rows = []
    for name, division in divisions.items():
        for about, predict in classifiers.items():
            score = judge(tracks, division, predict)
            rows.append({"split": name, "classifier": about} | score._asdict())
    return pd.DataFrame(rows)


def judge(tracks: pd.DataFrame, division: Division, predict: Classifier) -> Score:
    """Train and test on each fold of a division, and score all predictions together.

    A division is a list of (train, validation, test), positions of rows; validation may be empty.
    `predict` takes `tracks`, these three and a seed, and returns a genre for each row of the test.
    """
    tested, predicted = [], []
    for seed, rows in enumerate(tqdm(division, "train and test", leave=False)):
        tested.append(rows[-1])
        predicted.append(predict(tracks, *rows, seed))
    rows = tracks.iloc[np.concatenate(tested)]
    return accuracy_interval(rows["genre"], np.concatenate(predicted), artist_groups(rows))


def logistic_regression(
    tracks: pd.DataFrame, train: Rows, validation: Rows, test: Rows, seed: int
) -> NDArray:
    """Return the genres that a logistic regression on scaled features gives the test rows.

    It has no use for validation rows, and is the same for all seeds.
    """
    measured, genres = tracks[FEATURE_NAMES].to_numpy(), tracks["genre"].to_numpy(dtype=object)
    return classifier().fit(measured[train], genres[train]).predict(measured[test])


def dense_networks(
    tracks: pd.DataFrame, train: Rows, validation: Rows, test: Rows, seed: int, epochs: int
) -> NDArray:
    """Return the genres that five of the course's dense networks, voting, give the test rows.

    They differ in their first weights, and in what dropout leaves out; the vote is the mean of
    their probabilities. How long to train was settled before, so they learn from the validation
    rows, too.
    """
    train = np.concatenate([train, validation])
    measured, codes, genres = _inputs(tracks)
    votes = []
    for voter in range(VOTERS):
        network = dense_network(measured[train], len(genres), seed * VOTERS + voter)
        network.fit(measured[train], codes[train], epochs=epochs, batch_size=32, verbose=0)
        votes.append(network.predict(measured[test], verbose=0))
    return genres[np.mean(votes, axis=0).argmax(axis=1)]


def best_epochs(tracks: pd.DataFrame) -> int:
    """Return for how many epochs the dense network is best trained, judged by new artists.

    Five folds of artists, drawn five times, are tested after every epoch; the accuracy, averaged
    over all of them and over ten neighbouring epochs, is highest after that many. One drawing is
    not enough: its highest place moves by dozens of epochs from seed to seed.
    """
    from gtzan_helpers.networks import fit

    measured, codes, genres = _inputs(tracks)
    curves = []
    for seed in tqdm(EPOCH_SEEDS, "choose the epochs", leave=False):
        for train, test in folds(tracks, by="artist", n_folds=5, seed=seed):
            network = dense_network(measured[train], len(genres), seed)
            data = [(measured[rows], codes[rows]) for rows in (train, test)]
            history = fit(network, *data, epochs=MOST_EPOCHS, patience=MOST_EPOCHS)
            curves.append(history["val_accuracy"])
    smooth = np.convolve(np.mean(curves, axis=0), np.ones(10) / 10, mode="valid")
    return int(smooth.argmax()) + 5  # the middle of the ten


def _inputs(tracks: pd.DataFrame) -> tuple[NDArray, NDArray, NDArray]:
    """Return what the networks see, the number of each row's genre, and the genres.

    Variances are seen as logarithms: they grow with the square of what varies, and run over several
    powers of ten. The least positive number stands in for a variance of zero.
    """
    measured = tracks[FEATURE_NAMES].astype("float32")
    variances = measured.filter(regex="_var$").clip(lower=np.finfo("float32").tiny)
    measured[variances.columns] = np.log(variances)
    genres = tracks["genre"].to_numpy(dtype=object)
    return measured.to_numpy(), *pd.factorize(genres, sort=True)


@click.command()
@click.option("--features", "path", required=True, help="features_30_sec.csv, or one of ours.")
@click.option("--index", help="Sturm's index.txt; fetched if not given.")
@click.option("--lists", help="Folder with train_filtered.txt …; fetched if not given.")
@click.option("--network", is_flag=True, help="Judge the dense networks, too (half an hour).")
@click.option("--markdown", is_flag=True, help="Print the table as the README shows it.")
def leak(path: str, index: str | None, lists: str | None, network: bool, markdown: bool) -> None:
    """Show how much of an accuracy is owed to tracks and artists on both sides of a split."""
    result = table(read_features(path), read_index(index or fetch_index()), lists, network)
    if markdown:
        click.echo(as_markdown(result, "split", "classifier"))
    else:
        show(result)


def _with_artists(features: pd.DataFrame, artists: pd.DataFrame) -> pd.DataFrame:
    names = artists.set_index("track_id")["artist"]
    ids = features["track_id"]
    return features.assign(
        genre=features["label"],
        artist=ids.map(names).fillna(""),
        recording=features.groupby(FEATURE_NAMES)["track_id"].transform("first"),
    )


def _divisions(tracks: pd.DataFrame, lists: str | Path | None) -> dict[str, Division]:
    divisions = {
        "random 5-fold": _seeded_folds(tracks, "slice"),
        "artist 5-fold": _seeded_folds(tracks, "artist"),
    }
    if lists is not None and (Path(lists) / "test_stratified.txt").exists():
        parts = pd.Series("", tracks.index)
        for part, name in zip(PARTS, ("train", "valid", "test"), strict=True):
            listed = read_list(Path(lists) / f"{name}_stratified.txt")
            parts[tracks["track_id"].isin(listed)] = part
        divisions["stratified"] = _published(parts)
    try:
        for name, repaired in (("fault-filtered", False), ("fault-filtered, repaired", True)):
            parts = fault_filtered(tracks, lists=lists, repaired=repaired)
            divisions[name] = _published(parts)
    except CourseError as error:
        click.echo(f"without the fault-filtered split: {error}", err=True)
    return divisions


def _seeded_folds(tracks: pd.DataFrame, by: str) -> Division:
    nothing = np.array([], dtype=np.intp)
    return [
        (train, nothing, test)
        for seed in FOLD_SEEDS
        for train, test in folds(tracks, by, n_folds=5, seed=seed)
    ]


def _published(parts: pd.Series) -> Division:
    return [tuple(np.flatnonzero(parts == part) for part in PARTS)] * len(NETWORK_SEEDS)


if __name__ == "__main__":
    leak()
