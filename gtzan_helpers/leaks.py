"""What the parts of a division share that must not stand on both sides of a test.

Lesson: 04_test_honestly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from .datasets import load_tracks
from .downloads import fetch_index
from .errors import CourseError
from .evaluation import paired_difference
from .faults import copy_pairs
from .lists import find_artists, is_gtzans, read_lines
from .measured import FIVE, load_answers, read_measured
from .splits import artist_keys, connected_rows
from .tables import read_table, track_name, tracks_of_pieces

NAMES = ["track_id", "filename", "file", "path", "name"]
# Fewer measured tracks say nothing of what a leak is worth.
FEWEST, SYSTEM = 10, "SVM"
KINDS = ("track", "recording", "artist")


def read_part(source: str | Path, index: str | Path | None = None) -> pd.DataFrame:
    """Return the tracks of one part of a division, whatever form it has.

    Parameters
    ----------
    source : str or path
        A folder of genre folders with audio; a CSV with a column track_id, filename, file, path or
        name; or a text file with a name per line, such as "blues/blues.00012.wav".
    index : str or path, optional
        List of artists, as for `load_tracks`.

    Returns
    -------
    DataFrame
        track_id, genre, artist, recording and path; all but the first are "" where unknown.

    Raises
    ------
    CourseError
        If the source is missing, names no tracks, or is a table without a column of names.
    """
    source = Path(source).expanduser()
    if source.is_dir():
        return load_tracks(source, index)[["track_id", "genre", "artist", "recording", "path"]]
    if source.suffix.lower() == ".csv":
        table, _ = read_table(source)
        named = next((name for name in NAMES if name in table), None)
        if named is None or table.empty:
            raise CourseError(
                f"{source} names no tracks: it needs a column called {' or '.join(NAMES)}, and has "
                f"{', '.join(table.columns[:9])}"
            )
    else:
        table, named = read_lines(source, "(.+)", "a file's name"), 0
    part = pd.DataFrame({"track_id": table[named].map(track_name)})
    for column in ("genre", "artist", "recording"):
        part[column] = table.get(column, "")
    ids = part["track_id"]
    whole = tracks_of_pieces(ids, part["genre"], np.inf)
    if (part["artist"] == "").any():
        if index is None and ids.map(is_gtzans).any():
            index = fetch_index()
        artists = find_artists([source.parent], ids, index, whole) or {}
        part["artist"] = part["artist"].mask(part["artist"] == "", ids.map(artists)).fillna("")
    known = read_measured(FIVE, "tracks").set_index("track_id")["recording"]
    part["recording"] = part["recording"].where(part["recording"] != "", whole.map(known))
    return part.fillna({"recording": whole}).assign(path="")


def together(parts: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the tracks of all parts in one table, with what must not stand on two sides.

    Parameters
    ----------
    parts : mapping of name to DataFrame
        As from `read_part`. Copies by their sound are looked for where there are audio files.

    Returns
    -------
    DataFrame
        As from `read_part`, and part (its name) and track; one spelling of each artist, and one
        recording for all its copies.
    """
    tracks = pd.concat([part.assign(part=name) for name, part in parts.items()], ignore_index=True)
    tracks["track"] = tracks["track_id"].str.casefold()
    with_sound = tracks[tracks["path"] != ""]
    linked = tracks[["track", "recording"]].copy()
    named = with_sound.assign(track_id=with_sound.index.astype(str))
    for number, pair in enumerate(copy_pairs(named) if len(named) else []):
        linked.loc[[int(place) for place in pair], f"copy {number}"] = "copy"
    group = connected_rows(linked.fillna(""))
    tracks["recording"] = tracks["track_id"].groupby(group).transform("first")
    keys = artist_keys(tracks["artist"])
    tracks["artist"] = tracks["artist"].groupby(keys).transform("first")
    return tracks


