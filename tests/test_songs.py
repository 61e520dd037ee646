"""Two trained networks kept together, and what they say of a song."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

import gtzan_helpers as gh
from gtzan_helpers.songs import CNN, DENSE, Models

GENRES = ["calm", "loud"]
RATE = 22050


@pytest.fixture(scope="module")
def models() -> Models:
    """Networks of the right shapes that were never trained; the CNN says how loud a slice is."""
    import keras

    keras.utils.set_random_seed(0)
    dense = keras.Sequential([keras.Input((57,)), keras.layers.Dense(2, activation="softmax")])
    loudness = keras.layers.Lambda(lambda x: keras.ops.std(x, axis=1, keepdims=True))
    inputs = keras.Input((2 * RATE,))
    share = loudness(inputs)
    cnn = keras.Model(inputs, keras.layers.Concatenate()([1 - share, share]))
    card = pd.DataFrame({"parameters": [116, 0]}, index=[DENSE, CNN])
    return Models(dense, cnn, GENRES, 10.0, card)


def write_song(path: Path, seconds: float, rate: int = RATE, channels: int = 1) -> Path:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (round(seconds * rate), channels))
    soundfile.write(path, noise, rate)
    return path


def test_each_network_answers_from_beginning_to_end(models: Models, tmp_path: Path) -> None:
    answers = gh.classify_song(write_song(tmp_path / "song.wav", 25), models)
    assert answers[CNN].index.tolist() == [float(second) for second in range(24)]
    assert answers[DENSE].index.tolist() == [0.0, 5.0, 10.0, 15.0]
    assert all(table.columns.tolist() == GENRES for table in answers.values())


def test_a_long_song_is_heard_without_gaps_between_the_pieces_it_is_read_in(
    models: Models, tmp_path: Path
) -> None:
    loud_at = 61
    samples = np.zeros(130 * RATE)
    samples[loud_at * RATE : (loud_at + 2) * RATE] = np.tile([0.9, -0.9], RATE)
    soundfile.write(tmp_path / "song.wav", samples, RATE)
    heard = gh.classify_song(tmp_path / "song.wav", models)[CNN]["loud"]
    assert heard.index.tolist() == [float(second) for second in range(129)]
    assert heard.idxmax() == loud_at
    assert heard[loud_at] == pytest.approx(0.9, abs=0.01)
    assert (heard.drop([loud_at - 1, loud_at, loud_at + 1]) < 0.01).all()


@pytest.mark.parametrize(("rate", "channels"), [(44100, 2), (8000, 1), (96000, 6)])
def test_any_rate_and_number_of_channels_will_do(
    models: Models, tmp_path: Path, rate: int, channels: int
) -> None:
    song = write_song(tmp_path / "song.wav", 5, rate, channels)
    answers = gh.classify_song(song, models)
    assert len(answers[CNN]) == 4
    assert len(answers[DENSE]) == 1
    assert np.isfinite(answers[DENSE]).all(axis=None)


def test_a_song_shorter_than_a_slice_is_refused_by_name(models: Models, tmp_path: Path) -> None:
    song = write_song(tmp_path / "jingle.wav", 0.5)
    with pytest.raises(gh.AudioError, match=r"jingle\.wav: lasts 0\.5 s; take at least 2 s"):
        gh.classify_song(song, models)


def test_two_seconds_are_enough(models: Models, tmp_path: Path) -> None:
    answers = gh.classify_song(write_song(tmp_path / "song.wav", 2), models)
    assert [len(table) for table in answers.values()] == [1, 1]


def test_a_text_file_named_mp3_is_refused_by_name(models: Models, tmp_path: Path) -> None:
    song = tmp_path / "song.mp3"
    song.write_text("la la la")
    with pytest.raises(gh.AudioError, match=r"song\.mp3"):
        gh.classify_song(song, models)


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
        np.testing.assert_allclose(first[name], second[name], atol=1e-6)


def test_models_for_other_features_are_refused(
    trained: tuple[pd.DataFrame, pd.Series, Models], tmp_path: Path
) -> None:
    folder = tmp_path / "models"
    gh.save_models(trained[2], folder)
    about = folder / "about.json"
    about.write_text(about.read_text().replace("chroma_stft_mean", "chroma_cqt_mean"))
    with pytest.raises(ValueError, match="made for other features"):
        gh.load_models(folder)


def test_saved_models_are_never_overwritten(
    trained: tuple[pd.DataFrame, pd.Series, Models], tmp_path: Path
) -> None:
    with pytest.raises(FileExistsError, match="exists already"):
        gh.save_models(trained[2], tmp_path)


def test_slices_that_do_not_move_on_are_refused(models: Models, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must move on"):
        gh.classify_song(write_song(tmp_path / "song.wav", 3), models, hop_seconds=0)


def test_a_folder_without_models_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no models"):
        gh.load_models(tmp_path)


def test_a_split_without_validation_tracks_is_refused(
    trained: tuple[pd.DataFrame, pd.Series, Models],
) -> None:
    tracks, parts, _ = trained
    with pytest.raises(ValueError, match="no track is in the part 'validation'"):
        gh.train_models(tracks, parts.replace("validation", "train"))
