"""Lists that others published: the artists of tracks, and the fault-filtered division of GTZAN."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path, PurePosixPath

import pandas as pd

from .cache import kept
from .downloads import fetch_sturm
from .errors import CourseError
from .splits import PARTS, artist_key, artist_keys, shared_artists
from .tables import (
    find_listed,
    read_table,
    read_text,
    same_spelling,
    tell_unlisted,
    track_name,
)

GENRES = [
    "blues",
    "classical",
    "country",
    "disco",
    "hiphop",
    "jazz",
    "metal",
    "pop",
    "reggae",
    "rock",
]


DEMO = Path(__file__).parent / "demo"


FILTERED_LISTS = {
    "train": "train_filtered.txt",
    "validation": "valid_filtered.txt",
    "test": "test_filtered.txt",
}


# How the lists name a track; the folder may be missing.
_LISTED = re.compile(r"(?:[^/]+/)*[^/]+\.\d{5}\.\w+")


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
    Taught in notebooks/01_explore_the_data.ipynb. Published by B. L. Sturm at
    https://github.com/boblsturm/GTZAN.
    """
    path = Path(path)
    try:
        lines = read_text(path).splitlines()
    except (OSError, ValueError) as error:
        raise CourseError(f"the index {path} cannot be read ({error}): check the path") from error
    rows: dict[str, tuple[str, str]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("##"):
            continue
        fields = [field.strip() for field in line.split(":::")]
        if len(fields) != 3 or not fields[0]:
            raise CourseError(
                f"line {number} of the index {path} is not 'file ::: artist ::: title' but "
                f"{line.strip()!r}: correct it, or put ## before it"
            )
        track_id = track_name(fields[0])
        if track_id in rows:
            raise CourseError(f"line {number} of the index {path} repeats {track_id}: remove it")
        rows[track_id] = (fields[1], fields[2])
    if not rows:
        raise CourseError(f"the index {path} lists no tracks: is it the right file?")
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["artist", "title"])
    return table.rename_axis("track_id").reset_index()


