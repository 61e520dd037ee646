"""What is kept between runs, also where nothing can be kept."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import gtzan_helpers as gh
from gtzan_helpers import cache


@pytest.fixture
def song(tmp_path):
    (tmp_path / "song.wav").write_bytes(b"sound")
    return tmp_path / "song.wav"


@pytest.fixture
def wanted(tmp_path, monkeypatch):
    monkeypatch.setenv("GTZAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_result_is_recalled_until_the_file_or_the_version_changes(song, wanted):
    cache.remember({"tempo": 120.0}, "features", song, 1)
    assert cache.recall("features", song, 1) == {"tempo": 120.0}
    assert cache.recall("features", song, 2) is None
    assert cache.recall("checks", song, 1) is None
    song.write_bytes(b"more sound")
    assert cache.recall("features", song, 1) is None


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nope", "/dev/null"])
def test_an_impossible_folder_is_named_once_and_all_goes_on(song, place, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    cache._complain.cache_clear()
    monkeypatch.setenv("GTZAN_CACHE", str(tmp_path / place))
    with pytest.warns(UserWarning, match="GTZAN_CACHE") as warned:
        assert cache.cache_folder().is_dir()
        cache.remember([1], "features", song)
    assert len(warned) == 1 and place in str(warned[0].message)
    assert cache.recall("features", song) == [1]  # as long as the program runs


def test_what_lies_in_a_folder_that_cannot_be_written_is_used(song, wanted, monkeypatch):
    cache.remember([1], "features", song)
    monkeypatch.setattr(cache, "_tried_once", lambda folder: "Read-only file system")
    with warnings.catch_warnings(action="error"):  # nothing had to be written
        assert cache.recall("features", song) == [1]
    with pytest.warns(UserWarning, match="Read-only"):
        assert cache.kept("models/new").parent.parent != wanted


def test_without_a_home_there_is_still_a_place(monkeypatch):
    for name in ("GTZAN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/nonexistent/home")
    assert cache.wanted_folder().is_absolute()


def test_a_full_disk_costs_one_line_and_no_result(wanted, monkeypatch):
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(cache, "write_atomically", lambda *_: (_ for _ in ()).throw(full))
    tracks = gh.load_tracks().head(4)
    with pytest.warns(UserWarning, match="No space left") as warned:
        usable = gh.usable(tracks)
        features, slices = gh.extract_features(usable, n_jobs=1), gh.SliceSet(usable)
    assert [str(wanted) in str(one.message) for one in warned] == [True]
    assert len(features) == len(usable) and len(slices.samples(range(len(slices)))) == len(slices)


def test_a_file_is_written_whole_or_named_and_nothing_half_is_left(tmp_path):
    longest = "n" * 255  # as long as a name may be
    cache.write_atomically(tmp_path / longest, "text")
    assert (tmp_path / longest).read_text(encoding="utf-8") == "text"
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError) as refused:
        cache.write_atomically(tmp_path / "folder", "text")
    assert refused.value.filename == str(tmp_path / "folder")
    assert {path.name for path in tmp_path.iterdir()} == {"folder", longest}


def test_a_temporary_cache_goes_with_the_program(tmp_path):
    (tmp_path / "file").touch()
    code = "from gtzan_helpers.cache import cache_folder; print(cache_folder())"
    places = {"GTZAN_CACHE": str(tmp_path / "file"), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-W", "ignore", "-c", code]
    shown = subprocess.check_output(command, text=True, env=os.environ | places)
    assert shown.startswith(str(tmp_path)) and not Path(shown.strip()).exists()
