"""The table of the cnn benchmark."""

from __future__ import annotations

import pytest

from gtzan_helpers.benchmarks import cnn


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
