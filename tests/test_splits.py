"""That nothing leaks from one side of a split to the other, and that the sides are fair."""

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

from gtzan_helpers.datasets import load_tracks
from gtzan_helpers.features import (
    FEATURE_COLUMNS,
    FEATURE_NAMES,
    load_features,
    read_features,
    track_ids,
    write_features,
)
from gtzan_helpers.lists import fault_filtered, read_index, read_list
from gtzan_helpers.splits import folds, shared_artists, split, strictest_split

PARTS = ["train", "validation", "test"]
LISTS = ("train", "valid", "test")


def make_tracks(artists_per_genre):
    """One row per track; ``{"blues": [3, 2]}`` makes two blues artists, of 3 and 2 tracks."""
    rows = [
        (f"{genre}.{artist}-{number}", genre, f"{genre} artist {artist}")
        for genre, counts in artists_per_genre.items()
        for artist, count in enumerate(counts)
        for number in range(count)
    ]
    return pd.DataFrame(rows, columns=["track_id", "genre", "artist"])


def make_slices(tracks, n_slices=9):
    """Nine rows for each track, in mixed order and with an index of their own."""
    slices = tracks.loc[tracks.index.repeat(n_slices)].sample(frac=1, random_state=0)
    return slices.set_index(np.arange(len(slices)) * 2 + 100)


@pytest.fixture
def small():
    """Ten genres as in the demo: five or six artists and eleven tracks each."""
    counts = {f"genre{number}": [3, 2, 2, 2, 2] for number in range(5)}
    return make_tracks(counts | {f"genre{number}": [2, 2, 2, 2, 2, 1] for number in range(5, 10)})


@pytest.fixture
def gtzan(real_data):
    """GTZAN's 1000 tracks with their artists."""
    index = read_index(real_data / "sturm" / "index.txt")
    return index.assign(genre=index["track_id"].str.split(".").str[0])


def n_sides(groups, parts):
    """Number of parts that each group is in."""
    return parts.groupby(groups).agg(lambda sides: len(set(sides)))


def assert_together(groups, parts):
    assert n_sides(groups, parts).max() == 1


def shares(tracks, parts):
    """Share of each part in each genre."""
    return pd.crosstab(tracks["genre"], parts, normalize="index")[PARTS]


# Dividing by artist


@pytest.mark.parametrize("seed", range(10))
def test_no_artist_of_a_small_table_is_on_two_sides_and_every_genre_on_each(small, seed):
    parts = split(small, seed=seed)
    assert_together(small["artist"], parts)
    found = shares(small, parts)
    assert (found > 0).all(axis=None)
    assert (found - [0.6, 0.2, 0.2]).abs().max(axis=None) < 0.1


@pytest.mark.parametrize("seed", range(5))
def test_gtzan_is_divided_by_artist_within_five_points_of_the_shares(gtzan, seed):
    parts = split(gtzan, by="artist", seed=seed)
    known = gtzan["artist"] != ""
    assert_together(gtzan.loc[known, "artist"], parts[known])
    assert (shares(gtzan, parts) - [0.6, 0.2, 0.2]).abs().max(axis=None) < 0.0501


def test_tracks_of_unknown_artists_stand_alone():
    tracks = make_tracks({"blues": [10], "rock": [10]}).assign(artist="")
    parts = split(tracks)
    assert (shares(tracks, parts) == [0.6, 0.2, 0.2]).all(axis=None)


def test_an_artist_of_two_genres_stays_on_one_side():
    tracks = make_tracks({"metal": [2] * 6, "rock": [2] * 6})
    tracks.loc[tracks["artist"].isin(["metal artist 0", "rock artist 0"]), "artist"] = "Queen"
    for seed in range(20):
        parts = split(tracks, seed=seed)
        assert_together(tracks["artist"], parts)
        assert (shares(tracks, parts) > 0).all(axis=None)


def test_copies_of_a_recording_stay_together_whoever_their_artist_is():
    tracks = make_tracks({"metal": [2] * 6, "rock": [2] * 6}).assign(recording="")
    copies = tracks["artist"].isin(["metal artist 1", "rock artist 4"])
    tracks.loc[tracks[copies].index[[0, 2]], "recording"] = "the same"
    for seed in range(20):
        parts = split(tracks, seed=seed)
        assert len(set(parts[copies])) == 1
        by_track = split(tracks, by="track", seed=seed)
        assert len(set(by_track[tracks["recording"] == "the same"])) == 1


