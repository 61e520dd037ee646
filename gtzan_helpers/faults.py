"""Finding what is wrong with tracks, and leaving out what nothing can be learned from.

Taught in notebooks/01_explore_the_data.ipynb.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from .audio import AudioError, decode
from .cache import cache_folder, write_atomically
from .fingerprints import Landmarks, landmarks, same_recordings

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
# Below this not even one slice of the kind that lesson 4 cuts fits.
SHORT_SECONDS = 2.0
# GTZAN's lengths differ by 2 %. Lengths are only held against each other where nine in ten agree.
LENGTH_TOLERANCE = 0.1
COMMON_SHARE = 0.9

_VERSION = 1  # of the measurements below: a higher one makes older caches count no more


# What one pass over a track's samples tells; the rest is missing where `problem` is not "".
_MEASUREMENTS = (
    *("problem", "seconds", "sample_rate", "channels"),
    *("silent_share", "clipped_share", "audio_hash", "hashes", "frames"),
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
        are listed); and, for information, "unusual length" and "unusual format", where the others
        agree.

    Notes
    -----
    Results are cached per file, so that a second call takes no time. Peaks cut off before a file
    was compressed to MP3 or resampled are no longer flat, and are not found.

    Taught in notebooks/01_explore_the_data.ipynb. Sturm (2013), "The GTZAN dataset: its contents,
    its faults, their effects on evaluation, and its future use", describes faults of these kinds.
    """
    measured = _measure_all(tracks)
    faults = pd.DataFrame(
        [*_own_faults(measured), *_odd_ones_out(measured), *_copies(measured)],
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


def _measure_all(tracks: pd.DataFrame) -> pd.DataFrame:
    """Return the measurements of all tracks, beside their track_id and genre."""
    from joblib import Parallel, delayed

    # Threads: decoding and NumPy let each other run, and no process has to start first.
    workers = Parallel(n_jobs=-1, prefer="threads", return_as="generator")
    results = workers(delayed(_measured)(Path(path)) for path in tracks["path"])
    rows = list(tqdm(results, "check tracks", len(tracks), leave=False))
    table = pd.DataFrame(rows, columns=list(_MEASUREMENTS))
    return table.assign(track_id=tracks["track_id"].to_numpy(), genre=tracks["genre"].to_numpy())


def _measured(path: Path) -> dict[str, Any]:
    """Measure a track, or recall what was measured before."""
    if not path.is_file():
        return _measure(path)
    facts = path.stat()
    key = repr((_VERSION, str(path.resolve()), facts.st_size, facts.st_mtime_ns))
    cached = cache_folder() / "checks" / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"
    if cached.is_file():
        return json.loads(cached.read_text(encoding="utf-8"))
    measured = _measure(path)
    if not measured["problem"]:  # else tried again: a missing decoder may be there next time
        write_atomically(cached, json.dumps(measured))
    return measured


def _measure(path: Path) -> dict[str, Any]:
    try:
        samples, sample_rate = decode(path)
    except AudioError as error:
        return {"problem": error.reason}
    marks = landmarks(samples.mean(axis=1), sample_rate)
    return {
        "problem": "",
        "seconds": len(samples) / sample_rate,
        "sample_rate": sample_rate,
        "channels": samples.shape[1],
        "silent_share": _silent_share(samples, sample_rate),
        "clipped_share": _clipped_share(samples),
        "audio_hash": hashlib.blake2b(samples.data, digest_size=16).hexdigest(),
        "hashes": marks.hashes.tolist(),
        "frames": marks.frames.tolist(),
    }


def _silent_share(samples: NDArray[np.float32], sample_rate: int) -> float:
    """Return the share of frames that are silent in every channel."""
    length = min(len(samples), round(FRAME_SECONDS * sample_rate))
    n_frames = len(samples) // length
    frames = samples[: n_frames * length].reshape(n_frames, length, -1)
    loudness = frames.std(axis=1).max(axis=1)  # not the mean square, which an offset would raise
    return float(np.mean(loudness < 10 ** (SILENCE_DB / 20)))


def _clipped_share(samples: NDArray[np.float32]) -> float:
    """Return the share of samples that lie in flat tops at the extremes, in the worst channel."""
    level = 10 ** (CLIPPED_LEVEL_DB / 20)
    shares = [0.0]
    for channel in samples.T:
        extremes = [value for value in (channel.max(), channel.min()) if abs(value) >= level]
        in_runs = sum(_samples_in_runs(channel == value) for value in extremes)
        shares.append(in_runs / len(channel))
    return float(max(shares))


def _samples_in_runs(marked: NDArray[np.bool_]) -> int:
    """Count the marked samples that stand in runs of CLIPPED_RUN or more."""
    edges = np.flatnonzero(np.diff(marked, prepend=False, append=False))
    lengths = edges[1::2] - edges[::2]
    return int(lengths[lengths >= CLIPPED_RUN].sum())


def _own_faults(measured: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    for track in measured.itertuples():
        if track.problem:
            yield track.track_id, "unreadable", track.problem
            continue
        if track.seconds < SHORT_SECONDS:
            yield track.track_id, "short", f"{track.seconds:.2f} s"
        if track.silent_share > SILENT_SHARE:
            silent = f"{track.silent_share * track.seconds:.1f} of {track.seconds:.1f} s"
            yield track.track_id, "silent", silent
        if track.clipped_share > CLIPPED_SHARE:
            yield track.track_id, "clipped", f"{track.clipped_share:.1%} of its samples are cut off"


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
