"""Two networks trained on the same tracks, and kept together with what belongs to them."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile

import gtzan_helpers as gh
from gtzan_helpers import models as room
from gtzan_helpers.models import CNN, DENSE, Models

RATE = 22050


@pytest.fixture(scope="module")
def tracks(tmp_path_factory) -> pd.DataFrame:
    """A handful of short tones, high and low."""
    folder, time = tmp_path_factory.mktemp("tracks"), np.arange(round(2.5 * RATE)) / RATE
    rows = []
    for genre, hertz in (("high", 4000), ("low", 200)):
        for number in range(2):
            path = folder / f"{genre}.{number}.wav"
            soundfile.write(path, 0.5 * np.sin(2 * np.pi * (hertz + 10 * number) * time), RATE)
            rows.append((f"{genre}.{number}", genre, "", str(path), 2.5, RATE, ""))
    columns = ["track_id", "genre", "artist", "path", "seconds", "sample_rate", "problem"]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture(scope="module")
def trained(tracks) -> Models:
    features = gh.extract_features(tracks)[gh.FEATURE_NAMES].to_numpy(np.float32)
    slices, labels = gh.SliceSet(tracks), np.array([0, 0, 1, 1])
    dense, cnn, card = room.train_networks(features, labels, slices, np.arange(4), epochs=1)
    known, distances = room.scaled_features(dense, features), np.ones(4, np.float32)
    card["temperature"] = 1.0
    return Models(dense, cnn, ["high", "low"], 2.5, card, known, distances, "Four tones.")


def test_training_fills_the_card(trained):
    assert trained.card.loc[CNN, "epochs"] == 1
    # 57 inputs, layers of 256, 128 and 64, and 2 genres: weights and biases; and two numbers for
    # each neuron that is normalised.
    neurons = 256 + 128 + 64
    assert trained.card.loc[DENSE, "parameters"] == 14848 + 32896 + 8256 + 130 + 2 * neurons
    np.testing.assert_allclose(trained.known.mean(axis=0), 0, atol=0.2)


def test_a_saved_network_holds_its_weights_and_nothing_of_the_training(trained, tmp_path):
    room.save_models(trained, tmp_path / "models")
    size = (tmp_path / "models" / "cnn.keras").stat().st_size
    assert size < 1.2 * 4 * trained.cnn.count_params()
    loaded, slices = gh.load_models(tmp_path / "models"), np.ones((1, 2 * RATE), np.float32)
    np.testing.assert_allclose(loaded.cnn.predict(slices), trained.cnn.predict(slices), atol=1e-6)


def test_a_temperature_mends_votes_that_are_too_sure_and_leaves_their_order():
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 400)
    right = random.random(400) < 0.7
    named = np.where(right, labels, (labels + 1) % 3)
    votes = np.full((400, 3), 0.005) + 0.985 * np.eye(3)[named]
    mended = room.tempered(votes, room.best_temperature(votes, labels))
    assert mended.max(axis=1).mean() == pytest.approx(right.mean(), abs=0.03)
    np.testing.assert_array_equal(mended.argmax(axis=1), named)
    np.testing.assert_allclose(mended.sum(axis=1), 1)
    assert room.best_temperature(votes[:10], labels[:10]) == 1  # too few to say


def test_what_a_track_is_given_is_the_mean_over_its_slices():
    answers = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
    given = gh.vote(answers, np.array([0, 1, 0]))
    np.testing.assert_allclose(given, [[0.7, 0.3], [0.2, 0.8]])


def test_the_networks_of_the_course_know_five_genres_and_their_scores():
    models = gh.load_models()
    assert models.genres == ["blues", "classical", "country", "jazz", "metal"]
    assert models.card["accuracy"].between(models.card["low"], models.card["high"]).all()
    assert "rights" in models.trained_on
    for fact in (*models.genres, *(f"{share:.0%}" for share in models.card["accuracy"])):
        assert fact in models.described(list(models.card.index))


def test_networks_of_the_course_that_were_changed_say_how_to_get_them_back(tmp_path, monkeypatch):
    shutil.copytree(room.measured_folder(room.FIVE), tmp_path / "five")
    (tmp_path / "five" / "models" / "cnn.keras").unlink()
    monkeypatch.setattr(room, "measured_folder", lambda name: tmp_path / "five")
    with pytest.raises(gh.CourseError, match="install the package again"):
        gh.load_models()


def test_a_song_is_told_the_same_by_networks_that_were_saved(tracks, trained, tmp_path):
    room.save_models(trained, tmp_path / "models")
    again = gh.load_models(tmp_path / "models")
    assert again[2:4] == trained[2:4] and again.trained_on == trained.trained_on
    song = tracks["path"].iloc[0]
    one, other = gh.classify_song(song, trained), gh.classify_song(song, again)
    np.testing.assert_allclose(one.overall, other.overall, atol=1e-6)
    assert one.distance == pytest.approx(other.distance)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"genres": ["low", "high"]}, "genres"),
        ({"inputs": room.INPUTS | {"features": ["chroma_cqt_mean"]}}, "other features"),
        ({"inputs": room.INPUTS | {"sample_rate": 44100}}, "sample rate"),
        ({}, "changed"),
    ],
)
def test_models_that_mean_something_else_are_refused(trained, tmp_path, facts, reason):
    room.save_models(trained, tmp_path / "models")
    about = tmp_path / "models" / "about.json"
    about.write_text(json.dumps(json.loads(about.read_text()) | facts))
    if not facts:  # a network from another folder
        room.save_models(trained._replace(dense=gh.dense_network(57, 2)), tmp_path / "others")
        shutil.copy(tmp_path / "others" / "dense.keras", tmp_path / "models")
    with pytest.raises(gh.CourseError, match=f"{tmp_path}.*{reason}"):
        gh.load_models(tmp_path / "models")


def test_models_made_with_another_librosa_are_loaded_with_a_warning(trained, tmp_path, monkeypatch):
    with monkeypatch.context() as then:
        then.setitem(room.VERSIONS, "librosa", "0.1.0")
        room.save_models(trained, tmp_path / "models")
    with pytest.warns(UserWarning, match=r"librosa 0\.1\.0"):
        gh.load_models(tmp_path / "models")


def test_the_cards_tell_data_score_and_limits(trained):
    cards = gh.model_cards(trained)
    assert cards.count("not measured") == 2
    for fact in ("57 features of 2 s", "high, low", "Four tones", "Not for"):
        assert fact in cards
    assert gh.model_cards(gh.load_models()).count("artists kept out") == 3


def test_saved_models_are_never_overwritten(trained, tmp_path):
    with pytest.raises(gh.CourseError, match=str(tmp_path)):
        room.save_models(trained, tmp_path)
