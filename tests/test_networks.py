"""The two networks: the paper's sizes, quick layers that equal Keras' own, and training."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.signal
import soundfile as sf

from gtzan_helpers import networks
from gtzan_helpers.networks import (
    LAYOUTS,
    QuickSequential,
    abdoli_cnn,
    choose_layout,
    dense_network,
    fit,
    gammatone_filters,
    layer_lengths,
)
from gtzan_helpers.slices import SliceSet

import keras  # isort: skip  (after the package, which chooses the backend)


def count(weights: list[keras.Variable]) -> int:
    return sum(int(np.prod(weight.shape)) for weight in weights)


# -------------------------------------------------------------------------------- the paper's table

PAPER = {
    50999: ([25468, 3183, 1576, 197, 91, 42, 20, 5], 421146),
    32000: ([15969, 1996, 983, 122, 54, 24, 11, 2], 322842),
    16000: ([7969, 996, 483, 60, 23, 8], 256538),
    8000: ([3969, 496, 233, 29, 7], 116890),
    1600: ([785, 392, 189, 94, 44], 394906),
}


def lengths(network: keras.Model) -> list[int]:
    return [layer.output.shape[1] for layer in network.layers if layer.name[:2] in ("CL", "PL")]


@pytest.mark.parametrize("n_samples", PAPER)
def test_layers_are_as_long_and_parameters_as_many_as_in_the_paper(n_samples: int):
    network = abdoli_cnn(n_samples)
    assert (lengths(network), count(network.trainable_weights)) == PAPER[n_samples]
    assert layer_lengths(LAYOUTS[n_samples], n_samples) == lengths(network)


@pytest.fixture(scope="module")
def gammatone_network() -> keras.Model:
    return abdoli_cnn(16000, gammatone=True, sample_rate=16000)


def test_the_gammatone_network_is_the_one_in_the_paper(gammatone_network: keras.Model):
    assert lengths(gammatone_network) == [15489, 1936, 953, 119, 52, 23]
    assert count(gammatone_network.trainable_weights) == 550506


def test_gammatone_filters_are_trained_when_asked():
    network = abdoli_cnn(16000, gammatone=True, sample_rate=16000, train_gammatone=True)
    assert count(network.trainable_weights) == 583338


def test_two_seconds_at_22050_hz_take_the_longest_layout():
    network = abdoli_cnn(44100)
    assert network.get_layer("flatten").output.shape == (None, 1024)
    assert count(network.trainable_weights) == 388378


@pytest.mark.parametrize(
    ("n_samples", "nearest"),
    [(220500, 50999), (22050, 16000), (17438, 16000), (5000, 8000), (4637, 1600), (214, 1600)],
)
def test_other_lengths_take_the_nearest_layout_that_fits(n_samples: int, nearest: int):
    assert choose_layout(n_samples) is LAYOUTS[nearest]
    assert min(layer_lengths(LAYOUTS[nearest], n_samples)) >= 1


def test_too_short_an_input_is_refused_with_the_length_that_would_do():
    with pytest.raises(ValueError, match=r"213 samples are too short.*needs 214 or more"):
        abdoli_cnn(213)
    with pytest.raises(ValueError, match="too short"):
        abdoli_cnn(4000, gammatone=True)


def test_the_networks_refuse_a_single_genre():
    with pytest.raises(ValueError, match="n_genres is 1"):
        abdoli_cnn(1600, n_genres=1)
    with pytest.raises(ValueError, match="n_genres is 1"):
        dense_network(57, 1)


@pytest.mark.parametrize("amplitude", [0.0, -1.0, float("nan")])
def test_an_amplitude_that_cannot_be_divided_by_is_refused(amplitude: float):
    with pytest.raises(ValueError, match="amplitude must be positive"):
        abdoli_cnn(1600, amplitude=amplitude)


def test_dividing_by_the_amplitude_makes_loudness_irrelevant():
    waveforms = np.random.default_rng(0).normal(size=(3, 1600)).astype(np.float32)
    loud, soft = abdoli_cnn(1600, amplitude=1.0), abdoli_cnn(1600, amplitude=0.01)
    soft.set_weights(loud.get_weights())
    np.testing.assert_allclose(
        loud.predict(waveforms, verbose=0), soft.predict(0.01 * waveforms, verbose=0), rtol=1e-4
    )


# -------------------------------------------------------------------------------- gammatone filters


def test_gammatone_filters_are_scipys_at_the_ears_spacing():
    filters = gammatone_filters(16000)
    assert filters.shape == (64, 512)
    lowest, _ = scipy.signal.gammatone(100, "fir", order=4, numtaps=512, fs=16000)
    np.testing.assert_allclose(filters[0], lowest / np.linalg.norm(lowest), rtol=1e-6)


def test_gammatone_filters_have_unit_norm_and_rise_from_100_hz_to_below_half_the_sample_rate():
    filters = gammatone_filters(16000)
    np.testing.assert_allclose(np.linalg.norm(filters, axis=1), 1.0)
    peaks = np.abs(np.fft.rfft(filters, 16000, axis=1)).argmax(axis=1)  # one bin is one hertz
    assert np.all(np.diff(peaks) > 0)
    assert peaks[0] == pytest.approx(100, abs=5)
    assert 7000 < peaks[-1] < 8000


def test_the_gammatone_layer_filters_like_scipy(gammatone_network: keras.Model):
    waveform = np.random.default_rng(0).normal(size=2000).astype(np.float32)
    filtered = gammatone_network.get_layer("CL1")(waveform[None, :, None])[0]
    expected = scipy.signal.lfilter(gammatone_filters(16000)[20], 1, waveform)[511:]
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(filtered)[:, 20], np.maximum(expected, 0), atol=1e-4
    )


def test_gammatone_filters_need_room_above_100_hz():
    with pytest.raises(ValueError, match="start at 100 Hz"):
        gammatone_filters(200)


# ---------------------------------------------------- layers together against those of Keras alone


needs_jax = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="gradients are compared on the JAX backend"
)


def training_gradients(network: keras.Model, inputs: np.ndarray) -> list[np.ndarray]:
    """Return a network's outputs and moving statistics in training, and all gradients, on JAX."""
    import jax

    fixed = [variable.value for variable in network.non_trainable_variables]
    variables = [variable.value for variable in network.trainable_variables]
    weights = np.random.default_rng(1).normal(size=network(inputs).shape).astype(np.float32)

    def weighted_sum(variables: list, inputs: np.ndarray):
        outputs, statistics = network.stateless_call(variables, fixed, inputs, training=True)
        return (outputs * weights).sum(), (outputs, statistics)

    slopes_of = jax.jit(jax.value_and_grad(weighted_sum, argnums=(0, 1), has_aux=True))
    (_, others), slopes = slopes_of(variables, inputs)
    return [np.asarray(array) for array in jax.tree.leaves((others, slopes))]


