"""What the features are, that they cannot mislead, and that tables of them are checked."""

import os
import shutil
from pathlib import Path

import joblib
import librosa
import numpy as np
import pandas as pd
import pytest
import soundfile as sf

from benchmarks import features as benchmark
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
    """Two readable tracks, of 3 and 5 s, and between them one file that is not audio."""
    names = ["blues.00000", "jazz.00054", "rock.00000"]
    paths = [tmp_path / f"{name}.wav" for name in names]
    sf.write(paths[0], music(), RATE)
    paths[1].write_text("not audio")
    sf.write(paths[2], music(5.0, seed=1), RATE)
    genres = [name.split(".")[0] for name in names]
    return pd.DataFrame({"track_id": names, "genre": genres, "path": map(str, paths)})


@pytest.fixture
def table():
    """A feature table of two tracks."""
    values = np.random.default_rng(0).uniform(-9, 9, (2, len(FEATURE_NAMES)))
    table = pd.DataFrame(values, columns=FEATURE_NAMES).assign(length=RATE, label=["blues", "rock"])
    table["track_id"] = table["label"] + ".00000"
    return table.assign(filename=table["track_id"] + ".wav")[["track_id", *FEATURE_COLUMNS]]


# What is measured


def test_the_columns_are_those_of_the_published_file():
    assert (len(FEATURE_NAMES), len(FEATURE_COLUMNS)) == (57, 60)
    assert FEATURE_COLUMNS[:3] == ["filename", "length", "chroma_stft_mean"]
    assert FEATURE_COLUMNS[16:20] == ["perceptr_mean", "perceptr_var", "tempo", "mfcc1_mean"]
    assert FEATURE_COLUMNS[-2:] == ["mfcc20_var", "label"]


def test_values_are_those_of_the_recipe_written_out():
    samples = music()
    ours, recipe = track_features(samples), benchmark.written_out(samples)
    assert list(ours) == ["length", *FEATURE_NAMES]
    for name in ours:
        assert ours[name] == pytest.approx(recipe[name], rel=2e-4, abs=2e-7), name


@pytest.mark.long
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


def test_a_tone_has_its_frequency_as_centre_and_two_drum_beats_a_second_a_tempo_of_120():
    time = np.arange(3 * RATE) / RATE
    values = track_features((0.5 * np.sin(2 * np.pi * 1000 * time)).astype(np.float32))
    assert values["spectral_centroid_mean"] == pytest.approx(1000, abs=15)
    assert values["rms_mean"] == pytest.approx(0.5 / np.sqrt(2), rel=0.01)
    assert values["zero_crossing_rate_mean"] == pytest.approx(2 * 1000 / RATE, rel=0.02)
    assert values["harmony_var"] > 100 * values["perceptr_var"]
    assert track_features(music(seconds=10))["tempo"] == pytest.approx(120, abs=4)


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
    assert np.isfinite(list(track_features(samples).values())).all()


@pytest.mark.parametrize("shape", [2047, (2, RATE)])
def test_what_is_shorter_than_a_frame_or_not_mono_is_refused(shape):
    with pytest.raises(ValueError, match=r"2047|2, 22050"):
        track_features(np.zeros(shape))


# Many tracks


def test_a_mel_spectrogram_shows_a_tone_in_its_band_whatever_its_sign():
    time = np.arange(3 * 22050) / 22050
    tone = (0.5 * np.sin(2 * np.pi * 1000 * time)).astype(np.float32)
    picture = room.mel_spectrogram(tone)
    assert picture.shape == (65, 64) and picture.dtype == np.float32
    hertz = librosa.mel_frequencies(66, fmax=11025)[1:-1]
    assert abs(hertz[picture.mean(axis=0).argmax()] - 1000) < 60
    assert picture.max() - picture.min() == pytest.approx(80)
    np.testing.assert_array_equal(room.mel_spectrogram(-tone), picture)


def test_one_bad_file_is_named_and_does_not_stop_the_rest(tracks):
    with pytest.warns(UserWarning, match=r"1 of 3 tracks .* jazz\.00054"):
        features = extract_features(tracks, n_jobs=1)
    assert list(features.columns) == ["track_id", *FEATURE_COLUMNS]
    assert features["track_id"].tolist() == ["blues.00000", "rock.00000"]
    assert features["filename"].tolist() == ["blues.00000.wav", "rock.00000.wav"]
    assert features["label"].tolist() == ["blues", "rock"]
    expected = track_features(read_audio(tracks["path"][0]))
    assert features.iloc[0][list(expected)].to_dict() == expected
    known = extract_features(tracks.assign(problem=["", "no audio", "missing"]), n_jobs=1)
    pd.testing.assert_frame_equal(known, features[:1])
    with pytest.warns(UserWarning), pytest.raises(CourseError, match="no track"):
        extract_features(tracks[1:2])


def test_workers_give_the_same_as_one_process(tracks, monkeypatch, tmp_path):
    sound = tracks.iloc[[0, 2]]
    expected = extract_features(sound, n_jobs=1)
    monkeypatch.setenv("GTZAN_CACHE", str(tmp_path / "another"))
    pd.testing.assert_frame_equal(extract_features(sound, n_jobs=2), expected)


