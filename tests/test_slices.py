"""Cutting waveforms into slices, and feeding the slices of many tracks to a network."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf

from benchmarks import slices as benchmark
from gtzan_helpers.audio import AudioError, read_audio
from gtzan_helpers.slices import SliceSet, cut

RATE = 1000
NAMES = ["rock.00000", "blues.00000", "jazz.00000"]


def write_tracks(folder: Path, seconds: list[float], rate: int = RATE) -> pd.DataFrame:
    """Write tracks of noise of these lengths, and return their table."""
    paths = [folder / f"{name}.wav" for name in NAMES[: len(seconds)]]
    for place, (path, duration) in enumerate(zip(paths, seconds, strict=True)):
        noise = np.random.default_rng(place).uniform(-0.5, 0.5, round(duration * rate))
        sf.write(path, noise.astype(np.float32), rate, subtype="PCM_16")
    tracks = pd.DataFrame({"track_id": NAMES[: len(seconds)], "path": paths})
    genre, artist = tracks["track_id"].str.split(".").str[0], "of " + tracks["track_id"]
    return tracks.assign(genre=genre, artist=artist, recording=tracks["track_id"])


@pytest.fixture
def tracks(tmp_path: Path) -> pd.DataFrame:
    return write_tracks(tmp_path, [5.0, 1.9, 3.5])


@pytest.fixture
def slices(tracks: pd.DataFrame) -> SliceSet:
    """Four slices of a rock track and two of a jazz track, of two seconds."""
    return SliceSet(tracks, sample_rate=RATE)


# Cutting


@pytest.mark.parametrize(
    ("n_samples", "hop_seconds", "starts"),
    [(299, 1, [0]), (301, 1, [0, 100]), (350, 0.5, [0, 50, 100, 150]), (700, 3, [0, 300])],
)
def test_slices_begin_where_the_hop_says_and_none_is_filled_up(n_samples, hop_seconds, starts):
    samples = np.arange(n_samples)
    slices = cut(samples, sample_rate=100, seconds=2.0, hop_seconds=hop_seconds)
    assert np.shares_memory(slices, samples) and not slices.flags.writeable
    np.testing.assert_array_equal(slices, [samples[start : start + 200] for start in starts])


@pytest.mark.parametrize(
    ("lengths", "named"),
    [
        *(
            ((*lengths,), "hop_seconds")
            for lengths in [(0, 1), (2, 0), (-2, 1), (2, -1), (2, 1e-4)]
        ),
        ((6.0, 1.0), "5"),
    ],
)
def test_lengths_that_are_not_positive_or_too_long_are_refused(lengths, named, tracks):
    for use in (
        lambda: cut(np.zeros(5000), RATE, *lengths),
        lambda: SliceSet(tracks, *lengths, sample_rate=RATE),
    ):
        with pytest.raises(ValueError, match=named):
            use()


# The slices of many tracks


def test_a_slice_set_holds_the_same_slices_as_cutting_by_hand(tracks):
    slices = SliceSet(tracks, seconds=2.0, hop_seconds=0.5, sample_rate=RATE)
    by_hand = [cut(read_audio(path, RATE), RATE, 2.0, 0.5) for path in tracks["path"][[0, 2]]]
    everything = slices.samples(range(len(slices)))
    assert everything.dtype == np.float32
    np.testing.assert_array_equal(everything, np.concatenate(by_hand))


def test_the_table_says_where_slices_come_from_and_short_tracks_are_named(slices):
    assert slices.too_short == ["blues.00000"]
    assert slices.genres == ["jazz", "rock"]
    assert slices.labels(range(6)).tolist() == [1, 1, 1, 1, 0, 0]
    assert slices.table["track_id"].tolist() == ["rock.00000"] * 4 + ["jazz.00000"] * 2
    assert slices.table["start"].tolist() == [0.0, 1.0, 2.0, 3.0, 0.0, 1.0]
    assert list(slices.table) == ["track_id", "genre", "artist", "recording", "start"]


def test_rows_are_positions_or_a_mask(slices):
    mask = slices.table["genre"] == "jazz"
    np.testing.assert_array_equal(slices.samples(mask), slices.samples([4, 5]))
    np.testing.assert_array_equal(slices.labels(mask.to_numpy()), [0, 0])
    for wrong in (mask[:3], [6], [0.5]):
        with pytest.raises(IndexError):
            slices.samples(wrong)
    for use in (slices.samples, slices.amplitude, slices.batches):
        with pytest.raises(ValueError, match="rows"):
            use(slices.table["genre"] == "polka")


def test_amplitude_is_the_standard_deviation_of_the_tracks_that_rows_come_from(tracks, slices):
    rock, jazz = (read_audio(path, RATE) for path in tracks["path"][[0, 2]])
    assert slices.amplitude([0]) == pytest.approx(rock.std(), rel=1e-5)
    both = np.concatenate([rock, jazz]).std()
    assert slices.amplitude(range(len(slices))) == pytest.approx(both, rel=1e-5)


def test_memory_holds_no_track(slices):
    held = [value for value in vars(slices).values() if isinstance(value, np.ndarray)]
    assert sum(array.nbytes for array in held) < 40 * len(slices) + 100


def test_a_track_is_read_again_only_when_it_has_changed(tracks, slices, capsys):
    before = slices.samples([0])
    capsys.readouterr()
    again = SliceSet(tracks, seconds=1.0, sample_rate=RATE)
    assert capsys.readouterr().err == ""  # no progress bar, for nothing is read
    np.testing.assert_array_equal(again.samples([0])[0], before[0, :RATE])
    sf.write(tracks["path"][0], np.zeros(4000), RATE)
    assert not SliceSet(tracks, sample_rate=RATE).samples([0]).any()


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_text("not audio")])
def test_a_track_that_cannot_be_read_is_named_and_nothing_is_left_behind(tracks, spoil):
    spoil(tracks["path"][1])
    with pytest.raises(AudioError, match=r"blues\.00000\.wav"):
        SliceSet(tracks, sample_rate=RATE)
    assert not list(Path(os.environ["GTZAN_CACHE"]).rglob("*.part"))


# Batches


def firsts(batches: object) -> list[np.float32]:
    """Return the first sample of every slice, over an epoch of batches."""
    return [first for place in range(len(batches)) for first in batches[place][0][:, 0]]


def test_batches_in_order_hold_every_chosen_slice_once(slices):
    batches = slices.batches(slices.table["genre"] == "rock", batch_size=3, shuffle=False)
    assert firsts(batches) == slices.samples(range(4))[:, 0].tolist()
    assert [labels.tolist() for _, labels in (batches[0], batches[1])] == [[1, 1, 1], [1]]


def test_shuffled_batches_hold_every_slice_with_its_label_and_have_one_size(slices):
    genres = dict(
        zip(
            slices.samples(range(len(slices)))[:, 0], slices.labels(range(len(slices))), strict=True
        )
    )
    batches = slices.batches(range(len(slices)), batch_size=4)
    assert set(firsts(batches)) == set(genres)
    for samples, labels in (batches[0], batches[1]):
        assert [genres[first] for first in samples[:, 0]] == labels.tolist() and len(labels) == 4


def test_the_order_changes_with_every_epoch_and_repeats_with_the_seed(tracks):
    slices = SliceSet(tracks, hop_seconds=0.1, sample_rate=RATE)
    batches = slices.batches(range(len(slices)), seed=1)
    first = firsts(batches)
    batches.on_epoch_end()
    assert firsts(batches) != first
    assert firsts(slices.batches(range(len(slices)), seed=1)) == first
    assert firsts(slices.batches(range(len(slices)), seed=2)) != first


# On real tracks


def test_real_tracks_of_30_seconds_give_29_slices_or_28(real_data):
    paths = sorted(real_data.glob("gtzan_dev/blues/*.wav"))
    tracks = pd.DataFrame({"track_id": [p.stem for p in paths], "genre": "blues", "path": paths})
    slices = SliceSet(tracks)
    assert set(slices.table.groupby("track_id").size()) <= {28, 29}
    name, start = slices.table.loc[40, ["track_id", "start"]]
    by_hand = cut(read_audio(tracks.set_index("track_id")["path"][name]))[int(start)]
    np.testing.assert_array_equal(slices.samples([40])[0], by_hand)


def test_the_benchmark_of_slices_counts_what_copies_would_take(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "BATCH_SIZE", 8)
    monkeypatch.setattr(benchmark, "N_TRAINED", 1)
    tracks = write_tracks(tmp_path, [5.0, 5.0, 5.0], rate=22050)
    result = benchmark.table(tracks).set_index("step")
    copies = result.loc["every slice copied, float32", "MB"]
    assert copies == pytest.approx(3 * 4 * 44100 * 4 / 2**20)
    assert (result["slices_per_second"].dropna() > 0).all() and len(result) == 4


def test_a_slice_is_moved_by_a_shift_and_no_farther_than_its_track_goes(slices):
    rows = [0, 0, len(slices) - 1]
    at, moved = slices.samples(rows), slices.samples(rows, [-5, 5, 10**9])
    np.testing.assert_array_equal(moved[0], at[0])
    np.testing.assert_array_equal(moved[1][:-5], at[1][5:])
    beyond = slices.samples(rows[2:], len(at[2]))  # the end of its track, too
    np.testing.assert_array_equal(moved[2], beyond[0])


def test_augmented_batches_are_the_same_music_begun_elsewhere_louder_or_upside_down(tracks):
    slices = SliceSet(tracks, 0.5, 0.25, RATE)
    rows = np.full(60, 1)
    (samples, labels), (again, _) = (slices.batches(rows, 60, augment=True)[0] for _ in range(2))
    np.testing.assert_array_equal(samples, again)  # the seed decides
    assert (labels == slices.labels([1])[0]).all()
    shifts = range(-slices.n_hop // 2, slices.n_hop // 2 + 1)
    moved = slices.samples(np.full(len(shifts), 1), list(shifts))
    products = samples @ moved.T
    alike = products / np.linalg.norm(samples, axis=1)[:, None] / np.linalg.norm(moved, axis=1)
    best = np.abs(alike).argmax(axis=1)
    signs = alike[np.arange(60), best]
    assert np.abs(signs).min() > 0.999  # each is a shifted copy of the slice, times a number
    assert 10 < (signs < 0).sum() < 50 and len(set(best)) > 20
    gains = 20 * np.log10(np.linalg.norm(samples, axis=1) / np.linalg.norm(moved[best], axis=1))
    assert np.abs(gains).max() <= 6.01 and np.ptp(gains) > 6
