"""Tables of tracks: the demo, GTZAN whole or in part, or a folder or archive of your own."""

from __future__ import annotations

import os
import warnings
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from .audio import AudioError, read_header
from .copies import recordings
from .downloads import COLLECTIONS, fetch_index, fetch_tracks, is_audio, is_stray, unpack
from .errors import CourseError
from .lists import DEMO, GENRES, find_artists
from .splits import connected_rows
from .tables import same_spelling, track_name, tracks_of_pieces, warn_of_genres_alike

SETS = ("demo", *COLLECTIONS)
_ABOUT = {
    "demo": "Made for this course; scores on it say nothing about real music.",
    "mini": "Real music, but ten tracks a genre: scores on it have wide intervals.",
    "full": "Real music, with repeated artists, copies and doubtful labels among it.",
    "folder": "Your own choice of tracks: scores hold for music like it.",
}
# What folders of genre folders are called, where there are several.
_PARTS = {"train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval"}
# As many genres are named in the line that describes a source.
_NAMED_GENRES = 10


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

    Examples
    --------
    >>> tracks = gh.load_tracks("demo")
    >>> tracks.groupby("genre")["artist"].nunique()

    Lesson: 01_explore_the_data.
    """
    chosen = str(source or os.environ.get("GTZAN_DATA") or "demo")
    try:
        tracks = _load(_folder(chosen), index)
    except CourseError as error:
        if source or chosen == "demo":
            raise
        raise CourseError(f"{error} (GTZAN_DATA is set to {chosen})") from error
    return tracks.assign(source=chosen if chosen in SETS else "folder")


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

    Examples
    --------
    >>> print(gh.describe_source(gh.load_tracks()))

    Lesson: 01_explore_the_data.
    """
    readable = tracks[tracks["problem"] == ""]
    source = " and ".join(tracks["source"].unique() if "source" in tracks else []) or "folder"
    n_tracks = readable["track_id"].nunique()
    # The number before `usable` is only told: where it is lost, nothing else is.
    found = tracks.attrs.get("found", tracks["track_id"].nunique())
    if readable.empty:
        return f"{source}: none of {found} tracks can be read."
    pieces = f" in {len(readable)} pieces" if len(readable) > n_tracks else ""
    genres = sorted(readable["genre"].unique())
    more = f" and {len(genres) - _NAMED_GENRES} more" if len(genres) > _NAMED_GENRES else ""
    shortest, median, longest = readable["seconds"].quantile([0, 0.5, 1])
    alike = longest - shortest <= 0.1 * median
    lengths = f"{median:.0f} s" if alike else f"{shortest:.0f} to {longest:.0f} s"
    return (
        f"{source}: {n_tracks} usable tracks of {found}{pieces}, "
        f"{len(genres)} genre{'s' * (len(genres) != 1)} "
        f"({', '.join(genres[:_NAMED_GENRES])}{more}), {lengths} each. "
        f"{_ABOUT.get(source, _ABOUT['folder'])}"
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


def _load(folder: Path, index: str | Path | None) -> pd.DataFrame:
    """Return the table of the tracks in a folder, all columns but the source."""
    paths = sorted(_audio_files(folder))
    parent = _folder_of_genres(folder, paths)
    inside = [path for path in paths if path.is_relative_to(parent) and path.parent != parent]
    if not inside:
        raise CourseError(
            f"{folder} holds no audio files in folders named after their genres: point to a folder "
            "that holds a folder of tracks for each genre, such as blues/blues.00000.wav"
        )
    _check_genres(parent, inside)
    if outside := sorted(set(paths) - set(inside)):
        first = escaped_name(outside[0])
        warnings.warn(
            f"{len(outside)} tracks outside the genre folders are left out: {first} …", stacklevel=3
        )
    tracks = _table(parent, inside)
    whole = tracks_of_pieces(tracks["track_id"], tracks["genre"], tracks["seconds"].fillna(np.inf))
    places = [place for place in (parent, *parent.parents) if place.is_relative_to(folder)]
    artists = find_artists(reversed(places), tracks["track_id"], index, whole)
    if artists is None:
        artists = _artists_by_folder(tracks, parent)
    tracks["artist"] = [artists.get(track_id, "") for track_id in tracks["track_id"]]
    tracks["recording"] = _recordings(tracks, whole)
    return tracks


def _audio_files(root: Path) -> Iterator[Path]:
    """Yield all audio files below a folder; what links lead to is entered once, and never above."""
    entered = {os.path.realpath(place) for place in (root, *root.resolve().parents)}

    def warn(error: OSError) -> None:
        warnings.warn(f"a folder is left out: {error}", stacklevel=6)

    for folder, names, files in os.walk(root, onerror=warn, followlinks=True):
        yield from (Path(folder, name) for name in files if is_audio(name))
        # Of several names for one folder the first counts: it is put in last.
        ours = sorted((name for name in names if not is_stray(name)), reverse=True)
        targets = {os.path.realpath(Path(folder, name)): name for name in ours}
        names[:] = [name for target, name in targets.items() if target not in entered]
        entered.update(targets)


def _folder_of_genres(root: Path, paths: list[Path]) -> Path:
    """Find the folder that holds those of the genres; another that stands alone is a wrapper."""
    folders = _folders(root, paths)
    name = min(folders, default="")
    holds_tracks = any(path.parent == root / name for path in paths)
    is_genre = name.lower() in GENRES or (holds_tracks and len(folders[name]) < 2)
    alone = len(folders) == 1 and not is_genre
    return _folder_of_genres(root / name, paths) if alone else root


def _folders(parent: Path, paths: list[Path]) -> dict[str, set[str]]:
    """Return the folders below one that hold tracks at any depth, and those right within each."""
    folders = defaultdict(set)
    for path in paths:
        if path.is_relative_to(parent):
            first, *inner = path.relative_to(parent).parent.parts or [""]
            folders[first].update(inner[:1])
    folders.pop("", None)  # of tracks that lie in none
    return folders


def _check_genres(parent: Path, paths: list[Path]) -> None:
    """Refuse folders of genres side by side, such as train and test; warn of odd genres."""
    folders = _folders(parent, paths)
    genres = sorted(folders)
    are_parts = {genre.lower() for genre in genres} <= _PARTS
    several = []
    for genre in genres:
        inner = {name.lower() for name in folders[genre]}
        n_genres = len(inner.intersection(GENRES))
        if genre.lower() not in GENRES and (n_genres > 1 or (are_parts and inner)):
            several.append(escaped_name(genre))
    if several:
        raise CourseError(
            f"{parent} holds genre folders in more than one place, also within "
            f"{' and '.join(several)}: point to the one that is meant"
        )
    if all(name.isdecimal() and len(name) <= 3 for name in genres):
        warnings.warn(
            f"the genres are taken from the folders {', '.join(genres[:3])} …, which are numbers: "
            "the folders of FMA say nothing, and its genres stand in its tracks.csv; put the "
            "tracks into folders named after them",
            stacklevel=4,
        )
    warn_of_genres_alike(map(escaped_name, genres))


def _table(parent: Path, paths: list[Path]) -> pd.DataFrame:
    places = [escaped_name(path.relative_to(parent).as_posix()) for path in paths]
    genres = [place.partition("/")[0] for place in places]
    tracks = pd.DataFrame({"track_id": list(map(track_name, places, genres)), "genre": genres})
    # A column of text cannot hold a path whose bytes are no UTF-8.
    tracks = tracks.assign(artist="", path=pd.Series(map(str, paths), dtype=object))
    headers = map(_header, paths)
    tracks = tracks.join(pd.DataFrame(headers, columns=["seconds", "sample_rate", "problem"]))
    tracks = tracks.sort_values("track_id", kind="stable", ignore_index=True)
    if (twice := tracks["track_id"].duplicated(keep=False)).any():
        first, second = map(escaped_name, tracks["path"][twice][:2])
        name = tracks["track_id"][twice].iloc[0]
        raise CourseError(f"{first} and {second} are both track {name}: keep or rename one of them")
    return tracks


def _header(path: Path) -> tuple[float, int, str]:
    try:
        return (*read_header(path), "")
    except AudioError as error:
        return float("nan"), 0, error.reason


def escaped_name(name: str | Path) -> str:
    """Return a file's name as text, with a sign like \\xe9 for each byte that is no UTF-8."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _artists_by_folder(tracks: pd.DataFrame, parent: Path) -> dict[str, str]:
    """Return the folder within its genre that each track lies in, where all lie in such."""
    places = [Path(path).relative_to(parent).parts for path in tracks["path"]]
    if any(len(place) < 3 for place in places):
        return {}
    print(f"artists are taken from the folders: {escaped_name('/'.join(places[0]))}")
    names = same_spelling(escaped_name(place[1]) for place in places)
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
