"""The commands of `python -m gtzan_helpers`: classify a song, and a doctor."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING

import click

from .errors import CourseError

if TYPE_CHECKING:
    import pandas as pd

    from .classroom import Finding
    from .models import Models
    from .predict import Prediction

# How the two files that classify writes begin.
PNG, JSON = b"\x89PNG\r\n\x1a\n", b'{\n "song": '


@click.group()
def main() -> None:
    """A course on music genre classification: helpers for the command line."""
    for stream in (sys.stdout, sys.stderr):  # a name may hold what the screen cannot show
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


@main.command()
@click.argument("song", type=click.Path(exists=True, dir_okay=False))
@click.option("--data", help="What to learn from: demo, mini, full or a folder of genres.")
@click.option("--models", "folder", type=click.Path(), help="Folder written by save_models.")
@click.option("--png", type=click.Path(), help="Draw the figure into this file, - for the output.")
@click.option("--json", "numbers", type=click.Path(), help="Write all numbers, likewise.")
def classify(
    song: str, data: str | None, folder: str | None, png: str | None, numbers: str | None
) -> None:
    """Say what both networks make of SONG, as a whole and in its course.

    The networks are trained once, on the demo or on GTZAN_DATA, and kept; or loaded from a folder.
    """
    with one_line_errors():
        from .outputs import STANDARD_OUTPUT, write_output

        check_outputs(png, numbers)
        # What is said on the way must not stand in a file that goes to standard output.
        to_output = {png, numbers} & set(STANDARD_OUTPUT)
        with redirect_stdout(sys.stderr if to_output else sys.stdout):
            heard = hear(song, data, folder)
        if numbers:
            write_output(numbers, json.dumps(heard.as_dict(), indent=1) + "\n")
        if png:
            write_output(png, heard.picture()[0])


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Let a command end with one line that says what is wrong, instead of a traceback."""
    try:
        yield
    except BrokenPipeError:  # click's own affair
        raise
    except ImportError as error:
        raise click.ClickException(f"{error}: python -m gtzan_helpers doctor says more") from error
    except ValueError as error:  # the family of all our errors
        raise click.ClickException(str(error)) from error
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        raise click.ClickException(reason) from error


def check_outputs(png: str | None, numbers: str | None) -> None:
    """Refuse, before any training, files that must not be written or get in each other's way."""
    from .outputs import check_output, same_output

    for path, begins in ((png, PNG), (numbers, JSON)):
        if path:
            check_output(path, begins)
    if png and numbers and same_output(png, numbers):
        raise ValueError(f"--png and --json both name {numbers}: name two files")


def hear(song: str, data: str | None, folder: str | None) -> Prediction:
    """Print what both networks make of a song, and return it."""
    from . import audio, classroom

    audio.read_header(song)  # a song that cannot be read is told before the training
    os.environ.pop("MPLBACKEND", None)  # figures go into files here, whatever was set
    classroom.start_keras()
    from . import plots, predict

    plots.plt.switch_backend("agg")
    plots.use_style()  # the style of the course's figures
    models = trained_models(data, folder)
    click.echo(f"Trained on {models.trained_on}")
    heard = predict.classify_song(song, models)
    *verdicts, strangeness = heard.verdicts()
    for verdict, probabilities in zip(verdicts, heard.probabilities.values(), strict=True):
        click.echo(f"\n{verdict}\n  {course_of(probabilities)}")
    click.echo(f"\n{strangeness}")
    return heard


def trained_models(data: str | None, folder: str | None) -> Models:
    """Return networks from a folder, or trained on some data."""
    from . import datasets, splits
    from .models import load_models, train_models

    if folder:
        if data:
            raise click.UsageError("--models are trained already: leave out --data")
        return load_models(folder)
    tracks = datasets.usable(datasets.load_tracks(data))
    if tracks.empty:
        place = data or os.environ.get("GTZAN_DATA") or "the demo"
        raise CourseError(f"no usable track is left in {place}: take other recordings")
    return train_models(tracks, splits.split(tracks, by=splits.strictest_split(tracks)))


def course_of(probabilities: pd.DataFrame) -> str:
    """Return the likeliest genre in the course of a song: `0:00 blues, 0:14 jazz`."""
    likeliest = probabilities.idxmax(axis="columns")
    changes = likeliest[likeliest != likeliest.shift()]
    return ", ".join(
        f"{int(start) // 60}:{int(start) % 60:02d} {genre}" for start, genre in changes.items()
    )


@main.command("doctor")
def see_doctor() -> None:
    """Look at this machine, and say what is missing and how to mend it."""
    from . import classroom

    complete = report(classroom.look(classroom.check_python, classroom.check_dependencies))
    if complete:  # the other checks need the dependencies
        others = (
            classroom.check_room,
            classroom.check_audio,
            classroom.check_figures,
            classroom.check_keras,
        )
        complete = report(classroom.look(*others))
    if not complete:
        sys.exit("Mend what is marked with !!, then ask again.")
    click.echo("Everything is here.")


def report(findings: list[Finding]) -> bool:
    """Print each finding, and its cure if it has one; return whether nothing needs a cure."""
    for line, cure in findings:
        click.echo(f"{'!!' if cure else 'ok'}  {line}")
        if cure:
            click.echo(f"      {cure}")
    return not any(cure for _, cure in findings)
