"""The commands of `python -m gtzan_helpers`: classify a song, benchmarks, and a doctor."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from .benchmarks import benchmarks

if TYPE_CHECKING:
    import pandas as pd

    from . import songs
    from .doctor import Finding


@click.group()
def main() -> None:
    """A course on music genre classification: helpers for the command line."""


main.add_command(benchmarks)


@main.command()
@click.argument("song", type=click.Path(exists=True, dir_okay=False))
@click.option("--data", help="What to learn from: demo, mini, full or a folder of genres.")
@click.option("--models", "folder", type=click.Path(), help="Folder written by save_models.")
@click.option("--png", type=click.Path(dir_okay=False), help="Draw the figure into this file.")
@click.option("--json", "numbers", type=click.Path(dir_okay=False), help="Write all numbers.")
def classify(
    song: str, data: str | None, folder: str | None, png: str | None, numbers: str | None
) -> None:
    """Say what both networks make of SONG, as a whole and in its course.

    The networks are trained once, on the demo or on GTZAN_DATA, and kept; or loaded from a folder.
    """
    from . import audio, cache, datasets, listening, plots, splits

    try:
        audio.read_header(song)  # a song that cannot be read is told before the training
        models = trained_models(data, folder)
        click.echo(f"Trained on {models.trained_on}")
        heard = listening.classify_song(song, models)
        if png:
            plots.use_style()  # the style of the course's figures
            cache.write_atomically(png, heard.picture()[0])
        if numbers:
            cache.write_atomically(numbers, json.dumps(heard.as_dict(), indent=1) + "\n")
    except (audio.AudioError, datasets.DatasetError, splits.SplitError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from error
    *verdicts, strangeness = heard.verdicts()
    for verdict, probabilities in zip(verdicts, heard.probabilities.values(), strict=True):
        click.echo(f"\n{verdict}\n  {course_of(probabilities)}")
    click.echo(f"\n{strangeness}")


def trained_models(data: str | None, folder: str | None) -> songs.Models:
    """Return networks from a folder, or trained on some data."""
    from . import datasets, songs, splits

    if folder:
        if data:
            raise click.UsageError("--models are trained already: leave out --data")
        return songs.load_models(folder)
    tracks = datasets.usable(datasets.load_tracks(data))
    return songs.train_models(tracks, splits.split(tracks, by=splits.strictest_split(tracks)))


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
    from . import doctor

    complete = report(doctor.check_python() + doctor.check_dependencies())
    if complete:  # the other checks need the dependencies
        complete = report(doctor.check_room() + doctor.check_audio() + doctor.check_keras())
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
