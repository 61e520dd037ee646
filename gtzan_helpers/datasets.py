"""Tables of tracks: the demo, GTZAN whole or in part, a folder or archive of your own; songs."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pooch

from .audio import AudioError, read_header
from .copies import recordings
from .downloads import COLLECTIONS, fetch_index, fetch_tracks, is_audio, is_stray, unpack
from .errors import CourseError
from .lists import DEMO, GENRES, find_artists
from .measured import FIVE
from .splits import connected_rows
from .tables import read_table, same_spelling, track_name, tracks_of_pieces, warn_of_genres_alike

SONGS = Path(__file__).parent / "songs"
SETS = ("demo", *COLLECTIONS)
_ABOUT = {
    "demo": "Made for this course; scores on it say nothing about real music.",
    "mini": "Real music, but ten tracks a genre: scores on it have wide intervals.",
    "full": "Real music, with repeated artists, copies and doubtful labels among it.",
    FIVE: "Half of GTZAN, with 21 copies: measured, since recordings may not be passed on.",
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

    Lesson: 01_explore_the_data and others.
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

    Lesson: 01_explore_the_data and others.
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


def load_songs() -> pd.DataFrame:
    """List the six short recordings under free licences that come with the course.

    Four are music, one is a whale's song and one is speech: something to try a classifier on that
    it has not learned from, and nothing to measure its accuracy by.

    Returns
    -------
    DataFrame, one row per recording
        song (its name), title, by (who plays, sings or speaks, or recorded it), called (what its
        publisher calls it: "classical", "jazz", "folk", "whale song", "speech"), licence,
        licence_url, source (the publisher's page), changed (what was cut for the course), path,
        and seconds.

    Raises
    ------
    CourseError
        If a file is missing or has changed since it was installed.

    Examples
    --------
    >>> songs = gh.load_songs().set_index("song")
    >>> samples = gh.read_audio(songs.loc["vibe_ace", "path"])

    Lesson: 07_cnn_1d, 08_compare_and_use.
    """
    table = SONGS / "songs.csv"
    try:
        songs, _ = read_table(table)
        paths = [SONGS / f"{song}.ogg" for song in songs["song"]]
        checksums = dict(zip(paths, songs.pop("sha256"), strict=True))
    except (CourseError, KeyError) as error:
        raise _not_as_installed(table) from error
    for path, sha256 in checksums.items():
        if not path.is_file() or pooch.file_hash(path) != sha256:
            raise _not_as_installed(path)
    songs["path"] = pd.Series(list(map(str, paths)), dtype=object)
    return songs.assign(seconds=[read_header(path)[0] for path in paths])


def _not_as_installed(path: Path) -> CourseError:
    return CourseError(f"{path} is missing or has changed: install the package again")


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
    if source == FIVE:
        raise CourseError(f"{FIVE} has features and no sound: take it from load_features")
    raise CourseError(
        f"{path} does not exist: give 'demo', 'mini', 'full', or the path of a folder or archive "
        "with a folder of tracks for each genre"
    )


def _load(folder: Path, index: str | Path | None) -> pd.DataFrame:
    """Return the table of the tracks in a folder, all columns but the source."""
    files, wrappers = _files_in_genres(folder)
    names = map(track_name, files["place"], files["genre"])
    files = files.assign(track_id=list(names)).sort_values("track_id", kind="stable")
    if (twice := files["track_id"].duplicated(keep=False)).any():
        raise CourseError(
            f"{' and '.join(files['place'][twice][:2])} are both track "
            f"{files['track_id'][twice].iloc[0]}: keep or rename one of them"
        )
    tracks = files[["track_id", "genre"]].reset_index(drop=True).assign(artist="")
    # A column of text cannot hold a path whose bytes are no UTF-8.
    tracks["path"] = pd.Series(list(map(str, files["path"])), dtype=object)
    headers = map(_header, files["path"])
    tracks = tracks.join(pd.DataFrame(headers, columns=["seconds", "sample_rate", "problem"]))
    whole = tracks_of_pieces(tracks["track_id"], tracks["genre"], tracks["seconds"].fillna(np.inf))
    artists = find_artists(wrappers, tracks["track_id"], index, whole)
    if artists is not None:
        tracks["artist"] = [artists.get(track_id, "") for track_id in tracks["track_id"]]
    elif files["inner"].notna().all():
        print(f"artists are taken from the folders: {files['place'].iloc[0]}")
        tracks["artist"] = same_spelling(files["inner"])
    tracks["recording"] = _recordings(tracks, whole)
    return tracks


def _files_in_genres(root: Path) -> tuple[pd.DataFrame, list[Path]]:
    """Find the files below folders of genres, at any depth, and the folders around these.

    The table has columns path, place (the path below the outer folders), genre, and inner (the
    folder within that of the genre, if any).
    """
    paths = sorted(_audio_files(root))
    places = [escaped_name(path.relative_to(root).as_posix()) for path in paths]
    # A column for the folders at each depth, and one more; None where a file lies above it.
    folders = pd.DataFrame([[*place.split("/")[:-1], None] for place in places], dtype=object)
    if folders.isna().all(axis=None):
        raise CourseError(
            f"{root} holds no audio files in folders named after their genres: point to a folder "
            "that holds a folder of tracks for each genre, such as blues/blues.00000.wav"
        )
    depth = _depth_of_genres(folders)
    files = pd.DataFrame({"path": paths, "genre": folders[depth], "inner": folders[depth + 1]})
    files["place"] = [place.split("/", depth)[-1] for place in places]
    outside = files["genre"].isna()
    if outside.any():
        first = f"{files['place'][outside].iloc[0]} …"
        warnings.warn(
            f"{outside.sum()} tracks outside the genre folders are left out: {first}", stacklevel=4
        )
    files = files[~outside].astype({"genre": str})
    _check_genres(root, files["genre"], files["inner"])
    wrappers = files["path"].iloc[0].relative_to(root).parts[:depth]
    return files, [root.joinpath(*wrappers[:number]) for number in range(depth + 1)]


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


def _depth_of_genres(folders: pd.DataFrame) -> int:
    """Return the depth of the genres' folders, below those that stand alone, such as Data."""
    for depth in folders.columns[:-2]:
        names, inner = folders[depth].dropna(), folders[depth + 1]
        one_inside = inner.nunique() < 2 and inner[names.index].isna().any()
        if len(set(names)) > 1 or names.iloc[0].lower() in GENRES or one_inside:
            return depth
    return max(folders.columns[-1] - 1, 0)


def _check_genres(root: Path, genres: pd.Series, inner: pd.Series) -> None:
    """Refuse folders of genres side by side, such as train and test; warn of odd genres."""
    known = inner.where(inner.str.lower().isin(GENRES))
    found = pd.DataFrame({"known": known, "inner": inner}).groupby(genres).nunique()
    lower = found.index.str.lower()
    are_parts = lower.isin(_PARTS).all()
    within = (found["known"] > 1) | (are_parts & (found["inner"] > 0))
    several = found.index[within & ~lower.isin(GENRES)]
    if len(several):
        raise CourseError(
            f"{root} holds genre folders in more than one place, also within "
            f"{' and '.join(several)}: point to the one that is meant"
        )
    if found.index.str.fullmatch(r"\d{1,3}").all():
        warnings.warn(
            f"the genres' folders {', '.join(found.index[:3])} … have numbers for names: those of "
            "FMA say nothing, and its genres stand in its tracks.csv; put the tracks into folders "
            "named after them",
            stacklevel=5,
        )
    warn_of_genres_alike(genres)


def _header(path: Path) -> tuple[float, int, str]:
    try:
        return (*read_header(path), "")
    except AudioError as error:
        return float("nan"), 0, error.reason


def escaped_name(name: str | Path) -> str:
    """Return a file's name as text, with a sign like \\xe9 for each byte that is no UTF-8."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _recordings(tracks: pd.DataFrame, whole: pd.Series) -> pd.Series:
    """Name the recording of each track: the same for exact copies, and for pieces of one track."""
    copies = recordings(tracks)
    pieces = whole != tracks["track_id"]
    if not pieces.any():
        return copies
    print(f"{pieces.sum()} files are pieces of {whole[pieces].nunique()} tracks, by their names")
    groups = connected_rows(pd.DataFrame({"copy": copies, "piece": whole}))
    return whole.groupby(groups).transform("first")
