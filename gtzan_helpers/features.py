"""What librosa measures: 57 numbers a track, in the schema of GTZAN's published feature file."""

from __future__ import annotations

import warnings
from functools import lru_cache, partial
from pathlib import Path
from textwrap import shorten

import librosa
import numpy as np
import pandas as pd
from scipy.ndimage import median_filter

from .audio import read_track
from .downloads import fetch_index
from .errors import CourseError
from .lists import DEMO, demo_artists, find_artists, is_gtzans
from .measured import FIVE, is_measured, read_measured
from .outputs import write_output
from .slices import cut
from .splits import connected_rows
from .tables import read_table, track_name, tracks_of_pieces, warn_of_genres_alike
from .workers import measured

FRAME_LENGTH = 2048
HOP_LENGTH = 512
SAMPLE_RATE = 22050  # Hz, of the published values
N_MFCC = 20
MEDIAN_LENGTH = 31
PIECE_SECONDS = 3.0  # of the published features_3_sec.csv
# Part of every cached result's name: raise it whenever `track_features` gives other values.
RECIPE = 3

MEASURES = ["chroma_stft", "rms", "spectral_centroid", "spectral_bandwidth", "rolloff"]
MEASURES += ["zero_crossing_rate", "harmony", "perceptr"]
COEFFICIENTS = [f"mfcc{number}" for number in range(1, N_MFCC + 1)]
FEATURE_NAMES = [f"{name}_{of}" for name in MEASURES + COEFFICIENTS for of in ("mean", "var")]
FEATURE_NAMES.insert(2 * len(MEASURES), "tempo")
FEATURE_COLUMNS = ["filename", "length", *FEATURE_NAMES, "label"]


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

    Notes
    -----
    The recipe is that of features_30_sec.csv: frames of 2048 samples every 512, padded by
    reflection as librosa did before version 0.9.

    Examples
    --------
    >>> gh.track_features(gh.read_audio("song.mp3"))["tempo"]

    Lesson: 03_extract_features, 08_compare_and_use.
    """
    librosa.util.valid_audio(samples)
    if samples.ndim != 1 or samples.size < FRAME_LENGTH:
        raise ValueError(
            f"samples of shape {samples.shape} are too short, or not mono: one frame has "
            f"{FRAME_LENGTH} samples"
        )
    samples = samples.astype(np.float32)
    spectrum = librosa.stft(samples, n_fft=FRAME_LENGTH, hop_length=HOP_LENGTH, pad_mode="reflect")
    magnitude = np.abs(spectrum)
    power = magnitude**2
    mel_decibels = librosa.power_to_db(_mel_filters(sample_rate) @ power)
    coefficients = librosa.feature.mfcc(S=mel_decibels, n_mfcc=N_MFCC)
    tuning = _tuning(power, sample_rate)
    series = {
        "chroma_stft": librosa.feature.chroma_stft(S=power, sr=sample_rate, tuning=tuning),
        "rms": librosa.feature.rms(y=samples, pad_mode="reflect"),
        **_spectral_shape(magnitude, sample_rate),
        "zero_crossing_rate": librosa.feature.zero_crossing_rate(samples),
        **_harmony_and_percussion(samples, spectrum, magnitude),
        **dict(zip(COEFFICIENTS, coefficients, strict=True)),
    }
    values = {"length": samples.size, "tempo": _tempo(mel_decibels, sample_rate)}
    for name, numbers in series.items():
        values[f"{name}_mean"] = float(np.mean(numbers))
        values[f"{name}_var"] = float(np.var(numbers))
    return {name: values[name] for name in ["length", *FEATURE_NAMES]}


def mel_spectrogram(samples: np.ndarray, sample_rate: int = 22050, n_bands: int = 64) -> np.ndarray:
    """Return the mel spectrogram of a waveform, as a network is shown it.

    Parameters
    ----------
    samples : ndarray of float, shape (n_samples,)
        Mono waveform.
    sample_rate : int
        Hz.
    n_bands : int
        How many bands the frequencies are put in.

    Returns
    -------
    ndarray of float32, shape (n_frames, n_bands)
        Decibels, not more than 80 below the loudest of the waveform; frames of 2048 samples, every
        1024 samples.

    Examples
    --------
    >>> gh.mel_spectrogram(gh.read_audio("song.mp3")).shape

    Lesson: 09_go_further.
    """
    options = {"n_fft": FRAME_LENGTH, "hop_length": FRAME_LENGTH // 2, "n_mels": n_bands}
    power = librosa.feature.melspectrogram(y=samples, sr=sample_rate, **options)
    return librosa.power_to_db(power).T.astype(np.float32)


def extract_features(
    tracks: pd.DataFrame, n_jobs: int = -1, piece_seconds: float | None = None
) -> pd.DataFrame:
    """Measure all usable tracks, in parallel; a file is measured again only when it changes.

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
    DataFrame, columns `track_id` and `FEATURE_COLUMNS`
        One row per track in the order of `tracks`, with filename "blues.00000.wav"; or one per
        piece, with "blues.00000.0.wav", "blues.00000.1.wav" and so on, and the track_id of its
        track. A file that cannot be measured is left out, and a warning at the end names it.

    Raises
    ------
    CourseError
        If not one track can be measured.

    Examples
    --------
    >>> features = gh.extract_features(gh.usable(gh.load_tracks()))
    >>> features[["track_id", "tempo", "label"]]

    Lesson: 03_extract_features.
    """
    if "problem" in tracks:
        tracks = tracks[tracks["problem"] == ""]
    measure = partial(_measure_file, piece_seconds=piece_seconds)
    paths = [Path(path) for path in tracks["path"]]
    version = (RECIPE, piece_seconds)
    outcomes = measured(paths, measure, "features", version, "measure tracks", n_jobs)
    rows, reasons = [], []
    for track, path in zip(tracks.itertuples(), paths, strict=True):
        outcome = outcomes[path]
        if isinstance(outcome, Exception):
            reasons.append(f"{track.track_id} ({outcome})")
            continue
        for number, values in enumerate(outcome):
            piece = "" if piece_seconds is None else f".{number}"
            names = {"track_id": track.track_id, "filename": f"{track.track_id}{piece}.wav"}
            rows.append(names | values | {"label": track.genre})
    if reasons:
        summary = f"{len(reasons)} of {len(tracks)} tracks could not be measured: "
        warnings.warn(summary + "; ".join(reasons), stacklevel=2)
    if not rows:
        raise CourseError("no track could be measured: check the column `problem` of the tracks")
    return pd.DataFrame(rows)


def load_features(source: str | Path, pieces: bool = False) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return tracks and their features from a table, without any audio.

    Parameters
    ----------
    source : str or path
        "gtzan-five", the measured features of 500 real tracks, which come with the course; or a
        feature file, such as the published features_30_sec.csv.
    pieces : bool
        Whether to return the features of pieces of 3 seconds instead of whole tracks, of
        "gtzan-five". A feature file is what it is.

    Returns
    -------
    tracks : DataFrame
        As from `load_tracks`, but `path` is ""; and for a feature file artists come from
        an index.txt or tracks.csv beside it, else from Sturm's index, which is fetched where it can
        be. Pieces, such as those of the published features_3_sec.csv, have a row each, with the
        track_id, artist and recording of their track. The 21 copies among the tracks of
        "gtzan-five" are those whose recording stands above already.
    features : DataFrame, columns `track_id` and `FEATURE_COLUMNS`
        Rows in the order of `tracks`. In a feature file, rows whose features are all equal are
        taken for copies; the later ones are left out, and all where they are of several genres.

    Raises
    ------
    CourseError
        If the file is not a feature table, two files in it go by one name, or a track by two
        genres.

    Examples
    --------
    >>> tracks, features = gh.load_features("gtzan-five")
    >>> parts = gh.split(tracks, by="artist")

    Lesson: 01_explore_the_data and others.
    """
    if not is_measured(source):
        return _tracks_of_file(Path(source).expanduser())
    name = FIVE if str(source) == FIVE else "folder"
    tracks = read_measured(source, "tracks").assign(path="", problem="", source=name)
    features = read_measured(source, "pieces" if pieces else "features")
    tracks = tracks.set_index("track_id", drop=False).loc[features["track_id"]]
    if pieces:
        tracks["seconds"] = features["length"].to_numpy() / SAMPLE_RATE
    return tracks.reset_index(drop=True), features


