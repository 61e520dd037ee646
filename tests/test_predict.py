"""What two networks say of a song, whatever file it is in."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from click.testing import CliRunner

import gtzan_helpers as gh
from gtzan_helpers import cli, predict
from gtzan_helpers.models import CNN, DENSE, Models

GENRES = ["calm", "loud"]
RATE = 22050


@pytest.fixture(scope="module")
def models() -> Models:
    """Networks of the right shapes that were never trained; the CNN says how loud a slice is."""
    import keras

    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    dense = gh.dense_network(57, 2)
    known = rng.normal(size=(20, 57)).astype(np.float32)
    dense.get_layer("scaler").adapt(known)
    loudness = keras.layers.Lambda(lambda x: keras.ops.std(x, axis=1, keepdims=True))
    inputs = keras.Input((2 * RATE,))
    share = loudness(inputs)
    cnn = keras.Model(inputs, keras.layers.Concatenate()([1 - share, share]))
    card = pd.DataFrame({"parameters": [116, 0]}, index=[DENSE, CNN])
    return Models(dense, cnn, GENRES, 10.0, card, np.arcsinh(known), np.arange(1.0, 11.0))


@pytest.fixture(scope="module")
def saved(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of networks that can be saved, because their layers are Keras' own."""
    folder = tmp_path_factory.mktemp("saved") / "models"
    card = pd.DataFrame({"parameters": 1, "epochs": 1, "seconds": 1.0}, index=[DENSE, CNN])
    gh.save_models(models._replace(cnn=gh.abdoli_cnn(n_genres=2), card=card), folder)
    return folder


def noise(seconds: float, rate: int = RATE, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, (round(seconds * rate), channels))


def write_song(path: Path, seconds: float, rate: int = RATE, channels: int = 1) -> Path:
    soundfile.write(path, noise(seconds, rate, channels), rate)
    return path


def test_each_network_answers_from_beginning_to_end(models: Models, tmp_path: Path) -> None:
    heard = gh.classify_song(write_song(tmp_path / "song.wav", 25), models)
    answers = heard.probabilities
    assert answers[CNN].index.tolist() == [float(second) for second in range(24)]
    assert answers[DENSE].index.tolist() == [0.0, 5.0, 10.0, 15.0]
    assert all(table.columns.tolist() == GENRES for table in answers.values())
    assert heard.seconds == 25
    np.testing.assert_allclose(heard.overall.sum(axis="columns"), 1, atol=1e-5)


def test_a_long_song_is_heard_without_gaps_between_the_pieces_it_is_read_in(
    models: Models, tmp_path: Path
) -> None:
    loud_at = 61
    samples = np.zeros(130 * RATE)
    samples[loud_at * RATE : (loud_at + 2) * RATE] = np.tile([0.9, -0.9], RATE)
    soundfile.write(tmp_path / "song.wav", samples, RATE)
    heard = gh.classify_song(tmp_path / "song.wav", models).probabilities[CNN]["loud"]
    assert heard.index.tolist() == [float(second) for second in range(129)]
    assert heard.idxmax() == loud_at
    assert heard[loud_at] == pytest.approx(0.9, abs=0.01)
    assert (heard.drop([loud_at - 1, loud_at, loud_at + 1]) < 0.01).all()


def test_slices_start_where_they_say_though_the_hop_is_no_whole_number_of_samples(
    models: Models, tmp_path: Path
) -> None:
    hop = 0.50003
    samples = np.zeros(130 * RATE)
    samples[round(100.01 * RATE) : round(102.01 * RATE)] = np.tile([0.9, -0.9], RATE)
    soundfile.write(tmp_path / "song.wav", samples, RATE)
    heard = gh.classify_song(tmp_path / "song.wav", models, hop).probabilities[CNN]["loud"]
    steps = np.diff(heard.index)
    np.testing.assert_allclose(steps, steps[0], atol=1e-9)
    assert steps[0] * RATE == pytest.approx(round(hop * RATE))
    assert heard.idxmax() == pytest.approx(100.01, abs=hop / 2)


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
def test_any_kind_of_file_will_do(
    models: Models, tmp_path: Path, name: str, rate: int, channels: int, subtype: str
) -> None:
    song = tmp_path / name
    form = "OGG" if song.suffix == ".opus" else None
    soundfile.write(song, noise(5, rate, channels), rate, subtype, format=form)
    answers = gh.classify_song(song, models).probabilities
    assert len(answers[CNN]) == 4
    assert len(answers[DENSE]) == 1
    assert np.isfinite(answers[DENSE]).all(axis=None)


