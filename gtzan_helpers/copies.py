"""Telling that two tracks come from one recording, though their samples differ.

A recording is known by pairs of peaks in its spectrogram: two frequencies and the time between
them. A change of level, a filter, compression or a shift leaves many of them as they are.

Method: A. Wang (2003), "An industrial-strength audio search algorithm", ISMIR.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .audio import LONGEST_SECONDS, AudioError, read_blocks, read_header

# Windows as long as 1024 samples at 22 050 Hz, whatever the rate, so that landmarks compare.
WINDOW_SECONDS = 1024 / 22050
HOP_SECONDS = WINDOW_SECONDS / 4
N_BANDS = 232  # up to 5 kHz: what a radio or tape lets through
ROWS = 512  # of the spectrogram that are made at once
# A peak is the largest value within half a second and 450 Hz.
NEIGHBOURHOOD = (41, 21)
# The numbers of a pair must fit into the bits of its hash.
CLOSEST, FARTHEST, WIDEST = 4, 64, 64
PARTNERS = 7

# Share of the shorter track's landmarks that must agree on one shift. Of 1225 pairs of different
# GTZAN tracks none passes 0.4 %; re-encoded, filtered, noisy or shifted copies reach 20 % or more.
SAME_RECORDING = 0.1
FEWEST_LANDMARKS = 30
# A hash that occurs more often tells little, and would be compared with itself too often: of 550
# GTZAN tracks one landmark in a thousand has such a hash.
MOST_ALIKE = 40
# Hardly two recordings begin alike for so long, unless they begin with silence.
BEGINNING_SECONDS = 1.0


def landmarks(blocks: Iterable[NDArray[np.float32]], sample_rate: int) -> NDArray[np.int64]:
    """Find pairs of spectral peaks in a mono waveform, about 45 for each second of music.

    Parameters
    ----------
    blocks : iterable of ndarray, shape (n_samples,)
        The waveform in pieces, which are not kept.
    sample_rate : int
        Hz.

    Returns
    -------
    ndarray, shape (n_landmarks, 2)
        A hash of each pair, and the frame in which it starts.
    """
    from scipy.ndimage import maximum_filter

    spectra = list(_spectra(blocks, sample_rate))
    if not spectra:
        return np.zeros((0, 2), int)
    spectrogram = np.concatenate(spectra)
    peaks = maximum_filter(spectrogram, size=NEIGHBOURHOOD) == spectrogram
    # Below -80 dB of the loudest there is only rounding, alike in all files.
    frames, bands = np.nonzero(peaks & (spectrogram > 1e-4 * spectrogram.max()))
    pairs = []
    for ahead in range(1, PARTNERS + 1):
        start, low = frames[:-ahead], bands[:-ahead]
        later, higher = frames[ahead:] - start, bands[ahead:] - low
        near = (later >= CLOSEST) & (later < FARTHEST) & (np.abs(higher) < WIDEST)
        hashes = (low * 2 * WIDEST + higher + WIDEST) * FARTHEST + later
        pairs.append(np.column_stack([hashes, start])[near])
    return np.concatenate(pairs)


def _spectra(
    blocks: Iterable[NDArray[np.float32]], sample_rate: int
) -> Iterator[NDArray[np.float32]]:
    """Yield some rows of the spectrogram at a time."""
    from scipy.fft import rfft

    window, hop = round(WINDOW_SECONDS * sample_rate), round(HOP_SECONDS * sample_rate)
    taper = np.hanning(window).astype(np.float32)
    rest = np.zeros(0, np.float32)
    for block in blocks:
        rest = np.concatenate([rest, block])
        if len(rest) < window:
            continue
        pieces = np.lib.stride_tricks.sliding_window_view(rest, window)[::hop]
        for start in range(0, len(pieces), ROWS):
            yield np.abs(rfft(pieces[start : start + ROWS] * taper)[:, :N_BANDS])
        rest = rest[len(pieces) * hop :]


def same_recordings(tracks: Sequence[NDArray[np.int64]]) -> pd.DataFrame:
    """List the pairs of tracks in which many landmarks lie the same time apart.

    Parameters
    ----------
    tracks : sequence of ndarray
        The landmarks of each track.

    Returns
    -------
    DataFrame, sorted by first and second
        first, second (places in `tracks`), and shift_seconds: what is at 0 s in the first one
        stands there in the second.
    """
    counts = np.array([len(marks) for marks in tracks], int)
    table = pd.DataFrame(np.concatenate([np.zeros((0, 2), int), *tracks]), columns=["hash", "at"])
    table["track"] = np.repeat(np.arange(len(tracks)), counts)
    table = table[table.groupby("hash")["hash"].transform("size") <= MOST_ALIKE]
    pairs = table.merge(table, on="hash", suffixes=("_of_first", "_of_second"))
    pairs = pairs[pairs["track_of_first"] < pairs["track_of_second"]]
    shift = pairs["at_of_second"] - pairs["at_of_first"]
    pairs = pairs[["track_of_first", "track_of_second"]].set_axis(["first", "second"], axis=1)
    # A shift by half a frame divides its votes between two neighbours: count them together.
    both = [pairs.assign(shift=shift), pairs.assign(shift=shift - 1)]
    votes = pd.concat(both).value_counts()
    votes = votes[votes >= FEWEST_LANDMARKS].reset_index(name="votes")
    shorter = np.minimum(counts[votes["first"]], counts[votes["second"]])
    votes = votes[votes["votes"] >= SAME_RECORDING * shorter]
    best = votes.sort_values(["votes", "shift"]).drop_duplicates(["first", "second"], keep="last")
    best["shift_seconds"] = best["shift"] * HOP_SECONDS
    columns = ["first", "second", "shift_seconds"]
    return best[columns].sort_values(columns, ignore_index=True)


def recordings(tracks: pd.DataFrame) -> pd.Series:
    """Name the recording of each row: the first track that has exactly the same samples.

    Hardly anything has to be decoded: only files of one length and rate can be equal, and nearly
    all of those already differ in their first second.

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
    """
    rows = list(zip(tracks["track_id"], tracks["path"], strict=True))
    alike = [sorted(set(rows), key=lambda row: row[0])]
    # Not the middle: in some formats, samples are not the same where one begins to read there.
    beginning = partial(_hash, seconds=BEGINNING_SECONDS)
    for look in (read_header, beginning, partial(_hash, seconds=LONGEST_SECONDS)):
        alike = [part for group in alike for part in _parts(group, look)]
    firsts = {row: group[0][0] for group in alike for row in group}
    names = [firsts.get(row, row[0]) for row in rows]
    return pd.Series(names, tracks.index, tracks["track_id"].dtype, name="recording")


def _parts(rows: list[tuple], look: Callable[[Path], Hashable]) -> Iterator[list[tuple]]:
    """Divide tracks by how their files look, and drop those like no other or unreadable."""
    parts = defaultdict(list)
    for row in rows:
        with suppress(AudioError, OSError, MemoryError):
            parts[look(Path(str(row[1])))].append(row)
    return (part for part in parts.values() if len(part) > 1)


def _hash(path: Path, seconds: float) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for block in read_blocks(path, 0.0, seconds)[1]:
        digest.update(block.data)
    return digest.hexdigest()
