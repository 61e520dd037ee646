"""What the benchmarks compute, and how the long one resumes."""

from __future__ import annotations

import pandas as pd
import pytest

from benchmarks import cnn, reference


def test_all_turns_count_and_each_is_compared_within_its_round():
    measured = [
        ("tensorflow", "Keras' own", 2.0, 4.0),
        ("jax", "ours", 1.0, 2.0),
        ("tensorflow", "Keras' own", 20.0, 4.0),  # something kept the machine busy in this round
        ("jax", "ours", 5.0, 2.0),
        ("tensorflow", "Keras' own", 2.0, 4.0),
        ("jax", "ours", 0.4, 2.0),
    ]
    table = cnn._summary(measured, n_slices=100)
    assert table["slices_per_second"].tolist() == pytest.approx([12.5, 46.875])
    assert table["slowest"].tolist() == [5.0, 20.0]
    assert table["fastest"].tolist() == [50.0, 250.0]
    assert table["times_as_fast"].tolist() == pytest.approx([1.0, 3.75])
    assert table["in_a_turn"].tolist() == [1.0, 4.0]
    assert table["processor_seconds"].tolist() == pytest.approx([40.0, 20.0])


def test_the_table_has_a_row_for_each_way_of_training():
    table = cnn.table(n_samples=1600, batch_size=4, n_batches=2, rounds=2, backends=["jax"])
    assert table["layers"].tolist() == ["Keras' own", "ours"]
    assert (table["slowest"] <= table["slices_per_second"]).all()
    assert (table["slices_per_second"] <= table["fastest"]).all()


@pytest.fixture
def first_seed_done(tmp_path):
    row = dict.fromkeys(reference.COLUMNS, 0.5) | {"seed": 0, "tracks": 3, "network": "1-D CNN"}
    out = tmp_path / "reference.csv"
    reference.write_results(pd.DataFrame([row]), out)
    return out


def test_reference_training_goes_on_where_it_was_interrupted(first_seed_done, monkeypatch):
    trained = []

    def score(tracks: pd.DataFrame, seed: int, epochs: int, lists: None) -> list[dict]:
        trained.append(seed)
        return [dict.fromkeys(reference.COLUMNS, 0.5) | {"seed": seed, "tracks": 3}]

    monkeypatch.setattr(reference, "score_seed", score)
    results = reference.table(pd.DataFrame(index=range(3)), seeds=3, out=first_seed_done)
    assert trained == [1, 2]
    assert results["seed"].tolist() == [0, 1, 2]
    assert pd.read_csv(first_seed_done)["seed"].tolist() == [0, 1, 2]


def test_reference_results_of_other_tracks_are_not_mixed_in(first_seed_done):
    with pytest.raises(ValueError, match="on \\[3\\] tracks, and these are 100"):
        reference.table(pd.DataFrame(index=range(100)), out=first_seed_done)


def test_reference_divides_the_whole_of_gtzan_by_the_fault_filtered_lists(tmp_path):
    names = [f"{genre}.{number:05}" for genre in "abcdefghij" for number in range(100)]
    for part, ending in (("train", "0"), ("valid", "1"), ("test", "2")):
        listed = [f"{name[0]}/{name}.wav" for name in names if name.endswith(ending)]
        (tmp_path / f"{part}_filtered.txt").write_text("\n".join(listed), encoding="utf-8")
    genres = [name[0] for name in names]
    tracks = pd.DataFrame({"track_id": names, "genre": genres, "artist": names})
    by, parts = reference.divide(tracks, seed=0, lists=tmp_path)
    assert by == reference.FAULT_FILTERED
    sizes = {"train": 100, "validation": 100, "test": 100, "": 700}
    assert parts.value_counts().to_dict() == sizes
    assert reference.divide(tracks[:500], seed=0, lists=tmp_path)[0] == "artist"
