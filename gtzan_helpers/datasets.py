"""Tables of tracks: the demo, GTZAN whole or in part, or a folder or archive of your own."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from .audio import AudioError, read_header
from .copies import recordings
from .downloads import (
    COLLECTIONS,
    fetch_index,
    fetch_tracks,
    is_audio,
    is_stray,
    unpack,
)
from .errors import CourseError
from .lists import DEMO, GENRES, find_artists
from .splits import connected_rows
from .tables import (
    same_spelling,
    track_name,
    tracks_of_pieces,
    warn_of_genres_alike,
)

# What folders of genre folders are called, where there are several.
_PARTS = {"train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval"}
# As many genres are named in the line that describes a source.
_NAMED_GENRES = 10

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
        audio files for each genre, in any form that GTZAN is found in, also with folders of artists
        and albums in those of the genres. By default the environment variable GTZAN_DATA decides,
        and without it the demo is taken. For a folder that is called like one of the sets, write
        "./mini".
    index : str or path, optional
        List of artists in the form of Sturm's index.txt. By default a tracks.csv (with columns
        track_id and artist) or index.txt among the tracks, else Sturm's index where it was fetched
        before and the tracks are named like GTZAN's; else, where all tracks lie in folders within
        their genre, each of these is taken for an artist.

    Returns
    -------
    DataFrame, sorted by track_id
        track_id ("blues.00000", or "genre/name" for names unlike GTZAN's), genre, artist ("" if
        unknown), path, seconds, sample_rate (Hz), and problem: "" if the file's header can be read,
        else what is wrong; then seconds is NaN and sample_rate 0. recording is the same for exact
        copies and for pieces of one track, and source "demo", "mini", "full" or "folder".

    Raises
    ------
    CourseError
        If there is no such folder or archive, it holds no tracks or cannot be understood, the index
        is malformed, or a download fails.

    Notes
    -----
    Taught in notebooks/01_explore_the_data.ipynb.
    """
    chosen = str(source or os.environ.get("GTZAN_DATA") or "demo")
    try:
        folder = _folder(chosen)
        genres, paths = _genres_and_paths(folder)
        tracks = _table(genres, paths)
        seconds = tracks["seconds"].fillna(float("inf"))
        whole = tracks_of_pieces(tracks["track_id"], tracks["genre"], seconds)
        artists = find_artists(_places(folder, genres[0]), tracks["track_id"], index, whole)
        if artists is None:
            artists = _artists_by_folder(tracks, genres)
    except CourseError as error:
        if source or chosen == "demo":
            raise
        raise CourseError(f"{error} (GTZAN_DATA is set to {chosen})") from error
    tracks["artist"] = [artists.get(track_id, "") for track_id in tracks["track_id"]]
    tracks["recording"] = _recordings(tracks, whole)
    tracks["source"] = chosen if chosen in SETS else "folder"
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
        Such as "folder: 113 usable tracks of 115, 2 genres (jazz, pop), 10 s each. Your own …".
    """
    readable = tracks[tracks["problem"] == ""]
    source = " and ".join(tracks["source"].unique() if "source" in tracks else []) or "folder"
    n_tracks = readable["track_id"].nunique()
    # The number before `usable` is only told: where it is lost, nothing else is.
    found = tracks.attrs.get("found", tracks["track_id"].nunique())
    if readable.empty:
        return f"{source}: none of {found} tracks can be read."
    pieces = f" in {len(readable)} pieces" if len(readable) > n_tracks else ""
    return (
        f"{source}: {n_tracks} usable tracks of {found}{pieces}, {_named(readable['genre'])}, "
        f"{_lengths(readable['seconds'])}. {_ABOUT.get(source, _ABOUT['folder'])}"
    )


def _folder(source: str) -> Path:
    """Return the folder with the tracks of a source, fetched or unpacked where that is needed."""
    if source == "demo":
        return DEMO
    if source in COLLECTIONS:
        folder = fetch_tracks(source)
        try:
            fetch_index()
        except CourseError as error:
            warnings.warn(f"the artists are unknown: {error}", stacklevel=3)
        return folder
    path = Path(source).expanduser()
    if path.is_dir():
        return path.absolute()
    if path.is_file():
        return unpack(path)
    raise CourseError(
        f"{path} does not exist: give 'demo', 'mini', 'full', or the path of a folder or archive "
        "with a folder of tracks for each genre"
    )


def _genres_and_paths(root: Path) -> tuple[list[Path], list[Path]]:
    """Find the folders of the genres, wherever they lie below `root`, and all tracks in them."""
    paths = sorted(_audio_files(root))
    if not paths:
        raise CourseError(
            f"{root} holds no audio files: point to a folder that holds a folder of tracks for "
            "each genre, such as blues/blues.00000.wav"
        )
    parent, genres = root, _folders_within(root, paths)
    while len(genres) == 1 and not _is_genre(genres[0], paths):
        parent, genres = genres[0], _folders_within(genres[0], paths)
    outside = [path for path in paths if not any(map(path.is_relative_to, genres))]
    if not genres:
        raise CourseError(
            f"{root} holds {printable(outside[0].name)} outside any genre folder: put each track "
            "into a folder named after its genre, and point to the folder that holds those"
        )
    _refuse_two_places(root, genres, paths)
    _warn_of_folders(parent, genres, outside)
    return genres, sorted(set(paths) - set(outside))


def _audio_files(root: Path) -> Iterator[Path]:
    """Yield all audio files below a folder; what links lead to is entered once."""
    entered = {os.path.realpath(root)}
    above = set(map(str, Path(os.path.realpath(root)).parents))

    def tell(error: OSError) -> None:
        text = f"{printable(error.filename)} is left out: it cannot be read ({error.strerror})"
        warnings.warn(text, stacklevel=6)

    for folder, names, files in os.walk(root, onerror=tell, followlinks=True):
        yield from (Path(folder, name) for name in files if is_audio(name))
        names[:] = sorted(name for name in names if not is_stray(name))
        targets = [os.path.realpath(Path(folder, name)) for name in names]
        names[:] = [
            name
            for number, (name, target) in enumerate(zip(names, targets, strict=True))
            if target not in entered | above | set(targets[:number])
        ]
        entered.update(targets)


def _folders_within(folder: Path, paths: list[Path]) -> list[Path]:
    """Return the folders directly below one that hold tracks, however deep."""
    below = [path.relative_to(folder).parts for path in paths if path.is_relative_to(folder)]
    return sorted({folder / parts[0] for parts in below if len(parts) > 1})


def _is_genre(folder: Path, paths: list[Path]) -> bool:
    """Whether a folder that stands alone is a genre, and not one that holds the genres."""
    holds_tracks = any(path.parent == folder for path in paths)
    n_folders = len(_folders_within(folder, paths))
    return folder.name.lower() in GENRES or (holds_tracks and n_folders < 2)


def _refuse_two_places(root: Path, genres: list[Path], paths: list[Path]) -> None:
    """Refuse folders of genre folders, such as train and test, that stand side by side."""
    inner = {genre: {path.name for path in _folders_within(genre, paths)} for genre in genres}
    names = [name for names in inner.values() for name in names]
    twice = {name.lower() for name in names if names.count(name) > 1}
    # Artists may stand in several genres; genres stand in several parts, and so do GTZAN's.
    parts = twice and {genre.name.lower() for genre in genres} <= _PARTS
    places = [genre for genre in genres if inner[genre] and (parts or twice & set(GENRES))]
    # Where a track is called like its folder, blues/blues.00000.wav, that folder is a genre.
    own = {path.parent for path in paths if "/" not in track_name("/".join(path.parts[-2:]))}
    if deeper := own - set(genres):
        places = sorted({folder.parent for folder in deeper} | {genres[0].parent})
        places = places[-2:]
    if places:
        raise CourseError(
            f"{root} holds genre folders in more than one place, {printable(places[0])} and "
            f"{printable(places[1])}: point to the one that is meant"
        )


def _warn_of_folders(parent: Path, genres: list[Path], outside: list[Path]) -> None:
    """Say what is odd about the folders: tracks outside, empty genres, numbers for names."""
    names = {genre.name for genre in genres}
    if outside:
        n, first = len(outside), printable(outside[0])
        warnings.warn(f"{n} tracks outside the genre folders are left out: {first} …", stacklevel=4)
    if empty := [name for name in GENRES if name not in names and (parent / name).is_dir()]:
        text = f"the genre folder {parent / empty[0]} holds no audio files: put its tracks there"
        warnings.warn(text, stacklevel=4)
    if all(name.isdecimal() and len(name) <= 3 for name in names):
        warnings.warn(
            f"the genres are taken from the folders {', '.join(sorted(names)[:3])} …, which are "
            "numbers: the folders of FMA say nothing, and its genres stand in its tracks.csv; "
            "put the tracks into folders named after them",
            stacklevel=4,
        )
    warn_of_genres_alike(sorted(names))


def _table(genres: list[Path], paths: list[Path]) -> pd.DataFrame:
    rows: dict[str, tuple] = {}
    parent = genres[0].parent
    for path in paths:
        place = printable(path.relative_to(parent).as_posix())
        name = place.partition("/")[0]
        track_id = track_name(place, name)
        if track_id in rows:
            raise CourseError(
                f"{printable(path)} and {printable(Path(rows[track_id][3]).name)} are both track "
                f"{track_id}: keep one of them, or rename it"
            )
        rows[track_id] = (track_id, name, "", str(path), *_header(path))
    columns = ["track_id", "genre", "artist", "path", "seconds", "sample_rate", "problem"]
    table = dict(zip(columns, zip(*sorted(rows.values()), strict=True), strict=True))
    # A column of text cannot hold a path whose bytes are no UTF-8.
    return pd.DataFrame(table | {"path": pd.Series(table["path"], dtype=object)})


def _header(path: Path) -> tuple[float, int, str]:
    try:
        return (*read_header(path), "")
    except AudioError as error:
        return float("nan"), 0, error.reason


def printable(name: str | Path) -> str:
    """Return a file's name as text, with a sign like \\xe9 for each byte that is no UTF-8."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _places(folder: Path, genre: Path) -> list[Path]:
    """Return the folders that a list of artists may lie in, from the outermost to the genres'."""
    return [place for place in reversed(genre.parents) if place.is_relative_to(folder)]


