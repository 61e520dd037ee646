"""The two networks of the course, and how they are trained.

Taught in notebooks/03_dense_network.ipynb and notebooks/05_cnn_1d.ipynb.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from .cache import cache_folder
from .memory import keep_freed_memory, return_freed_memory

# Both must be settled before Keras is imported: it chooses its backend, and JAX starts threads.
keep_freed_memory()
os.environ.setdefault("KERAS_BACKEND", "jax")

import keras  # noqa: E402
from keras import layers, ops  # noqa: E402

if TYPE_CHECKING:
    from .slices import SliceSet


def _keep_compiled() -> None:
    """Let JAX keep what it compiles, which takes seconds: a network built again starts at once."""
    if keras.backend.backend() != "jax":
        return
    import jax

    if jax.config.jax_compilation_cache_dir is None:  # else the user has arranged it
        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "compiled"))
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
        Whether to use Keras' own layers throughout, which compute the same, slower. A network
        saved from them loads where this package is not installed.

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
    network = keras.Sequential(name="abdoli_cnn")
    network.add(keras.Input((n_samples,), name="waveform"))
    network.add(layers.Rescaling(1 / amplitude, name="scale"))
    network.add(layers.Reshape((n_samples, 1), name="one_channel"))
    for layer in _convolutional_part(choose_layout(n_samples, gammatone), plain):
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

    Saved, it loads wherever Keras is installed; a network with the quicker layers of this package
    needs the package, too. Both compute the same.

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

    def as_keras(layer: layers.Layer) -> layers.Layer:
        own = {
            QuickConv1D: layers.Conv1D,
            QuickMaxPooling1D: layers.MaxPooling1D,
            QuickBatchNormalization: layers.BatchNormalization,
        }
        return own.get(type(layer), type(layer)).from_config(layer.get_config())

    copy = keras.models.clone_model(network, clone_function=as_keras)
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


# Below are three of Keras' layers, computed in ways that train faster on JAX and a CPU. Weights,
# outputs and settings are those of Keras; other backends and devices use Keras' own way.


def _on_cpu_with_jax() -> bool:
    if keras.backend.backend() != "jax":
        return False
    import jax

    return jax.default_backend() == "cpu"


# From here on, a convolution on a CPU gains little from more channels.
MANY_CHANNELS = 16


@keras.saving.register_keras_serializable(package="gtzan_helpers")
class QuickConv1D(layers.Conv1D):
    """Keras' convolution, as one with stride 1 and many channels, which is quicker.

    Neighbouring samples are taken as the channels of one: as many as the stride, which leaves a
    stride of 1. Where that still makes few channels, several neighbouring outputs are computed
    together, each with its own shifted copy of the kernel.
    """

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Convolve a tensor of shape (batch, length, channels)."""
        usual = (self.padding, self.data_format, self.groups) == ("valid", "channels_last", 1)
        if self.dilation_rate != (1,) or not usual or not _on_cpu_with_jax():
            return super().call(inputs)
        (stride,), (size,), (_, length, channels) = self.strides, self.kernel_size, inputs.shape
        n_outputs = (length - size) // stride + 1
        together = max(1, MANY_CHANNELS // (stride * channels))
        hop = together * stride
        taps = -(-(size + hop - stride) // hop)  # of the kernels in hops, rounded up
        n_steps = -(-n_outputs // together)
        inputs = _with_length(inputs, (n_steps + taps - 1) * hop)
        kernels = [
            ops.pad(self.kernel, [[shift, taps * hop - size - shift], [0, 0], [0, 0]])
            for shift in range(0, hop, stride)
        ]
        outputs = ops.conv(
            ops.reshape(inputs, (-1, n_steps + taps - 1, hop * channels)),
            ops.reshape(ops.concatenate(kernels, axis=-1), (taps, hop * channels, -1)),
            data_format="channels_last",
        )
        outputs = ops.reshape(outputs, (-1, n_steps * together, self.filters))[:, :n_outputs]
        return self.activation(outputs + self.bias if self.use_bias else outputs)


@keras.saving.register_keras_serializable(package="gtzan_helpers")
class QuickMaxPooling1D(layers.MaxPooling1D):
    """Keras' pooling of windows that do not overlap, with a quicker gradient.

    The largest sample of a window is picked with a mask, whose gradient is a multiplication.
    """

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Pool a tensor of shape (batch, length, channels)."""
        (size,) = self.pool_size
        usual = (self.padding, self.data_format) == ("valid", "channels_last")
        if self.strides != self.pool_size or not usual or not _on_cpu_with_jax():
            return super().call(inputs)
        _, length, channels = inputs.shape
        n_windows = length // size
        windows = ops.reshape(inputs[:, : n_windows * size], (-1, n_windows, size, channels))
        # The first of equal samples takes the whole gradient, as in Keras' own layer.
        largest = ops.expand_dims(ops.argmax(windows, axis=2), 2)
        places = ops.reshape(ops.arange(size, dtype=largest.dtype), (1, 1, size, 1))
        return ops.sum(ops.where(places == largest, windows, 0.0), axis=2)


@keras.saving.register_keras_serializable(package="gtzan_helpers")
class QuickBatchNormalization(layers.BatchNormalization):
    """Keras' batch normalisation of the last axis, in fewer passes over the data.

    Mean and variance come from one pass: the variance is the mean square less the squared mean. It
    loses digits where the mean is many times the standard deviation, which no ReLU's output is.
    """

    def call(
        self,
        inputs: keras.KerasTensor,
        training: bool | None = None,
        mask: keras.KerasTensor | None = None,
    ) -> keras.KerasTensor:
        """Normalise a tensor of shape (batch, length, channels)."""
        if not (training and self.trainable) or mask is not None or not _on_cpu_with_jax():
            return super().call(inputs, training=training, mask=mask)
        mean = ops.mean(inputs, axis=(0, 1))
        variance = ops.relu(ops.mean(ops.square(inputs), axis=(0, 1)) - ops.square(mean))
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + batch * (1 - self.momentum))
        return ops.batch_normalization(
            inputs, mean, variance, -1, self.beta, self.gamma, self.epsilon
        )


def _with_length(signal: keras.KerasTensor, length: int) -> keras.KerasTensor:
    """Return a signal cut, or filled with zeros, to a length."""
    missing = length - signal.shape[1]
    if missing > 0:
        return ops.pad(signal, [[0, 0], [0, missing], [0, 0]])
    return signal[:, :length]


def _convolutional_part(layout: Layout, plain: bool) -> list[layers.Layer]:
    convolution = layers.Conv1D if plain else QuickConv1D
    pooling = layers.MaxPooling1D if plain else QuickMaxPooling1D
    normalization = layers.BatchNormalization if plain else QuickBatchNormalization
    part, n_convolutions, n_poolings = [], 0, 0
    for layer in layout:
        if isinstance(layer, Convolution):
            n_convolutions += 1
            name = f"CL{n_convolutions}"
            part.append(convolution(*layer, activation="relu", name=name))
            # Keras' momentum of 0.99 needs hundreds of steps to forget where the moving statistics
            # began; a lesson trains for fewer, and would predict with wrong ones.
            part.append(normalization(momentum=0.9, name=f"norm_{name}"))
        else:
            n_poolings += 1
            part.append(pooling(layer.size, name=f"PL{n_poolings}"))
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
