"""Both networks, trained on the same tracks and kept together with all that belongs to them.

Lesson: 08_compare_and_use.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
import time
import warnings
from collections.abc import Sequence
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import pooch
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from .cache import digest
from .errors import CourseError
from .features import FEATURE_NAMES
from .features import RECIPE as FEATURE_RECIPE
from .measured import FIVE, measured_folder
from .pretrained import musicnn
from .slices import SliceSet

if TYPE_CHECKING:
    import keras

DENSE, CNN = "dense network", "1-D CNN"
PRETRAINED = "musicnn"
NAMED = {DENSE: f"the {DENSE}", CNN: f"the {CNN}", PRETRAINED: PRETRAINED}
SAMPLE_RATE = 22050
SLICE_SECONDS = 2.0
# Settled on folds of artists of the tracks of gtzan-five, other folds than those of its answers.
DENSE_EPOCHS, DENSE_BATCH, CNN_BATCH = 60, 32, 32
TEMPERATURES, FEWEST_VOTES = (0.2, 5.0), 50
# Raise it whenever training gives other networks: answers that are kept then count no more.
RECIPE = 6
# What the numbers of a network may depend on.
VERSIONS = {name: metadata.version(name) for name in ("keras", "librosa", "numpy", "scipy")}
# What saved networks take: other numbers must not be fed to them.
INPUTS = {"features": FEATURE_NAMES, "recipe": FEATURE_RECIPE, "sample_rate": SAMPLE_RATE}
FILES = ("dense.keras", "cnn.keras", "known.npz")
KEPT_OUT = {
    "artist": "artists kept out of the training",
    "track": "tracks kept out of the training, though their artists were not, so it flatters",
}


class Models(NamedTuple):
    """Trained networks, and what it takes to use them rightly.

    Attributes
    ----------
    dense, cnn : keras.Model
        They end in one probability per genre.
    genres : list of str
        The genres in the order of these probabilities.
    track_seconds : float
        Length of the tracks that the dense network learned from.
    card : DataFrame
        One row per network: parameters, epochs and seconds of training, and temperature: what its
        vote about a track is tempered with, so that it is as often right as it says. Where that was
        measured also accuracy, low and high: the share of tracks that networks trained in the same
        way on other tracks named rightly, and the ends of its 95 % interval; and by: what was kept
        apart, "artist" or, where that could not be, "track".
    known : ndarray, shape (n_training_tracks, 57)
        The features of the training tracks, as the dense network scales them.
    distances : ndarray, shape (n_other_tracks,)
        How far tracks lie, by their features, from the nearest of those that were trained on when
        they were not, sorted: what is usual for music that such networks have not met.
    trained_on : str
        The tracks that they learned from, in words.
    head : ndarray, shape (201, n_genres), optional
        What turns an embedding of musicnn into genres: their constants, then their weights.
    """

    dense: keras.Model
    cnn: keras.Model
    genres: list[str]
    track_seconds: float
    card: pd.DataFrame
    known: NDArray[np.float32]
    distances: NDArray[np.float32]
    trained_on: str = ""
    head: NDArray[np.float32] | None = None

    def described(self, names: Sequence[str] = (DENSE, CNN)) -> str:
        """Say in a line what some of these networks know, and how far to trust them."""
        line = f"The networks know {len(self.genres)} genres: {', '.join(self.genres)}."
        if "accuracy" not in self.card:
            return line
        scores = self.card.loc[list(names), "accuracy"]
        each = [f"{score:.0%} for {NAMED[name]}" for name, score in scores.items()]
        told = f"{', '.join(each[:-1])} and {each[-1]}"
        return f"{line} Accuracy on {KEPT_OUT[self.card['by'].iloc[0]]}: {told}."

    def ask_musicnn(self, samples: NDArray) -> NDArray[np.float64]:
        """Return genres by musicnn, (n_patches, n_genres), of a waveform at 16 000 Hz."""
        constants, weights = self.head[0], self.head[1:]
        return softmax(musicnn(samples)[0] @ weights + constants, axis=1)

    def share_nearer(self, distance: ArrayLike) -> NDArray[np.float64]:
        """Return which share of unmet tracks lies nearer to a training track than some distance."""
        return np.searchsorted(self.distances, distance) / len(self.distances)


def save_models(models: Models, folder: str | Path) -> None:
    """Save networks and what belongs to them in a new folder, whole or not at all.

    Their files load without this package, too, with a Keras that is no older than the one here.

    Parameters
    ----------
    models : Models
    folder : path
        It must not exist yet.

    Examples
    --------
    >>> save_models(models, "my-models")
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


