"""What the features are, that they cannot mislead, and that tables of them are checked."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import joblib
import librosa
import numpy as np
import pandas as pd
import pytest
import scipy.ndimage
import soundfile as sf

from benchmarks import features as benchmark
from benchmarks.features import written_out
from gtzan_helpers import features as room
from gtzan_helpers.audio import read_audio
from gtzan_helpers.datasets import load_tracks
from gtzan_helpers.errors import CourseError
from gtzan_helpers.features import (
    FEATURE_COLUMNS,
    FEATURE_NAMES,
    extract_features,
    load_features,
    read_features,
    track_features,
    track_ids,
    write_features,
)

RATE = 22050


def music(seconds=3.0, seed=0):
    """A chord, tuned a little sharp, over two drum beats a second and some noise."""
    random = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    chord = sum(np.sin(2 * np.pi * pitch * time) for pitch in (223.0, 281.0, 334.5))
    drum = np.exp(-40 * (time % 0.5)) * random.standard_normal(time.size)
    return (0.1 * chord + 0.2 * drum).astype(np.float32)


@pytest.fixture
def tracks(tmp_path):
    """Two readable tracks, one file that is not audio, and one known to be unusable."""
    rows = []
    for number, genre in enumerate(["blues", "rock"]):
        path = tmp_path / f"{genre}.00000.wav"
        sf.write(path, music(seed=number), RATE)
        rows.append((f"{genre}.00000", genre, str(path), ""))
    text = tmp_path / "jazz.00054.wav"
    text.write_text("not audio")
    rows.insert(1, ("jazz.00054", "jazz", str(text), ""))
    rows.append(("rock.00001", "rock", str(tmp_path / "missing.wav"), "missing"))
    return pd.DataFrame(rows, columns=["track_id", "genre", "path", "problem"])


@pytest.fixture
def table():
    """A feature table of two tracks."""
    rows = [track_features(music(seed=seed)) for seed in (0, 1)]
    names = {"filename": ["blues.00000.wav", "rock.00000.wav"], "label": ["blues", "rock"]}
    return pd.DataFrame(rows).assign(**names)[FEATURE_COLUMNS]


# What is measured


def test_the_columns_are_those_of_the_published_file():
    assert len(FEATURE_NAMES) == 57
    assert len(FEATURE_COLUMNS) == 60
    assert FEATURE_COLUMNS[:3] == ["filename", "length", "chroma_stft_mean"]
    assert FEATURE_COLUMNS[16:20] == ["perceptr_mean", "perceptr_var", "tempo", "mfcc1_mean"]
    assert FEATURE_COLUMNS[-2:] == ["mfcc20_var", "label"]


def test_values_are_those_of_the_recipe_written_out():
    samples = music()
    ours, recipe = track_features(samples), written_out(samples)
    assert list(ours) == ["length", *FEATURE_NAMES]
    for name in ours:
        assert ours[name] == pytest.approx(recipe[name], rel=2e-4, abs=2e-7), name


def test_values_are_the_published_ones_on_real_tracks(real_data):
    published = read_features(real_data / "features_30_sec.csv").set_index("filename")
    spread = published[FEATURE_NAMES].std(ddof=0)
    ours = extract_features(load_tracks(real_data / "gtzan_dev")).set_index("filename")
    expected = published.loc[ours.index]
    deviation = (ours[FEATURE_NAMES] - expected[FEATURE_NAMES]).abs() / spread
    assert len(ours) == 50
    assert (ours["length"] == expected["length"]).all()
    assert deviation.drop(columns="tempo").max().max() < 1e-3
    assert (deviation["tempo"] < 1e-6).mean() >= 0.98


@pytest.mark.parametrize("shape", [(40, 100), (3, 15), (1, 31), (7, 16)])
def test_the_running_median_equals_the_two_dimensional_one(shape):
    rows = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    expected = scipy.ndimage.median_filter(rows, size=(1, 31), mode="reflect")
    np.testing.assert_array_equal(room._running_median(rows), expected)


@pytest.mark.parametrize("rate", [11025, 16000, 22050, 44100])
def test_tuning_from_half_the_bins_equals_tuning_from_all(rate):
    power = np.abs(librosa.stft(music())) ** 2
    expected = librosa.estimate_tuning(S=power, sr=rate, bins_per_octave=12)
    assert room._tuning(power, rate) == expected != 0


def test_a_pure_tone_has_its_own_frequency_as_centre():
    time = np.arange(3 * RATE) / RATE
    tone = (0.5 * np.sin(2 * np.pi * 1000 * time)).astype(np.float32)
    values = track_features(tone)
    assert values["spectral_centroid_mean"] == pytest.approx(1000, abs=15)
    assert values["rms_mean"] == pytest.approx(0.5 / np.sqrt(2), rel=0.01)
    assert values["zero_crossing_rate_mean"] == pytest.approx(2 * 1000 / RATE, rel=0.02)
    assert values["harmony_var"] > 100 * values["perceptr_var"]


def test_a_drum_twice_a_second_has_a_tempo_of_120():
    assert track_features(music(seconds=10))["tempo"] == pytest.approx(120, abs=4)


# Awkward input


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(RATE),
        np.full(RATE, 0.5),
        np.zeros(2048),
        np.random.default_rng(0).standard_normal(2048),
        1e-20 * np.random.default_rng(0).standard_normal(RATE),
        1e5 * np.random.default_rng(0).standard_normal(RATE),
        np.eye(1, RATE, 5000)[0],
        np.concatenate([np.zeros(RATE), np.ones(RATE)]),
    ],
    ids=["silence", "constant", "silent frame", "frame", "tiny", "huge", "click", "half silent"],
)
def test_any_waveform_of_a_frame_or_more_gives_finite_values(samples):
    values = track_features(samples)
    assert np.isfinite(list(values.values())).all()


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(0), "too short"),
        (np.zeros(2047), "too short"),
        (np.zeros((2, RATE)), "mono"),
        (np.zeros(RATE, dtype=np.int16), "floats"),
        (np.full(RATE, np.nan), "not finite"),
        (np.append(np.zeros(RATE), np.inf), "not finite"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_the_reason(samples, reason):
    with pytest.raises(ValueError, match=reason):
        track_features(samples)


def test_the_waveform_is_left_as_it_was():
    samples = music()
    before = samples.copy()
    track_features(samples)
    np.testing.assert_array_equal(samples, before)


# Many tracks


def test_one_bad_file_is_named_and_does_not_stop_the_rest(tracks):
    with pytest.warns(UserWarning, match=r"1 of 3 tracks .* jazz\.00054 .*not a readable WAV"):
        features = extract_features(tracks, n_jobs=1)
    assert list(features.columns) == FEATURE_COLUMNS
    assert features["filename"].tolist() == ["blues.00000.wav", "rock.00000.wav"]
    assert features["label"].tolist() == ["blues", "rock"]
    expected = track_features(read_audio(tracks["path"].iloc[0]))
    assert features.iloc[0][list(expected)].to_dict() == expected


def test_several_processes_give_what_one_gives(tracks, monkeypatch, tmp_path):
    good = tracks[tracks["genre"] != "jazz"]
    one = extract_features(good, n_jobs=1)
    monkeypatch.setenv("GTZAN_CACHE", str(tmp_path / "another"))
    pd.testing.assert_frame_equal(extract_features(good, n_jobs=2), one)


def test_workers_find_compiled_what_librosa_compiles_at_first_use(tmp_path):
    # Two processes that compile the same at once can leave files that crash whoever loads them.
    code = """
