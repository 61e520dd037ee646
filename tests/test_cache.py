"""What is kept between runs, also where nothing can be kept."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import warnings
from pathlib import Path
from unittest import mock

import pytest

import gtzan_helpers as gh
from gtzan_helpers import cache


@pytest.fixture
def song(tmp_path, monkeypatch):
    """A file, and a cache folder of its own."""
    monkeypatch.setenv("GTZAN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "song.wav").write_bytes(b"sound")
    return tmp_path / "song.wav"


def test_a_result_is_recalled_until_the_file_or_the_version_changes(song):
    cache.remember({"tempo": 120.0}, "features", song, 1)
    assert cache.recall("features", song, 1) == {"tempo": 120.0}
    assert cache.recall("features", song, 2) is None
    assert cache.recall("checks", song, 1) is None
    song.write_bytes(b"more sound")
    assert cache.recall("features", song, 1) is None


@pytest.mark.parametrize("place", ["song.wav", "song.wav/below", "/proc/nope", "/dev/null"])
def test_an_impossible_folder_is_named_once_and_all_goes_on(song, place, monkeypatch):
    cache._complain.cache_clear()
    monkeypatch.setenv("GTZAN_CACHE", str(song.parent / place))
    with pytest.warns(UserWarning, match="GTZAN_CACHE") as warned:
        assert cache.cache_folder().is_dir()
        cache.remember([1], "features", song)
    assert len(warned) == 1 and place in str(warned[0].message)
    assert cache.recall("features", song) == [1]  # as long as the program runs


def test_what_lies_in_a_folder_that_cannot_be_written_is_used(song, monkeypatch):
    cache.remember([1], "features", song)
    monkeypatch.setattr(cache, "_tried_once", lambda folder: "Read-only file system")
    with warnings.catch_warnings(action="error"):  # nothing had to be written
        assert cache.recall("features", song) == [1]
    with pytest.warns(UserWarning, match="Read-only"):
        assert song.parent not in cache.kept("models/new").parents


def test_without_a_home_there_is_still_a_place():
    with mock.patch.dict(os.environ, {"HOME": "/nonexistent/home"}, clear=True):
        assert cache.wanted_folder().is_absolute()


def test_a_full_disk_costs_one_line_and_no_result(song, monkeypatch):
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(cache, "write_atomically", mock.Mock(side_effect=full))
    tracks = gh.load_tracks().head(4)
    with pytest.warns(UserWarning, match="No space left") as warned:
        usable = gh.usable(tracks)
        features, slices = gh.extract_features(usable, n_jobs=1), gh.SliceSet(usable)
    assert [str(song.parent / "cache") in str(one.message) for one in warned] == [True]
    assert len(features) == len(usable) and len(slices.samples(range(len(slices)))) == len(slices)


def test_a_file_is_written_whole_and_nothing_half_is_left(tmp_path):
    longest = "n" * 255  # as long as a name may be
    cache.write_atomically(tmp_path / longest, "text")
    assert (tmp_path / longest).read_text(encoding="utf-8") == "text"
    with pytest.raises(OSError):
        cache.write_atomically(tmp_path, "text")
    assert [path.name for path in tmp_path.iterdir()] == [longest]


def test_a_temporary_cache_goes_with_the_program(song):
    code = "from gtzan_helpers.cache import cache_folder; print(cache_folder())"
    places = {"GTZAN_CACHE": str(song), "TMPDIR": str(song.parent)}
    command = [sys.executable, "-W", "ignore", "-c", code]
    shown = subprocess.check_output(command, text=True, env=os.environ | places)
    assert shown.startswith(str(song.parent)) and not Path(shown.strip()).exists()
