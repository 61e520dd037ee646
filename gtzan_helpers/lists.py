"""Lists that others published: the artists of tracks, and the fault-filtered division of GTZAN."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import pandas as pd

from .cache import kept
from .downloads import LISTS_OF_ARTISTS, fetch_sturm
from .errors import CourseError
from .splits import PARTS, artist_key, artist_keys, shared_artists
from .tables import find_listed, read_table, read_text, same_spelling, track_name

GENRES = [
    *("blues", "classical", "country", "disco", "hiphop"),
    *("jazz", "metal", "pop", "reggae", "rock"),
]
DEMO = Path(__file__).parent / "demo"
_FILTERED_LISTS = ("train_filtered.txt", "valid_filtered.txt", "test_filtered.txt")  # of PARTS
_INDEX_LINE = r"([^:].*?):::(.*?):::(.*)"
_LIST_LINE = r"((?:[^/]+/)*[^/]+\.\d{5}\.\w+)"  # the folder may be missing
# Where a larger share of the tracks is not on a list of artists, the list may be about others.
MISSING_ALLOWED = 0.1


def read_index(path: str | Path) -> pd.DataFrame:
    """Read a list of artists and titles in the form of Sturm's index of GTZAN.

    Parameters
    ----------
    path : str or path
        Text file with a line "file ::: artist ::: title" per track; lines that start with ## are
        comments, and an unknown artist or title is left empty.

    Returns
    -------
    DataFrame
        track_id, artist and title, "" where unknown.

    Raises
    ------
    CourseError
        If the file is missing or empty, or a line is malformed or repeats a track.

    Notes
    -----
    Published by B. L. Sturm at https://github.com/boblsturm/GTZAN.
    """
    rows = _read_lines(path, _INDEX_LINE, "file ::: artist ::: title")
    return rows.set_axis(["track_id", "artist", "title"], axis="columns")


def read_list(path: str | Path) -> list[str]:
    """Return the tracks that one of the published lists names, such as train_filtered.txt.

    Parameters
    ----------
    path : str or path
        Text file with a line like "blues/blues.00012.wav" for each track.

    Returns
    -------
    list of str
        Their track_ids: "blues.00012".

    Raises
    ------
    CourseError
        If the file cannot be read or is empty, or a line does not name a track or names one twice.
    """
    return list(_read_lines(path, _LIST_LINE, "genre/genre.00000.wav")[0])


def find_artists(
    places: Iterable[Path],
    track_ids: pd.Series,
    index: str | Path | None = None,
    whole: pd.Series | None = None,
) -> dict[str, str] | None:
    """Return the artist of each track that is on a list of artists; None if there is no list.

    Asks the index, else a tracks.csv or index.txt in one of the places, else, where tracks are
    named like GTZAN's, Sturm's index if it was fetched before. Rows that are pieces of a track, by
    `whole`, have its artist. Warns where the list seems to be about other tracks.
    """
    lists = [place / name for place in places for name in LISTS_OF_ARTISTS]
    if any(map(is_gtzans, track_ids)):
        lists.append(kept("sturm/index.txt"))
    index = index or next((path for path in lists if path.is_file()), None)
    if index is None:
        return None
    table = _read_artists(Path(index)) if Path(index).suffix == ".csv" else read_index(index)
    listed = dict(zip(table["track_id"], same_spelling(table["artist"]), strict=True))
    tracks = dict(zip(track_ids, track_ids if whole is None else whole, strict=True))
    found = find_listed({*tracks, *tracks.values()}, listed)
    artists = {own: found.get(own, found.get(track)) for own, track in tracks.items()}
    missing = [name for name, artist in artists.items() if artist is None]
    if len(missing) > MISSING_ALLOWED * len(artists):
        warnings.warn(
            f"the list of artists {index} names {len(artists) - len(missing)} of the "
            f"{len(artists)} tracks: not {missing[0]!r}; it begins with {next(iter(listed), '')!r}",
            stacklevel=4,
        )
    return {name: artist for name, artist in artists.items() if artist is not None}


def fault_filtered(
    tracks: pd.DataFrame, lists: str | Path | None = None, repaired: bool = False
) -> pd.Series:
    """Say for each track in which part of the published fault-filtered division of GTZAN it is.

    It leaves out GTZAN's copies and broken tracks, but some artists are in two of its parts
    (`shared_artists` shows them).

    Parameters
    ----------
    tracks : DataFrame
        GTZAN's tracks, or pieces of them, with `track_id`, and `artist` for `repaired`.
    lists : path, optional
        Folder with the lists; they are fetched if it is not given.
    repaired : bool
        Whether an artist who is in several parts keeps only the tracks in the largest of them
        (train, then test, then validation). Of GTZAN's 1000 tracks this leaves 443, 276 and 187,
        where the published lists have 443, 290 and 197.

    Returns
    -------
    Series of str, index of `tracks`, name "part"
        "train", "validation", "test", or "" for what the lists leave out.

    Raises
    ------
    CourseError
        If the tracks are the demo's, the lists are malformed, or they leave a part empty. If they
        name some tracks that the table lacks, a warning says how many.

    Notes
    -----
    Kereliuk, Sturm and Larsen (2015), "Deep learning and music adversaries".

    Examples
    --------
    >>> tracks = gh.load_tracks("full")
    >>> gh.fault_filtered(tracks).value_counts()

    Lesson: 03_dense_network.
    """
    if tracks.get("artist", pd.Series(dtype=str)).isin(set(demo_artists().values())).any():
        raise CourseError(
            "the fault-filtered lists are about GTZAN's own tracks, and these are the demo's: "
            'divide by="artist"'
        )
    published = {
        track_id: part
        for part, name in zip(PARTS, _FILTERED_LISTS, strict=True)
        for track_id in read_list(fetch_sturm(name) if lists is None else Path(lists) / name)
    }
    # The lists say blues.00000, also of pieces such as blues.00000.7 and of names with folders.
    names = tracks["track_id"].astype(str)
    listed = names.str.extract(r"^(?:.*/)?([^/]+\.\d{5})(?:\.\d+)?$")[0].str.lower().fillna(names)
    parts = listed.map(published).fillna("").astype(str).rename("part")
    if repaired:
        parts = _without_shared_artists(tracks, parts)
    if empty := [part for part in PARTS if part not in set(parts)]:
        raise CourseError(
            f"the fault-filtered lists{', without shared artists,' * repaired} put no track of "
            f'this table into {", ".join(empty)}: divide by="artist"'
        )
    if absent := sorted(set(published) - set(listed)):
        warnings.warn(
            f"{len(absent)} of the {len(published)} tracks that the fault-filtered lists name are "
            f"not in this table ({', '.join(absent[:3])} …): scores on the rest cannot be compared "
            "with published ones",
            stacklevel=2,
        )
    return parts


@lru_cache
def demo_artists() -> dict[str, str]:
    """Return the artist of each of the demo's tracks."""
    table = _read_artists(DEMO / "tracks.csv")
    return dict(zip(table["track_id"], table["artist"], strict=True))


