"""The commands of `python -m gtzan_helpers`: classify a song, find leaks, and a doctor."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING

import click

import gtzan_helpers as gh  # a room is loaded when a name of it is first used

from . import classroom, measured

if TYPE_CHECKING:
    import pandas as pd

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
@click.option("--models", "folder", type=click.Path(), help="Folder of other trained networks.")
@click.option("--png", type=click.Path(), help="Draw the figure into this file, - for the output.")
@click.option("--json", "numbers", type=click.Path(), help="Write all numbers, likewise.")
def classify(song: str, folder: str | None, png: str | None, numbers: str | None) -> None:
    """Say what networks make of SONG, as a whole and from its beginning to its end.

    They are those of the course, which know five genres, or others of your own: the dense network,
    the 1-D CNN, and musicnn, which was trained on other music.
    """
    with one_line_errors():
        from . import audio, outputs

        # What must not be written or cannot be read is refused before the work.
        for path, begins in ((png, PNG), (numbers, JSON)):
            if path:
                outputs.check_output(path, begins)
        if png and numbers and outputs.same_output(png, numbers):
            raise gh.CourseError(f"--png and --json both name {numbers}: name two files")
        audio.read_header(song)
        os.environ["MPLBACKEND"] = "agg"  # figures go into files here, whatever was set
        gh.plots.use_style()
        classroom.require_keras()
        # What is printed must not stand in a file that goes to standard output.
        to_output = {png, numbers} & set(outputs.STANDARD_OUTPUT)
        with redirect_stdout(sys.stderr if to_output else sys.stdout):
            models = gh.load_models(folder or measured.FIVE)
            prediction = gh.classify_song(song, models, third=True)
            say(prediction, models)
        if numbers:
            outputs.write_output(numbers, json.dumps(as_numbers(prediction), indent=1) + "\n")
        if png:
            outputs.write_output(png, prediction.picture()[0])


@contextmanager
def one_line_errors(status: int = 1) -> Iterator[None]:
    """Let a command end with a status and one line that says what is wrong, not a traceback."""
    try:
        yield
    except BrokenPipeError:  # click's own affair
        raise
    except (ImportError, ValueError, OSError) as error:  # ValueError: the family of all our errors
        more = ": python -m gtzan_helpers doctor says more" * isinstance(error, ImportError)
        failure = click.ClickException(f"{error}{more}")
        failure.exit_code = status
        raise failure from error


def say(prediction: Prediction, models: Models) -> None:
    """Print what networks make of a song, and the course of each through it."""
    click.echo(f"Trained on {models.trained_on}")
    *verdicts, strangeness = prediction.verdicts()
    for verdict, table in zip(verdicts, prediction.probabilities.values(), strict=True):
        click.echo(f"\n{verdict}\n  {course_of(table)}")
    click.echo(f"\n{strangeness}\n{prediction.about}")


def course_of(probabilities: pd.DataFrame) -> str:
    """Return the likeliest genre in the course of a song: `0:00 blues, 0:14 jazz`."""
    likeliest = probabilities.idxmax(axis="columns")
    changes = likeliest[likeliest != likeliest.shift()]
    return ", ".join(
        f"{int(start) // 60}:{int(start) % 60:02d} {genre}" for start, genre in changes.items()
    )


def as_numbers(prediction: Prediction) -> dict[str, object]:
    """Return a prediction as numbers and text, for a JSON file; times in seconds."""
    tables = prediction.probabilities.items()
    windows = {name: table.round(4).reset_index().to_dict("records") for name, table in tables}
    return {
        "song": prediction.name,
        "seconds": prediction.seconds,
        "distance": prediction.distance,
        "strangeness": prediction.strangeness,
        "overall": prediction.overall.round(4).to_dict("index"),
        "windows": windows,
    }


@main.command()
@click.argument("train", type=click.Path(exists=True))
@click.argument("test", type=click.Path(exists=True))
@click.argument("validation", type=click.Path(exists=True), required=False)
@click.option("--index", type=click.Path(exists=True), help="List of artists; else Sturm's.")
@click.option("--json", "numbers", is_flag=True, help="Print JSON instead of Markdown.")
def leaks(train: str, test: str, validation: str | None, index: str | None, numbers: bool) -> None:
    """Say which tracks, recordings and artists TRAIN, TEST and VALIDATION share.

    Each is a folder of genre folders, a CSV with a column of file names, or a text file with a name
    per line. Ends with 1 where something is shared, with 0 where nothing is, with 2 where that
    cannot be told.
    """
    with one_line_errors(status=2):
        from . import leaks as room

        sources = {"train": train, "validation": validation, "test": test}
        with redirect_stdout(sys.stderr):
            parts = {name: room.read_part(path, index) for name, path in sources.items() if path}
            tracks = room.together(parts)
        found = room.find_leaks(tracks)
        if numbers:
            click.echo(json.dumps(room.as_numbers(tracks, found), indent=1))
        else:
            click.echo("\n".join(room.describe(tracks, found)))
    sys.exit(int(not found.empty))


@main.command()
def doctor() -> None:
    """Look at this machine, and say what is missing and how to mend it."""
    trials = classroom.check_librosa, classroom.check_figures, classroom.check_keras
    others = classroom.check_room, classroom.check_audio, *trials  # which need the packages
    if not (report(classroom.check_packages) and report(*others)):
        sys.exit("Mend what is marked with !!, then ask again.")
    click.echo("Everything is here.")


def report(*checks: Callable[[], list[classroom.Finding]]) -> bool:
    """Print what some checks find, and the cures; return whether none is needed."""
    findings = classroom.look(*checks)
    for found, cure in findings:
        click.echo(f"!!  {found}\n      {cure}" if cure else f"ok  {found}")
    return not any(cure for _, cure in findings)
