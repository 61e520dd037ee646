"""The two networks of the course, and how they are trained.

Taught in notebooks/03_dense_network.ipynb and notebooks/05_cnn_1d.ipynb.
"""

from __future__ import annotations

import inspect
import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from .cache import wanted_folder, why_not_writable
from .memory import keep_freed_memory, return_freed_memory

keep_freed_memory()  # before Keras is imported, because JAX starts threads

import keras  # noqa: E402
from keras import layers, ops  # noqa: E402

if TYPE_CHECKING:
    from .slices import SliceSet


def _keep_compiled() -> None:
    """Let JAX keep what it compiles, which takes seconds: a network built again starts at once."""
    if keras.backend.backend() != "jax":
        return
    import jax

    if jax.config.jax_compilation_cache_dir is not None:  # the user has arranged it
        return
    folder = wanted_folder() / "compiled"  # JAX makes it, and warns of each file it cannot write
    if not why_not_writable(folder):
        jax.config.update("jax_compilation_cache_dir", str(folder))
        # A disk that fills up later is no reason for a warning a network.
        warnings.filterwarnings("ignore", "Error writing persistent compilation cache entry")
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


_keep_compiled()


class Convolution(NamedTuple):
    """A convolution layer of a layout: how many filters, of how many samples, how far apart."""

    filters: int
    kernel: int
    stride: int = 2


class Pooling(NamedTuple):
    """A pooling layer of a layout: how many samples become one."""

    size: int


Layout = tuple[Convolution | Pooling, ...]

_LONG: Layout = (
    Convolution(16, 64),
    Pooling(8),
    Convolution(32, 32),
    Pooling(8),
    Convolution(64, 16),
    Convolution(128, 8),
    Convolution(256, 4),
    Pooling(4),
)
# The sizes in Abdoli, Cardinal and Koerich (2019), by the length of the input in samples.
LAYOUTS: dict[int, Layout] = {
    50999: _LONG,
    32000: _LONG,
    16000: _LONG[:6],
    8000: _LONG[:5],
    1600: (
        Convolution(16, 32),
        Pooling(2),
        Convolution(32, 16),
        Pooling(2),
        Convolution(64, 8),
    ),
}
GAMMATONE_LAYOUT: Layout = (Convolution(64, 512, 1), *_LONG[1:6])


def dense_network(
    n_features: int,
    n_genres: int,
    units: tuple[int, ...] = (256, 128, 64),
    dropout: float = 0.5,
    learning_rate: float = 1e-3,
) -> keras.Model:
    """Build a network of dense layers that tells genres from features.

    The first layer, "scaler", brings every feature to mean 0 and variance 1. Show it the training
    rows before training: ``network.get_layer("scaler").adapt(training_features)``. The inverse
    hyperbolic sine after it leaves what is usual as it is and draws in outliers. Each hidden layer
    is followed by batch normalisation and dropout.

    Parameters
    ----------
    n_features, n_genres : int
        Numbers that go in, and genres that come out.
    units : tuple of int
        Sizes of the hidden layers.
    dropout : float
        Share of each hidden layer's outputs that a training step leaves out.
    learning_rate : float
        Step size of the Adam optimiser.

    Returns
    -------
    keras.Model
        Compiled; takes (n, n_features), gives a probability per genre, of shape (n, n_genres), and
        learns from genres given as whole numbers.

    Raises
    ------
    ValueError
        If there are fewer than two genres.

    Notes
    -----
    Taught in notebooks/03_dense_network.ipynb.
    """
    _check_genres(n_genres)
    features = keras.Input((n_features,), name="features")
    x = ops.arcsinh(layers.Normalization(name="scaler")(features))
    for place, size in enumerate(units, start=1):
        x = layers.Dense(size, activation="relu", name=f"FC{place}")(x)
        # A small set has few batches: moving averages must follow quickly.
        x = layers.BatchNormalization(momentum=0.9, name=f"normalized_FC{place}")(x)
        x = layers.Dropout(dropout, name=f"dropout_FC{place}")(x)
    genre = layers.Dense(n_genres, activation="softmax", name="genre")(x)
    return _compiled(keras.Model(features, genre, name="dense_network"), learning_rate)


