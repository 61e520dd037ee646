"""Scores against closed forms and counting by hand, and votes."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from IPython.lib.pretty import pretty
from scipy.stats import binom, binomtest

from benchmarks import leak
from gtzan_helpers.evaluation import (
    Score,
    accuracy_interval,
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


@pytest.mark.parametrize(
    ("n_right", "n_rows", "slack"),
    [(62, 100, 0.017), (700, 1000, 0.004), (9, 10, 0.15), (0, 30, 0), (30, 30, 0), (1, 1, 0)],
)
def test_the_interval_of_independent_rows_is_binomial(n_right, n_rows, slack):
    score = accuracy_interval(*answers(n_right, n_rows))
    expected = binom.ppf([0.025, 0.975], n_rows, n_right / n_rows) / n_rows
    assert score.accuracy == n_right / n_rows
    assert score.majority == -(-n_rows // 3) / n_rows
    assert [score.low, score.high] == pytest.approx(expected, abs=slack)


def test_copies_of_a_row_do_not_narrow_the_interval_of_its_group():
    truth, predicted = answers(31, 50)
    other, copies = np.roll(predicted, 3), np.repeat(np.arange(50), 20)
    once = accuracy_interval(truth, predicted)
    assert accuracy_interval(truth[copies], predicted[copies], copies) == pytest.approx(once)
    naive = accuracy_interval(truth[copies], predicted[copies])
    assert naive.high - naive.low < 0.3 * (once.high - once.low)
    difference = paired_difference(truth[copies], predicted[copies], other[copies], copies)
    assert difference == pytest.approx(paired_difference(truth, predicted, other))


def test_the_interval_of_uneven_groups_is_that_of_resampling_them_one_by_one():
    random = np.random.default_rng(0)
    groups = random.integers(0, 25, 200)
    truth = random.choice(GENRES, 200)
    predicted = np.where(random.random(200) < 0.3 + groups / 50, truth, "pop")
    right = [(truth == predicted)[groups == group] for group in np.unique(groups)]
    accuracies = []
    for _ in range(4000):
        drawn = random.integers(0, len(right), len(right))
        accuracies.append(np.concatenate([right[group] for group in drawn]).mean())
    names = pd.Series([f"artist {group}" for group in groups])
    score = accuracy_interval(truth, predicted, names)
    expected = np.quantile(accuracies, [0.025, 0.975])
    assert [score.low, score.high] == pytest.approx(expected, abs=0.015)
    order = random.permutation(200)
    assert accuracy_interval(truth[order], predicted[order], names[order]) == pytest.approx(score)


def test_a_score_reads_as_a_sentence():
    score = Score(0.617, 0.55, 0.694, 0.1)
    assert str(score) == pretty(score) == "accuracy 0.62  [0.55, 0.69]  majority 0.10"


def test_the_p_value_is_near_that_of_the_exact_test_of_discordant_rows():
    truth = np.full(200, "blues")
    first = np.where(np.arange(200) < 130, "blues", "rock")
    second = np.where((np.arange(200) >= 22) & (np.arange(200) < 140), "blues", "rock")
    result = paired_difference(truth, first, second)
    assert result.difference == pytest.approx((22 - 10) / 200)
    assert result.p_value == pytest.approx(binomtest(10, 32).pvalue, abs=0.03)
    wald = 1.96 * np.sqrt(32 / 200 - 0.06**2) / np.sqrt(200)
    assert [result.low, result.high] == pytest.approx([0.06 - wald, 0.06 + wald], abs=0.01)


def test_pairing_sees_a_small_difference_that_two_intervals_would_hide():
    (truth, worse), (_, better) = answers(100, 200), answers(112, 200)
    there, back = (paired_difference(truth, *two) for two in ((better, worse), (worse, better)))
    assert there.low > 0 and there.p_value < 0.01
    assert there[:3] == pytest.approx((-back.difference, -back.high, -back.low))
    assert accuracy_interval(truth, worse).high > accuracy_interval(truth, better).low
    assert paired_difference(truth, worse, worse) == (0, 0, 0, 1)


def test_genres_are_counted_as_by_hand():
    truth = ["blues", "blues", "jazz", "jazz", "jazz", "rock"]
    predicted = ["blues", "jazz", "jazz", "blues", "blues", "polka"]
    report = genre_report(truth, predicted)
    assert report.index.name == "genre"
    assert report.T.to_dict("list") == {
        "blues": pytest.approx([1 / 3, 1 / 2, 2 / 5, 2]),
        "jazz": pytest.approx([1 / 2, 1 / 3, 2 / 5, 3]),
        "polka": [0, 0, 0, 0],
        "rock": [0, 0, 0, 1],
    }


def test_the_mean_rule_averages_the_slices_of_each_track():
    probabilities = np.array([[0.8, 0.2], [0.1, 0.9], [0.5, 0.5], [0.4, 0.6]])
    result = vote(probabilities, ["b", "a", "b", "a"], genres=["jazz", "rock"])
    expected = pd.DataFrame(
        {"jazz": [0.65, 0.25], "rock": [0.35, 0.75]}, pd.Index(["b", "a"], name="track_id")
    )
    pd.testing.assert_frame_equal(result, expected)


@pytest.mark.parametrize(
    ("slices", "shares"),
    [
        ([[1.0, 0.0], [0.4, 0.6], [0.4, 0.6]], [1 / 3, 2 / 3]),  # one sure slice does not win
        ([[0.6, 0.4], [0.1, 0.9]], [0.5, 0.5]),  # a tie goes to the higher mean
        ([[0.49, 0.51]] * 501 + [[1.0, 0.0]] * 500, [500 / 1001, 501 / 1001]),
    ],
)
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_majority_rule_counts_slices_and_settles_ties_by_the_mean(slices, shares, kind):
    table = pd.DataFrame(slices, columns=["jazz", "rock"], dtype=kind)
    before = table.copy()
    result = vote(table, ["a"] * len(slices), rule="majority").loc["a"]
    assert result.idxmax() == "rock"
    assert result.tolist() == pytest.approx(shares, abs=1e-6)
    pd.testing.assert_frame_equal(table, before)


@pytest.mark.parametrize(
    ("probabilities", "rule", "reason"),
    [([[np.nan, 1.0]], "mean", "diverged"), ([[1.0, 0.0]], "loudest", "loudest.*majority")],
)
def test_votes_that_cannot_be_counted_are_refused(probabilities, rule, reason):
    with pytest.raises(ValueError, match=reason):
        vote(probabilities, ["a"], rule)


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
    assert "without shared artists" in capsys.readouterr().err
    assert table["accuracy"]["random 5-fold"] > 0.95 and len(table) == 3
    assert table["accuracy"]["artist 5-fold"] < 0.7
    assert table["majority"]["random 5-fold"] == 0.5
    assert (
        leak.as_markdown(table.reset_index(), "split", "classifier")
        .splitlines()[2]
        .startswith("| random 5-fold | ")
    )


def test_networks_that_vote_learn_and_repeat_with_their_seed(monkeypatch):
    monkeypatch.setattr(leak, "VOTERS", 2)
    random, rows = np.random.default_rng(0), np.arange(40)
    tracks = pd.DataFrame(random.uniform(size=(40, len(FEATURE_NAMES))), columns=FEATURE_NAMES)
    tracks["genre"] = np.repeat(["blues", "rock"], 20)
    tracks["spectral_centroid_var"] *= np.repeat([0.0, 1e5], 20)  # seen as a logarithm
    tracks[[f"mfcc{k}_mean" for k in range(1, 21)]] += np.repeat([-3.0, 3.0], 20)[:, None]
    parts = rows[rows % 4 == 0], rows[rows % 4 == 1], rows[rows % 4 > 1]
    first, again = (leak.dense_networks(tracks, *parts, seed=1, epochs=20) for _ in range(2))
    assert np.mean(first == tracks["genre"].to_numpy()[parts[2]]) > 0.9
    assert first.tolist() == again.tolist()


@pytest.mark.long
def test_the_readme_shows_what_the_leak_benchmark_measures(real_data):
    features = read_features(real_data / "features_30_sec.csv")
    artists = read_index(real_data / "sturm" / "index.txt")
    table = leak.table(features, artists, lists=real_data / "sturm").set_index("split")["accuracy"]
    measured_elsewhere = {"random 5-fold": 0.72, "artist 5-fold": 0.53, "stratified": 0.69}
    for name, accuracy in (measured_elsewhere | {"fault-filtered": 0.56}).items():
        assert table[name] == pytest.approx(accuracy, abs=0.02)
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    block = readme.partition("<!-- leak -->")[2].partition("<!-- /leak -->")[0]
    shown = dict(re.findall(r"^\| ([\w, -]+) \| (0\.\d\d) \[", block, flags=re.MULTILINE))
    assert set(shown) == set(table.index)
    for name, accuracy in shown.items():
        assert float(accuracy) == pytest.approx(table[name], abs=0.01)
