"""How fast the waveform network trains: our layers against Keras' own, on each backend."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from importlib.util import find_spec
from multiprocessing import get_context

import click
import numpy as np
import pandas as pd

BACKENDS = ("tensorflow", "torch", "jax")
LAYERS = {"Keras' own": True, "ours": False}  # the value is `plain` of `abdoli_cnn`


def table(
    n_samples: int = 44100,
    batch_size: int = 64,
    n_batches: int = 4,
    rounds: int = 5,
    backends: Iterable[str] | None = None,
) -> pd.DataFrame:
    """Train the network on noise, with each backend and each kind of layers in turn.

    Each backend has a process of its own. The turns go round, so that whatever else the machine is
    doing weighs on all alike; compiling is not counted.

    Parameters
    ----------
    n_samples : int
        Length of a slice.
    batch_size : int
        Slices in a batch.
    n_batches : int
        Batches that are timed in each turn.
    rounds : int
        Turns that each gets.
    backends : iterable of str, optional
        Of "tensorflow", "torch" and "jax"; those installed if None.

    Returns
    -------
    DataFrame, one row per backend and kind of layers
        `slices_per_second`, the median over the rounds; `times_as_fast` as the first row, the
        median of each round's ratio; `processor_seconds` that 1000 slices take, the median, which
        says more than the clock on a busy machine.
    """
    names = [name for name in BACKENDS if find_spec(name)] if backends is None else list(backends)
    work = (n_samples, batch_size, n_batches)
    workers = {
        name: ProcessPoolExecutor(1, get_context("spawn"), _choose_backend, (name,))
        for name in names
    }
    try:
        measured = [
            (name, layers, *workers[name].submit(training_time, plain, *work).result())
            for _ in range(rounds)
            for name in names
            for layers, plain in LAYERS.items()
        ]
    finally:
        for worker in workers.values():
            worker.shutdown()
    return _summary(measured, batch_size * n_batches)


def _summary(measured: list[tuple[str, str, float, float]], n_slices: int) -> pd.DataFrame:
    turns = pd.DataFrame(measured, columns=["backend", "layers", "seconds", "processor_seconds"])
    n_ways = len(turns[["backend", "layers"]].drop_duplicates())
    first_of_round = turns["seconds"].to_numpy()[::n_ways].repeat(n_ways)
    turns["slices_per_second"] = n_slices / turns["seconds"]
    turns["times_as_fast"] = first_of_round / turns["seconds"]
    turns["processor_seconds"] *= 1000 / n_slices
    columns = ["slices_per_second", "times_as_fast", "processor_seconds"]
    return turns.groupby(["backend", "layers"], sort=False)[columns].median().reset_index()


@click.command()
@click.option("--rounds", default=5, show_default=True, help="Turns that each way gets.")
@click.option("--batches", default=4, show_default=True, help="Batches that a turn trains on.")
@click.option("--samples", default=44100, show_default=True, help="Length of a slice.")
def cnn(rounds: int, batches: int, samples: int) -> None:
    """Show how many slices a second the waveform network trains on (minutes)."""
    result = table(n_samples=samples, n_batches=batches, rounds=rounds)
    click.echo(result.to_string(index=False, float_format="{:.1f}".format))


# What follows runs in the processes that the table starts.


def _choose_backend(name: str) -> None:
    os.environ["KERAS_BACKEND"] = name
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # TensorFlow is talkative


def training_time(
    plain: bool, n_samples: int, batch_size: int, n_batches: int
) -> tuple[float, float]:
    """Return how long it takes to train on some batches, by the clock and in processor time."""
    train = _training(plain, n_samples, batch_size, n_batches)
    started, processor_started = time.perf_counter(), time.process_time()
    train()
    return time.perf_counter() - started, time.process_time() - processor_started


@cache
def _training(plain: bool, n_samples: int, batch_size: int, n_batches: int) -> Callable[[], None]:
    """Return a function that trains a network, compiled already, for one epoch."""
    from ..networks import abdoli_cnn

    network = abdoli_cnn(n_samples, plain=plain)
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((batch_size * n_batches, n_samples), dtype=np.float32)
    genres = rng.integers(10, size=len(noise))

    def train() -> None:
        network.fit(noise, genres, batch_size=batch_size, verbose=0)

    train()
    return train
