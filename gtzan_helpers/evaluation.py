"""Judging predictions: accuracy with an interval, comparisons, genres, and votes of slices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

N_RESAMPLES = 2000
QUANTILES = (0.025, 0.975)


class Score(NamedTuple):
    """An accuracy, its 95 % interval, and the accuracy of always naming the commonest genre."""

    accuracy: float
    low: float
    high: float
    majority: float

    def __repr__(self) -> str:
        return (
            f"accuracy {self.accuracy:.2f}  [{self.low:.2f}, {self.high:.2f}]  "
            f"majority {self.majority:.2f}"
        )


class Difference(NamedTuple):
    """The first accuracy minus the second, its 95 % interval, and a two-sided p-value."""

    difference: float
    low: float
    high: float
    p_value: float

    def __repr__(self) -> str:
        return (
            f"difference {self.difference:+.2f}  [{self.low:+.2f}, {self.high:+.2f}]  "
            f"p = {self.p_value:.3f}"
        )


def accuracy_interval(
    truth: ArrayLike, predicted: ArrayLike, groups: ArrayLike | None = None, seed: int = 0
) -> Score:
    """Measure accuracy, and how far chance in the choice of test material may have moved it.

    Parameters
    ----------
    truth, predicted : array-like, shape (n_rows,)
        Genres, as names or as numbers.
    groups : array-like, shape (n_rows,), optional
        What was drawn together: the track of each slice, or the artist of each track. Rows of one
        group are not independent, so whole groups are resampled. By default each row is a group.
    seed : int
        The same seed gives the same interval.

    Returns
    -------
    Score
        Accuracy, the ends of its 95 % interval, and the share of the commonest genre in `truth`.

    Raises
    ------
    ValueError
        If the inputs are empty or differ in length.

    Notes
    -----
    Taught in notebooks/03_dense_network.ipynb. Percentile bootstrap over groups (Efron 1979) with
    2000 resamples. If nothing or everything is right, its ends fall together: with n groups, a
    true rate as far off as about 3/n could still give that.
    """
    truth, predicted = _columns(truth, predicted)
    right = truth == predicted
    totals = _resampled_totals([right], groups, seed)
    low, high = np.quantile(totals[:, 0] / totals[:, -1], QUANTILES)
    majority = np.unique(truth, return_counts=True)[1].max() / len(truth)
    return Score(float(right.mean()), float(low), float(high), float(majority))


def paired_difference(
    truth: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> Difference:
    """Compare two sets of predictions for the same rows.

    Both are judged on the same resamples, so what is easy or hard for both cancels out.

    Parameters
    ----------
    truth, first, second : array-like, shape (n_rows,)
        Genres, and what two classifiers said.
    groups, seed
        As for `accuracy_interval`.

    Returns
    -------
    Difference
        Accuracy of `first` minus that of `second`, the ends of its 95 % interval, and the p-value
        of "there is no difference": twice the share of resamples on the far side of zero.

    Raises
    ------
    ValueError
        If the inputs are empty or differ in length.

    Notes
    -----
    Taught in notebooks/06_compare_and_use.ipynb. Efron and Tibshirani, An Introduction to the
    Bootstrap (1993), chapters 13 and 15.
    """
    truth, first, second = _columns(truth, first, second)
    right = [first == truth, second == truth]
    totals = _resampled_totals(right, groups, seed)
    differences = (totals[:, 0] - totals[:, 1]) / totals[:, -1]
    low, high = np.quantile(differences, QUANTILES)
    # One is added because the observed sample counts as a resample: a p-value is never zero.
    far_side = min((differences <= 0).sum(), (differences >= 0).sum())
    p_value = min(1.0, 2 * (far_side + 1) / (N_RESAMPLES + 1))
    difference = right[0].mean() - right[1].mean()
    return Difference(float(difference), float(low), float(high), float(p_value))


def genre_report(truth: ArrayLike, predicted: ArrayLike) -> pd.DataFrame:
    """Measure each genre: how far to trust its name, and how much of it is found.

    Parameters
    ----------
    truth, predicted : array-like, shape (n_rows,)
        Genres, as names or as numbers.

    Returns
    -------
    DataFrame, index "genre"
        Columns `precision` (share of rows called this genre that are of it), `recall` (share of
        rows of this genre that are called it), `f1` (their harmonic mean; all three 0 where there
        is nothing to divide by) and `support` (rows of this genre).

    Raises
    ------
    ValueError
        If the inputs are empty or differ in length.

    Notes
    -----
    Taught in notebooks/03_dense_network.ipynb.
    """
    truth, predicted = _columns(truth, predicted)
    genres = np.union1d(truth, predicted)
    is_genre = truth[:, None] == genres
    is_called = predicted[:, None] == genres
    found = (is_genre & is_called).sum(axis=0)
    support, called = is_genre.sum(axis=0), is_called.sum(axis=0)
    return pd.DataFrame(
        {
            "precision": found / np.maximum(called, 1),
            "recall": found / np.maximum(support, 1),
            "f1": 2 * found / (called + support),
            "support": support,
        },
        index=pd.Index(genres, name="genre"),
    )


def commonest_confusions(truth: ArrayLike, predicted: ArrayLike) -> pd.DataFrame:
    """List which genre is taken for which other, the commonest mistake first.

    Parameters
    ----------
    truth, predicted : array-like, shape (n_rows,)
        Genres, as names or as numbers.

    Returns
    -------
    DataFrame
        Columns `genre`, `taken_for`, `times` and `share` (of the rows of `genre`).

    Raises
    ------
    ValueError
        If the inputs are empty or differ in length.

    Notes
    -----
    Taught in notebooks/03_dense_network.ipynb.
    """
    truth, predicted = _columns(truth, predicted)
    rows = pd.DataFrame({"genre": truth, "taken_for": predicted})
    support = rows["genre"].value_counts()
    wrong = rows[truth != predicted]
    pairs = wrong.groupby(["genre", "taken_for"]).size().rename("times").reset_index()
    pairs["share"] = pairs["times"] / pairs["genre"].map(support)
    return pairs.sort_values("times", ascending=False, kind="stable", ignore_index=True)


def vote(
    probabilities: ArrayLike | pd.DataFrame,
    track_ids: ArrayLike,
    rule: str = "mean",
    genres: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Combine what a network says about the slices of a track into one answer per track.

    Parameters
    ----------
    probabilities : array-like or DataFrame, shape (n_slices, n_genres)
        Probability of each genre for each slice.
    track_ids : array-like, shape (n_slices,)
        Track of each slice.
    rule : {"mean", "majority"}
        "mean" averages the probabilities, which ranks the genres as summing them does. "majority"
        counts for how many slices each genre is the likeliest; equal counts are settled by the
        mean probability.
    genres : sequence of str, optional
        Names of the columns, where `probabilities` has none.

    Returns
    -------
    DataFrame, shape (n_tracks, n_genres)
        Index "track_id" in order of first appearance. Rows sum to 1; ``.idxmax(axis=1)`` names the
        winner. For "majority" they are shares of votes, changed by at most a millionth.

    Raises
    ------
    ValueError
        If the lengths differ, a probability is not finite, or the rule is unknown.

    Notes
    -----
    Taught in notebooks/05_cnn_1d.ipynb. Both rules: Abdoli, Cardinal and Koerich (2019).
    """
    table = _probability_table(probabilities, track_ids, genres)
    mean = table.groupby(level="track_id", sort=False).mean()
    if rule == "mean":
        return mean
    if rule != "majority":
        raise ValueError(f'rule="{rule}" is not a way to vote: use "mean" or "majority"')
    votes = np.eye(table.shape[1])[table.to_numpy().argmax(axis=1)]
    ballots = pd.DataFrame(votes, index=table.index, columns=table.columns)
    shares = ballots.groupby(level="track_id", sort=False).mean()
    # Too small to overturn a majority, enough to settle a tie.
    return (shares + 1e-6 * mean) / (1 + 1e-6)


