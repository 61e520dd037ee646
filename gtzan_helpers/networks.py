"""The two networks of the course, and how they are trained.

Lessons: 05_dense_network and 07_cnn_1d.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import keras
import numpy as np
import pandas as pd
from keras import layers
from numpy.typing import NDArray
from tqdm import tqdm
from tqdm.keras import TqdmCallback

from . import fast

if TYPE_CHECKING:
    from .slices import SliceSet

LearningRate = float | keras.optimizers.schedules.LearningRateSchedule
# The table of Abdoli, Cardinal and Koerich (2019), by the length of the input in samples. A row is
# a convolution and the pooling after it, if it has more than 1: (filters, kernel, stride, pool).
Layout = list[tuple[int, int, int, int]]
_LONG: Layout = [(16, 64, 2, 8), (32, 32, 2, 8), (64, 16, 2, 1), (128, 8, 2, 1), (256, 4, 2, 4)]
LAYOUTS: dict[int, Layout] = {
    50999: _LONG,
    32000: _LONG,
    16000: _LONG[:4],
    8000: _LONG[:3],
    1600: [(16, 32, 2, 2), (32, 16, 2, 2), (64, 8, 2, 1)],
}
HISTORY = ["loss", "accuracy", "val_loss", "val_accuracy"]
# How far a training slice may differ from what it is: in decibels, upwards and downwards.
GAIN_DB = 6.0
# Its first layer is a fixed bank of filters, of 512 samples each.
GAMMATONE_LAYOUT: Layout = [(64, 512, 1, 8), *LAYOUTS[16000][1:]]


def dense_network(
    n_features: int,
    n_genres: int,
    units: tuple[int, ...] = (256, 128, 64),
    dropout: float = 0.5,
    learning_rate: LearningRate = 1e-3,
) -> keras.Model:
    """Build a network of dense layers that tells genres from features.

    The first layer, "scaler", brings every feature to mean 0 and variance 1, once it has seen the
    training rows; the inverse hyperbolic sine after it leaves what is usual as it is and draws in
    outliers. Each hidden layer is followed by batch normalisation and dropout.

    Parameters
    ----------
    n_features, n_genres : int
        Numbers that go in, and genres that come out.
    units : tuple of int
        Sizes of the hidden layers.
    dropout : float
        Share of each hidden layer's outputs that a training step leaves out.
    learning_rate : float or keras.optimizers.schedules.LearningRateSchedule
        Step size of the Adam optimiser.

    Returns
    -------
    keras.Model
        Compiled; takes (n, n_features), gives a probability per genre, of shape (n, n_genres), and
        learns from genres given as whole numbers.

    Examples
    --------
    >>> network = gh.dense_network(57, 10)
    >>> network.get_layer("scaler").adapt(training_features)

    Lesson: 05_dense_network.
    """
    features = keras.Input((n_features,), name="features")
    x = keras.ops.arcsinh(layers.Normalization(name="scaler")(features))
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
    learning_rate: LearningRate = 5e-4,
) -> keras.Sequential:
    """Build the network that tells genres from the waveform itself.

    Parameters
    ----------
    n_samples : int
        Length of the input. A length that the paper does not list takes the layout of the nearest
        one that it fits.
    n_genres : int
        Genres that come out.
    gammatone : bool
        Whether the first layer is a fixed bank of gammatone filters, which resembles the ear.
    amplitude : float
        Standard deviation of the training waveforms, as from `SliceSet.amplitude`. The network
        divides by it: batch normalisation learns slowly on small numbers.
    sample_rate : int
        Hz; places the gammatone filters, and matters to nothing else.
    learning_rate : float or keras.optimizers.schedules.LearningRateSchedule
        Step size of the Adam optimiser.

    Returns
    -------
    keras.Sequential
        Compiled; takes (n, n_samples), gives a probability per genre, of shape (n, n_genres), and
        learns from genres given as whole numbers.

    Raises
    ------
    ValueError
        If `n_samples` is too short for every layout, or `amplitude` is not positive.

    Notes
    -----
    S. Abdoli, P. Cardinal and A. L. Koerich, "End-to-end environmental sound classification using a
    1D convolutional neural network", Expert Systems with Applications 136, 2019 (arXiv 1904.08990).
    Here batch normalisation follows its inputs more closely (momentum 0.9), and the optimiser and
    the loss are today's usual ones.

    Examples
    --------
    >>> network = gh.abdoli_cnn(44100, n_genres=10, amplitude=slices.amplitude(training))

    Lesson: 07_cnn_1d.
    """
    if not amplitude > 0:
        raise ValueError(f"amplitude must be positive, not {amplitude}: silence cannot be scaled")
    stack = [
        keras.Input((n_samples,), name="waveform"),
        layers.Rescaling(1 / amplitude, name="scale"),
        layers.Reshape((n_samples, 1), name="one_channel"),
        *_convolutions(choose_layout(n_samples, gammatone)),
        layers.Flatten(name="flatten"),
    ]
    for place, size in enumerate((128, 64), start=1):
        stack.append(layers.Dense(size, activation="relu", name=f"FC{place}"))
        stack.append(layers.Dropout(0.25, name=f"dropout_FC{place}"))
    last = layers.Dense(n_genres, activation="softmax", name="genre")
    network = fast.sequential([*stack, last], name="abdoli_cnn")
    if gammatone:
        # Keras slides a kernel as it is; a filter's response runs backwards in time.
        kernel = gammatone_filters(sample_rate).T[::-1, None]
        network.get_layer("CL1").set_weights([kernel, np.zeros(kernel.shape[-1])])
        network.get_layer("CL1").trainable = False
    return _compiled(network, learning_rate)


def mel_cnn(
    n_frames: int,
    n_bands: int,
    n_genres: int,
    filters: tuple[int, ...] = (16, 32, 64, 128),
    learning_rate: LearningRate = 1e-3,
) -> keras.Model:
    """Build a network that tells genres from pictures of sound: 2-D convolutions, then a mean.

    The first layer, "scaler", brings the pictures to mean 0 and variance 1, once it has seen the
    training pictures. Each convolution (3 × 3) is followed by batch normalisation and pooling
    (2 × 2).

    Parameters
    ----------
    n_frames, n_bands, n_genres : int
        Size of a picture, a mel spectrogram in decibels; and genres that come out.
    filters : tuple of int
        How many filters each convolution has.
    learning_rate : float or keras.optimizers.schedules.LearningRateSchedule
        Step size of the Adam optimiser.

    Returns
    -------
    keras.Model
        Compiled; takes (n, n_frames, n_bands), gives a probability per genre, of shape
        (n, n_genres), and learns from genres given as whole numbers.

    Examples
    --------
    >>> network = gh.mel_cnn(64, 64, n_genres=10)
    >>> network.get_layer("scaler").adapt(pictures)

    Lesson: 09_go_further.
    """
    picture = keras.Input((n_frames, n_bands), name="picture")
    x = layers.Normalization(axis=None, name="scaler")(picture)
    x = layers.Reshape((n_frames, n_bands, 1), name="one_channel")(x)
    for place, size in enumerate(filters, start=1):
        name = f"CL{place}"
        x = layers.Conv2D(size, 3, padding="same", use_bias=False, name=name)(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"norm_{name}")(x)
        x = layers.MaxPooling2D(2, name=f"PL{place}")(layers.ReLU(name=f"relu_{name}")(x))
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    genre = layers.Dense(n_genres, activation="softmax", name="genre")(x)
    return _compiled(keras.Model(picture, genre, name="mel_cnn"), learning_rate)


def choose_layout(n_samples: int, gammatone: bool = False) -> Layout:
    """Return the paper's layout for the length nearest to `n_samples` that it fits."""
    layouts = {16000: GAMMATONE_LAYOUT} if gammatone else LAYOUTS
    fitting = [length for length, layout in layouts.items() if _shortest(layout) <= n_samples]
    if not fitting:
        needed = min(map(_shortest, layouts.values()))
        raise ValueError(
            f"{n_samples} samples are too short for this network, which needs {needed} or more: "
            "take longer slices, or a higher sample rate"
        )
    return layouts[min(fitting, key=lambda length: abs(length - n_samples))]


