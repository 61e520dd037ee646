"""That nothing leaks from one side of a split to the other, and that the sides are fair."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtzan_helpers.datasets import load_tracks
from gtzan_helpers.features import FEATURE_COLUMNS, FEATURE_NAMES, load_features, write_features
from gtzan_helpers.lists import read_index
from gtzan_helpers.splits import folds, shared_artists, split, strictest_split

PARTS = ["train", "validation", "test"]
BY = pytest.mark.parametrize("by", ["track", "artist"])


def make_tracks(artists_per_genre, **columns):
    """One row per track; ``{"blues": [3, 2]}`` makes two blues artists, of 3 and 2 tracks."""
    rows = [
        (f"{genre}.{artist}-{number}", genre, f"{genre} artist {artist}")
        for genre, counts in artists_per_genre.items()
        for artist, count in enumerate(counts)
        for number in range(count)
    ]
    tracks = pd.DataFrame(rows, columns=["track_id", "genre", "artist"])
    return tracks.assign(**{"recording": tracks["track_id"]} | columns)


def make_slices(tracks, n_slices=9):
    """Some rows for each track, in mixed order and with an index of their own."""
    slices = tracks.loc[tracks.index.repeat(n_slices)].sample(frac=1, random_state=0)
    return slices.set_index(np.arange(len(slices)) * 2 + 100)


SMALL = make_tracks(  # as the demo: five or six artists and eleven tracks a genre
    {f"genre{n}": [3, 2, 2, 2, 2] if n < 5 else [2, 2, 2, 2, 2, 1] for n in range(10)}
)
SLICES = make_slices(SMALL)


@pytest.fixture
def gtzan(real_data):
    """GTZAN's 1000 tracks with their artists."""
    index = read_index(real_data / "sturm" / "index.txt")
    genre = index["track_id"].str.split(".").str[0]
    return index.assign(genre=genre, recording=index["track_id"])


def assert_together(groups, parts):
    """Check that each group, other than that of the unknown, is in one part."""
    groups, parts = np.asarray(groups), np.asarray(parts)
    assert pd.Series(parts)[groups != ""].groupby(groups[groups != ""]).nunique().max() == 1


def shares(tracks, parts):
    """Share of each part in each genre."""
    return pd.crosstab(tracks["genre"], parts, normalize="index").reindex(columns=PARTS)


def furthest_off(tracks, parts):
    return (shares(tracks, parts) - [0.6, 0.2, 0.2]).abs().max(axis=None)


def all_sides(tracks, by, seed):
    """The parts of a split, and for each of three folds whether a row is in its test part."""
    tests = [test for _, test in folds(tracks, by=by, n_folds=3, seed=seed)]
    assert sorted(np.concatenate(tests)) == list(range(len(tracks)))
    return [split(tracks, by=by, seed=seed), *(np.isin(range(len(tracks)), t) for t in tests)]


# What stays together


@st.composite
def tables(draw):
    """Two to four genres, with uneven artists, some unknown, of two genres, or with copies."""
    counts = st.lists(st.integers(1, 8), min_size=5, max_size=9)
    tracks = make_tracks({f"genre{n}": draw(counts) for n in range(draw(st.integers(2, 4)))})
    if draw(st.booleans()):
        shared = tracks["artist"].isin(["genre0 artist 0", "genre1 artist 1"])
        spelled = np.resize(["Of Two Genres", "of two  genres "], shared.sum())
        tracks.loc[shared, "artist"] = spelled
    if draw(st.booleans()):
        tracks.loc[tracks["artist"] == "genre0 artist 2", "artist"] = ""
    if draw(st.booleans()):
        tracks.loc[tracks.index[[0, -1]], "recording"] = "a copy"
    return tracks


@settings(max_examples=60, deadline=None)
@given(tracks=tables(), seed=st.integers(0, 2**31), by=st.sampled_from(["track", "artist"]))
def test_whatever_the_table_groups_stay_whole_and_every_genre_is_everywhere(tracks, seed, by):
    slices = make_slices(tracks, n_slices=2)
    sides = all_sides(slices, by, seed)
    assert sides[0].index.equals(slices.index)
    for parts in sides:
        assert (pd.crosstab(slices["genre"], np.asarray(parts)) > 0).all(axis=None)
        assert_together(slices["track_id"], parts)
        assert_together(slices["recording"], parts)
        if by == "artist":
            assert_together(slices["artist"].map(simple), parts)


def simple(artist):
    return " ".join(artist.split()).lower()


def test_seeds_give_other_divisions_and_one_seed_the_same():
    for by in ("artist", "track", "slice"):
        assert len({str(np.array(all_sides(SMALL, by, seed)).tolist()) for seed in range(4)}) == 4
    pd.testing.assert_series_equal(split(SMALL, seed=3), split(SMALL, seed=3))
    first, again = (list(folds(SMALL, seed=1)) for _ in range(2))
    np.testing.assert_equal(first, again)


# What shares are met