def find_leaks(tracks: pd.DataFrame) -> pd.DataFrame:
    """List the tracks, recordings and artists that stand in more than one part of a division.

    Parameters
    ----------
    tracks : DataFrame
        As from `together`.

    Returns
    -------
    DataFrame, a row for each that is shared
        kind ("track", "recording" or "artist"), shared (its name), and for each part how many
        tracks are of it. What is shared as a track does not count as a recording once more.
    """
    rows, parts = [], list(tracks["part"].unique())
    for kind in KINDS:
        shown = tracks["track_id" if kind == "track" else kind]
        counts = pd.crosstab(tracks[kind], tracks["part"]).reindex(columns=parts)
        counts = counts[(counts > 0).sum(axis=1) > 1].drop("", errors="ignore")
        for key, row in counts.iterrows():
            of_key = tracks[kind] == key
            if kind != "recording" or len(set(tracks["track"][of_key])) > 1:
                rows.append({"kind": kind, "shared": shown[of_key].iloc[0], **row})
    return pd.DataFrame(rows, columns=["kind", "shared", *parts])


def touched(tracks: pd.DataFrame) -> pd.Series:
    """Say for each track of the part "test" whether another part holds something of it."""
    test = tracks["part"] == "test"
    others = tracks[~test]
    same = [tracks[kind].isin(set(others[kind]) - {""}) for kind in KINDS]
    return pd.Series(np.any(same, axis=0)[test], tracks["track_id"][test])


def flattered(test: pd.Series) -> tuple[float, float, float] | None:
    """Estimate how much a leak adds to a score, from what an SVM made of 479 real tracks.

    Parameters
    ----------
    test : Series of bool, index track_id
        As from `touched`.

    Returns
    -------
    tuple of float, or None
        The share of test tracks that are right only because of the leak, and the ends of its 95 %
        interval over artists; None where fewer than ten of the touched tracks were measured.

    Notes
    -----
    For each touched track: how often it was right when its artist was known from training (folds
    by track), less how often when not (by artist). Other systems may gain more, or less.
    """
    answers = load_answers().query("system == @SYSTEM")
    answers = answers[answers["track_id"].isin(test.index[test])]
    if answers["track_id"].nunique() < FEWEST:
        return None
    answers = answers.assign(
        says=answers[answers.columns[7:]].idxmax(axis=1),
        group=answers["artist"].where(answers["artist"] != "", answers["track_id"]),
    )
    keys = ["track_id", "seed", "genre", "group"]
    said = answers.pivot_table("says", keys, "split", aggfunc="first").reset_index()
    gain = paired_difference(said["genre"], said["track"], said["artist"], said["group"])
    return tuple(float(test.mean() * value) for value in gain[:3])


def describe(tracks: pd.DataFrame, leaks: pd.DataFrame) -> Iterator[str]:
    """Yield lines of Markdown that say what parts share, and what it may be worth."""
    parts = list(tracks["part"].unique())
    sizes = ", ".join(f"{name} {(tracks['part'] == name).sum()}" for name in parts)
    yield f"Tracks: {sizes}; of {(tracks['artist'] != '').sum()} the artist is known."
    if leaks.empty:
        yield "Nothing is shared."
        return
    yield ""
    yield f"| shared | kind | {' | '.join(parts)} |"
    yield f"|{' --- |' * (2 + len(parts))}"
    for row in leaks.to_dict("records"):
        yield f"| {row['shared']} | {row['kind']} | {' | '.join(str(row[p]) for p in parts)} |"
    yield ""
    for first, second in combinations(parts, 2):
        both = leaks[(leaks[first] > 0) & (leaks[second] > 0)]["kind"].value_counts()
        if len(both):
            told = ", ".join(f"{count} {kind}s" for kind, count in both.items())
            yield f"{first} and {second} share {told}."
    test = touched(tracks)
    yield f"{test.sum()} of {len(test)} test tracks ({test.mean():.0%}) are touched."
    worth = flattered(test)
    if worth is None:
        yield "Too few of them are among the 479 tracks on which such leaks were measured."
    else:
        value, low, high = worth
        yield (
            f"By what an SVM made of the measured ones among them, this adds {value:+.3f} "
            f"[{low:+.3f}, {high:+.3f}] to the score."
        )


def as_numbers(tracks: pd.DataFrame, leaks: pd.DataFrame) -> dict[str, object]:
    """Return the same as numbers and text, for a JSON file."""
    test, known = touched(tracks), tracks[tracks["artist"] != ""]
    parts = tracks["part"].unique()
    return {
        "tracks": {name: int((tracks["part"] == name).sum()) for name in parts},
        "artists known": {name: int((known["part"] == name).sum()) for name in parts},
        "shared": leaks.to_dict("records"),
        "test tracks touched": int(test.sum()),
        "flattered by": flattered(test),
    }
