"""Real downloads, against their checksums: make network-test."""

from __future__ import annotations

import pytest

import gtzan_helpers as gh
from gtzan_helpers.downloads import fetch_sturm
from gtzan_helpers.lists import read_index, read_list

pytestmark = pytest.mark.network


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GTZAN_CACHE", str(tmp_path))


def test_sturms_index_names_the_artists_of_gtzan():
    index = read_index(gh.fetch_index())
    assert len(index) == 1000


def test_the_mini_data_set_arrives_whole():
    tracks = gh.load_tracks("mini")
    assert len(tracks) == 100
    assert (tracks["problem"] == "").all()
    assert tracks["genre"].nunique() == 10


@pytest.mark.parametrize(
    ("name", "length"),
    [("train_filtered.txt", 443), ("valid_filtered.txt", 197), ("test_filtered.txt", 290)],
)
def test_the_fault_filtered_lists_are_there(name, length):
    assert len(read_list(fetch_sturm(name))) == length
