"""Two networks trained on the same tracks, and kept together with what belongs to them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile

import gtzan_helpers as gh
from gtzan_helpers import models as room
from gtzan_helpers.cache import kept
from gtzan_helpers.models import CNN, DENSE, Models

RATE = 22050


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, pd.Series, Models]:
    """Networks trained on a handful of short tones, once for all tests here."""
    folder = tmp_path_factory.mktemp("tracks")
    time = np.arange(round(2.5 * RATE)) / RATE
    rows = []
    for genre, hertz in (("high", 4000), ("low", 200)):
        for number in range(3):
            path = folder / f"{genre}.{number}.wav"
            soundfile.write(path, 0.5 * np.sin(2 * np.pi * (hertz + 10 * number) * time), RATE)
            rows.append((f"{genre}.{number}", genre, "", str(path), 2.5, RATE, ""))
    columns = ["track_id", "genre", "artist", "path", "seconds", "sample_rate", "problem"]
    tracks = pd.DataFrame(rows, columns=columns)
    parts = pd.Series(["train", "validation", "test"] * 2)
    return tracks, parts, gh.train_models(tracks, parts, epochs=1)


def test_training_fills_the_card_and_keeps_the_order_of_genres(
    trained: tuple[pd.DataFrame, pd.Series, Models],
) -> None:
    models = trained[2]
    assert models.genres == ["high", "low"]
    assert models.track_seconds == 2.5
    assert models.card.loc[CNN, "epochs"] == 1
    # 57 inputs, layers of 256, 128 and 64, and 2 genres: weights and biases; and two numbers for
    # each neuron that is normalised.
    neurons = 256 + 128 + 64
    assert models.card.loc[DENSE, "parameters"] == 14848 + 32896 + 8256 + 130 + 2 * neurons


def test_the_same_networks_are_loaded_when_nothing_has_changed(
    trained: tuple[pd.DataFrame, pd.Series, Models], tmp_path: Path
) -> None:
    tracks, parts, models = trained
    again = gh.train_models(tracks, parts, epochs=1)
    assert again.genres == models.genres
    song = tracks["path"].iloc[0]
    first, second = gh.classify_song(song, models), gh.classify_song(song, again)
    for name in (DENSE, CNN):
        np.testing.assert_allclose(first.probabilities[name], second.probabilities[name], atol=1e-6)
    assert first.strangeness == pytest.approx(second.strangeness)
    assert again.trained_on == models.trained_on


def test_kept_networks_that_cannot_be_loaded_are_trained_and_kept_again(
    trained: tuple[pd.DataFrame, pd.Series, Models],
) -> None:
    tracks, parts, models = trained
    cnn = kept(f"models/{room._fingerprint(tracks, parts, 1, 0)}") / "cnn.keras"
    whole = cnn.stat().st_size
    cnn.write_bytes(cnn.read_bytes()[:1000])
    assert gh.train_models(tracks, parts, epochs=1).genres == models.genres
    assert cnn.stat().st_size == pytest.approx(whole, rel=0.1)


def test_networks_that_cannot_be_kept_are_returned_all_the_same(
    trained: tuple[pd.DataFrame, pd.Series, Models],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tracks, parts, models = trained
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(room, "kept", lambda name: tmp_path / "file" / name)
    with pytest.warns(UserWarning, match="cannot be saved in .*file"):
        assert gh.train_models(tracks, parts, epochs=1).genres == models.genres


def test_models_for_other_features_are_refused(
    trained: tuple[pd.DataFrame, pd.Series, Models], tmp_path: Path
) -> None:
    folder = tmp_path / "models"
    gh.save_models(trained[2], folder)
    about = folder / "about.json"
    about.write_text(about.read_text().replace("chroma_stft_mean", "chroma_cqt_mean"))
    with pytest.raises(ValueError, match="made for other features"):
        gh.load_models(folder)


def test_a_model_from_another_folder_is_refused_beside_these_genres(
    trained: tuple[pd.DataFrame, pd.Series, Models], tmp_path: Path
) -> None:
    models = trained[2]
    gh.save_models(models, tmp_path / "here")
    gh.save_models(models._replace(dense=gh.dense_network(57, 2)), tmp_path / "there")
    shutil.copy(tmp_path / "there" / "dense.keras", tmp_path / "here")
    with pytest.raises(ValueError, match="changed after the models were saved"):
        gh.load_models(tmp_path / "here")
    (tmp_path / "there" / "cnn.keras").unlink()
    with pytest.raises(ValueError, match="is missing or was changed"):
        gh.load_models(tmp_path / "there")


def test_genres_put_in_another_order_are_noticed(
    trained: tuple[pd.DataFrame, pd.Series, Models], tmp_path: Path
) -> None:
    gh.save_models(trained[2], tmp_path / "models")
    about = tmp_path / "models" / "about.json"
    told = json.loads(about.read_text())
    about.write_text(json.dumps(told | {"genres": told["genres"][::-1]}))
    with pytest.raises(ValueError, match="order of genres may not fit"):
        gh.load_models(tmp_path / "models")


def test_models_made_with_another_librosa_are_loaded_with_a_warning(
    trained: tuple[pd.DataFrame, pd.Series, Models],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "metadata", SimpleNamespace(version=lambda name: "0.1.0"))
    gh.save_models(trained[2], tmp_path / "models")
    monkeypatch.undo()
    with pytest.warns(UserWarning, match=r"made with keras 0\.1\.0 .*, librosa 0\.1\.0"):
        gh.load_models(tmp_path / "models")


def test_the_cards_tell_data_split_score_and_limits(
    trained: tuple[pd.DataFrame, pd.Series, Models],
) -> None:
    models = trained[2]
    score = gh.accuracy_interval(["high", "low"], ["high", "low"])
    cards = gh.model_cards(models, {DENSE: score, CNN: score}, by="track")
    assert cards.count("accuracy 1.00") == 2
    assert cards.count("by track") == 2
    for fact in ("57 features of 2 s", "high, low", "Learned from 2 tracks", "Not for"):
        assert fact in cards
    assert "not measured" in gh.model_cards(models)


def test_what_is_usual_for_unmet_music_is_measured_on_the_validation_tracks(
    trained: tuple[pd.DataFrame, pd.Series, Models],
) -> None:
    models = trained[2]
    assert models.known.shape == (2, 57)
    assert models.distances.shape == (2,)
    assert (models.distances > 0).all()


def test_saved_models_are_never_overwritten(
    trained: tuple[pd.DataFrame, pd.Series, Models], tmp_path: Path
) -> None:
    with pytest.raises(FileExistsError, match="exists already"):
        gh.save_models(trained[2], tmp_path)


def test_a_folder_without_models_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no models"):
        gh.load_models(tmp_path)


def test_a_split_without_validation_tracks_is_refused(
    trained: tuple[pd.DataFrame, pd.Series, Models],
) -> None:
    tracks, parts, _ = trained
    with pytest.raises(ValueError, match="no track is in the part 'validation'"):
        gh.train_models(tracks, parts.replace("validation", "train"))