from pathlib import Path
import gtzan_helpers as gh

def compiled():
    return {path: path.stat().st_mtime_ns for path in Path("numba").rglob("*.nb?")}

gh.extract_features(gh.load_tracks().head(1))
before = compiled()
gh.extract_features(gh.load_tracks().head(4), n_jobs=2)
assert before and compiled() == before
"""
    places = {"NUMBA_CACHE_DIR": "numba", "XDG_CACHE_HOME": "cache", "GTZAN_CACHE": "results"}
    environment = os.environ | {name: str(tmp_path / place) for name, place in places.items()}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env=environment)


def test_if_no_track_can_be_measured_that_is_an_error(tracks):
    with pytest.warns(UserWarning), pytest.raises(CourseError, match="no track"):
        extract_features(tracks[tracks["genre"] == "jazz"])


@pytest.fixture
def measured(monkeypatch):
    """The paths that were measured, not taken from the cache."""
    paths = []

    def noted(path, piece_seconds):
        paths.append(path.name)
        return [track_features(read_audio(path))]

    monkeypatch.setattr(room, "_measure_file", noted)
    return paths


def test_a_track_is_measured_again_only_if_its_file_has_changed(tracks, measured):
    blues = tracks.iloc[:1]
    path = Path(blues["path"].iloc[0])
    first = extract_features(blues, n_jobs=1)
    pd.testing.assert_frame_equal(extract_features(blues, n_jobs=1), first)
    assert measured == ["blues.00000.wav"]
    state = path.stat()
    sf.write(path, music(seed=9), RATE)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert extract_features(blues, n_jobs=1)["rms_mean"][0] != first["rms_mean"][0]
    assert len(measured) == 2


def test_an_interrupted_extraction_goes_on_where_it_stopped(tracks, monkeypatch):
    sound = tracks.iloc[[0, 2]]
    started = []

    def stopped(path, piece_seconds):
        started.append(path.name)
        if len(started) == 2:
            raise KeyboardInterrupt
        return [track_features(read_audio(path))]

    monkeypatch.setattr(room, "_measure_file", stopped)
    with pytest.raises(KeyboardInterrupt):
        extract_features(sound, n_jobs=1)
    table = extract_features(sound, n_jobs=1)
    assert started == ["blues.00000.wav", "rock.00000.wav", "rock.00000.wav"]
    assert table["label"].tolist() == ["blues", "rock"]


def test_a_dask_cluster_can_do_the_work(tracks, monkeypatch, tmp_path):
    distributed = pytest.importorskip("distributed")
    with pytest.warns(UserWarning, match="jazz.00054"):
        expected = extract_features(tracks, n_jobs=1)
    monkeypatch.setenv("GTZAN_CACHE", str(tmp_path / "another"))
    cluster = distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=None)
    with cluster, distributed.Client(cluster) as client, joblib.parallel_config("dask"):
        with pytest.warns(UserWarning, match="jazz.00054"):
            table = extract_features(tracks)
        n_events = client.run_on_scheduler(
            lambda dask_scheduler: len(dask_scheduler.transition_log)
        )
    pd.testing.assert_frame_equal(table, expected)
    assert n_events >= 3  # at least one for each track: the cluster did it, not this process


def test_a_damaged_cache_file_is_measured_again(tracks, measured, monkeypatch, tmp_path):
    monkeypatch.setenv("GTZAN_CACHE", str(tmp_path / "another"))
    blues = tracks.iloc[:1]
    first = extract_features(blues, n_jobs=1)
    for damage in (b"", b"\xff\xfe", b'[{"length": '):
        (kept,) = (tmp_path / "another" / "features").iterdir()
        kept.write_bytes(damage)
        pd.testing.assert_frame_equal(extract_features(blues, n_jobs=1), first)
    assert len(measured) == 4


def test_pieces_are_measured_like_tracks_of_their_own(tracks, tmp_path):
    table = extract_features(tracks.iloc[[0]], n_jobs=1, piece_seconds=1.4)  # of 3 s
    assert table["filename"].tolist() == ["blues.00000.0.wav", "blues.00000.1.wav"]
    assert track_ids(table, pieces=True).unique().tolist() == ["blues.00000"]
    length = round(1.4 * RATE)
    second = track_features(read_audio(tracks["path"].iloc[0])[length : 2 * length])
    assert table.iloc[1][list(second)].to_dict() == second
    whole = extract_features(tracks.iloc[[0]], n_jobs=1)
    assert whole["length"].tolist() == [3 * RATE]  # the cache keeps the two apart


def test_a_track_shorter_than_a_piece_is_named(tracks):
    sf.write(tracks["path"].iloc[0], music(seconds=5.0), RATE)
    with pytest.warns(UserWarning, match=r"rock.00000 \(shorter than a piece of 4 s\)"):
        table = extract_features(tracks.iloc[[0, 2]], n_jobs=1, piece_seconds=4.0)
    assert table["filename"].tolist() == ["blues.00000.0.wav"]


def test_the_benchmark_of_features_compares_values_and_time():
    table, deviations = benchmark.table("demo", n_tracks=3)
    assert list(table.columns) == ["seconds", "speed_up", "deviation"]
    assert len(table) == 4
    assert (table["deviation"] < 1e-3).all()
    assert deviations.index.tolist() == FEATURE_NAMES


# Tables in files


def test_a_table_is_read_back_as_it_was_written(table, tmp_path):
    path = tmp_path / "features.csv"
    write_features(table, path)
    pd.testing.assert_frame_equal(read_features(path), table)
    assert path.read_text().splitlines()[0] == ",".join(FEATURE_COLUMNS)


def test_a_feature_file_alone_gives_tracks_with_artists(table, tmp_path, monkeypatch, capsys):
    rows = pd.concat([table, table, table.iloc[[1]]], ignore_index=True)
    rows["filename"] = [f"{name}.wav" for name in ("b", "r", "bb", "bbb", "rrr")]
    rows["label"] = ["blues", "rock", "blues", "blues", "rock"]  # bb copies b; bbb, rrr: r
    rows = pd.concat([rows, rows.iloc[[0]].assign(filename="b 4.wav", tempo=99.0)])
    write_features(rows, tmp_path / "mine.csv")
    (tmp_path / "tracks.csv").write_text("track_id,artist\nb,Slow Turnip\n")
    monkeypatch.setenv("GTZAN_FEATURES", str(tmp_path / "mine.csv"))
    tracks, features = load_features()
    assert tracks["track_id"].tolist() == ["b", "b 4"]
    assert tracks["artist"].tolist() == ["Slow Turnip", ""]
    assert set(tracks) == set(load_tracks())
    pd.testing.assert_frame_equal(features, rows.iloc[[0, 5]].reset_index(drop=True))
    assert "left out 4 of 6 tracks" in capsys.readouterr().out


def test_without_a_feature_file_the_usable_tracks_are_measured(tmp_path, monkeypatch):
    for number, genre in enumerate(["blues", "rock"]):
        (tmp_path / genre).mkdir()
        sf.write(tmp_path / genre / "one.wav", music(seed=number), RATE)
    (tmp_path / "rock" / "two.wav").write_text("not audio")
    monkeypatch.setenv("GTZAN_DATA", str(tmp_path))
    tracks, features = load_features()
    assert tracks["track_id"].tolist() == ["blues/one", "rock/one"]
    assert track_ids(features).tolist() == tracks["track_id"].tolist()


def test_the_published_file_is_loaded_without_its_copies(real_data, monkeypatch, tmp_path):
    monkeypatch.setenv("GTZAN_CACHE", str(tmp_path))
    (tmp_path / "sturm").mkdir()
    shutil.copy(real_data / "sturm" / "index.txt", tmp_path / "sturm")
    tracks, features = load_features(real_data / "features_30_sec.csv")
    assert len(tracks) == len(features) == 1000 - 15  # 13 pairs within a genre, both of the other
    assert (tracks["artist"] != "").sum() >= 968
    assert not features.duplicated(FEATURE_NAMES).any()


def test_the_published_table_is_read(real_data):
    published = read_features(real_data / "features_30_sec.csv")
    assert published.shape == (1000, 60)
    assert track_ids(published).is_unique
    assert track_ids(published).tolist()[0] == "blues.00000"


def test_columns_may_stand_in_any_order(table, tmp_path):
    path = tmp_path / "features.csv"
    write_features(table[FEATURE_COLUMNS[::-1]], path)
    assert list(read_features(path).columns) == FEATURE_COLUMNS


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda t: t.drop(columns=["tempo", "mfcc3_var"]), "missing columns tempo, mfcc3_var"),
        (lambda t: t.drop(columns="label"), "missing columns label"),
        (lambda t: t.assign(loudness=1.0), r"unknown columns \(remove them\) loudness"),
        (lambda t: t.assign(tempo=["fast", "slow"]), "not numeric tempo"),
        (lambda t: t.assign(rms_var=[1.0, np.nan]), "missing or infinite values rms_var"),
        (lambda t: t.assign(rms_var=[1.0, np.inf]), "missing or infinite values rms_var"),
        (lambda t: t.assign(label=["blues", None]), "missing or infinite values label"),
        (lambda t: t.iloc[:0], "no rows"),
    ],
)
def test_a_table_that_cannot_be_trusted_is_refused_by_column(table, tmp_path, spoil, reason):
    path = tmp_path / "features.csv"
    write_features(spoil(table), path)
    with pytest.raises(CourseError, match=rf"features\.csv.*{reason}.*extract_features"):
        read_features(path)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", None])
def test_a_file_that_is_no_table_is_refused_by_name(tmp_path, content):
    path = tmp_path / "features.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CourseError, match=r"features\.csv"):
        read_features(path)


def test_track_ids_are_file_names_without_their_suffix():
    names = pd.DataFrame({"filename": ["blues.00000.wav", "my/song.no.1.wav"]}, index=[3, 5])
    assert track_ids(names).to_dict() == {3: "blues.00000", 5: "my/song.no.1"}
