"""How long a data set takes to be checked, beside the time that reading its samples takes."""

from __future__ import annotations

import os
from contextlib import suppress

import click
import pandas as pd
import soundfile as sf

from gtzan_helpers.datasets import load_tracks
from gtzan_helpers.faults import check_tracks

from .common import empty_cache, seconds_of, show

# GTZAN: 1000 tracks of 30 s.
WHOLE_SECONDS = 1000 * 30.0
PER_WHOLE = "for 1000 tracks of 30 s, minutes"


def table(tracks: pd.DataFrame) -> pd.DataFrame:
    """Time the reading of all samples, a first check, and a second one.

    There is a row for each step: the seconds of waiting, and the minutes that 1000 tracks of 30 s
    would take at the same pace. What earlier checks remembered is set aside meanwhile.
    """
    readable = tracks[tracks["problem"] == ""]
    with empty_cache():
        rows = [
            ("reading every sample (soundfile)", seconds_of(lambda: _read_all(readable["path"]))),
            ("check_tracks, nothing cached", seconds_of(lambda: check_tracks(tracks))),
            ("check_tracks again", seconds_of(lambda: check_tracks(tracks))),
        ]
    result = pd.DataFrame(rows, columns=["step", "seconds"])
    result[PER_WHOLE] = result["seconds"] * WHOLE_SECONDS / readable["seconds"].sum() / 60
    return result


def _read_all(paths: pd.Series) -> None:
    for path in paths:
        with suppress(sf.SoundFileError):  # check_tracks will tell
            sf.read(path, dtype="float32")


@click.command()
@click.argument("folder", default="demo")
def checks(folder: str) -> None:
    """Time the search for faults on the tracks of FOLDER."""
    tracks = load_tracks(folder)
    click.echo(f"{os.cpu_count()} cores; {len(tracks)} tracks, {tracks['seconds'].sum():.0f} s")
    show(table(tracks))


if __name__ == "__main__":
    checks()
