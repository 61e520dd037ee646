"""The table of the cnn benchmark."""

from __future__ import annotations

import pytest

from gtzan_helpers.benchmarks import cnn


def test_rounds_are_compared_within_themselves():
    measured = [
        ("jax", "Keras' own", 2.0, 4.0),
        ("jax", "ours", 1.0, 2.0),
        ("jax", "Keras' own", 20.0, 4.0),  # something else kept the machine busy in this round
        ("jax", "ours", 5.0, 2.0),
        ("jax", "Keras' own", 2.0, 4.0),
        ("jax", "ours", 0.5, 2.0),
    ]
    table = cnn._summary(measured, n_slices=100)
    assert table["slices_per_second"].tolist() == [50.0, 100.0]
    assert table["times_as_fast"].tolist() == [1.0, 4.0]
    assert table["processor_seconds"].tolist() == pytest.approx([40.0, 20.0])