@pytest.mark.parametrize("seed", range(3))
def test_small_and_large_tables_are_divided_in_the_shares_that_were_asked_for(gtzan, seed):
    assert furthest_off(SMALL, split(SMALL, seed=seed)) < 0.08
    assert furthest_off(gtzan, split(gtzan, seed=seed)) < 0.0501
    for _, test in folds(gtzan, by="artist", seed=seed):
        assert gtzan["genre"].iloc[test].value_counts().between(15, 35).all()


def test_slices_of_a_track_stay_together_by_track_and_are_scattered_by_slice():
    by_track, by_slice = split(SLICES, by="track"), split(SLICES, by="slice")
    assert_together(SLICES["track_id"], by_track)
    assert by_slice.groupby(SLICES["track_id"]).nunique().mean() > 1.9
    assert max(furthest_off(SLICES, parts) for parts in (by_track, by_slice)) < 0.0501
    bare = pd.DataFrame({"genre": ["blues", "rock"] * 10})
    assert split(bare, by="slice").value_counts().tolist() == [12, 4, 4]


@pytest.mark.parametrize("by", ["slice", "track", "artist"])
def test_the_shares_of_each_genre_are_met_exactly_where_they_can_be(by):
    tracks = make_tracks({"blues": [20], "rock": [40]}, artist="")  # the unknown stand alone
    parts = split(tracks, by=by, validation=0.1, test=0.3)
    assert shares(tracks, parts).to_numpy() == pytest.approx(np.tile([0.6, 0.1, 0.3], (2, 1)))
    parts = split(tracks, by=by, validation=0, test=0.4)
    assert shares(tracks, parts)["test"].tolist() == [0.4, 0.4] and len(set(parts)) == 2


def test_the_shares_are_those_of_tracks_not_of_their_slices():
    slices = make_slices(make_tracks({"blues": [1] * 10, "rock": [1] * 10}))
    uneven = slices[slices["track_id"].str.contains("artist 0") | (slices.index % 4 == 0)]
    parts = split(uneven).groupby(uneven["track_id"]).first()
    assert parts.value_counts().to_dict() == {"train": 12, "validation": 4, "test": 4}


@pytest.mark.parametrize("counts", [[2, 2, 2], [8, 1, 1], [1, 1, 1, 1]])
def test_few_artists_a_genre_are_enough_and_the_largest_are_for_training(counts):
    tracks = make_tracks({f"genre{number}": counts for number in range(10)})
    assert strictest_split(tracks) == "artist"
    for seed in range(5):
        found = shares(tracks, split(tracks, seed=seed))
        assert (found > 0).all(axis=None)
        assert (found["train"] >= max(counts) / sum(counts)).all()


def test_the_largest_artists_come_to_the_test_about_as_often_as_others():
    tracks = make_tracks({f"genre{number}": [20, *[8] * 5, *[4] * 10] for number in range(5)})
    tested = sum((split(tracks, seed=seed) == "test").astype(int) for seed in range(40))
    largest = tracks["artist"].str.endswith("artist 0")
    assert 0.1 < tested[largest].mean() / 40 < 0.3
    assert 0.1 < tested[~largest].mean() / 40 < 0.3


# What cannot be divided


def test_genres_with_too_few_artists_are_named():
    tracks = make_tracks({"blues": [4, 4], "jazz": [9], "rock": [3, 3, 3]})
    with pytest.raises(ValueError, match=r"jazz has 1, blues has 2.*\"track\""):
        split(tracks, by="artist")
    with pytest.raises(ValueError, match=r"5 parts.*jazz has 1"):
        folds(tracks, by="artist")
    assert (shares(tracks, split(tracks, by="track")) > 0).all(axis=None)


def test_genres_that_share_their_artists_are_divided_if_that_is_possible():
    tracks = make_tracks({"metal": [1] * 3, "pop": [1] * 3, "rock": [1] * 3})
    assert (shares(tracks, split(tracks.assign(artist=[*"abcabcabc"]))) > 0).all(axis=None)
    # With a and b on two sides, c and d must both be on the third, which leaves e for two.
    with pytest.raises(ValueError, match="metal has 3"):
        split(tracks.assign(artist=[*"abccdeabd"]))


@pytest.mark.parametrize(
    ("change", "options", "named"),
    [
        *(
            (lambda table, name=name: table.drop(columns=name), {"by": by}, name)
            for by, name in [
                *(("slice", "genre"), ("track", "track_id")),
                *(("artist", "artist"), ("track", "recording"), ("artist", "recording")),
            ]
        ),
        (lambda table: table.replace("genre0 artist 0", None), {}, "artist"),
        (lambda table: table.iloc[:0], {}, "empty"),
        (lambda table: table, {"by": "album"}, '"artist", "track" or "slice"'),
        *((lambda table: table, {"test": share}, f"test={share}") for share in (-0.1, 0.8, np.nan)),
    ],
)
def test_what_cannot_be_divided_is_refused_by_name(change, options, named):
    with pytest.raises(ValueError, match=named):
        split(change(SMALL), **options)


# What is shared, and how strict one may be


