"""Dividing tracks into training, validation and test parts without fooling ourselves."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

PARTS = ["train", "validation", "test"]
# Two divisions whose parts are this near to the asked shares count as equally good.
TOLERANCE = 0.05
N_TRIES = 100
# What must not stand on two sides, by each way of dividing.
_TOGETHER = {
    "slice": [],
    "track": ["track_id", "recording"],
    "artist": ["track_id", "recording", "artist"],
}


def split(
    table: pd.DataFrame,
    by: str = "artist",
    seed: int = 0,
    validation: float = 0.2,
    test: float = 0.2,
) -> pd.Series:
    """Say for each row of a table whether it is for training, for validation or for the test.

    Parameters
    ----------
    table : DataFrame
        Tracks, slices or features, with columns `genre`; unless by="slice" `track_id`, and
        `recording`, which is the same for copies and for pieces of one track ("" if unknown); and
        for by="artist" `artist` ("" if unknown; case and spaces do not count).
    by : {"artist", "track", "slice"}
        What must not stand on two sides. "artist" keeps all tracks of an artist together, and
        those of unknown artists apart; "track" keeps all rows of a track together. In both, a
        recording stays on one side, whoever its artist is. "slice" keeps nothing together: it is
        here to show what leaks.
    seed : int
        The same seed gives the same division.
    validation, test : float
        Shares of each genre's tracks (of its rows for by="slice"), met as nearly as whole groups
        allow.

    Returns
    -------
    Series of str, index of `table`, name "part"
        "train", "validation" or "test"; every genre is in every part.

    Raises
    ------
    ValueError
        If a column is missing, or some genre cannot be in every part.

    Examples
    --------
    >>> tracks = gh.usable(gh.load_tracks())
    >>> parts = gh.split(tracks, by="artist", seed=0)
    >>> training = tracks[parts == "train"]

    Lesson: 04_test_honestly and others.
    """
    if not (validation >= 0 and test >= 0 and validation + test < 1):
        raise ValueError(
            f"validation={validation} and test={test} must be shares that leave some for training"
        )
    shares = np.array([1 - validation - test, validation, test])
    names = np.array(PARTS)[shares > 0]
    part = _deal(table, by, shares[shares > 0], seed)
    return pd.Series(names[part], table.index, name="part", dtype=str)


def folds(
    table: pd.DataFrame, by: str = "artist", n_folds: int = 5, seed: int = 0
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Divide a table for cross-validation: every row is in the test part of exactly one fold.

    Parameters
    ----------
    table : DataFrame
        As for `split`.
    by : {"artist", "track", "slice"}
        What must not stand on two sides.
    n_folds : int
        At least 2.
    seed : int
        The same seed gives the same folds.

    Yields
    ------
    train, test : ndarray of int
        Positions of rows. Every genre is in every fold, in about equal shares.

    Examples
    --------
    >>> for train, test in gh.folds(tracks, by="artist"):
    ...     print(len(train), len(test))

    Lesson: 04_test_honestly, 05_dense_network, 06_slice_waveforms.
    """
    fold = _deal(table, by, np.full(n_folds, 1 / n_folds), seed)
    return (
        (np.flatnonzero(fold != number), np.flatnonzero(fold == number))
        for number in range(n_folds)
    )


def shared_artists(table: pd.DataFrame, parts: pd.Series) -> pd.DataFrame:
    """List the artists who stand in more than one part of a split, and with how many tracks.

    Parameters
    ----------
    table : DataFrame
        With columns `track_id` and `artist` ("" if unknown).
    parts : Series of str, index of `table`
        As from `split`; rows with "" are in no part.

    Returns
    -------
    DataFrame, index "artist"
        Columns "train", "validation" and "test": tracks of the artist in that part; the artists
        with the most tracks come first. Empty if no known artist is shared.

    Examples
    --------
    >>> gh.shared_artists(tracks, gh.split(tracks, by="track"))

    Lesson: 04_test_honestly.
    """
    if not parts.index.equals(table.index):
        raise ValueError(
            "these parts are not those of this table's rows: their indices differ; split the table "
            "as it is now, or keep the parts in a column of it"
        )
    key = artist_keys(table["artist"]).to_numpy()
    # An artist is shown as the first of their tracks spells it.
    artist = table["artist"].groupby(key).transform("first")
    placed = table[["track_id"]].assign(artist=artist, part=parts)[(key != "") & (parts != "")]
    placed = placed.drop_duplicates(["track_id", "part"])
    counts = pd.crosstab(placed["artist"], placed["part"]).reindex(columns=PARTS, fill_value=0)
    shared = counts[(counts > 0).sum(axis=1) > 1].rename_axis(columns=None)
    return shared.iloc[np.argsort(-shared.sum(axis=1), kind="stable")]


def strictest_split(table: pd.DataFrame) -> str:
    """Say which honest split a table of tracks allows: by artist, or by track only.

    Parameters
    ----------
    table : DataFrame
        As for `split` by artist.

    Returns
    -------
    str
        "artist" if in every genre known artists made at least three quarters of the tracks, and
        three or more of them can be kept apart; else "track".

    Examples
    --------
    >>> gh.split(tracks, by=gh.strictest_split(tracks))

    Lesson: 06_slice_waveforms, 07_cnn_1d.
    """
    group = pd.Series(_groups(table, "artist"), table.index)
    tracks = table.assign(group=group).drop_duplicates("track_id", ignore_index=True)
    known = artist_keys(tracks["artist"]) != ""
    n_groups = tracks["group"].where(known).groupby(tracks["genre"]).nunique()
    share_known = known.groupby(tracks["genre"]).mean()
    return "artist" if (n_groups >= 3).all() and (share_known >= 0.75).all() else "track"


