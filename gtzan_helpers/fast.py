"""A convolution with the normalisation and the pooling after it, in a way that is quick on a CPU.

The longest signal of a network lies between its first convolution and the pooling after it. Layer
by layer, it is written and read many times in a step of training. Here it is written once and read
once on the way forward, and the same on the way back: pooling comes before normalisation, which
keeps the order of numbers or, where its factor is negative, turns it round; and one pass finds the
largest numbers, the sums and the sums of squares. Outputs and gradients are those of Keras' layers.

For JAX only. What is computed is taught in notebooks/05_cnn_1d.ipynb, with Keras' layers.
"""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

# From here on, a convolution on a CPU gains little from more channels.
MANY_CHANNELS = 16


def convolve(signal: jax.Array, kernel: jax.Array, stride: int, multiple: int = 1) -> jax.Array:
    """Convolve a signal with a kernel, as one with stride 1 and many channels.

    Neighbouring samples are taken as the channels of one: as many as the stride, which leaves a
    stride of 1. Where that still makes few channels, several neighbouring outputs are computed
    together, each with its own shifted copy of the kernel.

    Parameters
    ----------
    signal : array, shape (batch, length, channels)
        Numbers of type float32, as everywhere in this module.
    kernel : array, shape (size, channels, filters)
        The filters; they stay within the signal.
    stride : int
        Samples from one output to the next.
    multiple : int
        The number of outputs is filled up to a multiple of this one.

    Returns
    -------
    array, shape (batch, n_outputs or a few more, filters)
        ``n_outputs = (length - size) // stride + 1``; what comes after them means nothing.
    """
    size, channels, filters = kernel.shape
    n_outputs = (signal.shape[1] - size) // stride + 1
    together = max(1, MANY_CHANNELS // (stride * channels))
    hop = together * stride
    taps = _rounded_up(size + hop - stride, hop) // hop  # length of the shifted kernels, in hops
    n_steps = _rounded_up(n_outputs, math.lcm(together, multiple)) // together
    signal = _with_length(signal, (n_steps + taps - 1) * hop)
    kernels = [
        jnp.pad(kernel, [(shift, taps * hop - size - shift), (0, 0), (0, 0)])
        for shift in range(0, hop, stride)
    ]
    outputs = (_convolve_few if together > 1 else _convolve)(
        signal.reshape(-1, n_steps + taps - 1, hop * channels),
        jnp.concatenate(kernels, axis=-1).reshape(taps, hop * channels, -1),
    )
    return outputs.reshape(-1, n_steps * together, filters)


def _rounded_up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


def _with_length(signal: jax.Array, length: int) -> jax.Array:
    """Return a signal cut, or filled with zeros, to a length."""
    signal = signal[:, :length]
    return jnp.pad(signal, [(0, 0), (0, length - signal.shape[1]), (0, 0)])


def _convolve(signal: jax.Array, kernel: jax.Array) -> jax.Array:
    layout = ("NWC", "WIO", "NWC")
    return lax.conv_general_dilated(signal, kernel, (1,), "VALID", dimension_numbers=layout)


@jax.custom_vjp
def _convolve_few(signal: jax.Array, kernel: jax.Array) -> jax.Array:
    """Convolve a signal of few channels: its kernel's gradient is a product of matrices here."""
    return _convolve(signal, kernel)


def _convolve_few_forward(signal: jax.Array, kernel: jax.Array) -> tuple:
    return _convolve(signal, kernel), (signal, kernel)


def _convolve_few_backward(kept: tuple, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    signal, kernel = kept
    n_outputs = gradient.shape[1]
    frames = [signal[:, tap : tap + n_outputs] for tap in range(len(kernel))]
    each = jnp.einsum("btc,btf->bcf", jnp.concatenate(frames, axis=-1), gradient)
    _, back_to_signal = jax.vjp(lambda signal: _convolve(signal, kernel), signal)
    return (*back_to_signal(gradient), each.sum(axis=0).reshape(kernel.shape))


_convolve_few.defvjp(_convolve_few_forward, _convolve_few_backward)


@partial(jax.custom_vjp, nondiff_argnums=(4, 5, 6))
def normalize_and_pool(
    signal: jax.Array,
    bias: jax.Array,
    gamma: jax.Array,
    beta: jax.Array,
    length: int,
    pool_size: int,
    epsilon: float,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Add a bias, rectify, normalise over the batch, and keep the largest number of each window.

    Parameters
    ----------
    signal : array, shape (batch, a multiple of `pool_size`, channels)
        What comes out of `convolve`.
    bias, gamma, beta : array, shape (channels,)
        The convolution's bias; the normalisation's factor and offset.
    length : int
        How much of the signal counts.
    pool_size : int
        Length of a window; 1 keeps everything.
    epsilon : float
        Added to the variance.

    Returns
    -------
    array, shape (batch, length // pool_size, channels)
        The largest normalised numbers.
    array, array, each of shape (channels,)
        Mean and variance of the rectified signal. No gradient passes through them.

    Notes
    -----
    The variance is the mean square less the squared mean. That loses digits where the mean is many
    times the standard deviation, which no rectified signal's is.
    """
    return _normalize_and_pool_forward(signal, bias, gamma, beta, length, pool_size, epsilon)[0]


def _normalize_and_pool_forward(
    signal: jax.Array,
    bias: jax.Array,
    gamma: jax.Array,
    beta: jax.Array,
    length: int,
    pool_size: int,
    epsilon: float,
) -> tuple:
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
        return (
            one[0] + other[0],
            one[1] + other[1],
            jnp.where(later, other[2], one[2]),
            jnp.where(later, other[3], one[3]),
        )

    start = (jnp.float32(0), jnp.float32(0), jnp.float32(-jnp.inf), jnp.int32(0))
    return lax.reduce((windows, windows**2, windows * sign, places), start, combine, (2,))


def _normalize_and_pool_backward(
    length: int, pool_size: int, epsilon: float, kept: tuple, gradients: tuple
) -> tuple[jax.Array, ...]:
    """Return the gradients of signal, bias, gamma and beta.

    Numbers x become ``y = gamma * (x - mean) / deviation + beta``. A change of one x moves the mean
    and the deviation too, which takes away from its gradient a part that is the same for all, and a
    part in proportion to x. Only the largest numbers of the windows have a gradient of their own.
    """
    signal, bias, gamma, mean, deviation, normalized, places = kept
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


normalize_and_pool.defvjp(_normalize_and_pool_forward, _normalize_and_pool_backward)