def _columns(*columns: ArrayLike) -> list[NDArray]:
    """Return the inputs as arrays of one length, which is not zero."""
    arrays = [np.asarray(column) for column in columns]
    shapes = [array.shape for array in arrays]
    if len(set(shapes)) != 1 or arrays[0].ndim != 1:
        raise ValueError(f"truth and predictions must be of one length, not of shapes {shapes}")
    if len(arrays[0]) == 0:
        raise ValueError("there is nothing to judge: truth and predictions are empty")
    return arrays


def _resampled_totals(
    right: list[NDArray[np.bool_]], groups: ArrayLike | None, seed: int
) -> NDArray[np.float64]:
    """Draw as many groups as there are, with replacement, again and again, and add up each draw.

    Groups that have equal sums are exchangeable, so it is enough to draw how many of each kind a
    resample holds: 29 000 slices are then two kinds, right and wrong.

    Returns
    -------
    ndarray, shape (N_RESAMPLES, len(right) + 1)
        Right answers of each classifier, then rows.
    """
    columns = np.column_stack([*right, np.ones(len(right[0]))]).astype(float)
    if groups is not None:
        groups = np.asarray(groups)
        if groups.shape != right[0].shape:
            raise ValueError(
                f"groups must name one group a row: {len(right[0])} rows, not {groups.shape}"
            )
        codes, names = pd.factorize(groups, use_na_sentinel=False)
        columns = np.column_stack([np.bincount(codes, column, len(names)) for column in columns.T])
    kinds, n_groups = np.unique(columns, axis=0, return_counts=True)
    random = np.random.default_rng(seed)
    drawn = random.multinomial(n_groups.sum(), n_groups / n_groups.sum(), size=N_RESAMPLES)
    return drawn @ kinds


def _probability_table(
    probabilities: ArrayLike | pd.DataFrame, track_ids: ArrayLike, genres: Sequence[str] | None
) -> pd.DataFrame:
    table = pd.DataFrame(probabilities, copy=True)
    if genres is not None:
        table.columns = list(genres)
    if len(table) != len(track_ids):
        raise ValueError(f"{len(table)} rows of probabilities, but {len(track_ids)} track_ids")
    if not np.isfinite(table.to_numpy()).all():
        raise ValueError(
            "probabilities hold values that are not numbers: the network has diverged; "
            "train it again with a lower learning rate"
        )
    return table.set_index(pd.Index(np.asarray(track_ids), name="track_id"))
