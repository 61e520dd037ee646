"""Dividing tracks into training, validation and test parts without fooling ourselves."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

PARTS = ["train", "validation", "test"]
# Two divisions whose parts are this near to the asked shares count as equally good.
TOLERANCE = 0.05
N_TRIES = 100
# What must not stand on two sides, by each way of dividing; recordings besides.
_TOGETHER = {"slice": [], "track": ["track_id"], "artist": ["track_id", "artist"]}


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
        Tracks, slices or features, with columns `genre`; `track_id` unless by="slice"; `artist`
        for by="artist" ("" if unknown; case and spaces do not count); and `recording`, which is
        the same for copies and for pieces of one track. A bare table of names needs none: there
        each track is taken for a recording of its own.
    by : {"artist", "track", "slice"}
        What must not stand on two sides. "artist" keeps all tracks of an artist together, and
        those of unknown artists apart; "track" keeps all rows of a track together. In both, a
        recording stays on one side, whoever its artist is. "slice" keeps nothing together: it is
        here to show what leaks. (GTZAN's published division is `fault_filtered`.)
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
        If a column is missing, or a genre has fewer groups than there are parts.

    Examples
    --------
    >>> tracks = gh.usable(gh.load_tracks())
    >>> parts = gh.split(tracks, by="artist", seed=0)
    >>> training = tracks[parts == "train"]

    Lesson: 03_dense_network, 04_slice_waveforms.
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

    Lesson: 03_dense_network.
    """
    if n_folds < 2:
        raise ValueError(f"n_folds={n_folds} leaves nothing to train on: ask for at least 2")
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

    Lesson: 03_dense_network.
    """
    _require_columns(table, ["track_id", "artist"])
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

    Lesson: 03_dense_network.
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
    _check_sizes(sizes, len(shares), by)
    weights = (sizes / sizes.sum()).to_numpy()
    random = np.random.default_rng(seed)
    nearest, best = np.inf, None
    for _ in range(N_TRIES):
        part, missing = _deal_once(weights, shares, random)
        if np.isclose(missing, shares[:, np.newaxis]).any():
            continue
        if np.abs(missing).max() < TOLERANCE + 1e-9:
            best = part
            break
        if (distance := np.square(missing).sum()) < nearest:
            nearest, best = distance, part
    if best is None:
        raise ValueError(
            "no division was found with every genre in every part, because too many artists or "
            'recordings are in several genres: divide by="track", or ask for fewer parts'
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
    part = np.empty(len(weights), dtype=int)
    for group in np.argsort(-random.uniform(0.5, 1, size=len(weights)) * weights.sum(axis=1)):
        lack = (missing / shares[:, np.newaxis]) @ weights[group]
        part[group] = lack.round(9).argmax()  # a tie is a tie on every machine
        missing[part[group]] -= weights[group]
    return part, missing


def _groups(table: pd.DataFrame, by: str) -> NDArray[np.intp]:
    """Return a number for each row, the same for those that must stand on one side."""
    if by not in _TOGETHER:
        raise ValueError(
            f'by="{by}" is not a way to divide rows: use "artist", "track" or "slice"; '
            "GTZAN's published division comes from fault_filtered(tracks)"
        )
    _require_columns(table, ["genre", *_TOGETHER[by]])
    if by == "slice":
        return np.arange(len(table))
    links = table[_TOGETHER[by]].assign(recording=_recordings(table))
    if "artist" in links:
        links["artist"] = artist_keys(links["artist"])
    return connected_rows(links)


def _recordings(table: pd.DataFrame) -> pd.Series:
    """Return the recording of each row; in a bare table of names each track has its own."""
    if "recording" in table:
        return table["recording"]
    has_sound = any(re.fullmatch(r"path|filename|\w+_(mean|var)", str(name)) for name in table)
    if has_sound or table["track_id"].astype(str).str.contains(r"\.\d{5}\.\d+$").any():
        raise ValueError(
            "the table has no column recording, which is the same for copies and for pieces of a "
            "track: take it from load_tracks() or load_features(), matched by track_id; or, where "
            'nothing is a copy or a piece, write table.assign(recording=table["track_id"])'
        )
    return table["track_id"]


def _require_columns(table: pd.DataFrame, columns: list[str]) -> None:
    missing = [column for column in columns if column not in table]
    if missing:
        raise ValueError(
            f"the table has no column {', '.join(missing)}: "
            "take the columns from load_tracks(), matched by track_id"
        )
    empty = [column for column in columns if table[column].isna().any()]
    if empty:
        raise ValueError(f'column {", ".join(empty)} has missing values: use "" for unknown')


def _check_sizes(sizes: pd.DataFrame, n_parts: int, by: str) -> None:
    """Refuse a table in which some genre has fewer groups than there are parts."""
    if sizes.empty:
        raise ValueError("there is nothing to divide, the table is empty: no usable track is left")
    n_groups = (sizes > 0).sum()
    scarce = n_groups[n_groups < n_parts]
    if len(scarce):
        counts = ", ".join(f"{genre} has {count}" for genre, count in scarce.items())
        way_out = 'divide by="track", ' if by == "artist" else ""
        raise ValueError(
            f'by="{by}" needs at least {n_parts} separate groups in every genre for {n_parts} '
            f"parts; {counts}: {way_out}ask for fewer parts, or add tracks"
        )
