"""Make the bundled demo tracks: invented artists, General MIDI instruments, varied recordings.

python -m gtzan_helpers.demo.make_demo            writes the tracks beside this file
python -m gtzan_helpers.demo.make_demo --check    compares them with what it would write
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import soundfile
from tqdm import tqdm

from ..cache import write_atomically
from .chain import SAMPLE_RATE, Recording, amplify, draw_recordings, record
from .compose import BEATS_PER_BAR, Habits, compose, draw_habits
from .render import mix
from .styles import STYLES


class Artist(NamedTuple):
    """An invented artist; part of its sound comes from the genre that it leans to, if any."""

    name: str
    n_tracks: int = 2
    leans_to: str | None = None


class Fault(NamedTuple):
    """A planted fault; `detail` names the original of a copy."""

    track_id: str
    fault: str
    detail: str


FOLDER = Path(__file__).parent
SECONDS = 10.0
SEED = 2002  # the year of Tzanetakis and Cook's paper
LARGEST_FILE = 152_000  # bytes

# Genre: artist, number of tracks, and the genre that an artist leans to.
ARTISTS = {
    "blues": (
        Artist("Slow Turnip"),
        Artist("Delta Rutabaga"),
        Artist("Mama Parsnip"),
        Artist("Blind Date Squash"),
        Artist("The Cracked Kettles", leans_to="jazz"),
        Artist("Porchlight Okra", leans_to="country"),
    ),
    "classical": (
        Artist("Quartetto Zucchini"),
        Artist("Orchestra of the Potato Field", n_tracks=3),
        Artist("Clara Celeriac"),
        Artist("Duo Fennel"),
        Artist("Artichoke Salon", leans_to="jazz"),
    ),
    "country": (
        Artist("Dusty Swede"),
        Artist("The Barley Fences"),
        Artist("Loretta Lentil"),
        Artist("Gravel Gourd", leans_to="rock"),
        Artist("Two Mile Beans", leans_to="blues"),
        Artist("Prairie Chard", leans_to="pop"),
    ),
    "disco": (
        Artist("Mirrorball Marrow"),
        Artist("Disco Chicory"),
        Artist("The Glitter Gherkins"),
        Artist("Velvet Radish"),
        Artist("Saturday Shallot", leans_to="pop"),
        Artist("Night Bus Nectarine", leans_to="hiphop"),
    ),
    "hiphop": (
        Artist("MC Cauliflower"),
        Artist("Brussels Crew"),
        Artist("Lady Lychee"),
        Artist("Block Pumpkin"),
        Artist("DJ Endive", leans_to="disco"),
        Artist("Kohlrabi Kid", leans_to="reggae"),
    ),
    "jazz": (
        Artist("Thelonia Beet"),
        Artist("The Asparagus Five", n_tracks=3),
        Artist("Chet Chestnut"),
        Artist("Ella Aubergine", leans_to="blues"),
        Artist("Watercress Trio", leans_to="classical"),
    ),
    "metal": (
        Artist("Iron Carrot"),
        Artist("Black Salsify"),
        Artist("Horseradish Hammer"),
        Artist("Grave Garlic"),
        Artist("Thornapple Reign"),
        Artist("Molten Pepper", leans_to="rock"),
    ),
    "pop": (
        Artist("Sugar Snap", n_tracks=3),
        Artist("The Melon Girls"),
        Artist("Boys of Basil"),
        Artist("Cherry Tomato", leans_to="disco"),
        Artist("Luna Mango", leans_to="hiphop"),
    ),
    "reggae": (
        Artist("King Coconut", n_tracks=3),
        Artist("The Yam Roots"),
        Artist("Sister Sorrel"),
        Artist("Plantain Brothers"),
        Artist("Breadfruit Sound", leans_to="hiphop"),
    ),
    "rock": (
        Artist("The Loud Lettuces", n_tracks=3),
        Artist("Gasoline Greens"),
        Artist("Static Spinach", leans_to="metal"),
        Artist("Paper Pumpkins", leans_to="pop"),
        Artist("Stone Sprout", leans_to="blues"),
    ),
}

# GTZAN's known kinds of fault, once each; the only list of them. Every other track is sound.
FAULTS = (
    Fault("classical.00004", "silent", "digital silence after 3.0 s"),
    Fault("jazz.00004", "unreadable", "not a FLAC file: its first 4096 bytes are zeros"),
    Fault("pop.00002", "exact copy", "pop.00001"),
    Fault("reggae.00002", "clipped", "amplified by 15 dB, then cut off at full scale"),
    Fault("rock.00002", "copy under another genre", "metal.00004"),
)


def make_track(habits: Habits, recording: Recording, rng: np.random.Generator) -> np.ndarray:
    """Compose, render and record one track."""
    tempo = rng.uniform(*habits.tempo)
    bar = BEATS_PER_BAR * 60 / tempo
    start = bar * rng.uniform(1, 2)  # like GTZAN's, an excerpt from the middle
    stems = compose(habits, int(np.ceil((start + SECONDS) / bar)) + 1, rng)
    return record(mix(stems, tempo, start, SECONDS, rng), recording, rng)


def encode(samples: np.ndarray) -> bytes:
    """Store as 16-bit FLAC, in the finest steps that keep the file within LARGEST_FILE.

    A coarser step is a fainter kind of noise floor than the recordings have already, and saves
    one bit a sample: FLAC leaves out low bits that are always zero.
    """
    for step in 2 ** np.arange(9):
        whole = np.round(samples * 32768 / step) * step
        whole = np.clip(whole, -32768, 32767).astype("int16")
        file = io.BytesIO()
        soundfile.write(file, whole, SAMPLE_RATE, "PCM_16", format="FLAC", compression_level=1.0)
        if len(file.getvalue()) <= LARGEST_FILE:
            break
    return file.getvalue()


def make_tracks(only: tuple[str, ...] = ()) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield track_id, artist and waveform of each track, before its fault if it has one.

    `only` names the tracks wanted: a track never depends on another being made.
    """
    for g, (genre, artists) in enumerate(ARTISTS.items()):
        leanings = [artist.leans_to for artist in artists]
        recordings = draw_recordings(genre, leanings, np.random.default_rng([SEED, g]))
        number = 0
        for a, artist in enumerate(artists):
            rng = np.random.default_rng([SEED, g, a + 1])
            habits = draw_habits(STYLES[genre], rng)
            for t in range(artist.n_tracks):
                track_id = f"{genre}.{number:05d}"
                number += 1
                if not only or track_id in only:
                    rng = np.random.default_rng([SEED, g, a + 1, t + 1])
                    samples = make_track(habits, recordings[a], rng)
                    yield track_id, artist.name, samples


