"""The bundled demo tracks: their form, and that the script makes them."""

from pathlib import Path

import pandas as pd
import pytest
import soundfile

import gtzan_helpers

DEMO = Path(gtzan_helpers.__file__).parent / "demo"
GENRES = "blues classical country disco hiphop jazz metal pop reggae rock".split()  # noqa: SIM905
TRACKS = pd.read_csv(DEMO / "tracks.csv").set_index("track_id")
TRACKS["genre"] = TRACKS.index.str.split(".").str[0]
FAULTS = pd.read_csv(DEMO / "faults.csv").set_index("track_id")
FILES = {name: DEMO / genre / f"{name}.flac" for name, genre in TRACKS["genre"].items()}


def test_the_manifest_lists_the_files_numbered_without_a_gap():
    assert sorted(FILES.values()) == sorted(DEMO.glob("*/*.flac"))
    counts = TRACKS.groupby("genre").size()
    assert list(counts.index) == GENRES
    assert list(TRACKS.index) == [f"{g}.{n:05d}" for g in GENRES for n in range(counts[g])]


def test_every_genre_has_at_least_five_artists_with_two_tracks_each():
    home = TRACKS.drop(FAULTS.index[FAULTS["fault"] == "copy under another genre"])
    counts = home.groupby(["genre", "artist"]).size()
    assert counts.min() >= 2
    assert counts.groupby("genre").size().min() >= 5
    assert home.groupby("artist")["genre"].nunique().max() == 1


def test_one_fault_of_each_kind_is_planted_and_the_rest_is_in_the_form_of_gtzan():
    kinds = ["clipped", "copy under another genre", "exact copy", "silent", "unreadable"]
    assert sorted(FAULTS["fault"]) == kinds
    content = {name: path.read_bytes() for name, path in FILES.items()}
    assert sum(map(len, content.values())) < 20e6
    sound = TRACKS.index.difference(FAULTS.index)
    assert len({content[name] for name in sound}) == len(sound)
    for name in TRACKS.index.difference(FAULTS.index[FAULTS["fault"] == "unreadable"]):
        info = soundfile.info(FILES[name])
        form = (info.samplerate, info.channels, info.subtype, info.format, info.duration)
        assert form == (22050, 1, "PCM_16", "FLAC", 10.0), name


def test_the_script_makes_the_stored_bytes_and_the_stored_tables():
    pytest.importorskip("symusic", reason="needs symusic 0.5.8 and pretty_midi to make tracks")
    pytest.importorskip("pretty_midi", reason="needs the sound font that pretty_midi installs")
    from gtzan_helpers.demo import make_demo

    for name, _, file in make_demo.make_files(("classical.00001", "metal.00000")):
        assert file == FILES[name].read_bytes(), name
    artists = [artist.name for group in make_demo.ARTISTS.values() for artist in group]
    assert sorted(TRACKS["artist"].unique()) == sorted(artists)
    assert [tuple(row) for row in FAULTS.itertuples()] == [tuple(one) for one in make_demo.FAULTS]
