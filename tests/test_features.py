"""What the features are, that they cannot mislead, and that tables of them are checked."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
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
    table = pd.DataFrame(rows).assign(track_id=["blues.00000", "rock.00000"], **names)
    return table[["track_id", *FEATURE_COLUMNS]]


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
        (np.zeros(2047), "too short"),
        (np.zeros((2, RATE)), "mono"),
        (np.zeros(RATE, dtype=np.int16), "floats"),
        (np.append(np.zeros(RATE), np.nan), "not finite"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_the_reason(samples, reason):
    with pytest.raises(ValueError, match=reason):
        track_features(samples)


# Many tracks


def test_one_bad_file_is_named_and_does_not_stop_the_rest(tracks):
    with pytest.warns(UserWarning, match=r"1 of 3 tracks .* jazz\.00054 .*not a readable WAV"):
        features = extract_features(tracks, n_jobs=1)
    assert list(features.columns) == ["track_id", *FEATURE_COLUMNS]
    assert features["track_id"].tolist() == ["blues.00000", "rock.00000"]
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
    for kept in Path(os.environ["GTZAN_CACHE"], "features").iterdir():
        kept.write_bytes(b'[{"length": ')  # a file that is damaged is as good as none
    extract_features(blues, n_jobs=1)
    assert len(measured) == 3


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


def test_pieces_are_measured_like_tracks_of_their_own(tracks, tmp_path):
    table = extract_features(tracks.iloc[[0]], n_jobs=1, piece_seconds=1.4)  # of 3 s
    assert table["filename"].tolist() == ["blues.00000.0.wav", "blues.00000.1.wav"]
    assert table["track_id"].unique().tolist() == ["blues.00000"]
    length = round(1.4 * RATE)
    second = track_features(read_audio(tracks["path"].iloc[0])[length : 2 * length])
    assert table.iloc[1][list(second)].to_dict() == second
    whole = extract_features(tracks.iloc[[0]], n_jobs=1)
    assert whole["length"].tolist() == [3 * RATE]  # the cache keeps the two apart


def test_a_track_shorter_than_a_piece_is_named(tracks):
    sf.write(tracks["path"].iloc[0], music(seconds=5.0), RATE)
    with pytest.warns(UserWarning, match=r"rock.00000 .*less than one slice"):
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
    table[FEATURE_COLUMNS[::-1]].to_csv(path, index=False)
    pd.testing.assert_frame_equal(read_features(path), table)


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
    assert tracks["recording"].tolist() == ["b", "b 4"]
    kept = rows.iloc[[0, 5]].assign(track_id=["b", "b 4"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(features, kept)
    said = capsys.readouterr().out
    assert "left out 4 of 6 rows" in said and "r, bb, bbb, rrr" in said


def test_without_a_feature_file_the_usable_tracks_are_measured(tmp_path, monkeypatch):
    for number, genre in enumerate(["blues", "rock"]):
        (tmp_path / genre).mkdir()
        sf.write(tmp_path / genre / "one.wav", music(seed=number), RATE)
    (tmp_path / "rock" / "two.wav").write_text("not audio")
    monkeypatch.setenv("GTZAN_DATA", str(tmp_path))
    tracks, features = load_features()
    assert tracks["track_id"].tolist() == ["blues/one", "rock/one"]
    assert features["track_id"].tolist() == tracks["track_id"].tolist()


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
    assert published.shape == (1000, 61)
    assert published["track_id"].is_unique and published["track_id"][0] == "blues.00000"


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda t: t.drop(columns=["tempo", "mfcc3_var"]), "missing .*tempo, mfcc3_var"),
        (lambda t: t.assign(loudness=1.0), "remove .*loudness"),
        (lambda t: t.assign(tempo=["120", "slow"]), r"number.* tempo \(row 2\)"),
        (lambda t: t.assign(rms_var=[np.inf, np.nan]), r"number.* rms_var \(row 1\)"),
        (lambda t: t.assign(label=["blues", None]), r"empty.* label \(row 2\)"),
        (lambda t: t.iloc[:0], "no rows"),
    ],
)
def test_a_table_that_cannot_be_trusted_is_refused_by_column(table, tmp_path, spoil, reason):
    path = tmp_path / "features.csv"
    write_features(spoil(table), path)
    with pytest.raises(CourseError, match=rf"features\.csv.*{reason}.*extract_features"):
        read_features(path)
