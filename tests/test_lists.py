"""Lists that others published: artists, and the fault-filtered division of GTZAN."""

import pandas as pd
import pytest

from benchmarks.published import fault_filtered, read_list
from gtzan_helpers.datasets import load_tracks
from gtzan_helpers.errors import CourseError
from gtzan_helpers.lists import find_artists, read_index
from gtzan_helpers.splits import shared_artists

ROWS = [
    ("blues.00000", "Etta Example", "Some Song"),
    ("blues.00001", "", "some list"),
    ("jazz.00000", "Näyte Trio", "some list"),
]
INDEX = "## an index in Sturm's form\n\n" + "".join(
    f"{name}.wav ::: {artist} ::: {title}\n" for name, artist, title in ROWS
)


def write_lists(folder, train, valid, test):
    """Write the three published lists, each of rock tracks with these numbers."""
    for name, numbers in {"train": train, "valid": valid, "test": test}.items():
        lines = [f"rock/rock.{number:05}.wav\n" for number in numbers]
        (folder / f"{name}_filtered.txt").write_text("".join(lines))


@pytest.fixture
def gtzan(real_data):
    """GTZAN's 1000 tracks with their artists."""
    index = read_index(real_data / "sturm" / "index.txt")
    return index.assign(genre=index["track_id"].str.split(".").str[0])


# Artists


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_an_index_from_any_system_is_read_with_its_gaps(tmp_path, end, encoding):
    path = tmp_path / "index.txt"
    path.write_text(INDEX.replace("\n", end), encoding=encoding, newline="")
    expected = pd.DataFrame(ROWS, columns=["track_id", "artist", "title"])
    pd.testing.assert_frame_equal(read_index(path), expected)


@pytest.mark.parametrize(
    ("read", "text", "name"),
    [
        (read_index, INDEX + "blues.00002.wav ::: Artist", "line 6 .*Artist"),
        (read_index, INDEX + "blues.00002.wav, Artist, Title", "line 6 .*Title"),
        (read_index, INDEX + " ::: Artist ::: Title", "line 6 .*Artist"),
        (read_index, INDEX + "blues.00000.wav ::: Other ::: Song", r"line 6 .*blues\.00000"),
        (read_index, "", "some list"),
        (read_index, "## only comments\n", "some list"),
        (read_index, "\ud800", "some list"),
        (read_index, None, "some list"),
        (read_list, "", "some list"),
        (read_list, "rock/rock.00001.wav\nhello", "line 2 .*hello"),
        (read_list, "<!DOCTYPE html>", "line 1 "),
        (read_list, "rock/rock.00001.wav\n\nrock/rock.00001.wav", r"line 3 .* .*rock\.00001"),
    ],
)
def test_a_file_that_is_no_list_and_odd_lines_are_named(tmp_path, read, text, name):
    path = tmp_path / "some list.txt"
    if text is not None:
        path.write_text(text, encoding="utf-16", errors="surrogatepass")
    with pytest.raises(CourseError, match=name) as error:
        read(path)
    assert str(path) in str(error.value)


def test_sturms_index_is_read_whole(gtzan):
    assert len(gtzan) == 1000
    assert (gtzan["artist"] == "").sum() == 17
    assert gtzan["artist"].nunique() == 272
    assert (gtzan["artist"] == "Bob Marley").sum() == 35


def test_artists_are_found_by_the_end_of_a_path_unless_it_is_the_end_of_several(tmp_path):
    (tmp_path / "index.txt").write_text("a.wav:::A:::\nx/b.mp3:::B:::\nC.wav:::C:::\nd:::D:::\n")
    ids = pd.Series(["pop/a", "b", "c", "pop/d", "rock/d"])
    with pytest.warns(UserWarning, match=r"index\.txt names 3 of the 5 tracks: not 'pop/d'"):
        assert find_artists([tmp_path], ids) == {"pop/a": "A", "b": "B", "c": "C"}


# The published division


def test_the_published_division_has_its_sizes_and_shared_artists(gtzan, real_data):
    parts = fault_filtered(gtzan, lists=real_data / "sturm")
    sizes = {"train": 443, "validation": 197, "test": 290, "": 70}
    assert parts.value_counts().to_dict() == sizes
    in_part = shared_artists(gtzan, parts) > 0
    assert set(in_part.index[in_part["train"] & in_part["test"]]) == {
        *("Anthrax", "Boney M.", "Burning Spear", "Danzig"),
        *("Earth, Wind & Fire", "KC and the Sunshine Band"),
    }
    assert (in_part["validation"] & in_part["test"]).sum() == 4
    assert (in_part["train"] & in_part["validation"]).sum() == 2


def test_the_repaired_division_shares_no_artist_and_loses_24_tracks(gtzan, real_data):
    published = fault_filtered(gtzan, lists=real_data / "sturm")
    parts = fault_filtered(gtzan, lists=real_data / "sturm", repaired=True)
    assert shared_artists(gtzan, parts).empty
    sizes = {"train": 443, "validation": 187, "test": 276, "": 94}
    assert parts.value_counts().to_dict() == sizes
    assert (parts[parts != ""] == published[parts != ""]).all()
    assert (pd.crosstab(gtzan["genre"], parts).drop(columns="") > 0).all(axis=None)


def test_a_shared_artist_stays_in_the_largest_part(tmp_path):
    write_lists(tmp_path, train=[0, 1], valid=[2, 3, 4], test=[5, 6])
    names = [f"rock.{number:05}" for number in range(7)]
    tracks = pd.DataFrame({"track_id": names, "genre": "rock", "artist": ["A", "", *"ABDBC"]})
    parts = fault_filtered(tracks, lists=tmp_path, repaired=True)
    assert list(parts) == ["train", "train", "", "", "validation", "test", "test"]
    with pytest.raises(CourseError, match=r"without shared artists, .* validation, test:"):
        fault_filtered(tracks.assign(artist="A"), lists=tmp_path, repaired=True)


def test_pieces_are_where_their_track_is(tmp_path):
    write_lists(tmp_path, train=[0], valid=[1], test=[2])
    names = ["rock.00000.7", "Data/Rock/rock.00001", "rock.00002", "rock.00003.0"]
    parts = fault_filtered(pd.DataFrame({"track_id": names}, index=[9, 7, 5, 3]), lists=tmp_path)
    assert parts.to_dict() == {9: "train", 7: "validation", 5: "test", 3: ""}


def test_tracks_of_the_lists_that_are_absent_are_counted_in_a_warning(tmp_path):
    write_lists(tmp_path, train=range(9), valid=[9], test=[10])
    tracks = pd.DataFrame({"track_id": [f"rock.{number:05}" for number in range(5, 11)]})
    with pytest.warns(UserWarning, match=r"^5 of the 11 tracks .* \(rock\.00000, "):
        fault_filtered(tracks, lists=tmp_path)


def test_lists_that_are_missing_or_name_none_of_the_tracks_are_refused(tmp_path):
    tracks = pd.DataFrame({"track_id": ["my song"]})
    with pytest.raises(CourseError, match=r"train_filtered\.txt"):
        fault_filtered(tracks, lists=tmp_path)
    write_lists(tmp_path, train=[0], valid=[1], test=[2])
    with pytest.raises(CourseError, match="train, validation, test"):
        fault_filtered(tracks, lists=tmp_path)
    demo = load_tracks("demo")
    for table in (demo, demo[["track_id", "artist"]], demo.tail(20)):
        with pytest.raises(CourseError, match="demo"):
            fault_filtered(table, lists=tmp_path)
