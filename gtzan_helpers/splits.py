"""Dividing tracks into training, validation and test parts without fooling ourselves."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .tables import tracks_of_pieces

PARTS = ("train", "validation", "test")
# Two divisions whose parts are this near to the asked shares count as equally good.
TOLERANCE = 0.05
N_TRIES = 100
N_ATTEMPTS = 20


def split(
    table: pd.DataFrame,
    by: str = "artist",
    seed: int | None = None,
    validation: float | None = None,
    test: float | None = None,
) -> pd.Series:
    """Say for each row of a table whether it is for training, for validation or for the test.

    Parameters
    ----------
    table : DataFrame
        Tracks, slices or features, with columns `genre`; `track_id` unless by="slice"; and
        `artist` ("" if unknown; case and spaces do not count) for by="artist". Exact copies of a
        track and pieces of one stay on one side, whoever its artist is: they are known by a column
        `recording` ("" if unknown), as `load_tracks` gives it, else by the audio behind a column
        `path`, by equal features, and by names such as "blues.00000.7". Only by="slice" separates
        them.
    by : {"artist", "track", "slice", "fault-filtered"}
        What must not stand on two sides. "artist" keeps all tracks of an artist together; a track
        whose artist is unknown stands alone. "track" keeps all rows of a track together. "slice"
        keeps nothing together: it is here to show what leaks. "fault-filtered" is the published
        division of GTZAN: the same whatever the seed, and rows that it leaves out get "".
        It leaves out GTZAN's copies, but some artists are in two of its parts (`shared_artists`
        shows them).
    seed : int, optional
        The same seed gives the same division; 0 if it is not given.
    validation, test : float, optional
        Shares of each genre's rows (by="slice") or tracks, met as nearly as whole groups allow;
        0.2 each if they are not given. They and the seed are not for by="fault-filtered".
    lists : path, optional
        For by="fault-filtered": folder with the lists; they are fetched if it is not given.
    repaired : bool
        For by="fault-filtered": an artist who is in several parts keeps the tracks in the largest
        of them (train, then test, then validation), and loses those in the others. Of GTZAN's 1000
        tracks this leaves 443, 276 and 187, where the published lists have 443, 290 and 197.

    Returns
    -------
    Series of str, index of `table`, name "part"
        "train", "validation" or "test"; every genre is in every part.

    Raises
    ------
    ValueError
        If a column is missing, a genre has fewer groups than there are parts, an option is not for
        this way of dividing, or the fault-filtered lists are malformed or name no track of the
        table. If they name some that the table lacks, a warning says how many.

    Notes
    -----
    Taught in notebooks/03_dense_network.ipynb and 04_slice_waveforms.ipynb. Each genre's groups
    are dealt out in random order, each to the part that is then furthest behind its share. Of 100
    such deals the first is taken that is within five points of every share, or else the nearest.
    The fault-filtered lists are those of Kereliuk, Sturm and Larsen (2015).
    """
    seed = 0 if seed is None else seed
    shares = _shares(*(0.2 if share is None else share for share in (validation, test)))
    sizes, groups = _group_sizes(table, by)
    _check_groups(sizes, len(shares), by)
    parts = _deal_all_genres(sizes, np.array(list(shares.values())), seed)
    names = np.array(list(shares))[parts[groups]]
    return pd.Series(names, index=table.index, name="part", dtype=str)


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

    Raises
    ------
    ValueError
        If a column is missing, or `parts` are those of another table: their index differs.

    Notes
    -----
    Taught in notebooks/03_dense_network.ipynb.
    """
    _require_columns(table, ["track_id", "artist"])
    _refuse_other_rows(table, parts)
    key = artist_keys(table["artist"])
    # An artist is shown as the first of their tracks spells it.
    artist = table["artist"].groupby(key.to_numpy()).transform("first")
    placed = table.assign(part=np.asarray(parts), artist=artist)
    placed = placed[(key.to_numpy() != "") & (placed["part"] != "")]
    tracks = placed.drop_duplicates(["track_id", "part"])
    counts = pd.crosstab(tracks["artist"], tracks["part"])
    counts = counts.reindex(columns=list(PARTS), fill_value=0).rename_axis(columns=None)
    shared = counts[(counts > 0).sum(axis=1) > 1]
    return shared.loc[shared.sum(axis=1).sort_values(ascending=False, kind="stable").index]


