"""The recording chain: what turns a mix into a recording of its own time and place.

GTZAN was collected from CDs, radio and microphones. Here each artist has a room, tape hiss, an
equaliser, a compressor, a bandwidth and a level of its own, drawn around what is typical of the
genre. The figures in TYPICAL are medians over GTZAN's genres, rounded; no single track shows.
"""

from __future__ import annotations

from typing import NamedTuple

import librosa
import numpy as np
from scipy import signal

SAMPLE_RATE = 22050
BANDS = np.array([50, 100, 200, 400, 800, 1600, 3200, 6400, 9000, 10800])  # Hz
CENTRES = librosa.mel_frequencies(130, fmax=SAMPLE_RATE / 2)[1:-1]
BAND_OF_MEL = np.searchsorted(np.sqrt(BANDS[1:] * BANDS[:-1]), CENTRES)


class Typical(NamedTuple):
    """How recordings of a genre sound, as measured on real ones."""

    bands: tuple[int, ...]  # dB, mel spectrogram averaged over time and around each of BANDS
    level: float  # dB beside full scale, root mean square
    level_spread: float  # dB
    dynamics: float  # dB, how far the mel spectrogram's mean moves with time
    drive: float  # how hard the mix is driven into soft clipping; set by ear
    wetness: float  # dB of reverberation beside the direct sound; set by ear
    bandwidth: float  # Hz, the narrowest heard; set by ear


# Octave-band levels, loudness and dynamics typical of GTZAN's genres, measured on real tracks.
TYPICAL = {
    "blues": Typical((6, 6, 8, 0, -8, -13, -18, -23, -32, -47), -18.0, 3.3, 4.9, 0.15, -7, 7500),
    "classical": Typical(
        (-12, -12, -12, -11, -18, -23, -31, -42, -51, -56), -29.9, 5.0, 6.1, 0.0, -3, 8000
    ),
    "country": Typical((3, 5, 8, 1, -6, -10, -14, -23, -31, -45), -18.8, 3.5, 4.6, 0.0, -6, 8500),
    "disco": Typical((7, 7, 7, 1, -3, -6, -9, -14, -21, -42), -18.1, 2.9, 4.6, 0.0, -12, 8500),
    "hiphop": Typical((11, 9, 6, 0, -6, -8, -10, -13, -22, -31), -14.8, 2.5, 5.5, 0.2, -16, 9000),
    "jazz": Typical((-2, 0, 0, -5, -12, -16, -21, -30, -38, -50), -22.1, 4.0, 4.7, 0.0, -6, 7500),
    "metal": Typical((10, 10, 10, 2, -3, -3, -3, -11, -22, -48), -17.2, 3.8, 2.9, 0.7, -12, 9000),
    "pop": Typical((11, 10, 8, 3, -2, -5, -8, -11, -11, -11), -13.8, 2.0, 5.5, 0.2, -13, 10700),
    "reggae": Typical((6, 5, 3, -4, -10, -13, -16, -23, -30, -39), -19.0, 3.5, 6.5, 0.0, -12, 8500),
    "rock": Typical((5, 6, 8, 2, -3, -6, -10, -16, -26, -47), -17.9, 3.3, 4.3, 0.25, -12, 8500),
}


class Recording(NamedTuple):
    """How an artist is recorded."""

    bands: np.ndarray  # dB, the long-term spectrum that the equaliser aims at
    level: float  # dB
    dynamics: float  # dB
    drive: float
    room: float  # seconds of reverberation
    wetness: float  # dB of the reverberation beside the direct sound
    roughness: float  # dB of the tape's modulation noise beside the music
    hiss: float  # dB of the noise beside the music
    low_pass: float  # Hz


def draw_recordings(
    genre: str, leanings: list[str | None], rng: np.random.Generator
) -> list[Recording]:
    """Draw a recording for each artist of a genre, spread evenly around what is typical.

    An artist that leans to another genre has three tenths of its sound from there.
    """
    n_artists = len(leanings)
    octaves = np.linspace(-1, 1, len(BANDS))

    def spread(widest: float) -> np.ndarray:
        return widest * rng.permutation(np.linspace(-1, 1, n_artists))

    tilts, bows, levels, dynamics, wetness = (spread(widest) for widest in (2.5, 2, 0.7, 0.15, 3))
    recordings = []
    for artist, leans_to in enumerate(leanings):
        own, other = TYPICAL[genre], TYPICAL[leans_to or genre]
        sound = [0.7 * np.array(a) + 0.3 * np.array(b) for a, b in zip(own, other, strict=True)]
        typical = Typical(*sound)
        colour = tilts[artist] * octaves + bows[artist] * (2 * octaves**2 - 2 / 3)
        recordings.append(
            Recording(
                bands=typical.bands + colour + rng.normal(0, 1.5, len(BANDS)),
                level=typical.level + levels[artist] * typical.level_spread,
                dynamics=typical.dynamics * (1 + dynamics[artist]),
                drive=typical.drive * rng.uniform(0.5, 1.5),
                room=rng.uniform(0.3, 1.4),
                wetness=typical.wetness + wetness[artist],
                roughness=rng.uniform(-28, -17),
                hiss=rng.uniform(-50, -36),
                low_pass=min(max(typical.bandwidth, rng.uniform(7500, 12000)), 10900),
            )
        )
    return recordings


