"""What librosa measures: 57 numbers a track, in the schema of GTZAN's published feature file."""

from __future__ import annotations

import hashlib
import io
import json
import os
import warnings
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import librosa
import numpy as np
import pandas as pd
from scipy.ndimage import median_filter

from .audio import read_audio
from .cache import cache_folder, file_state, write_atomically
from .outputs import write_output
from .slices import cut

FRAME_LENGTH = 2048
HOP_LENGTH = 512
N_MFCC = 20
MEDIAN_LENGTH = 31
# Part of every cached result's name: raise it whenever `track_features` gives other values.
RECIPE = 2

MEASURES = (
    "chroma_stft",
    "rms",
    "spectral_centroid",
    "spectral_bandwidth",
    "rolloff",
    "zero_crossing_rate",
    "harmony",
    "perceptr",
)
COEFFICIENTS = tuple(f"mfcc{number}" for number in range(1, N_MFCC + 1))


def _mean_and_variance(names: tuple[str, ...]) -> list[str]:
    return [f"{name}_{statistic}" for name in names for statistic in ("mean", "var")]


FEATURE_NAMES = [*_mean_and_variance(MEASURES), "tempo", *_mean_and_variance(COEFFICIENTS)]
FEATURE_COLUMNS = ["filename", "length", *FEATURE_NAMES, "label"]


# Features of the pieces of a track; a whole track is one piece.
Measured = list[dict[str, float]]


class FeatureError(ValueError):
    """Raised when a feature table cannot be trusted, or none can be made."""


def track_features(samples: np.ndarray, sample_rate: int = 22050) -> dict[str, float]:
    """Measure the 58 numeric columns of the published feature file on one waveform.

    Everything is read from one spectrogram, which makes this several times faster than calling
    librosa once for each feature; the values are those of the published file.

    Parameters
    ----------
    samples : ndarray of float, shape (n_samples,)
        Mono waveform, at least 2048 samples long.
    sample_rate : int
        Hz. The published values belong to 22050 Hz.

    Returns
    -------
    dict
        "length" in samples, then the 57 numbers of `FEATURE_NAMES`, in the order of the file.

    Raises
    ------
    ValueError
        If `samples` is not a mono waveform of finite floats, or is shorter than one frame.

    Notes
    -----
    Taught in notebooks/02_extract_features.ipynb. The recipe is that of features_30_sec.csv:
    frames of 2048 samples every 512, padded by reflection as librosa did before version 0.9.
    """
    samples = _checked_samples(samples)
    spectrum = librosa.stft(samples, n_fft=FRAME_LENGTH, hop_length=HOP_LENGTH, pad_mode="reflect")
    magnitude = np.abs(spectrum)
    power = magnitude**2
    mel_decibels = librosa.power_to_db(_mel_filters(sample_rate) @ power)
    series = {
        "chroma_stft": _chroma(power, sample_rate),
        "rms": librosa.feature.rms(y=samples, pad_mode="reflect"),
        **_spectral_shape(magnitude, sample_rate),
        "zero_crossing_rate": librosa.feature.zero_crossing_rate(samples),
        **_harmony_and_percussion(samples, spectrum, magnitude),
        **_mel_coefficients(mel_decibels),
    }
    values = {"length": samples.size, "tempo": _tempo(mel_decibels, sample_rate)}
    for name, measured in series.items():
        values[f"{name}_mean"] = float(np.mean(measured))
        values[f"{name}_var"] = float(np.var(measured))
    return {name: values[name] for name in ["length", *FEATURE_NAMES]}


