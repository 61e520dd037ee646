"""Finding faulty tracks: each kind of fault, planted; and none invented on sound ones; and telling
which tracks are one recording."""

import os
import shutil
import time
from pathlib import Path

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


def write_truncated(path):
    sf.write(path, noise(9), RATE)
    path.write_bytes(path.read_bytes()[:100_000])


def write_numbers_that_are_none(path):
    sf.write(path, np.append(noise(9), np.nan), RATE, subtype="FLOAT")


UNREADABLE = {
    "truncated": (write_truncated, "cut short: only 2.3 s of 4.0 s are there"),
    "empty": (lambda path: path.write_bytes(b""), "the file is empty (0 bytes)"),
    "text": (lambda path: path.write_text("words"), "not a readable WAV file (no RIFF header)"),
    "not-a-number": (
        write_numbers_that_are_none,
        "holds values that are not numbers (NaN or infinity)",
    ),
    "header": (
        lambda path: sf.write(path, np.zeros(0), RATE),
        "the file has a header but no samples",
    ),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_file_that_cannot_be_used_is_named_with_its_reason(folder, kind, capsys):
    write, reason = UNREADABLE[kind]
    write(folder / "jazz" / "jazz.00009.wav")
    (found,) = check_tracks(load_tracks(folder)).itertuples(index=False, name=None)
    assert found == ("jazz.00009", "unreadable", reason)
    assert len(usable(load_tracks(folder))) == 10
    expected = f"left out 1 of 11 tracks: jazz.00009 (unreadable: {reason})\n"
    assert capsys.readouterr().out == expected


def test_among_unreadable_files_the_others_are_still_checked(folder, capsys):
    for number, (write, _) in enumerate(UNREADABLE.values(), start=10):
        write(folder / "blues" / f"blues.000{number}.wav")
    samples = noise(9)
    samples[RATE:] = 0
    sf.write(folder / "jazz" / "jazz.00009.wav", samples, RATE)
    sf.write(folder / "jazz" / "jazz.00008.wav", noise(101), RATE)
    bad = [f"blues.000{number}" for number in range(10, 15)]
    expected = [("jazz.00008", "exact copy"), ("jazz.00009", "silent")]
    assert faults_of(folder) == [*((name, "unreadable") for name in bad), *expected]
    assert len(usable(load_tracks(folder))) == 10
    printed = capsys.readouterr().out
    assert all(f"{name} (" in printed for name in [*bad, "jazz.00008", "jazz.00009"])


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


def test_a_silence_as_long_as_a_slice_is_told_and_the_track_is_kept(tmp_path, capsys):
    (tmp_path / "jazz").mkdir()
    for number, seconds in enumerate((2.5, 1.9)):
        samples = noise(number, 9)
        samples[RATE : round(1.9 * RATE)] = 0  # a shorter one before
        samples[3 * RATE : round((3 + seconds) * RATE)] = 0
        sf.write(tmp_path / "jazz" / f"jazz.0000{number}.wav", samples, RATE)
    faults = check_tracks(load_tracks(tmp_path))
    expected = [("jazz.00000", "silent stretch", "2.5 s from 3.1 s")]
    assert list(faults.itertuples(index=False, name=None)) == expected
    assert len(usable(load_tracks(tmp_path))) == 2
    assert capsys.readouterr().out == ""


def test_silence_in_one_channel_is_no_fault(folder):
    sf.write(folder / "jazz" / "jazz.00004.wav", np.stack([noise(9), np.zeros(4 * RATE)], 1), RATE)
    assert faults_of(folder) == [("jazz.00004", "unusual format")]


def test_a_track_is_out_of_range_or_cancels_and_both_are_left_out(folder, capsys):
    sf.write(folder / "jazz" / "jazz.00008.wav", noise(8) * 32768, RATE, subtype="FLOAT")
    samples = noise(9)
    other = np.where(np.arange(len(samples)) < 2.2 * RATE, -samples, samples)
    sf.write(folder / "jazz" / "jazz.00009.wav", np.stack([samples, other], 1), RATE)
    faults = check_tracks(load_tracks(folder)).query("fault != 'unusual format'")
    assert list(faults["fault"]) == ["out of range", "channels cancel"]
    assert "29" in faults["detail"].iloc[0]  # 0.9 of 32768
    assert "2.2 of 4.0 s" in faults["detail"].iloc[1]
    assert len(usable(load_tracks(folder))) == 10
    assert "jazz.00008 (out of range" in capsys.readouterr().out


def test_of_a_long_track_five_minutes_are_checked_and_used(folder, capsys):
    samples = np.random.default_rng(9).normal(0, 0.1, 420 * 1000)
    samples[310_000:] = 0  # behind what is used
    sf.write(folder / "jazz" / "jazz.00009.flac", samples, 1000)
    faults = check_tracks(load_tracks(folder)).set_index("fault")["detail"]
    assert faults["long"] == "7.0 min; only the first 5 are used"
    assert "silent stretch" not in faults
    assert len(usable(load_tracks(folder))) == 11
    assert capsys.readouterr().out == ""


def test_two_silent_tracks_are_not_copies(folder):
    for number in (6, 7):
        sf.write(folder / "jazz" / f"jazz.0000{number}.wav", np.zeros(4 * RATE), RATE)
    assert faults_of(folder) == [("jazz.00006", "silent"), ("jazz.00007", "silent")]


def test_peaks_cut_off_are_found_and_the_track_is_kept(folder, capsys):
    sf.write(folder / "jazz" / "jazz.00009.wav", np.clip(20 * smooth(9), -1, 1), RATE)
    assert faults_of(folder) == [("jazz.00009", "clipped")]
    assert len(usable(load_tracks(folder))) == 11
    assert capsys.readouterr().out == ""


def test_the_detail_of_a_clipped_track_is_how_long_and_how_much(folder):
    samples = noise(9)
    samples[RATE : 2 * RATE] = 1  # a second, in 21 frames
    samples[3 * RATE : 3 * RATE + 4] = -1  # one frame more
    samples[[3000, 3001, 6000, 60_000]] = 1  # loud peaks
    sf.write(folder / "jazz" / "jazz.00009.wav", samples, RATE)
    detail = check_tracks(load_tracks(folder))["detail"][0]
    assert detail == "peaks cut off in 1.1 of 4.0 s (25.0% of samples)"


def test_seconds_of_cut_off_peaks_are_counted_in_either_channel_and_samples_in_the_worse(folder):
    left, right = noise(9), noise(10)
    left[:RATE], right[2 * RATE : 3 * RATE] = 1, -1
    right[3 * RATE : 3 * RATE + 11_025] = 1
    sf.write(folder / "jazz" / "jazz.00004.wav", np.stack([left, right], 1), RATE)
    clipped = check_tracks(load_tracks(folder)).query("fault == 'clipped'")["detail"]
    assert list(clipped) == ["peaks cut off in 2.6 of 4.0 s (37.5% of samples)"]


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
    samples = read_audio(DEMO / "jazz" / "jazz.00000.flac")
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
    assert set(kept["source"]) == {"folder"}
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


def test_a_recording_is_named_after_the_first_track_that_holds_it(folder):
    numbers, _ = sf.read(folder / "jazz" / "jazz.00002.wav", dtype="int16")
    sf.write(folder / "jazz" / "jazz.00001.flac", numbers, RATE)
    (folder / "jazz" / "jazz.00001.wav").unlink()
    sf.write(folder / "blues" / "blues.00009.au", numbers, RATE)
    tracks = load_tracks(folder).assign(artist=[f"artist {n}" for n in range(11)])
    shuffled = tracks.sample(frac=1, random_state=0)
    found = recordings(shuffled)
    assert found.name == "recording"
    pd.testing.assert_index_equal(found.index, shuffled.index)
    expected = tracks["track_id"].replace(["jazz.00001", "jazz.00002"], "blues.00009")
    assert list(found.sort_index()) == list(expected)


def test_a_recording_differs_by_one_sample_by_its_rate_and_by_its_channels(folder):
    samples = noise(2)  # that of blues.00002
    one_other = samples.copy()
    one_other[-1] += 0.01
    sf.write(folder / "jazz" / "jazz.00006.wav", one_other, RATE)
    sf.write(folder / "jazz" / "jazz.00007.wav", samples, 2 * RATE)
    sf.write(folder / "jazz" / "jazz.00008.wav", np.stack([samples, samples], 1), RATE)
    sf.write(folder / "jazz" / "jazz.00009.wav", samples[:-1], RATE)
    tracks = load_tracks(folder)
    assert list(recordings(tracks)) == list(tracks["track_id"])


def test_an_unreadable_or_missing_file_is_a_recording_of_its_own(folder):
    for number in (6, 7):
        write_truncated(folder / "jazz" / f"jazz.0000{number}.wav")
        write_numbers_that_are_none(folder / "jazz" / f"jazz.0000{number + 2}.wav")
    tracks = load_tracks(folder)[["track_id", "path"]]
    gone = [str(folder / "gone.wav")] * 2 + [None, None]
    missing = pd.DataFrame({"track_id": ["gone 1", "gone 2", "no path 1", "no path 2"]})
    tracks = pd.concat([tracks, missing.assign(path=gone)], ignore_index=True)
    assert list(recordings(tracks)) == list(tracks["track_id"])
    assert recordings(tracks[:0]).empty


def test_recordings_are_told_for_each_slice_of_a_track(folder):
    shutil.copy(folder / "jazz" / "jazz.00000.wav", folder / "jazz" / "jazz.00009.wav")
    tracks = load_tracks(folder)
    slices = tracks.loc[tracks.index.repeat(3), ["track_id", "path"]].reset_index(drop=True)
    slices["path"] = slices["path"].map(Path)
    expected = slices["track_id"].replace("jazz.00009", "jazz.00000")
    assert list(recordings(slices)) == list(expected)


def test_the_first_track_is_the_one_whose_name_comes_first(folder):
    original, copy = folder / "jazz" / "jazz.00000.wav", folder / "jazz" / "jazz.00009.wav"
    shutil.copy(original, copy)
    tracks = pd.DataFrame({"track_id": ["b", "a"], "path": [str(original), str(copy)]})
    assert list(recordings(tracks)) == ["a", "a"]
    assert list(recordings(tracks.assign(path=str(copy)))) == ["a", "a"]


@pytest.mark.parametrize("kind", ["mp3", "ogg", "flac"])
def test_a_copied_file_is_one_recording_in_every_format(folder, kind, capfd):
    path = folder / "jazz" / f"jazz.00006.{kind}"
    sf.write(path, noise(9, 7), RATE)
    shutil.copy(path, path.with_name(f"jazz.00007.{kind}"))
    sf.write(path.with_name("jazz.00008.wav"), read_audio(path), RATE, subtype="FLOAT")
    tracks = load_tracks(folder)
    expected = tracks["track_id"].replace(["jazz.00007", "jazz.00008"], "jazz.00006")
    assert list(recordings(tracks)) == list(expected)
    assert capfd.readouterr() == ("", "")  # decoders complain where one seeks


def test_the_demos_copies_are_recordings_of_the_same_name():
    tracks = load_tracks("demo")
    found = recordings(tracks)
    copies = tracks["track_id"][found != tracks["track_id"]]
    assert dict(zip(copies, found[copies.index], strict=True)) == {
        "pop.00002": "pop.00001",
        "rock.00002": "metal.00004",
    }


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


def test_original_files_have_no_faults(real_data, tmp_path):
    for path in (real_data / "gtzan_au").glob("*.au"):
        genre = tmp_path / path.name.split(".")[0]
        genre.mkdir(exist_ok=True)
        shutil.copy(path, genre)
    tracks = load_tracks(tmp_path)
    assert check_tracks(tracks).empty
    assert list(recordings(tracks)) == list(tracks["track_id"])


def test_a_real_track_amplified_past_full_scale_is_clipped(real_data, folder):
    samples = read_audio(real_data / "gtzan_dev" / "jazz" / "jazz.00000.wav", seconds=4)
    loud = np.clip(samples / np.abs(samples).max() * 10 ** (12 / 20), -1, 1)
    sf.write(folder / "jazz" / "jazz.00009.wav", loud, RATE)
    assert faults_of(folder) == [("jazz.00009", "clipped")]


def test_the_benchmark_of_the_checks_prints_a_row_for_each_step(folder):
    (folder / "jazz" / "jazz.00009.wav").write_text("no audio")
    tracks = load_tracks(folder)
    result = checks.table(tracks)
    assert list(result.columns) == ["step", "seconds", "for 1000 tracks of 30 s, minutes"]
    assert (result["seconds"] > 0).all()
    assert not (cache_folder() / "checks").exists()  # the user's own
    minutes = result["seconds"] * 30_000 / 40 / 60
    assert result["for 1000 tracks of 30 s, minutes"].to_numpy() == pytest.approx(minutes)
    printed = click.testing.CliRunner().invoke(checks.checks, [str(folder)])
    assert printed.exit_code == 0, printed.output
    assert all(step in printed.output for step in result["step"])
