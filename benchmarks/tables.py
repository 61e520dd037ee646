"""Measure a folder of real tracks, and write the tables that may be passed on without the audio.

The tables of gtzan-five, which come with the package, are made by this command.
"""

from __future__ import annotations

import hashlib
import re
from functools import partial
from pathlib import Path

import click
import numpy as np
import pandas as pd

from gtzan_helpers.audio import read_track
from gtzan_helpers.datasets import load_tracks
from gtzan_helpers.errors import CourseError
from gtzan_helpers.faults import LEFT_OUT, check_tracks
from gtzan_helpers.features import PIECE_SECONDS, extract_features
from gtzan_helpers.measured import FIVE, measured_folder, write_measured
from gtzan_helpers.pretrained import EMBEDDING_NAMES, TAGS, musicnn
from gtzan_helpers.pretrained import SAMPLE_RATE as MUSICNN_RATE
from gtzan_helpers.slices import FULL_SCALE
from gtzan_helpers.splits import connected_rows
from gtzan_helpers.workers import measured

from .common import made_by, show
from .musicnn_weights import chance_weights

# A line per track: the SHA-256 of its 16-bit samples, whatever file they are in, and its name.
MANIFEST = Path(__file__).with_name("gtzan_five.sha256")
_ORIGINAL = re.compile(r"same (?:samples|recording) as (.+?)(?:, -?[\d.]+ s apart)?(?=, same |$)")


def tables(tracks: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the tracks, their features, those of their pieces of 3 s, and musicnn's.

    Copies stay, and go by the name of one recording; other unusable tracks are left out.
    """
    faults = check_tracks(tracks)
    faults = faults[faults["fault"].isin(LEFT_OUT)]
    copies = faults["fault"].str.contains("copy")
    broken = tracks["track_id"].isin(faults["track_id"][~copies])
    if broken.any():
        click.echo(f"left out: {', '.join(tracks['track_id'][broken])}")
    tracks = tracks.assign(recording=recordings_of(tracks, faults[copies]))[~broken]
    columns = ["track_id", "genre", "artist", "recording", "seconds", "sample_rate"]
    made = {"tracks": tracks[columns], "features": extract_features(tracks)}
    long = tracks[tracks["seconds"] >= PIECE_SECONDS]
    if len(long):
        made["pieces"] = extract_features(long, piece_seconds=PIECE_SECONDS)
        made["musicnn"] = embeddings(long)
    return made


def embeddings(tracks: pd.DataFrame, untrained: bool = False) -> pd.DataFrame:
    """Return what musicnn makes of tracks of 3 s or more, as `gh.load_embeddings` has it.

    For a control it can be asked as it was before any training, with weights left to chance.
    """
    paths = [Path(path) for path in tracks["path"]]
    ask, kind = partial(_ask_musicnn, untrained=untrained), "musicnn" + "0" * untrained
    found = measured(paths, ask, kind, 3, "musicnn")
    means = np.array([np.mean(found[path], axis=0) for path in paths])
    table = pd.DataFrame(means, columns=[*EMBEDDING_NAMES, *TAGS]).round(4)
    table.insert(0, "track_id", tracks["track_id"].to_numpy())
    return table


def _ask_musicnn(path: Path, untrained: bool) -> list[list[float]]:
    weights = chance_weights(seed=0) if untrained else None
    answers = musicnn(read_track(path, MUSICNN_RATE), weights)
    return np.concatenate(answers, axis=1).astype(float).round(4).tolist()


def recordings_of(tracks: pd.DataFrame, copies: pd.DataFrame) -> pd.Series:
    """Name the recording of each track: that of the first track among its copies."""
    ids = tracks["track_id"]
    links = pd.DataFrame({"recording": tracks["recording"].to_numpy()}, index=ids)
    for number, copy in enumerate(copies.itertuples()):
        for original in _ORIGINAL.findall(copy.detail):
            links.loc[[copy.track_id, original], f"{number} {original}"] = "copy"
    groups = connected_rows(links.fillna(""))
    return ids.groupby(groups).transform("first")


def of_manifest(tracks: pd.DataFrame, manifest: Path = MANIFEST) -> pd.DataFrame:
    """Return the tracks that a manifest names; all must be there, sample by sample."""
    lines = manifest.read_text(encoding="utf-8").split("\n")
    wanted = {name: digest for digest, name in (line.split("  ") for line in lines if line)}
    found = dict(zip(tracks["track_id"], tracks["path"], strict=True))
    digests = hashes([Path(found[name]) for name in wanted if name in found])
    missing = [name for name in wanted if name not in found]
    other = [name for name in wanted if name in found and digests[found[name]] != wanted[name]]
    faults = {"missing": missing, "with other samples": other}
    told = [f"{len(names)} {what} ({names[0]} …)" for what, names in faults.items() if names]
    if told:
        raise CourseError(
            f"of the {len(wanted)} tracks of {manifest.name}, {' and '.join(told)}: complete the "
            "folder, or name another place for what is made of it, with --out"
        )
    return tracks[tracks["track_id"].isin(wanted)].reset_index(drop=True).assign(source=FIVE)


def hashes(paths: list[Path]) -> dict[str, str]:
    """Return the SHA-256 of each file's 16-bit samples, "" for a file that cannot be read."""
    found = measured(paths, _hash_samples, "samples hashed", 1, "hash samples", threads=True)
    return {str(path): one if isinstance(one, str) else "" for path, one in found.items()}


def _hash_samples(path: Path) -> str:
    samples = np.rint(read_track(path, 22050) * FULL_SCALE)
    return hashlib.sha256(samples.astype("<i2").tobytes()).hexdigest()


@click.command()
@click.argument("folder")
@click.option("--out", type=click.Path(file_okay=False), help="Folder for the tables.")
@click.option("--index", help="List of artists, as Sturm's index.txt.")
def main(folder: str, out: str | None, index: str | None) -> None:
    """Measure the tracks in FOLDER and write tracks, features and pieces.

    Without --out they replace those of gtzan-five in the package, and FOLDER must hold its tracks.
    """
    try:
        tracks = load_tracks(folder, index)
        if out is None:
            tracks = of_manifest(tracks)
        made = tables(tracks)
        write_measured(out or measured_folder(FIVE), made, made_by("benchmarks.tables"))
    except CourseError as error:
        raise click.ClickException(str(error)) from error
    rows = [{"table": name, "rows": len(t), "columns": t.shape[1]} for name, t in made.items()]
    show(pd.DataFrame(rows))
    copies = made["tracks"]["recording"].duplicated().sum()
    click.echo(f"{copies} of {len(made['tracks'])} tracks are copies of another")


if __name__ == "__main__":
    main()