@pytest.mark.parametrize("by", ["track", "artist"])
def test_copies_are_known_by_their_audio(tmp_path, by):
    random = np.random.default_rng(0)
    for genre in ("metal", "rock"):
        (tmp_path / genre).mkdir()
        for number in range(8):
            sound = 0.1 * random.standard_normal(4000)
            sf.write(tmp_path / genre / f"{genre}.{number:05}.wav", sound, 22050)
    original = sf.read(tmp_path / "metal" / "metal.00003.wav")[0]
    sf.write(tmp_path / "rock" / "rock.00006.flac", original, 22050)
    (tmp_path / "rock" / "rock.00006.wav").unlink()
    tracks = load_tracks(tmp_path).set_index("track_id", drop=False)
    for seed in range(20):
        parts = split(tracks, by=by, seed=seed)
        assert parts["metal.00003"] == parts["rock.00006"]
        for _, test in folds(tracks, by=by, n_folds=4, seed=seed):
            tested = set(tracks["track_id"].iloc[test])
            assert len(tested & {"metal.00003", "rock.00006"}) != 1


def test_copies_in_a_feature_table_are_known_by_equal_features(gtzan, real_data):
    features = read_features(real_data / "features_30_sec.csv")
    tracks = features.assign(track_id=track_ids(features), genre=features["label"])
    copies = tracks[tracks.duplicated(FEATURE_NAMES, keep=False)]
    assert len(copies) == 28
    for seed in range(5):
        parts = split(tracks, by="track", seed=seed).loc[copies.index]
        assert_together(copies[FEATURE_NAMES].apply(tuple, axis=1), parts)
    published = fault_filtered(tracks, lists=real_data / "sturm").loc[copies.index]
    kept = published[published != ""]
    assert_together(copies.loc[kept.index, FEATURE_NAMES].apply(tuple, axis=1), kept)


def test_seeds_give_other_divisions_and_one_seed_the_same(small):
    divisions = {tuple(split(small, seed=seed)) for seed in range(10)}
    assert len(divisions) == 10
    pd.testing.assert_series_equal(split(small, seed=3), split(small, seed=3))


def test_a_part_that_is_not_asked_for_stays_empty(small):
    parts = split(small, validation=0, test=0.4)
    assert set(parts) == {"train", "test"}
    assert_together(small["artist"], parts)
    assert (parts == "test").mean() == pytest.approx(0.4, abs=0.05)


@st.composite
def tables(draw):
    """Tables of two to four genres, with uneven artists, some unknown and some of two genres."""
    counts = st.lists(st.integers(1, 8), min_size=5, max_size=9)
    genres = draw(st.integers(2, 4))
    tracks = make_tracks({f"genre{number}": draw(counts) for number in range(genres)})
    if draw(st.booleans()):
        shared = tracks["artist"].isin(["genre0 artist 0", "genre1 artist 1"])
        tracks.loc[shared, "artist"] = "of two genres"
    if draw(st.booleans()):
        tracks.loc[tracks["artist"] == "genre0 artist 2", "artist"] = ""
    return tracks


@settings(max_examples=50, deadline=None)
@given(tracks=tables(), seed=st.integers(0, 2**31), by=st.sampled_from(["track", "artist"]))
def test_whatever_the_table_groups_stay_whole_and_every_genre_is_everywhere(tracks, seed, by):
    if by == "track" and tracks.groupby("genre").size().min() < 3:
        return
    slices = make_slices(tracks, n_slices=2)
    parts = split(slices, by=by, seed=seed)
    assert parts.index.equals(slices.index)
    assert set(parts) == set(PARTS)
    assert_together(slices["track_id"], parts)
    if by == "artist":
        known = slices["artist"] != ""
        assert_together(slices.loc[known, "artist"], parts[known])
    assert (shares(slices, parts) > 0).all(axis=None)


# Dividing tracks and slices


def test_slices_of_a_track_stay_together_by_track_and_are_scattered_by_slice(small):
    slices = make_slices(small)
    by_track, by_slice = split(slices, by="track"), split(slices, by="slice")
    assert_together(slices["track_id"], by_track)
    assert (n_sides(slices["track_id"], by_slice) > 1).mean() > 0.9
    assert by_track.index.equals(slices.index)
    for parts in (by_track, by_slice):
        assert (shares(slices, parts) - [0.6, 0.2, 0.2]).abs().max(axis=None) < 0.05


