"""What full training reaches: both networks on the same honest split, for several seeds.

Lessons train for a minute; this trains for as long as it takes, and keeps what is done.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
import pandas as pd

from gtzan_helpers.datasets import load_tracks
from gtzan_helpers.errors import CourseError
from gtzan_helpers.evaluation import Score, accuracy_interval, vote
from gtzan_helpers.faults import usable
from gtzan_helpers.lists import fault_filtered
from gtzan_helpers.outputs import write_output
from gtzan_helpers.splits import split, strictest_split

from .common import show

if TYPE_CHECKING:
    from gtzan_helpers.models import Models

FAULT_FILTERED = "fault-filtered, repaired"
# GTZAN has 1000 tracks; a copy of it may lack some, and `usable` leaves out its faulty ones.
FEWEST_OF_GTZAN = 900
COLUMNS = ["network", "seed", "split", "tracks", "test_tracks", *Score._fields, "epochs", "seconds"]


def table(
    tracks: pd.DataFrame,
    seeds: int = 3,
    epochs: int = 30,
    out: str | Path | None = None,
    lists: str | Path | None = None,
) -> pd.DataFrame:
    """Train both networks once per seed, and score them on the test tracks of that seed's split.

    The whole of GTZAN is divided by the fault-filtered lists, for every seed alike; other tracks
    by artist where artists are known, else by track, anew for each seed.
    The CNN takes `epochs` passes at most. `out` is a CSV file that is written after each seed; if
    it is there, its seeds are not trained again. `lists` is a folder with the fault-filtered lists;
    they are fetched if it is not given and needed. Accuracies are of whole tracks; intervals
    resample artists where they are known.
    """
    done = read_results(out, len(tracks))
    for seed in range(seeds):
        if seed not in set(done["seed"]):
            rows = pd.DataFrame(score_seed(tracks, seed, epochs, lists), columns=COLUMNS)
            done = pd.concat([done, rows]) if len(done) else rows
            write_results(done, out)
    return done.reset_index(drop=True)


def divide(
    tracks: pd.DataFrame, seed: int, lists: str | Path | None = None
) -> tuple[str, pd.Series]:
    """Return the name of the strictest split that the tracks allow, and the part of each track."""
    of_gtzan = tracks["track_id"].str.fullmatch(r"[a-z]+\.000\d\d").sum()
    if of_gtzan >= FEWEST_OF_GTZAN:
        return FAULT_FILTERED, fault_filtered(tracks, lists=lists, repaired=True)
    by = strictest_split(tracks)
    return by, split(tracks, by=by, seed=seed)


def score_seed(
    tracks: pd.DataFrame, seed: int, epochs: int, lists: str | Path | None = None
) -> list[dict[str, object]]:
    """Train both networks on one split, and return a row of the table for each."""
    from gtzan_helpers.models import CNN, DENSE, SLICE_SECONDS, train_models

    n_tracks = len(tracks)
    tracks = tracks[tracks["seconds"] >= SLICE_SECONDS]  # the CNN has nothing to say of others
    by, parts = divide(tracks, seed, lists)
    tracks, parts = tracks[parts != ""], parts[parts != ""]  # the lists leave some tracks out
    models = train_models(tracks, parts, epochs=epochs, seed=seed)
    tested = tracks[parts == "test"]
    groups = tested["artist"].where(tested["artist"] != "", tested["track_id"])
    heard = {DENSE: hear_features(models, tested), CNN: hear_slices(models, tested)}
    rows = []
    for network, probabilities in heard.items():
        predicted = probabilities.loc[tested["track_id"]].idxmax(axis="columns")
        score = accuracy_interval(tested["genre"], predicted, groups)
        about = {"network": network, "seed": seed, "split": by}
        counts = {"tracks": n_tracks, "test_tracks": len(tested)}
        cost = models.card.loc[network, ["epochs", "seconds"]].to_dict()
        rows.append(about | counts | score._asdict() | cost)
    return rows


def hear_features(models: Models, tracks: pd.DataFrame) -> pd.DataFrame:
    """Return the dense network's probabilities per genre, one row per track."""
    from gtzan_helpers.features import FEATURE_NAMES, extract_features

    measured = extract_features(tracks)
    inputs = measured[FEATURE_NAMES].to_numpy(np.float32)
    probabilities = models.dense.predict(inputs, verbose=0)
    return pd.DataFrame(probabilities, measured["track_id"].to_numpy(), models.genres)


def hear_slices(models: Models, tracks: pd.DataFrame) -> pd.DataFrame:
    """Return the CNN's probabilities per genre, the mean over the slices of each track."""
    from gtzan_helpers.slices import SliceSet

    slices = SliceSet(tracks)
    everything = slices.batches(np.arange(len(slices)), shuffle=False)
    probabilities = models.cnn.predict(everything, verbose=0)
    return vote(probabilities, slices.table["track_id"], genres=models.genres)


def read_results(out: str | Path | None, n_tracks: int) -> pd.DataFrame:
    """Return the results that a file holds already; none without a file."""
    if out is None or not Path(out).exists():
        return pd.DataFrame(columns=COLUMNS)
    done = pd.read_csv(out)
    if set(done["tracks"]) != {n_tracks}:
        raise ValueError(
            f"{out} holds results on {sorted(set(done['tracks']))} tracks, and these are "
            f"{n_tracks}: name another file"
        )
    return done


def write_results(results: pd.DataFrame, out: str | Path | None) -> None:
    """Write the results so far, whole or not at all."""
    if out is not None:
        write_output(out, results.to_csv(index=False, float_format="%.4f", lineterminator="\n"))


@click.command()
@click.argument("folder", required=False)
@click.option("--seeds", default=3, show_default=True, help="How many splits and trainings.")
@click.option("--epochs", default=30, show_default=True, help="Of the CNN, at most.")
@click.option("--out", type=click.Path(dir_okay=False), help="CSV file to write, and to resume.")
@click.option("--lists", help="Folder with train_filtered.txt …; fetched if needed.")
def reference(
    folder: str | None, seeds: int, epochs: int, out: str | None, lists: str | None
) -> None:
    """Train both networks in full on FOLDER (the demo if none is named); hours on full GTZAN."""
    tracks = usable(load_tracks(folder))
    try:
        results = table(tracks, seeds, epochs, out, lists)
    except (ValueError, CourseError) as error:
        raise click.ClickException(str(error)) from error
    show(results)
    click.echo("\nmean over seeds")
    click.echo(results.groupby("network")["accuracy"].agg(["mean", "std", "size"]).round(3))


if __name__ == "__main__":
    reference()
