"""Tables and lists that others wrote: reading them, and what they call tracks and artists."""

from __future__ import annotations

import gzip
import io
import re
import unicodedata
import warnings
import zlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import pandas as pd

from .audio import AUDIO_SUFFIXES
from .errors import CourseError

# A row this short, whose name differs from another's in its last number only, is hardly a track.
PIECE_SECONDS = 10.0

_SUFFIX = re.compile(rf"\.(?:{'|'.join(suffix[1:] for suffix in AUDIO_SUFFIXES)})$", re.IGNORECASE)
_NUMBERED = re.compile(r"(.+)\.\d{5}(?:\.\d+)?")
# As Kaggle's features_3_sec.csv names its rows: blues.00000.7.
_PUBLISHED_PIECE = r"^(.+\.\d{5})\.\d+$"
# Others write song.7, song_part7, song_7 or song (7); the last two may be whole tracks as well.
_WORD = r"[ ._-]+(?:seg(?:ment)?|frag(?:ment)?|part|piece|chunk|slice|clip|split)[ ._-]*"
_OTHER_PIECE = rf"(?i)^(.*[^ ._-])(?:(\.|{_WORD})|[ _-]+)\(?\d{{1,4}}\)?$"
_NOBODY = {"various artists", "compilations", "unknown artist"}


def read_text(path: str | Path) -> str:
    """Return the text of a file in UTF-8, UTF-16 or Windows' own code, packed with gzip or not."""
    try:
        data = Path(path).read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return data.decode("utf-16")
    except (OSError, EOFError, zlib.error, UnicodeError) as error:
        raise CourseError(
            f"{path} cannot be read ({error}): check the path and the file"
        ) from error
    if data[:2] == b"PK" or b"\0" in data:
        raise CourseError(f"{path} is no text: unpack an archive, and save an Excel file as CSV")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def read_table(path: str | Path) -> tuple[pd.DataFrame, str]:
    """Read a CSV file as text, and return it with its separator: comma, semicolon or tab.

    Everything stays text: there are genres called 1990, 001, NA and True. Columns without a name,
    which count the rows, are left out.
    """
    text = io.StringIO(read_text(path), newline=None).read().lstrip("\n")  # any system's line ends
    text = re.sub(r"\Asep=.\n", "", text)  # a line that Excel writes and understands
    separator = max(",;\t", key=text.partition("\n")[0].count)
    options = {"dtype": str, "keep_default_na": False, "index_col": False, "lineterminator": "\n"}
    try:
        table = pd.read_csv(io.StringIO(text), sep=separator, **options).fillna("")
    except ValueError as error:
        raise CourseError(f"{path} cannot be read as a table ({error}): correct it") from error
    table.columns = table.columns.str.strip()
    return table.loc[:, ~table.columns.str.fullmatch(r"(Unnamed: [\d.]+)?")], separator


def track_name(name: str, genre: str = "") -> str:
    """Name a track after its file: as GTZAN does where it is named so, else by its path.

    "Data/Hip-Hop/hiphop.00000.wav" is "hiphop.00000", and "rock/a song.mp3" is "rock/a song".
    """
    stem = _SUFFIX.sub("", name)
    *folders, last = re.split(r"[/\\]", stem)
    numbered = _NUMBERED.fullmatch(last)
    genres = {_plain(folder) for folder in (*folders[-1:], genre)}
    return last if numbered and _plain(numbered[1]) in genres else stem


def tracks_of_pieces(names: pd.Series, genres: pd.Series, seconds: pd.Series | float) -> pd.Series:
    """Return the track that each row belongs to, by its name, where rows are pieces of tracks.

    Pieces are known by names like "blues.00000.7", or by several rows whose names differ in their
    last number only, as "song.7" and "song_part7"; and "song_7" or "song (7)" if they are short.

    Parameters
    ----------
    names, genres : Series of str
        Names of the rows, without the files' suffixes, and their genres.
    seconds : Series of float, or float
        Their lengths; infinite if they are unknown.

    Returns
    -------
    Series of str
        The names of the tracks; that of the row itself where it is no piece.
    """
    tracks = names.str.replace(_PUBLISHED_PIECE, r"\1", regex=True)
    found = tracks.where(tracks == names).str.extract(_OTHER_PIECE)
    start, sure = found[0], found[1].notna()
    # What all rows of a genre share is the genre's name, not a track's.
    last = start.str.extract(r"([^/\\]*)$")[0].map(_plain, "ignore")
    short = pd.Series(seconds, names.index) < PIECE_SECONDS
    start = start.where((sure | short) & (last != genres.map(_plain)))
    if (start.groupby(genres.to_numpy()).nunique() < 2).all():
        return tracks
    shared = names.groupby(start).transform("nunique") > 1
    if shared.mean() >= 0.5:  # a table of pieces: then a track may have one piece only
        shared |= start.notna()
    return tracks.mask(shared, start)


def find_listed(track_ids: Collection[str], listed: Mapping[str, str]) -> dict[str, str]:
    """Return what a list says of each of some tracks, named once each, that it names.

    Names match whatever their case, their suffix and their form of accents; and a path matches the
    end of a longer one, unless that is the end of several.
    """
    whole, ends = defaultdict(set), defaultdict(set)
    for name, value in listed.items():
        whole[_ends(name)[0]].add(value)
        for end in _ends(name):
            ends[end].add(value)
    n_ids = Counter(end for name in track_ids for end in _ends(name))
    found = {}
    for name in track_ids:
        own, *shorter = _ends(name)
        of_end = next((whole[end] for end in shorter if end in whole and n_ids[end] == 1), ())
        values = whole.get(own) or ends.get(own) or of_end
        if len(values) == 1:
            (found[name],) = values
    return found


def same_spelling(artists: Iterable[str]) -> list[str]:
    """Return names of artists in one spelling each: case and spaces make no other artist.

    The first spelling counts. "Various Artists" and the like are nobody: "".
    """
    firsts: dict[str, str] = {}
    tidy = [unicodedata.normalize("NFC", " ".join(artist.split())) for artist in artists]
    known = [firsts.setdefault(artist.casefold(), artist) for artist in tidy]
    return ["" if artist.casefold() in _NOBODY else artist for artist in known]


def warn_of_genres_alike(genres: Iterable[str]) -> None:
    """Warn of genres whose names differ in nothing but case, spaces and signs."""
    names = pd.Series(sorted(set(genres)), dtype=str)
    for _, alike in names.groupby(names.map(_plain)):
        if len(alike) > 1:
            warnings.warn(
                f"{' and '.join(map(repr, alike))} are taken for different genres: give them one "
                "name if they are meant to be one",
                stacklevel=4,
            )


def _plain(name: str) -> str:
    """Return the letters and digits of a name, without accents: Hip-Hop is GTZAN's hiphop."""
    letters = unicodedata.normalize("NFD", name.casefold())
    return "".join(letter for letter in letters if letter.isalnum())


def _ends(name: str) -> list[str]:
    """Return the ends of a path, without suffix and case, the longest first: a/b/c, b/c and c."""
    plain = unicodedata.normalize("NFC", _SUFFIX.sub("", name.strip())).casefold()
    parts = re.split(r"[/\\]", plain)
    return ["/".join(parts[number:]) for number in range(len(parts))]
