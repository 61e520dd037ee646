"""Finding faulty tracks: each kind of fault, planted; and none invented on sound ones."""

import os
import time

import numpy as np
import pandas as pd
import pytest
import soundfile as sf

from gtzan_helpers.audio import decode
from gtzan_helpers.cache import cache_folder
from gtzan_helpers.datasets import DEMO, describe_source, load_tracks
from gtzan_helpers.faults import check_tracks, usable

RATE = 22050


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("GTZAN_CACHE", str(tmp_path_factory.mktemp("cache")))


def noise(seed, seconds=4.0, amplitude=0.2):
    return np.random.default_rng(seed).normal(0, amplitude, round(seconds * RATE)).clip(-0.9, 0.9)


@pytest.fixture
def folder(tmp_path):
    """Five sound tracks in each of two genres."""
    for genre in ("blues", "jazz"):
        (tmp_path / genre).mkdir()
        for number in range(5):
            seed = 100 * (genre == "jazz") + number
            sf.write(tmp_path / genre / f"{genre}.0000{number}.wav", noise(seed), RATE)
    return tmp_path


def faults_of(folder):
    faults = check_tracks(load_tracks(folder))
    assert list(faults.columns) == ["track_id", "fault", "detail"]
    return list(faults[["track_id", "fault"]].itertuples(index=False, name=None))


def test_sound_tracks_have_no_faults(folder, capsys):
    assert faults_of(folder) == []
    assert len(usable(load_tracks(folder))) == 10
    assert capsys.readouterr().out == ""


def test_a_file_that_opens_but_cannot_be_decoded_is_unreadable(folder):
    path = folder / "jazz" / "jazz.00009.flac"
    sf.write(path, noise(9), RATE)
    path.write_bytes(path.read_bytes()[:50_000])
    tracks = load_tracks(folder)
    assert (tracks["problem"] == "").all()
    assert faults_of(folder) == [("jazz.00009", "unreadable")]
    assert "damaged" in check_tracks(tracks)["detail"][0]


@pytest.mark.parametrize(("seconds", "found"), [(2.2, True), (1.8, False)])
def test_a_track_silent_for_more_than_half_is_found(folder, seconds, found):
    samples = noise(9)
    samples[-round(seconds * RATE) :] = 0.1 + noise(10, seconds) * 1e-3  # an offset, and hiss
    sf.write(folder / "jazz" / "jazz.00009.wav", samples, RATE)
    assert faults_of(folder) == ([("jazz.00009", "silent")] if found else [])


def test_the_detail_of_a_silent_track_is_its_silence(folder):
    samples = noise(9)
    samples[RATE:] = 0
    sf.write(folder / "jazz" / "jazz.00009.wav", samples, RATE)
    assert check_tracks(load_tracks(folder))["detail"][0] == "3.0 of 4.0 s"


def test_silence_in_one_channel_is_no_fault(folder):
    sf.write(folder / "jazz" / "jazz.00004.wav", np.stack([noise(9), np.zeros(4 * RATE)], 1), RATE)
    assert faults_of(folder) == [("jazz.00004", "unusual format")]


def test_two_silent_tracks_are_not_copies(folder):
    for number in (6, 7):
        sf.write(folder / "jazz" / f"jazz.0000{number}.wav", np.zeros(4 * RATE), RATE)
    assert faults_of(folder) == [("jazz.00006", "silent"), ("jazz.00007", "silent")]


def test_peaks_cut_off_are_found_and_the_track_is_kept(folder, capsys):
    sf.write(folder / "jazz" / "jazz.00009.wav", np.clip(20 * smooth(9), -1, 1), RATE)
    assert faults_of(folder) == [("jazz.00009", "clipped")]
    assert len(usable(load_tracks(folder))) == 11
    assert capsys.readouterr().out == ""


def smooth(seed):
    return np.convolve(noise(seed), np.ones(20) / 20, mode="same")


def test_loud_is_not_clipped(folder):
    time_axis = np.arange(4 * RATE) / RATE
    for number, samples in enumerate(
        [
            np.sin(2 * np.pi * 40 * time_axis),  # a pure bass note at full scale
            smooth(9) / np.abs(smooth(9)).max(),
            np.clip(smooth(10) / np.sort(np.abs(smooth(10)))[-50], -1, 1),  # 50 samples cut off
        ],
        start=6,
    ):
        sf.write(folder / "jazz" / f"jazz.0000{number}.wav", samples, RATE)
    assert faults_of(folder) == []


def test_a_track_too_short_for_a_slice_is_found_and_left_out(folder, capsys):
    sf.write(folder / "jazz" / "jazz.00009.wav", noise(9, seconds=1.5), RATE)
    assert ("jazz.00009", "short") in faults_of(folder)
    assert len(usable(load_tracks(folder))) == 10
    assert "left out 1 of 11 tracks: jazz.00009 (short: 1.50 s)" in capsys.readouterr().out


def test_a_track_that_is_not_like_the_others_is_found(folder):
    sf.write(folder / "blues" / "blues.00008.wav", noise(8, seconds=6), RATE)
    assert faults_of(folder) == [("blues.00008", "unusual length")]
    sf.write(folder / "blues" / "blues.00008.wav", noise(8), 44100)
    faults = check_tracks(load_tracks(folder))
    assert list(faults["fault"]) == ["unusual format", "unusual length"]
    assert faults["detail"][0] == "44100 Hz, 1 channel; others 22050 Hz, 1 channel"


