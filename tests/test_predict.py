"""What two networks say of a song, whatever file it is in."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

import gtzan_helpers as gh
from gtzan_helpers import predict
from gtzan_helpers.models import CNN, DENSE, Models, scaled_features

GENRES = ["calm", "loud"]
RATE = 22050


@pytest.fixture(scope="module")
def models() -> Models:
    """Networks of the right shapes that were never trained; the CNN says how loud a slice is."""
    import keras

    keras.utils.set_random_seed(0)
    dense = gh.dense_network(57, 2)
    known = np.random.default_rng(0).normal(size=(20, 57)).astype(np.float32)
    dense.get_layer("scaler").adapt(known)
    inputs = keras.Input((2 * RATE,))
    loud = keras.layers.Lambda(lambda x: keras.ops.std(x, axis=1, keepdims=True))(inputs)
    cnn = keras.Model(inputs, keras.layers.Concatenate()([1 - loud, loud]))
    card = pd.DataFrame({"parameters": [116, 0]}, index=[DENSE, CNN])
    return Models(dense, cnn, GENRES, 10.0, card, np.arcsinh(known), np.arange(1.0, 11.0))


def noise(seconds: float, rate: int = RATE, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, (round(seconds * rate), channels))


def write_song(path: Path, seconds: float) -> Path:
    soundfile.write(path, noise(seconds), RATE)
    return path


def write_quiet_song(path: Path, loud_at: float) -> Path:
    """Write a song of 130 s that is silent but for two seconds."""
    samples, start = np.zeros(130 * RATE), round(loud_at * RATE)
    samples[start : start + 2 * RATE] = np.tile([0.9, -0.9], RATE)
    soundfile.write(path, samples, RATE)
    return path


def test_each_network_answers_from_beginning_to_end(models, tmp_path):
    prediction = gh.classify_song(write_song(tmp_path / "song.wav", 25), models)
    tables = prediction.probabilities
    assert tables[CNN].index.tolist() == [float(second) for second in range(24)]
    assert tables[DENSE].index.tolist() == [0.0, 5.0, 10.0, 15.0]
    assert all(table.columns.tolist() == GENRES for table in tables.values())
    assert prediction.seconds == 25
    np.testing.assert_allclose(prediction.overall.sum(axis="columns"), 1, atol=1e-5)


def test_no_gap_is_left_between_the_pieces_that_a_long_song_is_read_in(models, tmp_path):
    song = write_quiet_song(tmp_path / "song.wav", loud_at=61)
    loud = gh.classify_song(song, models).probabilities[CNN]["loud"]
    assert loud.index.tolist() == [float(second) for second in range(129)]
    assert loud.idxmax() == 61 and loud[61] == pytest.approx(0.9, abs=0.01)
    assert (loud.drop([60, 61, 62]) < 0.01).all()


def test_slices_start_where_they_say_though_the_hop_is_no_whole_number_of_samples(models, tmp_path):
    song, hop = write_quiet_song(tmp_path / "song.wav", loud_at=100.01), 0.50003
    loud = gh.classify_song(song, models, hop).probabilities[CNN]["loud"]
    np.testing.assert_allclose(np.diff(loud.index), round(hop * RATE) / RATE, atol=1e-9)
    assert loud.idxmax() == pytest.approx(100.01, abs=hop / 2)


def test_a_song_thrice_as_long_takes_no_more_memory_and_few_more_windows(
    models, tmp_path, monkeypatch
):
    monkeypatch.setattr(predict, "MOST_WINDOWS", 4)
    peaks = []
    for minutes in (1, 4, 12):  # the first one compiles
        song = write_song(tmp_path / f"{minutes}.wav", 60 * minutes)
        tracemalloc.start()
        prediction = gh.classify_song(song, models, hop_seconds=5)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] - peaks[1] < 10e6  # held whole, they would take 64 and 21 MB
    assert [len(table) for table in prediction.probabilities.values()] == [4, 144]


@pytest.mark.parametrize(
    ("name", "rate", "channels", "subtype"),
    [
        ("cd.wav", 44100, 2, "PCM_16"),
        ("telephone.wav", 8000, 1, "ULAW"),
        ("answering machine.wav", 8000, 1, "GSM610"),
        ("studio.flac", 96000, 2, "PCM_24"),
        ("cinema.wav", 48000, 6, "PCM_16"),
        ("download.mp3", 44100, 2, "MPEG_LAYER_III"),
        ("vorbis.ogg", 48000, 2, "VORBIS"),
        ("opus.opus", 48000, 2, "OPUS"),
    ],
)
def test_any_kind_of_file_will_do(models, tmp_path, name, rate, channels, subtype):
    form = "OGG" if name.endswith(".opus") else None
    soundfile.write(tmp_path / name, noise(5, rate, channels), rate, subtype, format=form)
    tables = gh.classify_song(tmp_path / name, models).probabilities
    assert [len(table) for table in tables.values()] == [1, 4]
    assert np.isfinite(tables[DENSE]).all(axis=None)


def test_two_seconds_are_enough(models, tmp_path):
    prediction = gh.classify_song(write_song(tmp_path / "song.wav", 2), models)
    assert [len(table) for table in prediction.probabilities.values()] == [1, 1]


def test_slices_that_do_not_move_on_are_refused(models, tmp_path):
    with pytest.raises(ValueError, match="hop_seconds"):
        gh.classify_song(write_song(tmp_path / "song.wav", 3), models, hop_seconds=0)


def half_a_file(path: Path) -> None:
    soundfile.write(path, noise(20, 44100, 2), 44100)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    ("name", "write", "reason"),
    [
        ("silence.wav", lambda path: soundfile.write(path, np.zeros(5 * RATE), RATE), "silent"),
        ("offset.wav", lambda path: soundfile.write(path, np.full(5 * RATE, 0.5), RATE), "silent"),
        ("jingle.wav", lambda path: write_song(path, 0.5), "0.5 s"),
        ("lyrics.mp3", lambda path: path.write_text("la la la " * 1000), "not a readable"),
        ("download.mp3", half_a_file, "cut short"),
    ],
)
def test_a_file_that_is_no_song_is_refused_in_one_line(
    models, tmp_path, capfd, monkeypatch, name: str, write: Callable, reason: str
):
    monkeypatch.setattr(predict, "tqdm", lambda pieces, *_, **__: pieces)
    write(tmp_path / name)
    with pytest.raises(gh.AudioError) as caught:
        gh.classify_song(tmp_path / name, models)
    message = str(caught.value)
    assert f"{name}: " in message and reason in message and "\n" not in message
    assert capfd.readouterr().err == ""  # nor do decoders add a word of their own


def test_music_like_the_training_tracks_is_usual_and_other_sound_is_not(models, tmp_path):
    song = write_song(tmp_path / "song.wav", 10)
    features = gh.track_features(gh.read_audio(song))
    row = np.array([[features[name] for name in gh.FEATURE_NAMES]], dtype=np.float32)
    known = scaled_features(models.dense, row)
    near = gh.classify_song(song, models._replace(known=known))
    far = gh.classify_song(song, models._replace(known=known + 10))
    assert near.strangeness == 0 and "unlike" not in repr(near)
    assert far.strangeness == 1 and "unlike" in repr(far)


def test_an_unsure_answer_is_called_unsure():
    tables = {
        name: pd.DataFrame([shares], [0.0], ["calm", "loud", "odd"])
        for name, shares in [(DENSE, [0.4, 0.3, 0.3]), (CNN, [0.9, 0.1, 0.0])]
    }
    unsure, sure, _ = predict.Prediction(Path("song.wav"), 2.0, tables, 1.0, 0.4).verdicts()
    assert f"{DENSE}: calm 40%, loud 30%, odd 30%" in unsure and "unsure" in unsure
    assert sure == f"{CNN}: calm 90%, loud 10%, odd 0%"


def test_a_notebook_shows_figure_player_and_verdicts_with_the_name_made_harmless(models, tmp_path):
    page = gh.classify_song(write_song(tmp_path / "R&B.wav", 12), models)._repr_html_()
    assert page.index("<img alt=") < page.index("<audio controls") < page.index(f"<p>{DENSE}")
    assert "R&amp;B.wav" in page and "R&B" not in page
    assert str(tmp_path) not in page


def test_the_chosen_file_is_classified_and_a_bad_one_named(models, tmp_path, capsys):
    pytest.importorskip("ipywidgets")
    button = gh.choose_song(models).children[0]
    song = write_song(tmp_path / "song.wav", 3)
    about = {"type": "audio", "size": 3, "last_modified": pd.Timestamp.now("UTC")}
    for name, content in ((song.name, song.read_bytes()), ("words.mp3", b"la la la")):
        button.value = (about | {"name": name, "content": memoryview(content)},)
    shown = capsys.readouterr().out
    assert f"song.wav\n{DENSE}: " in shown
    assert "words.mp3: not a readable audio file" in shown
    assert "Traceback" not in shown