def test_a_track_split_shows_which_artists_it_shares():
    assert shared_artists(SMALL, split(SMALL, by="artist")).empty
    shared = shared_artists(SLICES, split(SLICES, by="track"))
    assert list(shared.columns) == PARTS
    assert ((shared > 0).sum(axis=1) > 1).all()
    assert shared.sum(axis=1).is_monotonic_decreasing
    assert shared.sum(axis=1).max() <= 3  # tracks, not slices
    tracks = make_tracks({"rock": [1] * 5}, artist=["Queen", "queen ", "", "", "QUEEN"])
    parts = pd.Series(["train", "test", "train", "test", ""])
    assert shared_artists(tracks, parts).to_dict("index") == {
        "Queen": {"train": 1, "validation": 0, "test": 1}
    }


def test_the_strictest_split_is_by_artist_unless_artists_are_few_or_unknown(gtzan):
    for tracks in (SMALL, SLICES, gtzan, load_tracks("demo")):
        assert strictest_split(tracks) == "artist"
    tied = make_tracks({"blues": [2] * 3, "rock": [2] * 3})
    tied.loc[[0, 2], "recording"] = "the same"
    half = make_tracks({"blues": [1] * 8, "rock": [1] * 8})
    half.loc[half.index % 2 == 0, "artist"] = ""
    few = make_tracks({"blues": [5, 5], "rock": [4, 4, 4]})
    for tracks in (SMALL.assign(artist=""), few, half, tied):
        assert strictest_split(tracks) == "track"
        split(tracks, by="track")


# Through the doors: what others call their files, lists and pieces

STEMS = [
    lambda genre, number: f"{genre}.{number:05}",
    lambda genre, number: f"{genre}/song {number}",
    lambda genre, number: f"{genre}/Band/{number:02} tune",
    lambda genre, number: f"my {genre} nr{number}",
]
PIECES = [".{}", "_{}", " ({})", "_part{}", "-seg{:02}"]
FOLDERS = ["", "Data/genres_original/", "C:\\music\\"]
GENRES = [["blues", "jazz", "pop"], ["1990", "001", "NA"]]
SPELLINGS = [str, str.upper, " {}".format, lambda name: name.replace(" ", "  ")]


@st.composite
def feature_files(draw):
    """Features of three genres in a file, the artists beside them, and what they really are."""
    stem, piece, folder, suffix, genres = (
        draw(st.sampled_from(choice))
        for choice in (STEMS, PIECES, FOLDERS, [".wav", ".WAV", ".mp3", ""], GENRES)
    )
    in_pieces = draw(st.booleans())
    rows, listed, recording = [], {}, 0
    for genre in genres:
        for track in range(draw(st.integers(3, 7))):
            recording += draw(st.integers(0, 9)) > 0  # else a copy of the one before
            name = stem(genre, track)
            if draw(st.integers(0, 9)):
                artist = draw(st.sampled_from(["", *"abcdefgh"]))
                spelled = draw(st.sampled_from(SPELLINGS))
                listed[name] = spelled(f"The {artist}") if artist else ""
            for count in range(draw(st.integers(1, 4)) if in_pieces else 1):
                filename = folder + name + piece.format(count) * in_pieces + suffix
                values = [recording, *np.full(len(FEATURE_NAMES) - 1, count + 0.5)]
                length = 66149 if in_pieces else 661794
                rows.append((filename, length, *values, genre, listed.get(name, "")))
    table = pd.DataFrame(rows, columns=[*FEATURE_COLUMNS, "artist"])
    return table.sample(frac=1, random_state=draw(st.integers(0, 9))), pd.Series(listed, dtype=str)


def in_another_order(tracks, seed):
    """The same rows as a user may have them: shuffled, numbered anew, merged."""
    shuffled = tracks.sample(frac=1, random_state=seed)
    extra = pd.DataFrame({"genre": tracks["genre"].unique(), "mood": "blue"})
    return (tracks, shuffled, shuffled.reset_index(drop=True), shuffled.merge(extra))[seed % 4]


@settings(max_examples=60, deadline=None)
@given(files=feature_files(), seed=st.integers(0, 99), by=st.sampled_from(["track", "artist"]))
def test_whatever_files_are_called_nothing_stands_on_two_sides(files, seed, by, tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    table, listed = files
    write_features(table[FEATURE_COLUMNS], folder / "features.csv")
    listed.rename_axis("track_id").rename("artist").to_csv(folder / "tracks.csv")
    truth = table.set_index("filename")
    try:
        tracks, features = load_features(folder / "features.csv")
        assert list(tracks["track_id"]) == list(features["track_id"])
        real = truth.loc[features["filename"]].reset_index()
        assert [*map(simple, tracks["artist"])] == [*map(simple, real["artist"])]
        tracks = in_another_order(tracks.assign(real=real[FEATURE_NAMES[0]]), seed)
        sides = all_sides(tracks, by, seed)
    except ValueError as reason:
        assert "\n" not in str(reason)
        return
    for parts in sides:
        assert_together(tracks["real"], parts)
        if by == "artist" and (tracks["artist"] != "").any():
            assert_together(tracks["artist"].map(simple), parts)
