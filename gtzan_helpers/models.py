"""Both networks, trained on the same tracks and kept together with all that belongs to them.

Lesson: 06_compare_and_use.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import pooch
from numpy.typing import NDArray

from .cache import digest, file_state, kept
from .datasets import describe_source
from .errors import CourseError
from .features import FEATURE_NAMES, extract_features
from .features import RECIPE as FEATURE_RECIPE
from .slices import SliceSet

if TYPE_CHECKING:
    import keras

DENSE, CNN = "dense network", "1-D CNN"
SAMPLE_RATE = 22050
SLICE_SECONDS = 2.0
DENSE_EPOCHS, DENSE_PATIENCE = 200, 20
# Small, because few slices in large batches would leave the CNN few steps to learn in.
CNN_BATCH = 16
# Part of every saved network's name: raise it whenever training gives other networks.
RECIPE = 5
# What the numbers of a network may depend on.
VERSIONS = {name: metadata.version(name) for name in ("keras", "librosa", "numpy", "scipy")}
# What saved networks take: other numbers must not be fed to them.
INPUTS = {"features": FEATURE_NAMES, "recipe": FEATURE_RECIPE, "sample_rate": SAMPLE_RATE}
FILES = ("dense.keras", "cnn.keras", "known.npz")


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
    known : ndarray, shape (n_training_tracks, 57)
        The features of the training tracks, as the dense network scales them.
    distances : ndarray, shape (n_validation_tracks,)
        How far each validation track's features lie from those of the nearest training track,
        sorted: what is usual for music that the networks have not met.
    trained_on : str
        The tracks that they learned from, in words.
    """

    dense: keras.Model
    cnn: keras.Model
    genres: list[str]
    track_seconds: float
    card: pd.DataFrame
    known: NDArray[np.float32]
    distances: NDArray[np.float32]
    trained_on: str = ""