def block(
    convolution: dict | None = None, normalization: dict | None = None, pooling: dict | None = None
) -> list[keras.layers.Layer]:
    """Return a convolution, a normalisation with factors of both signs, and a pooling."""
    normal = keras.initializers.RandomNormal
    usual = {"strides": 2, "activation": "relu", "bias_initializer": normal(seed=1)}
    pooled = [] if pooling is None else [keras.layers.MaxPooling1D(**{"pool_size": 4} | pooling)]
    return [
        keras.layers.Conv1D(6, 7, **usual | (convolution or {})),
        keras.layers.BatchNormalization(
            **{"momentum": 0.9, "gamma_initializer": normal(seed=2)} | (normalization or {})
        ),
        *pooled,
    ]


def assert_same_training(
    layers: list[keras.layers.Layer], inputs: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> int:
    """Compare a quick stack with Keras' own; return how many blocks it computed together."""
    blocks: list[bool] = []
    together = networks._train_together
    monkeypatch.setattr(
        networks, "_train_together", lambda *given: blocks.append(True) or together(*given)
    )
    quick = QuickSequential([keras.Input(inputs.shape[1:]), *layers])
    own = networks.with_keras_layers(quick)
    assert type(own) is keras.Sequential
    for layer, same in zip(own.layers, quick.layers, strict=True):
        layer.trainable = same.trainable
    found, expected = training_gradients(quick, inputs), training_gradients(own, inputs)
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    return len(blocks)


@needs_jax
@pytest.mark.parametrize("pooling", [None, {}, {"pool_size": 1}, {"pool_size": 5}])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize(("length", "channels"), [(60, 1), (61, 1), (67, 3), (61, 16)])
def test_layers_that_are_computed_together_train_as_keras_trains_them(
    length: int, channels: int, stride: int, pooling: dict | None, monkeypatch
):
    inputs = np.random.default_rng(0).normal(size=(3, length, channels)).astype(np.float32)
    layers = block({"strides": stride}, pooling=pooling)
    assert assert_same_training(layers, inputs, monkeypatch) == 1


@needs_jax
def test_equal_numbers_are_pooled_with_the_gradients_that_keras_gives_them(monkeypatch):
    inputs = np.random.default_rng(0).normal(size=(2, 61, 1)).astype(np.float32)
    inputs[1, :50] = 0.0  # in silence, all that a filter puts out is its bias
    layers = block({"bias_initializer": "ones"}, pooling={})
    assert assert_same_training(layers, inputs, monkeypatch) == 1


@needs_jax
@pytest.mark.parametrize(
    "settings",
    [
        ({"padding": "same"}, {}, {}),
        ({"padding": "causal"}, {}, {}),
        ({"groups": 2}, {}, {}),
        ({"strides": 1, "dilation_rate": 2}, {}, {}),
        ({"use_bias": False}, {}, {}),
        ({"activation": "tanh"}, {}, {}),
        ({}, {"center": False}, {}),
        ({}, {"scale": False}, {}),
        ({}, {"axis": 1}, {}),
        ({}, {"trainable": False}, {}),
    ],
)
def test_layers_with_other_settings_go_the_way_of_keras(settings: tuple[dict, ...], monkeypatch):
    inputs = np.random.default_rng(0).normal(size=(3, 40, 4)).astype(np.float32)
    assert assert_same_training(block(*settings), inputs, monkeypatch) == 0


@needs_jax
@pytest.mark.parametrize("pooling", [{"strides": 2}, {"padding": "same"}])
def test_other_poolings_go_the_way_of_keras_after_a_block(pooling: dict, monkeypatch):
    inputs = np.random.default_rng(0).normal(size=(3, 40, 4)).astype(np.float32)
    assert assert_same_training(block(pooling=pooling), inputs, monkeypatch) == 1


@needs_jax
def test_a_frozen_convolution_stays_as_it_is_among_layers_that_learn(monkeypatch):
    inputs = np.random.default_rng(0).normal(size=(3, 100, 1)).astype(np.float32)
    layers = [*block({"trainable": False}, pooling={}), *block()]
    assert assert_same_training(layers, inputs, monkeypatch) == 2


@needs_jax
def test_only_training_on_a_cpu_in_single_precision_takes_the_quicker_way(monkeypatch):
    import jax

    inputs = np.random.default_rng(0).normal(size=(3, 40, 1)).astype(np.float32)
    network = QuickSequential([keras.Input(inputs.shape[1:]), *block(pooling={})])
    quick = np.array(network(inputs, training=True))
    monkeypatch.setattr(networks, "_train_together", lambda *_: pytest.fail("computed together"))
    network(inputs)
    with pytest.raises(pytest.fail.Exception):
        network(inputs, training=True)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert np.array(network(inputs, training=True)) == pytest.approx(quick, abs=1e-5)
    monkeypatch.undo()
    monkeypatch.setattr(networks, "_train_together", lambda *_: pytest.fail("computed together"))
    with monkeypatch.context() as half:
        half.setattr(QuickSequential, "compute_dtype", "float16")
        network(inputs, training=True)


@needs_jax
def test_dropout_leaves_out_units_in_training_only():
    import jax

    network = QuickSequential([keras.Input((1000,)), keras.layers.Dropout(0.25)])
    fixed = [variable.value for variable in network.non_trainable_variables]
    ones = np.ones((1, 1000), np.float32)
    for training, share in ((True, 0.25), (False, 0.0)):
        outputs, _ = jax.jit(
            lambda training=training: network.stateless_call([], fixed, ones, training=training)
        )()
        assert np.mean(np.asarray(outputs) == 0) == pytest.approx(share, abs=share / 5)


def switch_off_dropout(network: keras.Model):
    """Two networks would leave out different units."""
    for layer in network.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0


@needs_jax
def test_the_gradients_of_the_whole_network_are_those_of_the_plain_one():
    waveforms = np.random.default_rng(0).normal(size=(2, 44100)).astype(np.float32)
    quick, plain = abdoli_cnn(plain=False), abdoli_cnn(plain=True)
    plain.set_weights(quick.get_weights())
    for network in (quick, plain):
        switch_off_dropout(network)
    found, expected = training_gradients(quick, waveforms), training_gradients(plain, waveforms)
    for one, other in zip(found, expected, strict=True):
        if one.dtype == np.float32:  # the others are states of random generators
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_a_training_step_of_the_quick_network_is_that_of_the_plain_one():
    rng = np.random.default_rng(0)
    waveforms, genres = rng.normal(size=(8, 1600)).astype(np.float32), np.arange(8) % 2
    networks = [abdoli_cnn(1600, n_genres=2, plain=plain) for plain in (False, True)]
    networks[1].set_weights(networks[0].get_weights())
    losses = []
    for network in networks:
        switch_off_dropout(network)
        network.compile("sgd", "sparse_categorical_crossentropy")
        losses.append([network.train_on_batch(waveforms, genres) for _ in range(3)])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    for found, expected in zip(networks[0].get_weights(), networks[1].get_weights(), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)


# ------------------------------------------------------------------------------------------- saving


def test_a_saved_network_predicts_the_same(tmp_path: Path):
    network = abdoli_cnn(1600, n_genres=3, amplitude=0.1)
    waveforms = np.random.default_rng(0).normal(scale=0.1, size=(4, 1600)).astype(np.float32)
    network.save(tmp_path / "cnn.keras")
    loaded = keras.models.load_model(tmp_path / "cnn.keras", compile=False)
    np.testing.assert_array_equal(
        loaded.predict(waveforms, verbose=0), network.predict(waveforms, verbose=0)
    )


@pytest.mark.parametrize(
    "build", [lambda: abdoli_cnn(1600, 3, plain=True), lambda: dense_network(4, 3)]
)
def test_a_plain_network_loads_without_this_package(tmp_path: Path, build):
    build().save(tmp_path / "cnn.keras")
    code = (
        "import sys, keras; keras.models.load_model(sys.argv[1], compile=False); "
        "assert 'gtzan_helpers' not in sys.modules"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "cnn.keras")],
        check=True,
        capture_output=True,
        env={**os.environ, "KERAS_BACKEND": keras.backend.backend()},
    )