def _artists_by_folder(tracks: pd.DataFrame, genres: list[Path]) -> dict[str, str]:
    """Return the folder within its genre that each track lies in, where all lie in such."""
    places = [Path(path).relative_to(genres[0].parent).parts for path in tracks["path"]]
    if any(len(place) < 3 for place in places):
        return {}
    print(f"artists are taken from the folders: {printable('/'.join(places[0]))}")
    names = same_spelling(printable(place[1]) for place in places)
    return dict(zip(tracks["track_id"], names, strict=True))


def _recordings(tracks: pd.DataFrame, whole: pd.Series) -> pd.Series:
    """Name the recording of each track: the same for exact copies, and for pieces of one track."""
    copies = recordings(tracks)
    pieces = whole != tracks["track_id"]
    if not pieces.any():
        return copies
    print(f"{pieces.sum()} files are pieces of {whole[pieces].nunique()} tracks, by their names")
    groups = connected_rows(pd.DataFrame({"copy": copies, "piece": whole}))
    return whole.groupby(groups).transform("first")


def _named(genres: pd.Series) -> str:
    names = sorted(genres.unique())
    n_more = len(names) - _NAMED_GENRES
    named = ", ".join(names[:_NAMED_GENRES]) + (f" and {n_more} more" if n_more > 0 else "")
    return f"{len(names)} genre{'s' * (len(names) != 1)} ({named})"


def _lengths(seconds: pd.Series) -> str:
    if seconds.max() - seconds.min() <= 0.1 * seconds.median():
        return f"{seconds.median():.0f} s each"
    return f"{seconds.min():.0f} to {seconds.max():.0f} s each"