def test_the_shares_of_each_genre_are_met_exactly_where_they_can_be():
    tracks = make_tracks({"blues": [20], "rock": [40]})
    for by in ("slice", "track"):
        parts = split(tracks, by=by, validation=0.1, test=0.3)
        assert shares(tracks, parts).to_numpy() == pytest.approx(np.tile([0.6, 0.1, 0.3], (2, 1)))


def test_slices_can_be_divided_without_knowing_their_tracks():
    rows = pd.DataFrame({"genre": ["blues", "rock"] * 10})
    assert split(rows, by="slice").value_counts().to_dict() == {
        "train": 12,
        "validation": 4,
        "test": 4,
    }


def test_the_shares_are_those_of_tracks_not_of_their_slices():
    tracks = make_tracks({"blues": [1] * 10, "rock": [1] * 10})
    slices = make_slices(tracks)
    first = slices["track_id"].str.contains("artist 0") | (slices.index % 4 == 0)
    parts = split(slices[first], by="artist").groupby(slices["track_id"]).first()
    assert parts.value_counts().to_dict() == {"train": 12, "validation": 4, "test": 4}


# The published split


def test_the_fault_filtered_split_has_the_published_sizes(gtzan, real_data):
    parts = fault_filtered(gtzan, lists=real_data / "sturm")
    sizes = {"train": 443, "validation": 197, "test": 290, "": 70}
    assert parts.value_counts().to_dict() == sizes


def test_the_fault_filtered_split_still_shares_artists(gtzan, real_data):
    parts = fault_filtered(gtzan, lists=real_data / "sturm")
    shared = shared_artists(gtzan, parts)
    in_part = shared > 0
    assert set(shared.index[in_part["train"] & in_part["test"]]) == {
        *("Anthrax", "Boney M.", "Burning Spear", "Danzig"),
        *("Earth, Wind & Fire", "KC and the Sunshine Band"),
    }
    assert (in_part["validation"] & in_part["test"]).sum() == 4
    assert (in_part["train"] & in_part["validation"]).sum() == 2
    assert shared.loc["Burning Spear"].to_dict() == {"train": 9, "validation": 1, "test": 7}


def test_the_repaired_split_shares_no_artist_and_loses_24_tracks(gtzan, real_data):
    published = fault_filtered(gtzan, lists=real_data / "sturm")
    parts = fault_filtered(gtzan, lists=real_data / "sturm", repaired=True)
    assert shared_artists(gtzan, parts).empty
    sizes = {"train": 443, "validation": 187, "test": 276, "": 94}
    assert parts.value_counts().to_dict() == sizes
    assert (parts[parts != ""] == published[parts != ""]).all()
    assert (shares(gtzan[parts != ""], parts[parts != ""]) > 0).all(axis=None)


def write_lists(folder, **lines):
    """Write the three published lists, each with the lines given for it."""
    for name in ("train", "valid", "test"):
        (folder / f"{name}_filtered.txt").write_text("\n".join(lines[name]), encoding="utf-8")


def test_a_shared_artist_stays_in_the_largest_part(tmp_path):
    names = [f"rock.{number:05}" for number in range(7)]
    listed = [f"rock/{name}.wav" for name in names]
    write_lists(tmp_path, train=listed[:2], valid=listed[2:5], test=listed[5:])
    tracks = pd.DataFrame({"track_id": names, "genre": "rock", "artist": ["A", "", *"ABDBC"]})
    parts = fault_filtered(tracks, lists=tmp_path, repaired=True)
    assert list(parts) == ["train", "train", "", "", "validation", "test", "test"]


def test_absent_tracks_of_the_lists_are_counted_in_a_warning(gtzan, real_data):
    with pytest.warns(UserWarning, match=r"^31 of the 930 tracks .* \(blues.00000, .* …\)"):
        parts = fault_filtered(gtzan.iloc[31:], lists=real_data / "sturm")
    assert len(parts) == len(gtzan) - 31


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], "names no tracks"),
        (["rock/rock.00001.wav", "hello"], "line 2 .* 'hello'"),
        (["<!DOCTYPE html>"], "line 1"),
        (["rock/rock.00001.wav", "", "rock/rock.00001.wav"], "line 3 .* repeats"),
    ],
)
def test_odd_lines_of_a_list_are_named(tmp_path, lines, reason):
    path = tmp_path / "train_filtered.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ValueError, match=reason) as error:
        read_list(path)
    assert str(path) in str(error.value)