def abdoli_cnn(
    n_samples: int = 44100,
    n_genres: int = 10,
    gammatone: bool = False,
    amplitude: float = 1.0,
    sample_rate: int = 22050,
    train_gammatone: bool = False,
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 5e-4,
    plain: bool = False,
) -> keras.Model:
    """Build the network that tells genres from the waveform itself.

    Parameters
    ----------
    n_samples : int
        Length of the input. A length that the paper does not list takes the layout of the nearest
        one that it fits.
    n_genres : int
        Genres that come out.
    gammatone : bool
        Whether the first layer is a bank of gammatone filters, which resembles the ear.
    amplitude : float
        Standard deviation of the training waveforms, as from `SliceSet.amplitude`. The network
        divides by it: batch normalisation learns slowly on small numbers.
    sample_rate : int
        Hz; places the gammatone filters, and matters to nothing else.
    train_gammatone : bool
        Whether training may change the gammatone filters.
    learning_rate : float or keras.optimizers.schedules.LearningRateSchedule
        Step size of the Adam optimiser.
    plain : bool
        Whether to leave everything to Keras, which computes the same, slower. A network saved so
        loads where this package is not installed.

    Returns
    -------
    keras.Model
        Compiled; takes (n, n_samples), gives a probability per genre, of shape (n, n_genres), and
        learns from genres given as whole numbers.

    Raises
    ------
    ValueError
        If `n_samples` is too short for every layout, `amplitude` is not positive, or there are
        fewer than two genres.

    Notes
    -----
    Taught in notebooks/05_cnn_1d.ipynb. S. Abdoli, P. Cardinal and A. L. Koerich, "End-to-end
    environmental sound classification using a 1D convolutional neural network", Expert Systems
    with Applications 136, 2019 (arXiv 1904.08990). Here batch normalisation follows its inputs more
    closely (momentum 0.9), and the optimiser and the loss are today's usual ones.
    """
    _check_genres(n_genres)
    if not amplitude > 0:
        raise ValueError(f"amplitude must be positive, not {amplitude}: silence cannot be scaled")
    network = (keras.Sequential if plain else QuickSequential)(name="abdoli_cnn")
    network.add(keras.Input((n_samples,), name="waveform"))
    network.add(layers.Rescaling(1 / amplitude, name="scale"))
    network.add(layers.Reshape((n_samples, 1), name="one_channel"))
    for layer in _convolutional_part(choose_layout(n_samples, gammatone)):
        network.add(layer)
    network.add(layers.Flatten(name="flatten"))
    for place, size in enumerate((128, 64), start=1):
        network.add(layers.Dense(size, activation="relu", name=f"FC{place}"))
        network.add(layers.Dropout(0.25, name=f"dropout_FC{place}"))
    network.add(layers.Dense(n_genres, activation="softmax", name="genre"))
    if gammatone:
        _set_filters(network.get_layer("CL1"), sample_rate, train_gammatone)
    return _compiled(network, learning_rate)


def with_keras_layers(network: keras.Model) -> keras.Model:
    """Return a copy of a network, made of Keras' own layers only.

    Saved, it loads wherever Keras is installed; the quicker stack of this package needs the
    package, too. Both compute the same.

    Parameters
    ----------
    network : keras.Model
        As from `abdoli_cnn`.

    Returns
    -------
    keras.Model
        With the same weights, and compiled as `network` is.

    Notes
    -----
    Taught in notebooks/05_cnn_1d.ipynb.
    """
    copy = keras.Sequential.from_config(network.get_config())
    copy.set_weights(network.get_weights())
    if network.compiled:
        copy.compile_from_config(network.get_compile_config())
        copy.optimizer.build(copy.trainable_variables)  # else loading it warns of those missing
    return copy


def choose_layout(n_samples: int, gammatone: bool = False) -> Layout:
    """Return the paper's layout for the length nearest to `n_samples` that can be computed.

    Raises
    ------
    ValueError
        If `n_samples` is too short for every layout.
    """
    layouts = {16000: GAMMATONE_LAYOUT} if gammatone else LAYOUTS
    for length in sorted(layouts, key=lambda length: abs(length - n_samples)):
        if layer_lengths(layouts[length], n_samples)[-1] >= 1:
            return layouts[length]
    shortest = min(_shortest_input(layout) for layout in layouts.values())
    raise ValueError(
        f"{n_samples} samples are too short for this network, which needs {shortest} or more: "
        "take longer slices, or a higher sample rate"
    )


