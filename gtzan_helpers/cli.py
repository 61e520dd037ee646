"""The commands of `python -m gtzan_helpers`: classify a song, benchmarks, and a doctor."""

from __future__ import annotations

import json
import platform
import shutil
import sys
from importlib import import_module, metadata
from typing import TYPE_CHECKING

import click

from .benchmarks import benchmarks

if TYPE_CHECKING:
    import pandas as pd

    from . import songs

LESSON_MEMORY = 1.5  # GB, the most that a lesson may take
GIGABYTE = 2**30


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
            plots.start_lesson()  # the style of the course's figures
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


@main.command()
def doctor() -> None:
    """Look at this machine, and say what is missing and how to mend it."""
    complete = report(check_python() + check_dependencies())
    if complete:  # the other checks need the dependencies
        complete = report(check_room() + check_audio() + check_keras())
    if not complete:
        sys.exit(1)
    click.echo("Everything is here.")


def report(findings: list[tuple[str, str]]) -> bool:
    """Print each finding, and its cure if it has one; return whether nothing needs a cure."""
    for line, cure in findings:
        click.echo(f"{'!!' if cure else 'ok'}  {line}")
        if cure:
            click.echo(f"      {cure}")
    return not any(cure for _, cure in findings)


def check_python() -> list[tuple[str, str]]:
    """Return what was found and, if it must be mended, how: here for Python itself."""
    from packaging.specifiers import SpecifierSet

    wanted = SpecifierSet(metadata.metadata("gtzan-helpers")["Requires-Python"])
    cure = "" if platform.python_version() in wanted else f"Install Python {wanted}."
    return [(f"Python {platform.python_version()}, {platform.platform()}", cure)]


def check_dependencies() -> list[tuple[str, str]]:
    """Return a line per package that the lessons need, and how to install those missing."""
    from packaging.requirements import Requirement

    found = []
    for text in metadata.requires("gtzan-helpers") or []:
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        wanted = f"{requirement.name}{requirement.specifier}"
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            found.append((f"{requirement.name} is missing", f'pip install "{wanted}"'))
            continue
        fits = requirement.specifier.contains(version, prereleases=True)
        cure = "" if fits else f'pip install --upgrade "{wanted}"'
        found.append((f"{requirement.name} {version} (needs {requirement.specifier})", cure))
    return found


def check_room() -> list[tuple[str, str]]:
    """Return the free memory and the free disk."""
    import psutil

    from .datasets import cache_folder

    memory = psutil.virtual_memory()
    free = memory.available / GIGABYTE
    cure = "" if free > LESSON_MEMORY else f"A lesson takes up to {LESSON_MEMORY} GB: close others."
    folder = cache_folder()
    existing = next(place for place in [folder, *folder.parents] if place.exists())
    disk = shutil.disk_usage(existing).free / GIGABYTE
    return [
        (f"memory: {free:.1f} GB free of {memory.total / GIGABYTE:.1f} GB", cure),
        (
            f"disk: {disk:.1f} GB free for {folder}",
            "" if disk > 1 else "Set GTZAN_CACHE to a folder on a disk with more room.",
        ),
    ]


def check_audio() -> list[tuple[str, str]]:
    """Return the audio formats that can be read."""
    import soundfile

    readable = soundfile.available_formats()
    missing = [name for name in ("WAV", "AU", "FLAC", "OGG", "MP3") if name not in readable]
    cure = f"{' and '.join(missing)} cannot be read: pip install --upgrade soundfile"
    return [(f"audio: libsndfile reads {', '.join(sorted(readable))}", cure if missing else "")]


def check_keras() -> list[tuple[str, str]]:
    """Return Keras' backend and the devices that it computes on."""
    try:
        import_module("gtzan_helpers.networks")  # chooses the backend, unless you have
        import keras

        devices = ", ".join(keras.distribution.list_devices()) or "cpu"
        return [(f"Keras {keras.__version__} on {keras.config.backend()}: {devices}", "")]
    except ImportError as error:
        cure = "Install that backend, or set KERAS_BACKEND=jax."
        return [(f"Keras cannot start: {error}", cure)]
