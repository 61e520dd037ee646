"""What this course's code measured on real music whose recordings may not be passed on.

A folder holds compressed tables, and about.json says of each with what command, when and with which
versions it was made. The folder gtzan-five is part of the package: the 500 tracks of five of
GTZAN's genres. Commands in benchmarks/ make such folders of any tracks.
"""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pandas as pd
import pooch

from .cache import write_atomically
from .errors import CourseError

FIVE = "gtzan-five"
_FOLDER = Path(__file__).parent / "measured"
_ABOUT = "about.json"
_NAMES = ("system", "split", "track_id", "genre", "artist", "recording", "filename", "label")


def load_answers(source: str | Path = FIVE) -> pd.DataFrame:
    """Return what classifiers answered for real tracks while these were test tracks.

    Every system was trained anew for each fold of a cross-validation, without the fold's tracks,
    and asked about these only. A few settings were chosen beforehand, on other folds of the same
    tracks.

    Parameters
    ----------
    source : str or path
        "gtzan-five", which comes with the course, or a folder that `benchmarks.answers` wrote.

    Returns
    -------
    DataFrame, a row per answer
        system (such as "SVM" or "1-D CNN"), seed (of the folds and the weights), split (what was
        kept on one side: "artist" or "track"), fold, track_id, genre, artist, and a column per
        genre: the probability that the system gave it.

    Raises
    ------
    CourseError
        If the table is missing, or was changed.

    Examples
    --------
    >>> answers = gh.load_answers().query("split == 'artist' and seed == 0")
    >>> answers.groupby("system")["track_id"].count()

    Lesson: 05_dense_network and others.
    """
    return read_measured(source, "answers")


def is_measured(source: str | Path) -> bool:
    """Whether a source is a folder of measured tables, or the name of one in the package."""
    return (measured_folder(source) / _ABOUT).is_file() or str(source) == FIVE


def measured_folder(source: str | Path) -> Path:
    """Return where the tables of a source are."""
    return _FOLDER / FIVE if str(source) == FIVE else Path(source).expanduser()


def read_measured(source: str | Path, name: str) -> pd.DataFrame:
    """Return one of the tables that `write_measured` wrote: tracks, features, pieces or answers."""
    path = measured_folder(source) / f"{name}.csv.gz"
    again = "install the package again" if str(source) == FIVE else "make the tables again"
    try:
        about = json.loads(path.with_name(_ABOUT).read_text(encoding="utf-8"))
        expected = about[path.name]["sha256"]
        found = pooch.file_hash(str(path))
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise CourseError(f"{path} is missing or cannot be read ({reason}): {again}") from error
    if found != expected:
        raise CourseError(f"{path} is not as it was made, a checksum differs: {again}")
    return pd.read_csv(path, keep_default_na=False, dtype=dict.fromkeys(_NAMES, str))


def write_measured(
    folder: str | Path,
    tables: dict[str, pd.DataFrame],
    about: dict[str, object],
) -> None:
    """Write tables into a folder, and note how each was made; what else is there stays.

    The same tables give the same bytes. A table is replaced in one step, and noted at the end: what
    an interruption leaves behind is refused by `read_measured`.
    """
    folder = Path(folder)
    noted = folder / _ABOUT
    notes = json.loads(noted.read_text(encoding="utf-8")) if noted.is_file() else {}
    for name, table in tables.items():
        text = table.to_csv(index=False, lineterminator="\n", float_format="%.9g")
        packed = io.BytesIO()
        with gzip.GzipFile(filename="", fileobj=packed, mode="wb", mtime=0) as file:
            file.write(text.encode("utf-8"))
        path = folder / f"{name}.csv.gz"
        write_atomically(path, packed.getvalue())
        notes[path.name] = {"rows": len(table), **about, "sha256": pooch.file_hash(str(path))}
    write_atomically(noted, json.dumps(notes, indent=1, sort_keys=True) + "\n")