def decibels(samples: np.ndarray) -> float:
    """Root mean square in dB beside full scale."""
    return 10 * np.log10(np.mean(samples**2) + 1e-12)


def amplify(samples: np.ndarray, gain: float) -> np.ndarray:
    """Amplify by `gain` dB."""
    return samples * 10 ** (gain / 20)


def set_level(samples: np.ndarray, level: float) -> np.ndarray:
    """Bring to a root mean square of `level` dB."""
    return amplify(samples, level - decibels(samples))


def butter(order: int, frequency, kind: str, samples: np.ndarray) -> np.ndarray:
    """Filter by a Butterworth filter: "lowpass", "highpass" or "bandpass", in Hz."""
    sections = signal.butter(order, frequency, kind, fs=SAMPLE_RATE, output="sos")
    return signal.sosfilt(sections, samples)


def saturate(samples: np.ndarray, drive: float) -> np.ndarray:
    """Round off the peaks: x / (1 + |x|), the harder the more `drive`."""
    pushed = amplify(set_level(samples, 0), 20 * np.log10(drive))
    return pushed / (1 + np.abs(pushed))


def reverberate(samples: np.ndarray, room: float, wetness: float, rng) -> np.ndarray:
    """Add a room: noise that dies away by 60 dB in `room` seconds, without the lowest octaves."""
    times = np.arange(round(room * SAMPLE_RATE)) / SAMPLE_RATE
    echo = butter(1, (300, 6000), "bandpass", rng.normal(size=len(times)))
    echo = echo * 10 ** (-3 * times / room)
    wet = signal.fftconvolve(samples, echo)[: len(samples)]
    return samples + set_level(wet, decibels(samples) + wetness)


def tape(samples: np.ndarray, roughness: float, hiss: float, rng) -> np.ndarray:
    """Add a tape's noise: a flutter that blurs every tone, and a steady hiss."""
    flutter = butter(1, (20, 300), "bandpass", rng.normal(size=len(samples)))
    samples = samples * (1 + set_level(flutter, roughness))
    steady = butter(1, 500, "highpass", rng.normal(size=len(samples)))
    return samples + set_level(steady, decibels(samples) + hiss)


def mel_decibels(samples: np.ndarray) -> np.ndarray:
    """Mel spectrogram in dB, as librosa makes it for MFCCs: shape (128, n_frames)."""
    return librosa.power_to_db(librosa.feature.melspectrogram(y=samples, sr=SAMPLE_RATE))


def equalise(samples: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """Filter by gains in dB at BANDS, joined by straight lines over octaves."""
    frequencies = np.linspace(0, SAMPLE_RATE / 2, 513)
    curve = np.interp(np.log2(np.maximum(frequencies, 20)), np.log2(BANDS), gains)
    taps = signal.firwin2(1025, frequencies, 10 ** (curve / 20), fs=SAMPLE_RATE)
    return signal.fftconvolve(samples, taps, mode="same")


def match_bands(samples: np.ndarray, bands: np.ndarray) -> np.ndarray:
    """Equalise until the long-term spectrum has the shape of `bands`."""
    gains = np.zeros(len(BANDS))
    for _ in range(3):
        spectrum = mel_decibels(equalise(samples, gains)).mean(axis=1)
        levels = np.bincount(BAND_OF_MEL, spectrum) / np.bincount(BAND_OF_MEL)
        # Rounded, so that another machine's last digits do not reach the sound.
        gains = np.clip(gains + bands - levels, -30, 30).round(1)
    return equalise(samples, gains)


def match_dynamics(samples: np.ndarray, dynamics: float) -> np.ndarray:
    """Compress, or expand, until the sound rises and falls by `dynamics` dB."""
    power = np.maximum(butter(1, 10, "lowpass", samples**2), 1e-6 * np.mean(samples**2))
    exponent = 0.0
    for _ in range(3):
        moving = mel_decibels(samples * power**exponent).mean(axis=0).std()
        own = 10 * np.log10(power).std()
        exponent = np.clip(exponent + (dynamics - moving) / (2 * own), -0.4, 0.5).round(2)
    return samples * power**exponent


def limit(samples: np.ndarray, ceiling: float = 0.94) -> np.ndarray:
    """Bend what goes above two thirds of the ceiling, so that nothing reaches it."""
    knee = 2 / 3 * ceiling
    over = np.maximum(np.abs(samples) - knee, 0)
    bent = knee + over / (1 + over / (ceiling - knee))
    return np.where(over > 0, np.sign(samples) * bent, samples)


def record(samples: np.ndarray, recording: Recording, rng: np.random.Generator) -> np.ndarray:
    """Send a mix through an artist's recording chain."""
    if recording.drive:
        samples = saturate(samples, recording.drive)
    samples = reverberate(samples, recording.room, recording.wetness, rng)
    samples = tape(samples, recording.roughness, recording.hiss, rng)
    samples = match_bands(samples, recording.bands)
    samples = match_dynamics(samples, recording.dynamics)
    samples = match_bands(set_level(samples, recording.level), recording.bands)
    samples = butter(8, recording.low_pass, "lowpass", samples)
    samples = butter(2, 30, "highpass", samples)
    for _ in range(2):  # the limiter takes some of the level
        samples = limit(set_level(samples, recording.level))
    return samples
