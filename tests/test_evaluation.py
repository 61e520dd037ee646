"""Scores against closed forms and scikit-learn, and votes against counting by hand."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.lib.pretty import pretty
from scipy.stats import binom, binomtest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from benchmarks import leak
from gtzan_helpers.evaluation import (
    Score,
    accuracy_interval,
    commonest_confusions,
    genre_report,
    paired_difference,
    vote,
)
from gtzan_helpers.features import FEATURE_NAMES, read_features
from gtzan_helpers.lists import read_index

GENRES = np.array(["blues", "jazz", "rock"])


def answers(n_right, n_rows):
    """Return a truth, and predictions of which `n_right` are right."""
    truth = np.resize(GENRES, n_rows)
    return truth, np.where(np.arange(n_rows) < n_right, truth, "pop")


# Accuracy


def test_accuracy_and_majority_are_shares_of_the_rows():
    truth = ["blues", "blues", "blues", "jazz", "rock"]
    score = accuracy_interval(truth, ["blues", "blues", "rock", "jazz", "blues"])
    assert score.accuracy == pytest.approx(0.6)
    assert score.majority == pytest.approx(0.6)
    assert score.low <= score.accuracy <= score.high


@pytest.mark.parametrize(("n_right", "n_rows"), [(62, 100), (30, 60), (700, 1000), (9, 10)])
def test_the_interval_of_independent_rows_is_binomial(n_right, n_rows):
    score = accuracy_interval(*answers(n_right, n_rows))
    expected = binom.ppf([0.025, 0.975], n_rows, n_right / n_rows) / n_rows
    assert [score.low, score.high] == pytest.approx(expected, abs=1.5 / n_rows + 0.002)


def test_copies_of_a_row_do_not_narrow_the_interval_of_its_group():
    truth, predicted = answers(31, 50)
    once = accuracy_interval(truth, predicted, seed=3)
    tracks = np.repeat(np.arange(50), 20)
    often = accuracy_interval(np.repeat(truth, 20), np.repeat(predicted, 20), tracks, seed=3)
    assert often == pytest.approx(once)
    naive = accuracy_interval(np.repeat(truth, 20), np.repeat(predicted, 20))
    assert naive.high - naive.low < 0.3 * (once.high - once.low)


def test_the_interval_of_uneven_groups_is_that_of_resampling_them_one_by_one():
    random = np.random.default_rng(0)
    groups = random.integers(0, 25, 200)
    truth = random.choice(GENRES, 200)
    predicted = np.where(random.random(200) < 0.3 + groups / 50, truth, "pop")
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    right = truth == predicted
    accuracies = []
    for _ in range(4000):
        drawn = random.integers(0, len(members), len(members))
        accuracies.append(right[np.concatenate([members[group] for group in drawn])].mean())
    score = accuracy_interval(truth, predicted, groups)
    assert [score.low, score.high] == pytest.approx(
        np.quantile(accuracies, [0.025, 0.975]), abs=0.015
    )


def test_groups_may_be_names_and_rows_in_any_order():
    truth, predicted = answers(12, 30)
    groups = pd.Series([f"artist {number % 7}" for number in range(30)])
    order = np.random.default_rng(0).permutation(30)
    score = accuracy_interval(truth, predicted, groups)
    shuffled = accuracy_interval(truth[order], predicted[order], groups[order])
    assert shuffled == pytest.approx(score)


def test_a_seed_settles_the_interval():
    truth, predicted = answers(40, 97)
    first, again, other = (accuracy_interval(truth, predicted, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first.accuracy == other.accuracy
    assert first.low == pytest.approx(other.low, abs=0.03)


def test_many_rows_cost_little_memory():
    truth, predicted = answers(200_000, 300_000)
    assert accuracy_interval(truth, predicted).low == pytest.approx(2 / 3, abs=0.01)


@pytest.mark.parametrize(("n_right", "expected"), [(0, 0.0), (30, 1.0)])
def test_all_or_nothing_right_gives_an_interval_of_no_width(n_right, expected):
    assert accuracy_interval(*answers(n_right, 30))[:3] == (expected,) * 3


def test_a_score_reads_as_a_sentence():
    score = Score(0.617, 0.55, 0.694, 0.1)
    assert str(score) == "accuracy 0.62  [0.55, 0.69]  majority 0.10"
    assert pretty(score) == str(score)


@pytest.mark.parametrize(
    ("truth", "predicted", "groups", "reason"),
    [
        ([], [], None, "empty"),
        (["blues"], ["blues", "jazz"], None, "one length"),
        ([["blues"]], [["blues"]], None, "one length"),
        (["blues", "jazz"], ["blues", "jazz"], [1], "one group a row"),
    ],
)
def test_answers_that_do_not_fit_together_are_refused(truth, predicted, groups, reason):
    with pytest.raises(ValueError, match=reason):
        accuracy_interval(truth, predicted, groups)


# Comparison


def test_a_classifier_does_not_differ_from_itself():
    truth, predicted = answers(30, 50)
    assert paired_difference(truth, predicted, predicted) == (0, 0, 0, 1)


def test_the_p_value_is_near_that_of_the_exact_test_of_discordant_rows():
    truth = np.full(200, "blues")
    first = np.where(np.arange(200) < 130, "blues", "rock")
    second = np.where((np.arange(200) >= 22) & (np.arange(200) < 140), "blues", "rock")
    result = paired_difference(truth, first, second)
    assert result.difference == pytest.approx((22 - 10) / 200)
    assert result.p_value == pytest.approx(binomtest(10, 32).pvalue, abs=0.03)
    wald = 1.96 * np.sqrt(32 / 200 - 0.06**2) / np.sqrt(200)
    assert [result.low, result.high] == pytest.approx([0.06 - wald, 0.06 + wald], abs=0.01)


def test_swapping_the_classifiers_turns_the_sign():
    truth, first = answers(30, 50)
    second = np.roll(first, 7)
    there, back = (paired_difference(truth, *pair) for pair in ((first, second), (second, first)))
    assert there.difference == -back.difference
    assert [there.low, there.high] == pytest.approx([-back.high, -back.low], abs=0.03)


def test_pairing_sees_a_small_difference_that_two_intervals_would_hide():
    truth, worse = answers(100, 200)
    _, better = answers(112, 200)
    result = paired_difference(truth, better, worse)
    assert result.low > 0
    assert result.p_value < 0.01
    assert accuracy_interval(truth, worse).high > accuracy_interval(truth, better).low


def test_the_interval_leaves_out_zero_just_where_p_is_below_five_percent():
    truth = np.full(100, "blues")
    first = np.where(np.arange(100) < 50, "blues", "rock")
    for n_better in range(12):
        second = np.where((np.arange(100) >= 3) & (np.arange(100) < 50 + n_better), "blues", "rock")
        result = paired_difference(truth, first, second)
        if abs(result.p_value - 0.05) > 0.005:
            assert (result.low > 0 or result.high < 0) == (result.p_value < 0.05)


def test_groups_count_in_a_comparison_too():
    truth, first = answers(30, 60)
    second = np.roll(first, 3)
    repeated = [np.repeat(column, 5) for column in (truth, first, second)]
    grouped = paired_difference(*repeated, groups=np.repeat(np.arange(60), 5))
    assert grouped == pytest.approx(paired_difference(truth, first, second))


# Genres


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["blues", "jazz", "rock"]), st.sampled_from(["jazz", "rock", "x"])
        ),
        min_size=1,
    )
)
def test_the_genre_report_is_that_of_scikit_learn(pairs):
    truth, predicted = zip(*pairs, strict=True)
    report = genre_report(truth, predicted)
    expected = precision_recall_fscore_support(
        truth, predicted, labels=report.index.tolist(), zero_division=0
    )
    assert report.index.tolist() == sorted({*truth, *predicted})
    np.testing.assert_allclose(report.to_numpy().T, expected)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 3)] * 2), min_size=1))
def test_confusions_are_those_of_the_confusion_matrix(pairs):
    truth, predicted = np.array(pairs).T
    matrix = confusion_matrix(truth, predicted, labels=range(4))
    found = commonest_confusions(truth, predicted)
    for row in found.itertuples():
        assert matrix[row.genre, row.taken_for] == row.times
        assert row.share == pytest.approx(row.times / matrix[row.genre].sum())
    assert found["times"].sum() == matrix.sum() - np.trace(matrix)
    assert found["times"].is_monotonic_decreasing


# Votes


def test_the_mean_rule_averages_the_slices_of_each_track():
    probabilities = np.array([[0.8, 0.2], [0.1, 0.9], [0.5, 0.5], [0.4, 0.6]])
    result = vote(probabilities, ["b", "a", "b", "a"], genres=["jazz", "rock"])
    assert result.index.tolist() == ["b", "a"]
    assert result.index.name == "track_id"
    assert result.columns.tolist() == ["jazz", "rock"]
    np.testing.assert_allclose(result, [[0.65, 0.35], [0.25, 0.75]])


def test_one_sure_slice_wins_the_mean_and_loses_the_majority():
    slices = pd.DataFrame({"jazz": [1.0, 0.4, 0.4], "rock": [0.0, 0.6, 0.6]})
    track = ["a"] * 3
    assert vote(slices, track).idxmax(axis=1)["a"] == "jazz"
    majority = vote(slices, track, rule="majority")
    assert majority.idxmax(axis=1)["a"] == "rock"
    np.testing.assert_allclose(majority.loc["a"], [1 / 3, 2 / 3], atol=1e-6)


def test_a_tied_majority_goes_to_the_higher_mean():
    slices = np.array([[0.6, 0.4, 0.0], [0.1, 0.9, 0.0], [0.3, 0.3, 0.4], [0.0, 0.0, 1.0]])
    result = vote(slices, ["a", "a", "b", "b"], rule="majority", genres=GENRES)
    assert result.idxmax(axis=1).to_dict() == {"a": "jazz", "b": "rock"}
    np.testing.assert_allclose(result.sum(axis=1), 1)


def test_a_tie_never_overturns_a_majority_of_one():
    slices = np.vstack([np.tile([0.51, 0.49], (501, 1)), np.tile([0.0, 1.0], (500, 1))])
    assert vote(slices, [0] * 1001, rule="majority").idxmax(axis=1)[0] == 0


def test_voting_leaves_the_probabilities_as_they_were():
    slices = pd.DataFrame({"jazz": [0.2, 0.8], "rock": [0.8, 0.2]})
    before = slices.copy()
    vote(slices, ["a", "b"])
    pd.testing.assert_frame_equal(slices, before)


@pytest.mark.parametrize(
    ("probabilities", "track_ids", "rule", "reason"),
    [
        ([[1.0, 0.0]], ["a", "b"], "mean", "1 rows of probabilities, but 2 track_ids"),
        ([[np.nan, 1.0]], ["a"], "mean", "diverged"),
        ([[1.0, 0.0]], ["a"], "loudest", 'use "mean" or "majority"'),
    ],
)
def test_votes_that_cannot_be_counted_are_refused(probabilities, track_ids, rule, reason):
    with pytest.raises(ValueError, match=reason):
        vote(probabilities, track_ids, rule)


# The benchmark of what leaks


def test_the_leak_benchmark_tells_artists_from_genres(tmp_path, capsys):
    random = np.random.default_rng(0)
    artist = np.repeat(np.arange(20), 5)
    label = np.where(artist < 10, "blues", "rock")
    sound = random.standard_normal((20, len(FEATURE_NAMES)))[artist]
    features = pd.DataFrame(
        sound + 0.1 * random.standard_normal(sound.shape), columns=FEATURE_NAMES
    ).assign(filename=[f"{genre}.{row:05}.wav" for row, genre in enumerate(label)], label=label)
    ids = features["track_id"] = features["filename"].str.removesuffix(".wav")
    for place, part in enumerate(("train", "valid", "test")):
        (tmp_path / f"{part}_filtered.txt").write_text("\n".join(features["filename"][place::3]))
    artists = pd.DataFrame({"track_id": ids, "artist": artist.astype(str)})
    table = leak.table(features, artists, lists=tmp_path).set_index("split")
    assert "without shared artists, the fault-filtered lists put no" in capsys.readouterr().err
    assert table["accuracy"]["random 5-fold"] > 0.95
    assert table["accuracy"]["artist 5-fold"] < 0.7
    assert (table["majority"]["random 5-fold"], len(table)) == (0.5, 3)
    text = leak.as_markdown(table.reset_index())
    assert text.startswith("| split | logistic regression |\n| --- | --- |\n| random 5-fold | ")


def told_apart_by(features: list[str], low: float, high: float) -> pd.DataFrame:
    """Return 40 tracks of two genres that differ in some features, and are noise in all others."""
    random = np.random.default_rng(0)
    measured = pd.DataFrame(random.uniform(size=(40, len(FEATURE_NAMES))), columns=FEATURE_NAMES)
    genre = np.repeat(["blues", "rock"], 20)
    measured.loc[genre == "blues", features] = low
    measured.loc[genre == "rock", features] = high
    return measured.assign(genre=genre)


def test_the_networks_see_variances_as_logarithms_and_all_else_as_it_is():
    tracks = told_apart_by(["spectral_centroid_var"], 0.0, 1e5)
    measured, codes, genres = leak._inputs(tracks)
    seen = pd.DataFrame(measured, columns=FEATURE_NAMES)
    assert np.isfinite(measured).all() and measured.dtype == np.float32
    assert seen["spectral_centroid_var"].iloc[-1] == pytest.approx(np.log(1e5))
    assert seen["tempo"].to_numpy() == pytest.approx(tracks["tempo"].to_numpy(), rel=1e-6)
    assert (genres[codes] == tracks["genre"]).all()


def test_networks_that_vote_learn_and_repeat_with_their_seed():
    tracks, rows = told_apart_by([f"mfcc{k}_mean" for k in range(1, 21)], -3.0, 3.0), np.arange(40)
    parts = rows[rows % 4 == 0], rows[rows % 4 == 1], rows[rows % 4 > 1]
    first, again = (leak.dense_networks(tracks, *parts, seed=1, epochs=20) for _ in range(2))
    assert np.mean(first == tracks["genre"].to_numpy()[parts[2]]) > 0.9
    assert first.tolist() == again.tolist()


def test_the_readme_shows_what_the_leak_benchmark_measures(real_data):
    features = read_features(real_data / "features_30_sec.csv")
    artists = read_index(real_data / "sturm" / "index.txt")
    table = leak.table(features, artists, lists=real_data / "sturm").set_index("split")["accuracy"]
    measured_elsewhere = {"random 5-fold": 0.72, "artist 5-fold": 0.53, "stratified": 0.69}
    for name, accuracy in (measured_elsewhere | {"fault-filtered": 0.56}).items():
        assert table[name] == pytest.approx(accuracy, abs=0.02)
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^\| ([\w, -]+) \| (0\.\d\d) \[", readme, flags=re.MULTILINE))
    assert set(shown) == set(table.index)
    for name, accuracy in shown.items():
        assert float(accuracy) == pytest.approx(table[name], abs=0.01)