def _shortest(layout: Layout) -> int:
    """Return how long a signal must be to leave one number behind the last layer."""
    length = 1
    for _, kernel, stride, pool in reversed(layout):
        length = (length * pool - 1) * stride + kernel
    return length


def _convolutions(layout: Layout) -> list[layers.Layer]:
    """Return the layers of a layout, with batch normalisation after each convolution."""
    stack, poolings = [], itertools.count(1)
    for place, (filters, kernel, stride, pool) in enumerate(layout, start=1):
        name = f"CL{place}"
        stack.append(layers.Conv1D(filters, kernel, stride, activation="relu", name=name))
        # Keras' momentum of 0.99 needs hundreds of steps to forget where the moving statistics
        # began; a lesson trains for fewer, and would predict with wrong ones.
        stack.append(layers.BatchNormalization(momentum=0.9, name=f"norm_{name}"))
        if pool > 1:
            stack.append(layers.MaxPooling1D(pool, name=f"PL{next(poolings)}"))
    return stack


def _compiled(network: keras.Model, learning_rate: LearningRate) -> keras.Model:
    network.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return network


def gammatone_filters(sample_rate: int, n_filters: int = 64, n_taps: int = 512) -> NDArray:
    """Return a bank of gammatone filters, a model of how the inner ear splits sound.

    Parameters
    ----------
    sample_rate : int
        Hz. The centre frequencies lie between 100 Hz and half of it, as densely as the ear's.
    n_filters, n_taps : int
        How many filters, and of how many samples each; by default the paper's.

    Returns
    -------
    ndarray, shape (n_filters, n_taps)
        Impulse responses of order 4, each with a sum of squares of 1, from low to high.

    Notes
    -----
    Bandwidths and spacing after Glasberg and Moore (1990), in the form of M. Slaney, Apple
    Technical Report 35 (1993), as SciPy has them.

    Examples
    --------
    >>> bank = gh.networks.gammatone_filters(22050)

    Lesson: 07_cnn_1d.
    """
    from scipy.signal import gammatone

    # A filter is as wide as `corner + frequency`, up to a factor, so the centres form a geometric
    # series from there. The one at half the sample rate cannot be computed, and is left out.
    corner = 9.26449 * 24.7
    centres = np.geomspace(100 + corner, sample_rate / 2 + corner, n_filters + 1)[:-1] - corner
    filters = [gammatone(f, "fir", order=4, numtaps=n_taps, fs=sample_rate)[0] for f in centres]
    return np.stack([taps / np.linalg.norm(taps) for taps in filters])