# -------------------------------------------------------------------------------- the dense network


def test_the_dense_network_scales_features_by_what_it_has_seen():
    network = dense_network(3, 2)
    scaler = network.get_layer("scaler")
    features = np.random.default_rng(0).normal([5, -2, 0], [10, 0.1, 1], size=(500, 3))
    scaler.adapt(features.astype(np.float32))
    scaled = keras.ops.convert_to_numpy(scaler(features.astype(np.float32)))
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(scaled.std(axis=0), 1, atol=1e-3)


def test_an_outlier_reaches_the_dense_network_drawn_in():
    network = dense_network(2, 2)
    drawn_in = keras.Model(network.inputs, network.get_layer("FC1").input)
    network.get_layer("scaler").adapt(np.array([[-1.0, 2.0], [1.0, 4.0]], np.float32))
    values = drawn_in.predict(np.array([[0.1, 3.0], [1000.0, -997.0]]), verbose=0)
    expected = np.arcsinh([[0.1, 0.0], [1000.0, -1000.0]])
    np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-4)


def test_the_dense_network_has_the_layers_of_the_course():
    network = dense_network(57, 10)
    dense = [layer.units for layer in network.layers if isinstance(layer, keras.layers.Dense)]
    assert dense == [256, 128, 64, 10]
    probabilities = network.predict(np.zeros((4, 57), np.float32), verbose=0)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


