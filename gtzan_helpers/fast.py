"""What makes the waveform network train fast on JAX and a CPU; all others go Keras' own way.

The longest signal of a network lies between its first convolution and the pooling after it. Layer
by layer, it is written and read many times in a step of training. Here it is written once and read
once on the way forward, and the same on the way back: pooling comes before normalisation, which
keeps the order of numbers or, where its factor is negative, turns it round; and one pass finds the
largest numbers, the sums and the sums of squares. Outputs and gradients are those of Keras' layers.

Memory that a step has freed is kept for the next one, and what JAX compiles for the next program.
"""

from __future__ import annotations

import ctypes
import inspect
import math
import sys
import warnings
from types import MethodType

import jax
import jax.numpy as jnp
import keras
from jax import lax
from keras import layers

from .cache import wanted_folder, why_not_writable

# From here on, a convolution on a CPU gains little from more channels.
MANY_CHANNELS = 16
# Options of GNU's malloc, see mallopt(3): one arena for all threads, no separate mappings, nothing
# trimmed. The numbers of the first three are those in malloc.h.
KEEP_FREED = {-8: 1, -4: 0, -1: 2**31 - 1}
_C_LIBRARY = ctypes.CDLL(None) if sys.platform == "linux" else None


def sequential(stack: list[layers.Layer], name: str) -> keras.Sequential:
    """Return a stack of Keras' layers that trains faster and computes the same.

    A convolution is computed together with the batch normalisation and the pooling after it, in
    training, in single precision, with JAX on a CPU. The file and the copies of the network are
    those of a plain `keras.Sequential`, and need nothing of this package.

    Parameters
    ----------
    stack : list of layers
        A Conv1D has ReLU, a bias and no padding, and is followed by a BatchNormalization; pooling
        windows do not overlap; all else is free.
    name : str
        Name of the network.

    Returns
    -------
    keras.Sequential
    """
    network = keras.Sequential(stack, name=name)
    if keras.backend.backend() == "jax":
        network.call = MethodType(_call, network)
    return network


def return_freed_memory() -> None:
    """Give back to the system what was kept, before work that needs other pieces of memory."""
    if malloc_trim := getattr(_C_LIBRARY, "malloc_trim", None):
        malloc_trim(0)


def _keep_freed_memory() -> None:
    """Keep freed memory for the next step, where that can be arranged: on GNU/Linux.

    Large blocks usually go back to the system at once. JAX frees and asks for hundreds of megabytes
    in every step of training, and up to a third of the step went into having them cleared anew.
    What is kept falls to pieces with time, up to twice what is needed, unless it is returned now
    and then. This must come before JAX starts its threads.
    """
    if mallopt := getattr(_C_LIBRARY, "mallopt", None):
        for option, value in KEEP_FREED.items():
            mallopt(option, value)


def _keep_compiled() -> None:
    """Let JAX keep what it compiles, which takes seconds: a network built again starts at once."""
    folder = wanted_folder() / "compiled"  # JAX makes it, and warns of each file it cannot write
    if jax.config.jax_compilation_cache_dir is not None or why_not_writable(folder):
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    # A disk that fills up later is no reason for a warning a network.
    warnings.filterwarnings("ignore", "Error writing persistent compilation cache entry")


_keep_freed_memory()
_keep_compiled()


def _call(
    network: keras.Sequential, inputs: jax.Array, training: bool | None = None, mask: None = None
) -> jax.Array:
    """Send a tensor through all layers of a network."""
    if not training or network.compute_dtype != "float32" or jax.default_backend() != "cpu":
        return keras.Sequential.call(network, inputs, training=training, mask=mask)
    ahead = list(network.layers)
    while ahead:
        layer = ahead.pop(0)
        if isinstance(layer, layers.Conv1D) and ahead[0].trainable:
            normalization = ahead.pop(0)
            pooled = ahead and isinstance(ahead[0], layers.MaxPooling1D)
            inputs = _train_block(inputs, layer, normalization, ahead.pop(0) if pooled else None)
        else:
            distinguishes = "training" in inspect.signature(layer.call).parameters
            inputs = layer(inputs, training=True) if distinguishes else layer(inputs)
    return inputs


