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
FILTERED_LISTS = {
    "train": "train_filtered.txt",
    "validation": "valid_filtered.txt",
    "test": "test_filtered.txt",
}
_INDEX_LINE = re.compile(r"([^:].*?):::(.*?):::(.*)")
_LIST_LINE = re.compile(r"((?:[^/]+/)*[^/]+\.\d{5}\.\w+)")  # the folder may be missing
# Where fewer of the tracks than this are on a list of artists, the list may be about others.
_ENOUGH_NAMED = 0.9


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

    Lesson: 01_explore_the_data.
    """
    rows = _read_lines(path, _INDEX_LINE, "file ::: artist ::: title")
    return pd.DataFrame(rows, columns=["track_id", "artist", "title"])


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
    return [track_id for (track_id,) in _read_lines(path, _LIST_LINE, "genre/genre.00000.wav")]


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
    lists = [place / name for place in places for name in LISTS_OF_ARTISTS]
    if sturms and any(map(is_gtzans, track_ids)):
        lists.append(kept("sturm/index.txt"))
    index = index or next((path for path in lists if path.is_file()), None)
    if index is None:
        return None
    table = _read_artists(Path(index)) if Path(index).suffix == ".csv" else read_index(index)
    listed = dict(zip(table["track_id"], same_spelling(table["artist"]), strict=True))
    whole = track_ids if whole is None else whole
    found = find_listed([*track_ids, *whole], listed)
    pairs = dict(zip(track_ids, whole, strict=True))
    artists = {own: found.get(own, found.get(track)) for own, track in pairs.items()}
    if missing := [name for name, artist in artists.items() if artist is None]:
        named = len(artists) - len(missing)
        if named < _ENOUGH_NAMED * len(artists):
            warnings.warn(
                f"the list of artists {index} names {named} of the {len(artists)} tracks: not "
                f"{missing[0]!r}; it begins with {next(iter(listed), '')!r}",
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
    if _are_the_demos(tracks):
        raise CourseError(
            "the fault-filtered lists are about GTZAN's own tracks, and these are the demo's: "
            'divide by="artist"'
        )
    published = {
        track_id: part
        for part, name in FILTERED_LISTS.items()
        for track_id in read_list(fetch_sturm(name) if lists is None else Path(lists) / name)
    }
    # The lists say blues.00000, also of pieces such as blues.00000.7 and of names with folders.
    names = tracks["track_id"].astype(str)
    listed = names.str.extract(r"^(?:.*/)?([^/]+\.\d{5})(?:\.\d+)?$")[0].str.lower().fillna(names)
    parts = listed.map(published).fillna("").astype(str).rename("part")
    _refuse_empty_parts(parts, "the fault-filtered lists")
    if absent := sorted(set(published) - set(listed)):
        warnings.warn(
            f"{len(absent)} of the {len(published)} tracks that the fault-filtered lists name are "
            f"not in this table ({', '.join(absent[:3])} …): scores on the rest cannot be compared "
            "with published ones",
            stacklevel=2,
        )
    if repaired:
        parts = _without_shared_artists(tracks, parts)
        _refuse_empty_parts(parts, "without shared artists, the fault-filtered lists")
    return parts


def _refuse_empty_parts(parts: pd.Series, lists: str) -> None:
    if empty := [part for part in PARTS if not (parts == part).any()]:
        raise CourseError(
            f'{lists} put no track of this table into {", ".join(empty)}: divide by="artist"'
        )


@lru_cache
def demo_artists() -> dict[str, str]:
    """Return the artist of each of the demo's tracks."""
    table = _read_artists(DEMO / "tracks.csv")
    return dict(zip(table["track_id"], table["artist"], strict=True))


def is_gtzans(track_id: str) -> bool:
    """Whether a track is called like one of GTZAN's."""
    genre, _, number = track_id.partition(".")
    return genre in GENRES and re.match(r"\d{5}(\.|$)", number) is not None


def _read_lines(path: str | Path, pattern: re.Pattern[str], form: str) -> list[list[str]]:
    """Return the fields of each line of a list, the first a track's name, each track only once."""
    try:
        lines = read_text(path).splitlines()
    except (OSError, ValueError) as error:
        raise CourseError(f"the list {path} cannot be read ({error}): check the path") from error
    rows: dict[str, list[str]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("##"):
            continue
        match = pattern.fullmatch(line.strip())
        if match is None:
            fault = f"is not {form!r} but {line.strip()!r}: correct it"
            raise CourseError(f"line {number} of the list {path} {fault}")
        fields = [field.strip() for field in match.groups()]
        track_id = track_name(fields[0])
        if track_id in rows:
            raise CourseError(f"line {number} of the list {path} repeats {track_id}: remove it")
        rows[track_id] = [track_id, *fields[1:]]
    if not rows:
        raise CourseError(f"the list {path} names no tracks: is it the right file?")
    return list(rows.values())


def _read_artists(path: Path) -> pd.DataFrame:
    try:
        table, _ = read_table(path)
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
        name = table["track_id"][twice].iloc[0]
        raise CourseError(f"the list of artists {path} names two artists for {name}: keep one")
    return table


def _are_the_demos(tracks: pd.DataFrame) -> bool:
    """Whether there are tracks of the demo in a table, whose names look like those of GTZAN."""
    if "source" in tracks:
        return bool((tracks["source"] == "demo").any())
    return "artist" in tracks and bool(tracks["artist"].isin(set(demo_artists().values())).any())


def _without_shared_artists(tracks: pd.DataFrame, parts: pd.Series) -> pd.Series:
    """Take each shared artist out of all parts but the largest in which they are."""
    shared = shared_artists(tracks, parts)
    largest = shared[["train", "test", "validation"]].gt(0).idxmax(axis=1)
    home = artist_keys(tracks["artist"]).map(largest.rename(artist_key))
    return parts.where(home.isna() | (home == parts), "")
