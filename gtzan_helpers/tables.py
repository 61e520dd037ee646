"""Tables and lists that others wrote: reading them, and what they call tracks and artists."""

from __future__ import annotations

import gzip
import io
import re
import unicodedata
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from .audio import AUDIO_SUFFIXES

# A row this short, whose name differs from another's in its last number only, is hardly a track.
PIECE_SECONDS = 10.0
# Where fewer of the tracks than this are on a list, the list may be about others.
ENOUGH_NAMED = 0.9

_SUFFIX = re.compile(rf"\.(?:{'|'.join(suffix[1:] for suffix in AUDIO_SUFFIXES)})$", re.IGNORECASE)
_NUMBERED = re.compile(r"(.+)\.\d{5}(?:\.\d+)?")
# As Kaggle's features_3_sec.csv names its rows: blues.00000.7.
_PUBLISHED_PIECE = r"^(.+\.\d{5})\.\d+$"
# Others write song.7, song_part7, song_7 or song (7); the last two may be whole tracks as well.
_WORD = r"[ ._-]+(?:seg(?:ment)?|frag(?:ment)?|part|piece|chunk|slice|clip|split)[ ._-]*"
_OTHER_PIECE = rf"(?i)^(.*[^ ._-])(?:(\.|{_WORD})|[ _-]+)\(?\d{{1,4}}\)?$"
_NOBODY = {"various artists", "compilations", "unknown artist"}


def read_text(path: str | Path) -> str:
    """Return the text of a file in UTF-8, UTF-16 or Windows' own code, packed with gzip or not.

    Raises
    ------
    OSError, ValueError
        If it cannot be read, or is no text.
    """
    data = Path(path).read_bytes()
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except EOFError as error:
            raise ValueError("the packed file is cut short") from error
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16")
    if data[:2] == b"PK":
        raise ValueError("it is a zip archive or an Excel file: unpack it, or save it as CSV")
    if b"\0" in data:
        raise ValueError("it is no text")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252")


def read_table(path: str | Path) -> tuple[pd.DataFrame, str]:
    """Read a CSV file as text, and return it with its separator: comma, semicolon or tab.

    Everything stays text: there are genres called 1990, 001, NA and True. Columns without a name,
    which count the rows, are left out.

    Raises
    ------
    OSError, ValueError
        If it cannot be read as a table.
    """
    text = read_text(path).replace("\r\n", "\n").lstrip("\n")
    if "\n" not in text:  # as the first Macintoshes ended lines
        text = text.replace("\r", "\n")
    if stated := re.match(r"sep=(.)\n", text):  # a line that Excel writes and understands
        text = text[stated.end() :]
    header = text.partition("\n")[0]
    separator = max(",;\t", key=header.count)
    options = {"dtype": str, "keep_default_na": False, "index_col": False, "lineterminator": "\n"}
    table = pd.read_csv(io.StringIO(text), sep=separator, **options).fillna("")
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


def find_listed(track_ids: Iterable[str], listed: Mapping[str, str]) -> dict[str, str]:
    """Return what a list says of each track that it names: all of `track_ids` that are found.

    Names match whatever their case, their suffix and their form of accents; and a path matches the
    end of a longer one, unless that is the end of several.
    """
    said: dict[str, str] = {}
    ids = list(dict.fromkeys(track_ids))
    for key in (_key, lambda name: _key(name).casefold()):
        whole, ends = {}, {}
        for name, value in listed.items():
            whole.setdefault(key(name), set()).add(value)
            for end in _ends(key(name)):
                ends.setdefault(end, set()).add(value)
        of_end = pd.Series([end for name in ids for end in _ends(key(name))]).value_counts()
        for name in ids:
            longer = [whole[e] for e in _ends(key(name)) if e in whole and of_end[e] == 1]
            values = whole.get(key(name)) or ends.get(key(name)) or next(iter(longer), ())
            if name not in said and len(values) == 1:
                said[name] = next(iter(values))
    return said


def tell_unlisted(found: Iterable[str], track_ids: Iterable[str], listed: Iterable[str]) -> str:
    """Say how many of the tracks are found on a list, if that is clearly not all; else ""."""
    ids, found = list(dict.fromkeys(track_ids)), set(found)
    if len(found) >= ENOUGH_NAMED * len(ids):
        return ""
    missing = next(name for name in ids if name not in found)
    others = find_listed(listed, dict.fromkeys(found, ""))
    other = next((name for name in listed if name not in others), None)
    unknown = "" if other is None else f", and {other!r} is on the list"
    return f"names {len(found)} of the {len(ids)} tracks: not {missing!r}{unknown}"


def same_spelling(artists: Iterable[str]) -> list[str]:
    """Return names of artists in one spelling each: case and spaces make no other artist.

    The first spelling counts. "Various Artists" and the like are nobody: "".
    """
    firsts: dict[str, str] = {}
    tidy = [unicodedata.normalize("NFC", " ".join(artist.split())) for artist in artists]
    known = [firsts.setdefault(artist.casefold(), artist) for artist in tidy]
    return ["" if artist.casefold() in _NOBODY else artist for artist in known]


def warn_of_genres_alike(genres: Iterable[str]) -> None:
    """Warn of genres whose names differ in nothing but case or spaces."""
    alike: dict[str, str] = {}
    for genre in dict.fromkeys(genres):
        other = alike.setdefault("".join(genre.split()).casefold(), genre)
        if other != genre:
            warnings.warn(
                f"{other!r} and {genre!r} are taken for two genres: give them one name if they "
                "are meant to be one",
                stacklevel=4,
            )


def _plain(name: str) -> str:
    """Return the letters and digits of a name, without accents: Hip-Hop is GTZAN's hiphop."""
    letters = unicodedata.normalize("NFD", name.casefold())
    return "".join(letter for letter in letters if letter.isalnum())


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", _SUFFIX.sub("", name.strip())).replace("\\", "/")


def _ends(name: str) -> list[str]:
    """Return a path's ends, the longest first: a/b/c, b/c and c."""
    parts = name.split("/")
    return ["/".join(parts[number:]) for number in range(len(parts))]
