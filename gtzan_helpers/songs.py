"""Both networks, trained on the same tracks, and what they think of any song.

Taught in notebooks/06_compare_and_use.ipynb.
"""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .audio import MISSING_SECONDS_ALLOWED, AudioError, read_audio, read_header
from .cache import cache_folder
from .features import FEATURE_NAMES, extract_features, track_features, track_ids
from .features import RECIPE as FEATURE_RECIPE
from .slices import SliceSet, cut

if TYPE_CHECKING:
    import keras

DENSE, CNN = "dense network", "1-D CNN"
SAMPLE_RATE = 22050
SLICE_SECONDS = 2.0
# A song is read in pieces of this length, so that a long one needs no more memory.
PIECE_SECONDS = 60.0
DENSE_EPOCHS, DENSE_PATIENCE = 200, 20
# Small, because few slices in large batches would leave the CNN few steps to learn in.
CNN_BATCH = 32
# Part of every saved network's name: raise it whenever training gives other networks.
RECIPE = 2


class Models(NamedTuple):
    """Two trained networks, and what it takes to use them rightly.

    Attributes
    ----------
    dense, cnn : keras.Model
        They end in one probability per genre.
    genres : list of str
        The genres in the order of these probabilities.
    track_seconds : float
        Length of the tracks that the dense network learned from.
    card : DataFrame
        One row per network: parameters, epochs and seconds of training.
    """

    dense: keras.Model
    cnn: keras.Model
    genres: list[str]
    track_seconds: float
    card: pd.DataFrame


def train_models(
    tracks: pd.DataFrame, parts: pd.Series, epochs: int = 4, seed: int = 0, keep: bool = True
) -> Models:
    """Train the dense network and the CNN on the same tracks, or load them if that was done.

    Parameters
    ----------
    tracks : DataFrame
        Tracks as from `usable`.
    parts : Series
        "train", "validation" or "test" for each track, as from `split`. Test tracks are not used.
    epochs : int
        How often the CNN may go through the training slices, at most.
    seed : int
        Decides the first weights, the dropout and the order of the batches.
    keep : bool
        Keep the networks in the cache, and load them when the same tracks, parts, epochs and seed
        are asked for again. With False they are trained in any case.

    Returns
    -------
    Models

    Raises
    ------
    ValueError
        If there is no training or no validation track, or no track of a genre lasts 2 seconds.

    Notes
    -----
    Taught in notebooks/06_compare_and_use.ipynb.
    """
    for part in ("train", "validation"):
        if not (parts == part).any():
            raise ValueError(f"no track is in the part {part!r}: split the tracks anew")
    folder = cache_folder() / "models" / _fingerprint(tracks, parts, epochs, seed)
    if keep and (folder / "about.json").exists():
        return load_models(folder)
    genres = sorted(tracks["genre"].unique())
    dense, about_dense = _train_dense(tracks, parts, genres, seed)
    cnn, about_cnn = _train_cnn(tracks, parts, genres, epochs, seed)
    card = pd.DataFrame.from_dict({DENSE: about_dense, CNN: about_cnn}, orient="index")
    models = Models(dense, cnn, genres, float(tracks["seconds"].median()), card)
    if keep:
        with suppress(FileExistsError):  # another program trained the same ones just now
            save_models(models, folder)
    return models