def read_features(path: str | Path) -> pd.DataFrame:
    """Read a feature file: one of ours, or the published features_30_sec.csv.

    Parameters
    ----------
    path : str or path
        CSV file with the 60 columns of `FEATURE_COLUMNS`, in any order; separated by commas,
        semicolons (then with decimal points or commas) or tabs.

    Returns
    -------
    DataFrame, columns `track_id` and `FEATURE_COLUMNS`
        The track_id is the file name without folder and suffix, "blues.00000"; pieces of a track,
        which are known by names like "blues.00000.7.wav", have that of their track.

    Raises
    ------
    CourseError
        If the file cannot be read or has no rows, or a column is missing, extra, not numeric or
        not finite, or a name or label is empty.

    Examples
    --------
    >>> features = gh.read_features("features_30_sec.csv")

    Lesson: 03_extract_features.
    """
    way_out = "correct it, or write a fresh one with extract_features and write_features"
    table, separator = read_table(path)
    numbers = table.columns.intersection(["length", *FEATURE_NAMES])
    if separator != ",":
        table[numbers] = table[numbers].replace(",", ".", regex=True)
    table[numbers] = table[numbers].apply(pd.to_numeric, errors="coerce").astype(float)
    if faults := _column_faults(table):
        raise CourseError(f"{path}: {faults}: {way_out}")
    warn_of_genres_alike(table["label"])
    table["length"] = table["length"].astype(int)
    names = pd.Series(list(map(track_name, table["filename"], table["label"])), dtype=str)
    table["track_id"] = tracks_of_pieces(names, table["label"], table["length"] / SAMPLE_RATE)
    return table[["track_id", *FEATURE_COLUMNS]]


