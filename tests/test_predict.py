"""What two networks say of a song, whatever file it is in."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from traitlets import Bunch

import gtzan_helpers as gh
from gtzan_helpers import predict
from gtzan_helpers.models import CNN, DENSE, PRETRAINED, Models, scaled_features

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
    return Models(dense, cnn, ["calm", "loud"], 10.0, card, np.arcsinh(known), np.arange(1.0, 11.0))


def write(path: Path, seconds: float, rate: int = RATE, channels: int = 1) -> Path:
    """Write noise into a file."""
    shape = (round(seconds * rate), channels)
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, shape), rate)
    return path


@pytest.mark.parametrize(
    ("name", "rate", "channels", "seconds", "windows"),
    [
        ("song.wav", RATE, 1, 25, [0, 5, 10, 15]),
        ("studio.flac", 96000, 2, 10, [0]),
        ("cinema.wav", 48000, 6, 3.5, [0]),
        ("call.ogg", 8000, 1, 2, [0]),
    ],
)
def test_each_network_answers_from_beginning_to_end(
    models, tmp_path, name, rate, channels, seconds, windows
):
    prediction = gh.classify_song(write(tmp_path / name, seconds, rate, channels), models)
    tables = prediction.probabilities
    assert np.isfinite(tables[DENSE]).all(axis=None)
    assert tables[CNN].index.tolist() == list(range(int(seconds) - 1))
    assert tables[DENSE].index.tolist() == windows
    assert all(table.columns.tolist() == ["calm", "loud"] for table in tables.values())
    assert prediction.seconds == seconds
    assert prediction.widths == {DENSE: pytest.approx(min(10, seconds), abs=0.2), CNN: 2}
    np.testing.assert_allclose(prediction.overall.sum(axis="columns"), 1, atol=1e-5)


@pytest.mark.parametrize("loud_at", [60, 119])
def test_no_gap_is_left_between_the_pieces_that_a_long_song_is_read_in(models, tmp_path, loud_at):
    samples = np.zeros(130 * RATE)
    samples[loud_at * RATE : (loud_at + 2) * RATE] = np.tile([0.9, -0.9], RATE)
    soundfile.write(tmp_path / "song.wav", samples, RATE)
    loud = gh.classify_song(tmp_path / "song.wav", models).probabilities[CNN]["loud"]
    assert loud.index.tolist() == list(range(129))
    assert loud.idxmax() == loud_at and loud[loud_at] == pytest.approx(0.9, abs=0.01)
    assert (loud.drop([loud_at - 1, loud_at, loud_at + 1]) < 0.01).all()


def test_a_song_thrice_as_long_takes_no_more_memory_and_no_more_windows(
    models, tmp_path, monkeypatch
):
    monkeypatch.setattr(predict, "MOST_WINDOWS", 4)
    peaks = []
    for minutes in (1, 4, 12):  # the first one compiles
        song = write(tmp_path / f"{minutes}.wav", 60 * minutes)
        tracemalloc.start()
        prediction = gh.classify_song(song, models)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(prediction.probabilities[DENSE]) == 4
    assert peaks[2] - peaks[1] < 10e6  # held whole, they would take 64 and 21 MB


@pytest.mark.parametrize(
    ("samples", "reason"),
    [(np.zeros(5 * RATE), "silent"), (np.full(5 * RATE, 0.5), "silent"), (np.ones(RATE), "1.0 s")],
)
def test_a_file_that_is_no_song_is_refused_by_name(models, tmp_path, samples, reason):
    soundfile.write(tmp_path / "jingle.wav", samples, RATE)
    with pytest.raises(gh.AudioError, match=rf"jingle\.wav: .*{reason}"):
        gh.classify_song(tmp_path / "jingle.wav", models)


def test_music_like_the_training_tracks_is_usual_and_other_sound_is_not(models, tmp_path):
    song = write(tmp_path / "song.wav", 10)
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


def test_the_vote_is_tempered_and_the_answers_of_windows_are_not():
    tables = {name: pd.DataFrame([[0.9, 0.1]], [0.0], ["calm", "loud"]) for name in (DENSE, CNN)}
    song = predict.Prediction(Path("song.wav"), 2.0, tables, 1.0, 0.4, {}, {DENSE: 2.0, CNN: 1.0})
    assert song.overall.loc[DENSE, "calm"] == pytest.approx(0.75)  # 3 to 1, where it was 9 to 1
    assert song.overall.loc[CNN, "calm"] == pytest.approx(0.9)
    assert song.probabilities[DENSE].loc[0, "calm"] == 0.9


def test_the_networks_of_the_course_answer_unless_others_are_given(tmp_path):
    song = gh.classify_song(write(tmp_path / "song.wav", 3))
    assert song.overall.columns.sort_values().tolist() == gh.load_models().genres
    assert gh.load_models().described() in repr(song)
    assert gh.load_models().described() in song._repr_html_()


@pytest.mark.parametrize(("seconds", "n_patches"), [(2.2, 1), (65, 21)])
def test_a_third_opinion_speaks_of_each_three_seconds(models, tmp_path, seconds, n_patches):
    head = np.zeros((201, 2), np.float32)
    head[0] = 0, np.log(3)  # constants alone: three to one, whatever is heard
    song = write(tmp_path / "song.wav", seconds)
    heard = gh.classify_song(song, models._replace(head=head), third=True)
    table = heard.probabilities[PRETRAINED]
    assert len(table) == n_patches and table.index[-1] == pytest.approx(2.992 * (n_patches - 1))
    np.testing.assert_allclose(table, [[0.25, 0.75]] * n_patches, atol=1e-6)
    assert PRETRAINED not in gh.classify_song(song, models, third=True).probabilities  # no head


def test_a_notebook_shows_figure_player_and_verdicts_with_the_name_made_harmless(models, tmp_path):
    page = gh.classify_song(write(tmp_path / "R&B.wav", 12), models)._repr_html_()
    assert page.index("<img alt=") < page.index("<audio controls") < page.index(f"<p>{DENSE}")
    assert "R&amp;B.wav" in page and "R&B" not in page
    assert str(tmp_path) not in page


@pytest.mark.parametrize("ipywidgets", [7, 8])
def test_the_chosen_file_is_classified_and_a_bad_one_named(ipywidgets, models, tmp_path, capsys):
    button = pytest.importorskip("ipywidgets") and gh.choose_song(models).children[0]
    song = write(tmp_path / "song.wav", 3)
    for name, content in ((song.name, song.read_bytes()), ("words.mp3", b"la la la")):
        about = {"name": name, "type": "audio", "size": 3}
        of_7 = {name: {"metadata": about, "content": content}}  # which Colab has
        chosen = of_7 if ipywidgets == 7 else (about | {"content": memoryview(content)},)
        button.notify_change(Bunch(name="value", old=(), new=chosen, owner=button, type="change"))
    shown = capsys.readouterr().out
    assert f"song.wav\n{DENSE}: " in shown
    assert "words.mp3: " in shown and "/words.mp3" not in shown
