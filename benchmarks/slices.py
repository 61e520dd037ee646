"""What all slices of a data set cost: memory held, and how fast batches of them come."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import click
import numpy as np
import pandas as pd
import psutil
from tqdm import tqdm

from gtzan_helpers.datasets import load_tracks
from gtzan_helpers.faults import usable
from gtzan_helpers.slices import SliceSet

from .cnn import training_time
from .common import empty_cache, show

BATCH_SIZE = 64
N_TRAINED = 4  # batches on which the network's speed is measured
MEGABYTE = 2**20


def table(tracks: pd.DataFrame) -> pd.DataFrame:
    """Measure a `SliceSet` while it is made and while all of it passes by in mixed batches.

    There is a row for each step: seconds, slices_per_second, and MB, the memory that this program
    took more than before while the step ran (for the copies, what they would take).
    """
    with empty_cache():
        slices, making = _measured(lambda: SliceSet(tracks))
        n_slices = len(slices)
        batches = slices.batches(np.arange(n_slices), BATCH_SIZE)
        held = psutil.Process().memory_info().rss
        most, started = held, time.perf_counter()
        for place in tqdm(range(len(batches)), "read batches", leave=False):
            batches[place]
            most = max(most, psutil.Process().memory_info().rss)
        reading = time.perf_counter() - started
    training, _ = training_time("ours", "", slices.n_samples, BATCH_SIZE, N_TRAINED)
    copies = n_slices * slices.n_samples * 4 / MEGABYTE
    rows = [
        ("every slice copied, float32", np.nan, np.nan, copies),
        ("SliceSet made, nothing cached", making[0], n_slices / making[0], making[1]),
        ("all slices in mixed batches", reading, n_slices / reading, (most - held) / MEGABYTE),
        (f"training on {N_TRAINED} batches", training, BATCH_SIZE * N_TRAINED / training, np.nan),
    ]
    return pd.DataFrame(rows, columns=["step", "seconds", "slices_per_second", "MB"])


@click.command()
@click.argument("folder", default="demo")
@click.option("--repeat", default=1, show_default=True, help="Take every track so many times.")
def slices(folder: str, repeat: int) -> None:
    """Show what the slices of FOLDER's tracks cost in memory and time."""
    tracks = usable(load_tracks(folder))
    copies = [tracks.assign(track_id=tracks["track_id"] + f"-{n}") for n in range(repeat)]
    tracks = pd.concat(copies, ignore_index=True)
    click.echo(f"{len(tracks)} tracks of {tracks['seconds'].median():.0f} s")
    show(table(tracks), digits=1)


def _measured(step: Callable[[], SliceSet]) -> tuple[SliceSet, tuple[float, float]]:
    """Return what a step returns, its seconds, and the memory in MB that is held after it."""
    gc.collect()
    before, started = psutil.Process().memory_info().rss, time.perf_counter()
    result = step()
    seconds = time.perf_counter() - started
    gc.collect()
    return result, (seconds, (psutil.Process().memory_info().rss - before) / MEGABYTE)


if __name__ == "__main__":
    slices()
