"""Finding what is wrong with tracks, and leaving out what nothing can be learned from.

Taught in notebooks/01_explore_the_data.ipynb.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .audio import (
    FAR_BEYOND,
    FRAME_SECONDS,
    LONGEST_SECONDS,
    display_name,
    mix,
    naming,
    read_blocks,
)
from .copies import Landmarks, landmarks, same_recordings
from .workers import measured

# 60 dB below full scale: below the noise of the tapes and radios that GTZAN was recorded from.
SILENCE_DB = -60.0
# A pause is music; a track that is silent for the greater part is not an example of a genre.
SILENT_SHARE = 0.5
# The mean of two channels is 3 dB weaker than they are if they have nothing to do with each other,
# and 6 dB if only one of them sounds. At 20 dB, one is the other upside down.
CANCELLED_DB = -20.0
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
# Left out tracks are named one by one, with their reasons, unless they are more than these.
MOST_NAMED, FEW_NAMED = 12, 3
# GTZAN's lengths differ by 2 %. Lengths are only held against each other where nine in ten agree.
LENGTH_TOLERANCE = 0.1
COMMON_SHARE = 0.9

_VERSION = 3  # of the measurements below: a higher one makes older caches count no more


# What one pass over a track's samples tells; the rest is missing where `problem` is not "".
_MEASUREMENTS = (
    *("problem", "seconds", "sample_rate", "channels"),
    *("peak", "silent_share", "stretch_seconds", "stretch_start", "cancelled_share"),
    *("clipped_share", "clipped_seconds"),
    *("audio_hash", "hashes", "frames"),
)

LEFT_OUT = (
    *("unreadable", "silent", "short", "out of range", "channels cancel"),
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
        length), "clipped" (badly distorted by peaks cut off), "short" (less than 2 s), "out of
        range" (full scale is passed tenfold, as when numbers of 16 bits are taken for amplitudes),
        "channels cancel" (their mean is silent for more than half of its length, and they are not),
        "exact copy" and "near copy" (of an earlier track of its genre: the same samples, or the
        same recording at another level, shifted, filtered or compressed), "copy under another
        genre" (both tracks are listed); and, for information, "silent stretch" (of 2 s or more, in
        a track that is not "silent"), "long" (only the first five minutes are used, and checked),
        and "unusual length" and "unusual format", where the others agree.

    Raises
    ------
    ValueError
        If the tracks come from a feature file, and have no sound.

    Notes
    -----
    Results are cached per file, so that a second call takes no time. Peaks cut off before a file
    was compressed to MP3 or resampled are no longer flat, and are not found.

    Taught in notebooks/01_explore_the_data.ipynb. Sturm (2013), "The GTZAN dataset: its contents,
    its faults, their effects on evaluation, and its future use", describes faults of these kinds.
    """
    need_sound(tracks)
    found = _measure_all(tracks)
    faults = pd.DataFrame(
        [*_own_faults(found), *_odd_ones_out(found), *_copies(found)],
        columns=["track_id", "fault", "detail"],
    )
    return faults.sort_values(["track_id", "fault"], ignore_index=True)