def spoil(file: bytes, samples: np.ndarray, fault: str) -> bytes:
    """Plant a fault that needs no other track."""
    if fault == "unreadable":
        return bytes(4096) + file[4096:40960]
    if fault == "clipped":
        return encode(np.clip(amplify(samples, 15), -1, 1))
    if fault == "silent":
        return encode(np.where(np.arange(len(samples)) < 3 * SAMPLE_RATE, samples, 0))
    return file


def make_files(only: tuple[str, ...] = ()) -> Iterator[tuple[str, str, bytes]]:
    """Yield track_id, artist and FLAC file of each track, faults planted."""
    faults = {fault.track_id: fault for fault in FAULTS}
    copies = {fault.track_id: fault.detail for fault in FAULTS if "copy" in fault.fault}
    wanted = tuple(copies.get(track_id, track_id) for track_id in only)
    made = {}
    total = sum(artist.n_tracks for artists in ARTISTS.values() for artist in artists)
    tracks = make_tracks(wanted)
    for track_id, artist, samples in tqdm(tracks, total=len(wanted) or total, leave=False):
        file = encode(samples)
        fault = faults[track_id].fault if track_id in faults else ""
        made[track_id] = artist, spoil(file, samples, fault)
    for copy, original in copies.items():
        if original in made:
            made[copy] = made[original]
    for track_id in sorted(made):
        if not only or track_id in only:
            yield track_id, *made[track_id]


def track_path(folder: Path, track_id: str) -> Path:
    """Where a track lies, as in GTZAN."""
    return folder / track_id.split(".")[0] / f"{track_id}.flac"


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> bytes:
    """Write a small CSV file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue().encode()


@click.command()
@click.option("--check", is_flag=True, help="Compare the stored tracks with what would be made.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=FOLDER,
    help="Where to write; beside this script by default.",
)
def main(check: bool, folder: Path) -> None:
    """Make the demo tracks, tracks.csv and faults.csv."""
    files, artists = {}, []
    for track_id, artist, content in make_files():
        files[track_path(folder, track_id)] = content
        artists.append((track_id, artist))
    files[folder / "tracks.csv"] = table(("track_id", "artist"), artists)
    files[folder / "faults.csv"] = table(Fault._fields, list(FAULTS))
    if check:
        differing = [
            path.name
            for path, content in files.items()
            if not path.is_file() or path.read_bytes() != content
        ]
        if differing:
            raise click.ClickException(f"{len(differing)} files differ: {', '.join(differing)}")
        click.echo(f"all {len(files)} files are as this script makes them")
        return
    for path, content in files.items():
        write_atomically(path, content)
    megabytes = sum(len(content) for content in files.values()) / 1e6
    click.echo(f"{len(artists)} tracks, {megabytes:.1f} MB in {folder}")


if __name__ == "__main__":
    main()
