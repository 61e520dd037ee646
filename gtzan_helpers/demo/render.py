"""From notes to a mix: General MIDI instruments, and a singer with vowels but no words."""

from __future__ import annotations

import importlib.resources

import numpy as np
import symusic

from .chain import SAMPLE_RATE, butter, decibels, set_level
from .compose import Stem

TICKS = 480  # a beat

# The first three formants of five vowels in Hz (Peterson and Barney 1952, men, rounded).
VOWELS = (
    (730, 1090, 2440),
    (530, 1840, 2480),
    (270, 2290, 3010),
    (570, 840, 2410),
    (300, 870, 2240),
)
CONSONANTS = ((4500, 9000), (2500, 6000), (1500, 4000))  # Hz: s, sh and k


def synthesizer():
    """The General MIDI sound font that pretty_midi installs, ready to play.

    A new one for every use: symusic 0.5.8 lets what was played before colour what comes next.
    """
    sound_font = importlib.resources.files("pretty_midi") / "TimGM6mb.sf2"
    return symusic.Synthesizer(str(sound_font), SAMPLE_RATE, 0)


def render(stem: Stem, tempo: float) -> np.ndarray:
    """Render one stem to a mono waveform, as long as it sounds."""
    score = symusic.Score(TICKS)
    score.tempos.append(symusic.Tempo(0, tempo))
    track = symusic.Track(name="", program=stem.program, is_drum=stem.is_drum)
    for note in stem.notes:
        start, length = round(note.start * TICKS), max(1, round(note.beats * TICKS))
        track.notes.append(symusic.Note(start, length, note.pitch, note.velocity))
    score.tracks.append(track)
    return np.asarray(synthesizer().render(score, stereo=True), float).mean(axis=0)


def sing(samples: np.ndarray, stem: Stem, tempo: float, rng: np.random.Generator) -> np.ndarray:
    """Turn an instrument into a voice: a vowel's formants on each note, a consonant before it."""
    vowels = np.zeros((len(VOWELS), len(samples)))
    consonants = np.zeros((len(CONSONANTS), len(samples)))
    for note in stem.notes:
        start = round(note.start * 60 / tempo * SAMPLE_RATE)
        stop = start + round(note.beats * 60 / tempo * SAMPLE_RATE)
        length = round(rng.uniform(0.03, 0.11) * SAMPLE_RATE)
        vowels[rng.integers(len(VOWELS)), start + length : stop] = 1
        if rng.random() < 0.7:
            consonants[rng.integers(len(CONSONANTS)), start : start + length] = rng.uniform(0.3, 1)
    # The pitch wavers, by some tens of cents a few times a second: read a little early or late.
    waver = 18 * set_level(butter(1, (3, 7), "bandpass", rng.normal(size=len(samples))), 0)
    places = np.arange(len(samples))
    samples = np.interp(places + waver, places, samples)
    vowels = butter(1, 20, "lowpass", vowels)
    consonants = butter(1, 60, "lowpass", consonants) * rng.normal(size=len(samples))
    voice = np.zeros(len(samples))
    for weight, formants in zip(vowels, VOWELS, strict=True):
        for formant, loudness in zip(formants, (1.0, 0.7, 0.5), strict=True):
            band = (0.88 * formant, 1.12 * formant)
            voice += weight * loudness * (butter(1, band, "bandpass", samples) + 0.05 * samples)
    breath = sum(
        butter(2, band, "bandpass", row) for band, row in zip(CONSONANTS, consonants, strict=True)
    )
    return voice + set_level(breath, decibels(voice) - 8)


def mix(stems: list[Stem], tempo: float, start: float, seconds: float, rng) -> np.ndarray:
    """Render the stems and mix an excerpt that begins `start` seconds into the piece."""
    first, n_samples = round(start * SAMPLE_RATE), round(seconds * SAMPLE_RATE)
    total = np.zeros(n_samples)
    for stem in stems:
        samples = render(stem, tempo)
        if stem.is_sung:
            samples = sing(samples, stem, tempo, rng)
        samples = samples[first : first + n_samples]
        if len(samples) and decibels(samples) > -80:
            total[: len(samples)] += set_level(samples, stem.level)
    return total