def write_features(features: pd.DataFrame, path: str | Path) -> None:
    """Write a feature table as a CSV file that `read_features` reads back unchanged.

    Parameters
    ----------
    features : DataFrame, columns `FEATURE_COLUMNS`
        `track_id` is not written: it is in the file names.
    path : str or path
        File to write; an older table is replaced in one step, and no other file.

    Examples
    --------
    >>> gh.write_features(features, "features.csv")

    Lesson: 03_extract_features.
    """
    table = features.drop(columns="track_id", errors="ignore")
    write_output(path, table.to_csv(index=False, lineterminator="\n"))


def _tracks_of_file(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the tracks that a feature file knows, and their features, without the copies."""
    features = read_features(path)
    _refuse_mixed_up(path, features)
    ids, genres = features["track_id"], features["label"]
    equal = features.groupby(FEATURE_NAMES).ngroup()  # a number for each set of equal rows
    groups = connected_rows(pd.DataFrame({"track": ids, "equal": equal}))
    tracks = pd.DataFrame({"track_id": ids, "genre": genres})
    tracks["artist"] = ids.map(_known_artists(path.parent, features)).fillna("").astype(str)
    tracks = tracks.assign(path="", seconds=features["length"] / SAMPLE_RATE)
    tracks = tracks.assign(sample_rate=SAMPLE_RATE, problem="")
    tracks["recording"] = ids.groupby(groups).transform("first")
    tracks["source"] = "folder"
    copies = equal.duplicated() | (genres.groupby(equal).transform("nunique") > 1)
    if copies.any():
        names = shorten(", ".join(ids[copies].unique()), 90, placeholder=" and more")
        print(f"left out {copies.sum()} of {len(ids)} rows, copies by their features: {names}")
    tracks, features = (table[~copies].reset_index(drop=True) for table in (tracks, features))
    if (n_tracks := tracks["track_id"].nunique()) < len(tracks):
        print(f"{len(tracks)} rows are pieces of {n_tracks} tracks, by their names")
    tracks.attrs["found"] = ids.nunique()
    return tracks, features


def _refuse_mixed_up(path: Path, features: pd.DataFrame) -> None:
    """Refuse two files that go by one name, such as a/blues.00000 and b/blues.00000."""
    ids, names = features["track_id"], features["filename"]
    places = names.str.extract(r"^(.*)[/\\]")[0].fillna("") + "/" + features["label"]
    mixed = (places.groupby(ids).transform("nunique") > 1) | names.duplicated()
    if mixed.any():
        raise CourseError(
            f"{path} has more than one file for track {ids[mixed.idxmax()]}, in two folders, of "
            "two genres or with two rows: rename one, or remove it"
        )


def _known_artists(folder: Path, features: pd.DataFrame) -> dict[str, str]:
    """Return artists from a list in the folder, or from Sturm's index, fetched if need be."""
    ids, places = features["track_id"], [folder]
    seconds = features["length"].groupby(ids).sum().median() / SAMPLE_RATE
    # The demo's tracks are called like GTZAN's, but last ten seconds.
    if ids.isin(demo_artists()).all() and 9 <= seconds <= 10.1:
        places.append(DEMO)
    artists = find_artists(places, ids)
    if artists is None and ids.map(is_gtzans).all():
        try:
            artists = find_artists(places, ids, fetch_index())
        except CourseError as error:
            warnings.warn(f"the artists are unknown: {error}", stacklevel=4)
    return artists or {}


def _column_faults(table: pd.DataFrame) -> str:
    """Return what is wrong with the columns of a feature table, "" if nothing is."""
    if table.empty:
        return "no rows"
    holes = table.replace(r"^\s*$", np.nan, regex=True).isin([np.nan, np.inf, -np.inf])
    faults = {
        "missing columns": [name for name in FEATURE_COLUMNS if name not in table],
        "unknown columns (remove them):": [name for name in table if name not in FEATURE_COLUMNS],
        "empty, or no finite number:": [
            f"{name} (row {hole.argmax() + 1})" for name, hole in holes.items() if hole.any()
        ],
    }
    return "; ".join(
        shorten(f"{fault} {', '.join(names)}", 120, placeholder=" and more")
        for fault, names in faults.items()
        if names
    )


@lru_cache(maxsize=4)
def _mel_filters(sample_rate: int) -> np.ndarray:
    return librosa.filters.mel(sr=sample_rate, n_fft=FRAME_LENGTH)


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
    rolloff = frequencies[below]
    return {"spectral_centroid": centre, "spectral_bandwidth": width, "rolloff": rolloff}


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


def _measure_file(path: Path, piece_seconds: float | None) -> list[dict[str, float]]:
    """Return the features of each piece of a track; the whole track is one piece."""
    pieces = [read_track(path)]
    if piece_seconds is not None:
        pieces = cut(pieces[0], seconds=piece_seconds, hop_seconds=piece_seconds)
    return [track_features(piece) for piece in pieces]
