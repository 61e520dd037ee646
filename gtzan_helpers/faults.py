"""Finding what is wrong with tracks, and leaving out what nothing can be learned from.

Lesson: 01_explore_the_data.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .audio import FAR_BEYOND, FRAME_SECONDS, LONGEST_SECONDS, display_name, mix, read_blocks
from .copies import landmarks, same_recordings
from .errors import CourseError
from .workers import measured

# 60 dB below full scale: below the noise of the tapes and radios that GTZAN was recorded from.
SILENCE_DB = -60.0
# A pause is music; a track that is silent for the greater part is not an example of a genre.
SILENT = 0.5
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
# As long as a slice of lesson 6: a shorter track holds none, and a stretch of silence as long may
# become a slice of nothing, under a genre's name.
SLICE_SECONDS = 2.0
# Left out tracks are named one by one, with their reasons, unless they are more than these.
MOST_NAMED = 12
# GTZAN's lengths differ by 2 %. Lengths and formats are only held against each other where nine
# in ten agree.
LENGTH_TOLERANCE, RARE_SHARE = 0.1, 0.1

_VERSION = 5  # of the measurements below: a higher one makes older caches count no more
# What may be wrong with a readable track: the name, in which rows of the table of measurements it
# is so, and what to say of one. All that is measured is in seconds, but for peak and clipped_share.
_RULES = (
    ("long", lambda t: t.seconds > LONGEST_SECONDS, "{minutes:.1f} min; only the first 5 are used"),
    ("short", lambda t: t.seconds < SLICE_SECONDS, "{seconds:.2f} s"),
    ("out of range", lambda t: t.peak > FAR_BEYOND, "reaches {peak:.0f}, where full scale is 1"),
    ("channels cancel", lambda t: t.cancelled > SILENT * t.used, "{cancelled:.1f} of {used:.1f} s"),
    ("silent", lambda t: t.silent > SILENT * t.used, "{silent:.1f} of {used:.1f} s"),
    (
        "silent stretch",
        lambda t: (t.stretch >= SLICE_SECONDS) & (t.silent <= SILENT * t.used),
        "{stretch:.1f} s from {stretch_start:.1f} s",
    ),
    (
        "clipped",
        lambda t: t.clipped_share > CLIPPED_SHARE,
        "peaks cut off in {clipped:.1f} of {used:.1f} s ({clipped_share:.1%} of samples)",
    ),
    ("unusual length", lambda t: t.odd_length, "{seconds:.1f} s; others {usual_length:.1f} s"),
    ("unusual format", lambda t: t.odd_format, "{format}; others {usual_format}"),
)
LEFT_OUT = (
    *("unreadable", "silent", "short", "out of range", "channels cancel"),
    *("exact copy", "near copy", "copy under another genre"),
)


def check_tracks(tracks: pd.DataFrame) -> pd.DataFrame:
    """Decode every track once, and list what is wrong with it.

    Results are kept per file, so that a second call takes no time. Peaks cut off before a file
    was compressed to MP3 or resampled are no longer flat, and are not found. Sturm (2013), "The
    GTZAN dataset: its contents, its faults, their effects on evaluation, and its future use",
    describes faults of these kinds.

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
    CourseError
        If the tracks come from a feature file, and have no sound.

    Examples
    --------
    >>> faults = gh.check_tracks(gh.load_tracks("demo"))
    >>> set(faults["track_id"][faults["fault"] == "clipped"])
    {'reggae.00002'}

    Lesson: 01_explore_the_data.
    """
    table, faults = _measurements(tracks)
    if len(table):
        faults += [*_faults_of_tracks(table), *_copies(table)]
    table = pd.DataFrame(faults, columns=["track_id", "fault", "detail"])
    return table.sort_values(["track_id", "fault"], ignore_index=True)


def copy_pairs(tracks: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the pairs of readable tracks, as from `load_tracks`, that are one recording."""
    table, _ = _measurements(tracks)
    return [pair[:2] for pair in _pairs(table)] if len(table) else []


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

    Examples
    --------
    >>> tracks = gh.usable(gh.load_tracks("demo"))
    left out 5 of 115 tracks: classical.00004 (silent: 6.9 of 10.0 s), ...

    Lesson: 01_explore_the_data and others.
    """
    faults = check_tracks(tracks)
    faults = faults[faults["fault"].isin(LEFT_OUT)]
    if len(faults):
        n_left_out = faults["track_id"].nunique()
        print(f"left out {n_left_out} of {len(tracks)} tracks: {_in_short(faults)}")
    kept = tracks[~tracks["track_id"].isin(faults["track_id"])].reset_index(drop=True)
    kept.attrs["found"] = tracks.attrs.get("found", len(tracks))
    return kept


def _measurements(tracks: pd.DataFrame) -> tuple[pd.DataFrame, list[tuple[str, str, str]]]:
    """Return what is measured of the readable tracks, a row each, and the unreadable ones."""
    need_sound(tracks)
    tracks = tracks.sort_values("track_id")
    paths = [Path(path) for path in tracks["path"]]
    # Threads: decoding and NumPy let each other run, and no process has to start first.
    results = measured(paths, _measure, "checks", _VERSION, "check tracks", threads=True)
    unreadable, rows = [], []
    for track_id, genre, path in zip(tracks["track_id"], tracks["genre"], paths, strict=True):
        if isinstance(result := results[path], Exception):
            unreadable.append((track_id, "unreadable", getattr(result, "reason", str(result))))
        else:
            rows.append({"track_id": track_id, "genre": genre} | result)
    return pd.DataFrame(rows), unreadable


def _in_short(faults: pd.DataFrame) -> str:
    """Name faults one by one, or count them where they are many."""
    if len(faults) > MOST_NAMED:
        counts = faults["fault"].value_counts()
        kinds = ", ".join(f"{count} {fault}" for fault, count in counts.items())
        return f"{kinds}. check_tracks names them, and gives the reasons"
    ids = faults["track_id"].map(display_name)
    return ", ".join(ids + " (" + faults["fault"] + ": " + faults["detail"] + ")")


def need_sound(tracks: pd.DataFrame) -> None:
    """Refuse tracks of which only features are known."""
    if len(tracks) and (tracks["path"] == "").all():
        reason = "these tracks come from a feature file and have no sound"
        raise CourseError(f"{reason}: take tracks from load_tracks, with a folder of sound files")


def _measure(path: Path) -> dict[str, Any]:
    """Measure the first minutes of a track block by block: two hours cost no more memory."""
    sound, blocks = read_blocks(path, 0.0, LONGEST_SECONDS)
    frame = round(FRAME_SECONDS * sound.samplerate)
    digest, peaks, levels, tops = hashlib.blake2b(digest_size=16), [], [], []

    def measure_block(block: NDArray[np.float32]) -> NDArray[np.float32]:
        mono = mix(block)
        digest.update(block.data)
        peaks.append(float(np.abs(block).max()))
        # Not the mean square, which an offset would raise.
        levels.append(_in_frames(np.vstack([block.T, mono]), frame).std(axis=2))
        tops.append(_in_frames(_flat_tops(block.T), frame).mean(axis=2))
        return mono

    marks = landmarks(map(measure_block, blocks), sound.samplerate)
    seconds, stereo = sound.frames / sound.samplerate, "s" * (sound.channels > 1)
    flat = np.hstack(tops)
    return {
        "seconds": seconds,
        "minutes": seconds / 60,
        "used": min(seconds, LONGEST_SECONDS),
        "format": f"{sound.samplerate} Hz, {sound.channels} channel{stereo}",
        "peak": max(peaks),
        "clipped": float(flat.any(axis=0).sum() * FRAME_SECONDS),
        "clipped_share": float(flat.mean(axis=1).max()),  # in the worst channel
        **_silence(np.hstack(levels), min(seconds, LONGEST_SECONDS)),
        "audio_hash": digest.hexdigest(),
        "landmarks": marks.tolist(),
    }


def _in_frames(rows: NDArray, frame: int) -> NDArray:
    """Return rows of samples in frames, shape (n_rows, n_frames, frame); the rest is no frame."""
    frame = min(rows.shape[1], frame)
    n_frames = rows.shape[1] // frame
    return rows[:, : n_frames * frame].reshape(len(rows), n_frames, frame)


def _silence(levels: NDArray[np.float32], seconds: float) -> dict[str, float]:
    """Return the seconds that are silent in every channel, the longest stretch of them, and the
    seconds that are silent only in the mean of the channels, which stands behind them."""
    loudest, mean = levels[:-1].max(axis=0), levels[-1]
    silent = loudest < 10 ** (SILENCE_DB / 20)
    cancelled = ~silent & (mean < 10 ** (CANCELLED_DB / 20) * loudest)
    edges = np.flatnonzero(np.diff(silent, prepend=False, append=False))
    starts, lengths = np.append(edges[::2], 0), np.append(edges[1::2] - edges[::2], 0)
    longest = lengths.argmax()
    return {
        "silent": float(silent.mean()) * seconds,
        "cancelled": float(cancelled.mean()) * seconds,
        "stretch": float(lengths[longest] * FRAME_SECONDS),
        "stretch_start": float(starts[longest] * FRAME_SECONDS),
    }


def _flat_tops(channels: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which samples stand at a channel's largest or least value, in runs of CLIPPED_RUN or
    more, if that is near full scale."""
    from scipy.ndimage import binary_opening

    flat = np.zeros(channels.shape, bool)
    for row, samples in zip(flat, channels, strict=True):
        for top in (samples.max(), samples.min()):
            if abs(top) > 10 ** (CLIPPED_LEVEL_DB / 20):
                row |= binary_opening(samples == top, np.ones(CLIPPED_RUN))
    return flat


