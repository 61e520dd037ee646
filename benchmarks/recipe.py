"""Which recipe the CNN learns best by: the course's own, and each with one thing changed.

Tried on tracks of gtzan-five in folds of artists that are others than those of the answers, so
that what is chosen here has not seen them. Minutes a fold; what is done is kept, and an interrupted
run goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from functools import partial

import click
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from gtzan_helpers import fast
from gtzan_helpers.cache import digest, kept
from gtzan_helpers.datasets import load_tracks
from gtzan_helpers.errors import CourseError
from gtzan_helpers.evaluation import accuracy_interval, paired_difference, vote
from gtzan_helpers.models import CNN_BATCH
from gtzan_helpers.networks import (
    abdoli_cnn,
    falling_rate,
    fit,
    gammatone_filters,
    keras,
    layers,
)

from .answers import CNN_EPOCHS, Exam, Fold, slices_of
from .common import artist_groups, once, show
from .tables import of_manifest

# The answers' folds have seeds from 0 on.
FIRST_SEED = 10


@dataclass(frozen=True)
class Recipe:
    """How the CNN is trained; the defaults are the course's."""

    epochs: int = CNN_EPOCHS
    batch: int = CNN_BATCH
    rate: float = 1e-3
    augment: bool = True  # other starts, gain, polarity
    mixed: float = 0.0  # parameter of the beta distribution that two slices are mixed by
    smoothing: float = 0.0  # of the labels
    decay: float = 0.0  # of the weights
    dropped: float = 0.0  # share of the channels left out after each pooling
    emphasis: float = 0.0  # how much of the sample before is taken from each
    gammatone: bool = False  # whether the first layer begins as gammatone filters


OWN = Recipe()
RECIPES = {
    "own": OWN,
    "emphasis": replace(OWN, emphasis=0.95),
    "no change": replace(OWN, augment=False),
    "batches of 16": replace(OWN, batch=16),
    "channel dropout": replace(OWN, dropped=0.1),
    "smoothing, decay": replace(OWN, smoothing=0.1, decay=1e-2),
    "mixed": replace(OWN, mixed=0.3),
    "gammatone start": replace(OWN, gammatone=True),
    "gammatone start, batches of 16": replace(OWN, gammatone=True, batch=16),
    "8 epochs": replace(OWN, epochs=8),
    "gammatone start, 8 epochs": replace(OWN, gammatone=True, epochs=8),
}


class Batches(keras.utils.PyDataset):
    """Batches of a `SliceSet` with what a recipe changes in them, and labels as probabilities."""

    def __init__(self, batches: keras.utils.PyDataset, recipe: Recipe, seed: int = 0) -> None:
        super().__init__()
        self._batches, self._recipe = batches, recipe
        self._random = np.random.default_rng([seed, 2])

    def __len__(self) -> int:
        return len(self._batches)

    def on_epoch_end(self) -> None:
        self._batches.on_epoch_end()

    def __getitem__(self, place: int) -> tuple[NDArray[np.float32], NDArray]:
        samples, labels = self._batches[place]
        if self._recipe.emphasis:
            samples[:, 1:] -= self._recipe.emphasis * samples[:, :-1]
        if self._recipe.mixed:
            share = self._random.beta(self._recipe.mixed, self._recipe.mixed, (len(samples), 1))
            share = np.maximum(share, 1 - share).astype(np.float32)
            other = self._random.permutation(len(samples))
            samples = share * samples + (1 - share) * samples[other]
            labels = share * labels + (1 - share) * labels[other]
        return samples, labels


def build(slices: object, rows: NDArray, recipe: Recipe, n_steps: int) -> keras.Model:
    """Return the course's CNN as a recipe wants it, compiled."""
    amplitude = slices.amplitude(rows)
    if recipe.emphasis:
        some = np.flatnonzero(rows)[::50]
        plain = slices.samples(some)
        amplitude *= (plain[:, 1:] - recipe.emphasis * plain[:, :-1]).std() / plain.std()
    network = abdoli_cnn(slices.n_samples, len(slices.genres), amplitude=amplitude)
    if recipe.gammatone:
        _start_as_ears(network.get_layer("CL1"), slices.sample_rate)
    if recipe.dropped:
        network = fast.sequential(
            [keras.Input((slices.n_samples,)), *_dropping(network, recipe)], "cnn"
        )
    network.compile(
        optimizer=keras.optimizers.AdamW(
            falling_rate(n_steps, recipe.rate), weight_decay=recipe.decay
        ),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=recipe.smoothing),
        metrics=["accuracy"],
    )
    return network


