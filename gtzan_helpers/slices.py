"""Slices: short, overlapping windows of the waveform, cut without copying."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from .audio import LONGEST_SECONDS, naming, read_track
from .cache import entry, keep
from .faults import need_sound
from .workers import each_file

if TYPE_CHECKING:
    from .networks import SliceBatches

# The 16-bit number for an amplitude of 1; the largest one stored is just below it.
FULL_SCALE = 32768
# Where a track's samples are: in a file of the cache, or in memory where none can be kept.
Samples = Path | NDArray[np.int16]


def cut(
    samples: NDArray, sample_rate: int = 22050, seconds: float = 2.0, hop_seconds: float = 1.0
) -> NDArray:
    """Cut a waveform into overlapping slices, without copying.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        Mono waveform.
    sample_rate : int
        Hz.
    seconds, hop_seconds : float
        Length of a slice, and step from one slice to the next, in seconds.

    Returns
    -------
    ndarray, shape (n_slices, slice_length), a read-only view of `samples`
        A tail shorter than a slice is left out.

    Raises
    ------
    ValueError
        If `samples` is shorter than one slice.

    Examples
    --------
    >>> slices = gh.cut(gh.read_audio("song.mp3"), seconds=2, hop_seconds=1)

    Lesson: 06_slice_waveforms.
    """
    length, hop = _whole_samples(sample_rate, seconds, hop_seconds)
    if len(samples) < length:
        raise ValueError(
            f"the waveform has {len(samples)} samples, less than one slice of {length} "
            f"({seconds:g} s at {sample_rate} Hz): take shorter slices, or leave it out"
        )
    return sliding_window_view(samples, length)[::hop]


class SliceSet:
    """All slices of many tracks, read when they are asked for.

    Each track is decoded once, into a file of 16-bit samples in the cache folder. A slice is a
    place in such a file: overlapping slices share their samples, and memory holds only the batch
    at hand. The file is made again when the track has changed.

    Parameters
    ----------
    tracks : DataFrame
        Tracks to cut, with the columns track_id, genre and path, and artist and recording if the
        slices are to be divided by them, as from `load_tracks`; leave out the unreadable ones with
        `usable`.
    seconds, hop_seconds : float
        Length of a slice, and step from one slice to the next, in seconds.
    sample_rate : int
        Hz. Tracks of another rate are resampled.

    Attributes
    ----------
    table : DataFrame
        One row per slice: track_id, genre, artist and recording of its track, and start (in
        seconds). A tail shorter than a slice is left out, and no slice spans two tracks.
    genres : list of str
        The genres of the slices, sorted; a label is a place in this list.
    too_short : list of str
        Names of the tracks that are shorter than one slice and so have none.
    n_samples, n_hop : int
        Samples in a slice, and from one to the next.

    Raises
    ------
    ValueError
        If every track is shorter than one slice.
    AudioError
        If a track cannot be read.

    Notes
    -----
    `rows` in the methods below says which slices: an array of positions in `table`, or a boolean
    mask over it, such as ``parts == "train"``.

    Examples
    --------
    >>> slices = gh.SliceSet(gh.usable(gh.load_tracks()), seconds=2, hop_seconds=1)
    >>> slices.samples([0, 1]).shape
    (2, 44100)

    Lesson: 06_slice_waveforms, 07_cnn_1d.
    """

    def __init__(
        self,
        tracks: pd.DataFrame,
        seconds: float = 2.0,
        hop_seconds: float = 1.0,
        sample_rate: int = 22050,
    ) -> None:
        self.n_samples, hop = _whole_samples(sample_rate, seconds, hop_seconds)
        self.sample_rate, self.n_hop = sample_rate, hop
        need_sound(tracks)
        self._samples = _decode([Path(path) for path in tracks["path"]], sample_rate)
        lengths = np.array([len(_opened(samples)) for samples in self._samples], int)
        counts = np.maximum(0, (lengths - self.n_samples) // hop + 1)
        if not counts.any():
            raise ValueError(
                f"of {len(tracks)} tracks none is as long as one slice of {seconds:g} s (the "
                f"longest has {lengths.max(initial=0) / sample_rate:.2f} s): take shorter slices"
            )
        self.too_short: list[str] = tracks["track_id"][counts == 0].tolist()
        self._track = np.repeat(np.arange(len(tracks)), counts)
        self._first_sample = hop * np.concatenate([np.arange(count) for count in counts])
        facts = tracks.filter(["track_id", "genre", "artist", "recording"])
        self.table = facts.iloc[self._track].reset_index(drop=True)
        self.table["start"] = self._first_sample / sample_rate
        self.genres: list[str] = sorted(self.table["genre"].unique())
        self._labels = np.searchsorted(self.genres, self.table["genre"].to_numpy(dtype=str))

    def __len__(self) -> int:
        """Return the number of slices."""
        return len(self.table)

    def samples(self, rows: ArrayLike, shift: ArrayLike = 0) -> NDArray[np.float32]:
        """Return the waveforms of some slices, float32 of shape (len(rows), n_samples).

        `shift` moves each slice by some samples, no farther than its track goes.
        """
        positions = self._positions(rows)
        chosen = np.empty((len(positions), self.n_samples), np.float32)
        places = zip(self._track[positions], self._first_sample[positions] + shift, strict=True)
        for row, (track, first) in zip(chosen, places, strict=True):
            samples = _opened(self._samples[track])
            first = min(max(0, first), len(samples) - self.n_samples)
            row[:] = samples[first : first + self.n_samples]
        chosen /= FULL_SCALE
        return chosen

    def labels(self, rows: ArrayLike) -> NDArray[np.int64]:
        """Return the genres of some slices as places in `genres`, of shape (len(rows),)."""
        return self._labels[self._positions(rows)]

    def amplitude(self, rows: ArrayLike) -> float:
        """Return the standard deviation of the tracks that some slices come from.

        A network trains well on waveforms divided by this number. Take it from the training rows,
        so that nothing is learned from the others.
        """
        sums = []
        for track in np.unique(self._track[self._positions(rows)]):
            waveform = _opened(self._samples[track]).astype(np.float64)
            sums.append((len(waveform), waveform.sum(), waveform @ waveform))
        count, total, squares = np.sum(sums, axis=0)
        return float(np.sqrt(squares / count - (total / count) ** 2) / FULL_SCALE)

    def batches(
        self,
        rows: ArrayLike,
        batch_size: int = 64,
        shuffle: bool = True,
        seed: int = 0,
        one_hot: bool = False,
        augment: bool = False,
    ) -> SliceBatches:
        """Return some slices as a Keras data set, to train on or to predict.

        Parameters
        ----------
        rows : array
            Slices to feed, as positions or as a mask.
        batch_size : int
            Slices in a batch.
        shuffle : bool
            Whether to mix the slices anew in every epoch, as training needs. Predictions come in
            the order of `rows` only with False.
        seed : int
            Decides the order of every epoch.
        one_hot : bool
            Whether a label is a row of zeros with a one at its genre, as losses that compare
            probabilities want it, instead of a whole number.
        augment : bool
            Whether a slice begins elsewhere each time, up to half a hop away, is louder or softer
            by up to 6 dB, and upside down in half of all cases: its genre stays the same.

        Returns
        -------
        keras.utils.PyDataset
            Batches of (samples, labels).
        """
        from .networks import SliceBatches  # here, so that slices alone need no Keras

        positions = self._positions(rows)
        return SliceBatches(self, positions, batch_size, shuffle, seed, one_hot, augment)

    def _positions(self, rows: ArrayLike) -> NDArray[np.intp]:
        positions = np.atleast_1d(np.arange(len(self))[np.asarray(rows)])
        if len(positions) == 0:
            raise ValueError("no slices were chosen: check `rows`")
        return positions


def _whole_samples(sample_rate: int, seconds: float, hop_seconds: float) -> tuple[int, int]:
    """Return the length of a slice and the hop, both in samples."""
    length, hop = round(seconds * sample_rate), round(hop_seconds * sample_rate)
    if length < 1 or hop < 1:
        raise ValueError(f"{seconds=} and {hop_seconds=} must last one sample or more")
    return length, hop


def _decode(paths: list[Path], sample_rate: int) -> list[Samples]:
    """Return where the samples of each track are, after reading those that are not kept yet."""
    places: dict[Path, Samples] = {}
    for path in paths:
        with naming(path):
            places[path] = entry("samples", path, "mono int16", sample_rate, LONGEST_SECONDS)
    missing = [path for path, file in places.items() if not file.is_file()]
    read = partial(_read_int16, sample_rate=sample_rate)
    for path, outcome in each_file(missing, read, "read tracks", threads=True):
        if isinstance(outcome, Exception):
            raise outcome
        if not keep(places[path], outcome.data):
            places[path] = outcome
    return [places[path] for path in paths]


def _opened(samples: Samples) -> NDArray[np.int16]:
    """Return the samples of a track; of a file, only what is looked at is read."""
    return np.memmap(samples, np.int16, "r") if isinstance(samples, Path) else samples


def _read_int16(path: Path, sample_rate: int) -> NDArray[np.int16]:
    # Exact for 16-bit files at their own rate. Resampling may pass full scale by a little.
    scaled = np.rint(read_track(path, sample_rate) * FULL_SCALE)
    return np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