def layer_lengths(layout: Layout, n_samples: int) -> list[int]:
    """Return how long the signal is after each layer of a layout; 0 where nothing is left."""
    lengths = []
    for layer in layout:
        if isinstance(layer, Convolution):
            n_samples = max(0, (n_samples - layer.kernel) // layer.stride + 1)
        else:
            n_samples //= layer.size
        lengths.append(n_samples)
    return lengths


def _shortest_input(layout: Layout) -> int:
    length = 1
    for layer in reversed(layout):
        if isinstance(layer, Convolution):
            length = (length - 1) * layer.stride + layer.kernel
        else:
            length *= layer.size
    return length


def gammatone_filters(sample_rate: int, n_filters: int = 64, n_taps: int = 512) -> NDArray:
    """Return a bank of gammatone filters, a model of how the inner ear splits sound.

    Parameters
    ----------
    sample_rate : int
        Hz. The centre frequencies lie between 100 Hz and half of it, as densely as the ear's.
    n_filters, n_taps : int
        Number of filters, and samples in each.

    Returns
    -------
    ndarray, shape (n_filters, n_taps)
        Impulse responses of order 4, each with a sum of squares of 1, from low to high.

    Raises
    ------
    ValueError
        If the sample rate leaves no room above 100 Hz.

    Notes
    -----
    Taught in notebooks/05_cnn_1d.ipynb. Bandwidths and spacing after Glasberg and Moore (1990), in
    the form of M. Slaney, Apple Technical Report 35 (1993), as SciPy has them.
    """
    from scipy.signal import gammatone

    lowest, nyquist = 100.0, sample_rate / 2
    if nyquist <= lowest:
        raise ValueError(f"gammatone filters start at {lowest:g} Hz, but {sample_rate=} Hz")
    # A filter is as wide as `corner + frequency`, up to a factor, so the centres form a geometric
    # series from there. The one at half the sample rate cannot be computed, and is left out.
    corner = 9.26449 * 24.7
    centres = np.geomspace(lowest + corner, nyquist + corner, n_filters + 1)[:-1] - corner
    filters = [gammatone(f, "fir", order=4, numtaps=n_taps, fs=sample_rate)[0] for f in centres]
    return np.stack([taps / np.linalg.norm(taps) for taps in filters])


def fit(
    network: keras.Model,
    training: tuple[ArrayLike, ArrayLike] | keras.utils.PyDataset,
    validation: tuple[ArrayLike, ArrayLike] | keras.utils.PyDataset,
    epochs: int = 20,
    patience: int = 5,
    batch_size: int = 32,
    seed: int | None = None,
) -> pd.DataFrame:
    """Train a network until it stops getting better, and leave it as it was at its best.

    Parameters
    ----------
    network : keras.Model
        Compiled; trained in place.
    training, validation : tuple of arrays, or keras.utils.PyDataset
        What to learn from, and what to measure the progress on: inputs and genres (whole numbers),
        or the batches of a `SliceSet`.
    epochs : int
        Passes over the training data, at most.
    patience : int
        Epochs to go on without a smaller validation loss.
    batch_size : int
        Rows in a batch; a PyDataset has its own.
    seed : int, optional
        Makes the order of the rows repeatable. The first weights and the dropout are settled when
        a network is built, after `keras.utils.set_random_seed`.

    Returns
    -------
    DataFrame
        One row per epoch: epoch (from 1), loss, accuracy, val_loss, val_accuracy.

    Raises
    ------
    ValueError
        If inputs and genres do not match, or hold what a network cannot learn from.

    Notes
    -----
    Taught in notebooks/03_dense_network.ipynb and notebooks/05_cnn_1d.ipynb.
    """
    if seed is not None:
        keras.utils.set_random_seed(seed)
    training = _arrays_or_batches(training, "training", network)
    validation = _arrays_or_batches(validation, "validation", network)
    inputs, genres = training if isinstance(training, tuple) else (training, None)
    stop = keras.callbacks.EarlyStopping("val_loss", patience=patience, restore_best_weights=True)
    with tqdm(total=epochs, desc="train", unit="epoch", leave=False) as bar:
        history = network.fit(
            inputs,
            genres,
            batch_size=None if genres is None else batch_size,
            validation_data=validation,
            epochs=epochs,
            callbacks=[stop, _progress(bar)],
            verbose=0,
        )
    return_freed_memory()
    table = pd.DataFrame(history.history)[["loss", "accuracy", "val_loss", "val_accuracy"]]
    table.insert(0, "epoch", np.arange(1, len(table) + 1))
    return table


def _progress(bar: tqdm) -> keras.callbacks.Callback:
    def advance(epoch: int, logs: dict[str, float]) -> None:
        bar.set_postfix({name: f"{value:.2f}" for name, value in logs.items()}, refresh=False)
        bar.update()

    return keras.callbacks.LambdaCallback(on_epoch_end=advance)


def _arrays_or_batches(
    data: tuple[ArrayLike, ArrayLike] | keras.utils.PyDataset, role: str, network: keras.Model
) -> tuple[NDArray, NDArray] | keras.utils.PyDataset:
    """Return arrays that a network can learn from, or say why these cannot be; batches as is."""
    if isinstance(data, keras.utils.PyDataset):
        return data
    inputs, genres = np.asarray(data[0], dtype=np.float32), np.asarray(data[1])
    if len(inputs) != len(genres) or len(inputs) == 0:
        raise ValueError(f"{role}: {len(inputs)} rows of inputs but {len(genres)} genres")
    if not np.issubdtype(genres.dtype, np.integer):
        raise ValueError(
            f"{role}: genres must be whole numbers, not {genres.dtype}: number them, for example "
            "with pandas.Categorical(genres).codes"
        )
    n_genres = network.output_shape[-1]
    if genres.min() < 0 or genres.max() >= n_genres:
        raise ValueError(
            f"{role}: genres run from {genres.min()} to {genres.max()}, but the network has "
            f"{n_genres} outputs, for 0 to {n_genres - 1}"
        )
    if not np.isfinite(inputs).all():
        raise ValueError(f"{role}: the inputs hold values that are not finite numbers")
    return inputs, genres


class SliceBatches(keras.utils.PyDataset):
    """Batches of slices and their genres, for Keras; made by `SliceSet.batches`."""

    def __init__(
        self,
        slices: SliceSet,
        positions: NDArray[np.intp],
        batch_size: int,
        shuffle: bool,
        seed: int,
        one_hot: bool,
    ) -> None:
        super().__init__()
        self._slices, self._positions, self._one_hot = slices, positions, one_hot
        self._batch_size = min(batch_size, len(positions))
        self._shuffle, self._seed, self._epoch = shuffle, seed, 0
        self._arrange()

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-len(self._order) // self._batch_size)

    def __getitem__(self, place: int) -> tuple[NDArray[np.float32], NDArray]:
        """Return a batch: samples of shape (batch_size, n_samples), and labels."""
        rows = self._order[place * self._batch_size :][: self._batch_size]
        labels = self._slices.labels(rows)
        if self._one_hot:
            labels = np.eye(len(self._slices.genres), dtype=np.float32)[labels]
        return self._slices.samples(rows), labels

    def on_epoch_end(self) -> None:
        """Mix the slices anew."""
        self._epoch += 1
        self._arrange()

    def _arrange(self) -> None:
        self._order = self._positions
        if self._shuffle:
            mixed = np.random.default_rng([self._seed, self._epoch]).permutation(self._positions)
            # The last batch is filled up from the first: a batch of another size would make JAX
            # compile the network a second time, which takes longer than to train on it.
            size = -(-len(mixed) // self._batch_size) * self._batch_size
            self._order = np.resize(mixed, size)


def _on_cpu_with_jax() -> bool:
    if keras.backend.backend() != "jax":
        return False
    import jax

    return jax.default_backend() == "cpu"


@keras.saving.register_keras_serializable(package="gtzan_helpers")
class QuickSequential(keras.Sequential):
    """A stack of Keras' layers that trains faster on JAX and a CPU, and computes the same.

    A convolution is computed together with the batch normalisation and the pooling after it.
    Other layers, backends and devices go Keras' own way, and so does predicting.
    """

    def call(
        self,
        inputs: keras.KerasTensor,
        training: bool | None = None,
        mask: keras.KerasTensor | None = None,
    ) -> keras.KerasTensor:
        """Send a tensor through all layers."""
        quick = training and mask is None and self.compute_dtype == "float32" and _on_cpu_with_jax()
        if not quick:
            return super().call(inputs, training=training, mask=mask)
        outputs, ahead = inputs, list(self.layers)
        while ahead:
            block = _block(ahead)
            outputs = _train_together(outputs, *block) if block else _train(outputs, ahead[0])
            del ahead[: len(block) or 1]
        return outputs


# The settings of layers that can be computed together; all others are free.
TOGETHER = {
    layers.Conv1D: {
        "padding": "valid",
        "data_format": "channels_last",
        "dilation_rate": (1,),
        "groups": 1,
        "use_bias": True,
        "activation": "relu",
        "activity_regularizer": None,
    },
    layers.BatchNormalization: {"axis": -1, "center": True, "scale": True, "renorm": False},
    layers.MaxPooling1D: {"padding": "valid", "data_format": "channels_last"},
}


def _block(ahead: list[layers.Layer]) -> list[layers.Layer]:
    """Return a convolution, its normalisation and perhaps its pooling, if a list starts so."""
    block = [layer for layer, kind in zip(ahead, TOGETHER, strict=False) if _is(layer, kind)]
    if block[:2] != ahead[:2] or len(block) < 2 or not block[1].trainable:
        return []
    if len(block) == 3 and block[2].strides != block[2].pool_size:
        block.pop()
    return block


def _is(layer: layers.Layer, kind: type[layers.Layer]) -> bool:
    settings = layer.get_config()
    return type(layer) is kind and all(
        settings.get(name, value) == value for name, value in TOGETHER[kind].items()
    )


def _train(inputs: keras.KerasTensor, layer: layers.Layer) -> keras.KerasTensor:
    """Send a tensor through one layer, in a training step."""
    distinguishes = "training" in inspect.signature(layer.call).parameters
    return layer(inputs, training=True) if distinguishes else layer(inputs)


def _train_together(
    signal: keras.KerasTensor,
    convolution: layers.Conv1D,
    normalization: layers.BatchNormalization,
    pooling: layers.MaxPooling1D | None = None,
) -> keras.KerasTensor:
    """Send a tensor of shape (batch, length, channels) through a block, in a training step."""
    from .fast import convolve, normalize_and_pool

    kernel, bias, gamma, beta = map(
        ops.convert_to_tensor,
        (convolution.kernel, convolution.bias, normalization.gamma, normalization.beta),
    )
    _, length, _ = convolution.compute_output_shape(signal.shape)
    (size,) = pooling.pool_size if pooling else (1,)
    convolved = convolve(signal, kernel, *convolution.strides, multiple=size)
    outputs, mean, variance = normalize_and_pool(
        convolved, bias, gamma, beta, length, size, normalization.epsilon
    )
    momentum = normalization.momentum
    for moving, batch in (
        (normalization.moving_mean, mean),
        (normalization.moving_variance, variance),
    ):
        moving.assign(moving * momentum + batch * (1 - momentum))
    return outputs


def _convolutional_part(layout: Layout) -> list[layers.Layer]:
    part, n_convolutions, n_poolings = [], 0, 0
    for layer in layout:
        if isinstance(layer, Convolution):
            n_convolutions += 1
            name = f"CL{n_convolutions}"
            part.append(layers.Conv1D(*layer, activation="relu", name=name))
            # Keras' momentum of 0.99 needs hundreds of steps to forget where the moving statistics
            # began; a lesson trains for fewer, and would predict with wrong ones.
            part.append(layers.BatchNormalization(momentum=0.9, name=f"norm_{name}"))
        else:
            n_poolings += 1
            part.append(layers.MaxPooling1D(layer.size, name=f"PL{n_poolings}"))
    return part


def _set_filters(layer: layers.Conv1D, sample_rate: int, trainable: bool) -> None:
    n_taps, _, n_filters = layer.kernel.shape
    filters = gammatone_filters(sample_rate, n_filters, n_taps)
    # Keras slides a kernel as it is; a filter's response runs backwards in time.
    layer.set_weights([filters.T[::-1, None, :], np.zeros(n_filters)])
    layer.trainable = trainable


def _check_genres(n_genres: int) -> None:
    if n_genres < 2:
        raise ValueError(f"a network tells two genres or more apart, but n_genres is {n_genres}")


def _compiled(
    network: keras.Model, learning_rate: float | keras.optimizers.schedules.LearningRateSchedule
) -> keras.Model:
    network.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return network
