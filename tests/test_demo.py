"""The bundled demo tracks: their form, their planted faults, and that the script makes them."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

DEMO = Path(__file__).parents[1] / "gtzan_helpers" / "demo"
GENRES = "blues classical country disco hiphop jazz metal pop reggae rock".split()  # noqa: SIM905
TRACKS = pd.read_csv(DEMO / "tracks.csv").set_index("track_id")
FAULTS = pd.read_csv(DEMO / "faults.csv").set_index("track_id")
READABLE = TRACKS.index.difference(FAULTS.index[FAULTS["fault"] == "unreadable"])
SOUND = TRACKS.index.difference(FAULTS.index)


def path_of(track_id: str) -> Path:
    return DEMO / track_id.split(".")[0] / f"{track_id}.flac"


def faulty(fault: str) -> str:
    (track_id,) = FAULTS.index[FAULTS["fault"] == fault]
    return track_id


@pytest.fixture(scope="module")
def waveforms() -> dict[str, np.ndarray]:
    return {name: soundfile.read(path_of(name), dtype="int16")[0] for name in READABLE}


def longest_run(marked: np.ndarray) -> int:
    edges = np.flatnonzero(np.diff(marked.astype(int), prepend=0, append=0))
    return int(np.max(edges[1::2] - edges[::2], initial=0))


def full_scale(samples: np.ndarray) -> np.ndarray:
    return np.abs(samples.astype(int)) >= 32767


def silent_share(samples: np.ndarray) -> float:
    frames = samples[: len(samples) // 1024 * 1024].reshape(-1, 1024) / 32768
    return np.mean(np.sqrt(np.mean(frames**2, axis=1)) < 1e-3)  # -60 dB


def test_the_manifest_lists_the_files_and_nothing_else():
    files = {path.stem for path in DEMO.glob("*/*.flac")}
    assert set(TRACKS.index) == files
    assert TRACKS.index.is_unique
    assert list(TRACKS.index) == sorted(TRACKS.index)


def test_tracks_of_a_genre_are_numbered_from_zero_without_a_gap():
    genres = TRACKS.index.str.split(".").str[0]
    assert sorted(set(genres)) == GENRES
    for genre in GENRES:
        n_tracks = (genres == genre).sum()
        assert list(TRACKS.index[genres == genre]) == [f"{genre}.{i:05d}" for i in range(n_tracks)]


def test_every_genre_has_at_least_five_artists_with_two_tracks_each():
    home = TRACKS.drop(faulty("copy under another genre"))
    home = home.assign(genre=home.index.str.split(".").str[0])
    counts = home.groupby(["genre", "artist"]).size()
    assert counts.min() >= 2
    assert counts.groupby("genre").size().min() >= 5
    assert home.groupby("artist")["genre"].nunique().max() == 1


def test_files_are_in_the_form_of_gtzan():
    for name in READABLE:
        info = soundfile.info(path_of(name))
        form = (info.samplerate, info.channels, info.subtype, info.format)
        assert form == (22050, 1, "PCM_16", "FLAC"), name
        assert info.duration == 10.0, name


def test_the_demo_is_small():
    sizes = [path.stat().st_size for path in DEMO.rglob("*.flac")]
    assert sum(sizes) < 20e6


def test_one_fault_of_each_kind_is_planted():
    kinds = ["clipped", "copy under another genre", "exact copy", "silent", "unreadable"]
    assert sorted(FAULTS["fault"]) == kinds
    assert set(FAULTS.index) <= set(TRACKS.index)


def test_the_unreadable_file_cannot_be_opened():
    with pytest.raises(soundfile.LibsndfileError):
        soundfile.info(path_of(faulty("unreadable")))


def test_the_exact_copy_is_one_within_its_genre(waveforms):
    copy = faulty("exact copy")
    original = FAULTS.loc[copy, "detail"]
    assert copy.split(".")[0] == original.split(".")[0]
    np.testing.assert_array_equal(waveforms[copy], waveforms[original])


def test_the_other_copy_stands_under_another_genre(waveforms):
    copy = faulty("copy under another genre")
    original = FAULTS.loc[copy, "detail"]
    assert copy.split(".")[0] != original.split(".")[0]
    assert TRACKS.loc[copy, "artist"] == TRACKS.loc[original, "artist"]
    np.testing.assert_array_equal(waveforms[copy], waveforms[original])


def test_the_clipped_track_is_flat_at_full_scale(waveforms):
    marked = full_scale(waveforms[faulty("clipped")])
    assert marked.mean() > 0.03
    assert longest_run(marked) >= 5


def test_the_silent_track_is_silent_for_more_than_half(waveforms):
    assert 0.5 < silent_share(waveforms[faulty("silent")]) < 0.9


def test_ordinary_tracks_have_no_fault(waveforms):
    for name in SOUND:
        assert longest_run(full_scale(waveforms[name])) <= 1, name
        assert longest_run(waveforms[name] == 0) < 2205, name
        assert silent_share(waveforms[name]) < 0.3, name


def test_no_two_ordinary_tracks_are_the_same(waveforms):
    assert len({waveforms[name].tobytes() for name in SOUND}) == len(SOUND)


def test_the_checks_find_the_planted_faults_and_no_others():
    import gtzan_helpers as gh

    found = gh.check_tracks(gh.load_tracks("demo"))
    expected = {(name, fault) for name, fault in FAULTS["fault"].items()}
    both = faulty("copy under another genre")
    expected.add((FAULTS.loc[both, "detail"], "copy under another genre"))
    assert set(zip(found["track_id"], found["fault"], strict=True)) == expected


def test_the_script_makes_the_stored_bytes():
    pytest.importorskip("symusic", reason="needs symusic 0.5.8 and pretty_midi to make tracks")
    pytest.importorskip("pretty_midi", reason="needs the sound font that pretty_midi installs")
    from gtzan_helpers.demo.make_demo import make_files

    wanted = ("classical.00001", "hiphop.00003", "metal.00000", "reggae.00002")
    made = {name: hashlib.sha256(file).hexdigest() for name, _, file in make_files(wanted)}
    assert made == {name: hashlib.sha256(path_of(name).read_bytes()).hexdigest() for name in wanted}


def test_the_script_writes_the_stored_manifest():
    pytest.importorskip("symusic", reason="needs symusic 0.5.8 and pretty_midi to make tracks")
    from gtzan_helpers.demo.make_demo import ARTISTS
    from gtzan_helpers.demo.make_demo import FAULTS as PLANTED

    expected = [artist.name for artists in ARTISTS.values() for artist in artists]
    assert set(TRACKS["artist"]) == set(expected)
    assert len(expected) == len(set(expected))
    assert [tuple(row) for row in FAULTS.itertuples()] == [tuple(fault) for fault in PLANTED]
