"""What the benchmarks compute, and how the long one resumes."""

import pandas as pd
import pytest

from benchmarks import cnn, reference


def test_the_table_has_a_row_for_each_way_of_training():
    table = cnn.table(n_samples=1600, batch_size=4, n_batches=1, rounds=2, backends=["jax"])
    assert table["layers"].tolist() == ["Keras' own", "ours"]
    assert (table["slowest"] <= table["slices_per_second"]).all()
    assert (table["slices_per_second"] <= table["fastest"]).all()


def test_reference_training_goes_on_where_it_was_interrupted(tmp_path, monkeypatch):
    trained = []

    def score(tracks, seed, epochs, lists):
        trained.append(seed)
        return [dict.fromkeys(reference.COLUMNS, 0.5) | {"seed": seed, "tracks": len(tracks)}]

    monkeypatch.setattr(reference, "score_seed", score)
    tracks, out = pd.DataFrame(index=range(3)), tmp_path / "reference.csv"
    reference.table(tracks, seeds=1, out=out)
    results = reference.table(tracks, seeds=3, out=out)
    assert trained == results["seed"].tolist() == pd.read_csv(out)["seed"].tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="2"):  # results on other tracks are not mixed in
        reference.table(tracks[:2], out=out)