def _faults_of_tracks(table: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    length, form = table["seconds"].median(), table["format"].mode()[0]
    table = table.assign(
        usual_length=length,
        usual_format=form,
        odd_length=_if_rare((table["seconds"] - length).abs() > LENGTH_TOLERANCE * length),
        odd_format=_if_rare(table["format"] != form),
    )
    for fault, applies, detail in _RULES:
        for track in table[applies(table)].to_dict("records"):
            yield track["track_id"], fault, detail.format_map(track)


def _if_rare(odd: pd.Series) -> pd.Series:
    return odd & (odd.mean() <= RARE_SHARE)


def _copies(table: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    """Yield later copies within a genre, and both sides of copies between genres."""
    genres = dict(zip(table["track_id"], table["genre"], strict=True))
    details = defaultdict(list)
    for first, second, fault, detail in _pairs(table):
        if genres[first] == genres[second]:
            details[second, fault].append(detail.format(first))
        else:
            details[first, "copy under another genre"].append(detail.format(second))
            details[second, "copy under another genre"].append(detail.format(first))
    for (track_id, fault), parts in details.items():
        yield track_id, fault, ", ".join(parts)


def _pairs(table: pd.DataFrame) -> Iterator[tuple[str, str, str, str]]:
    """Yield two tracks of one recording, the earlier one first, the fault and its detail."""
    # What is silent throughout is like everything else that is, and a copy of none.
    sounding = table[table["silent"] < table["used"]]
    originals = sounding.groupby("audio_hash")["track_id"].transform("first")
    is_copy = sounding["track_id"] != originals
    for first, second in zip(originals[is_copy], sounding["track_id"][is_copy], strict=True):
        yield first, second, "exact copy", "same samples as {}"
    # Exact copies are known by now: one track stands for all of them.
    tracks = sounding[~is_copy]
    ids = list(tracks["track_id"])
    marks = [np.reshape(pairs, (-1, 2)).astype(int) for pairs in tracks["landmarks"]]
    for first, second, shift in same_recordings(marks).itertuples(index=False):
        detail = f"same recording as {{}}, {abs(shift):.1f} s apart"
        yield ids[first], ids[second], "near copy", detail