def load_models(folder: str | Path = FIVE) -> Models:
    """Load what `save_models` saved, or the networks that come with the course.

    Models of your own made with other versions of the libraries are loaded with a warning.

    Parameters
    ----------
    folder : path, optional
        By default "gtzan-five": networks trained on the 479 usable tracks of five of GTZAN's
        genres.

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
    >>> models = gh.load_models()
    >>> models.genres
    ['blues', 'classical', 'country', 'jazz', 'metal']

    Lesson: 07_cnn_1d, 08_compare_and_use.
    """
    ours, others = str(folder) == FIVE, "these libraries"
    folder = measured_folder(FIVE) / "models" if ours else Path(folder)
    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        others = ", ".join(f"{n} {v}" for n, v in about["versions"].items() if v != VERSIONS.get(n))
        models = _read(about, folder)
    except Exception as error:  # Keras and NumPy fail in many ways on what they do not know
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise CourseError(
            f"{folder} holds no models that can be used here (made with "
            f"{others or 'the same libraries'}; {reason:.300}): "
            f"{'install the package again' if ours else 'copy the whole folder, or train, again'}"
        ) from error
    if others and not ours:
        advice = "answers may differ a little; to be sure, train them again"
        warnings.warn(f"the models in {folder} were made with {others}: {advice}", stacklevel=2)
    return models


def model_cards(models: Models) -> str:
    """Return a card for each network: what it is, what it learned from, and what it is not for.

    Parameters
    ----------
    models : Models

    Returns
    -------
    str
        Markdown. The idea is that of M. Mitchell et al., "Model Cards for Model Reporting", 2019.

    Examples
    --------
    >>> IPython.display.Markdown(gh.model_cards(gh.load_models()))

    Lesson: 08_compare_and_use.
    """
    inputs = {
        DENSE: f"{len(FEATURE_NAMES)} features of {models.track_seconds:.0f} s of sound",
        CNN: f"{SLICE_SECONDS:g} s of the waveform at {SAMPLE_RATE} Hz",
        PRETRAINED: "3 s of the waveform at 16000 Hz, through weights that other music trained",
    }
    cards = []
    for name, row in models.card.iterrows():
        facts = {
            "Input": inputs[name],
            "Output": f"a probability for each of {', '.join(models.genres)}",
            "Size": f"{row['parameters']:.0f} parameters, {row['epochs']:.0f} epochs of training",
            "Data": models.trained_on,
            "Score": _score(row),
            "Limits": "It has one answer a time for music that may have several, knows no other "
            "genre, and gives one to silence, speech and noise as well.",
            "Not for": "labelling a catalogue, paying or ranking artists, or any decision about "
            "people. It is made for learning how such networks work.",
        }
        lines = [f"**{name}**", "", *(f"- *{key}:* {text}" for key, text in facts.items())]
        cards.append("\n".join(lines))
    return "\n\n".join(cards)


def _score(row: pd.Series) -> str:
    if "accuracy" not in row:
        return "not measured"
    interval = f"[{row['low']:.2f}, {row['high']:.2f}]"
    return f"accuracy {row['accuracy']:.2f} {interval} on {KEPT_OUT[row['by']]}"


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


def train_dense(
    features: NDArray[np.float32], labels: NDArray[np.intp], n_genres: int, seed: int = 0
) -> keras.Model:
    """Train the dense network on features, (n_tracks, n_features), to the end of its schedule."""
    from .networks import dense_network, falling_rate, fit, keras

    keras.utils.set_random_seed(seed)
    rate = falling_rate(DENSE_EPOCHS * math.ceil(len(labels) / DENSE_BATCH))
    network = dense_network(features.shape[1], n_genres, learning_rate=rate)
    network.get_layer("scaler").adapt(features)
    fit(network, (features, labels), epochs=DENSE_EPOCHS, batch_size=DENSE_BATCH)
    return network


def train_cnn(slices: SliceSet, rows: ArrayLike, epochs: int, seed: int = 0) -> keras.Model:
    """Train the CNN on some slices, changed anew in every epoch, to the end of its schedule."""
    from .networks import abdoli_cnn, falling_rate, fit, keras

    keras.utils.set_random_seed(seed)
    training = slices.batches(rows, CNN_BATCH, seed=seed, augment=True)
    rate, amplitude = falling_rate(epochs * len(training)), slices.amplitude(rows)
    n_genres = len(slices.genres)
    network = abdoli_cnn(slices.n_samples, n_genres, amplitude=amplitude, learning_rate=rate)
    fit(network, training, epochs=epochs)
    return network


