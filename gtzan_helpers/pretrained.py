"""A network that was trained on other music: musicnn, in NumPy.

J. Pons and X. Serra, "musicnn: Pre-trained convolutional neural networks for music audio tagging",
2019 (arXiv 1909.06654). It learned from some 19 000 clips of MagnaTagATune to give 50 tags, such as
"guitar" or "slow". What it computes last before the tags, its embedding, describes any music.

Lesson: 09_go_further.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import librosa
import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from .measured import FIVE, read_measured

FOLDER = Path(__file__).parent / "musicnn"
SAMPLE_RATE, N_FFT, HOP_LENGTH, N_BANDS = 16000, 512, 256, 96
PATCH = 187  # frames that are looked at together
PATCH_SAMPLES = PATCH * HOP_LENGTH
PATCH_SECONDS = PATCH_SAMPLES / SAMPLE_RATE  # 3 s, less a hundredth
N_EMBEDDING, N_TAGS = 200, 50
# Kernels as (frames, bands, channels in, filters). The first five look at the spectrogram, in
# height (timbre) or in length (rhythm); the last three at what these found.
CONVOLUTIONS = [
    *((7, 38, 1, 204), (7, 67, 1, 204), (128, 1, 1, 51), (64, 1, 1, 51), (32, 1, 1, 51)),
    *((7, 561, 1, 64), (7, 64, 1, 64), (7, 64, 1, 64)),
]
_TAGS = (
    "guitar, classical, slow, techno, strings, drums, electronic, rock, fast, piano, ambient, "
    "beat, violin, vocal, synth, female, indian, opera, male, singing, vocals, no vocals, "
    "harpsichord, loud, quiet, flute, woman, male vocal, no vocal, pop, soft, sitar, solo, man, "
    "classic, choir, voice, new age, dance, male voice, female vocal, beats, harp, cello, no "
    "voice, weird, country, metal, female voice, choral"
)
TAGS = _TAGS.split(", ")
EMBEDDING_NAMES = [f"e{number}" for number in range(1, N_EMBEDDING + 1)]
Weights = dict[str, NDArray[np.float32]]


def musicnn_input(samples: NDArray) -> NDArray[np.float32]:
    """Return the mel spectrogram that musicnn looks at.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        Mono waveform at 16 000 Hz.

    Returns
    -------
    ndarray, shape (n_frames, 96)
        log10(1 + 10 000 × power), one row per 16 ms, from low bands to high.

    Examples
    --------
    >>> picture = gh.pretrained.musicnn_input(gh.read_audio("song.mp3", 16000))
    """
    power = librosa.feature.melspectrogram(
        y=samples,
        sr=SAMPLE_RATE,
        n_fft=N_FFT,
        hop_length=HOP_LENGTH,
        n_mels=N_BANDS,
        pad_mode="reflect",
    )
    return np.log10(1 + 10000 * power.T).astype(np.float32)


def musicnn(
    samples: NDArray, weights: Weights | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what musicnn makes of a waveform, 3 seconds by 3 seconds.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        Mono waveform at 16 000 Hz. A tail shorter than 3 s is left out; a waveform shorter than 3 s
        is repeated.
    weights : dict of name to ndarray, optional
        Other weights of the same shapes than those of its authors.

    Returns
    -------
    embeddings : ndarray, shape (n_patches, 200)
        The last numbers before the tags.
    tags : ndarray, shape (n_patches, 50)
        A probability for each of `TAGS`, which do not exclude each other.

    Examples
    --------
    >>> embeddings, tags = gh.musicnn(gh.read_audio("song.mp3", sample_rate=16000))

    Lesson: 09_go_further.
    """
    picture = musicnn_input(np.resize(samples, max(len(samples), PATCH_SAMPLES)))
    weights, n_patches = weights or _weights(), len(picture) // PATCH
    patches = picture[: n_patches * PATCH].reshape(n_patches, PATCH, N_BANDS)
    answers = [_predict(patch, weights) for patch in patches]
    embeddings, tags = (np.stack(parts) for parts in zip(*answers, strict=True))
    return embeddings, tags


def load_embeddings(source: str | Path = FIVE) -> pd.DataFrame:
    """Return what musicnn makes of real tracks, means over each track's patches of 3 seconds.

    Parameters
    ----------
    source : str or path
        "gtzan-five", which comes with the course, or a folder that `benchmarks.tables` wrote.

    Returns
    -------
    DataFrame, a row per track
        track_id, the 200 numbers of `pretrained.EMBEDDING_NAMES`, and a probability for each of
        `pretrained.TAGS`.

    Raises
    ------
    CourseError
        If the table is missing, or was changed.

    Examples
    --------
    >>> gh.load_embeddings()[["track_id", "guitar", "classical"]]

    Lesson: 09_go_further.
    """
    return read_measured(source, "musicnn")


def _predict(
    patch: NDArray[np.float32], weights: Weights
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the 200 numbers and the 50 tags of one patch, (187, 96)."""
    patch = _normalize(patch, 0, weights)
    views = [_convolve(patch, place, weights) for place in range(5)]
    front = np.concatenate([view.max(axis=1) for view in views], axis=1)
    first = _convolve(front, 5, weights)[:, 0]
    second = first + _convolve(first, 6, weights)[:, 0]
    third = second + _convolve(second, 7, weights)[:, 0]
    everything = np.concatenate([front, first, second, third], axis=1)
    pooled = np.stack([everything.max(axis=0), everything.mean(axis=0)], axis=1).ravel()
    hidden = np.maximum(_dense(_normalize(pooled, 9, weights), 0, weights), 0)
    embedding = _normalize(hidden, 10, weights)
    return embedding, 1 / (1 + np.exp(-_dense(embedding, 1, weights)))


def _convolve(picture: NDArray[np.float32], place: int, weights: Weights) -> NDArray[np.float32]:
    """Slide a layer's filters over a picture, (time, bands): (time, places in height, filters).

    Half a kernel of silence on both sides keeps its length. ReLU and batch normalisation follow.
    """
    layer = numbered("conv2d", place)
    kernel, bias = weights[f"{layer}/kernel"], weights[f"{layer}/bias"]
    length, height, _, n_filters = kernel.shape
    padded = np.pad(picture, (((length - 1) // 2, length // 2), (0, 0)))
    windows = sliding_window_view(padded, (length, height))
    flat = windows.reshape(-1, length * height) @ kernel.reshape(-1, n_filters)
    rectified = np.maximum(flat.reshape(*windows.shape[:2], n_filters) + bias, 0)
    return _normalize(rectified, place + 1, weights)


def _dense(values: NDArray[np.float32], place: int, weights: Weights) -> NDArray[np.float32]:
    layer = numbered("dense", place)
    return values @ weights[f"{layer}/kernel"] + weights[f"{layer}/bias"]


def _normalize(values: NDArray[np.float32], place: int, weights: Weights) -> NDArray[np.float32]:
    layer = numbered("batch_normalization", place)
    gamma, beta, mean, variance = (
        weights[f"{layer}/{name}"] for name in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    return (values - mean) * (gamma / np.sqrt(variance + 1e-3)) + beta


@lru_cache
def _weights() -> Weights:
    with np.load(FOLDER / "mtt_musicnn.npz") as stored:
        return {name: stored[name].astype(np.float32) for name in stored.files}


def numbered(layer: str, place: int) -> str:
    """Return the name that TensorFlow gives to the layer of a kind at some place, from 0."""
    return f"{layer}_{place}" if place else layer
