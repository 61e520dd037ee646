"""The two networks: the paper's sizes, training, and what is kept of it."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import scipy.signal
import soundfile

from gtzan_helpers.networks import (
    LAYOUTS,
    abdoli_cnn,
    choose_layout,
    dense_network,
    fit,
    gammatone_filters,
    keras,
    mel_cnn,
)
from gtzan_helpers.slices import SliceSet

GAMMATONE = {"gammatone": True, "sample_rate": 16000}


def waveforms(n: int, n_samples: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, n_samples)).astype(np.float32)


@pytest.mark.parametrize(
    ("n_samples", "options", "lengths", "n_weights"),
    [
        (50999, {}, [25468, 3183, 1576, 197, 91, 42, 20, 5], 421146),
        (32000, {}, [15969, 1996, 983, 122, 54, 24, 11, 2], 322842),
        (16000, {}, [7969, 996, 483, 60, 23, 8], 256538),
        (16000, GAMMATONE, [15489, 1936, 953, 119, 52, 23], 550506),
        (8000, {}, [3969, 496, 233, 29, 7], 116890),
        (1600, {}, [785, 392, 189, 94, 44], 394906),
        (44100, {}, [22019, 2752, 1361, 170, 78, 36, 17, 4], 388378),  # ours: 2 s at 22 050 Hz
    ],
)
def test_layers_are_as_long_and_weights_as_many_as_in_the_paper(
    n_samples, options, lengths, n_weights
):
    network = abdoli_cnn(n_samples, **options)
    named = [layer for layer in network.layers if layer.name[:2] in ("CL", "PL")]
    assert [layer.output.shape[1] for layer in named] == lengths
    assert sum(np.prod(weight.shape) for weight in network.trainable_weights) == n_weights


def test_a_network_for_pictures_counts_what_its_layers_do():
    network = mel_cnn(64, 64, n_genres=5)
    channels = [1, 16, 32, 64, 128]
    filters = sum(9 * some * more for some, more in itertools.pairwise(channels))
    n_weights = sum(np.prod(weight.shape) for weight in network.trainable_weights)
    assert n_weights == filters + 2 * sum(channels[1:]) + 129 * 5 == 98037
    pools = [layer for layer in network.layers if layer.name.startswith("PL")]
    assert [layer.output.shape[1:3] for layer in pools] == [(n, n) for n in (32, 16, 8, 4)]


@pytest.mark.parametrize(
    ("n_samples", "nearest"),
    [(220500, 50999), (22050, 16000), (17438, 16000), (5000, 8000), (4637, 1600), (214, 1600)],
)
def test_other_lengths_take_the_nearest_layout_that_fits(n_samples, nearest):
    assert choose_layout(n_samples) is LAYOUTS[nearest]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"n_samples": 213}, r"213.* 214 "),  # the length that would do
        ({"n_samples": 4000, "gammatone": True}, "4000"),
        ({"amplitude": 0.0}, "amplitude"),
        ({"amplitude": float("nan")}, "amplitude"),
    ],
)
def test_waveforms_that_are_too_short_or_silent_are_refused(options, named):
    with pytest.raises(ValueError, match=named):
        abdoli_cnn(**options)


def test_dividing_by_the_amplitude_makes_loudness_irrelevant():
    loud, soft = abdoli_cnn(1600, amplitude=1.0), abdoli_cnn(1600, amplitude=0.01)
    soft.set_weights(loud.get_weights())
    expected = loud.predict(waveforms(3, 1600), verbose=0)
    assert soft.predict(0.01 * waveforms(3, 1600), verbose=0) == pytest.approx(expected, rel=1e-4)


def test_gammatone_filters_rise_from_100_hz_and_the_layer_filters_like_scipy():
    filters = gammatone_filters(16000)
    lowest, _ = scipy.signal.gammatone(100, "fir", order=4, numtaps=512, fs=16000)
    assert filters[0] == pytest.approx(lowest / np.linalg.norm(lowest), rel=1e-6)
    peaks = np.abs(np.fft.rfft(filters, 16000, axis=1)).argmax(axis=1)  # one bin is one hertz
    assert np.all(np.diff(peaks) > 0) and 7000 < peaks[-1] < 8000
    (waveform,) = waveforms(1, 2000)
    layer = abdoli_cnn(16000, **GAMMATONE).get_layer("CL1")
    filtered = keras.ops.convert_to_numpy(layer(waveform[None, :, None]))[0, :, 20]
    expected = scipy.signal.lfilter(filters[20], 1, waveform)[511:]
    np.testing.assert_allclose(filtered, np.maximum(expected, 0), atol=1e-4)


def test_the_dense_network_scales_features_by_what_it_has_seen_and_draws_in_outliers():
    network = dense_network(2, 2)
    scaled = keras.Model(network.inputs, network.get_layer("FC1").input)
    network.get_layer("scaler").adapt(np.array([[-1.0, 2.0], [1.0, 4.0]], np.float32))
    values = scaled.predict(np.array([[0.1, 3.0], [1000.0, -997.0]]), verbose=0)
    expected = np.arcsinh([[0.1, 0.0], [1000.0, -1000.0]])
    np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-4)


# Training


@pytest.fixture(scope="module")
def clouds() -> tuple[np.ndarray, np.ndarray]:
    """Features of three genres that are easy to tell apart."""
    genres = np.repeat(np.arange(3), 40)
    return np.random.default_rng(0).normal(genres[:, None], 0.3, size=(120, 4)), genres


def small_network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return dense_network(4, 3, units=(16,), dropout=0.0, learning_rate=0.01)


def test_training_learns_what_can_be_learned_and_repeats_with_the_seed(clouds, capsys):
    history, again = (fit(small_network(), clouds, clouds, 30, 30, 16) for _ in range(2))
    assert list(history) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    assert history["epoch"].tolist() == list(range(1, 31))
    assert history["val_accuracy"].iloc[-1] > 0.9
    pd.testing.assert_frame_equal(history, again)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("epochs", [4, 30])
def test_the_best_weights_are_restored_whether_training_stops_early_or_not(clouds, epochs):
    features, genres = clouds
    contrary = (genres + 1) % 3  # whatever is learned, is wrong here
    network = small_network()
    history = fit(network, clouds, (features, contrary), epochs=epochs, patience=5)
    best = int(history["val_loss"].idxmin())
    assert len(history) == min(epochs, best + 1 + 5)
    probabilities = network.predict(features, verbose=0)
    loss = -np.log(probabilities[np.arange(len(contrary)), contrary]).mean()
    assert loss == pytest.approx(history["val_loss"][best], rel=1e-3)


def test_without_validation_or_patience_training_goes_to_the_end(clouds):
    for more in ({"validation": clouds, "patience": None}, {}):
        history = fit(small_network(), clouds, epochs=7, **more)
        assert len(history) == 7 and ("val_loss" in history) == bool(more)


@pytest.mark.parametrize(
    ("genres", "named"),
    [(["jazz", "rock"], "jazz"), ([0, 3], "3"), ([-1, 2], "-1"), ([0.5, 1], "0.5")],
)
def test_genres_that_are_not_the_numbers_of_outputs_are_refused(genres, named, clouds):
    with pytest.raises(ValueError, match=named):
        fit(small_network(), (np.zeros((2, 4)), genres), clouds)


def test_the_cnn_learns_from_quiet_slices_and_does_not_collapse_into_one_genre(tmp_path):
    time, rows = np.arange(8000) / 1600, []
    for track in range(12):
        genre, frequency = (("low", 50), ("high", 400))[track % 2]
        path = tmp_path / f"{track}.wav"
        tone = np.sin(2 * np.pi * (frequency + 3 * track) * time + track)
        soundfile.write(path, 0.01 * tone, 1600)
        rows.append((path.stem, genre, "", path))
    tracks = pd.DataFrame(rows, columns=["track_id", "genre", "artist", "path"])
    slices = SliceSet(tracks, seconds=1.0, hop_seconds=0.25, sample_rate=1600)
    training = slices.table["track_id"].astype(int) < 8
    keras.utils.set_random_seed(0)
    network = abdoli_cnn(1600, n_genres=2, amplitude=slices.amplitude(training))
    in_order = slices.batches(~training, batch_size=16, shuffle=False)
    fit(network, slices.batches(training, batch_size=16), in_order, epochs=6, patience=6)
    predicted = network.predict(in_order, verbose=0).argmax(axis=1)
    assert np.mean(predicted == slices.labels(~training)) > 0.9
    one_hot = slices.batches(~training, batch_size=16, shuffle=False, one_hot=True)
    assert (one_hot[1][1] == np.eye(2)[in_order[1][1]]).all()


@pytest.mark.long
def test_saved_networks_predict_the_same_where_this_package_is_missing(tmp_path, compiled_soon):
    inputs, networks = waveforms(4, 1600), (abdoli_cnn(1600, 3), dense_network(1600, 3))
    np.save(tmp_path / "inputs.npy", inputs)
    for network in networks:
        network.save(tmp_path / f"{network.name}.keras")
    code = (
        "import sys; sys.modules['gtzan_helpers'] = None; import keras, numpy as np\n"
        "for name in sys.argv[1:]:\n"
        "    network = keras.models.load_model(f'{name}.keras')\n"
        "    np.save(f'{name}.npy', network.predict(np.load('inputs.npy'), verbose=0))"
    )
    command = [sys.executable, "-c", code, *(network.name for network in networks)]
    environment = os.environ | {"KERAS_BACKEND": keras.backend.backend()} | compiled_soon
    subprocess.run(command, check=True, cwd=tmp_path, env=environment)
    for network in networks:
        elsewhere = np.load(tmp_path / f"{network.name}.npy")
        assert elsewhere == pytest.approx(network.predict(inputs, verbose=0), abs=1e-5)
