"""Both networks, trained on the same tracks and kept together with all that belongs to them.

Taught in notebooks/06_compare_and_use.ipynb.
"""

from __future__ import annotations

import hashlib
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
from numpy.typing import NDArray

from .audio import AudioError
from .cache import file_state, kept
from .datasets import describe_source
from .features import FEATURE_NAMES, extract_features, track_ids
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
RECIPE = 4
# What the numbers of a network may depend on.
LIBRARIES = ("keras", "librosa", "numpy", "scipy")
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


def train_models(
    tracks: pd.DataFrame, parts: pd.Series, epochs: int = 2, seed: int = 0, keep: bool = True
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
    folder = kept(f"models/{_fingerprint(tracks, parts, epochs, seed)}")
    if keep and (folder / "about.json").exists():
        with suppress(ValueError):  # what cannot be loaded is trained again
            return load_models(folder)
        shutil.rmtree(folder, ignore_errors=True)
    genres = sorted(tracks["genre"].unique())
    dense, about_dense, *neighbours = _train_dense(tracks, parts, genres, seed)
    cnn, about_cnn = _train_cnn(tracks, parts, genres, epochs, seed)
    card = pd.DataFrame.from_dict({DENSE: about_dense, CNN: about_cnn}, orient="index")
    seconds, trained_on = float(tracks["seconds"].median()), describe_training(tracks, parts)
    models = Models(dense, cnn, genres, seconds, card, *neighbours, trained_on)
    if keep:
        try:
            save_models(models, folder)
        except FileExistsError:  # another program trained the same ones just now
            pass
        except ValueError as error:
            warnings.warn(f"{error}; they will be trained again the next time", stacklevel=2)
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
    ValueError
        If nothing can be written there.

    Notes
    -----
    Taught in notebooks/06_compare_and_use.ipynb.
    """
    folder = Path(folder)
    taken = FileExistsError(f"{folder} exists already: name a new folder")
    if os.path.lexists(folder):
        raise taken
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            unfinished = Path(temporary) / "models"
            _write_models(models, unfinished)
            unfinished.rename(folder)
    except (OSError, RuntimeError) as error:  # RuntimeError: the disk is full, says HDF5
        if folder.exists():  # another program was quicker
            raise taken from error
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"the models cannot be saved in {folder}: {reason}") from error


def _write_models(models: Models, folder: Path) -> None:
    folder.mkdir()
    models.dense.save(folder / "dense.keras")
    models.cnn.save(folder / "cnn.keras")
    np.savez(folder / "known.npz", known=models.known, distances=models.distances)
    about = _about(models)
    about["seal"] = _seal(about, folder)
    (folder / "about.json").write_text(json.dumps(about, indent=1), encoding="utf-8")


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
        If the folder holds no models, models for other features or another sample rate, or files
        that do not belong together: a network must not run on inputs that mean something else
        than those it was trained on, nor its answers be read in another order.

    Warns
    -----
    UserWarning
        If they were made with other versions of the libraries that their numbers depend on.

    Notes
    -----
    Taught in notebooks/06_compare_and_use.ipynb.
    """
    folder = Path(folder)
    about = _read_about(folder)
    others = [
        f"{name} {version} (here {_installed(name)})"
        for name, version in about["versions"].items()
        if _installed(name).split(".")[:2] != str(version).split(".")[:2]  # apart from bug fixes
    ]
    made_with = f"made with {', '.join(others)}"
    try:
        models = _models(about, folder)
    except Exception as error:  # Keras and NumPy fail in many ways on what they do not know
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(
            f"the models in {folder} cannot be loaded, {made_with if others else reason:.300}: "
            f"{'install those versions' if others else 'copy the folder again'}, or train again"
        ) from error
    if others:
        warnings.warn(
            f"the models in {folder} were {made_with}: answers may differ a little; to be sure, "
            "train them again",
            stacklevel=2,
        )
    return models


def _models(about: dict[str, object], folder: Path) -> Models:
    from .networks import keras

    with np.load(folder / "known.npz") as arrays:
        known, distances = arrays["known"], arrays["distances"]
    dense, cnn = (keras.models.load_model(folder / name) for name in FILES[:2])
    genres, card = about["genres"], pd.DataFrame.from_dict(about["card"], orient="index")
    for network in (dense, cnn):
        if network.output_shape[-1] != len(genres):
            raise ValueError(f"{network.output_shape[-1]} outputs for {len(genres)} genres")
    seconds, trained_on = float(about["track_seconds"]), str(about["trained_on"])
    return Models(dense, cnn, genres, seconds, card, known, distances, trained_on)


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

    Notes
    -----
    Taught in notebooks/06_compare_and_use.ipynb.
    """
    inputs = {
        DENSE: f"{len(FEATURE_NAMES)} features of {models.track_seconds:.0f} s of sound",
        CNN: f"{SLICE_SECONDS:g} s of the waveform at {SAMPLE_RATE} Hz",
    }
    undivided = "not told" if not by else f"by {by}"
    cards = []
    for name, row in models.card.iterrows():
        score = f"{scores[name]} (test tracks; 95 % interval)" if scores else "not measured"
        facts = {
            "Input": inputs[name],
            "Output": f"a probability for each of {', '.join(models.genres)}",
            "Size": f"{row['parameters']:.0f} parameters, {row['epochs']:.0f} epochs of training",
            "Data": models.trained_on,
            "Split": undivided,
            "Score": score,
            "Limits": "It has one answer a time for music that may have several, knows no other "
            "genre, and gives one to silence, speech and noise as well.",
            "Not for": "labelling a catalogue, paying or ranking artists, or any decision about "
            "people. It is made for learning how such networks work.",
        }
        lines = [f"**{name}**", "", *(f"- *{key}:* {text}" for key, text in facts.items())]
        cards.append("\n".join(lines))
    return "\n\n".join(cards)


def _about(models: Models) -> dict[str, object]:
    """Return all that is needed to use saved networks rightly, for a JSON file."""
    return {
        "genres": models.genres,
        "features": FEATURE_NAMES,
        "feature_recipe": FEATURE_RECIPE,
        "sample_rate": SAMPLE_RATE,
        "track_seconds": models.track_seconds,
        "card": models.card.to_dict("index"),
        "trained_on": models.trained_on,
        "versions": {name: metadata.version(name) for name in LIBRARIES},
    }


def _read_about(folder: Path) -> dict[str, object]:
    """Read what `_about` told, and refuse models that are changed or would be used wrongly."""
    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        recipe = [about["features"], about["feature_recipe"], about["sample_rate"]]
        seal, _ = about.pop("seal"), about["versions"].items()
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        reason = getattr(error, "strerror", None) or "about.json does not describe any"
        raise ValueError(
            f"{folder} holds no models ({reason}): save some there with save_models"
        ) from error
    if recipe != [FEATURE_NAMES, FEATURE_RECIPE, SAMPLE_RATE]:
        raise ValueError(
            f"the models in {folder} were made for other features or another sample rate than "
            "this version of gtzan_helpers measures: train them again"
        )
    if seal != _seal(about, folder):
        raise ValueError(
            f"a file in {folder} is missing or was changed after the models were saved, so their "
            "scaler or the order of genres may not fit: copy the whole folder again, or train again"
        )
    return about


def _installed(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "missing"


def _seal(about: dict[str, object], folder: Path) -> str:
    """Return a checksum over saved networks and what is told about them; "" if none can be."""
    seal = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name in FILES:
        try:
            seal.update((folder / name).read_bytes())
        except OSError:
            return ""
    return seal.hexdigest()


def _train_dense(
    tracks: pd.DataFrame, parts: pd.Series, genres: list[str], seed: int
) -> tuple[keras.Model, dict[str, float], NDArray[np.float32], NDArray[np.float32]]:
    from .networks import dense_network, keras

    table = extract_features(tracks)
    inputs = table[FEATURE_NAMES].to_numpy(np.float32)
    labels = np.searchsorted(genres, table["label"].to_numpy(dtype=str))
    part = _part_of_each(track_ids(table), tracks, parts)
    keras.utils.set_random_seed(seed)
    network = dense_network(len(FEATURE_NAMES), len(genres))
    network.get_layer("scaler").adapt(inputs[part == "train"])
    data = [(inputs[part == name], labels[part == name]) for name in ("train", "validation")]
    about = _timed_fit(network, *data, epochs=DENSE_EPOCHS, patience=DENSE_PATIENCE)
    known = scaled_features(network, inputs[part == "train"])
    unmet = nearest_distances(known, scaled_features(network, inputs[part == "validation"]))
    return network, about, known, np.sort(unmet)


def scaled_features(network: keras.Model, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return features as the first layers of `dense_network` scale them: (n_tracks, n_features).

    Each has mean 0 and variance 1 over the training tracks, and outliers are drawn in.
    """
    return np.arcsinh(np.asarray(network.get_layer("scaler")(features)))


def nearest_distances(known: NDArray, others: NDArray) -> NDArray:
    """Return how far each of some tracks is from the nearest known one, by scaled features."""
    from sklearn.metrics import pairwise_distances_argmin_min

    return pairwise_distances_argmin_min(others, known)[1]


def describe_training(tracks: pd.DataFrame, parts: pd.Series) -> str:
    """Say in two sentences which tracks networks learned from."""
    counts = parts.value_counts()
    artists = tracks.loc[(parts == "train").to_numpy(), "artist"]
    known = f" by {artists.nunique()} artists" if (artists != "").all() else ""
    return (
        f"{describe_source(tracks)} Learned from {counts['train']} tracks{known}; "
        f"{counts['validation']} others chose the best epoch."
    )


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


def _fingerprint(tracks: pd.DataFrame, parts: pd.Series, epochs: int, seed: int) -> str:
    """Return a name that changes when a track's file, its genre or part, or an option does."""
    from .networks import keras

    description: list[object] = [epochs, seed, FEATURE_RECIPE, keras.__version__, RECIPE]
    for name, genre, part in zip(tracks["path"], tracks["genre"], parts, strict=True):
        path = Path(name).resolve()
        if not path.is_file():
            raise AudioError(path, "there is no such file", "list the tracks again: load_tracks()")
        description.append((*file_state(path), genre, part))
    return hashlib.sha256(repr(description).encode()).hexdigest()[:24]