def train_networks(
    features: NDArray[np.float32],
    labels: NDArray[np.intp],
    slices: SliceSet,
    rows: ArrayLike,
    epochs: int,
    seed: int = 0,
) -> tuple[keras.Model, keras.Model, pd.DataFrame]:
    """Return the dense network, trained on features, the CNN, trained on slices, and their card."""
    steps = {
        DENSE: (DENSE_EPOCHS, partial(train_dense, features, labels, len(slices.genres), seed)),
        CNN: (epochs, partial(train_cnn, slices, rows, epochs, seed)),
    }
    networks, card = [], {}
    for name, (n_epochs, train) in steps.items():
        start = time.perf_counter()
        network = train()
        seconds = time.perf_counter() - start
        parameters = sum(math.prod(weight.shape) for weight in network.trainable_weights)
        card[name] = {"parameters": parameters, "epochs": n_epochs, "seconds": seconds}
        networks.append(network)
    return *networks, pd.DataFrame.from_dict(card, orient="index")


def tempered(probabilities: ArrayLike, temperature: float) -> NDArray[np.float64]:
    """Divide the logarithms of probabilities, (n, n_genres), by a temperature.

    Above 1, answers become less sure, below 1 surer; which genre is likeliest stays.
    """
    logits = np.log(np.maximum(np.asarray(probabilities, float), 1e-30)) / temperature
    return softmax(logits, axis=1)


def best_temperature(votes: NDArray, labels: NDArray[np.intp]) -> float:
    """Return the temperature with which votes about tracks are as often right as they say.

    That is the one with the smallest mean negative logarithm of what the true genres were given.
    C. Guo et al. (2017), "On calibration of modern neural networks". No network may have learned
    from the tracks that it is asked about here; where they are few, nothing is changed.
    """

    def loss(log_temperature: float) -> float:
        given = tempered(votes, math.exp(log_temperature))
        return -float(np.log(given[np.arange(len(labels)), labels]).mean())

    if len(labels) < FEWEST_VOTES:
        return 1.0
    return math.exp(minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded").x)


def _write(models: Models, folder: Path) -> None:
    folder.mkdir()
    for network, name in zip((models.dense, models.cnn), FILES, strict=False):
        copy = _bare(network)
        copy.set_weights(network.get_weights())
        copy.save(folder / name)
    arrays = {"known": models.known, "distances": models.distances, "head": models.head}
    arrays = {name: array for name, array in arrays.items() if array is not None}
    np.savez(folder / "known.npz", **arrays)
    about = {name: getattr(models, name) for name in ("genres", "track_seconds", "trained_on")}
    about |= {"card": models.card.to_dict("index"), "inputs": INPUTS, "versions": VERSIONS}
    about["amplitude"] = 1 / models.cnn.get_layer("scale").scale  # no weight, but measured, too
    about["checksum"] = _checksum(about, folder)
    (folder / "about.json").write_text(json.dumps(about, indent=1), encoding="utf-8")


def _read(about: dict, folder: Path) -> Models:
    from .networks import abdoli_cnn, dense_network

    if about["inputs"] != INPUTS:
        raise CourseError("made for other features or another sample rate than are measured here")
    if about.pop("checksum") != _checksum(about, folder):
        raise CourseError("a file was changed, so its scaler or the order of genres may not fit")
    # Their weights alone: an older Keras does not know all the options that a newer one writes.
    n_features, n_genres = len(FEATURE_NAMES), len(about["genres"])
    n_samples, amplitude = round(SLICE_SECONDS * SAMPLE_RATE), about["amplitude"]
    dense = _bare(dense_network(n_features, n_genres))
    cnn = _bare(abdoli_cnn(n_samples, n_genres, amplitude=amplitude))
    for network, name in zip((dense, cnn), FILES, strict=False):
        network.load_weights(folder / name)
    card = pd.DataFrame.from_dict(about["card"], orient="index")
    seconds, trained_on = float(about["track_seconds"]), about["trained_on"]
    with np.load(folder / "known.npz") as kept:
        known, distances, head = kept["known"], kept["distances"], kept.get("head")
    return Models(dense, cnn, about["genres"], seconds, card, known, distances, trained_on, head)


def _bare(network: keras.Model) -> keras.Model:
    """Return a network of the same layers without what training needs: twice the weights' room."""
    return type(network).from_config(network.get_config())


def _checksum(about: dict, folder: Path) -> str:
    """Return a checksum over the files of saved networks and what is said about them."""
    files = [pooch.file_hash(str(folder / name)) for name in FILES]
    return digest(json.dumps(about, sort_keys=True), files)