def fit(
    network: keras.Model,
    training: tuple | keras.utils.PyDataset,
    validation: tuple | keras.utils.PyDataset | None = None,
    epochs: int = 20,
    patience: int | None = 5,
    batch_size: int = 32,
) -> pd.DataFrame:
    """Train a network until it stops getting better, and leave it as it was at its best.

    Without validation data, or with `patience=None`, it is trained to the end instead, and left
    as it is then: what a step size that falls to zero is made for (`falling_rate`).

    The first weights are settled when a network is built; the order of the rows and the dropout
    repeat after `keras.utils.set_random_seed`.

    Parameters
    ----------
    network : keras.Model
        Compiled; trained in place.
    training, validation : tuple of arrays, or keras.utils.PyDataset
        What to learn from, and what to measure the progress on: inputs and genres (whole numbers),
        or the batches of a `SliceSet`.
    epochs : int
        Passes over the training data, at most.
    patience : int, optional
        Epochs to go on without a smaller validation loss.
    batch_size : int
        Rows in a batch; a PyDataset has its own.

    Returns
    -------
    DataFrame
        One row per epoch: epoch (from 1), loss, accuracy and, with validation data, val_loss and
        val_accuracy.

    Examples
    --------
    >>> history = gh.fit(network, (x, labels), (x_validation, labels_validation), epochs=200)

    Lesson: 05_dense_network, 07_cnn_1d.
    """
    fast.return_freed_memory()
    callbacks: list = [TqdmCallback(verbose=0, tqdm_class=tqdm, desc="train", leave=False)]
    watched = {} if validation is None else {"validation_data": _checked(validation, network)}
    if watched and patience is not None:
        stop = keras.callbacks.EarlyStopping
        callbacks.insert(0, stop("val_loss", patience=patience, restore_best_weights=True))
    history = network.fit(
        *_checked(training, network),
        batch_size=batch_size,
        epochs=epochs,
        callbacks=callbacks,
        verbose=0,
        **watched,
    )
    table = pd.DataFrame(history.history).filter(HISTORY)
    table.insert(0, "epoch", np.arange(1, len(table) + 1))
    return table