def strictest_split(table: pd.DataFrame) -> str:
    """Say which honest split a table of tracks allows: by artist, or by track only.

    Parameters
    ----------
    table : DataFrame
        With columns `track_id`, `genre` and `artist`.

    Returns
    -------
    str
        "artist" if every genre has at least three known artists, who made at least three quarters
        of its tracks; else "track".

    Notes
    -----
    Taught in notebooks/03_dense_network.ipynb.
    """
    _require_columns(table, ["track_id", "genre", "artist"])
    tracks = table.drop_duplicates("track_id")
    artists = artist_keys(tracks["artist"])
    known = artists != ""
    n_artists = artists.where(known).groupby(tracks["genre"]).nunique()
    share_known = known.groupby(tracks["genre"]).mean()
    sizes, _ = _group_sizes(tracks, "artist")
    n_groups = (sizes > 0).sum()
    well_known = (n_artists >= 3).all() and (share_known >= 0.75).all() and (n_groups >= 3).all()
    return "artist" if well_known else "track"


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

    Raises
    ------
    ValueError
        If a column is missing, or a genre has fewer groups than there are folds.

    Notes
    -----
    Taught in notebooks/03_dense_network.ipynb. Dealt by scikit-learn's StratifiedGroupKFold; where
    that leaves a fold without a genre, as `split` deals.
    """
    if n_folds < 2:
        raise ValueError(f"n_folds={n_folds} leaves nothing to train on: ask for at least 2")
    sizes, groups = _group_sizes(table, by)
    _check_groups(sizes, n_folds, by)
    fold = _stratified_folds(sizes, n_folds, seed)
    if not all(sizes[fold == number].any().all() for number in range(n_folds)):
        fold = _deal_all_genres(sizes, np.full(n_folds, 1 / n_folds), seed)
    fold = fold[groups]
    return (
        (np.flatnonzero(fold != number), np.flatnonzero(fold == number))
        for number in range(n_folds)
    )


def _shares(validation: float, test: float) -> dict[str, float]:
    """Return the share of each part that is not empty."""
    if not (validation >= 0 and test >= 0 and validation + test < 1):
        raise ValueError(
            f"validation={validation} and test={test} must be shares that leave some for training"
        )
    shares = dict(zip(PARTS, (1 - validation - test, validation, test), strict=True))
    return {part: share for part, share in shares.items() if share > 0}


def _refuse_options(by: str, **options: object) -> None:
    """Refuse what was given, but means nothing to this way of dividing."""
    if given := [name for name, value in options.items() if value is not None]:
        raise ValueError(f'by="{by}" knows no {", ".join(given)}: leave it out')


def _refuse_other_rows(table: pd.DataFrame, parts: pd.Series) -> None:
    index = parts.index if isinstance(parts, pd.Series) else table.index
    if len(parts) != len(table) or not index.equals(table.index):
        raise ValueError(
            "these parts are not those of this table's rows: their indices differ; split the table "
            "as it is now, or keep the parts in a column of it"
        )


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


def _group_sizes(table: pd.DataFrame, by: str) -> tuple[pd.DataFrame, NDArray[np.intp]]:
    """Return the size of each group in each genre, and the group of each row.

    Size counts rows where rows are divided, and tracks where tracks or artists are.
    """
    together = {"slice": [], "track": ["track_id"], "artist": ["track_id", "artist"]}
    if by not in together:
        raise ValueError(
            f'by="{by}" is not a way to divide rows: use "artist", "track" or "slice" '
            "(fault_filtered gives the published one)"
        )
    _require_columns(table, ["genre", *together[by]])
    if by == "slice":
        return pd.get_dummies(table["genre"].to_numpy(), dtype=int), np.arange(len(table))
    links = table[together[by]].assign(**_recordings(table))
    if "artist" in links:
        links["artist"] = artist_keys(links["artist"])
    groups = connected_rows(links)
    tracks = pd.DataFrame({"group": groups, "genre": table["genre"].to_numpy()})
    tracks = tracks[~table["track_id"].duplicated().to_numpy()]
    return pd.crosstab(tracks["group"], tracks["genre"]), groups


def artist_keys(artists: pd.Series) -> pd.Series:
    """Return what tells artists apart; "" for the unknown: case and spaces do not count."""
    return artists.astype(object).map(artist_key)


def artist_key(artist: object) -> str:
    return " ".join(str(artist).split()).casefold()


def _recordings(table: pd.DataFrame) -> dict[str, pd.Series]:
    """Return columns that are equal for copies and for pieces of a track, as far as is known."""
    if "recording" in table:
        return {"recording": table["recording"]}
    names = table["track_id"].astype(str)
    seconds = table.get("seconds", table.get("length", float("inf")) / 22050)
    known = {"piece": tracks_of_pieces(names, table["genre"].astype(str), seconds)}
    if "path" in table and (table["path"] != "").all():
        from .copies import recordings

        known["recording"] = recordings(table)
    elif "chroma_stft_mean" in table and "mfcc20_var" in table:
        from .features import FEATURE_NAMES

        known["recording"] = table.groupby(FEATURE_NAMES)["track_id"].transform("first")
    return known


def _check_groups(sizes: pd.DataFrame, n_parts: int, by: str) -> None:
    if len(sizes) == 0:
        raise ValueError("there is nothing to divide, the table is empty: no usable track is left")
    n_groups = (sizes > 0).sum()
    scarce = n_groups[n_groups < n_parts]
    if len(scarce):
        counts = ", ".join(f"{genre} has {count}" for genre, count in scarce.items())
        way_out = 'divide by="track", ' if by == "artist" else ""
        raise ValueError(
            f'every genre must be in each of {n_parts} parts, so by="{by}" needs at least '
            f"{n_parts} separate groups in every genre; {counts}: "
            f"{way_out}ask for fewer parts, or add tracks"
        )


def _stratified_folds(sizes: pd.DataFrame, n_folds: int, seed: int) -> NDArray[np.intp]:
    """Return the fold of each group, so that the genres are spread as evenly as they can be."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    table = sizes.to_numpy()
    group, genre = np.nonzero(table)
    counts = table[group, genre]
    group, genre = np.repeat(group, counts), np.repeat(genre, counts)  # one entry per track
    if len(group) == len(table):
        dealt = StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(group, genre)
    else:
        # Numbered in random order, because its own shuffle=True loses the genres before 1.7.
        number = np.random.default_rng(seed).permutation(len(table))
        dealt = StratifiedGroupKFold(n_folds).split(group, genre, number[group])
    fold = np.empty(len(table), dtype=int)
    for place, (_, test) in enumerate(dealt):
        fold[group[test]] = place
    return fold


