"""Finding faulty tracks: each kind of fault, planted; and none invented on sound ones."""

import os
import shutil
import time

import click.testing
import numpy as np
import pandas as pd
import pytest
import soundfile as sf

from benchmarks import checks
from gtzan_helpers.audio import read_audio
from gtzan_helpers.cache import cache_folder
from gtzan_helpers.copies import recordings
from gtzan_helpers.datasets import describe_source, load_tracks
from gtzan_helpers.faults import check_tracks, usable
from gtzan_helpers.lists import DEMO

RATE = 22050
OTHER = "copy under another genre"


def noise(seed, seconds=4.0):
    return np.random.default_rng(seed).normal(0, 0.2, round(seconds * RATE)).clip(-0.9, 0.9)


def partly(value, start, stop, seconds=4.0):
    """Return noise that stands still, or almost, from one second to another."""
    samples = noise(9, seconds)
    samples[round(start * RATE) : round(stop * RATE)] = value
    return samples


@pytest.fixture
def folder(tmp_path, tmp_path_factory, monkeypatch):
    """Five sound tracks in each of two genres."""
    monkeypatch.setenv("GTZAN_CACHE", str(tmp_path_factory.mktemp("cache")))
    for genre in ("blues", "jazz"):
        (tmp_path / genre).mkdir()
        for number in range(5):
            seed = 100 * (genre == "jazz") + number
            sf.write(tmp_path / genre / f"{genre}.0000{number}.wav", noise(seed), RATE)
    return tmp_path


def faults_in(folder):
    """Return track, fault and detail of each fault."""
    return list(check_tracks(load_tracks(folder)).itertuples(index=False, name=None))


def usable_in(folder):
    return set(usable(load_tracks(folder))["track_id"])


# Faults of single tracks: what is written as jazz.00009, and the faults, with a part of the detail

CANCELS = np.where(np.arange(4 * RATE) < 2.2 * RATE, -noise(9), noise(9))
PEAKS = partly(1, 1, 2)  # a second, in 21 frames
PEAKS[3 * RATE : 3 * RATE + 4] = -1  # one frame more
PEAKS[[3000, 3001, 6000, 60_000]] = 1  # loud, not cut off
SMOOTH = np.convolve(noise(9), np.ones(20) / 20, mode="same")
LOUD = SMOOTH / np.abs(SMOOTH).max()
TWO = np.stack([partly(1, 0, 1), partly(-1, 2, 3)], 1)
TWO[3 * RATE : 3 * RATE + 11_025, 1] = 1
STRETCHES = np.concatenate([partly(0, 1, 1.9), partly(0, 1, 3.5, 8)])
LENGTH, FORMAT = "unusual length: {}; others 4.0 s", "unusual format: 22050 Hz, 2 channels; others"
SINGLE = {
    "sound": (noise(9),),
    "silent": (partly(0, 1.8, 4) + 0.1 + noise(10) * 1e-3, "silent: 2.1 of 4.0 s"),
    "nearly silent": (partly(0, 2.1, 4),),
    "long silence": (STRETCHES, "silent stretch: 2.5 s from 5.1 s", LENGTH.format("12.0 s")),
    "short": (noise(9, 1.5), "short: 1.50 s", LENGTH.format("1.5 s")),
    "peaks cut off": (PEAKS, "clipped: peaks cut off in 1.1 of 4.0 s (25.0% of samples)"),
    "two channels": (TWO, "clipped: peaks cut off in 2.6 of 4.0 s (37.5% of samples)", FORMAT),
    "amplified": (np.clip(20 * LOUD, -1, 1), "clipped"),
    "bass at full scale": (np.sin(2 * np.pi * 40 * np.arange(4 * RATE) / RATE),),
    "loud": (LOUD,),
    "a few samples cut off": (np.clip(LOUD / np.sort(np.abs(LOUD))[-50], -1, 1),),
    "out of range": (noise(8) * 32768, "out of range: reaches 29"),  # 0.9 of 32768
    "cancelled": (np.stack([noise(9), CANCELS], 1), "channels cancel: 2.2 of 4.0 s", FORMAT),
    "one channel silent": (np.stack([noise(9), 0 * noise(9)], 1), FORMAT),
    "no number": (np.append(noise(9), np.nan), "unreadable: holds values that are not numbers"),
}
KEPT = ("clipped", "silent stretch", "unusual")


@pytest.mark.parametrize("kind", SINGLE)
def test_a_fault_of_a_track_is_found_and_it_is_left_out_or_kept(folder, kind, capsys):
    samples, *expected = SINGLE[kind]
    subtype = "FLOAT" if kind in ("out of range", "no number") else "PCM_16"
    sf.write(folder / "jazz" / "jazz.00009.wav", samples, RATE, subtype)
    found = [(track_id, f"{fault}: {detail}") for track_id, fault, detail in faults_in(folder)]
    for (track_id, fault), beginning in zip(found, sorted(expected), strict=True):
        assert track_id == "jazz.00009" and fault.startswith(beginning)
    kept = all(fault.startswith(KEPT) for fault in expected)
    assert ("jazz.00009" in usable_in(folder)) is kept
    assert ("left out 1 of 11 tracks: jazz.00009" in capsys.readouterr().out) is not kept


def test_of_a_long_track_five_minutes_are_checked_and_used(folder):
    samples = np.random.default_rng(9).normal(0, 0.1, 420 * 1000)
    samples[310_000:] = 0  # behind what is used
    sf.write(folder / "jazz" / "jazz.00009.flac", samples, 1000)
    details = {fault: detail for _, fault, detail in faults_in(folder)}
    assert details["long"].startswith("7.0 min") and "silent stretch" not in details
    assert "jazz.00009" in usable_in(folder)


