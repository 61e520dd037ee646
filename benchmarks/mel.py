"""The mel CNN: how it is trained on real tracks, and on changed copies of them.

It sees the mel spectrogram in pictures of 64 frames, 3 s. How many epochs it has was chosen on
folds of artists that the answers do not use.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gtzan_helpers.evaluation import vote

if TYPE_CHECKING:
    import keras

MEL = "mel CNN"
N_FRAMES = 64
EPOCHS, BATCH = 8, 32
# How far copies are changed at most: level and slope over the bands in dB, and the level of noise
# in dB below the loudest band.
GAIN_DB, SLOPE_DB, NOISE_DB = 6.0, 6.0, (-80.0, -30.0)


def pictures(spectrogram: NDArray[np.float32], start: int = 0) -> NDArray[np.float32]:
    """Cut a spectrogram, (n_frames, n_bands), from some frame on: (n_pictures, 64, n_bands).

    One of fewer than 64 frames is repeated.
    """
    spectrogram = np.resize(spectrogram, (max(len(spectrogram), N_FRAMES), spectrogram.shape[1]))
    n_pictures = (len(spectrogram) - start) // N_FRAMES
    frames = spectrogram[start : start + n_pictures * N_FRAMES]
    return frames.reshape(n_pictures, N_FRAMES, -1)


def changed(spectrogram: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """Return pictures of a track, moved in time and changed in level, slope and noise.

    They stand for changes of the waveform: a gain adds to all decibels, a filter to some bands,
    white noise fills up what is softer. Polarity does not show in a spectrogram.
    """
    spare = len(spectrogram) % N_FRAMES if len(spectrogram) > N_FRAMES else 0
    moved = pictures(spectrogram, int(random.integers(spare + 1)))
    one = (len(moved), 1, 1)
    slope = random.uniform(-SLOPE_DB, SLOPE_DB, one) * np.linspace(-1, 1, moved.shape[2])
    noise = spectrogram.max() + random.uniform(*NOISE_DB, one)
    noisy = 10 * np.logaddexp(moved / 10 * math.log(10), noise / 10 * math.log(10)) / math.log(10)
    return (noisy + slope + random.uniform(-GAIN_DB, GAIN_DB, one)).astype(np.float32)


def ask_mel(network: keras.Model, spectrograms: list[NDArray[np.float32]]) -> NDArray[np.float64]:
    """Return what the mel CNN says of tracks, the mean over each one's pictures."""
    asked = [pictures(one) for one in spectrograms]
    tracks = np.repeat(np.arange(len(asked)), [len(some) for some in asked])
    return vote(network.predict(np.concatenate(asked), verbose=0), tracks).to_numpy()


def train_mel(
    spectrograms: list[NDArray[np.float32]],
    labels: NDArray[np.intp],
    n_genres: int,
    seed: int = 0,
    augment: bool = False,
    epochs: int = EPOCHS,
) -> keras.Model:
    """Train the mel CNN on tracks, as they are or changed anew in each epoch, to the end."""
    from gtzan_helpers.networks import falling_rate, keras, mel_cnn

    keras.utils.set_random_seed(seed)
    random = np.random.default_rng([seed, 1])
    plain = [pictures(one) for one in spectrograms]
    inputs, labels = np.concatenate(plain), np.repeat(labels, [len(some) for some in plain])
    rate = falling_rate(epochs * math.ceil(len(labels) / BATCH))
    network = mel_cnn(*inputs.shape[1:], n_genres, learning_rate=rate)
    network.get_layer("scaler").adapt(inputs)
    for _ in range(epochs):  # a fit of one epoch each: Adam and its rate go on where they were
        if augment:
            inputs = np.concatenate([changed(one, random) for one in spectrograms])
        network.fit(inputs, labels, batch_size=BATCH, verbose=0)
    return network
