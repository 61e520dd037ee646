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


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("GTZAN_CACHE", str(tmp_path_factory.mktemp("cache")))


def noise(seed, seconds=4.0, amplitude=0.2):
    return np.random.default_rng(seed).normal(0, amplitude, round(seconds * RATE)).clip(-0.9, 0.9)


def smooth(seed):
    return np.convolve(noise(seed), np.ones(20) / 20, mode="same")


def partly(value, start, stop, seconds=4.0):
    """Return noise that stands still, or almost, from one second to another."""
    samples = noise(9, seconds)
    samples[round(start * RATE) : round(stop * RATE)] = value
    return samples


@pytest.fixture
def folder(tmp_path):
    """Five sound tracks in each of two genres."""
    for genre in ("blues", "jazz"):
        (tmp_path / genre).mkdir()
        for number in range(5):
            seed = 100 * (genre == "jazz") + number
            sf.write(tmp_path / genre / f"{genre}.0000{number}.wav", noise(seed), RATE)
    return tmp_path


def found_in(folder):
    faults = check_tracks(load_tracks(folder))
    return list(faults.itertuples(index=False, name=None))


def faults_of(folder):
    return [fault[:2] for fault in found_in(folder)]


def n_usable(folder):
    return len(usable(load_tracks(folder)))


def test_sound_tracks_have_no_faults_and_nothing_is_said(folder, capsys):
    assert faults_of(folder) == []
    assert n_usable(folder) == 10
    assert capsys.readouterr().out == ""


# Unreadable tracks


def test_files_that_cannot_be_used_are_named_with_reasons_and_the_others_checked(folder, capsys):
    blues = folder / "blues"
    (blues / "text.wav").write_text("words")
    sf.write(blues / "damaged.flac", noise(9), RATE)  # its header can still be read
    (blues / "damaged.flac").write_bytes((blues / "damaged.flac").read_bytes()[:50_000])
    sf.write(blues / "no-number.wav", np.append(noise(9), np.nan), RATE, subtype="FLOAT")
    shutil.copy(folder / "jazz" / "jazz.00001.wav", folder / "jazz" / "jazz.00008.wav")
    details = {fault[:2]: fault[2] for fault in found_in(folder)}
    assert details.pop(("jazz.00008", "exact copy")) == "same samples as jazz.00001"
    reasons = {"text": "RIFF", "damaged": "damaged", "no-number": "NaN"}
    assert len(details) == 3
    assert all(reason in details[f"blues/{n}", "unreadable"] for n, reason in reasons.items())
    assert n_usable(folder) == 10
    printed = capsys.readouterr().out
    assert all(name in printed for name in ["left out 4 of 14 tracks", *reasons, "jazz.00008"])


# Faults of single tracks: what is written as jazz.00009, and the faults, with a part of the detail

