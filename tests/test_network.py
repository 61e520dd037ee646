"""Real downloads, against their checksums: make network-test."""

from __future__ import annotations

import pytest

import gtzan_helpers as gh
from benchmarks.published import read_list
from gtzan_helpers.downloads import STURM_FILES, fetch_sturm
from gtzan_helpers.lists import read_index

pytestmark = pytest.mark.network


def test_the_mini_data_set_and_sturms_lists_arrive_whole(tmp_path, monkeypatch):
    monkeypatch.setenv("GTZAN_CACHE", str(tmp_path))
    tracks = gh.load_tracks("mini")
    assert len(tracks) == 100
    assert (tracks["problem"] == "").all()
    assert tracks["genre"].nunique() == 10
    assert len(read_index(gh.fetch_index())) == 1000
    lengths = [len(read_list(fetch_sturm(name))) for name in STURM_FILES if name != "index.txt"]
    assert lengths == [443, 197, 290]
