"""How much a careless split flatters: one classifier, one feature file, four ways to divide it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import click
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..datasets import DatasetError, fetch_index, read_index
from ..evaluation import Score, accuracy_interval
from ..features import FEATURE_NAMES, read_features, track_ids
from ..splits import SplitError, folds, read_list, split

SEEDS = (0, 1, 2)
Division = Iterable[tuple[NDArray[np.intp], NDArray[np.intp]]]
Classifier = Callable[[pd.DataFrame, NDArray[np.intp], NDArray[np.intp]], NDArray]


def table(
    features: pd.DataFrame,
    artists: pd.DataFrame,
    lists: str | Path | None = None,
    network: bool = False,
) -> pd.DataFrame:
    """Judge classifiers on the same features by different splits.

    Parameters
    ----------
    features : DataFrame
        As from `read_features`.
    artists : DataFrame
        Columns `track_id` and `artist`, as from `read_index`.
    lists : path, optional
        Folder with the published lists, train_filtered.txt and so on; without it the fault-filtered
        ones are fetched, and the stratified split is left out.
    network : bool
        Whether to judge the dense network, too; this takes minutes.

    Returns
    -------
    DataFrame
        Columns `split`, `classifier`, `accuracy`, `low`, `high`, `majority`. Folds are drawn with
        three seeds. Intervals resample artists.
    """
    tracks = _with_artists(features, artists)
    classifiers: dict[str, Classifier] = {"logistic regression": logistic_regression}
    if network:
        classifiers["dense network"] = dense_network
    rows = []
    for name, division in _divisions(tracks, lists).items():
        for classifier, predict in classifiers.items():
            score = judge(tracks, division, predict)
            rows.append({"split": name, "classifier": classifier} | score._asdict())
    return pd.DataFrame(rows)


def judge(tracks: pd.DataFrame, division: Division, predict: Classifier) -> Score:
    """Train and test on each fold of a division, and score all predictions together.

    Parameters
    ----------
    tracks : DataFrame
        Features, and columns `track_id`, `genre`, `artist`.
    division : iterable of (train, test)
        Positions of rows.
    predict : callable
        Takes `tracks`, and the rows to train on and to test on; returns a genre for each of the
        latter.

    Returns
    -------
    Score
    """
    tested, predicted = [], []
    for train, test in division:
        tested.append(test)
        predicted.append(predict(tracks, train, test))
    rows = tracks.iloc[np.concatenate(tested)]
    groups = rows["artist"].where(rows["artist"] != "", rows["track_id"])
    return accuracy_interval(rows["genre"], np.concatenate(predicted), groups)


def logistic_regression(
    tracks: pd.DataFrame, train: NDArray[np.intp], test: NDArray[np.intp]
) -> NDArray:
    """Return the genres that a logistic regression on scaled features gives the test rows."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    measured, genres = tracks[FEATURE_NAMES].to_numpy(), tracks["genre"].to_numpy(dtype=object)
    return model.fit(measured[train], genres[train]).predict(measured[test])


def dense_network(tracks: pd.DataFrame, train: NDArray[np.intp], test: NDArray[np.intp]) -> NDArray:
    """Return the genres that the course's dense network gives the test rows.

    A fifth of the training tracks, by other artists, decides when to stop training.
    """
    from .. import networks

    measured = tracks[FEATURE_NAMES].to_numpy(dtype="float32")
    codes, genres = pd.factorize(tracks["genre"].to_numpy(dtype=object), sort=True)
    parts = split(tracks.iloc[train], by="artist", test=0)
    learn, stop = train[parts == "train"], train[parts == "validation"]
    networks.keras.utils.set_random_seed(0)
    network = networks.dense_network(len(FEATURE_NAMES), len(genres))
    network.get_layer("scaler").adapt(measured[learn])
    learning, stopping = ((measured[rows], codes[rows]) for rows in (learn, stop))
    networks.fit(network, learning, stopping, epochs=100, patience=10, seed=0)
    return genres[network.predict(measured[test], verbose=0).argmax(axis=1)]


@click.command()
@click.option("--features", "path", required=True, help="features_30_sec.csv, or one of ours.")
@click.option("--index", help="Sturm's index.txt; fetched if not given.")
@click.option("--lists", help="Folder with train_filtered.txt …; fetched if not given.")
@click.option("--network", is_flag=True, help="Judge the dense network, too (minutes).")
def leak(path: str, index: str | None, lists: str | None, network: bool) -> None:
    """Show how much of an accuracy is owed to tracks and artists on both sides of a split."""
    result = table(read_features(path), read_index(index or fetch_index()), lists, network)
    click.echo(result.to_string(index=False, float_format="{:.2f}".format))


def _with_artists(features: pd.DataFrame, artists: pd.DataFrame) -> pd.DataFrame:
    names = artists.set_index("track_id")["artist"]
    ids = track_ids(features)
    return features.assign(track_id=ids, genre=features["label"], artist=ids.map(names).fillna(""))


def _divisions(tracks: pd.DataFrame, lists: str | Path | None) -> dict[str, Division]:
    divisions = {
        "random 5-fold": _seeded_folds(tracks, "slice"),
        "artist 5-fold": _seeded_folds(tracks, "artist"),
    }
    if lists is not None and (Path(lists) / "test_stratified.txt").exists():
        train, test = (
            np.flatnonzero(
                tracks["track_id"].isin(read_list(Path(lists) / f"{part}_stratified.txt"))
            )
            for part in ("train", "test")
        )
        divisions["stratified"] = [(train, test)]
    try:
        parts = split(tracks, by="fault-filtered", lists=lists)
    except (DatasetError, SplitError) as error:
        click.echo(f"without the fault-filtered split: {error}", err=True)
    else:
        train, test = (np.flatnonzero(parts == part) for part in ("train", "test"))
        divisions["fault-filtered"] = [(train, test)]
    return divisions


def _seeded_folds(tracks: pd.DataFrame, by: str) -> Division:
    return [fold for seed in SEEDS for fold in folds(tracks, by, n_folds=5, seed=seed)]