def usable(tracks: pd.DataFrame) -> pd.DataFrame:
    """Leave out the tracks that nothing can be learned from, and print which and why.

    Unreadable, mostly silent and very short tracks go, and those whose channels cancel each other
    or whose amplitudes are far beyond full scale; so do copies of an earlier track, lest one
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
        n_left_out = faults["track_id"].nunique()
        print(f"left out {n_left_out} of {len(tracks)} tracks: {_in_short(faults)}")
    kept = tracks[~tracks["track_id"].isin(faults["track_id"])].reset_index(drop=True)
    kept.attrs["found"] = tracks.attrs.get("found", len(tracks))
    return kept


def _in_short(faults: pd.DataFrame) -> str:
    """Name faults one by one; where they are many, count them, and name the first few."""
    ids = faults["track_id"].map(display_name)
    if len(faults) <= MOST_NAMED:
        return ", ".join(ids + " (" + faults["fault"] + ": " + faults["detail"] + ")")
    kinds = []
    for fault, names in ids.groupby(faults["fault"]):
        more = ", …" if len(names) > FEW_NAMED else ""
        kinds.append(f"{len(names)} {fault} ({', '.join(names[:FEW_NAMED])}{more})")
    return f"{'; '.join(kinds)}. check_tracks gives the reasons"


def need_sound(tracks: pd.DataFrame) -> None:
    """Refuse tracks of which only features are known."""
    if len(tracks) and (tracks["path"] == "").all():
        raise ValueError(
            "these tracks come from a feature file and have no sound: take tracks from "
            "load_tracks, with the path of a folder that holds their files"
        )


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
    with naming(path):
        return {"problem": "", **_measurements(path)}


def _measurements(path: Path) -> dict[str, Any]:
    """Measure the first minutes of a track block by block: two hours cost no more memory."""
    part = read_blocks(path, 0.0, LONGEST_SECONDS)
    frame = round(FRAME_SECONDS * part.sample_rate)
    digest, levels, peak, n_samples = hashlib.blake2b(digest_size=16), [], 0.0, 0
    tops = [_FlatTops() for _ in range(2 * part.n_channels)]

    def look(block: NDArray[np.float32]) -> NDArray[np.float32]:
        nonlocal peak, n_samples
        mono = mix(block)
        digest.update(block.data)
        levels.append(_levels(block, mono, frame))
        peak = max(peak, float(np.abs(block).max()))
        for channel, above, below in zip(block.T, tops[::2], tops[1::2], strict=True):
            above.add(channel)
            below.add(-channel)
        n_samples += len(block)
        return mono

    marks = landmarks(map(look, part.blocks), part.sample_rate)
    seconds = n_samples / part.sample_rate
    return {
        "seconds": part.file_seconds if part.file_seconds > LONGEST_SECONDS else seconds,
        "sample_rate": part.sample_rate,
        "channels": part.n_channels,
        "peak": peak,
        **_silence(np.concatenate(levels)),
        **_clipping(tops, n_samples, frame, seconds),
        "audio_hash": digest.hexdigest(),
        "hashes": marks.hashes.tolist(),
        "frames": marks.frames.tolist(),
    }


def _levels(
    block: NDArray[np.float32], mono: NDArray[np.float32], frame: int
) -> NDArray[np.float32]:
    """Return the loudness of each frame, in its loudest channel and in the mean of them."""
    frame = min(len(block), frame)
    n_frames = len(block) // frame
    channels = block[: n_frames * frame].reshape(n_frames, frame, -1)
    # Not the mean square, which an offset would raise.
    loudest = channels.std(axis=1).max(axis=1)
    if block.shape[1] == 1:
        return np.stack([loudest, loudest], axis=1)
    return np.stack(
        [loudest, mono[: n_frames * frame].reshape(n_frames, frame).std(axis=1)], axis=1
    )


def _silence(levels: NDArray[np.float32]) -> dict[str, float]:
    """Return the share of frames that are silent in every channel, and their longest stretch, and
    the share of those that are silent only in the mean of the channels."""
    loudest, mean = levels.T
    silent = loudest < 10 ** (SILENCE_DB / 20)
    cancelled = ~silent & (mean < 10 ** (CANCELLED_DB / 20) * loudest)
    edges = np.flatnonzero(np.diff(silent, prepend=False, append=False))
    starts, lengths = edges[::2], edges[1::2] - edges[::2]
    return {
        "silent_share": float(silent.mean()),
        "stretch_seconds": float(lengths.max(initial=0) * FRAME_SECONDS),
        "stretch_start": float(starts[lengths.argmax()] * FRAME_SECONDS) if len(starts) else 0.0,
        "cancelled_share": float(cancelled.mean()),
    }


def _clipping(
    tops: list[_FlatTops], n_samples: int, frame: int, seconds: float
) -> dict[str, float]:
    """Return the share of samples in flat tops, in the worst channel, and the seconds that hold
    such tops in any channel."""
    places = [top.all_places() for top in tops]
    shares = [
        len(above) + len(below) for above, below in zip(places[::2], places[1::2], strict=True)
    ]
    n_frames = len(np.unique(np.concatenate(places) // frame))
    return {
        "clipped_share": max(shares) / n_samples,
        "clipped_seconds": min(n_frames * FRAME_SECONDS, seconds),
    }


class _FlatTops:
    """The samples in runs of CLIPPED_RUN or more at the maximum of a channel, near full scale,
    of which one hears block by block."""

    def __init__(self) -> None:
        self.highest = 10 ** (CLIPPED_LEVEL_DB / 20)
        self.places: list[NDArray[np.int64]] = []
        self.n_samples = 0
        self.last = np.zeros(0, np.float32)  # a run may go on from one block to the next

    def add(self, channel: NDArray[np.float32]) -> None:
        from scipy.ndimage import binary_opening

        values = np.concatenate([self.last, channel])
        maximum = float(values.max())
        if maximum > self.highest:
            self.highest, self.places = maximum, []
        if maximum == self.highest:
            tops = binary_opening(values == maximum, np.ones(CLIPPED_RUN))
            self.places.append(np.flatnonzero(tops) + self.n_samples - len(self.last))
        self.n_samples += len(channel)
        self.last = values[-(CLIPPED_RUN - 1) :]

    def all_places(self) -> NDArray[np.int64]:
        return np.unique(np.concatenate([np.zeros(0, np.int64), *self.places]))


def _own_faults(measured: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    for track in measured.itertuples():
        if track.problem:
            yield track.track_id, "unreadable", track.problem
            continue
        seconds = min(track.seconds, LONGEST_SECONDS)
        if track.seconds > LONGEST_SECONDS:
            used = f"only the first {LONGEST_SECONDS / 60:g} are used"
            yield track.track_id, "long", f"{track.seconds / 60:.1f} min; {used}"
        if track.peak > FAR_BEYOND:
            yield track.track_id, "out of range", f"reaches {track.peak:.0f}, where full scale is 1"
        if track.cancelled_share > SILENT_SHARE:
            silent = f"{track.cancelled_share * seconds:.1f} of {seconds:.1f} s"
            yield track.track_id, "channels cancel", f"their mean is silent for {silent}"
        if track.seconds < SLICE_SECONDS:
            yield track.track_id, "short", f"{track.seconds:.2f} s"
        if track.silent_share > SILENT_SHARE:
            silent = f"{track.silent_share * seconds:.1f} of {seconds:.1f} s"
            yield track.track_id, "silent", silent
        elif track.stretch_seconds >= SLICE_SECONDS:
            stretch = f"{track.stretch_seconds:.1f} s from {track.stretch_start:.1f} s"
            yield track.track_id, "silent stretch", stretch
        if track.clipped_share > CLIPPED_SHARE:
            cut_off = f"peaks cut off in {track.clipped_seconds:.1f} of {seconds:.1f} s"
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
