"""musicnn: the same numbers as its authors' network gives, and what is built on them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import gtzan_helpers as gh
from benchmarks.musicnn_weights import chance_weights, shapes
from gtzan_helpers import pretrained as room


def sounds(seconds: float) -> np.ndarray:
    """Return fading tones and bursts of noise at 16 000 Hz."""
    time = np.arange(round(seconds * 16000)) / 16000
    tones = 0.3 * np.sin(2 * np.pi * 440 * time) * np.exp(-4 * (time % 0.5))
    noise = np.random.default_rng(0).normal(size=len(time)) * np.exp(-20 * (time % 0.25))
    return (tones + 0.1 * noise).astype(np.float32)


def test_tags_are_those_of_the_original_weights_in_full_precision():
    embeddings, tags = gh.musicnn(sounds(3))
    assert embeddings.shape == (1, 200) and tags.shape == (1, 50)
    given = dict(zip(room.TAGS, tags[0], strict=True))
    # Of an independent forward pass through the authors' 32-bit weights.
    expected = {"drums": 0.3388, "female": 0.2867, "beat": 0.2390, "female vocal": 0.2118}
    expected |= {"woman": 0.2116, "pop": 0.1660}
    assert {name: given[name] for name in expected} == pytest.approx(expected, abs=0.003)
    np.testing.assert_allclose(embeddings[0, :4], [-0.080, -0.033, 0.729, -0.186], atol=0.01)


def test_all_weights_of_the_paper_are_there():
    stored = room._weights()
    assert {name: array.shape for name, array in stored.items()} == shapes()
    assert sum(math.prod(shape) for shape in shapes().values()) == 792_079


@pytest.mark.parametrize("place", [1, 4, 6])
def test_a_convolution_is_that_of_keras(place):
    import keras

    weights = chance_weights(seed=1)
    kernel = weights[f"conv2d_{place}/kernel"]
    length, height, _, n_filters = kernel.shape
    picture = np.random.default_rng(0).normal(size=(40, height + 2)).astype(np.float32)
    layer = keras.layers.Conv2D(n_filters, (length, height), activation="relu")
    padded = np.pad(picture, (((length - 1) // 2, length // 2), (0, 0)))[None, :, :, None]
    layer.build(padded.shape)
    layer.set_weights([kernel, weights[f"conv2d_{place}/bias"]])
    expected = np.asarray(layer(padded))[0] / np.sqrt(1 + 1e-3)
    found = room._convolve(picture, place, weights)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize(("seconds", "n_patches"), [(0.5, 1), (5.9, 1), (6.0, 2)])
def test_there_is_an_answer_for_each_whole_three_seconds(seconds, n_patches):
    embeddings, tags = gh.musicnn(sounds(seconds))
    assert embeddings.shape == (n_patches, 200)
    assert ((tags > 0) & (tags < 1)).all()


def test_an_orchestra_gets_other_tags_than_a_voice():
    songs = gh.load_songs().set_index("song")["path"]
    best = {}
    for song in ("brahms_hungarian_dance_5", "speech_sense_and_sensibility"):
        _, tags = gh.musicnn(gh.read_audio(songs[song], room.SAMPLE_RATE, seconds=12))
        best[song] = {room.TAGS[place] for place in tags.mean(axis=0).argsort()[-6:]}
    assert {"classical", "strings", "violin"} < best["brahms_hungarian_dance_5"]
    assert {"female", "woman"} < best["speech_sense_and_sensibility"]


def test_the_table_holds_what_musicnn_makes_of_the_real_tracks(real_data):
    table = gh.load_embeddings().set_index("track_id")
    assert table.shape == (500, 250)
    paths = sorted((real_data / "gtzan_dev").rglob("blues.0*"), key=lambda path: path.name)
    found = [path for path in paths if Path(path).stem in table.index][:2]
    assert found
    for path in found:
        parts = gh.musicnn(gh.read_audio(path, room.SAMPLE_RATE))
        means = np.concatenate([part.mean(axis=0) for part in parts])
        np.testing.assert_allclose(table.loc[path.stem], means, atol=0.01)