# ----------------------------------------------------------------------------------------- training


@pytest.fixture
def clouds() -> tuple[np.ndarray, np.ndarray]:
    """Features of three genres that are easy to tell apart."""
    rng = np.random.default_rng(0)
    genres = np.repeat(np.arange(3), 40)
    return rng.normal(genres[:, None], 0.3, size=(120, 4)), genres


def small_network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return dense_network(4, 3, units=(16,), dropout=0.0, learning_rate=0.01)


def loss_of(network: keras.Model, data: tuple[np.ndarray, np.ndarray]) -> float:
    probabilities = network.predict(data[0], verbose=0)
    return -np.log(probabilities[np.arange(len(data[1])), data[1]]).mean()


def test_training_learns_what_can_be_learned_and_reports_on_stderr(clouds, capsys):
    history = fit(small_network(), clouds, clouds, epochs=30, patience=30, batch_size=16)
    assert list(history) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    assert history.epoch.tolist() == list(range(1, 31))
    assert history.loss.iloc[-1] < history.loss.iloc[0]
    assert history.val_accuracy.iloc[-1] > 0.9
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "train" in printed.err


@pytest.mark.parametrize("epochs", [4, 30])
def test_the_best_weights_are_restored_whether_training_stops_early_or_not(clouds, epochs: int):
    features, genres = clouds
    contrary = features, (genres + 1) % 3  # whatever is learned, is wrong here
    network = small_network()
    history = fit(network, clouds, contrary, epochs=epochs, patience=5)
    best = int(history.val_loss.idxmin())
    assert len(history) == min(epochs, best + 1 + 5)
    assert loss_of(network, contrary) == pytest.approx(history.val_loss[best], rel=1e-3)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="about what JAX compiles")