def test_a_missing_list_is_named(tmp_path, small):
    with pytest.raises(ValueError, match=r"train_filtered\.txt cannot be read"):
        fault_filtered(small, lists=tmp_path)


def test_a_track_in_two_lists_is_refused(tmp_path, small):
    line = ["rock/rock.00001.wav"]
    write_lists(tmp_path, train=line, valid=["rock/rock.00002.wav"], test=line)
    with pytest.raises(ValueError, match=r"names rock.00001, which is in train_filtered.txt too"):
        fault_filtered(small, lists=tmp_path)


def test_a_track_split_shows_which_artists_it_shares(small):
    assert shared_artists(small, split(small, by="artist")).empty
    shared = shared_artists(make_slices(small), split(make_slices(small), by="track"))
    assert list(shared.columns) == PARTS
    assert ((shared > 0).sum(axis=1) > 1).all()
    assert shared.sum(axis=1).is_monotonic_decreasing
    assert shared.sum(axis=1).max() <= 3  # tracks, not slices


def test_the_fault_filtered_lists_are_not_for_the_demo():
    tracks = make_tracks({"blues": [3]}).assign(source="demo")
    with pytest.raises(ValueError, match="about GTZAN's own tracks"):
        fault_filtered(tracks)


def test_lists_that_name_none_of_the_tracks_are_refused(small, real_data):
    with pytest.raises(ValueError, match="no track of this table into train"):
        fault_filtered(small, lists=real_data / "sturm")


# What cannot be divided


def test_a_genre_with_too_few_artists_is_named_with_the_way_out():
    tracks = make_tracks({"blues": [4, 4], "jazz": [9], "rock": [3, 3, 3]})
    with pytest.raises(ValueError, match=r'blues has 2, jazz has 1.*by="track"'):
        split(tracks, by="artist")
    assert (shares(tracks, split(tracks, by="track")) > 0).all(axis=None)
    with pytest.raises(ValueError, match=r"5 parts.*jazz has 1"):
        folds(tracks, by="artist")


def test_genres_that_share_their_artists_are_divided_if_that_is_possible():
    tracks = make_tracks({"metal": [1] * 3, "pop": [1] * 3, "rock": [1] * 3})
    assert (shares(tracks, split(tracks.assign(artist=[*"abcabcabc"]))) > 0).all(axis=None)
    # With a and b on two sides, c and d must both be on the third, which leaves e for two.
    with pytest.raises(ValueError, match="no division was found"):
        split(tracks.assign(artist=[*"abccdeabd"]))


@pytest.mark.parametrize("by", ["slice", "track", "artist"])
def test_missing_columns_are_named(by):
    with pytest.raises(ValueError, match="no column genre"):
        split(pd.DataFrame({"track_id": ["a"], "artist": ["b"]}), by=by)


def test_missing_values_are_refused(small):
    small.loc[3, "artist"] = None
    with pytest.raises(ValueError, match="artist has missing values"):
        split(small)


def test_an_unknown_way_is_refused_with_the_known_ones(small):
    with pytest.raises(ValueError, match=r'by="album".*"artist", "track" or "slice"'):
        split(small, by="album")


def test_an_empty_table_is_refused(small):
    with pytest.raises(ValueError, match="empty"):
        split(small.iloc[:0])


@pytest.mark.parametrize("share", [-0.1, 0.8, 1.0, np.nan])
def test_shares_that_leave_nothing_to_train_on_are_refused(small, share):
    with pytest.raises(ValueError, match="leave some for training"):
        split(small, validation=0.2, test=share)


# The strictest honest split


def test_the_strictest_split_is_by_artist_where_artists_are_known(small, gtzan):
    assert strictest_split(small) == "artist"
    assert strictest_split(gtzan) == "artist"


def test_the_strictest_split_is_by_track_where_artists_are_few_or_unknown(small):
    assert strictest_split(small.assign(artist="")) == "track"
    assert strictest_split(make_tracks({"blues": [5, 5], "rock": [4, 4, 4]})) == "track"
    half = make_tracks({"blues": [1] * 8, "rock": [1] * 8})
    half.loc[half.index % 2 == 0, "artist"] = ""
    assert strictest_split(half) == "track"