def train_models(tracks: pd.DataFrame, parts: pd.Series, epochs: int = 2, seed: int = 0) -> Models:
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

    Returns
    -------
    Models

    Examples
    --------
    >>> tracks = gh.usable(gh.load_tracks())
    >>> models = gh.train_models(tracks, gh.split(tracks, by="artist"))

    Lesson: 06_compare_and_use.
    """
    for part in ("train", "validation"):
        if not (parts == part).any():
            raise CourseError(f"no track is in the part {part!r}: split the tracks anew")
    files = [file_state(path) for path in tracks["path"]]
    options = (RECIPE, FEATURE_RECIPE, VERSIONS, epochs, seed)
    folder = kept(f"models/{digest(options, files, list(tracks['genre']), list(parts))}")
    if folder.exists():
        with suppress(CourseError):  # what cannot be loaded is trained again
            return load_models(folder)
        shutil.rmtree(folder, ignore_errors=True)
    models = _train_both(tracks, parts, epochs, seed)
    try:
        save_models(models, folder)
    except CourseError as error:
        warnings.warn(f"{error}; they will be trained again the next time", stacklevel=2)
    return models


def save_models(models: Models, folder: str | Path) -> None:
    """Save both networks and what belongs to them in a new folder, whole or not at all.

    Their files load with Keras alone, without this package.

    Parameters
    ----------
    models : Models
    folder : path
        It must not exist yet.

    Examples
    --------
    >>> gh.save_models(models, "my-models")

    Lesson: 06_compare_and_use.
    """
    folder = Path(folder)
    if os.path.lexists(folder):
        raise CourseError(f"{folder} exists already: name a new folder")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            unfinished = Path(temporary, "models")
            _write(models, unfinished)
            unfinished.rename(folder)
    except (OSError, RuntimeError) as error:  # RuntimeError: the disk is full, says HDF5
        raise CourseError(f"the models cannot be saved in {folder}: {error}") from error


def load_models(folder: str | Path) -> Models:
    """Load what `save_models` saved.

    Models made with other versions of the libraries are loaded with a warning.

    Parameters
    ----------
    folder : path

    Returns
    -------
    Models

    Raises
    ------
    CourseError
        If the folder holds no models, models for other features or another sample rate, or files
        that do not belong together: a network must not run on inputs that mean something else
        than those it was trained on, nor its answers be read in another order.

    Examples
    --------
    >>> models = gh.load_models("my-models")

    Lesson: 06_compare_and_use.
    """
    folder, others = Path(folder), "these libraries"
    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        others = ", ".join(f"{n} {v}" for n, v in about["versions"].items() if v != VERSIONS.get(n))
        models = _read(about, folder)
    except Exception as error:  # Keras and NumPy fail in many ways on what they do not know
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise CourseError(
            f"{folder} holds no models that can be used here (made with "
            f"{others or 'the same libraries'}; {reason:.300}): copy the whole folder again, or "
            "train them again"
        ) from error
    if others:
        advice = "answers may differ a little; to be sure, train them again"
        warnings.warn(f"the models in {folder} were made with {others}: {advice}", stacklevel=2)
    return models


def model_cards(models: Models, scores: Mapping[str, object] | None = None, by: str = "") -> str:
    """Return a card for each network: what it is, what it learned from, and what it is not for.

    Parameters
    ----------
    models : Models
    scores : mapping of a network's name to its score, optional
        As from `accuracy_interval`, on tracks that had no part in the training.
    by : str, optional
        How the tracks were divided, as `split` calls it.

    Returns
    -------
    str
        Markdown. The idea is that of M. Mitchell et al., "Model Cards for Model Reporting", 2019.

    Examples
    --------
    >>> IPython.display.Markdown(gh.model_cards(models, by="artist"))

    Lesson: 06_compare_and_use.
    """
    inputs = {
        DENSE: f"{len(FEATURE_NAMES)} features of {models.track_seconds:.0f} s of sound",
        CNN: f"{SLICE_SECONDS:g} s of the waveform at {SAMPLE_RATE} Hz",
    }
    cards = []
    for name, row in models.card.iterrows():
        facts = {
            "Input": inputs[name],
            "Output": f"a probability for each of {', '.join(models.genres)}",
            "Size": f"{row['parameters']:.0f} parameters, {row['epochs']:.0f} epochs of training",
            "Data": models.trained_on,
            "Split": f"by {by}" if by else "not told",
            "Score": f"{scores[name]} (test tracks; 95 % interval)" if scores else "not measured",
            "Limits": "It has one answer a time for music that may have several, knows no other "
            "genre, and gives one to silence, speech and noise as well.",
            "Not for": "labelling a catalogue, paying or ranking artists, or any decision about "
            "people. It is made for learning how such networks work.",
        }
        lines = [f"**{name}**", "", *(f"- *{key}:* {text}" for key, text in facts.items())]
        cards.append("\n".join(lines))
    return "\n\n".join(cards)


def scaled_features(network: keras.Model, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return features as the first layers of `dense_network` scale them: (n_tracks, n_features).

    Each has mean 0 and variance 1 over the training tracks, and outliers are drawn in.
    """
    return np.arcsinh(np.asarray(network.get_layer("scaler")(features)))