def test_two_seconds_are_enough(models: Models, tmp_path: Path) -> None:
    heard = gh.classify_song(write_song(tmp_path / "song.wav", 2), models)
    assert [len(table) for table in heard.probabilities.values()] == [1, 1]


def test_slices_that_do_not_move_on_are_refused(models: Models, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must move on"):
        gh.classify_song(write_song(tmp_path / "song.wav", 3), models, hop_seconds=0)


def silence(path: Path) -> None:
    soundfile.write(path, np.zeros(5 * RATE), RATE)


def half_a_second(path: Path) -> None:
    write_song(path, 0.5)


def words(path: Path) -> None:
    path.write_text("la la la " * 1000)


def half_a_file(path: Path) -> None:
    soundfile.write(path, noise(20, 44100, 2), 44100)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


BROKEN = [
    ("silence.wav", silence, "is silent from beginning to end"),
    ("jingle.wav", half_a_second, "lasts 0.5 s; take at least 2 s"),
    ("lyrics.mp3", words, "not a readable audio file"),
    ("download.mp3", half_a_file, "cut short"),
]


@pytest.mark.parametrize(("name", "write", "reason"), BROKEN, ids=[row[0] for row in BROKEN])
def test_a_file_that_is_no_song_is_refused_in_one_line(
    models: Models,
    tmp_path: Path,
    capfd: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    write: Callable[[Path], None],
    reason: str,
) -> None:
    monkeypatch.setattr(predict, "tqdm", lambda pieces, *_, **__: pieces)
    write(tmp_path / name)
    with pytest.raises(gh.AudioError) as caught:
        gh.classify_song(tmp_path / name, models)
    assert f"{name}: " in str(caught.value)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""  # nor do decoders add a word of their own


def test_a_song_twice_as_long_takes_no_more_memory(saved: Path, tmp_path: Path) -> None:
    song = tmp_path / "concert.flac"
    minute = np.tile(noise(1)[:, 0], 60).astype(np.float32)
    with soundfile.SoundFile(song, "w", RATE, 1) as file:
        for _ in range(150):
            file.write(minute)
    code = f"""
import threading, time
import numpy, psutil, soundfile
import gtzan_helpers as gh

models, peaks = gh.load_models({str(saved)!r}), [0, 0]
samples, _ = soundfile.read({str(song)!r}, frames=75 * 60 * {RATE}, dtype="float32")
soundfile.write("short.flac", samples, {RATE})
del samples

def watch():
    while True:
        peaks[-1] = max(peaks[-1], psutil.Process().memory_info().rss)
        time.sleep(0.02)

threading.Thread(target=watch, daemon=True).start()
gh.classify_song("short.flac", models, hop_seconds=5)
peaks.append(0)
heard = gh.classify_song({str(song)!r}, models, hop_seconds=5)
print(*peaks[1:], *(len(table) for table in heard.probabilities.values()))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    short, long, n_windows, n_slices = map(int, run.stdout.split())
    assert long - short < 200e6  # held whole, they would take 0.8 and 0.4 GB
    assert n_windows == predict.MOST_WINDOWS
    assert n_slices == 1800


def test_music_like_the_training_tracks_is_usual_and_other_sound_is_not(
    models: Models, tmp_path: Path
) -> None:
    song = write_song(tmp_path / "song.wav", 10)
    features = gh.track_features(gh.read_audio(song))
    row = np.array([[features[name] for name in gh.FEATURE_NAMES]], dtype=np.float32)
    known = predict.scaled_features(models.dense, row)
    near = gh.classify_song(song, models._replace(known=known))
    far = gh.classify_song(song, models._replace(known=known + 10))
    assert near.strangeness == 0
    assert "which is usual" in near.verdicts()[-1]
    assert far.strangeness == 1
    assert "unlike all that the networks know" in far.verdicts()[-1]


def test_an_unsure_answer_is_called_unsure() -> None:
    starts = pd.Index([0.0], name="start")
    unsure = pd.DataFrame([[0.4, 0.3, 0.3]], starts, ["calm", "loud", "odd"])
    sure = pd.DataFrame([[0.9, 0.1, 0.0]], starts, ["calm", "loud", "odd"])
    lines = predict.Prediction(
        Path("song.wav"), 2.0, {DENSE: unsure, CNN: sure}, 1.0, 0.4
    ).verdicts()
    assert lines[0] == (
        "dense network: calm 40%, loud 30%, odd 30% (no genre reaches one half: it is unsure)"
    )
    assert lines[1] == "1-D CNN: calm 90%, loud 10%, odd 0%"


def test_a_notebook_shows_figure_player_and_verdicts_with_the_name_made_harmless(
    models: Models, tmp_path: Path
) -> None:
    page = gh.classify_song(write_song(tmp_path / "R&B.wav", 12), models)._repr_html_()
    assert page.index("<img alt=") < page.index("<audio controls") < page.index("<p>dense network")
    assert "R&amp;B.wav" in page
    assert "R&B" not in page
    assert str(tmp_path) not in page


def test_the_chosen_file_is_heard_and_a_bad_one_named(models: Models, tmp_path: Path, capsys):
    pytest.importorskip("ipywidgets")
    button = gh.choose_song(models).children[0]
    song = write_song(tmp_path / "song.wav", 3)
    for name, content in ((song.name, song.read_bytes()), ("words.mp3", b"la la la")):
        file = {
            "name": name,
            "type": "audio",
            "size": len(content),
            "last_modified": datetime.now(UTC),
        }
        button.value = (file | {"content": memoryview(content)},)
    shown = capsys.readouterr().out
    assert "song.wav\ndense network: " in shown
    assert "words.mp3: not a readable audio file" in shown
    assert "Traceback" not in shown


def test_the_command_prints_draws_and_writes_the_same_verdict(saved: Path, tmp_path: Path) -> None:
    song = write_song(tmp_path / "song.wav", 5)
    png, numbers = tmp_path / "out" / "song.png", tmp_path / "song.json"
    options = ["--models", str(saved), "--png", str(png), "--json", str(numbers)]
    result = CliRunner().invoke(cli.main, ["classify", str(song), *options])
    assert result.exit_code == 0, result.output
    assert png.read_bytes().startswith(b"\x89PNG")
    written = json.loads(numbers.read_text(encoding="utf-8"))
    overall = written["networks"][CNN]["overall"]
    best = max(overall, key=overall.get)
    assert f"{CNN}: {best} {overall[best]:.0%}" in result.output
    assert len(written["networks"][CNN]["windows"]) == 4
    assert written["song"] == "song.wav"


def test_the_command_refuses_wrong_input_in_one_line_and_writes_nothing(
    saved: Path, tmp_path: Path
) -> None:
    numbers = tmp_path / "song.json"
    silence(tmp_path / "song.wav")
    call = ["classify", str(tmp_path / "song.wav"), "--json", str(numbers), "--models"]
    silent = CliRunner().invoke(cli.main, [*call, str(saved)])
    assert silent.exit_code == 1
    assert silent.output.splitlines()[-1].startswith("Error: ")
    assert "is silent" in silent.output
    assert not numbers.exists()
    no_models = CliRunner().invoke(cli.main, [*call, str(tmp_path)])
    assert no_models.exit_code == 1
    assert "holds no models" in no_models.output
    both = CliRunner().invoke(cli.main, [*call, str(saved), "--data", "demo"])
    assert both.exit_code == 2
    missing = CliRunner().invoke(cli.main, ["classify", str(tmp_path / "none.wav")])
    assert missing.exit_code == 2
