"""Telling that two tracks come from one recording, though their samples differ.

A recording is known by pairs of peaks in its spectrogram: two frequencies and the time between
them. A change of level, a filter, compression or a shift leaves many of them as they are.

Method: A. Wang (2003), "An industrial-strength audio search algorithm", ISMIR.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .audio import LONGEST_SECONDS, AudioError, naming, read_blocks, read_header

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
# A hash that very many tracks share tells nothing: only so many of its landmarks are compared.
MOST_NEIGHBOURS = 40
FEWEST_LANDMARKS = 30
# Hardly two recordings begin alike for so long, unless they begin with silence.
BEGINNING_SECONDS = 1.0


class Landmarks(NamedTuple):
    """Pairs of spectral peaks: a hash of each, and the frame in which it starts."""

    hashes: NDArray[np.int64]
    frames: NDArray[np.int64]


class Match(NamedTuple):
    """Two tracks of one recording, as places in a list; what is at 0 s in the first one stands at
    `shift_seconds` in the second."""

    first: int
    second: int
    shift_seconds: float


def landmarks(
    samples: NDArray[np.float32] | Iterable[NDArray[np.float32]], sample_rate: int
) -> Landmarks:
    """Return the landmarks of a mono waveform, about 45 for each second of music.

    The waveform may come in blocks, which are not kept.
    """
    from scipy.ndimage import maximum_filter

    spectra = list(_spectra([samples] if isinstance(samples, np.ndarray) else samples, sample_rate))
    if not spectra:
        return Landmarks(np.zeros(0, np.int64), np.zeros(0, np.int64))
    spectrogram = np.concatenate(spectra)
    peaks = maximum_filter(spectrogram, size=NEIGHBOURHOOD) == spectrogram
    # Below -80 dB of the loudest there is only rounding, alike in all files.
    frames, bands = np.nonzero(peaks & (spectrogram > 1e-4 * spectrogram.max()))
    return _pair(frames, bands)


def _spectra(
    blocks: Iterable[NDArray[np.float32]], sample_rate: int
) -> Iterator[NDArray[np.float32]]:
    """Yield some rows of the spectrogram at a time."""
    import scipy.fft

    window, hop = round(WINDOW_SECONDS * sample_rate), round(HOP_SECONDS * sample_rate)
    taper = np.hanning(window).astype(np.float32)
    rest = np.zeros(0, np.float32)
    for block in blocks:
        rest = np.concatenate([rest, block])
        if len(rest) < window:
            continue
        pieces = np.lib.stride_tricks.sliding_window_view(rest, window)[::hop]
        for start in range(0, len(pieces), ROWS):
            tapered = pieces[start : start + ROWS] * taper
            yield np.abs(scipy.fft.rfft(tapered, axis=1)[:, :N_BANDS])
        rest = rest[len(pieces) * hop :]


def _pair(frames: NDArray[np.int64], bands: NDArray[np.int64]) -> Landmarks:
    hashes, starts = [], []
    for ahead in range(1, PARTNERS + 1):
        later = frames[ahead:] - frames[:-ahead]
        higher = bands[ahead:] - bands[:-ahead]
        near = (later >= CLOSEST) & (later < FARTHEST) & (np.abs(higher) < WIDEST)
        mixed = (bands[:-ahead] * 2 * WIDEST + higher + WIDEST) * FARTHEST + later
        hashes.append(mixed[near])
        starts.append(frames[:-ahead][near])
    return Landmarks(np.concatenate(hashes), np.concatenate(starts))


def same_recordings(tracks: Sequence[Landmarks]) -> Iterator[Match]:
    """Yield the pairs of tracks in which many landmarks lie the same time apart.

    Parameters
    ----------
    tracks : sequence of Landmarks
        One for each track.

    Yields
    ------
    Match
        In order of the first track, then the second.
    """
    counts = np.array([len(track.hashes) for track in tracks], np.int64)
    first, second, shifts = _shared(tracks, counts)
    span = 2 * np.abs(shifts).max(initial=0) + 2
    found: dict[tuple[int, int], tuple[int, int]] = {}
    # A shift by half a frame divides its votes between two neighbours: count them together.
    for start in (0, 1):
        # One number for first, second and shift: sorting rows of three would take far longer.
        cells = (first * len(tracks) + second) * span + (shifts + start) // 2 + span // 2
        cells, votes = np.unique(cells, return_counts=True)
        pair, shift = np.divmod(cells, span)
        one, other = np.divmod(pair, len(tracks))
        shorter = np.minimum(counts[one], counts[other])
        enough = votes >= np.maximum(FEWEST_LANDMARKS, SAME_RECORDING * shorter)
        for row in np.flatnonzero(enough):
            both, frames = (one[row], other[row]), 2 * (shift[row] - span // 2) - start
            found[both] = max(found.get(both, (0, 0)), (votes[row], frames))
    for (one, other), (_, frames) in sorted(found.items()):
        yield Match(int(one), int(other), float(frames * HOP_SECONDS))


def _shared(
    tracks: Sequence[Landmarks], counts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return, for each landmark that two tracks share, the two and the frames between."""
    owners = np.repeat(np.arange(len(tracks)), counts)
    nothing = np.zeros(0, np.int64)
    hashes = np.concatenate([nothing, *(track.hashes for track in tracks)])
    frames = np.concatenate([nothing, *(track.frames for track in tracks)])
    order = np.argsort(hashes, kind="stable")  # keeps the tracks in order within a hash
    owners, hashes, frames = owners[order], hashes[order], frames[order]
    shared = []
    for ahead in range(1, MOST_NEIGHBOURS + 1):
        same = (hashes[ahead:] == hashes[:-ahead]) & (owners[ahead:] != owners[:-ahead])
        shift = frames[ahead:][same] - frames[:-ahead][same]
        shared.append((owners[:-ahead][same], owners[ahead:][same], shift))
    first, second, shifts = (np.concatenate(parts) for parts in zip(*shared, strict=True))
    return first, second, shifts


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
        path = Path(str(row[1]))
        with suppress(AudioError), naming(path):
            parts.setdefault(look(path), []).append(row)
    return [part for part in parts.values() if len(part) > 1]


def _beginning(path: Path) -> str:
    # Not the middle: in some formats, samples are not the same where one begins to read there.
    return _hash(path, BEGINNING_SECONDS)


def _whole(path: Path) -> str:
    return _hash(path, LONGEST_SECONDS)


def _hash(path: Path, seconds: float) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for block in read_blocks(path, 0.0, seconds).blocks:
        digest.update(block.data)
    return digest.hexdigest()