def test_the_strictest_split_can_be_carried_out(small):
    tied = make_tracks({"blues": [2] * 3, "rock": [2] * 3}).assign(recording="")
    tied.loc[[0, 2], "recording"] = "the same"
    assert strictest_split(tied) == "track"
    for tracks in (small, tied):
        split(tracks, by=strictest_split(tracks))


# Folds


@pytest.mark.parametrize("by", ["slice", "track", "artist"])
def test_every_row_is_tested_in_one_fold_and_groups_stay_whole(small, by):
    slices = make_slices(small, n_slices=3)
    keys = {"slice": slices.index, "track": slices["track_id"], "artist": slices["artist"]}
    groups = np.asarray(keys[by])
    tested = []
    for train, test in folds(slices, by=by, n_folds=5, seed=1):
        assert not set(groups[train]) & set(groups[test])
        assert len(train) + len(test) == len(slices)
        assert slices["genre"].iloc[test].nunique() == 10
        tested.extend(test)
    assert sorted(tested) == list(range(len(slices)))


@settings(max_examples=50, deadline=None)
@given(tracks=tables(), seed=st.integers(0, 2**31), by=st.sampled_from(["track", "artist"]))
def test_whatever_the_table_folds_are_whole_groups_of_every_genre(tracks, seed, by):
    if by == "track" and tracks.groupby("genre").size().min() < 3:
        return
    groups = tracks["track_id"] if by == "track" else tracks["artist"]
    tested = []
    for _, test in folds(tracks, by=by, n_folds=3, seed=seed):
        rest = groups.drop(groups.index[test])
        assert not (set(groups.iloc[test]) - {""}) & (set(rest) - {""})
        assert set(tracks["genre"].iloc[test]) == set(tracks["genre"])
        tested.extend(test)
    assert sorted(tested) == list(range(len(tracks)))


def test_folds_of_gtzan_by_artist_have_their_share_of_every_genre(gtzan):
    for seed in range(5):
        for _, test in folds(gtzan, by="artist", seed=seed):
            assert gtzan["genre"].iloc[test].value_counts().between(15, 35).all()


def test_folds_depend_on_the_seed_alone(small):
    first, again, other = (
        [tuple(test) for _, test in folds(small, seed=seed)] for seed in (0, 0, 1)
    )
    assert first == again != other


def test_one_fold_is_refused(small):
    with pytest.raises(ValueError, match="nothing to train on"):
        folds(small, n_folds=1)


# Through the doors: what others call their files, lists and pieces

STEMS = {
    "as GTZAN": lambda genre, number: f"{genre}.{number:05}",
    "in folders": lambda genre, number: f"{genre}/song {number}",
    "with artists": lambda genre, number: f"{genre}/Band/{number:02} tune",
    "flat": lambda genre, number: f"my {genre} nr{number}",
}
PIECES = (".{}", "_{}", " ({})", "_part{}", "-seg{:02}")
FOLDERS = ("", "Data/genres_original/", "C:\\music\\")
SPELLINGS = (str, str.upper, lambda name: f" {name}", lambda name: name.replace(" ", "  "))


@st.composite
def feature_files(draw):
    """Features of three genres in a file, the artists beside them, and what they really are."""
    stem = STEMS[draw(st.sampled_from(sorted(STEMS)))]
    piece, folder = draw(st.sampled_from(PIECES)), draw(st.sampled_from(FOLDERS))
    suffix = draw(st.sampled_from([".wav", ".WAV", ".mp3", ""]))
    in_pieces = draw(st.booleans())
    rows, listed, artists, number = [], [], {}, 0
    for genre in draw(st.sampled_from([["blues", "jazz", "pop"], ["1990", "001", "NA"]])):
        for track in range(draw(st.integers(3, 7))):
            number += 1
            copied = draw(st.integers(0, 9)) == 0 and number > 1
            recording = number - 1 if copied else number
            name = stem(genre, track)
            artist = draw(st.sampled_from(["", *"abcdefgh"]))
            spelled = draw(st.sampled_from(SPELLINGS))(f"The {artist}") if artist else ""
            if draw(st.integers(0, 9)):
                listed.append((name, spelled))
            for count in range(draw(st.integers(1, 4)) if in_pieces else 1):
                filename = folder + name + piece.format(count) * in_pieces + suffix
                values = [recording, *np.full(len(FEATURE_NAMES) - 1, count + 0.5)]
                rows.append((filename, 66149 if in_pieces else 661794, *values, genre))
                artists[filename] = dict(listed).get(name, "")
    table = pd.DataFrame(rows, columns=FEATURE_COLUMNS)
    table = table.sample(frac=1, random_state=draw(st.integers(0, 9)))
    return table, pd.DataFrame(listed, columns=["track_id", "artist"]), pd.Series(artists)


