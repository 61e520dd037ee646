"""Tables of what was measured on real music, which come with the package."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

import gtzan_helpers as gh
from gtzan_helpers import measured
from gtzan_helpers.measured import FIVE, measured_folder, read_measured, write_measured

GENRES = ["blues", "classical", "country", "jazz", "metal"]


@pytest.fixture
def answers():
    return gh.load_answers()


def test_real_features_come_with_the_package_and_tell_their_copies():
    tracks, features = gh.load_features(FIVE)
    assert tracks["genre"].value_counts().to_dict() == dict.fromkeys(GENRES, 100)
    assert tracks["track_id"].tolist() == features["track_id"].tolist()
    assert tracks["recording"].duplicated().sum() == 21
    assert (tracks["source"] == FIVE).all() and "gtzan-five: 500" in gh.describe_source(tracks)
    assert np.isfinite(features[gh.FEATURE_NAMES]).all(axis=None)


def test_pieces_have_the_genre_artist_and_recording_of_their_track():
    tracks, _ = gh.load_features(FIVE)
    pieces, features = gh.load_features(FIVE, pieces=True)
    assert pieces["seconds"].unique() == 3 and len(pieces) == len(features) == 4995
    facts = ["track_id", "genre", "artist", "recording"]
    pd.testing.assert_frame_equal(
        pieces[facts].drop_duplicates(ignore_index=True), tracks[facts], check_dtype=False
    )


def test_no_artist_and_no_copy_stands_on_two_sides_of_a_fold():
    tracks, _ = gh.load_features(FIVE)
    for train, test in gh.folds(tracks, by="artist"):
        for name in ("artist", "recording"):
            both = set(tracks[name][train]) & set(tracks[name][test])
            assert both <= {""}


def test_our_measurements_are_the_published_ones(real_data):
    _, features = gh.load_features(FIVE)
    published = gh.read_features(real_data / "features_30_sec.csv").set_index("track_id")
    published = published.loc[features["track_id"]].reset_index()
    columns = [name for name in gh.FEATURE_NAMES if name != "tempo"]
    off = (features[columns] - published[columns]).abs() / published[columns].std()
    assert off.max(axis=None) < 1e-4
    np.testing.assert_allclose(features["tempo"], published["tempo"], atol=1e-6)
    assert features["length"].equals(published["length"])


def test_every_system_is_asked_once_about_each_track_in_each_cross_validation(answers):
    assert list(answers.columns[:7]) == [
        *("system", "seed", "split", "fold", "track_id", "genre", "artist")
    ]
    assert list(answers.columns[7:]) == GENRES
    np.testing.assert_allclose(answers[GENRES].sum(axis="columns"), 1, atol=0.001)
    asked = answers.groupby(["system", "split", "seed"])["track_id"].agg(["size", "nunique"])
    assert {"artist": 3}.items() <= answers.groupby("split")["seed"].nunique().to_dict().items()
    assert (asked == 479).all(axis=None)
    assert list(answers["system"].unique()) == [
        *("majority", "nearest neighbour", "logistic regression", "SVM"),
        *("dense network", "5 dense networks", "1-D CNN", "mel CNN", "mel CNN, augmented"),
        *("musicnn", "musicnn, untrained"),
    ]


def test_no_system_had_learned_from_an_artist_of_its_fold(answers):
    known = answers[(answers["split"] == "artist") & (answers["artist"] != "")]
    assert known.groupby(["system", "seed", "artist"])["fold"].nunique().max() == 1


def test_all_systems_had_the_same_folds(answers):
    assert answers.groupby(["split", "seed", "track_id"])["fold"].nunique().max() == 1


@pytest.mark.parametrize("change", ["gone", "other bytes", "no note", "note of others"])
def test_a_changed_installation_is_named_in_one_line(tmp_path, monkeypatch, change):
    folder = shutil.copytree(measured_folder(FIVE), tmp_path / FIVE)
    answers, about = folder / "answers.csv.gz", folder / "about.json"
    if change == "gone":
        answers.unlink()
    elif change == "other bytes":
        answers.write_bytes(answers.read_bytes()[:-100])
    else:
        about.write_text("[]" if change == "no note" else "{}")
    monkeypatch.setattr(measured, "_FOLDER", tmp_path)
    with pytest.raises(gh.CourseError, match=r"answers\.csv\.gz .*install the package again"):
        gh.load_answers()


def test_tables_of_ones_own_are_written_and_read_like_those_of_the_package(tmp_path):
    table = pd.DataFrame({"track_id": ["a", "b"], "x": np.float32([0.1, 1e-9]).astype(float)})
    write_measured(tmp_path, {"features": table}, {"command": "mine"})
    write_measured(tmp_path, {"answers": table}, {"command": "mine"})
    for name in ("features", "answers"):
        pd.testing.assert_frame_equal(read_measured(tmp_path, name), table, check_dtype=False)
    once = (tmp_path / "features.csv.gz").read_bytes()
    write_measured(tmp_path, {"features": table}, {"command": "mine"})
    assert (tmp_path / "features.csv.gz").read_bytes() == once


def test_tables_whose_writing_was_interrupted_are_refused(tmp_path, monkeypatch):
    table = pd.DataFrame({"track_id": ["a"]})
    write_measured(tmp_path, {"tracks": table}, {})
    noted = (tmp_path / "about.json").read_bytes()
    write_measured(tmp_path, {"tracks": table.replace("a", "b")}, {})
    (tmp_path / "about.json").write_bytes(noted)  # as it is when the new note was never written
    with pytest.raises(gh.CourseError, match=r"tracks\.csv\.gz"):
        read_measured(tmp_path, "tracks")


def test_a_source_without_sound_is_told_apart():
    with pytest.raises(gh.CourseError, match="load_features"):
        gh.load_tracks(FIVE)
    with pytest.raises(gh.CourseError, match="no sound"):
        gh.check_tracks(gh.load_features(FIVE)[0])


def test_what_is_measured_fits_into_the_package():
    files = [path for path in measured_folder(FIVE).rglob("*") if path.is_file()]
    tables = sum(path.stat().st_size for path in files if path.suffix == ".gz")
    networks = sum(path.stat().st_size for path in files if path.parent.name == "models")
    assert tables < 4e6 and networks < 4e6