def test_what_was_compiled_for_training_is_kept_for_the_next_time(clouds):
    jax = pytest.importorskip("jax")
    fit(small_network(), clouds, clouds, epochs=1)
    events: list[str] = []
    jax.monitoring.register_event_listener(lambda event, **_: events.append(event))
    fit(small_network(), clouds, clouds, epochs=1)
    assert "/jax/compilation_cache/cache_hits" in events
    assert list(Path(jax.config.jax_compilation_cache_dir).iterdir())


def test_training_repeats_with_the_seed(clouds):
    histories = [fit(small_network(), clouds, clouds, epochs=3, seed=1) for _ in range(2)]
    pd.testing.assert_frame_equal(*histories)


@pytest.mark.parametrize(
    ("inputs", "genres", "complaint"),
    [
        (np.zeros((3, 4)), np.zeros(2, int), "training: 3 rows of inputs but 2 genres"),
        (np.zeros((0, 4)), np.zeros(0, int), "training: 0 rows"),
        (np.zeros((2, 4)), np.array(["jazz", "rock"]), "must be whole numbers"),
        (np.zeros((2, 4)), np.array([0, 3]), "network has 3 outputs, for 0 to 2"),
        (np.full((2, 4), np.nan), np.array([0, 1]), "not finite"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(inputs, genres, complaint, clouds):
    with pytest.raises(ValueError, match=complaint):
        fit(small_network(), (inputs, genres), clouds)


@pytest.fixture
def slices(tmp_path: Path) -> SliceSet:
    """Slices of quiet tracks: "low" genres hum, "high" ones whistle."""
    time, rows = np.arange(8000) / 1600, []
    for track in range(12):
        genre, frequency = (("low", 50), ("high", 400))[track % 2]
        tone = 0.01 * np.sin(2 * np.pi * (frequency + 3 * track) * time + track)
        path = tmp_path / f"{genre}.{track:05d}.wav"
        sf.write(path, tone, 1600)
        rows.append((path.stem, genre, "", path))
    tracks = pd.DataFrame(rows, columns=["track_id", "genre", "artist", "path"])
    return SliceSet(tracks, seconds=1.0, hop_seconds=0.25, sample_rate=1600)


def test_the_cnn_learns_from_quiet_slices_and_does_not_collapse_into_one_genre(slices: SliceSet):
    keras.utils.set_random_seed(0)
    number = slices.table.track_id.str[-5:].astype(int)
    training, test = number < 8, number >= 8
    network = abdoli_cnn(1600, n_genres=2, amplitude=slices.amplitude(training))
    batches = slices.batches(training, batch_size=16)
    in_order = slices.batches(test, batch_size=16, shuffle=False)
    fit(network, batches, in_order, epochs=6, patience=6)
    predicted = network.predict(in_order, verbose=0).argmax(axis=1)
    assert np.mean(predicted == slices.labels(test)) > 0.9


def test_batches_hold_one_hot_labels_where_a_loss_wants_them(slices: SliceSet):
    numbers = slices.batches(np.arange(8), 4, shuffle=False)[1][1]
    rows = slices.batches(np.arange(8), 4, shuffle=False, one_hot=True)[1][1]
    assert rows.shape == (4, 2)
    assert (rows.sum(axis=1) == 1).all() and (rows.argmax(axis=1) == numbers).all()


def test_a_copy_of_keras_own_layers_loads_without_this_package(tmp_path: Path):
    network = abdoli_cnn(1600, n_genres=3, amplitude=0.1)
    copy = networks.with_keras_layers(network)
    waveforms = np.random.default_rng(0).normal(0, 0.1, (4, 1600)).astype(np.float32)
    expected = network.predict(waveforms, verbose=0)
    assert copy.predict(waveforms, verbose=0) == pytest.approx(expected, abs=1e-5)
    assert copy.optimizer.get_config() == network.optimizer.get_config()
    copy.save(tmp_path / "cnn.keras")
    np.save(tmp_path / "waveforms.npy", waveforms)
    code = (
        "import sys; sys.modules['gtzan_helpers'] = None; import keras, numpy as np\n"
        "network = keras.models.load_model('cnn.keras')\n"
        "np.save('elsewhere.npy', network.predict(np.load('waveforms.npy'), verbose=0))"
    )
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env=environment)
    assert np.load(tmp_path / "elsewhere.npy") == pytest.approx(expected, abs=1e-5)
