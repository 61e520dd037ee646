"""The commands: a doctor that says what is missing, a song's verdict."""

from __future__ import annotations

import os
import subprocess
import sys

import click
import pandas as pd
import pytest
import soundfile
from click.testing import CliRunner

import gtzan_helpers as gh
from gtzan_helpers import classroom, cli


def test_the_doctor_finds_this_machine_complete(monkeypatch):
    monkeypatch.setattr(classroom, "LESSON_MEMORY", 0)  # others may use the memory just now
    result = CliRunner().invoke(cli.main, ["doctor"])
    assert result.exit_code == 0, result.output
    assert "!!" not in result.output
    assert result.output.endswith("Everything is here.\n")
    assert "Keras" in result.output


def test_the_doctor_names_what_is_missing_or_too_old_and_the_cure(monkeypatch):
    needs = ["no-such-package>=1.2", "numpy>=99", 'never>=1; extra == "test"']
    monkeypatch.setattr(classroom.metadata, "requires", lambda package: needs)
    result = CliRunner().invoke(cli.main, ["doctor"])
    assert result.exit_code == 1
    assert "!!  no-such-package is missing\n" in result.output
    assert 'pip install "no-such-package>=1.2"' in result.output
    assert 'pip install --upgrade "numpy>=99"' in result.output
    assert "never" not in result.output


def test_the_doctor_says_when_memory_or_disk_do_not_suffice(monkeypatch):
    monkeypatch.setattr(classroom, "LESSON_MEMORY", 1e6)
    monkeypatch.setattr(classroom, "LESSON_DISK", 1e9)
    memory, disk = classroom.check_room()
    assert "close other programs" in memory.cure and "GTZAN_CACHE" in disk.cure


def test_the_doctor_says_what_decodes_the_sounds(monkeypatch):
    monkeypatch.setattr(classroom.platform, "system", lambda: "Linux")
    monkeypatch.setattr(classroom.shutil, "which", lambda name: None)
    own, others = classroom.check_audio()
    assert "FLAC" in own.found and "MP3" in own.found
    assert "install ffmpeg" in others.found and not others.cure
    monkeypatch.setattr("soundfile.available_formats", lambda: {"WAV": "", "AU": "", "FLAC": ""})
    assert "OGG and MP3 cannot be read" in classroom.check_audio()[0].cure


def test_the_doctor_mentions_a_gpu_that_is_not_used(monkeypatch):
    monkeypatch.setattr(classroom, "_tried", lambda program: ("jax on cpu:0", ""))
    monkeypatch.setattr(classroom.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    keras, gpu = classroom.check_keras()
    assert "computes with" in keras.found and "does not use" in gpu.found and not gpu.cure


def test_a_lesson_begins_with_what_is_wrong_and_else_without_a_word(monkeypatch, capsys):
    monkeypatch.setattr(classroom, "LESSON_MEMORY", 0)
    gh.start_lesson()
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(classroom.metadata, "requires", lambda package: ["numpy>=99"])
    gh.start_lesson()
    told = capsys.readouterr().out
    assert "does not fit >=99" in told and 'pip install --upgrade "numpy>=99"' in told


def test_a_missing_part_of_the_commands_is_named_in_one_line():
    program = "import sys, runpy\nsys.modules['click'] = None\nrunpy.run_module('gtzan_helpers')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "click is missing: pip install click\n"


def test_a_folder_without_a_usable_track_is_named(tmp_path):
    songs = [tmp_path / genre / "short.wav" for genre in ("jazz", "rock")]
    for song in songs:
        song.parent.mkdir()
        soundfile.write(song, [0.1, -0.1] * 400, 22050)
    soundfile.write(tmp_path / "song.wav", [0.1, -0.1] * 50000, 22050)
    tracks = tmp_path / "tracks"
    tracks.mkdir()
    for song in songs:
        song.parent.rename(tracks / song.parent.name)
    command = ["classify", str(tmp_path / "song.wav"), "--data", str(tracks)]
    result = CliRunner().invoke(cli.main, command)
    assert result.exit_code == 1
    assert f"Error: no usable track is left in {tracks}" in result.output


def test_an_error_without_a_file_is_told_by_its_own_words():
    with pytest.raises(click.ClickException) as error, cli.one_line_errors():
        raise OSError("libraries were moved")
    assert error.value.message == "libraries were moved"


def test_a_name_that_the_screen_cannot_show_is_written_with_its_codes(tmp_path):
    song = tmp_path / "夜.wav"
    song.write_bytes(b"no sound")
    done = subprocess.run(
        [sys.executable, "-m", "gtzan_helpers", "classify", song],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "not a readable WAV file" in done.stderr and "Traceback" not in done.stderr


def test_a_file_that_is_no_song_is_refused_before_any_training(tmp_path):
    path = tmp_path / "song.wav"
    path.write_text("words, not sound", encoding="utf-8")
    result = CliRunner().invoke(cli.main, ["classify", str(path)])
    assert result.exit_code == 1
    assert "song.wav" in result.output
    assert "Trained" not in result.output


def test_the_course_of_a_song_names_each_change_of_genre():
    blues = [0.9, 0.8, 0.4, 0.3, 0.9]
    starts = pd.Index([0.0, 1.0, 59.5, 61.0, 62.0], name="start")
    probabilities = pd.DataFrame({"blues": blues, "jazz": [1 - p for p in blues]}, starts)
    assert cli.course_of(probabilities) == "0:00 blues, 0:59 jazz, 1:02 blues"