def find_artists(
    places: Iterable[Path],
    track_ids: pd.Series,
    index: str | Path | None = None,
    whole: pd.Series | None = None,
    sturms: bool = True,
) -> dict[str, str] | None:
    """Return the artist of each track that is on a list of artists; None if there is no list.

    Asks the index, else a tracks.csv or index.txt in one of the places, else, where tracks are
    named like GTZAN's, Sturm's index if it was fetched before. Rows that are pieces of a track, by
    `whole`, have its artist. Warns where the list seems to be about other tracks.
    """
    lists = [place / name for place in places for name in ("tracks.csv", "index.txt")]
    if sturms and any(map(is_gtzans, track_ids)):
        lists.append(kept("sturm/index.txt"))
    index = index or next((path for path in lists if path.is_file()), None)
    if index is None:
        return None
    table = _read_artists(Path(index)) if Path(index).suffix == ".csv" else read_index(index)
    listed = dict(zip(table["track_id"], same_spelling(table["artist"]), strict=True))
    whole = track_ids if whole is None else whole
    found = find_listed([*track_ids, *whole], listed)
    pairs = list(zip(track_ids, whole, strict=True))
    artists = {own: found.get(own, found.get(track)) for own, track in pairs}
    artists = {name: artist for name, artist in artists.items() if artist is not None}
    if unlisted := tell_unlisted(artists, track_ids, listed):
        warnings.warn(f"the list of artists {index} {unlisted}", stacklevel=3)
    return artists


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
    Lesson: 03_dense_network. Kereliuk, Sturm and Larsen (2015), "Deep learning and music
    adversaries".
    """
    parts = _fault_filtered(tracks, lists)
    return _repaired(tracks, parts) if repaired else parts


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
    ValueError
        If the file cannot be read or is empty, or a line does not name a track or names one twice.
    """
    try:
        lines = [line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise CourseError(f"the list {path} cannot be read ({error}): check the path") from error
    named: dict[str, None] = {}
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        track_id = PurePosixPath(line).stem
        if not _LISTED.fullmatch(line) or track_id in named:
            fault = "repeats" if track_id in named else "is not 'genre/genre.00000.wav' but"
            raise CourseError(f"line {number} of the list {path} {fault} {line!r}: correct it")
        named[track_id] = None
    if not named:
        raise CourseError(f"the list {path} names no tracks: is it the right file?")
    return list(named)


def are_the_demos(tracks: pd.DataFrame) -> bool:
    """Whether there are tracks of the demo in a table, whose names look like those of GTZAN.

    They are known by the source, and where a table has lost that, by their paths or artists.
    """
    signs = {
        "source": lambda column: column == "demo",
        "path": lambda column: column.astype(str).str.startswith(f"{DEMO}{os.sep}"),
        "artist": lambda column: column.isin(set(demo_artists().values())),
    }
    return any(bool(sign(tracks[name]).any()) for name, sign in signs.items() if name in tracks)


@lru_cache
def demo_artists() -> dict[str, str]:
    """Return the artist of each of the demo's tracks."""
    table = _read_artists(DEMO / "tracks.csv")
    return dict(zip(table["track_id"], table["artist"], strict=True))


def is_gtzans(track_id: str) -> bool:
    """Whether a track is called like one of GTZAN's."""
    genre, _, number = track_id.partition(".")
    return genre in GENRES and number[:5].isdecimal() and number[5:6] in ("", ".")


def _read_artists(path: Path) -> pd.DataFrame:
    try:
        table, _ = read_table(path)  # as text: there is a band called NA
    except (OSError, ValueError) as error:
        raise CourseError(f"the list of artists {path} cannot be read: {error}") from error
    if not {"track_id", "artist"} <= set(table.columns):
        raise CourseError(
            f"the list of artists {path} needs the columns track_id and artist, but has "
            f"{', '.join(table.columns[:9])}: rename its columns, or move the file away"
        )
    names, artists = table["track_id"].map(track_name), same_spelling(table["artist"])
    table = pd.DataFrame({"track_id": names, "artist": artists}).drop_duplicates(ignore_index=True)
    if (twice := table["track_id"].duplicated()).any():
        raise CourseError(
            f"the list of artists {path} names two artists for {table['track_id'][twice].iloc[0]}: "
            "keep one of them"
        )
    return table


def _fault_filtered(table: pd.DataFrame, lists: str | Path | None) -> pd.Series:
    """Return the part of each row in the published lists; "" where no list names its track."""
    if are_the_demos(table):
        raise CourseError(
            "the fault-filtered lists are about GTZAN's own tracks, and these are the demo's: "
            'divide by="artist"'
        )
    parts = _published_parts(lists)
    listed = _names_on_lists(table["track_id"])
    _warn_of_absent(parts, listed)
    named = listed.map(parts).fillna("")
    _refuse_empty_parts(named, "the fault-filtered lists put")
    return named.astype(str).rename("part")


def _names_on_lists(track_ids: pd.Series) -> pd.Series:
    """Return the names that the lists have for tracks, or for pieces: blues.00000 for all."""
    names = track_ids.astype(str).str.extract(r"^(?:.*/)?([^/]+\.\d{5})(?:\.\d+)?$")[0]
    return names.str.lower().fillna(track_ids)


def _published_parts(lists: str | Path | None) -> dict[str, str]:
    """Return the part of each track that the lists name."""
    parts: dict[str, str] = {}
    for part, name in FILTERED_LISTS.items():
        path = _list_file(name, lists)
        listed = read_list(path)
        if twice := next((track_id for track_id in listed if track_id in parts), None):
            raise CourseError(
                f"the list {path} names {twice}, which is in {FILTERED_LISTS[parts[twice]]} too: "
                "fetch the lists again"
            )
        parts |= dict.fromkeys(listed, part)
    return parts


def _warn_of_absent(parts: dict[str, str], track_ids: pd.Series) -> None:
    absent = sorted(set(parts) - set(track_ids))
    if absent and len(absent) < len(parts):  # that all are absent is an error, told elsewhere
        warnings.warn(
            f"{len(absent)} of the {len(parts)} tracks that the fault-filtered lists name are not "
            f"in this table ({', '.join(absent[:3])}{' …' * (len(absent) > 3)}): scores on the "
            "rest cannot be compared with published ones",
            stacklevel=4,
        )


def _repaired(table: pd.DataFrame, parts: pd.Series) -> pd.Series:
    """Take each shared artist out of all parts but the largest in which they are."""
    shared = shared_artists(table, parts)
    kept = shared[["train", "test", "validation"]].gt(0).idxmax(axis=1)
    home = artist_keys(table["artist"]).map(kept.rename(artist_key))
    repaired = parts.where(home.isna() | (home == parts), "")
    _refuse_empty_parts(repaired, "without shared artists, the fault-filtered lists put")
    return repaired


def _refuse_empty_parts(parts: pd.Series, who: str) -> None:
    if empty := [part for part in PARTS if not (parts == part).any()]:
        raise CourseError(
            f'{who} no track of this table into {", ".join(empty)}: divide by="artist"'
        )


def _list_file(name: str, lists: str | Path | None) -> Path:
    if lists is not None:
        return Path(lists) / name
    return fetch_sturm(name)
