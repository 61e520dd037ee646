"""Finding what is wrong with tracks, and leaving out what nothing can be learned from.

Taught in notebooks/01_explore_the_data.ipynb.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .audio import AudioError, decode, read_header
from .fingerprints import Landmarks, landmarks, same_recordings
from .workers import measured

# A frame of 50 ms spans a full period of the lowest note that is heard as one, 20 Hz.
FRAME_SECONDS = 0.05
# 60 dB below full scale: below the noise of the tapes and radios that GTZAN was recorded from.
SILENCE_DB = -60.0
# A pause is music; a track that is silent for the greater part is not an example of a genre.
SILENT_SHARE = 0.5
# One or two samples at full scale are a loud peak; a flat top of three is a peak cut off.
CLIPPED_RUN = 3
# A track that never comes within 1 dB of full scale had room for its peaks.
CLIPPED_LEVEL_DB = -1.0
# Loud CDs cut off a peak here and there: of 52 tracks of GTZAN none passes 0.005 %. At 1 %, which
# takes most of them an amplification by 6 dB over full scale, distortion is plainly heard.
CLIPPED_SHARE = 0.01
# As long as a slice of lesson 4: a shorter track holds none, and a stretch of silence as long may
# become a slice of nothing, under a genre's name.
SLICE_SECONDS = 2.0
# GTZAN's lengths differ by 2 %. Lengths are only held against each other where nine in ten agree.
LENGTH_TOLERANCE = 0.1
COMMON_SHARE = 0.9
# Hardly two recordings begin alike for so long, unless they begin with silence.
BEGINNING_SECONDS = 1.0

_VERSION = 2  # of the measurements below: a higher one makes older caches count no more


# What one pass over a track's samples tells; the rest is missing where `problem` is not "".
_MEASUREMENTS = (
    *("problem", "seconds", "sample_rate", "channels"),
    *("silent_share", "stretch_seconds", "stretch_start", "clipped_share", "clipped_seconds"),
    *("audio_hash", "hashes", "frames"),
)

LEFT_OUT = (
    *("unreadable", "silent", "short"),
    *("exact copy", "near copy", "copy under another genre"),
)


def check_tracks(tracks: pd.DataFrame) -> pd.DataFrame:
    """Decode every track once, and list what is wrong with it.

    Parameters
    ----------
    tracks : DataFrame
        As from `load_tracks`.

    Returns
    -------
    DataFrame, sorted by track_id, a row per fault
        track_id, fault, detail. The faults are "unreadable", "silent" (for more than half of its
        length), "clipped" (badly distorted by peaks cut off), "short" (less than 2 s), "exact copy"
        and "near copy" (of an earlier track of its genre: the same samples, or the same recording
        at another level, shifted, filtered or compressed), "copy under another genre" (both tracks
        are listed); and, for information, "silent stretch" (of 2 s or more, in a track that is not
        "silent"), and "unusual length" and "unusual format", where the others agree.

    Notes
    -----
    Results are cached per file, so that a second call takes no time. Peaks cut off before a file
    was compressed to MP3 or resampled are no longer flat, and are not found.

    Taught in notebooks/01_explore_the_data.ipynb. Sturm (2013), "The GTZAN dataset: its contents,
    its faults, their effects on evaluation, and its future use", describes faults of these kinds.
    """
    found = _measure_all(tracks)
    faults = pd.DataFrame(
        [*_own_faults(found), *_odd_ones_out(found), *_copies(found)],
        columns=["track_id", "fault", "detail"],
    )
    return faults.sort_values(["track_id", "fault"], ignore_index=True)


def usable(tracks: pd.DataFrame) -> pd.DataFrame:
    """Leave out the tracks that nothing can be learned from, and print which and why.

    Unreadable, mostly silent and very short tracks go; so do copies of an earlier track, lest one
    recording stand on both sides of a split, and both tracks where one stands under two genres,
    since its genre is unknown. Clipped tracks stay: distorted as they are, they are examples of
    their genre.

    Parameters
    ----------
    tracks : DataFrame
        As from `load_tracks`.

    Returns
    -------
    DataFrame
        The remaining rows, numbered anew.

    Notes
    -----
    Taught in notebooks/01_explore_the_data.ipynb.
    """
    faults = check_tracks(tracks)
    faults = faults[faults["fault"].isin(LEFT_OUT)]
    if len(faults):
        reasons = faults["track_id"] + " (" + faults["fault"] + ": " + faults["detail"] + ")"
        n_left_out = faults["track_id"].nunique()
        print(f"left out {n_left_out} of {len(tracks)} tracks: {', '.join(reasons)}")
    kept = tracks[~tracks["track_id"].isin(faults["track_id"])].reset_index(drop=True)
    kept.attrs["found"] = tracks.attrs.get("found", len(tracks))
    return kept


def recordings(tracks: pd.DataFrame) -> pd.Series:
    """Name the recording of each row: the first track that has exactly the same samples.

    Parameters
    ----------
    tracks : DataFrame
        As from `load_tracks`, or any table with the columns track_id and path; a track may have
        many rows, as in a table of slices.

    Returns
    -------
    Series, named "recording", with the index of `tracks`
        The least track_id among the tracks whose files decode to the same samples: a track's own
        where it has no copy, or cannot be read.

    Notes
    -----
    Hardly anything has to be decoded: only files of one length and rate can be equal, and nearly
    all of those already differ in their first second.
    """
    rows = list(zip(tracks["track_id"], tracks["path"], strict=True))
    alike = [sorted(set(rows), key=lambda row: row[0])]
    for look in (read_header, _beginning, _whole):
        alike = [part for group in alike for part in _parts(group, look)]
    firsts = {row: group[0][0] for group in alike for row in group}
    own_names = [firsts.get(row, row[0]) for row in rows]
    return pd.Series(own_names, tracks.index, tracks["track_id"].dtype, name="recording")


def _parts(
    rows: list[tuple[str, Any]], look: Callable[[Path], Hashable]
) -> list[list[tuple[str, Any]]]:
    """Divide tracks by how their files look, and drop those like no other or unreadable."""
    parts: dict[Hashable, list[tuple[str, Any]]] = {}
    for row in rows:
        with suppress(AudioError):
            parts.setdefault(look(Path(str(row[1]))), []).append(row)
    return [part for part in parts.values() if len(part) > 1]


def _beginning(path: Path) -> str:
    # Not the middle: in some formats, samples are not the same where one begins to read there.
    return _hash(decode(path, 0, BEGINNING_SECONDS)[0])


def _whole(path: Path) -> str:
    return _hash(decode(path)[0])


def _hash(samples: NDArray[np.float32]) -> str:
    return hashlib.blake2b(samples.data, digest_size=16).hexdigest()


def _measure_all(tracks: pd.DataFrame) -> pd.DataFrame:
    """Return the measurements of all tracks, beside their track_id and genre."""
    paths = [Path(path) for path in tracks["path"]]
    # Threads: decoding and NumPy let each other run, and no process has to start first.
    outcomes = measured(paths, _measure, "checks", _VERSION, "check tracks", threads=True)
    rows = [
        {"problem": getattr(found, "reason", str(found))}
        if isinstance(found := outcomes[path], Exception)
        else found
        for path in paths
    ]
    table = pd.DataFrame(rows, columns=list(_MEASUREMENTS))
    return table.assign(track_id=tracks["track_id"].to_numpy(), genre=tracks["genre"].to_numpy())


def _measure(path: Path) -> dict[str, Any]:
    samples, sample_rate = decode(path)
    marks = landmarks(samples.mean(axis=1), sample_rate)
    return {
        "problem": "",
        "seconds": len(samples) / sample_rate,
        "sample_rate": sample_rate,
        "channels": samples.shape[1],
        **_silence(samples, sample_rate),
        **_clipping(samples, sample_rate),
        "audio_hash": _hash(samples),
        "hashes": marks.hashes.tolist(),
        "frames": marks.frames.tolist(),
    }


def _silence(samples: NDArray[np.float32], sample_rate: int) -> dict[str, float]:
    """Return the share of frames that are silent in every channel, and their longest stretch."""
    length = min(len(samples), round(FRAME_SECONDS * sample_rate))
    n_frames = len(samples) // length
    frames = samples[: n_frames * length].reshape(n_frames, length, -1)
    loudness = frames.std(axis=1).max(axis=1)  # not the mean square, which an offset would raise
    silent = loudness < 10 ** (SILENCE_DB / 20)
    edges = np.flatnonzero(np.diff(silent, prepend=False, append=False))
    starts, lengths = edges[::2], edges[1::2] - edges[::2]
    return {
        "silent_share": float(silent.mean()),
        "stretch_seconds": float(lengths.max(initial=0) * FRAME_SECONDS),
        "stretch_start": float(starts[lengths.argmax()] * FRAME_SECONDS) if len(starts) else 0.0,
    }


def _clipping(samples: NDArray[np.float32], sample_rate: int) -> dict[str, float]:
    """Return the share of samples in flat tops, in the worst channel, and the seconds that hold
    such tops in any channel."""
    tops = np.stack([_flat_tops(channel) for channel in samples.T])
    length = round(FRAME_SECONDS * sample_rate)
    n_frames = len(np.unique(np.flatnonzero(tops.any(axis=0)) // length))
    return {
        "clipped_share": float(tops.mean(axis=1).max()),
        "clipped_seconds": min(n_frames * FRAME_SECONDS, len(samples) / sample_rate),
    }


def _flat_tops(channel: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Mark the samples that stand in runs of CLIPPED_RUN or more at an extreme near full scale."""
    from scipy.ndimage import binary_opening

    level = 10 ** (CLIPPED_LEVEL_DB / 20)
    extremes = {float(value) for value in (channel.max(), channel.min()) if abs(value) >= level}
    tops = np.zeros(len(channel), bool)
    for value in extremes:
        tops |= binary_opening(channel == value, np.ones(CLIPPED_RUN))
    return tops