def _dropping(network: keras.Model, recipe: Recipe) -> Iterable[layers.Layer]:
    for layer in network.layers:
        yield layer
        if isinstance(layer, layers.MaxPooling1D):
            yield layers.SpatialDropout1D(recipe.dropped)


def _start_as_ears(layer: layers.Conv1D, sample_rate: int) -> None:
    """Give a first layer gammatone filters to begin with, as loud as what it has."""
    kernel, bias = layer.get_weights()
    n_taps, _, n_filters = kernel.shape
    shaped = gammatone_filters(sample_rate, n_filters, n_taps).T[::-1, None]
    layer.set_weights([shaped * np.linalg.norm(kernel) / np.sqrt(n_filters), bias])


def votes(exam: Exam, fold: Fold, recipe: Recipe) -> NDArray[np.float32]:
    """Return what the CNN says of a fold's test tracks, trained by a recipe; kept once known."""
    seed = 10 * fold.seed + fold.number
    asked = asdict(recipe), exam.contents, seed, fold.train.tolist(), fold.test.tolist()
    path = kept(f"recipes/{digest(*asked)}.npy")
    return once(path, partial(_ask, exam, fold, recipe, seed))


def _ask(exam: Exam, fold: Fold, recipe: Recipe, seed: int) -> NDArray[np.float64]:
    keras.utils.set_random_seed(seed)
    rows = np.isin(exam.track_of_slice, fold.train)
    options = {"seed": seed, "augment": recipe.augment, "one_hot": True}
    training = Batches(exam.slices.batches(rows, recipe.batch, **options), recipe, seed)
    network = build(exam.slices, rows, recipe, recipe.epochs * len(training))
    history = fit(network, training, epochs=recipe.epochs)
    test = slices_of(exam, fold)
    plain = Batches(exam.slices.batches(test, shuffle=False), replace(recipe, mixed=0.0))
    click.echo(f"training accuracy at the end {history['accuracy'].iloc[-1]:.3f}")
    return vote(network.predict(plain, verbose=0), exam.track_of_slice[test]).to_numpy()


def summary(exam: Exam, tried: list[Fold], names: list[str]) -> pd.DataFrame:
    """Return the accuracy of each recipe, and its paired difference to the course's own."""
    tracks = exam.tracks.iloc[np.concatenate([fold.test for fold in tried])]
    truth, groups = tracks["genre"], artist_groups(tracks)
    genres, said = np.array(exam.genres), {}
    for name in names:
        given = np.concatenate([votes(exam, fold, RECIPES[name]) for fold in tried])
        said[name] = genres[given.argmax(axis=1)]
    rows = []
    for name, predicted in said.items():
        score = accuracy_interval(truth, predicted, groups)._asdict()
        difference = paired_difference(truth, predicted, said["own"], groups)
        rows.append({"recipe": name} | score | {"minus own": str(difference)})
    return pd.DataFrame(rows)


@click.command()
@click.argument("folder")
@click.option("--recipe", "names", multiple=True, type=click.Choice(list(RECIPES)))
@click.option("--fold", "numbers", multiple=True, type=click.IntRange(0, 4), help="Only these.")
@click.option("--seeds", default=1, show_default=True, help="How many cross-validations.")
def main(folder: str, names: tuple[str, ...], numbers: tuple[int, ...], seeds: int) -> None:
    """Train the CNN on the tracks in FOLDER by several recipes, and compare them."""
    try:
        exam = Exam.of(of_manifest(load_tracks(folder)), OWN.epochs)
    except (CourseError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    tried = [
        fold
        for fold in exam.folds("artist", FIRST_SEED + seeds)
        if fold.seed >= FIRST_SEED and fold.number in (numbers or range(5))
    ]
    chosen = list(dict.fromkeys(["own", *(names or RECIPES)]))
    for fold, name in tqdm([(fold, name) for fold in tried for name in chosen], "folds"):
        click.echo(f"seed {fold.seed}, fold {fold.number}, {name}")
        votes(exam, fold, RECIPES[name])
    show(summary(exam, tried, chosen))


if __name__ == "__main__":
    main()