def is_gtzans(track_id: str) -> bool:
    """Whether a track is called like one of GTZAN's."""
    return re.match(rf"({'|'.join(GENRES)})\.\d{{5}}(\.|$)", track_id) is not None


def _read_lines(path: str | Path, pattern: str, form: str) -> pd.DataFrame:
    """Return the fields of each line of a list, the first a track's name, each track only once."""
    lines = pd.Series(read_text(path).splitlines(), dtype=str).str.strip()
    lines = lines[(lines != "") & ~lines.str.startswith("##")]
    if lines.empty:
        raise CourseError(f"the list {path} names no tracks: is it the right file?")
    rows = lines.str.extract(f"^{pattern}$").apply(lambda column: column.str.strip())
    rows[0] = rows[0].map(track_name, "ignore")
    if (wrong := rows[0].isna() | rows[0].duplicated()).any():
        number = wrong.idxmax()
        raise CourseError(
            f"line {number + 1} of the list {path} is not {form!r}, or names a track again: "
            f"{lines[number]!r}; correct or remove it"
        )
    return rows.reset_index(drop=True)


def _read_artists(path: Path) -> pd.DataFrame:
    table, _ = read_table(path)
    if not {"track_id", "artist"} <= set(table.columns):
        raise CourseError(
            f"the list of artists {path} needs the columns track_id and artist, but has "
            f"{', '.join(table.columns[:9])}: rename its columns, or move the file away"
        )
    names, artists = table["track_id"].map(track_name), same_spelling(table["artist"])
    table = pd.DataFrame({"track_id": names, "artist": artists}).drop_duplicates(ignore_index=True)
    if (twice := table["track_id"].duplicated()).any():
        name = table["track_id"][twice].iloc[0]
        raise CourseError(f"the list of artists {path} names two artists for {name}: keep one")
    return table


def _without_shared_artists(tracks: pd.DataFrame, parts: pd.Series) -> pd.Series:
    """Take each shared artist out of all parts but the largest in which they are."""
    shared = shared_artists(tracks, parts)
    largest = shared[["train", "test", "validation"]].gt(0).idxmax(axis=1)
    home = artist_keys(tracks["artist"]).map(largest.rename(artist_key))
    return parts.where(home.isna() | (home == parts), "")