def _own_faults(measured: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    for track in measured.itertuples():
        if track.problem:
            yield track.track_id, "unreadable", track.problem
            continue
        if track.seconds < SLICE_SECONDS:
            yield track.track_id, "short", f"{track.seconds:.2f} s"
        if track.silent_share > SILENT_SHARE:
            silent = f"{track.silent_share * track.seconds:.1f} of {track.seconds:.1f} s"
            yield track.track_id, "silent", silent
        elif track.stretch_seconds >= SLICE_SECONDS:
            stretch = f"{track.stretch_seconds:.1f} s from {track.stretch_start:.1f} s"
            yield track.track_id, "silent stretch", stretch
        if track.clipped_share > CLIPPED_SHARE:
            cut_off = f"peaks cut off in {track.clipped_seconds:.1f} of {track.seconds:.1f} s"
            yield track.track_id, "clipped", f"{cut_off} ({track.clipped_share:.1%} of samples)"


def _odd_ones_out(measured: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    """Yield the tracks that differ in length or format, where nearly all others agree."""
    readable = measured[measured["problem"] == ""]
    usual = readable["seconds"].median()
    odd = (readable["seconds"] - usual).abs() > LENGTH_TOLERANCE * usual
    if odd.mean() <= 1 - COMMON_SHARE:
        for track in readable[odd].itertuples():
            yield track.track_id, "unusual length", f"{track.seconds:.1f} s; others {usual:.1f} s"
    formats = [
        f"{rate:.0f} Hz, {channels:.0f} channel{'s' * (channels != 1)}"
        for rate, channels in zip(readable["sample_rate"], readable["channels"], strict=True)
    ]
    formats = pd.Series(formats, index=readable.index, dtype=object)
    counts = formats.value_counts(normalize=True)
    if len(counts) and counts.iloc[0] >= COMMON_SHARE:
        for row in formats.index[formats != counts.index[0]]:
            detail = f"{formats[row]}; others {counts.index[0]}"
            yield measured.loc[row, "track_id"], "unusual format", detail


def _copies(measured: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    """Yield later copies within a genre, and both sides of copies between genres."""
    twins: dict[tuple[str, str], list[str]] = {}
    # What is silent throughout is like everything else that is, and a copy of none.
    sounding = measured[measured["silent_share"] < 1].sort_values("track_id")
    for kind, like, first, second in [*_exact_pairs(sounding), *_near_pairs(sounding)]:
        if first.genre == second.genre:
            twins.setdefault((second.track_id, kind), []).append(like.format(first.track_id))
        else:
            for track, other in ((first, second), (second, first)):
                key = (track.track_id, "copy under another genre")
                twins.setdefault(key, []).append(like.format(other.track_id))
    for (track_id, fault), others in twins.items():
        yield track_id, fault, ", ".join(others)


def _exact_pairs(sounding: pd.DataFrame) -> Iterator[tuple[str, str, Any, Any]]:
    for _, same in sounding.groupby("audio_hash"):
        first, *later = same.itertuples()
        for second in later:
            yield "exact copy", "same samples as {}", first, second


def _near_pairs(sounding: pd.DataFrame) -> Iterator[tuple[str, str, Any, Any]]:
    # Exact copies are told already: one track stands for all of them.
    tracks = list(sounding.drop_duplicates("audio_hash").itertuples())
    marks = [Landmarks(np.array(t.hashes, int), np.array(t.frames, int)) for t in tracks]
    for match in same_recordings(marks):
        like = f"same recording as {{}}, {abs(match.shift_seconds):.1f} s apart"
        yield "near copy", like, tracks[match.first], tracks[match.second]
