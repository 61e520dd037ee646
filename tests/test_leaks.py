"""What parts of a division share: found by name, by sound and by artist, and said as it is."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import soundfile
from click.testing import CliRunner

import gtzan_helpers as gh
from gtzan_helpers import cli, leaks

RATE = 22050
INDEX = """## Made up.
blues.00000.wav ::: Ann ::: One
blues.00001.wav ::: ANN ::: Two
blues.00002.wav ::: Bob ::: Three
jazz.00033.wav ::: ::: Four
jazz.00051.wav ::: ::: Four
jazz.00001.wav ::: Cid ::: Five
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "index.txt").write_text(INDEX)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(cli.main, ["leaks", *map(str, arguments)])


def parts(**sources):
    return leaks.together(
        {name: leaks.read_part(source, "index.txt") for name, source in sources.items()}
    )


def test_lists_and_tables_share_artists_whatever_their_spelling_and_known_copies(folder):
    (folder / "train.txt").write_text("blues/blues.00000.wav\njazz.00033.au\nblues.00002\n")
    table = pd.DataFrame({"filename": ["blues.00001.wav", "jazz.00051.wav", "jazz.00001.wav"]})
    table.to_csv("test.csv", index=False)
    both = parts(train="train.txt", test="test.csv")
    found = leaks.find_leaks(both)
    assert found.to_dict("records") == [
        {"kind": "recording", "shared": "jazz.00033", "train": 1, "test": 1},
        {"kind": "artist", "shared": "Ann", "train": 1, "test": 1},
    ]
    assert leaks.touched(both).to_dict() == {
        "blues.00001": True,
        "jazz.00051": True,
        "jazz.00001": False,
    }


def test_the_command_ends_with_one_where_something_is_shared_and_with_zero_where_not(folder):
    (folder / "train.txt").write_text("blues.00000\nblues.00002\n")
    (folder / "test.txt").write_text("jazz.00001\nblues.00002\n")
    (folder / "other.txt").write_text("jazz.00001\n")
    result = run("train.txt", "test.txt", "--index", "index.txt")
    assert result.exit_code == 1 and "| Bob | artist | 1 | 1 |" in result.output
    assert "1 of 2 test tracks" in result.output
    result = run("train.txt", "test.txt", "other.txt", "--index", "index.txt", "--json")
    assert result.exit_code == 1
    told = json.loads(result.output)
    assert told["test tracks touched"] == 2 and told["flattered by"] is None
    assert [row["kind"] for row in told["shared"]] == ["track", "track", "artist", "artist"]
    result = run("train.txt", "other.txt", "--index", "index.txt")
    assert result.exit_code == 0 and "Nothing is shared" in result.output


def test_folders_share_what_sounds_the_same_under_other_names(folder):
    random = np.random.default_rng(0)
    song, other = random.normal(scale=0.1, size=(2, 6 * RATE))
    for place, samples in (("train/rock/a.wav", song), ("test/rock/b.wav", song)):
        (folder / place).parent.mkdir(parents=True)
        soundfile.write(folder / place, samples, RATE)
    soundfile.write(folder / "test" / "rock" / "c.wav", other, RATE)
    both = leaks.together({name: leaks.read_part(folder / name) for name in ("train", "test")})
    (found,) = leaks.find_leaks(both).to_dict("records")
    assert found["kind"] == "recording" and (found["train"], found["test"]) == (1, 1)
    assert leaks.touched(both).tolist() == [True, False]


def test_the_courses_own_divisions_share_nothing(folder):
    tracks, _ = gh.load_features("gtzan-five")
    part = gh.split(tracks, by="artist")
    for name in ("train", "test"):
        tracks[part == name][["track_id", "artist"]].to_csv(f"{name}.csv", index=False)
    assert not leaks.find_leaks(parts(train="train.csv", test="test.csv")).size


def test_what_a_leak_is_worth_is_estimated_from_measured_tracks():
    answers = gh.load_answers().query("system == 'SVM'")
    ids = answers["track_id"].unique()
    value, low, high = leaks.flattered(pd.Series(True, ids))
    right = answers.iloc[:, 7:].idxmax(axis=1) == answers["genre"]
    by = right.groupby(answers["split"]).mean()
    assert value == pytest.approx(by["track"] - by["artist"]) and low < value < high
    half = leaks.flattered(pd.Series([True, False] * len(ids), np.repeat(ids, 2)))
    assert half[0] == pytest.approx(value / 2)
    assert leaks.flattered(pd.Series(True, ids[:5])) is None


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("empty.txt", "## nothing\n", "no tracks"),
        ("twice.txt", "jazz.00001\njazz.00001\n", "line 2"),
        ("odd.csv", "song,year\na,1999\n", "track_id or filename"),
    ],
)
def test_a_list_that_names_no_tracks_is_refused_by_name(folder, name, text, reason):
    (folder / "train.txt").write_text("blues.00000\n")
    (folder / name).write_text(text)
    result = run("train.txt", name, "--index", "index.txt")
    assert result.exit_code == 2 and name in result.output and reason in result.output
    assert "Traceback" not in result.output
