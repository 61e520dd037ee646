"""The commands: a song's verdict, and a doctor that says what is missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import librosa
import pandas as pd
import pytest
from cases_surroundings import networks, song
from click.testing import CliRunner

import gtzan_helpers as gh
from gtzan_helpers import classroom, cli
from gtzan_helpers.models import CNN


def run(*arguments):
    return CliRunner().invoke(cli.main, [*map(str, arguments)])


def test_the_command_prints_draws_and_writes_the_same_verdict(tmp_path):
    png, numbers = tmp_path / "out" / "song.png", tmp_path / "song.json"
    options = ["--models", networks(), "--png", png, "--json", numbers]
    result = run("classify", song(tmp_path), *options)
    assert result.exit_code == 0, result.output
    assert png.read_bytes().startswith(b"\x89PNG")
    written = json.loads(numbers.read_text(encoding="utf-8"))
    overall = written["overall"][CNN]
    best = max(overall, key=overall.get)
    assert f"{CNN}: {best} {overall[best]:.0%}" in result.output
    assert [window["start"] for window in written["windows"][CNN]] == [0, 1]
    assert written["song"] == "song.wav"


def test_a_name_that_the_screen_cannot_show_is_written_with_its_codes(tmp_path):
    path = tmp_path / "夜.wav"
    path.write_bytes(b"no sound")
    done = subprocess.run(
        [sys.executable, "-m", "gtzan_helpers", "classify", path],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "not a readable WAV file" in done.stderr and "Traceback" not in done.stderr


def test_the_course_of_a_song_names_each_change_of_genre():
    starts, blues = [0.0, 1.0, 59.5, 61.0, 62.0], [0.9, 0.8, 0.4, 0.3, 0.9]
    table = pd.DataFrame({"blues": blues, "jazz": [1 - p for p in blues]}, starts)
    assert cli.course_of(table) == "0:00 blues, 0:59 jazz, 1:02 blues"


def test_the_doctor_and_a_lesson_find_this_machine_complete(monkeypatch, capsys):
    monkeypatch.setattr(classroom, "LESSON_MEMORY", 0)  # others may use the memory just now
    result = run("doctor")
    assert result.exit_code == 0, result.output
    assert "!!" not in result.output and "Keras" in result.output
    gh.start_lesson()
    assert capsys.readouterr().out == ""


def test_the_doctor_and_a_lesson_name_what_is_missing_or_too_old_and_the_cure(monkeypatch, capsys):
    needs = ["no-such-package>=1.2", "numpy>=99", 'never>=1; extra == "test"']
    monkeypatch.setattr(classroom.metadata, "requires", lambda package: needs)
    result = run("doctor")
    gh.start_lesson()
    assert result.exit_code == 1 and "!!  no-such-package is missing" in result.output
    for said in (result.output, capsys.readouterr().out):
        assert 'pip install --upgrade "no-such-package>=1.2"' in said
        assert 'pip install --upgrade "numpy>=99"' in said
        assert "never" not in said


def test_the_doctor_says_when_memory_or_disk_or_a_decoder_do_not_suffice(monkeypatch):
    monkeypatch.setattr(classroom, "LESSON_MEMORY", 1e6)
    monkeypatch.setattr(classroom, "LESSON_DISK", 1e9)
    monkeypatch.setattr("soundfile.available_formats", lambda: {"WAV": "", "AU": "", "FLAC": ""})
    memory, disk, audio = classroom.look(classroom.check_room, classroom.check_audio)
    assert "close other programs" in memory.cure and "GTZAN_CACHE" in disk.cure
    assert "MP3 and OGG" in audio.cure and "soundfile" in audio.cure


def test_the_doctor_says_how_to_mend_a_librosa_that_ends_the_process(monkeypatch):
    monkeypatch.setattr(classroom, "_MEASURE", "import os; os.kill(os.getpid(), 9)")
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    (found,) = classroom.look(classroom.check_librosa)
    assert "librosa cannot start" in found.found and "-9" in found.found
    folder = str(Path(librosa.__file__).parent)
    assert "*.nbi" in found.cure and folder in found.cure
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/elsewhere")
    (found,) = classroom.look(classroom.check_librosa)
    assert "/elsewhere" in found.cure and folder not in found.cure


@pytest.mark.parametrize("package", ["click", "lazy_loader"])
def test_a_missing_part_of_the_commands_is_named_in_one_line(package):
    program = f"import sys, runpy\nsys.modules[{package!r}] = None\nsys.argv = ['-m']\n"
    command = [sys.executable, "-c", f"{program}runpy.run_module('gtzan_helpers')"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == f"{package} is missing: pip install {package}\n"
