"""Cutting waveforms into slices, and feeding the slices of many tracks to a network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf

from benchmarks import slices as benchmark
from gtzan_helpers.audio import AudioError, read_audio
from gtzan_helpers.slices import SliceSet, cut
from gtzan_helpers.splits import split

RATE = 1000


def write_tracks(folder: Path, seconds: dict[str, float], rate: int = RATE) -> pd.DataFrame:
    """Write tracks of noise, named like "jazz.00000", and return their table."""
    rows = []
    for place, (name, duration) in enumerate(seconds.items()):
        noise = np.random.default_rng(place).uniform(-0.5, 0.5, round(duration * rate))
        path = folder / f"{name}.wav"
        sf.write(path, noise.astype(np.float32), rate, subtype="PCM_16")
        rows.append((name, name.split(".")[0], f"artist {place}", path))
    return pd.DataFrame(rows, columns=["track_id", "genre", "artist", "path"])


@pytest.fixture
def tracks(tmp_path: Path) -> pd.DataFrame:
    return write_tracks(tmp_path, {"rock.00000": 5.0, "blues.00000": 1.9, "jazz.00000": 3.5})


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


def test_cut_refuses_a_waveform_shorter_than_a_slice():
    with pytest.raises(ValueError, match="199 samples, less than one slice of 200"):
        cut(np.zeros(199), 100, seconds=2.0)


@pytest.mark.parametrize("lengths", [(0.0, 1.0), (2.0, 0.0), (-2.0, 1.0), (2.0, -1.0), (2, 0.001)])
def test_lengths_that_are_not_positive_are_refused(lengths, tracks):
    for use in (
        lambda: cut(np.zeros(1000), 100, *lengths),
        lambda: SliceSet(tracks, *lengths, 100),
    ):
        with pytest.raises(ValueError, match="one sample or more"):
            use()


# The slices of many tracks


def test_a_slice_set_holds_the_same_slices_as_cutting_by_hand(tracks: pd.DataFrame):
    slices = SliceSet(tracks, seconds=2.0, hop_seconds=0.5, sample_rate=RATE)
    by_hand = np.concatenate(
        [cut(read_audio(path, RATE), RATE, 2.0, 0.5) for path in tracks.path.iloc[[0, 2]]]
    )
    everything = slices.samples(np.arange(len(slices)))
    assert everything.dtype == np.float32
    np.testing.assert_array_equal(everything, by_hand)


def test_the_table_says_where_each_slice_comes_from(tracks: pd.DataFrame):
    table = SliceSet(tracks, sample_rate=RATE).table
    assert table.track_id.tolist() == ["rock.00000"] * 4 + ["jazz.00000"] * 2
    assert table.genre.tolist() == ["rock"] * 4 + ["jazz"] * 2
    assert table.artist.tolist() == ["artist 0"] * 4 + ["artist 2"] * 2
    assert table.recording.tolist() == table.track_id.tolist()
    assert table.start.tolist() == [0.0, 1.0, 2.0, 3.0, 0.0, 1.0]
    copied = SliceSet(tracks.assign(recording="one"), sample_rate=RATE).table
    assert set(copied.recording) == {"one"}


def test_slices_of_copies_stay_on_one_side(tmp_path: Path):
    lengths = {f"{genre}.{number:05}": 4.0 for genre in ("jazz", "rock") for number in range(6)}
    tracks = write_tracks(tmp_path, lengths)
    shutil.copy(tracks["path"][2], tracks["path"][9])
    table = SliceSet(tracks, sample_rate=RATE).table
    copies = table["track_id"].isin(["jazz.00002", "rock.00003"])
    assert len(set(table["recording"][copies])) == 1
    for seed in range(20):
        assert len(set(split(table, by="artist", seed=seed)[copies])) == 1


def test_a_slice_set_never_mixes_tracks_and_never_pads(tmp_path: Path):
    rows = []
    for level in range(1, 6):
        path = tmp_path / f"rock.{level:05d}.wav"
        sf.write(path, np.full(1000 * level + 137 * level, level / 8, np.float32), RATE)
        rows.append((path.stem, "rock", "", path))
    tracks = pd.DataFrame(rows, columns=["track_id", "genre", "artist", "path"])
    slices = SliceSet(tracks, seconds=0.7, hop_seconds=0.1, sample_rate=RATE)
    samples = slices.samples(np.arange(len(slices)))
    level = slices.table.track_id.str[-1].astype(int).to_numpy()
    np.testing.assert_array_equal(samples, np.repeat(level[:, None] / 8, 700, axis=1))


def test_tracks_shorter_than_a_slice_are_named(tracks: pd.DataFrame):
    slices = SliceSet(tracks, sample_rate=RATE)
    assert slices.too_short == ["blues.00000"]
    assert slices.genres == ["jazz", "rock"]
    assert slices.labels(range(6)).tolist() == [1, 1, 1, 1, 0, 0]


def test_rows_are_positions_or_a_mask(tracks: pd.DataFrame):
    slices = SliceSet(tracks, sample_rate=RATE)
    mask = slices.table.genre == "jazz"
    np.testing.assert_array_equal(slices.samples(mask), slices.samples([4, 5]))
    np.testing.assert_array_equal(slices.labels(mask.to_numpy()), [0, 0])
    assert len(slices.samples(2)) == 1
    for wrong in (mask[:3], [6], [0.5]):
        with pytest.raises(IndexError):
            slices.samples(wrong)
    for use in (slices.samples, slices.amplitude, slices.batches):
        with pytest.raises(ValueError, match="no slices were chosen"):
            use(slices.table.genre == "polka")


def test_amplitude_is_the_standard_deviation_of_the_tracks_that_the_rows_come_from(tracks):
    slices = SliceSet(tracks, sample_rate=RATE)
    rock, jazz = (read_audio(path, RATE) for path in tracks.path.iloc[[0, 2]])
    assert slices.amplitude([0]) == pytest.approx(rock.std(), rel=1e-5)
    both = np.concatenate([rock, jazz]).std()
    assert slices.amplitude(np.arange(6)) == pytest.approx(both, rel=1e-5)


def test_tracks_of_another_rate_are_resampled(tmp_path: Path):
    tracks = write_tracks(tmp_path, {"rock.00000": 3.0}, rate=2 * RATE)
    assert SliceSet(tracks, sample_rate=RATE).samples([0]).shape == (1, 2 * RATE)


def test_memory_holds_no_track(tracks: pd.DataFrame):
    slices = SliceSet(tracks, sample_rate=RATE)
    held = [value for value in vars(slices).values() if isinstance(value, np.ndarray)]
    assert sum(array.nbytes for array in held) < 40 * len(slices) + 100


def test_a_second_slice_set_reads_no_track_again(tracks: pd.DataFrame, capsys):
    first = SliceSet(tracks, sample_rate=RATE)
    assert "read tracks" in capsys.readouterr().err
    second = SliceSet(tracks, seconds=1.0, sample_rate=RATE)
    assert capsys.readouterr().err == ""
    np.testing.assert_array_equal(first.samples([0])[0, :RATE], second.samples([0])[0])


def test_a_changed_track_is_read_again(tracks: pd.DataFrame):
    before = SliceSet(tracks, sample_rate=RATE).samples([0])
    sf.write(tracks.path[0], np.zeros(4000), RATE)
    assert before.any()
    assert not SliceSet(tracks, sample_rate=RATE).samples([0]).any()


def test_programs_may_make_the_same_slice_set_at_once(tracks: pd.DataFrame):
    with ThreadPoolExecutor(4) as workers:
        sets = list(workers.map(lambda _: SliceSet(tracks, sample_rate=RATE), range(4)))
    for slices in sets:
        np.testing.assert_array_equal(slices.samples([5]), sets[0].samples([5]))
    folder = Path(os.environ["GTZAN_CACHE"]) / "samples"
    assert not list(folder.glob("*.part"))


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_text("not audio")])
def test_a_track_that_cannot_be_read_is_named_and_nothing_is_left_behind(tracks, spoil):
    spoil(tracks.path[1])
    with pytest.raises(AudioError, match=r"blues\.00000\.wav"):
        SliceSet(tracks, sample_rate=RATE)
    assert not list(Path(os.environ["GTZAN_CACHE"]).rglob("*.part"))


def test_tracks_that_are_all_too_short_are_refused(tracks: pd.DataFrame):
    with pytest.raises(ValueError, match=r"of 3 tracks none.*longest has 5.00 s"):
        SliceSet(tracks, seconds=6.0, sample_rate=RATE)
    with pytest.raises(ValueError, match="of 0 tracks none"):
        SliceSet(tracks[:0], sample_rate=RATE)


def test_slices_alone_need_no_keras():
    code = "import sys, gtzan_helpers.slices; assert 'keras' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# Batches


def seen(batches: object) -> np.ndarray:
    """Return the first sample of every slice, over an epoch of batches."""
    return np.concatenate(
        [samples[:, 0] for samples, _ in (batches[i] for i in range(len(batches)))]
    )


def test_batches_in_order_hold_every_chosen_slice_once(tracks: pd.DataFrame):
    slices = SliceSet(tracks, hop_seconds=0.25, sample_rate=RATE)
    rows = np.flatnonzero(slices.table.genre == "rock")
    batches = slices.batches(rows, batch_size=4, shuffle=False)
    np.testing.assert_array_equal(seen(batches), slices.samples(rows)[:, 0])
    samples, labels = batches[len(batches) - 1]
    assert len(samples) == len(labels) == 1
    assert set(labels) == {slices.genres.index("rock")}


def test_shuffled_batches_hold_every_slice_with_its_label_and_have_one_size(tracks: pd.DataFrame):
    slices = SliceSet(tracks, hop_seconds=0.25, sample_rate=RATE)
    everything = slices.samples(np.arange(len(slices)))[:, 0]
    genre_of = dict(zip(everything, slices.table.genre, strict=True))
    batches = slices.batches(np.arange(len(slices)), batch_size=8)
    assert set(seen(batches)) == set(everything)
    for samples, labels in (batches[i] for i in range(len(batches))):
        assert len(samples) == 8
        assert [genre_of[s] for s in samples[:, 0]] == [slices.genres[label] for label in labels]


def test_the_order_changes_with_every_epoch_and_repeats_with_the_seed(tracks: pd.DataFrame):
    slices = SliceSet(tracks, hop_seconds=0.25, sample_rate=RATE)
    everything = np.arange(len(slices))
    batches = slices.batches(everything, seed=1)
    first = seen(batches)
    batches.on_epoch_end()
    second = seen(batches)
    again, other = slices.batches(everything, seed=1), slices.batches(everything, seed=2)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(seen(again), first)
    assert not np.array_equal(seen(other), first)


# On real tracks


def test_real_tracks_of_30_seconds_give_29_slices_or_28(real_data: Path):
    paths = sorted(real_data.glob("gtzan_dev/blues/*.wav"))
    tracks = pd.DataFrame(
        {"track_id": [p.stem for p in paths], "genre": "blues", "artist": "", "path": paths}
    )
    slices = SliceSet(tracks)
    assert set(slices.table.groupby("track_id").size()) <= {28, 29}
    name, start = slices.table.loc[40, ["track_id", "start"]]
    by_hand = cut(read_audio(tracks.set_index("track_id").path[name]))[int(start)]
    np.testing.assert_array_equal(slices.samples([40])[0], by_hand)


def test_the_benchmark_of_slices_counts_what_copies_would_take(tmp_path):
    tracks = write_tracks(tmp_path, {f"rock.0000{place}": 5.0 for place in range(3)}, rate=22050)
    result = benchmark.table(tracks).set_index("step")
    copies = result.loc["every slice copied, float32", "MB"]
    assert copies == pytest.approx(3 * 4 * 44100 * 4 / 2**20)
    assert (result["slices_per_second"].dropna() > 0).all() and len(result) == 4
