"""That nothing leaks from one side of a split to the other, and that the sides are fair."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtzan_helpers.datasets import load_tracks
from gtzan_helpers.features import FEATURE_COLUMNS, FEATURE_NAMES, load_features, write_features
from gtzan_helpers.lists import read_index
from gtzan_helpers.splits import connected_rows, folds, shared_artists, split, strictest_split

PARTS = ["train", "validation", "test"]
BY = pytest.mark.parametrize("by", ["track", "artist"])


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


def assert_together(groups, parts):
    """Check that each group, other than that of the unknown, is in one part."""
    groups, parts = np.asarray(groups), np.asarray(parts)
    sides = pd.Series(parts)[groups != ""].groupby(groups[groups != ""]).nunique()
    assert sides.max() == 1


def shares(tracks, parts):
    """Share of each part in each genre."""
    return pd.crosstab(tracks["genre"], parts, normalize="index")[PARTS]


def furthest_off(tracks, parts):
    return (shares(tracks, parts) - [0.6, 0.2, 0.2]).abs().max(axis=None)


def sides_of_folds(tracks, **options):
    """For each fold, whether a row is in its test part."""
    return [np.isin(np.arange(len(tracks)), test) for _, test in folds(tracks, **options)]


# Dividing by artist


@pytest.mark.parametrize("seed", range(5))
def test_no_artist_is_on_two_sides_and_every_genre_is_on_each(small, gtzan, seed):
    for tracks, tolerance in ((small, 0.08), (gtzan, 0.0501)):
        parts = split(tracks, seed=seed)
        assert_together(tracks["artist"], parts)
        assert furthest_off(tracks, parts) < tolerance


def test_tracks_of_unknown_artists_stand_alone():
    tracks = make_tracks({"blues": [10], "rock": [10]}).assign(artist="")
    assert furthest_off(tracks, split(tracks)) == 0


@pytest.mark.parametrize("seed", range(10))
def test_an_artist_of_two_genres_or_two_spellings_stays_on_one_side(seed):
    tracks = make_tracks({"metal": [2] * 6, "rock": [2] * 6})
    rows = tracks["artist"].isin(["metal artist 0", "rock artist 0"])
    tracks.loc[rows, "artist"] = ["Queen", "queen ", "Queen", "QUEEN"]
    parts = split(tracks, seed=seed)
    assert_together(rows[rows], parts[rows])
    assert (shares(tracks, parts) > 0).all(axis=None)
    apart = parts.mask(rows, ["train", "test"] * 12)
    assert shared_artists(tracks, apart).loc["Queen"].tolist() == [2, 0, 2]


@BY
@pytest.mark.parametrize("seed", range(10))
def test_a_recording_stays_on_one_side_whoever_its_artist_is(by, seed):
    tracks = make_tracks({"metal": [2] * 6, "rock": [2] * 6}).assign(recording="")
    tracks.loc[[2, 20], "recording"] = "the same"
    sides = [split(tracks, by=by, seed=seed), *sides_of_folds(tracks, by=by, n_folds=3, seed=seed)]
    for parts in sides:
        assert_together(tracks["recording"], parts)
        assert_together(tracks["artist" if by == "artist" else "track_id"], parts)


def test_rows_are_connected_by_chains_of_known_values():
    table = pd.DataFrame({"a": ["x", "y", "y", "", ""], "b": [1, 1, None, 2, 3], "c": [*"ppqqr"]})
    assert connected_rows(table[["a"]]).tolist() == [0, 1, 1, 2, 3]
    assert connected_rows(table[["a", "b"]]).tolist() == [0, 0, 0, 1, 2]
    assert connected_rows(table).tolist() == [0, 0, 0, 0, 1]
    assert connected_rows(table[:0]).tolist() == []


def test_seeds_give_other_divisions_and_one_seed_the_same(small):
    assert len({tuple(split(small, seed=seed)) for seed in range(10)}) == 10
    pd.testing.assert_series_equal(split(small, seed=3), split(small, seed=3))
    first, again, other = (np.array(sides_of_folds(small, seed=seed)) for seed in (0, 0, 1))
    assert (first == again).all() and (first != other).any()


def test_a_part_that_is_not_asked_for_stays_empty(small):
    parts = split(small, validation=0, test=0.4)
    assert set(parts) == {"train", "test"}
    assert (parts == "test").mean() == pytest.approx(0.4, abs=0.05)


@pytest.mark.parametrize("counts", [[2, 2, 2], [8, 1, 1], [1, 1, 1, 1]])
def test_few_artists_a_genre_are_enough_and_the_largest_are_for_training(counts):
    tracks = make_tracks({f"genre{number}": counts for number in range(10)})
    assert strictest_split(tracks) == "artist"
    for seed in range(5):
        found = shares(tracks, split(tracks, seed=seed))
        assert (found > 0).all(axis=None)
        assert (found["train"] >= max(counts) / sum(counts)).all()


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
    assert (shares(slices, parts) > 0).all(axis=None)
    tests = sides_of_folds(slices, by=by, n_folds=3, seed=seed)
    assert (sum(tests) == 1).all()
    for sides in (parts, *tests):
        assert_together(slices["track_id"], sides)
        if by == "artist":
            assert_together(slices["artist"], sides)
    for test in tests:
        assert set(slices["genre"][test]) == set(slices["genre"])


# Dividing tracks and slices


def test_slices_of_a_track_stay_together_by_track_and_are_scattered_by_slice(small):
    slices = make_slices(small)
    by_track, by_slice = split(slices, by="track"), split(slices, by="slice")
    assert_together(slices["track_id"], by_track)
    assert by_slice.groupby(slices["track_id"]).nunique().mean() > 1.9
    for parts in (by_track, by_slice):
        assert parts.index.equals(slices.index)
        assert furthest_off(slices, parts) < 0.0501


@pytest.mark.parametrize("by", ["slice", "track"])
def test_the_shares_of_each_genre_are_met_exactly_where_they_can_be(by):
    tracks = make_tracks({"blues": [20], "rock": [40]})
    parts = split(tracks, by=by, validation=0.1, test=0.3)
    assert shares(tracks, parts).to_numpy() == pytest.approx(np.tile([0.6, 0.1, 0.3], (2, 1)))


def test_slices_can_be_divided_without_knowing_their_tracks():
    rows = pd.DataFrame({"genre": ["blues", "rock"] * 10})
    assert split(rows, by="slice").value_counts().tolist() == [12, 4, 4]


def test_the_shares_are_those_of_tracks_not_of_their_slices():
    tracks = make_tracks({"blues": [1] * 10, "rock": [1] * 10})
    slices = make_slices(tracks)
    uneven = slices[slices["track_id"].str.contains("artist 0") | (slices.index % 4 == 0)]
    parts = split(uneven).groupby(uneven["track_id"]).first()
    assert parts.value_counts().to_dict() == {"train": 12, "validation": 4, "test": 4}


def test_a_track_split_shows_which_artists_it_shares(small):
    assert shared_artists(small, split(small, by="artist")).empty
    shared = shared_artists(make_slices(small), split(make_slices(small), by="track"))
    assert list(shared.columns) == PARTS
    assert ((shared > 0).sum(axis=1) > 1).all()
    assert shared.sum(axis=1).is_monotonic_decreasing
    assert shared.sum(axis=1).max() <= 3  # tracks, not slices


# Folds


def test_a_fold_trains_on_all_that_it_does_not_test(small):
    slices = make_slices(small, n_slices=3)
    for train, test in folds(slices, by="slice", seed=1):
        assert sorted([*train, *test]) == list(range(len(slices)))
        assert slices["genre"].iloc[test].nunique() == 10


@pytest.mark.parametrize("seed", range(3))
def test_folds_of_gtzan_by_artist_have_their_share_of_every_genre(gtzan, seed):
    for _, test in folds(gtzan, by="artist", seed=seed):
        assert gtzan["genre"].iloc[test].value_counts().between(15, 35).all()


# What cannot be divided


def test_a_genre_with_too_few_artists_is_named_with_the_way_out():
    tracks = make_tracks({"blues": [4, 4], "jazz": [9], "rock": [3, 3, 3]})
    with pytest.raises(ValueError, match=r'blues has 2, jazz has 1.*by="track"'):
        split(tracks, by="artist")
    assert (shares(tracks, split(tracks, by="track")) > 0).all(axis=None)
    with pytest.raises(ValueError, match=r"5 parts.*jazz has 1"):
        folds(tracks, by="artist")
    with pytest.raises(ValueError, match="nothing to train on"):
        folds(tracks, n_folds=1)


def test_genres_that_share_their_artists_are_divided_if_that_is_possible():
    tracks = make_tracks({"metal": [1] * 3, "pop": [1] * 3, "rock": [1] * 3})
    assert (shares(tracks, split(tracks.assign(artist=[*"abcabcabc"]))) > 0).all(axis=None)
    # With a and b on two sides, c and d must both be on the third, which leaves e for two.
    with pytest.raises(ValueError, match="no division was found"):
        split(tracks.assign(artist=[*"abccdeabd"]))


@pytest.mark.parametrize(
    ("change", "options", "named"),
    [
        (lambda table: table.drop(columns="genre"), {"by": "slice"}, "genre"),
        (lambda table: table.drop(columns="track_id"), {"by": "track"}, "track_id"),
        (lambda table: table.drop(columns="artist"), {}, "artist"),
        (lambda table: table.replace("genre0 artist 0", None), {}, "artist"),
        (lambda table: table.assign(path="a.wav"), {}, "recording"),
        (lambda table: table.assign(filename="a.wav"), {"by": "track"}, "recording"),
        (lambda table: table.assign(mfcc1_mean=1.0), {}, "recording"),
        (lambda table: table.replace("genre0.0-0", "blues.00000.7"), {}, "recording"),
        (lambda table: table.iloc[:0], {}, "empty"),
        (lambda table: table, {"by": "album"}, '"artist", "track" or "slice"'),
        (lambda table: table, {"by": "fault-filtered"}, "fault_filtered"),
        (lambda table: table, {"test": -0.1}, "test=-0.1"),
        (lambda table: table, {"test": 0.8}, "test=0.8"),
        (lambda table: table, {"test": np.nan}, "test=nan"),
    ],
)
def test_what_cannot_be_divided_is_refused_by_name(small, change, options, named):
    with pytest.raises(ValueError, match=named):
        split(change(small), **options)


def test_where_nothing_is_a_copy_that_can_be_said(small):
    table = small.assign(path="a.wav")
    pd.testing.assert_series_equal(
        split(table.assign(recording=table["track_id"])), split(small), check_exact=True
    )
    assert set(split(table, by="slice")) == set(PARTS)


def test_parts_of_other_rows_are_refused(small):
    parts = split(small)
    for other in (small.iloc[::-1], small.iloc[:-1], small.set_index("track_id", drop=False)):
        with pytest.raises(ValueError, match="not those of this table"):
            shared_artists(other, parts)


# The strictest honest split


def test_the_strictest_split_is_by_artist_where_artists_are_known(small, gtzan):
    assert strictest_split(small) == strictest_split(gtzan) == "artist"
    assert strictest_split(load_tracks("demo")) == "artist"


def test_the_strictest_split_is_by_track_where_artists_are_few_or_unknown(small):
    tied = make_tracks({"blues": [2] * 3, "rock": [2] * 3}).assign(recording="")
    tied.loc[[0, 2], "recording"] = "the same"
    half = make_tracks({"blues": [1] * 8, "rock": [1] * 8})
    half.loc[half.index % 2 == 0, "artist"] = ""
    few = make_tracks({"blues": [5, 5], "rock": [4, 4, 4]})
    for tracks in (small.assign(artist=""), few, half, tied):
        assert strictest_split(tracks) == "track"
        split(tracks, by="track")


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
        assert list(tracks["track_id"]) == list(features["track_id"])
        artists = features["filename"].map(files[2])
        assert [*map(simple, tracks["artist"])] == [*map(simple, artists)]
        tracks = tracks.assign(real=features["filename"].map(truth.groupby(level=0).first()))
        tracks = in_another_order(tracks, seed)
        sides = [split(tracks, by=by, seed=seed)]
        sides += sides_of_folds(tracks, by=by, n_folds=3, seed=seed)
    except ValueError as reason:
        assert "\n" not in str(reason)
        return
    for parts in sides:
        assert_together(tracks["real"], parts)
        if by == "artist" and (tracks["artist"] != "").any():
            assert_together(tracks["artist"].map(simple), parts)