def test_a_track_is_measured_again_only_if_its_file_has_changed(tracks, monkeypatch):
    measured, measure = [], room._measure_file
    monkeypatch.setattr(
        room, "_measure_file", lambda *a, **k: measured.append(a) or measure(*a, **k)
    )
    first, again = (extract_features(tracks[:1], n_jobs=1) for _ in range(2))
    pd.testing.assert_frame_equal(again, first)
    assert len(measured) == 1
    path = Path(tracks["path"][0])
    state = path.stat()
    sf.write(path, music(seed=9), RATE)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert extract_features(tracks[:1], n_jobs=1)["rms_mean"][0] != first["rms_mean"][0]


@pytest.mark.long
def test_a_dask_cluster_can_do_the_work(tracks, monkeypatch, tmp_path):
    distributed = pytest.importorskip("distributed")
    with pytest.warns(UserWarning, match=r"jazz.00054"):
        expected = extract_features(tracks, n_jobs=1)
    monkeypatch.setenv("GTZAN_CACHE", str(tmp_path / "another"))
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, distributed.Client(cluster) as client, joblib.parallel_config("dask"):
        with pytest.warns(UserWarning, match=r"jazz.00054"):
            table = extract_features(tracks)
        n_events = client.run_on_scheduler(
            lambda dask_scheduler: len(dask_scheduler.transition_log)
        )
    pd.testing.assert_frame_equal(table, expected)
    assert n_events >= 3  # at least one for each track: the cluster did it, not this process


def test_pieces_are_measured_like_tracks_of_their_own_and_short_tracks_are_named(tracks):
    sound = tracks.iloc[[0, 2]]
    with pytest.warns(UserWarning, match=r"blues.00000 "):  # of 3 s
        table = extract_features(sound, n_jobs=1, piece_seconds=2.4)
        assert extract_features(sound, n_jobs=1, piece_seconds=4.0)["track_id"].size == 1
    names = ["blues.00000.0.wav", "rock.00000.0.wav", "rock.00000.1.wav"]
    assert table["filename"].tolist() == names
    assert table["track_id"].tolist() == ["blues.00000", "rock.00000", "rock.00000"]
    length = round(2.4 * RATE)
    second = track_features(read_audio(tracks["path"][2])[length : 2 * length])
    assert table.iloc[2][list(second)].to_dict() == second
    whole = extract_features(sound, n_jobs=1)
    assert whole["length"].tolist() == [3 * RATE, 5 * RATE]  # the cache keeps the two apart


def test_the_benchmark_of_features_compares_values_and_time():
    table, deviations = benchmark.table("demo", n_tracks=2)
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


def test_a_feature_file_alone_gives_tracks_with_artists(table, tmp_path, capsys):
    rows = table.iloc[[0, 1, 0, 0, 1, 0]].reset_index(drop=True)
    rows["track_id"] = ["b", "r", "bb", "bbb", "rrr", "b 4"]
    rows["filename"] = rows["track_id"] + ".wav"
    rows["label"] = ["blues", "rock", "blues", "blues", "rock", "blues"]
    rows.loc[3, FEATURE_NAMES] = rows.loc[1, FEATURE_NAMES]  # bb copies b; bbb and rrr copy r
    rows.loc[5, "tempo"] = 99.0
    write_features(rows, tmp_path / "mine.csv")
    (tmp_path / "tracks.csv").write_text("track_id,artist\nb,Slow Turnip\n")
    tracks, features = load_features(tmp_path / "mine.csv")
    assert tracks["track_id"].tolist() == tracks["recording"].tolist() == ["b", "b 4"]
    assert tracks["artist"].tolist() == ["Slow Turnip", ""]
    assert set(tracks) == set(load_tracks())
    pd.testing.assert_frame_equal(features, rows.iloc[[0, 5]].reset_index(drop=True))
    assert "r, bb, bbb, rrr" in capsys.readouterr().out


def test_the_demo_keeps_its_artists_where_only_its_features_are_left(tmp_path):
    demo = load_tracks("demo").groupby("genre").head(1)
    write_features(extract_features(demo), tmp_path / "features.csv")
    tracks, _ = load_features(tmp_path / "features.csv")
    assert tracks["artist"].tolist() == demo["artist"].tolist()


def test_the_published_file_is_loaded_without_its_copies(real_data, monkeypatch, tmp_path):
    monkeypatch.setenv("GTZAN_CACHE", str(tmp_path))
    shutil.copytree(real_data / "sturm", tmp_path / "sturm")
    tracks, features = load_features(real_data / "features_30_sec.csv")
    assert len(tracks) == len(features) == 1000 - 15  # 13 pairs within a genre, both of the other
    assert (tracks["artist"] != "").sum() >= 968
    assert not features.duplicated(FEATURE_NAMES).any()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"tempo": None, "mfcc3_var": None}, "tempo, mfcc3_var"),
        ({"loudness": 1.0}, "loudness"),
        ({"tempo": ["120", "slow"]}, r"tempo \(row 2\)"),
        ({"rms_var": [np.inf, np.nan]}, r"rms_var \(row 1\)"),
        ({"label": ["blues", " "]}, r"label \(row 2\)"),
        (None, "no rows"),
    ],
)
def test_a_table_that_cannot_be_trusted_is_refused_by_column(table, tmp_path, change, named):
    spoiled = table.assign(**change).dropna(axis=1, how="all") if change else table[:0]
    write_features(spoiled, tmp_path / "features.csv")
    with pytest.raises(CourseError, match=rf"features\.csv.*{named}.*extract_features"):
        read_features(tmp_path / "features.csv")
