"""Compose an excerpt: an artist's habits, drawn once, then notes, drawn for each track."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from .styles import DRUMS, MAJOR, MINOR, PENTATONIC, Part, Style

BEATS_PER_BAR = 4
NUMERALS = {"i": 0, "ii": 2, "iii": 4, "iv": 5, "v": 7, "vi": 9, "vii": 11}
QUALITIES = {
    "": (0, 4, 7),
    "m": (0, 3, 7),
    "7": (0, 4, 7, 10),
    "m7": (0, 3, 7, 10),
    "maj7": (0, 4, 7, 11),
    "5": (0, 7, 12),
}
VELOCITIES = {"X": 118, "x": 96, "o": 58}
STRUMMED = range(24, 32)  # the guitars
FILL = {"snare": "x-xxxx--", "high_tom": "----x-x-", "tom": "------xx", "low_tom": "-------x"}


class Note(NamedTuple):
    """Start and length in beats, MIDI pitch and velocity."""

    start: float
    beats: float
    pitch: int
    velocity: int


class Stem(NamedTuple):
    """What one instrument plays; `level` in dB beside the other instruments."""

    program: int
    is_drum: bool
    is_sung: bool
    level: float
    notes: list[Note]


class Habits(NamedTuple):
    """What an artist keeps from track to track."""

    tempo: tuple[float, float]
    swing: float
    keys: tuple[int, ...]
    progressions: tuple[str, ...]
    scale: tuple[int, ...]
    kit: int | None
    grooves: tuple[dict[str, str], ...]
    drum_level: float
    parts: tuple[Part, ...]


def choose(rng: np.random.Generator, options: tuple, n: int = 1) -> tuple:
    """Draw up to `n` different options."""
    places = rng.choice(len(options), size=min(n, len(options)), replace=False)
    return tuple(options[place] for place in sorted(places))


def draw_habits(style: Style, rng: np.random.Generator) -> Habits:
    """Draw an artist's instruments, tempi, keys, chords and grooves from a genre's pool."""
    slowest, fastest = style.tempo
    middle = rng.uniform(slowest, fastest)
    spread = 0.06 * middle
    parts = tuple(
        part._replace(
            programs=choose(rng, part.programs),
            grids=choose(rng, part.grids, 2),
            level=part.level + rng.normal(0, 1.5),
        )
        for part in style.parts
        if rng.random() < part.chance
    )
    return Habits(
        tempo=(max(slowest, middle - spread), min(fastest, middle + spread)),
        swing=rng.uniform(*style.swing),
        keys=tuple(int(key) for key in rng.choice(12, size=2, replace=False)),
        progressions=choose(rng, style.progressions, 2),
        scale=style.scale,
        kit=choose(rng, style.kits)[0] if style.kits else None,
        grooves=choose(rng, style.grooves, 2),
        drum_level=style.drum_level + rng.normal(0, 1.5),
        parts=parts,
    )


def chord_pitches(name: str) -> list[int]:
    """Semitones above the key of a chord such as "IV", "ii7", "bVII5" or "Imaj7"."""
    flat, numeral, quality = re.fullmatch(r"(b?)([iIvV]+)(maj7|7|5|)", name).groups()
    root = NUMERALS[numeral.lower()] - len(flat)
    minor = "m" if numeral.islower() and quality in ("", "7") else ""
    return [root + step for step in QUALITIES[minor + quality]]


def chords_of(progression: str, n_bars: int, first_bar: int) -> list[list[list[int]]]:
    """Give each bar its list of chords, going round the progression from `first_bar`."""
    bars = [[chord_pitches(name) for name in bar.split(",")] for bar in progression.split()]
    return [bars[(first_bar + bar) % len(bars)] for bar in range(n_bars)]


def steps_of(grid: str) -> list[tuple[float, float, str]]:
    """Read a grid: (start in the bar, length, character) of each note, in beats."""
    beats = BEATS_PER_BAR / len(grid)
    return [
        (match.start() * beats, len(match.group()) * beats, match.group()[0])
        for match in re.finditer(r"[^-.]\.*", grid)
    ]


def place(pitch_class: int, lowest: int) -> int:
    """Put a pitch into the octave that begins at `lowest`."""
    return lowest + (pitch_class - lowest) % 12


def voice(chord: list[int], key: int, lowest: int, character: str) -> list[int]:
    """Pitches that one character of a grid stands for (see styles.py)."""
    root = place(key + chord[0], lowest)
    tones = [root + pitch - chord[0] for pitch in chord]
    if character in "xo":
        return [tones[0], *(place(tone, lowest) for tone in tones[1:-1]), tones[-1]]
    octaves, tone = divmod(int(character) - 1, len(tones))
    return [tones[tone] + 12 * octaves]


def play_chords(part: Part, bars: list, key: int, rng: np.random.Generator) -> list[Note]:
    """Play a part's grids over the chords: bass lines, riffs, broken and whole chords."""
    notes = []
    for bar, chords in enumerate(bars):
        grid = part.grids[(bar // 2) % len(part.grids) if bar % 4 == 3 else 0]
        for start, length, character in steps_of(grid):
            chord = chords[int(start * len(chords) / BEATS_PER_BAR)]
            if character == "a":
                following = bars[(bar + 1) % len(bars)][0]
                pitches = [place(key + following[0], part.lowest) - 1]
            else:
                pitches = voice(chord, key, part.lowest, character)
            velocity = VELOCITIES.get(character, 92) + (6 if start == int(start) else 0)
            for order, pitch in enumerate(sorted(set(pitches))):
                delay = 0.025 * order if part.programs[0] in STRUMMED else 0.0
                loudness = int(np.clip(velocity + rng.integers(-8, 9), 1, 127))
                at = bar * BEATS_PER_BAR + start + delay
                notes.append(Note(at, 0.95 * length, pitch, loudness))
    return notes


def play_lead(part: Part, bars: list, key: int, scale: tuple, rng: np.random.Generator):
    """Invent a melody: a wandering line in the scale that seeks chord tones on the beat."""
    ladder = [
        pitch for pitch in range(part.lowest, part.lowest + 20) if (pitch - key) % 12 in scale
    ]
    step = len(ladder) // 3
    motif = rng.integers(-2, 3, size=64)
    notes = []
    for bar, chords in enumerate(bars):
        grid = part.grids[bar % len(part.grids)]
        for number, (start, length, _) in enumerate(steps_of(grid)):
            # Two bars of motif come back, now and then with a new turn.
            move = motif[(bar % 2) * 32 + number] if rng.random() < 0.75 else rng.integers(-3, 4)
            step = int(np.clip(step + move, 0, len(ladder) - 1))
            tones = {(key + pitch) % 12 for pitch in chords[0]}
            near = min(
                range(len(ladder)), key=lambda i: (ladder[i] % 12 not in tones, abs(i - step))
            )
            pitch = ladder[near if start in (0.0, 2.0) else step]
            loudness = int(rng.integers(84, 112))
            notes.append(Note(bar * BEATS_PER_BAR + start, 0.98 * length, pitch, loudness))
    return notes


def scale_for(bars: list, scale: tuple[int, ...]) -> tuple[int, ...]:
    """Take the minor scale where the progression's home chord is minor."""
    in_minor = any(chord[:2] == [0, 3] for chords in bars for chord in chords)
    return MINOR if in_minor and scale in (MAJOR, PENTATONIC) else scale


def play_drums(groove: dict[str, str], n_bars: int, rng: np.random.Generator) -> list[Note]:
    """Play a groove; every fourth bar may end in a fill, and the next begin with a crash."""
    notes = []
    for bar in range(n_bars):
        filling = len(groove) > 2 and bar % 4 == 3 and rng.random() < 0.4
        grids = dict(groove)
        if filling:
            grids = {
                name: grid[: len(grid) // 2] + "-" * (len(grid) // 2)
                for name, grid in grids.items()
            }
            grids |= {f"fill {name}": "-" * 8 + grid for name, grid in FILL.items()}
        for name, grid in grids.items():
            for start, _, character in steps_of(grid):
                loudness = int(np.clip(VELOCITIES[character] + rng.integers(-10, 11), 1, 127))
                at = bar * BEATS_PER_BAR + start
                notes.append(Note(at, 0.2, DRUMS[name.removeprefix("fill ")], loudness))
    return notes


def swing_and_jitter(notes: list[Note], swing: float, rng: np.random.Generator) -> list[Note]:
    """Move the second half of each beat to `swing`, and every note by a little."""

    def warp(beat: float) -> float:
        whole, part = divmod(beat, 1.0)
        if abs(3 * part - round(3 * part)) < 1e-6:  # on the beat, or a triplet already
            return beat
        return whole + (part * 2 * swing if part < 0.5 else swing + (part - 0.5) * 2 * (1 - swing))

    moved = []
    for note in notes:
        start = max(0.0, warp(note.start) + rng.normal(0, 0.008))
        moved.append(note._replace(start=start, beats=max(0.05, note.beats)))
    return moved


def compose(habits: Habits, n_bars: int, rng: np.random.Generator) -> list[Stem]:
    """Compose one track in an artist's habits: a stem for each instrument."""
    (progression,) = choose(rng, habits.progressions)
    (key,) = choose(rng, habits.keys)
    bars = chords_of(progression, n_bars, first_bar=int(rng.integers(len(progression.split()))))
    stems = []
    for part in habits.parts:
        if part.role in ("lead", "voice"):
            notes = play_lead(part, bars, key, scale_for(bars, habits.scale), rng)
        else:
            notes = play_chords(part, bars, key, rng)
        stems.append(Stem(part.programs[0], False, part.role == "voice", part.level, notes))
    (groove,) = choose(rng, habits.grooves) if habits.grooves else ({},)
    if groove:
        stems.append(
            Stem(habits.kit, True, False, habits.drum_level, play_drums(groove, n_bars, rng))
        )
    return [stem._replace(notes=swing_and_jitter(stem.notes, habits.swing, rng)) for stem in stems]