def falling_rate(n_steps: int, start: float = 1e-3) -> LearningRate:
    """Return a step size that falls from `start` to zero, along half a cosine, in some steps."""
    return keras.optimizers.schedules.CosineDecay(start, n_steps)


def _checked(data: tuple | keras.utils.PyDataset, network: keras.Model) -> tuple:
    """Return what `Model.fit` takes: inputs and genres, or batches, which hold both."""
    if isinstance(data, keras.utils.PyDataset):
        return (data,)
    inputs, genres = np.asarray(data[0], dtype=np.float32), np.asarray(data[1])
    n_genres = network.output_shape[-1]
    if genres.dtype.kind not in "iu" or not np.isin(genres, range(n_genres)).all():
        raise ValueError(
            f"this network's genres are whole numbers from 0 to {n_genres - 1}, but here they are "
            f"{np.unique(genres).tolist()}: number them, as with pandas.Categorical(genres).codes"
        )
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
        augment: bool,
    ) -> None:
        super().__init__()
        fast.return_freed_memory()
        self._slices, self._order, self._one_hot = slices, positions, one_hot
        self._batch_size = min(batch_size, len(positions))
        self._shuffled = _shuffled(positions, self._batch_size, seed) if shuffle else None
        self._random = np.random.default_rng([seed, 1]) if augment else None
        self.on_epoch_end()

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-len(self._order) // self._batch_size)

    def __getitem__(self, place: int) -> tuple[NDArray[np.float32], NDArray]:
        """Return a batch: samples of shape (batch_size, n_samples), and labels."""
        if place % 100 == 99:  # what is kept falls to pieces and grows, in a long epoch
            fast.return_freed_memory()
        rows = self._order[place * self._batch_size :][: self._batch_size]
        labels = self._slices.labels(rows)
        if self._one_hot:
            labels = keras.utils.to_categorical(labels, len(self._slices.genres))
        return self._changed(rows) if self._random else self._slices.samples(rows), labels

    def _changed(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return slices moved by up to half a hop, at another level, half of them upside down."""
        half = self._slices.n_hop // 2
        shift = self._random.integers(-half, half + 1, len(rows))
        decibels = self._random.uniform(-GAIN_DB, GAIN_DB, (len(rows), 1))
        gain = 10 ** (decibels / 20) * self._random.choice([-1, 1], (len(rows), 1))
        return self._slices.samples(rows, shift) * gain.astype(np.float32)

    def on_epoch_end(self) -> None:
        """Mix the slices anew."""
        if self._shuffled:
            self._order = next(self._shuffled)


def _shuffled(
    positions: NDArray[np.intp], batch_size: int, seed: int
) -> Iterator[NDArray[np.intp]]:
    """Yield an order of slices for each epoch."""
    # The last batch is filled up from the first: a batch of another size would make JAX compile
    # the network a second time, which takes longer than to train on it.
    size = -(-len(positions) // batch_size) * batch_size
    for epoch in itertools.count():
        yield np.resize(np.random.default_rng([seed, epoch]).permutation(positions), size)
