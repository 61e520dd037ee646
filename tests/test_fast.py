"""What trains fast equals Keras' own layers, on one device and on two, and keeps its memory."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from gtzan_helpers import fast
from gtzan_helpers.networks import abdoli_cnn, keras

if keras.backend.backend() != "jax":
    pytest.skip("other backends go Keras' own way", allow_module_level=True)

import jax

normal = keras.initializers.RandomNormal


def block(stride: int = 2, pool: int | None = 4, frozen: str = "") -> list[keras.layers.Layer]:
    """Return a convolution, a normalisation with factors of both signs, and a pooling."""
    layers = keras.layers
    convolution = layers.Conv1D(6, 7, stride, activation="relu", bias_initializer=normal(seed=1))
    convolution.trainable = frozen != "convolution"
    normalization = layers.BatchNormalization(momentum=0.9, gamma_initializer=normal(seed=2))
    normalization.trainable = frozen != "normalization"
    return [convolution, normalization, *([layers.MaxPooling1D(pool)] if pool else [])]


def slopes(network: keras.Model, inputs: np.ndarray) -> list[np.ndarray]:
    """Return a network's outputs and moving statistics in training, and all gradients."""
    fixed = [variable.value for variable in network.non_trainable_variables]
    variables = [variable.value for variable in network.trainable_variables]
    weights = np.random.default_rng(1).normal(size=network(inputs).shape).astype(np.float32)

    def weighted_sum(variables: list, inputs: np.ndarray):
        outputs, statistics = network.stateless_call(variables, fixed, inputs, training=True)
        return (outputs * weights).sum(), (outputs, statistics)

    slopes_of = jax.jit(jax.value_and_grad(weighted_sum, argnums=(0, 1), has_aux=True))
    (_, others), found = slopes_of(variables, inputs)
    arrays = [np.asarray(array) for array in jax.tree.leaves((others, found))]
    return [array for array in arrays if array.dtype == np.float32]  # no random generators' states


def assert_trains_as_keras(network: keras.Sequential, inputs: np.ndarray):
    """Compare a network with its copy, which is made of Keras' own layers only."""
    copy = keras.Sequential.from_config(network.get_config())
    copy.set_weights(network.get_weights())
    for one, other in zip(copy.layers, network.layers, strict=True):
        one.trainable = other.trainable
    for found, expected in zip(slopes(network, inputs), slopes(copy, inputs), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """A list that grows with each block computed together."""
    seen: list[bool] = []
    together = fast._train_block
    monkeypatch.setattr(fast, "_train_block", lambda *given: seen.append(True) or together(*given))
    return seen


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("pool", [None, 1, 4, 5])
@pytest.mark.parametrize(
    ("length", "channels", "stride"), [(60, 1, 2), (61, 1, 1), (67, 3, 3), (61, 16, 2)]
)
def test_layers_computed_together_train_as_keras_trains_them(
    length, channels, stride, pool, blocks
):
    inputs = noise(3, length, channels)
    inputs[1, :50] = 0.0  # in silence all numbers of a window are equal: the first one is taken
    stack = [keras.Input(inputs.shape[1:]), *block(stride, pool)]
    assert_trains_as_keras(fast.sequential(stack, "few"), inputs)
    assert len(blocks) == 1


@pytest.mark.parametrize(("frozen", "together"), [("convolution", 2), ("normalization", 1)])
def test_frozen_layers_stay_as_they_are_among_layers_that_learn(frozen, together, blocks):
    stack = [keras.Input((100, 1)), *block(frozen=frozen), *block(pool=None)]
    assert_trains_as_keras(fast.sequential(stack, "frozen"), noise(3, 100, 1))
    assert len(blocks) == together


def test_the_whole_network_trains_as_keras_trains_it(blocks):
    network = abdoli_cnn(44100)
    for layer in network.layers:  # two networks would leave out different units
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    assert_trains_as_keras(network, noise(2, 44100))
    assert len(blocks) == 5


@pytest.mark.parametrize(("training", "share"), [(True, 0.25), (False, 0.0)])
def test_dropout_leaves_out_units_in_training_only(training, share):
    network = fast.sequential([keras.Input((1000,)), keras.layers.Dropout(0.25)], "leaky")
    fixed = [variable.value for variable in network.non_trainable_variables]
    outputs, _ = network.stateless_call([], fixed, np.ones((1, 1000)), training=training)
    assert np.mean(np.asarray(outputs) == 0) == pytest.approx(share, abs=0.05)


@pytest.mark.parametrize(
    ("device", "precision", "n_blocks"),
    [("cpu", "float32", 1), ("gpu", "float32", 0), ("cpu", "float16", 0)],
)
def test_only_training_on_a_cpu_in_single_precision_takes_the_quicker_way(
    device, precision, n_blocks, blocks, monkeypatch
):
    network = fast.sequential([keras.Input((40, 1)), *block()], "few")
    monkeypatch.setattr(jax, "default_backend", lambda: device)
    monkeypatch.setattr(keras.Sequential, "compute_dtype", precision)
    network(noise(3, 40, 1))
    assert not blocks
    network(noise(3, 40, 1), training=True)
    assert len(blocks) == n_blocks


TRAINING = """
import json
import keras, numpy as np
from gtzan_helpers.networks import abdoli_cnn, fit
def trained():
    keras.utils.set_random_seed(0)
    network = abdoli_cnn(1600, n_genres=2)
    for layer in network.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    noise = np.random.default_rng(0).normal(size=(16, 1600)).astype("float32")
    data = noise, np.arange(16) % 2
    history = fit(network, data, data, epochs=2, batch_size=8)
    weights = [float(np.square(array).sum()) for array in network.get_weights()]
    return [history["loss"].tolist(), history["val_loss"].tolist(), weights]

one = trained()
keras.distribution.set_distribution(keras.distribution.DataParallel())
assert len(keras.distribution.list_devices()) == 2
print(json.dumps([one, trained()]))
"""


@pytest.mark.long
def test_two_devices_train_as_one_does(compiled_soon):
    environment = os.environ | {"KERAS_BACKEND": "jax"} | compiled_soon
    environment["XLA_FLAGS"] += " --xla_force_host_platform_device_count=2"
    command = [sys.executable, "-c", TRAINING]
    run = subprocess.run(command, check=True, capture_output=True, env=environment)
    for one, two in zip(*json.loads(run.stdout), strict=True):
        assert two == pytest.approx(one, rel=1e-4, abs=1e-4)


def test_what_was_compiled_is_kept_for_the_next_time():
    def compile_anew():
        network = abdoli_cnn(300, n_genres=2)
        network.fit(noise(4, 300), np.arange(4) % 2, verbose=0)

    compile_anew()
    events: list[str] = []
    jax.monitoring.register_event_listener(lambda event, **_: events.append(event))
    compile_anew()
    assert "/jax/compilation_cache/cache_hits" in events
    assert list(Path(jax.config.jax_compilation_cache_dir).iterdir())


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="can be arranged on GNU/Linux only")
def test_freed_memory_is_kept_until_it_is_returned():
    blocks = [np.ones(1_000_000) for _ in range(20)]
    last = np.ones(10)  # behind them, so that the system cannot just cut the end off
    held = psutil.Process().memory_info().rss
    del blocks
    kept = psutil.Process().memory_info().rss
    assert held - kept < 60e6
    fast.return_freed_memory()
    assert kept - psutil.Process().memory_info().rss > 100e6
    assert last.sum() == 10