def extract_features(
    tracks: pd.DataFrame, n_jobs: int = -1, piece_seconds: float | None = None
) -> pd.DataFrame:
    """Measure all usable tracks, in parallel, and keep each result in the cache.

    Parameters
    ----------
    tracks : DataFrame
        Columns `track_id`, `genre`, `path`, as from `load_tracks`; tracks with a `problem` are
        left out.
    n_jobs : int
        Number of processes; -1 takes every core.
    piece_seconds : float, optional
        Cut each track into pieces of this length, which do not overlap, and measure each of them,
        as in the published features_3_sec.csv; what is left at the end is not measured.

    Returns
    -------
    DataFrame, columns `FEATURE_COLUMNS`
        One row per track in the order of `tracks`, with filename "blues.00000.wav"; or one per
        piece, with "blues.00000.0.wav", "blues.00000.1.wav" and so on. A file that cannot be
        measured is left out, and a warning at the end names it.

    Raises
    ------
    FeatureError
        If not one track can be measured.

    Notes
    -----
    Taught in notebooks/02_extract_features.ipynb, pieces in 03_dense_network.ipynb. A file that
    changes is measured again.
    """
    if "problem" in tracks:
        tracks = tracks[tracks["problem"] == ""]
    outcomes = _measure_files([Path(path) for path in tracks["path"]], n_jobs, piece_seconds)
    rows, reasons = [], []
    for track in tracks.itertuples():
        outcome = outcomes[Path(track.path)]
        if isinstance(outcome, Exception):
            reasons.append(f"{track.track_id} ({outcome})")
            continue
        for number, values in enumerate(outcome):
            piece = "" if piece_seconds is None else f".{number}"
            filename = f"{track.track_id}{piece}.wav"
            rows.append({"filename": filename, "label": track.genre} | values)
    if reasons:
        summary = f"{len(reasons)} of {len(tracks)} tracks could not be measured: "
        warnings.warn(summary + "; ".join(reasons), stacklevel=2)
    if not rows:
        raise FeatureError("no track could be measured: check the column `problem` of the tracks")
    return pd.DataFrame(rows, columns=FEATURE_COLUMNS)


