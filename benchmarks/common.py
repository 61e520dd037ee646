"""What several benchmarks need: an empty cache, classifiers, and a table on the screen."""

from __future__ import annotations

import io
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import click
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from gtzan_helpers.cache import keep

if TYPE_CHECKING:
    import keras

MEASURED_WITH = ("gtzan-helpers", "jax", "keras", "librosa", "numpy", "scikit-learn", "scipy")


@contextmanager
def empty_cache() -> Iterator[None]:
    """Let nothing be found that an earlier run has measured."""
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, GTZAN_CACHE=folder):
        yield


def seconds_of(step: Callable[[], object]) -> float:
    """Return how long a step takes, by the clock."""
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


def once(path: Path, compute: Callable[[], NDArray]) -> NDArray[np.float32]:
    """Return what is kept in a file of the cache; if nothing is, compute it, and keep it there."""
    if path.is_file():
        return np.load(path)
    computed, packed = np.asarray(compute(), np.float32), io.BytesIO()
    np.save(packed, computed)
    keep(path, packed.getvalue())
    return computed


def classifier(name: str = "logistic regression") -> Pipeline:
    """Return a scikit-learn classifier that scales its inputs first: also "SVM"."""
    return scaled(SVC() if name == "SVM" else LogisticRegression(max_iter=2000))


def scaled(last: ClassifierMixin) -> Pipeline:
    """Return a scikit-learn classifier behind a scaler."""
    return make_pipeline(StandardScaler(), last)


def artist_groups(tracks: pd.DataFrame) -> pd.Series:
    """Return what intervals resample: the artist of each track, or the track if none is known."""
    return tracks["artist"].where(tracks["artist"] != "", tracks["track_id"])


def dense_network(measured: NDArray, n_genres: int, seed: int) -> keras.Model:
    """Return the course's dense network, untrained, scaled to the rows that it is to learn from."""
    from gtzan_helpers import networks

    networks.keras.utils.set_random_seed(seed)
    network = networks.dense_network(measured.shape[1], n_genres)
    network.get_layer("scaler").adapt(measured)
    return network


def made_by(command: str) -> dict[str, object]:
    """Return what is to be noted about a measured table: command, date and versions."""
    versions = {name: metadata.version(name) for name in MEASURED_WITH}
    date = datetime.now(UTC).date().isoformat()
    return {"command": f"python -m {command}", "made": date, "versions": versions}


def as_markdown(scores: pd.DataFrame, rows: str, columns: str) -> str:
    """Write accuracies and their intervals with a row for each value of one column of a table,
    and a column for each of another; in the order of their first appearance."""
    cells = [f"{s.accuracy:.2f} [{s.low:.2f}, {s.high:.2f}]" for s in scores.itertuples()]
    names, systems = scores[columns].unique(), scores[rows].unique()
    cells = scores.assign(cell=cells).pivot_table("cell", rows, columns, aggfunc="first")
    cells = cells.reindex(index=systems, columns=names).fillna("–").reset_index()
    lines = [[rows, *names], ["---"] * (1 + len(names)), *cells.to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def show(table: pd.DataFrame, digits: int = 2) -> None:
    """Print a table; what was not measured is a dash."""
    number = f"{{:.{digits}f}}".format
    click.echo(table.to_string(index=False, float_format=number, na_rep="–"))