def _deal_all_genres(
    sizes: pd.DataFrame, shares: NDArray[np.float64], seed: int
) -> NDArray[np.intp]:
    """Return the part of each group, dealing genre by genre.

    A group with tracks of two genres is dealt with the first of them, and counts in the second.
    """
    random = np.random.default_rng(seed)
    # Genres with the fewest groups come first, while nothing restricts them yet.
    in_turn = (sizes > 0).sum().sort_values(kind="stable").index
    for _ in range(N_ATTEMPTS):
        parts = np.full(len(sizes), -1)
        for genre in in_turn:
            size = sizes[genre].to_numpy()
            dealt = parts >= 0
            placed = np.bincount(parts[dealt], size[dealt], len(shares))
            waiting = np.flatnonzero(~dealt & (size > 0))
            parts[waiting] = _deal(size[waiting], placed, shares, random)
        if all(sizes[parts == part].any().all() for part in range(len(shares))):
            return parts
    raise ValueError(
        "no division was found with every genre in every part, because too many artists or "
        'recordings are in several genres: divide by="track", or ask for fewer parts'
    )


def _deal(
    sizes: NDArray[np.intp],
    placed: NDArray[np.float64],
    shares: NDArray[np.float64],
    random: np.random.Generator,
) -> NDArray[np.intp]:
    """Return the part of each group of one genre, by the best of random deals made side by side.

    Each group goes where it adds least to (count - target)² / target, summed over the parts; the
    last groups go to parts that would stay empty.
    """
    # Where all groups are equal, so are all deals.
    n_tries = N_TRIES if len(np.unique(sizes)) > 1 else 1
    tries = np.arange(n_tries)
    orders = random.permuted(np.tile(np.arange(len(sizes)), (n_tries, 1)), axis=1)
    counts = np.tile(placed, (n_tries, 1))
    parts = np.empty(orders.shape, dtype=int)
    total = sizes.sum() + placed.sum()
    target = shares * total
    for turn, group in enumerate(orders.T):
        size = sizes[group][:, None]
        increase = size * (2 * (counts - target) + size) / target
        must_fill = (counts == 0).sum(axis=1) >= len(sizes) - turn
        increase[must_fill[:, None] & (counts > 0)] = np.inf
        chosen = increase.argmin(axis=1)
        parts[tries, group] = chosen
        counts[tries, chosen] += sizes[group]
    furthest_off = np.abs(counts / total - shares).max(axis=1)
    # The first deal that is near enough: the nearest one would be the same for nearly every seed.
    # What is subtracted absorbs rounding errors.
    return parts[np.ceil(furthest_off / TOLERANCE - 1e-9).argmin()]


def connected_rows(table: pd.DataFrame) -> NDArray[np.intp]:
    """Number the groups of rows that are linked by equal, known values in any of the columns."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n_nodes = len(table)
    links = []
    for column in table:
        rows = np.flatnonzero(table[column].notna() & (table[column] != ""))
        values, unique = pd.factorize(table[column].iloc[rows])
        links.append((rows, n_nodes + values))
        n_nodes += len(unique)
    rows, nodes = np.concatenate(links, axis=1)
    graph = coo_array((np.ones(len(rows)), (rows, nodes)), shape=(n_nodes, n_nodes))
    _, component = connected_components(graph, directed=False)
    return pd.factorize(component[: len(table)])[0]
