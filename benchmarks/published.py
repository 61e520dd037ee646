"""The fault-filtered division of GTZAN that others published, and the same with a repair."""

from __future__ import annotations

import warnings
from pathlib import Path

import pandas as pd

from gtzan_helpers.downloads import fetch_sturm
from gtzan_helpers.errors import CourseError
from gtzan_helpers.lists import demo_artists, read_lines
from gtzan_helpers.splits import PARTS, artist_key, artist_keys, shared_artists

_FILTERED_LISTS = ("train_filtered.txt", "valid_filtered.txt", "test_filtered.txt")  # of PARTS
_LIST_LINE = r"((?:[^/]+/)*[^/]+\.\d{5}\.\w+)"  # the folder may be missing


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
    return list(read_lines(path, _LIST_LINE, "genre/genre.00000.wav")[0])


def _without_shared_artists(tracks: pd.DataFrame, parts: pd.Series) -> pd.Series:
    """Take each shared artist out of all parts but the largest in which they are."""
    shared = shared_artists(tracks, parts)
    largest = shared[["train", "test", "validation"]].gt(0).idxmax(axis=1)
    home = artist_keys(tracks["artist"]).map(largest.rename(artist_key))
    return parts.where(home.isna() | (home == parts), "")