def test_songs_of_all_lengths_are_usual(tmp_path):
    (tmp_path / "songs").mkdir()
    for number in range(6):
        sf.write(tmp_path / "songs" / f"{number}.wav", noise(number, 3 + number), RATE)
    assert faults_of(tmp_path) == []


def test_exact_copies_are_found_in_any_container(folder, capsys):
    numbers, _ = sf.read(folder / "jazz" / "jazz.00002.wav", dtype="int16")
    sf.write(folder / "jazz" / "jazz.00007.flac", numbers, RATE)
    sf.write(folder / "jazz" / "jazz.00008.au", numbers, RATE)
    assert faults_of(folder) == [("jazz.00007", "exact copy"), ("jazz.00008", "exact copy")]
    kept = usable(load_tracks(folder))
    assert "jazz.00002" in set(kept["track_id"])
    assert "jazz.00007 (exact copy: same samples as jazz.00002)" in capsys.readouterr().out


def test_of_a_copy_under_another_genre_both_are_left_out(folder, capsys):
    sf.write(folder / "jazz" / "jazz.00007.wav", noise(2), RATE)
    expected = [(name, "copy under another genre") for name in ("blues.00002", "jazz.00007")]
    assert faults_of(folder) == expected
    kept = usable(load_tracks(folder))
    assert not {"blues.00002", "jazz.00007"} & set(kept["track_id"])
    assert "left out 2 of 11 tracks: blues.00002 (copy" in capsys.readouterr().out


@pytest.mark.parametrize("genre", ["jazz", "blues"])
def test_a_copy_is_found_though_it_is_shifted_quieter_and_compressed(folder, genre):
    samples, _ = decode(DEMO / "jazz" / "jazz.00000.flac")
    sf.write(folder / "jazz" / "jazz.00006.wav", samples, RATE)
    sf.write(folder / genre / f"{genre}.00007.mp3", 0.3 * samples[9000:], RATE)
    faults = check_tracks(load_tracks(folder)).query("fault != 'unusual length'")
    near = "same recording as {}, 0.4 s apart"
    if genre == "jazz":
        expected = [("jazz.00007", "near copy", near.format("jazz.00006"))]
    else:
        fault = "copy under another genre"
        expected = [
            ("blues.00007", fault, near.format("jazz.00006")),
            ("jazz.00006", fault, near.format("blues.00007")),
        ]
    assert list(faults.itertuples(index=False, name=None)) == expected
    kept = set(usable(load_tracks(folder))["track_id"])
    assert not kept & {track_id for track_id, *_ in expected}


def test_usable_tracks_are_numbered_anew_and_described(folder, capsys):
    (folder / "blues" / "blues.00000.wav").write_text("no audio")
    kept = usable(load_tracks(folder))
    assert list(kept.index) == list(range(9))
    assert kept.attrs["source"] == "folder"
    assert describe_source(kept).startswith("folder: 9 usable tracks of 10, 2 genres")
    capsys.readouterr()
    assert len(usable(kept)) == 9
    assert capsys.readouterr().out == ""


def test_nothing_readable_is_left_out_whole(tmp_path, capsys):
    (tmp_path / "jazz").mkdir()
    (tmp_path / "jazz" / "a.wav").write_text("no audio")
    assert usable(load_tracks(tmp_path)).empty
    assert "left out 1 of 1 tracks: jazz/a (unreadable: not a readable" in capsys.readouterr().out


def test_the_demos_planted_faults_are_found_and_no_others(capsys):
    planted = pd.read_csv(DEMO / "faults.csv")
    expected = set(planted[["track_id", "fault"]].itertuples(index=False, name=None))
    twins = planted.loc[planted["fault"] == "copy under another genre", "detail"]
    expected |= {(track_id, "copy under another genre") for track_id in twins}
    tracks = load_tracks("demo")
    found = check_tracks(tracks)
    assert set(found[["track_id", "fault"]].itertuples(index=False, name=None)) == expected
    left_out = {track_id for track_id, fault in expected if fault != "clipped"}
    assert set(tracks["track_id"]) - set(usable(tracks)["track_id"]) == left_out


def test_a_second_check_recalls_the_first_unless_the_file_changed(folder):
    assert faults_of(folder) == []
    recalled = sorted((cache_folder() / "checks").iterdir())
    before = [path.stat().st_mtime_ns for path in recalled]
    assert len(recalled) == 10
    assert faults_of(folder) == []
    assert [path.stat().st_mtime_ns for path in recalled] == before
    path = folder / "jazz" / "jazz.00000.wav"
    sf.write(path, np.zeros(4 * RATE), RATE)
    os.utime(path, (time.time(), time.time() + 10))
    assert faults_of(folder) == [("jazz.00000", "silent")]


def test_real_tracks_have_no_faults(real_data):
    assert check_tracks(load_tracks(real_data / "gtzan_dev")).empty


def test_a_real_track_amplified_past_full_scale_is_clipped(real_data, folder):
    samples, _ = decode(real_data / "gtzan_dev" / "jazz" / "jazz.00000.wav", 0, 4)
    loud = np.clip(samples / np.abs(samples).max() * 10 ** (12 / 20), -1, 1)
    sf.write(folder / "jazz" / "jazz.00009.wav", loud, RATE)
    assert faults_of(folder) == [("jazz.00009", "clipped")]