def nearest_distances(
    network: keras.Model, known: NDArray[np.float32], features: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return how far each of some tracks is from the nearest known one, by scaled features."""
    from sklearn.metrics import pairwise_distances_argmin_min

    return pairwise_distances_argmin_min(scaled_features(network, features), known)[1]


def _train_both(tracks: pd.DataFrame, parts: pd.Series, epochs: int, seed: int) -> Models:
    tracks, genres = tracks.assign(part=parts.to_numpy()), sorted(tracks["genre"].unique())
    dense, dense_row, known, distances = _train_dense(tracks, genres, seed)
    cnn, cnn_row = _train_cnn(tracks, genres, epochs, seed)
    card = pd.DataFrame.from_dict({DENSE: dense_row, CNN: cnn_row}, orient="index")
    seconds, trained_on = float(tracks["seconds"].median()), _describe(tracks)
    return Models(dense, cnn, genres, seconds, card, known, distances, trained_on)


def _train_dense(
    tracks: pd.DataFrame, genres: list[str], seed: int
) -> tuple[keras.Model, dict[str, float], NDArray[np.float32], NDArray[np.float32]]:
    """Return a network, its row of the card, the known features, and the usual distances."""
    from .networks import dense_network, keras

    table = extract_features(tracks).set_index("track_id")
    inputs = table[FEATURE_NAMES].to_numpy(np.float32)
    labels = np.searchsorted(genres, table["label"].to_numpy(dtype=str))
    part = tracks.set_index("track_id")["part"][table.index]
    keras.utils.set_random_seed(seed)
    network = dense_network(len(FEATURE_NAMES), len(genres))
    network.get_layer("scaler").adapt(inputs[part == "train"])
    data = [(inputs[part == name], labels[part == name]) for name in ("train", "validation")]
    row = _timed_fit(network, *data, epochs=DENSE_EPOCHS, patience=DENSE_PATIENCE)
    known = scaled_features(network, inputs[part == "train"])
    distances = nearest_distances(network, known, inputs[part == "validation"])
    return network, row, known, np.sort(distances)


def _train_cnn(
    tracks: pd.DataFrame, genres: list[str], epochs: int, seed: int
) -> tuple[keras.Model, dict[str, float]]:
    """Return a network, and its row of the card."""
    from .networks import abdoli_cnn, keras

    slices = SliceSet(tracks, seconds=SLICE_SECONDS, sample_rate=SAMPLE_RATE)
    if missing := ", ".join(set(genres) - set(slices.genres)):
        raise CourseError(f"{missing}: all tracks are shorter than a slice of 2 s; leave them out")
    part = tracks.set_index("track_id")["part"][slices.table["track_id"]].to_numpy()
    amplitude = slices.amplitude(part == "train")
    keras.utils.set_random_seed(seed)
    network = abdoli_cnn(slices.n_samples, len(genres), amplitude=amplitude)
    training = slices.batches(part == "train", CNN_BATCH, seed=seed)
    validation = slices.batches(part == "validation", CNN_BATCH, shuffle=False)
    return network, _timed_fit(network, training, validation, epochs=epochs, patience=epochs)


def _timed_fit(network: keras.Model, training: object, validation: object, **options: int) -> dict:
    """Train a network, and return its row of the card."""
    from .networks import fit

    start = time.perf_counter()
    history = fit(network, training, validation, **options)
    seconds = time.perf_counter() - start
    parameters = sum(math.prod(weight.shape) for weight in network.trainable_weights)
    return {"parameters": parameters, "epochs": len(history), "seconds": seconds}


def _describe(tracks: pd.DataFrame) -> str:
    """Say in two sentences which tracks networks learned from."""
    counts = tracks["part"].value_counts()
    artists = tracks.loc[tracks["part"] == "train", "artist"]
    by = f" by {artists.nunique()} artists" if (artists != "").all() else ""
    return (
        f"{describe_source(tracks)} Learned from {counts['train']} tracks{by}; "
        f"{counts['validation']} others chose the best epoch."
    )


def _write(models: Models, folder: Path) -> None:
    folder.mkdir()
    models.dense.save(folder / "dense.keras")
    models.cnn.save(folder / "cnn.keras")
    np.savez(folder / "known.npz", known=models.known, distances=models.distances)
    about = {name: getattr(models, name) for name in ("genres", "track_seconds", "trained_on")}
    about |= {"card": models.card.to_dict("index"), "inputs": INPUTS, "versions": VERSIONS}
    about["checksum"] = _checksum(about, folder)
    (folder / "about.json").write_text(json.dumps(about, indent=1), encoding="utf-8")


def _read(about: dict, folder: Path) -> Models:
    from .networks import keras

    if about["inputs"] != INPUTS:
        raise CourseError("made for other features or another sample rate than are measured here")
    if about.pop("checksum") != _checksum(about, folder):
        raise CourseError("a file was changed, so its scaler or the order of genres may not fit")
    dense, cnn = (keras.models.load_model(folder / name) for name in FILES[:2])
    if {len(about["genres"])} != {dense.output_shape[-1], cnn.output_shape[-1]}:
        raise CourseError("the networks have another number of outputs than there are genres")
    card = pd.DataFrame.from_dict(about["card"], orient="index")
    seconds, trained_on = float(about["track_seconds"]), about["trained_on"]
    with np.load(folder / "known.npz") as kept:
        arrays = kept["known"], kept["distances"]
    return Models(dense, cnn, about["genres"], seconds, card, *arrays, trained_on)


def _checksum(about: dict, folder: Path) -> str:
    """Return a checksum over the files of saved networks and what is said about them."""
    files = [pooch.file_hash(str(folder / name)) for name in FILES]
    return digest(json.dumps(about, sort_keys=True), files)