def artist_keys(artists: pd.Series) -> pd.Series:
    """Return what tells artists apart; "" for the unknown: case and spaces do not count."""
    return artists.astype(object).map(artist_key)


def artist_key(artist: object) -> str:
    """Return what tells one artist from another."""
    return " ".join(str(artist).split()).casefold()


def connected_rows(table: pd.DataFrame) -> NDArray[np.intp]:
    """Number the groups of rows that are linked by equal, known values in any of the columns."""
    group, before = pd.Series(np.arange(len(table))), None
    while not group.equals(before):
        before = group
        for name in table:
            values = table[name].reset_index(drop=True)
            values = values.mask(values == "")
            group = group.groupby(values).transform("min").fillna(group)
    return pd.factorize(group)[0]


def _deal(table: pd.DataFrame, by: str, shares: NDArray[np.float64], seed: int) -> NDArray[np.intp]:
    """Return the part of each row: the first of random deals that is near the shares, or nearest.

    A deal in which a part lacks a genre does not count.
    """
    groups = _groups(table, by)
    sized = groups if by == "slice" else table["track_id"]  # what shares are counted in
    counted = ~pd.Series(sized).duplicated().to_numpy()
    sizes = pd.crosstab(groups[counted], table["genre"].to_numpy()[counted])
    weights = (sizes / sizes.sum()).to_numpy()
    random = np.random.default_rng(seed)
    nearest, best = np.inf, None
    for _ in range(N_TRIES):
        part, missing = _deal_once(weights, shares, random)
        if np.isclose(missing, shares[:, np.newaxis]).any():
            continue
        near = np.abs(missing).max() < TOLERANCE + 1e-9
        if near or np.square(missing).sum() < nearest:
            nearest, best = np.square(missing).sum(), part
        if near:
            break
    if best is None:
        fewest = (sizes > 0).sum().nsmallest(3)
        counts = ", ".join(f"{genre} has {count}" for genre, count in fewest.items())
        raise ValueError(
            f'no division by="{by}" into {len(shares)} parts was found with every genre in every '
            f"part: {counts} groups that can be kept apart, or fewer, as some are in several "
            'genres; divide by="track", ask for fewer parts, or add tracks'
        )
    return best[groups]


def _deal_once(
    weights: NDArray[np.float64], shares: NDArray[np.float64], random: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Give each group, the larger ones sooner, to the part that most lacks what it brings.

    Takes the share of its genres that each group holds, and returns the part of each group, and
    what each part is missing of its share of each genre.
    """
    missing = np.repeat(shares[:, np.newaxis], weights.shape[1], axis=1)
    part, order = np.empty(len(weights), dtype=int), np.arange(len(shares))
    uneven = np.ptp(shares) > 0
    for group in np.argsort(-random.uniform(0.5, 1, size=len(weights)) * weights.sum(axis=1)):
        lack = ((missing / shares[:, np.newaxis]) @ weights[group]).round(9)
        # A tie is a tie on every machine. Where parts differ in size, it goes to one that the group
        # fits into, by lot: the first of them would get the largest group of every genre each time.
        if uneven:
            lot = _draw_parts(shares, random)
            beyond = np.maximum(weights[group] - missing[lot] - TOLERANCE, 0)
            too_many = beyond @ (weights[group] > 0)
            order = lot[too_many.round(9).argsort(kind="stable")]
        part[group] = order[lack[order].argmax()]
        missing[part[group]] -= weights[group]
    return part, missing


def _draw_parts(shares: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.intp]:
    """Return all parts in a random order, the larger ones sooner.

    They are those of `random.choice(n, n, replace=False, p=shares)` in NumPy 2.4, in a sixth of the
    time; and a newer NumPy cannot change the divisions.
    """
    order: list[int] = []
    while len(order) < len(shares):
        left = shares.copy()
        left[order] = 0
        up_to = left.cumsum()
        drawn = (up_to / up_to[-1]).searchsorted(random.random(len(shares) - len(order)), "right")
        order += dict.fromkeys(drawn.tolist())  # each once, as they came
    return np.array(order)


def _groups(table: pd.DataFrame, by: str) -> NDArray[np.intp]:
    """Return a number for each row, the same for those that must stand on one side."""
    if by not in _TOGETHER:
        raise ValueError(f'by="{by}" is not a way to divide rows: use "artist", "track" or "slice"')
    needed = ["genre", *_TOGETHER[by]]
    if lacking := [name for name in needed if name not in table or table[name].isna().any()]:
        raise ValueError(
            f"column {', '.join(lacking)} is missing, or has missing values: take it from "
            'load_tracks() or load_features(), matched by track_id ("" for an unknown artist; the '
            "track_id for recording, where no row is a copy or a piece of another)"
        )
    if table.empty:
        raise ValueError("there is nothing to divide, the table is empty: no usable track is left")
    if by == "slice":
        return np.arange(len(table))
    links = table[_TOGETHER[by]].copy()
    if by == "artist":
        links["artist"] = artist_keys(links["artist"])
    return connected_rows(links)
