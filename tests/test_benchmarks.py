"""What the benchmarks compute, and how the long one resumes."""

from __future__ import annotations

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

    def score(tracks: pd.DataFrame, seed: int, epochs: int, lists: None) -> list[dict]:
        trained.append(seed)
        return [dict.fromkeys(reference.COLUMNS, 0.5) | {"seed": seed, "tracks": len(tracks)}]

    monkeypatch.setattr(reference, "score_seed", score)
    out = tmp_path / "reference.csv"
    reference.table(pd.DataFrame(index=range(3)), seeds=1, out=out)
    results = reference.table(pd.DataFrame(index=range(3)), seeds=3, out=out)
    assert trained == [0, 1, 2]
    assert results["seed"].tolist() == pd.read_csv(out)["seed"].tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="100"):  # results on other tracks are not mixed in
        reference.table(pd.DataFrame(index=range(100)), out=out)


def test_reference_divides_the_whole_of_gtzan_by_the_fault_filtered_lists(tmp_path):
    names = [f"{genre}.{number:05}" for genre in "abcdefghij" for number in range(100)]
    for part, ending in (("train", "0"), ("valid", "1"), ("test", "2")):
        listed = [f"{name[0]}/{name}.wav" for name in names if name.endswith(ending)]
        (tmp_path / f"{part}_filtered.txt").write_text("\n".join(listed), encoding="utf-8")
    genres = [name[0] for name in names]
    tracks = pd.DataFrame({"track_id": names, "genre": genres, "artist": names, "recording": names})
    by, parts = reference.divide(tracks, seed=0, lists=tmp_path)
    assert by == reference.FAULT_FILTERED
    sizes = {"train": 100, "validation": 100, "test": 100, "": 700}
    assert parts.value_counts().to_dict() == sizes
    assert reference.divide(tracks[:500], seed=0, lists=tmp_path)[0] == "artist"