def save_models(models: Models, folder: str | Path) -> None:
    """Save both networks and what belongs to them in a new folder, whole or not at all.

    Their files load with Keras alone, without this package.

    Parameters
    ----------
    models : Models
    folder : path

    Raises
    ------
    FileExistsError
        If the folder is there already.

    Notes
    -----
    Taught in notebooks/06_compare_and_use.ipynb.
    """
    from .networks import with_keras_layers

    folder = Path(folder)
    taken = FileExistsError(f"{folder} exists already: name a new folder")
    if folder.exists():
        raise taken
    folder.parent.mkdir(parents=True, exist_ok=True)
    about = {
        "genres": models.genres,
        "features": FEATURE_NAMES,
        "sample_rate": SAMPLE_RATE,
        "track_seconds": models.track_seconds,
        "card": models.card.to_dict("index"),
    }
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        unfinished = Path(temporary) / "models"
        unfinished.mkdir()
        models.dense.save(unfinished / "dense.keras")
        with_keras_layers(models.cnn).save(unfinished / "cnn.keras")
        (unfinished / "about.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
        try:
            unfinished.rename(folder)
        except OSError as error:
            raise taken if folder.exists() else error from error


def load_models(folder: str | Path) -> Models:
    """Load what `save_models` saved.

    Parameters
    ----------
    folder : path

    Returns
    -------
    Models

    Raises
    ------
    ValueError
        If the folder holds no models, or models for other features or another sample rate: a
        network must not run on inputs that mean something else than those it was trained on.

    Notes
    -----
    Taught in notebooks/06_compare_and_use.ipynb.
    """
    from .networks import keras

    folder = Path(folder)
    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ValueError(f"{folder} holds no models: save some there with save_models") from error
    if (about["features"], about["sample_rate"]) != (FEATURE_NAMES, SAMPLE_RATE):
        raise ValueError(
            f"the models in {folder} were made for other features or another sample rate than "
            "this version of gtzan_helpers measures: train them again"
        )
    return Models(
        keras.models.load_model(folder / "dense.keras"),
        keras.models.load_model(folder / "cnn.keras"),
        about["genres"],
        about["track_seconds"],
        pd.DataFrame.from_dict(about["card"], orient="index"),
    )


def classify_song(
    path: str | Path, models: Models, hop_seconds: float = 1.0
) -> dict[str, pd.DataFrame]:
    """Ask both networks for the genre of a song, from its beginning to its end.

    The CNN hears slices of 2 seconds; the dense network gets the features of windows as long as
    the tracks it learned from (of the whole song, if that is shorter), each overlapping the next
    by half.

    Parameters
    ----------
    path : str or path
        Any file that `read_audio` reads, of at least 2 seconds.
    models : Models
    hop_seconds : float
        Step from one slice of the CNN to the next, in seconds.

    Returns
    -------
    dict of name to DataFrame
        For each network a row per slice or window, indexed by its start in seconds, and a column
        of probabilities per genre.

    Raises
    ------
    AudioError
        If the file cannot be read or is shorter than 2 seconds.
    ValueError
        If `hop_seconds` is not positive.

    Notes
    -----
    Taught in notebooks/06_compare_and_use.ipynb.
    """
    seconds = read_header(path)[0]
    if hop_seconds <= 0:
        raise ValueError(f"hop_seconds is {hop_seconds:g}, but slices must move on")
    if seconds < SLICE_SECONDS:
        raise AudioError(
            path, f"lasts {seconds:.1f} s", f"take at least {SLICE_SECONDS:g} s of a song"
        )
    # A file may hold a little less than its header says, as read_audio allows.
    window = min(models.track_seconds, max(SLICE_SECONDS, seconds - MISSING_SECONDS_ALLOWED))
    return {
        DENSE: _hear(path, models.dense, models.genres, window, window / 2, _feature_rows),
        CNN: _hear(path, models.cnn, models.genres, SLICE_SECONDS, hop_seconds, np.asarray),
    }


def _train_dense(
    tracks: pd.DataFrame, parts: pd.Series, genres: list[str], seed: int
) -> tuple[keras.Model, dict[str, float]]:
    from .networks import dense_network, keras

    table = extract_features(tracks)
    inputs = table[FEATURE_NAMES].to_numpy(np.float32)
    labels = np.searchsorted(genres, table["label"].to_numpy(dtype=str))
    part = _part_of_each(track_ids(table), tracks, parts)
    keras.utils.set_random_seed(seed)
    network = dense_network(len(FEATURE_NAMES), len(genres))
    network.get_layer("scaler").adapt(inputs[part == "train"])
    data = [(inputs[part == name], labels[part == name]) for name in ("train", "validation")]
    return network, _timed_fit(network, *data, epochs=DENSE_EPOCHS, patience=DENSE_PATIENCE)


def _train_cnn(
    tracks: pd.DataFrame, parts: pd.Series, genres: list[str], epochs: int, seed: int
) -> tuple[keras.Model, dict[str, float]]:
    from .networks import abdoli_cnn, keras

    slices = SliceSet(tracks, seconds=SLICE_SECONDS, sample_rate=SAMPLE_RATE)
    if slices.genres != genres:
        missing = ", ".join(sorted(set(genres) - set(slices.genres)))
        raise ValueError(f"{missing}: all tracks are shorter than a slice of 2 s; leave them out")
    part = _part_of_each(slices.table["track_id"], tracks, parts)
    amplitude = slices.amplitude(part == "train")
    keras.utils.set_random_seed(seed)
    network = abdoli_cnn(slices.n_samples, len(genres), amplitude=amplitude)
    training = slices.batches(part == "train", CNN_BATCH, seed=seed)
    validation = slices.batches(part == "validation", CNN_BATCH, shuffle=False)
    return network, _timed_fit(network, training, validation, epochs=epochs, patience=epochs)


def _part_of_each(ids: pd.Series, tracks: pd.DataFrame, parts: pd.Series) -> NDArray[np.str_]:
    """Return the part that each row of another table belongs to, by its track."""
    return ids.map(dict(zip(tracks["track_id"], parts, strict=True))).to_numpy(dtype=str)


def _timed_fit(network: keras.Model, training: object, validation: object, **options: int) -> dict:
    """Train a network, and return what its card says of it."""
    from .networks import fit

    start = time.perf_counter()
    history = fit(network, training, validation, **options)
    seconds = time.perf_counter() - start
    parameters = sum(math.prod(weight.shape) for weight in network.trainable_weights)
    return {"parameters": parameters, "epochs": len(history), "seconds": seconds}


def _hear(
    path: str | Path,
    network: keras.Model,
    genres: list[str],
    seconds: float,
    hop_seconds: float,
    inputs: Callable[[NDArray[np.float32]], NDArray[np.float32]],
) -> pd.DataFrame:
    """Return a network's probabilities for each slice of a song, indexed by the slice's start."""
    starts, probabilities = [], []
    for start, slices in _pieces(path, seconds, hop_seconds):
        starts.append(start + hop_seconds * np.arange(len(slices)))
        probabilities.append(network.predict(inputs(slices), batch_size=64, verbose=0))
    if not starts:
        raise AudioError(path, f"holds less than the {seconds:.1f} s that its header promises")
    index = pd.Index(np.concatenate(starts), name="start")
    return pd.DataFrame(np.concatenate(probabilities), index, columns=genres)


def _pieces(
    path: str | Path, seconds: float, hop_seconds: float
) -> Iterator[tuple[float, NDArray[np.float32]]]:
    """Read a song piece by piece, and yield each piece's start in seconds and its slices."""
    n_slices = max(1, int((PIECE_SECONDS - seconds) // hop_seconds) + 1)
    length = (n_slices - 1) * hop_seconds + seconds
    song_seconds, start = read_header(path)[0], 0.0
    while song_seconds - start >= seconds:
        # A hundredth of a second more than needed: rounding must not cost the last slice.
        samples = read_audio(path, SAMPLE_RATE, start, length + 0.01)
        if len(samples) < round(seconds * SAMPLE_RATE):
            return
        yield start, cut(samples, SAMPLE_RATE, seconds, hop_seconds)[:n_slices]
        start += n_slices * hop_seconds


def _feature_rows(slices: NDArray[np.float32]) -> NDArray[np.float32]:
    rows = [track_features(samples, SAMPLE_RATE) for samples in slices]
    return pd.DataFrame(rows)[FEATURE_NAMES].to_numpy(np.float32)


def _fingerprint(tracks: pd.DataFrame, parts: pd.Series, epochs: int, seed: int) -> str:
    """Return a name that changes when a track's file, its genre or part, or an option does."""
    from .networks import keras

    description: list[object] = [epochs, seed, FEATURE_RECIPE, keras.__version__, RECIPE]
    for name, genre, part in zip(tracks["path"], tracks["genre"], parts, strict=True):
        path = Path(name).resolve()
        if not path.is_file():
            raise AudioError(path, "there is no such file", "list the tracks again: load_tracks()")
        facts = path.stat()
        description.append((str(path), facts.st_size, facts.st_mtime_ns, genre, part))
    return hashlib.sha256(repr(description).encode()).hexdigest()[:24]
