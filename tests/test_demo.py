"""The bundled demo tracks: their form, and that the script makes them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd
import pytest
import soundfile

DEMO = Path(__file__).parents[1] / "gtzan_helpers" / "demo"
GENRES = "blues classical country disco hiphop jazz metal pop reggae rock".split()  # noqa: SIM905
TRACKS = pd.read_csv(DEMO / "tracks.csv").set_index("track_id")
FAULTS = pd.read_csv(DEMO / "faults.csv").set_index("track_id")


def path_of(track_id: str) -> Path:
    return DEMO / track_id.split(".")[0] / f"{track_id}.flac"


def test_the_manifest_lists_the_files_numbered_without_a_gap():
    assert list(TRACKS.index) == sorted(path.stem for path in DEMO.glob("*/*.flac"))
    genres = TRACKS.index.str.split(".").str[0]
    assert sorted(set(genres)) == GENRES
    for genre in GENRES:
        expected = [f"{genre}.{number:05d}" for number in range((genres == genre).sum())]
        assert list(TRACKS.index[genres == genre]) == expected


def test_every_genre_has_at_least_five_artists_with_two_tracks_each():
    home = TRACKS.drop(FAULTS.index[FAULTS["fault"] == "copy under another genre"])
    home = home.assign(genre=home.index.str.split(".").str[0])
    counts = home.groupby(["genre", "artist"]).size()
    assert counts.min() >= 2
    assert counts.groupby("genre").size().min() >= 5
    assert home.groupby("artist")["genre"].nunique().max() == 1


def test_one_fault_of_each_kind_is_planted_and_the_rest_is_in_the_form_of_gtzan():
    kinds = ["clipped", "copy under another genre", "exact copy", "silent", "unreadable"]
    assert sorted(FAULTS["fault"]) == kinds
    files = {path.stem: path.read_bytes() for path in map(path_of, TRACKS.index)}
    assert sum(map(len, files.values())) < 20e6
    sound = TRACKS.index.difference(FAULTS.index)
    assert len({files[name] for name in sound}) == len(sound)
    for name in TRACKS.index.difference(FAULTS.index[FAULTS["fault"] == "unreadable"]):
        info = soundfile.info(path_of(name))
        form = (info.samplerate, info.channels, info.subtype, info.format, info.duration)
        assert form == (22050, 1, "PCM_16", "FLAC", 10.0), name


def test_the_script_makes_the_stored_bytes_and_the_stored_tables():
    pytest.importorskip("symusic", reason="needs symusic 0.5.8 and pretty_midi to make tracks")
    pytest.importorskip("pretty_midi", reason="needs the sound font that pretty_midi installs")
    from gtzan_helpers.demo import make_demo

    wanted = ("classical.00001", "metal.00000")
    for name, _, file in make_demo.make_files(wanted):
        stored = hashlib.sha256(path_of(name).read_bytes()).hexdigest()
        assert hashlib.sha256(file).hexdigest() == stored, name
    artists = [artist.name for group in make_demo.ARTISTS.values() for artist in group]
    assert set(TRACKS["artist"]) == set(artists) and len(artists) == len(set(artists))
    assert [tuple(row) for row in FAULTS.itertuples()] == [tuple(one) for one in make_demo.FAULTS]