def simple(artist):
    return " ".join(artist.split()).lower()


def in_another_order(tracks, seed):
    """The same rows as a user may have them: shuffled, numbered anew, merged."""
    shuffled = tracks.sample(frac=1, random_state=seed)
    extra = pd.DataFrame({"genre": tracks["genre"].unique(), "mood": "blue"})
    return (tracks, shuffled, shuffled.reset_index(drop=True), shuffled.merge(extra))[seed % 4]


@settings(max_examples=60, deadline=None)
@given(files=feature_files(), seed=st.integers(0, 99), by=st.sampled_from(["track", "artist"]))
def test_whatever_files_are_called_nothing_stands_on_two_sides(files, seed, by, tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    write_features(files[0], folder / "features.csv")
    files[1].to_csv(folder / "tracks.csv", index=False)
    truth = files[0].set_index("filename")[FEATURE_NAMES[0]]
    try:
        tracks, features = load_features(folder / "features.csv")
        assert list(tracks["track_id"]) == list(track_ids(features, pieces=None))
        artists = features["filename"].map(files[2])
        assert [*map(simple, tracks["artist"])] == [*map(simple, artists)]
        tracks = tracks.assign(real=features["filename"].map(truth.groupby(level=0).first()))
        tracks = in_another_order(tracks, seed)
        sides = [split(tracks, by=by, seed=seed)]
        for train, test in folds(tracks, by=by, n_folds=3, seed=seed):
            assert len(train) + len(test) == len(tracks)
            names = np.where(np.isin(np.arange(len(tracks)), test), "test", "train")
            sides.append(pd.Series(names, tracks.index))
    except ValueError as reason:
        assert "\n" not in str(reason)
        return
    for parts in sides:
        assert_together(tracks["real"].to_numpy(), parts.reset_index(drop=True))
        if by == "artist" and (known := (tracks["artist"] != "").to_numpy()).any():
            assert_together(tracks["artist"].map(simple)[known], parts[known])


def test_parts_of_other_rows_are_refused(small):
    parts = split(small)
    for other in (small.iloc[::-1], small.iloc[:-1], small.set_index("track_id", drop=False)):
        with pytest.raises(ValueError, match="not those of this table"):
            shared_artists(other, parts)


@pytest.mark.parametrize(
    ("by", "options", "name"),
    [
        ("artist", {"repaired": True}, "repaired"),
        ("slice", {"lists": "sturm"}, "lists"),
    ],
)
def test_an_option_that_means_nothing_is_refused(small, by, options, name):
    with pytest.raises(ValueError, match=f'by="{by}" knows no {name}: leave'):
        split(small, by=by, **options)


def test_one_artist_in_two_spellings_is_one_artist():
    tracks = make_tracks({"blues": [1] * 9, "rock": [1] * 9})
    tracks.loc[[0, 12], "artist"] = ["Bob Marley", "bob  marley "]
    for seed in range(10):
        parts = split(tracks, seed=seed)
        assert parts[0] == parts[12]
    apart = parts.mask(parts.index == 0, "train").mask(parts.index == 12, "test")
    assert list(shared_artists(tracks, apart).index) == ["Bob Marley"]


@pytest.mark.parametrize("lost", [["source"], ["source", "path"], ["source", "artist"]])
def test_the_demo_is_never_taken_for_gtzan(tmp_path, lost):
    write_lists(tmp_path, **{name: [f"rock/rock.0000{i}.wav"] for i, name in enumerate(LISTS)})
    tracks = load_tracks("demo").drop(columns=lost)
    for table in (tracks, tracks.merge(pd.DataFrame({"genre": ["rock"]})), tracks.tail(20)):
        with pytest.raises(ValueError, match="these are the demo's"):
            fault_filtered(table, lists=tmp_path)