def load_features(source: str | Path | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return tracks and their features: measured, or from a feature file without any audio.

    Parameters
    ----------
    source : str or path, optional
        Feature file, such as the published features_30_sec.csv. By default the environment
        variable GTZAN_FEATURES names it, and without it the usable ones of the tracks that
        `load_tracks` finds are measured.

    Returns
    -------
    tracks : DataFrame
        As from `load_tracks`. From a feature file `path` is "", and artists come from an index.txt
        or tracks.csv beside it, else from Sturm's index, which is fetched where it can be.
    features : DataFrame, columns `FEATURE_COLUMNS`
        Rows in the order of `tracks`. Tracks whose features are all equal are taken for copies;
        the later ones are left out, and both where they are of two genres.

    Raises
    ------
    FeatureError
        If the file is not a feature table.
    DatasetError
        As for `load_tracks`.

    Notes
    -----
    Taught in notebooks/03_dense_network.ipynb.
    """
    from .datasets import load_tracks, usable

    path = source or os.environ.get("GTZAN_FEATURES")
    if path:
        return _tracks_of_file(Path(path).expanduser())
    tracks = usable(load_tracks())
    features = extract_features(tracks)
    measured = tracks["track_id"].isin(track_ids(features))
    return tracks[measured].reset_index(drop=True), features


def read_features(path: str | Path) -> pd.DataFrame:
    """Read a feature file: one of ours, or the published features_30_sec.csv.

    Parameters
    ----------
    path : str or path
        CSV file with the 60 columns of `FEATURE_COLUMNS`, in any order.

    Returns
    -------
    DataFrame, columns `FEATURE_COLUMNS`

    Raises
    ------
    FeatureError
        If the file cannot be read or has no rows, or a column is missing, extra, not numeric or
        not finite.

    Notes
    -----
    Taught in notebooks/02_extract_features.ipynb.
    """
    way_out = "write a fresh one with extract_features and write_features"
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise FeatureError(f"{path} cannot be read as a table ({error}): {way_out}") from error
    faults = ["no rows"] if table.empty else _column_faults(table)
    if faults:
        raise FeatureError(f"{path}: {'; '.join(faults)}: {way_out}")
    return table[FEATURE_COLUMNS]


def write_features(features: pd.DataFrame, path: str | Path) -> None:
    """Write a feature table as a CSV file that `read_features` reads back unchanged.

    Parameters
    ----------
    features : DataFrame, columns `FEATURE_COLUMNS`
    path : str or path
        File to write; an older table is replaced in one step, and no other file.

    Notes
    -----
    Taught in notebooks/02_extract_features.ipynb.
    """
    text = io.StringIO()
    features.to_csv(text, index=False, lineterminator="\n")
    write_output(path, text.getvalue())


def track_ids(features: pd.DataFrame, pieces: bool = False) -> pd.Series:
    """Return the track that each row of a feature table belongs to.

    Parameters
    ----------
    features : DataFrame
        With a column `filename`, such as "blues.00000.wav".
    pieces : bool
        Whether the rows are pieces of tracks, such as "blues.00000.7.wav".

    Returns
    -------
    Series of str, index of `features`, name "track_id"
        The file names without suffix and number of the piece: "blues.00000".

    Notes
    -----
    Taught in notebooks/02_extract_features.ipynb.
    """
    ending = r"\.\d+\.\w+$" if pieces else r"\.\w+$"
    return features["filename"].str.replace(ending, "", regex=True).rename("track_id")


def _tracks_of_file(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the tracks that a feature file knows, and their features, without the copies."""
    features = read_features(path)
    n_genres = features.groupby(FEATURE_NAMES)["label"].transform("nunique")
    copy = features.duplicated(FEATURE_NAMES) | (n_genres > 1)
    if copy.any():
        names = ", ".join(track_ids(features)[copy])
        print(f"left out {copy.sum()} of {len(features)} tracks, copies by their features: {names}")
    kept = features[~copy].reset_index(drop=True)
    ids = track_ids(kept)
    tracks = pd.DataFrame({"track_id": ids, "genre": kept["label"], "path": ""})
    artists = _known_artists(path.parent, ids)
    tracks.insert(2, "artist", [artists.get(track_id, "") for track_id in ids])
    tracks = tracks.assign(seconds=kept["length"] / 22050, sample_rate=22050, problem="")
    tracks.attrs |= {"source": "folder", "found": len(features)}
    return tracks, kept


def _known_artists(folder: Path, ids: pd.Series) -> dict[str, str]:
    """Return artists from a list in the folder, or from Sturm's index, fetched if need be."""
    from .datasets import DatasetError, fetch_index, find_artists

    artists = find_artists([folder], ids)
    if not artists and ids.str.fullmatch(r"[a-z]+\.\d{5}").all():
        try:
            artists = find_artists([folder], ids, fetch_index())
        except DatasetError as error:
            warnings.warn(f"the artists are unknown: {error}", stacklevel=5)
    return artists


def _checked_samples(samples: np.ndarray) -> np.ndarray:
    samples = np.asarray(samples)
    if samples.ndim != 1 or not np.issubdtype(samples.dtype, np.floating):
        raise ValueError(
            f"samples must be a mono waveform of floats, shape (n_samples,), not shape "
            f"{samples.shape} of {samples.dtype}: read the file with read_audio"
        )
    if samples.size < FRAME_LENGTH:
        raise ValueError(
            f"a waveform of {samples.size} samples is too short to measure: it needs at least "
            f"one frame of {FRAME_LENGTH}"
        )
    # In 32 bits, larger amplitudes than this would overflow once squared and summed.
    if not np.abs(samples).max() < 1e6:
        raise ValueError("samples hold amplitudes that are not finite, or far outside -1 to 1")
    return samples.astype(np.float32)


@lru_cache(maxsize=4)
def _mel_filters(sample_rate: int) -> np.ndarray:
    return librosa.filters.mel(sr=sample_rate, n_fft=FRAME_LENGTH)


def _chroma(power: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return how the energy of each frame spreads over the 12 pitch classes."""
    tuning = _tuning(power, sample_rate)
    return librosa.feature.chroma_stft(S=power, sr=sample_rate, tuning=tuning)


def _tuning(power: np.ndarray, sample_rate: int) -> float:
    """Return how far the recording is tuned off A440, in fractions of a semitone.

    This is librosa.estimate_tuning on the lower half of the bins. It looks for pitches below
    4 kHz, and the lower half alone is a spectrogram of the same music at half the sample rate.
    """
    loudest = power.max(axis=0)
    if sample_rate >= 16000:
        power, sample_rate = power[: FRAME_LENGTH // 4 + 1], sample_rate / 2
    pitches, strengths = librosa.piptrack(S=power, sr=sample_rate, ref=0.1 * loudest)
    pitches, strengths = pitches[pitches > 0], strengths[pitches > 0]
    if pitches.size == 0:
        return 0.0
    return librosa.pitch_tuning(pitches[strengths >= np.median(strengths)])


def _spectral_shape(magnitude: np.ndarray, sample_rate: int) -> dict[str, np.ndarray]:
    """Return centre, width and 85 % point of each frame's spectrum, in Hz.

    Centre and width are the mean and the standard deviation of frequency, weighted by magnitude,
    so three sums give both: of the weights, of frequency, and of frequency squared.
    """
    frequencies = librosa.fft_frequencies(sr=sample_rate, n_fft=FRAME_LENGTH)
    total, first, second = np.vander(frequencies, 3, increasing=True).T @ magnitude.astype(float)
    total[total == 0] = 1  # a silent frame: both sums are zero as well
    centre = first / total
    width = np.sqrt(np.maximum(second / total - centre**2, 0))
    cumulative = np.cumsum(magnitude, axis=0)
    below = (cumulative < 0.85 * cumulative[-1]).sum(axis=0)
    return {
        "spectral_centroid": centre,
        "spectral_bandwidth": width,
        "rolloff": frequencies[below],
    }


def _harmony_and_percussion(
    samples: np.ndarray, spectrum: np.ndarray, magnitude: np.ndarray
) -> dict[str, np.ndarray]:
    """Split the waveform into what lasts in time and what spreads over frequency.

    Median filtering along each axis (Fitzgerald 2010), then a soft mask. The published values
    come from waveforms that end with the last whole hop and are filled up with zeros.
    """
    lasting = _running_median(magnitude) ** 2
    spreading = _running_median(magnitude.T).T ** 2
    both = lasting + spreading
    mask = np.divide(lasting, both, out=np.full_like(both, 0.5), where=both > 0)
    harmony = librosa.istft(spectrum * mask, n_fft=FRAME_LENGTH, hop_length=HOP_LENGTH)
    # The two parts add up to the waveform itself, so a second inverse transform is not needed.
    percussion = samples[: harmony.size] - harmony
    return {
        "harmony": librosa.util.fix_length(harmony, size=samples.size),
        "perceptr": librosa.util.fix_length(percussion, size=samples.size),
    }


def _running_median(rows: np.ndarray) -> np.ndarray:
    """Return the median of 31 neighbours along each row, mirrored at its ends.

    One filter runs over all rows laid end to end: SciPy's one-dimensional filter (since 1.15) is
    about ten times faster than its two-dimensional one. The mirrored ends keep the rows apart.
    """
    margin = MEDIAN_LENGTH // 2
    padded = np.pad(rows, ((0, 0), (margin, margin)), mode="symmetric")
    filtered = median_filter(padded.ravel(), size=MEDIAN_LENGTH)
    return filtered.reshape(padded.shape)[:, margin:-margin]


def _tempo(mel_decibels: np.ndarray, sample_rate: int) -> float:
    """Return the beats per minute that librosa.beat.beat_track starts from; 0 if none are heard.

    It differs from librosa.feature.tempo in taking the median over mel bands, not their mean.
    """
    onsets = librosa.onset.onset_strength(S=mel_decibels, sr=sample_rate, aggregate=np.median)
    if not onsets.any():
        return 0.0
    return float(librosa.feature.tempo(onset_envelope=onsets, sr=sample_rate)[0])


def _mel_coefficients(mel_decibels: np.ndarray) -> dict[str, np.ndarray]:
    """Return the 20 mel-frequency cepstral coefficients, each over all frames."""
    coefficients = librosa.feature.mfcc(S=mel_decibels, n_mfcc=N_MFCC)
    return dict(zip(COEFFICIENTS, coefficients, strict=True))


def _measure_files(
    paths: list[Path], n_jobs: int, piece_seconds: float | None
) -> dict[Path, Measured | Exception]:
    """Return the features of each file, from the cache where it has them, or the error."""
    cache_files = {path: _cache_file(path, piece_seconds) for path in paths}
    outcomes = {path: _read_cached(cache_files[path]) for path in paths}
    missing = [path for path, values in outcomes.items() if values is None]
    fresh = _measure_in_parallel(missing, n_jobs, piece_seconds)
    for path, outcome in zip(missing, fresh, strict=True):
        outcomes[path] = outcome
        if not isinstance(outcome, Exception):
            write_atomically(cache_files[path], json.dumps(outcome))
    return outcomes


def _measure_in_parallel(
    paths: list[Path], n_jobs: int, piece_seconds: float | None
) -> Iterator[Measured | Exception]:
    """Yield the features of each file in turn, or the error that came instead, with progress."""
    from joblib import Parallel, delayed
    from tqdm import tqdm

    # One file is not worth the second that a new process takes to start.
    n_jobs = n_jobs if len(paths) > 1 else 1
    if n_jobs != 1:
        _have_librosa_compiled()
    workers = Parallel(n_jobs=n_jobs, return_as="generator")
    outcomes = workers(delayed(_measure_file)(path, piece_seconds) for path in paths)
    yield from tqdm(outcomes, total=len(paths), desc="measuring tracks", leave=False)
    _end_idle_processes()


def _have_librosa_compiled() -> None:
    """Have librosa compile what it compiles at first use, and keeps on disk, before others do.

    Two processes that compile the same at once can leave a mixture of both behind, and every
    program that loads it crashes.
    """
    track_features(np.random.default_rng(0).standard_normal(5 * 22050, dtype=np.float32))


def _end_idle_processes() -> None:
    """End joblib's processes, which would wait for more work in 300 MB each."""
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=False)


def _measure_file(path: Path, piece_seconds: float | None) -> Measured | Exception:
    try:
        samples = read_audio(path)
        pieces = [samples] if piece_seconds is None else _pieces(samples, piece_seconds)
        return [track_features(piece) for piece in pieces]
    except (OSError, ValueError, RuntimeError) as error:
        return error


def _pieces(samples: np.ndarray, seconds: float) -> np.ndarray:
    """Return a view of the waveform, shape (n_pieces, n_samples)."""
    if len(samples) < round(seconds * 22050):
        raise ValueError(f"shorter than a piece of {seconds:g} s")
    return cut(samples, seconds=seconds, hop_seconds=seconds)


def _cache_file(path: Path, piece_seconds: float | None) -> Path:
    """Return where the features of a file are kept: another name as soon as the file changes."""
    state = file_state(path) if path.exists() else (path,)
    key = f"{' '.join(map(str, state))} recipe {RECIPE}"
    key += f" pieces of {piece_seconds:g} s" if piece_seconds is not None else ""
    return cache_folder() / "features" / f"{hashlib.sha256(key.encode()).hexdigest()}.json"


def _read_cached(path: Path) -> Measured | None:
    try:
        pieces = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(pieces, list) or not all(isinstance(piece, dict) for piece in pieces):
        return None
    complete = all(list(piece) == ["length", *FEATURE_NAMES] for piece in pieces)
    return pieces if pieces and complete else None


def _column_faults(table: pd.DataFrame) -> list[str]:
    """Return what is wrong with the columns of a feature table, a phrase for each kind of fault."""
    present = [name for name in ["length", *FEATURE_NAMES] if name in table]
    numeric = [name for name in present if pd.api.types.is_numeric_dtype(table[name])]
    texts = [name for name in ("filename", "label") if name in table]
    bad = [name for name in numeric if not np.isfinite(table[name]).all()]
    faults = {
        "missing columns": [name for name in FEATURE_COLUMNS if name not in table],
        "unknown columns": [name for name in table if name not in FEATURE_COLUMNS],
        "columns that are not numeric": [name for name in present if name not in numeric],
        "columns with missing or infinite values": bad
        + [name for name in texts if table[name].isna().any()],
    }
    return [f"{fault} {', '.join(names)}" for fault, names in faults.items() if names]
