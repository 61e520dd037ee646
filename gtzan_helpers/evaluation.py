"""Judging predictions: accuracy with an interval, comparisons, genres, and votes of slices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray


class Score(NamedTuple):
    """An accuracy, its 95 % interval, and the accuracy of always naming the commonest genre."""

    accuracy: float
    low: float
    high: float
    majority: float

    def __repr__(self) -> str:
        return "accuracy {:.2f}  [{:.2f}, {:.2f}]  majority {:.2f}".format(*self)


class Difference(NamedTuple):
    """The first accuracy minus the second, its 95 % interval, and a two-sided p-value."""

    difference: float
    low: float
    high: float
    p_value: float

    def __repr__(self) -> str:
        return "difference {:+.2f}  [{:+.2f}, {:+.2f}]  p = {:.3f}".format(*self)


def accuracy_interval(
    truth: ArrayLike, predicted: ArrayLike, groups: ArrayLike | None = None
) -> Score:
    """Measure accuracy, and how far chance in the choice of test material may have moved it.

    Percentile bootstrap over groups (Efron 1979) with 2000 resamples, each time the same ones. If
    nothing or everything is right, the interval's ends fall together: with n groups, a true rate
    as far off as about 3/n could still give that.

    Parameters
    ----------
    truth, predicted : array-like, shape (n_rows,)
        Genres, as names or as numbers.
    groups : array-like, shape (n_rows,), optional
        What was drawn together: the track of each slice, or the artist of each track. Rows of one
        group are not independent, so whole groups are resampled. By default each row is a group.

    Returns
    -------
    Score
        Accuracy, the ends of its 95 % interval, and the share of the commonest genre in `truth`.

    Examples
    --------
    >>> gh.accuracy_interval(["jazz", "jazz", "rock", "pop"], ["jazz", "jazz", "rock", "rock"])
    accuracy 0.75  [0.25, 1.00]  majority 0.50

    Lesson: 01_explore_the_data and others.
    """
    truth, predicted = np.stack([truth, predicted])
    right = truth == predicted
    (low, high), _ = _bootstrap(right, groups)
    majority = np.unique(truth, return_counts=True)[1].max() / len(truth)
    return Score(right.mean(), low, high, majority)


def paired_difference(
    truth: ArrayLike, first: ArrayLike, second: ArrayLike, groups: ArrayLike | None = None
) -> Difference:
    """Compare two sets of predictions for the same rows.

    Both are judged on the same resamples, so what is easy or hard for both cancels out. Efron and
    Tibshirani, An Introduction to the Bootstrap (1993), chapters 13 and 15.

    Parameters
    ----------
    truth, first, second : array-like, shape (n_rows,)
        Genres, and what two classifiers said.
    groups : array-like, shape (n_rows,), optional
        As for `accuracy_interval`.

    Returns
    -------
    Difference
        Accuracy of `first` minus that of `second`, the ends of its 95 % interval, and the p-value
        of "there is no difference": twice the share of resamples on the far side of zero.

    Examples
    --------
    >>> gh.paired_difference(["jazz"] * 4 + ["rock"] * 4, ["jazz"] * 4 + ["pop"] * 4, ["jazz"] * 8)
    difference +0.00  [+0.00, +0.00]  p = 1.000

    Lesson: 04_test_honestly, 05_dense_network, 08_compare_and_use.
    """
    truth, first, second = np.stack([truth, first, second])
    gain = (first == truth).astype(int) - (second == truth)
    interval, resampled = _bootstrap(gain, groups)
    # One is added because the observed sample counts as a resample: a p-value is never zero.
    far_side = 1 + min((resampled <= 0).sum(), (resampled >= 0).sum())
    p_value = min(1.0, 2 * far_side / (len(resampled) + 1))
    return Difference(gain.mean(), *interval, p_value)


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

    Examples
    --------
    >>> gh.genre_report(["jazz", "jazz", "rock"], ["jazz", "rock", "rock"])["recall"].to_dict()
    {'jazz': 0.5, 'rock': 1.0}

    Lesson: 08_compare_and_use.
    """
    from sklearn.metrics import precision_recall_fscore_support

    truth, predicted = np.stack([truth, predicted])
    genres = np.union1d(truth, predicted)
    columns = precision_recall_fscore_support(truth, predicted, labels=genres, zero_division=0)
    named = zip(("precision", "recall", "f1", "support"), columns, strict=True)
    return pd.DataFrame(dict(named), pd.Index(genres, name="genre"))


def vote(
    probabilities: ArrayLike | pd.DataFrame,
    track_ids: ArrayLike,
    rule: str = "mean",
    genres: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Combine what a network says about the slices of a track into one answer per track.

    Both rules are those of Abdoli, Cardinal and Koerich (2019).

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
        If a probability is not finite, or the rule is unknown.

    Examples
    --------
    >>> votes = gh.vote([[0.8, 0.2], [0.4, 0.6]], ["song", "song"], genres=["jazz", "rock"])
    >>> votes.idxmax(axis=1)["song"]
    'jazz'

    Lesson: 07_cnn_1d.
    """
    if rule not in ("mean", "majority"):
        raise ValueError(f'rule="{rule}" is not a way to vote: use "mean" or "majority"')
    table = pd.DataFrame(probabilities)
    table = table.set_axis(pd.Index(np.asarray(track_ids), name="track_id"))
    if genres is not None:
        table = table.set_axis(list(genres), axis=1)
    if not np.isfinite(table.to_numpy()).all():
        advice = "the network has diverged; train it again with a lower learning rate"
        raise ValueError(f"probabilities hold values that are not numbers: {advice}")
    mean = table.groupby(level="track_id", sort=False).mean()
    if rule == "mean":
        return mean
    likeliest = np.eye(table.shape[1])[table.to_numpy().argmax(axis=1)]
    ballots = pd.DataFrame(likeliest, table.index, table.columns)
    shares = ballots.groupby(level="track_id", sort=False).mean()
    # Too small to overturn a majority, enough to settle a tie.
    return (shares + 1e-6 * mean) / (1 + 1e-6)


def _bootstrap(
    values: NDArray, groups: ArrayLike | None
) -> tuple[tuple[float, float], NDArray[np.float64]]:
    """Resample groups of rows; return the interval of the rows' mean value, and all the means."""
    from scipy.stats import bootstrap

    groups = np.arange(len(values)) if groups is None else np.asarray(groups)
    sums = pd.Series(values.astype(int)).groupby(groups, dropna=False).agg(["sum", "size"])
    if len(sums) == 1:  # SciPy wants two, and two of one kind tell as little as one
        sums = pd.concat([sums, sums])
    result = bootstrap(
        (sums["sum"], sums["size"]),
        lambda totals, sizes, axis: totals.sum(axis) / sizes.sum(axis),
        n_resamples=2000,
        batch=100,  # at once, so that 30 000 slices fit into memory
        paired=True,
        method="percentile",
        rng=0,
    )
    return result.confidence_interval, result.bootstrap_distribution