def test_songs_of_all_lengths_are_usual_and_silent_ones_no_copies_of_each_other(folder):
    shutil.rmtree(folder / "jazz")
    for number in range(6):
        samples = noise(number, 3 + number) * (number > 1)
        sf.write(folder / "blues" / f"blues.0000{number}.wav", samples, RATE)
    found = [(f"blues.0000{number}", "silent") for number in (0, 1)]
    assert [fault[:2] for fault in faults_in(folder)] == found


# Copies


def test_a_copy_is_left_out_and_both_tracks_where_one_stands_under_two_genres(folder):
    numbers, _ = sf.read(folder / "jazz" / "jazz.00003.wav", dtype="int16")
    sf.write(folder / "jazz" / "jazz.00007.flac", numbers, RATE)
    sf.write(folder / "jazz" / "jazz.00008.wav", noise(2), RATE)
    assert faults_in(folder) == [
        ("blues.00002", OTHER, "same samples as jazz.00008"),
        ("jazz.00007", "exact copy", "same samples as jazz.00003"),
        ("jazz.00008", OTHER, "same samples as blues.00002"),
    ]
    kept = usable_in(folder) & {"blues.00002", "jazz.00003", "jazz.00007", "jazz.00008"}
    assert kept == {"jazz.00003"}


@pytest.mark.parametrize("genre", ["jazz", "blues"])
def test_a_copy_is_found_though_it_is_shifted_quieter_and_compressed(folder, genre):
    samples = read_audio(DEMO / "jazz" / "jazz.00000.flac")
    sf.write(folder / "jazz" / "jazz.00006.wav", samples, RATE)
    sf.write(folder / genre / f"{genre}.00007.mp3", 0.3 * samples[9000:], RATE)
    near = "same recording as {}, 0.4 s apart"
    expected = {
        "jazz": [("jazz.00007", "near copy", near.format("jazz.00006"))],
        "blues": [
            ("blues.00007", OTHER, near.format("jazz.00006")),
            ("jazz.00006", OTHER, near.format("blues.00007")),
        ],
    }
    assert [fault for fault in faults_in(folder) if fault[1] != "unusual length"] == expected[genre]


# Tables and caches


def test_usable_tracks_are_numbered_anew_and_described(folder, capsys):
    (folder / "blues" / "blues.00000.wav").write_text("no audio")
    kept = usable(load_tracks(folder))
    assert list(kept.index) == list(range(9))
    assert describe_source(kept).startswith("folder: 9 usable tracks of 10, 2 genres")
    assert "blues.00000 (unreadable" in capsys.readouterr().out
    assert len(usable(kept)) == 9
    assert capsys.readouterr().out == ""


def test_a_second_check_recalls_the_first_unless_the_file_changed(folder):
    assert faults_in(folder) == []
    kept = {path: path.stat().st_mtime_ns for path in (cache_folder() / "checks").iterdir()}
    assert len(kept) == 10 and faults_in(folder) == []
    assert all(path.stat().st_mtime_ns == before for path, before in kept.items())
    path = folder / "jazz" / "jazz.00000.wav"
    sf.write(path, np.zeros(4 * RATE), RATE)
    os.utime(path, (time.time(), time.time() + 10))
    assert [fault[:2] for fault in faults_in(folder)] == [("jazz.00000", "silent")]


def test_the_demos_planted_faults_are_found_and_no_others():
    planted = pd.read_csv(DEMO / "faults.csv")
    expected = set(zip(planted["track_id"], planted["fault"], strict=True))
    expected |= {(name, OTHER) for name in planted.loc[planted["fault"] == OTHER, "detail"]}
    assert {fault[:2] for fault in faults_in("demo")} == expected
    tracks = load_tracks("demo")
    left_out = {track_id for track_id, fault in expected if fault != "clipped"}
    assert set(tracks["track_id"]) - usable_in("demo") == left_out
    named = recordings(tracks)
    assert set(named[named != tracks["track_id"]]) == {"pop.00001", "metal.00004"}


def test_real_tracks_have_no_faults_unless_they_are_amplified(real_data, folder):
    shutil.copytree(real_data / "gtzan_dev", folder, dirs_exist_ok=True)
    for path in (real_data / "gtzan_au").glob("*.au"):
        shutil.copy(path, folder / path.name.split(".")[0] / f"original {path.name}")
    samples = read_audio(real_data / "gtzan_dev" / "jazz" / "jazz.00000.wav", seconds=4)
    loud = np.clip(samples / np.abs(samples).max() * 10 ** (12 / 20), -1, 1)
    sf.write(folder / "jazz" / "jazz.00099.wav", loud, RATE)
    found = [fault[:2] for fault in faults_in(folder) if not fault[1].startswith("unusual")]
    assert ("jazz.00099", "clipped") in found
    # It is a copy of the track, too.
    assert {track_id for track_id, _ in found} == {"jazz.00099"}


def test_the_benchmark_of_the_checks_prints_a_row_for_each_step(folder):
    result = checks.table(load_tracks(folder))
    assert (result["seconds"] > 0).all()
    assert not (cache_folder() / "checks").exists()  # the user's own
    minutes = result["seconds"] * 30_000 / 40 / 60
    assert result["for 1000 tracks of 30 s, minutes"].to_numpy() == pytest.approx(minutes)
    printed = click.testing.CliRunner().invoke(checks.checks, [str(folder)])
    assert all(step in printed.output for step in result["step"])