def _train_block(
    signal: jax.Array,
    convolution: layers.Conv1D,
    normalization: layers.BatchNormalization,
    pooling: layers.MaxPooling1D | None,
) -> jax.Array:
    """Send a signal of shape (batch, length, channels) through a block, in a training step."""
    weights = convolution.kernel, convolution.bias, normalization.gamma, normalization.beta
    kernel, *others = map(keras.ops.convert_to_tensor, weights)
    _, length, _ = convolution.compute_output_shape(signal.shape)
    size = pooling.pool_size[0] if pooling else 1
    signal = _convolve(signal, kernel, *convolution.strides, size)
    sizes = length, size, normalization.epsilon
    outputs, mean, variance = _normalize_and_pool(signal, *others, sizes)
    momentum = normalization.momentum
    statistics = (normalization.moving_mean, mean), (normalization.moving_variance, variance)
    for moving, of_batch in statistics:
        moving.assign(moving * momentum + of_batch * (1 - momentum))
    return outputs


def _convolve(signal: jax.Array, kernel: jax.Array, stride: int, multiple: int) -> jax.Array:
    """Return (batch, n_outputs, filters), filled up to a multiple with what means nothing.

    Neighbouring samples are taken as the channels of one: as many as the stride, which leaves a
    stride of 1. Where that still makes few channels, several neighbouring outputs are computed
    together, each with its own shifted copy of the kernel, of shape (size, channels, filters).
    """
    size, channels, filters = kernel.shape
    n_outputs = (signal.shape[1] - size) // stride + 1
    together = max(1, MANY_CHANNELS // (stride * channels))
    hop = together * stride
    taps = -(-(size + hop - stride) // hop)  # length of the shifted kernels, in hops
    whole = math.lcm(together, multiple)
    n_steps = -(-n_outputs // whole) * whole // together
    signal = _with_length(signal, (n_steps + taps - 1) * hop)
    kernels = [
        jnp.pad(kernel, [(shift, taps * hop - size - shift), (0, 0), (0, 0)])
        for shift in range(0, hop, stride)
    ]
    outputs = (_slide_few if together > 1 else _slide)(
        signal.reshape(-1, n_steps + taps - 1, hop * channels),
        jnp.concatenate(kernels, axis=-1).reshape(taps, hop * channels, -1),
    )
    return outputs.reshape(-1, n_steps * together, filters)


def _with_length(signal: jax.Array, length: int) -> jax.Array:
    """Return a signal cut, or filled with zeros, to a length."""
    signal = signal[:, :length]
    return jnp.pad(signal, [(0, 0), (0, length - signal.shape[1]), (0, 0)])


def _slide(signal: jax.Array, kernel: jax.Array) -> jax.Array:
    layout = ("NWC", "WIO", "NWC")
    return lax.conv_general_dilated(signal, kernel, (1,), "VALID", dimension_numbers=layout)


def _slide_few_backward(kept: tuple, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return both gradients where channels are few: the kernel's is a product of matrices here."""
    signal, kernel = kept
    n_outputs = gradient.shape[1]
    frames = [signal[:, tap : tap + n_outputs] for tap in range(len(kernel))]
    each = jnp.einsum("btc,btf->bcf", jnp.concatenate(frames, axis=-1), gradient)
    _, back_to_signal = jax.vjp(lambda signal: _slide(signal, kernel), signal)
    return (*back_to_signal(gradient), each.sum(axis=0).reshape(kernel.shape))


_slide_few = jax.custom_vjp(_slide)
_slide_few.defvjp(lambda *given: (_slide(*given), given), _slide_few_backward)


def _normalize_and_pool_forward(
    signal: jax.Array, bias: jax.Array, gamma: jax.Array, beta: jax.Array, sizes: tuple
) -> tuple[tuple, tuple]:
    """Add a bias, rectify, normalise over the batch, and keep the largest number of each window.

    The sizes are a length, of which all after it means nothing, a window's size and an epsilon.
    Return what that makes, of shape (batch, n_windows, channels), the batch's mean and variance,
    through which no gradient passes, and what the way back needs. The variance is the mean square
    less the squared mean. That loses digits where the mean is many times the standard deviation,
    which no rectified signal's is.
    """
    length, pool_size, epsilon = sizes
    n_windows, count = length // pool_size, len(signal) * length
    rectified = jax.nn.relu(_windows(signal, pool_size) + bias)
    rest = rectified[:, n_windows:].reshape(len(signal), -1, len(bias))
    rest = rest[:, : length % pool_size]  # counts for mean and variance, but is in no window
    # Where the factor is negative, the smallest becomes the largest. Zero counts as positive.
    sign = jnp.sign(gamma + 1e-30)
    sums, squares, largest, places = (part[:, :n_windows] for part in _survey(rectified, sign))
    mean = (sums.sum((0, 1)) + rest.sum((0, 1))) / count
    square = (squares.sum((0, 1)) + (rest * rest).sum((0, 1))) / count
    variance = jax.nn.relu(square - mean * mean)
    deviation = jnp.sqrt(variance + epsilon)
    normalized = (largest * sign - mean) / deviation
    kept = signal, bias, gamma, mean, deviation, normalized, places
    return (normalized * gamma + beta, mean, variance), kept


def _windows(signal: jax.Array, size: int) -> jax.Array:
    return signal.reshape(len(signal), -1, size, signal.shape[-1])


def _survey(windows: jax.Array, sign: jax.Array) -> tuple[jax.Array, ...]:
    """Return each window's sum, sum of squares, largest number times its sign, and its place."""
    places = lax.broadcasted_iota(jnp.int32, windows.shape, 2)

    def combine(one: tuple, other: tuple) -> tuple:
        later = other[2] > one[2]  # of equal numbers the first is taken, as in Keras
        chosen = (jnp.where(later, b, a) for a, b in zip(one[2:], other[2:], strict=True))
        return (one[0] + other[0], one[1] + other[1], *chosen)

    start = (jnp.float32(0), jnp.float32(0), jnp.float32(-jnp.inf), jnp.int32(0))
    return lax.reduce((windows, windows**2, windows * sign, places), start, combine, (2,))


def _normalize_and_pool_backward(
    sizes: tuple, kept: tuple, gradients: tuple
) -> tuple[jax.Array, ...]:
    """Return the gradients of signal, bias, gamma and beta.

    Numbers x become ``y = gamma * (x - mean) / deviation + beta``. A change of one x moves the mean
    and the deviation too, which takes away from its gradient a part that is the same for all, and a
    part in proportion to x. Only the largest numbers of the windows have a gradient of their own.
    """
    signal, bias, gamma, mean, deviation, normalized, places = kept
    length, pool_size, _ = sizes
    gradient, count = gradients[0], len(signal) * length
    of_beta = gradient.sum((0, 1))
    of_gamma = (gradient * normalized).sum((0, 1))
    slope = gamma * of_gamma / deviation / count
    shift = slope * mean - gamma * of_beta / count
    windows = _windows(signal, pool_size) + bias
    own = _with_length(gradient * gamma, windows.shape[1])[:, :, None]
    taken = _with_length(places, windows.shape[1])[:, :, None] == jnp.arange(pool_size)[:, None]
    counts = jnp.arange(signal.shape[1]).reshape(-1, pool_size, 1) < length
    of_windows = (jnp.where(taken, own, 0.0) + shift - slope * windows) / deviation
    of_signal = jnp.where(counts & (windows > 0), of_windows, 0.0).reshape(signal.shape)
    return of_signal, of_signal.sum((0, 1)), of_gamma, of_beta


_normalize_and_pool = jax.custom_vjp(
    lambda *given: _normalize_and_pool_forward(*given)[0], nondiff_argnums=(4,)
)
_normalize_and_pool.defvjp(_normalize_and_pool_forward, _normalize_and_pool_backward)