CANCELS = np.where(np.arange(4 * RATE) < 2.2 * RATE, -noise(9), noise(9))
PEAKS = partly(1, 1, 2)  # a second, in 21 frames
PEAKS[3 * RATE : 3 * RATE + 4] = -1  # one frame more
PEAKS[[3000, 3001, 6000, 60_000]] = 1  # loud, not cut off
LOUD = smooth(9) / np.abs(smooth(9)).max()
TWO = np.stack([partly(1, 0, 1), partly(-1, 2, 3)], 1)
TWO[3 * RATE : 3 * RATE + 11_025, 1] = 1
SINGLE = {
    "silent": (partly(0, 1.8, 4) + 0.1 + noise(10) * 1e-3, {"silent": "2.1 of 4.0 s"}),
    "nearly silent": (partly(0, 2.1, 4), {}),
    "long silence": (
        np.concatenate([partly(0, 1, 1.9), partly(0, 1, 3.5, 8)]),
        {"silent stretch": "2.5 s from 5.1 s", "unusual length": "12.0 s; others 4.0 s"},
    ),
    "short": (noise(9, 1.5), {"short": "1.50 s", "unusual length": "1.5 s; others 4.0 s"}),
    "peaks cut off": (PEAKS, {"clipped": "in 1.1 of 4.0 s (25.0% of samples)"}),
    "peaks cut off in two channels": (
        TWO,
        {
            "clipped": "in 2.6 of 4.0 s (37.5% of samples)",
            "unusual format": "22050 Hz, 2 channels; others 22050 Hz, 1 channel",
        },
    ),
    "amplified": (np.clip(20 * LOUD, -1, 1), {"clipped": ""}),
    "bass at full scale": (np.sin(2 * np.pi * 40 * np.arange(4 * RATE) / RATE), {}),
    "loud": (LOUD, {}),
    "a few samples cut off": (np.clip(LOUD / np.sort(np.abs(LOUD))[-50], -1, 1), {}),
    "out of range": (noise(8) * 32768, {"out of range": "29"}),  # 0.9 of 32768
    "channels cancel": (
        np.stack([noise(9), CANCELS], 1),
        {"channels cancel": "2.2 of 4.0 s", "unusual format": ""},
    ),
    "one channel silent": (np.stack([noise(9), 0 * noise(9)], 1), {"unusual format": ""}),
}
KEPT = {"clipped", "silent stretch", "unusual length", "unusual format"}


@pytest.mark.parametrize("kind", SINGLE)
def test_a_fault_of_a_track_is_found_and_it_is_left_out_or_kept(folder, kind, capsys):
    samples, expected = SINGLE[kind]
    subtype = "FLOAT" if kind == "out of range" else "PCM_16"
    sf.write(folder / "jazz" / "jazz.00009.wav", samples, RATE, subtype)
    found = found_in(folder)
    assert [fault[:2] for fault in found] == [("jazz.00009", fault) for fault in sorted(expected)]
    assert all(expected[fault] in detail for _, fault, detail in found)
    kept, printed = set(expected) <= KEPT, "left out 1 of 11 tracks: jazz.00009"
    assert n_usable(folder) == 10 + kept
    assert (printed in capsys.readouterr().out) is not kept


def test_of_a_long_track_five_minutes_are_checked_and_used(folder):
    samples = np.random.default_rng(9).normal(0, 0.1, 420 * 1000)
    samples[310_000:] = 0  # behind what is used
    sf.write(folder / "jazz" / "jazz.00009.flac", samples, 1000)
    faults = check_tracks(load_tracks(folder)).set_index("fault")["detail"]
    assert faults["long"].startswith("7.0 min")
    assert "silent stretch" not in faults
    assert n_usable(folder) == 11


def test_songs_of_all_lengths_are_usual_and_silent_ones_no_copies_of_each_other(tmp_path):
    (tmp_path / "songs").mkdir()
    for number in range(6):
        samples = noise(number, 3 + number) * (number > 1)
        sf.write(tmp_path / "songs" / f"{number}.wav", samples, RATE)
    assert faults_of(tmp_path) == [("songs/0", "silent"), ("songs/1", "silent")]


# Copies


def test_a_copy_is_left_out_and_both_tracks_where_one_stands_under_two_genres(folder):
    numbers, _ = sf.read(folder / "jazz" / "jazz.00003.wav", dtype="int16")
    sf.write(folder / "jazz" / "jazz.00007.flac", numbers, RATE)
    sf.write(folder / "jazz" / "jazz.00008.wav", noise(2), RATE)
    assert found_in(folder) == [
        ("blues.00002", "copy under another genre", "same samples as jazz.00008"),
        ("jazz.00007", "exact copy", "same samples as jazz.00003"),
        ("jazz.00008", "copy under another genre", "same samples as blues.00002"),
    ]
    kept = set(usable(load_tracks(folder))["track_id"])
    assert kept & {"blues.00002", "jazz.00003", "jazz.00007", "jazz.00008"} == {"jazz.00003"}


