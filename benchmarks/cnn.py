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
WAYS = ("Keras' own", "ours")


def table(
    n_samples: int = 44100,
    batch_size: int = 64,
    n_batches: int = 16,
    rounds: int = 9,
    backends: Iterable[str] | None = None,
) -> pd.DataFrame:
    """Train the network on noise, with each backend, Keras' own way and ours in turn.

    Each has a process of its own. The turns go round, so that whatever else the machine is doing
    weighs on all alike; compiling is not counted. Keras' own way is that of a program that has the
    same network from a file, without this package: freed memory is not kept either.

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
    DataFrame, one row per backend and way
        `slices_per_second` over all turns, and in the `slowest` and the `fastest`; `times_as_fast`
        as the first row over all turns, and `in_a_turn`, the median of the turns' own ratios;
        `processor_seconds` that 1000 slices take.
    """
    names = [name for name in BACKENDS if find_spec(name)] if backends is None else list(backends)
    work = (_described(n_samples), n_samples, batch_size, n_batches)
    workers = {
        (name, way): ProcessPoolExecutor(1, get_context("spawn"), _prepare, (name,))
        for name in names
        for way in WAYS
    }
    try:
        measured = [
            (name, way, *worker.submit(training_time, way, *work).result())
            for _ in range(rounds)
            for (name, way), worker in workers.items()
        ]
    finally:
        for worker in workers.values():
            worker.shutdown()
    return _summary(measured, batch_size * n_batches)


def _summary(measured: list[tuple[str, str, float, float]], n_slices: int) -> pd.DataFrame:
    turns = pd.DataFrame(measured, columns=["backend", "layers", "seconds", "processor"])
    n_ways = len(turns[["backend", "layers"]].drop_duplicates())
    turns["ratio"] = turns["seconds"].to_numpy()[::n_ways].repeat(n_ways) / turns["seconds"]
    rows = turns.groupby(["backend", "layers"], sort=False)
    seconds = rows["seconds"].mean()
    table = pd.DataFrame(
        {
            "slices_per_second": n_slices / seconds,
            "slowest": n_slices / rows["seconds"].max(),
            "fastest": n_slices / rows["seconds"].min(),
            "times_as_fast": seconds.iloc[0] / seconds,
            "in_a_turn": rows["ratio"].median(),
            "processor_seconds": rows["processor"].mean() * 1000 / n_slices,
        }
    )
    return table.reset_index()


@click.command()
@click.option("--rounds", default=9, show_default=True, help="Turns that each way gets.")
@click.option("--batches", default=16, show_default=True, help="Batches that a turn trains on.")
@click.option("--samples", default=44100, show_default=True, help="Length of a slice.")
def cnn(rounds: int, batches: int, samples: int) -> None:
    """Show how many slices a second the waveform network trains on (minutes)."""
    result = table(n_samples=samples, n_batches=batches, rounds=rounds)
    click.echo(result.to_string(index=False, float_format="{:.1f}".format))


def _described(n_samples: int) -> str:
    """Return the network as Keras writes it into a file, with Keras' own layers only."""
    from gtzan_helpers.networks import abdoli_cnn

    return abdoli_cnn(n_samples).to_json()


# What follows runs in the processes that the table starts.


def _prepare(backend: str) -> None:
    os.environ["KERAS_BACKEND"] = backend
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # TensorFlow is talkative


def training_time(
    way: str, described: str, n_samples: int, batch_size: int, n_batches: int
) -> tuple[float, float]:
    """Return how long it takes to train on some batches, by the clock and in processor time."""
    train = _training(way, described, n_samples, batch_size, n_batches)
    started, processor_started = time.perf_counter(), time.process_time()
    train()
    return time.perf_counter() - started, time.process_time() - processor_started


@cache
def _training(
    way: str, described: str, n_samples: int, batch_size: int, n_batches: int
) -> Callable[[], None]:
    """Return a function that trains a network, compiled already, for one epoch."""
    if way == "ours":
        from gtzan_helpers.networks import abdoli_cnn

        network = abdoli_cnn(n_samples)
    else:
        import keras

        network = keras.models.model_from_json(described)
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((batch_size * n_batches, n_samples), dtype=np.float32)
    genres = rng.integers(10, size=len(noise))

    def train() -> None:
        network.fit(noise, genres, batch_size=batch_size, verbose=0)

    train()
    return train


if __name__ == "__main__":
    cnn()
