"""Tables of tracks: the demo, GTZAN whole or in part, or a folder or archive of your own."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import pandas as pd

from .audio import AudioError, read_header
from .cache import cache_folder
from .downloads import (
    COLLECTIONS,
    DatasetError,
    fetch_index,
    fetch_sturm,
    fetch_tracks,
    is_audio,
    is_stray,
    unpack,
)
from .faults import check_tracks, usable

__all__ = [
    "GENRES",
    "DatasetError",
    "cache_folder",
    "check_tracks",
    "describe_source",
    "fetch_index",
    "fetch_sturm",
    "load_tracks",
    "read_index",
    "usable",
]

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

# The deepest form in the wild is archive/Data/genres_original/<genre>, as Kaggle's unpacks.
_DEEPEST_FOLDER = 4

SETS = ("demo", *COLLECTIONS)
_ABOUT = {
    "demo": "Made for this course; scores on it say nothing about real music.",
    "mini": "Real music, but ten tracks a genre: scores on it have wide intervals.",
    "full": "Real music, with repeated artists, copies and doubtful labels among it.",
    "folder": "Your own choice of tracks: scores hold for music like it.",
}


def load_tracks(source: str | Path | None = None, index: str | Path | None = None) -> pd.DataFrame:
    """List the tracks of a data set, one row per track, without decoding them.

    Parameters
    ----------
    source : str or path, optional
        "demo", the small set that comes with the course; "mini", 100 tracks of GTZAN, or "full",
        all 1000, fetched by the first call; or a folder or a tar or zip archive with a folder of
        audio files for each genre, in any form that GTZAN is found in. By default the environment
        variable GTZAN_DATA decides, and without it the demo is taken. For a folder that is called
        like one of the sets, write "./mini".
    index : str or path, optional
        List of artists in the form of Sturm's index.txt. By default a tracks.csv (with columns
        track_id and artist) or index.txt among the tracks, else Sturm's index where it was fetched
        before and the tracks are named like GTZAN's.

    Returns
    -------
    DataFrame, sorted by track_id
        track_id ("blues.00000", or "genre/name" for names unlike GTZAN's), genre, artist ("" if
        unknown), path, seconds, sample_rate (Hz), and problem: "" if the file's header can be read,
        else what is wrong; then seconds is NaN and sample_rate 0. ``.attrs["source"]`` is
        "demo", "mini", "full" or "folder".

    Raises
    ------
    DatasetError
        If there is no such folder or archive, it holds no tracks or cannot be understood, the index
        is malformed, or a download fails.

    Notes
    -----
    Taught in notebooks/01_explore_the_data.ipynb.
    """
    chosen = str(source or os.environ.get("GTZAN_DATA") or "demo")
    try:
        folder = _folder(chosen)
        files = _genre_files(folder)
        tracks = _table(files)
        places = [folder, next(iter(files)).parent]
        artists = find_artists(places, tracks["track_id"], index)
    except DatasetError as error:
        if source or chosen == "demo":
            raise
        raise DatasetError(f"{error} (GTZAN_DATA is set to {chosen})") from error
    tracks["artist"] = [artists.get(track_id, "") for track_id in tracks["track_id"]]
    tracks.attrs["source"] = chosen if chosen in SETS else "folder"
    return tracks


def describe_source(tracks: pd.DataFrame) -> str:
    """Say in one line what the tracks are, and what scores on them are worth.

    Parameters
    ----------
    tracks : DataFrame
        As from `load_tracks` or `usable`.

    Returns
    -------
    str
        Such as "demo: 113 usable tracks of 115, 10 genres, 10 s each. Made for this course; …".
    """
    source, found = tracks.attrs.get("source", "folder"), tracks.attrs.get("found", len(tracks))
    readable = tracks[tracks["problem"] == ""]
    if readable.empty:
        return f"{source}: none of {found} tracks can be read."
    n_genres = readable["genre"].nunique()
    return (
        f"{source}: {len(readable)} usable tracks of {found}, {n_genres} "
        f"genre{'s' * (n_genres != 1)}, {_lengths(readable['seconds'])}. {_ABOUT[source]}"
    )


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
    DatasetError
        If the file is missing or empty, or a line is malformed or repeats a track.

    Notes
    -----
    Taught in notebooks/01_explore_the_data.ipynb. Published by B. L. Sturm at
    https://github.com/boblsturm/GTZAN.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"the index {path} cannot be read ({error}): check the path") from error
    rows: dict[str, tuple[str, str]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("##"):
            continue
        fields = [field.strip() for field in line.split(":::")]
        if len(fields) != 3 or not fields[0]:
            raise DatasetError(
                f"line {number} of the index {path} is not 'file ::: artist ::: title' but "
                f"{line.strip()!r}: correct it, or put ## before it"
            )
        name = PurePosixPath(fields[0])
        track_id = _track_id(name.parent.name, name.stem if is_audio(name.name) else name.name)
        if track_id in rows:
            raise DatasetError(f"line {number} of the index {path} repeats {track_id}: remove it")
        rows[track_id] = (fields[1], fields[2])
    if not rows:
        raise DatasetError(f"the index {path} lists no tracks: is it the right file?")
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["artist", "title"])
    return table.rename_axis("track_id").reset_index()


def _folder(source: str) -> Path:
    """Return the folder with the tracks of a source, fetched or unpacked where that is needed."""
    if source == "demo":
        return DEMO
    if source in COLLECTIONS:
        folder = fetch_tracks(source)
        try:
            fetch_index()
        except DatasetError as error:
            warnings.warn(f"the artists are unknown: {error}", stacklevel=3)
        return folder
    path = Path(source).expanduser()
    if path.is_dir():
        return path.absolute()
    if path.is_file():
        return unpack(path)
    raise DatasetError(
        f"{path} does not exist: give 'demo', 'mini', 'full', or the path of a folder or archive "
        "with a folder of tracks for each genre"
    )


def _genre_files(root: Path) -> dict[Path, list[Path]]:
    """Find the folders that hold the tracks of one genre each, wherever they lie below `root`."""
    found: dict[Path, list[Path]] = {}
    for folder, names, files in os.walk(root, followlinks=True):
        here = Path(folder)
        depth = len(here.relative_to(root).parts)
        names[:] = [name for name in names if not is_stray(name) and depth < _DEEPEST_FOLDER]
        if tracks := sorted(here / name for name in files if is_audio(name)):
            found[here] = tracks
    if not found:
        raise DatasetError(
            f"{root} holds no audio files: point to a folder that holds a folder of tracks for "
            "each genre, such as blues/blues.00000.wav"
        )
    if root in found:
        raise DatasetError(
            f"{root} holds {found[root][0].name} outside any genre folder: put each track into a "
            "folder named after its genre, and point to the folder that holds those"
        )
    parents = sorted({folder.parent for folder in found})
    if len(parents) > 1:
        raise DatasetError(
            f"{root} holds genre folders in more than one place, {parents[0]} and {parents[1]}: "
            "point to the one that is meant"
        )
    _refuse_empty(parents[0], found)
    return found


def _refuse_empty(parent: Path, found: Iterable[Path]) -> None:
    """Say so when a genre is there in name only; folders of images or tables are let be."""
    for folder in sorted(parent.iterdir()):
        if not folder.is_dir() or is_stray(folder.name) or folder in found:
            continue
        names = [path.name for path in folder.rglob("*") if path.is_file()]
        if folder.name in GENRES or all(map(is_stray, names)):
            raise DatasetError(
                f"the genre folder {folder} holds no audio files: put its tracks there, or "
                "remove the folder"
            )


def _table(files: dict[Path, list[Path]]) -> pd.DataFrame:
    rows: dict[str, tuple] = {}
    for folder, paths in files.items():
        for path in paths:
            track_id = _track_id(folder.name, path.stem)
            if track_id in rows:
                raise DatasetError(
                    f"{path} and {Path(rows[track_id][3]).name} are both track {track_id}: keep "
                    "one of them, or rename it"
                )
            rows[track_id] = (track_id, folder.name, "", str(path), *_header(path))
    columns = ["track_id", "genre", "artist", "path", "seconds", "sample_rate", "problem"]
    return pd.DataFrame([rows[track_id] for track_id in sorted(rows)], columns=columns)


def _header(path: Path) -> tuple[float, int, str]:
    try:
        return (*read_header(path), "")
    except AudioError as error:
        return float("nan"), 0, error.reason


def _track_id(folder: str, stem: str) -> str:
    """Name a track: as GTZAN does where it is named so, else by its folder and name."""
    numbered = re.fullmatch(r"(.+)\.\d{5}", stem)
    if not folder or (numbered and numbered[1] == folder):
        return stem
    return f"{folder}/{stem}"


def find_artists(
    places: list[Path], track_ids: Iterable[str], index: str | Path | None = None
) -> dict[str, str]:
    """Return the artist of each track for which one is known.

    Asks the index, else a tracks.csv or index.txt in one of the places, else, where tracks are
    named like GTZAN's, Sturm's index if it was fetched before.
    """
    lists = [place / name for place in places for name in ("tracks.csv", "index.txt")]
    if any("/" not in track_id for track_id in track_ids):
        lists.append(cache_folder() / "sturm" / "index.txt")
    index = index or next((path for path in lists if path.is_file()), None)
    if index is None:
        return {}
    table = _read_artists(Path(index)) if Path(index).suffix == ".csv" else read_index(index)
    return dict(zip(table["track_id"], table["artist"], strict=True))


def _read_artists(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)  # there is a band called NA
    except (OSError, ValueError) as error:
        raise DatasetError(f"the list of artists {path} cannot be read: {error}") from error
    if not {"track_id", "artist"} <= set(table.columns):
        raise DatasetError(
            f"the list of artists {path} needs the columns track_id and artist, but has "
            f"{', '.join(table.columns)}: rename its columns, or move the file away"
        )
    return table


def _lengths(seconds: pd.Series) -> str:
    if seconds.max() - seconds.min() <= 0.1 * seconds.median():
        return f"{seconds.median():.0f} s each"
    return f"{seconds.min():.0f} to {seconds.max():.0f} s each"