@pytest.mark.parametrize("genre", ["jazz", "blues"])
def test_a_copy_is_found_though_it_is_shifted_quieter_and_compressed(folder, genre):
    samples = read_audio(DEMO / "jazz" / "jazz.00000.flac")
    sf.write(folder / "jazz" / "jazz.00006.wav", samples, RATE)
    sf.write(folder / genre / f"{genre}.00007.mp3", 0.3 * samples[9000:], RATE)
    found = [fault for fault in found_in(folder) if fault[1] != "unusual length"]
    near, other = "same recording as {}, 0.4 s apart", "copy under another genre"
    if genre == "jazz":
        assert found == [("jazz.00007", "near copy", near.format("jazz.00006"))]
    else:
        assert found == [
            ("blues.00007", other, near.format("jazz.00006")),
            ("jazz.00006", other, near.format("blues.00007")),
        ]


# Tables and caches


def test_usable_tracks_are_numbered_anew_and_described(folder, capsys):
    (folder / "blues" / "blues.00000.wav").write_text("no audio")
    kept = usable(load_tracks(folder))
    assert list(kept.index) == list(range(9))
    assert describe_source(kept).startswith("folder: 9 usable tracks of 10, 2 genres")
    capsys.readouterr()
    assert len(usable(kept)) == 9
    assert capsys.readouterr().out == ""


def test_a_second_check_recalls_the_first_unless_the_file_changed(folder):
    assert faults_of(folder) == []
    recalled = {path: path.stat().st_mtime_ns for path in (cache_folder() / "checks").iterdir()}
    assert len(recalled) == 10
    assert faults_of(folder) == []
    assert all(path.stat().st_mtime_ns == before for path, before in recalled.items())
    path = folder / "jazz" / "jazz.00000.wav"
    sf.write(path, np.zeros(4 * RATE), RATE)
    os.utime(path, (time.time(), time.time() + 10))
    assert faults_of(folder) == [("jazz.00000", "silent")]


def test_the_demos_planted_faults_are_found_and_no_others():
    planted = pd.read_csv(DEMO / "faults.csv")
    expected = set(zip(planted["track_id"], planted["fault"], strict=True))
    other = "copy under another genre"
    expected |= {(name, other) for name in planted.loc[planted["fault"] == other, "detail"]}
    tracks = load_tracks("demo")
    found = check_tracks(tracks)
    assert set(zip(found["track_id"], found["fault"], strict=True)) == expected
    left_out = {track_id for track_id, fault in expected if fault != "clipped"}
    assert set(tracks["track_id"]) - set(usable(tracks)["track_id"]) == left_out
    named = recordings(tracks)
    assert set(named[named != tracks["track_id"]]) == {"pop.00001", "metal.00004"}


def test_real_tracks_have_no_faults_unless_they_are_amplified(real_data, folder):
    shutil.copytree(real_data / "gtzan_dev", folder, dirs_exist_ok=True)
    for path in (real_data / "gtzan_au").glob("*.au"):
        shutil.copy(path, folder / path.name.split(".")[0] / f"original {path.name}")
    unlike = ("unusual length", "unusual format")
    assert [fault for fault in faults_of(folder) if fault[1] not in unlike] == []
    samples = read_audio(real_data / "gtzan_dev" / "jazz" / "jazz.00000.wav", seconds=4)
    loud = np.clip(samples / np.abs(samples).max() * 10 ** (12 / 20), -1, 1)
    sf.write(folder / "jazz" / "jazz.00099.wav", loud, RATE)
    assert ("jazz.00099", "clipped") in faults_of(folder)


def test_the_benchmark_of_the_checks_prints_a_row_for_each_step(folder):
    result = checks.table(load_tracks(folder))
    assert (result["seconds"] > 0).all()
    assert not (cache_folder() / "checks").exists()  # the user's own
    minutes = result["seconds"] * 30_000 / 40 / 60
    assert result["for 1000 tracks of 30 s, minutes"].to_numpy() == pytest.approx(minutes)
    printed = click.testing.CliRunner().invoke(checks.checks, [str(folder)])
    assert all(step in printed.output for step in result["step"])
