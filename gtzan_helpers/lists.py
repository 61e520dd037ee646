"""Lists of artists: Sturm's index of GTZAN, and tables of one's own."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import pandas as pd

from .cache import kept
from .downloads import LISTS_OF_ARTISTS
from .errors import CourseError
from .tables import find_listed, read_table, read_text, same_spelling, track_name

GENRES = [
    *("blues", "classical", "country", "disco", "hiphop"),
    *("jazz", "metal", "pop", "reggae", "rock"),
]
DEMO = Path(__file__).parent / "demo"
_INDEX_LINE = r"([^:].*?):::(.*?):::(.*)"
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
    rows = read_lines(path, _INDEX_LINE, "file ::: artist ::: title")
    return rows.set_axis(["track_id", "artist", "title"], axis="columns")


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


@lru_cache
def demo_artists() -> dict[str, str]:
    """Return the artist of each of the demo's tracks."""
    table = _read_artists(DEMO / "tracks.csv")
    return dict(zip(table["track_id"], table["artist"], strict=True))


def is_gtzans(track_id: str) -> bool:
    """Whether a track is called like one of GTZAN's."""
    return re.match(rf"({'|'.join(GENRES)})\.\d{{5}}(\.|$)", track_id) is not None


def read_lines(path: str | Path, pattern: str, form: str) -> pd.DataFrame:
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
