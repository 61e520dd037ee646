"""What is typical of each genre, as data: tempi, chords, drum grids, riffs and instruments.

How to read it
    chords   one word a bar, in Roman numerals; a comma cuts the bar into equal parts
    grids    one character a step, a bar long (16 steps are sixteenths, 12 are triplets)
             drums   X accent, x hit, o ghost note, - nothing
             pitches 1, 2, 3, 4 … chord tones from below; x whole chord, o whole chord softly;
                     a the semitone under the next bar's root; . held on; - silence
             leads   x a note, . held on, - silence; the composer chooses the pitches
    levels   dB beside the other instruments, before the recording chain
    programs General MIDI numbers, counted from 0
"""

from __future__ import annotations

from typing import NamedTuple


class Part(NamedTuple):
    """An instrument's role in a genre, and what an artist may choose from."""

    role: str  # "chords" plays its grid; "lead" and "voice" invent a melody on it
    programs: tuple[int, ...]
    grids: tuple[str, ...]
    lowest: int  # MIDI pitch
    level: float  # dB
    chance: float = 1.0  # that an artist has this part at all


class Style(NamedTuple):
    """The pool of habits from which an artist of a genre draws."""

    tempo: tuple[int, int]  # beats per minute
    swing: tuple[float, float]  # where in a beat its second half falls; 0.5 is straight
    progressions: tuple[str, ...]
    scale: tuple[int, ...]
    kits: tuple[int, ...]
    grooves: tuple[dict[str, str], ...]
    drum_level: float  # dB
    parts: tuple[Part, ...]


MAJOR = (0, 2, 4, 5, 7, 9, 11)
MINOR = (0, 2, 3, 5, 7, 8, 10)
BLUES = (0, 3, 5, 6, 7, 10)
PENTATONIC = (0, 2, 4, 7, 9)
DORIAN = (0, 2, 3, 5, 7, 9, 10)
PHRYGIAN = (0, 1, 3, 5, 7, 8, 10)

DRUMS = {
    "kick": 36,
    "rim": 37,
    "snare": 38,
    "clap": 39,
    "hat": 42,
    "pedal": 44,
    "open": 46,
    "low_tom": 45,
    "tom": 47,
    "high_tom": 50,
    "crash": 49,
    "ride": 51,
    "tambourine": 54,
    "cowbell": 56,
    "conga": 63,
    "low_conga": 64,
    "shaker": 70,
}

TWELVE_BARS = "I7 I7 I7 I7 IV7 IV7 I7 I7 V7 IV7 I7 V7"

STYLES = {
    "blues": Style(
        tempo=(62, 126),
        swing=(0.6, 0.67),
        progressions=(
            TWELVE_BARS,
            "I7 IV7 I7 I7 IV7 IV7 I7 I7 V7 IV7 I7,IV7 I7,V7",
            "i7 i7 i7 i7 iv7 iv7 i7 i7 bVI7 V7 i7 V7",
            "I7 V7 IV7 IV7 I7 V7 I7 V7",
        ),
        scale=BLUES,
        kits=(0, 8, 32, 40),
        grooves=(
            {"kick": "x-----x-----", "snare": "---x-----x--", "hat": "x-xx-xx-xx-x"},
            {"kick": "x--x--x--x--", "snare": "---X--o--X--", "ride": "x-xx-xx-xx-x"},
            {"kick": "x-----x--x-x", "rim": "---x-----x--", "hat": "xxxxxxxxxxxx"},
            {"kick": "x---x---x---x---", "snare": "----x-------x---"},
        ),
        drum_level=-2,
        parts=(
            Part(
                "chords", (32, 33), ("1...2...3...4...", "1.1.3.3.4.4.3.3.", "1.....3.1..."), 31, -1
            ),
            Part(
                "chords", (25, 26, 27, 0), ("x-xo-ox-xo-o", "1-33-34-43-3", "--x--x--x--x"), 46, -3
            ),
            Part(
                "chords",
                (0, 3, 16, 17),
                ("x..x......--", "--x---x-----", "x..........."),
                52,
                -7,
                0.6,
            ),
            Part(
                "voice", (81, 85, 87), ("x.x.xx.x...-", "-x.xx.x...--", "xx.x.x.-----"), 48, 3, 0.8
            ),
            Part(
                "lead",
                (27, 26, 22, 66, 29),
                ("x-x.xx.....-", "-x.x-xx.x...", "x.....------"),
                60,
                0,
            ),
        ),
    ),
    "classical": Style(
        tempo=(56, 132),
        swing=(0.5, 0.5),
        progressions=(
            "I IV V7 I vi ii V7 I",
            "I,V IV,I ii,V7 I",
            "i iv V7 i bVI iv V7 i",
            "I V7 vi iii IV I ii V7",
            "i bVII bIII bVI iv V7 i i",
        ),
        scale=MAJOR,
        kits=(),
        grooves=(),
        drum_level=0,
        parts=(
            Part(
                "chords",
                (42, 43, 48, 0, 6),
                ("1.......3.......", "1...............", "1...3...1...3..."),
                36,
                -4,
            ),
            Part(
                "chords",
                (0, 6, 46, 48, 49, 24, 41),
                ("1.3.2.3.1.3.2.3.", "1.2.3.4.3.2.1.2.", "x...............", "x.......x......."),
                55,
                -5,
            ),
            Part("chords", (48, 49, 60, 70), ("x...............", "2.......1......."), 50, -9, 0.5),
            Part(
                "lead",
                (40, 73, 68, 71, 0, 48, 6),
                ("x...x.x.x.......", "x.x.x.x.x...x...", "x.......x...x...", "xxxxx.x.x...x.x."),
                67,
                0,
            ),
        ),
    ),
    "country": Style(
        tempo=(78, 132),
        swing=(0.5, 0.6),
        progressions=(
            "I I IV I I I V7 V7",
            "I IV I V I IV V I",
            "I I IV IV V7 V7 I I",
            "I vi IV V7",
        ),
        scale=PENTATONIC,
        kits=(0, 8, 40),
        grooves=(
            {"kick": "x-------x-------", "snare": "----x-------x---", "hat": "x-x-x-x-x-x-x-x-"},
            {"kick": "x-------x-------", "snare": "o-o-x-o-o-o-x-oo"},
            {"kick": "x---x---x---x---", "rim": "----x-------x---", "shaker": "x-x-x-x-x-x-x-x-"},
            {"kick": "x-----x-x-----x-", "snare": "----X-------X---", "ride": "x---x---x---x---"},
        ),
        drum_level=-3,
        parts=(
            Part(
                "chords",
                (32, 33),
                ("1.......3.......", "1...1...3...3.--", "1...2...3...a..."),
                31,
                0,
            ),
            Part(
                "chords",
                (25, 24),
                ("----x--o----x--o", "x---x-o-x-o-x-o-", "1-3-2-4-1-3-2-4-"),
                48,
                -1,
            ),
            Part(
                "chords",
                (105, 15, 0, 27),
                ("1324132413241324", "--x---x---x---x-", "1-2-3-4-3-2-1-2-"),
                55,
                -6,
                0.7,
            ),
            Part("chords", (49, 89, 18), ("x...............",), 55, -12, 0.5),
            Part(
                "voice",
                (81, 85, 87),
                ("x.x.x...x.x.----", "x...x.x.x.......", "--x.x.x.x..."),
                50,
                4,
                0.9,
            ),
            Part(
                "lead",
                (110, 27, 22, 25, 40),
                ("x.x.x...x.......", "x...x.x.x...----", "--x.x.x.x..."),
                62,
                -1,
            ),
        ),
    ),
    "disco": Style(
        tempo=(106, 132),
        swing=(0.5, 0.53),
        progressions=(
            "i7 i7 IV7 IV7",
            "i7 bVII bVI7 V7",
            "Imaj7 vi7 ii7 V7",
            "vi IV I V",
        ),
        scale=DORIAN,
        kits=(0, 16, 8, 24),
        grooves=(
            {
                "kick": "X---X---X---X---",
                "clap": "----x-------x---",
                "open": "--x---x---x---x-",
                "hat": "xx-xxx-xxx-xxx-x",
            },
            {
                "kick": "X---X---X---X---",
                "snare": "----x-------x-o-",
                "hat": "x-xxx-xxx-xxx-xx",
                "tambourine": "--x---x---x---x-",
            },
            {
                "kick": "X---X---X---X---",
                "snare": "----x-------x---",
                "open": "--x---x---x---x-",
                "conga": "x--x--x---x-x---",
                "low_conga": "--x--x--x------x",
            },
            {
                "kick": "X---X---X---X---",
                "snare": "----X-------X---",
                "cowbell": "x-x-x-x-x-x-x-x-",
                "hat": "xxxxxxxxxxxxxxxx",
            },
        ),
        drum_level=1,
        parts=(
            Part(
                "chords",
                (33, 36, 38),
                ("1-5-1-5-1-5-1-5-", "1--11-5-1--11-3-", "1-1-5--41-1-5--a"),
                31,
                1,
            ),
            Part(
                "chords",
                (27, 28, 7),
                ("x-xx-xx-x-xx-xxo", "--x---x---x-x-x-", "xoxoxoxoxoxoxoxo"),
                58,
                -4,
            ),
            Part("chords", (48, 50, 51), ("x...............", "x.......--x.x..."), 62, -5),
            Part("chords", (61, 62, 5, 0), ("x-----x-x-------", "x.x.----x.x.----"), 58, -7, 0.6),
            Part(
                "voice",
                (81, 85, 87),
                ("x.x...x.x.......", "--x.x.x...x.x...", "x-x-x.x.x...----"),
                57,
                0,
                0.8,
            ),
            Part(
                "lead",
                (54, 85, 53, 73, 56),
                ("x.x...x.x.......", "--x.x.x...x.x...", "x...x.x.x...----"),
                64,
                -2,
            ),
        ),
    ),
    "hiphop": Style(
        tempo=(82, 106),
        swing=(0.5, 0.6),
        progressions=("i7 i7 i7 i7", "i i bVI bVII", "i7 iv7", "i bII"),
        scale=MINOR,
        kits=(25, 24, 8, 16),
        grooves=(
            {"kick": "X-----x---x-----", "snare": "----X-------X---", "hat": "x-x-x-x-x-x-x-xx"},
            {"kick": "X--x------x--x--", "snare": "----X-------X---", "hat": "xxxxxxxxxxxxxxxx"},
            {"kick": "X-x-----X-x---x-", "clap": "----X-------X---", "open": "--x---x---x---x-"},
            {"kick": "X------X-xX-----", "snare": "----X--o----X---", "shaker": "x-xxx-xxx-xxx-xx"},
        ),
        drum_level=4,
        parts=(
            Part(
                "chords",
                (38, 39, 33),
                ("1.....1---1.....", "1.......1.--1-a-", "1..1......1..1.."),
                29,
                7,
            ),
            Part(
                "chords",
                (5, 4, 89, 27),
                ("x...----x...----", "--x---x---x---x-", "1-3-2-3-1-3-2---"),
                55,
                -8,
            ),
            Part(
                "chords",
                (48, 50, 81, 55),
                ("x---------------", "x...----x...----", "x-------x-x-----"),
                60,
                -11,
                0.5,
            ),
            Part(
                "voice",
                (81, 87, 84),
                ("x-xx-xx-x-x-xx-x", "xxx-xx-xx-xxx-x-", "x-x-xxx-x-xxx-x-"),
                43,
                5,
            ),
            Part(
                "lead",
                (53, 80, 65, 87),
                ("x-xx-xx-x-x-x---", "xxx-xx-xx-xxx---", "x-x-xxx-x-xxx-x-"),
                52,
                -3,
            ),
        ),
    ),
    "jazz": Style(
        tempo=(92, 184),
        swing=(0.6, 0.67),
        progressions=(
            "ii7 V7 Imaj7 Imaj7",
            "Imaj7 vi7 ii7 V7",
            "ii7,V7 Imaj7,vi7 ii7,V7 Imaj7",
            "i7 i7 ii7 V7",
            "I7 IV7 I7 I7 IV7 IV7 I7 vi7 ii7 V7 Imaj7 V7",
        ),
        scale=DORIAN,
        kits=(32, 40),
        grooves=(
            {"ride": "x--x-xx--x-x", "pedal": "---x-----x--", "kick": "o-----o-----"},
            {"ride": "x--x-xx--x-x", "pedal": "---x-----x--", "snare": "-----o--o---"},
            {"snare": "x--x-xx--x-x", "pedal": "---x-----x--"},
            {},
        ),
        drum_level=-6,
        parts=(
            Part(
                "chords",
                (32, 35),
                ("1...2...3...a...", "1...3...4...a...", "1.......3......."),
                29,
                -1,
            ),
            Part(
                "chords",
                (0, 26, 11, 4),
                ("x....x------", "--x.....-x..", "x...........", "-----x.....x"),
                52,
                -5,
            ),
            Part("chords", (57, 49, 52), ("x...........",), 55, -12, 0.35),
            Part(
                "lead",
                (66, 65, 56, 59, 11, 0, 26, 71),
                ("x-xx-xx-xx..", "x.x-xxx.....", "-xx-xx.x-x..", "x.....x.xx.."),
                62,
                0,
            ),
        ),
    ),
    "metal": Style(
        tempo=(96, 176),
        swing=(0.5, 0.5),
        progressions=(
            "i5 i5 bVI5 bVII5",
            "i5 bII5 i5 bVII5",
            "i5 i5 i5,bIII5 bII5",
            "i5 bVI5 iv5 V5",
        ),
        scale=PHRYGIAN,
        kits=(16, 8, 0),
        grooves=(
            {"kick": "xxxxxxxxxxxxxxxx", "snare": "----X-------X---", "ride": "x-x-x-x-x-x-x-x-"},
            {"kick": "x-x-x-x-x-x-x-x-", "snare": "--X---X---X---X-", "hat": "x-x-x-x-x-x-x-x-"},
            {
                "kick": "x-xx--x-x-xx--x-",
                "snare": "----X-------X---",
                "crash": "x-------x-------",
                "open": "x-x-x-x-x-x-x-x-",
            },
            {"kick": "x---x---x---x-xx", "snare": "----X-------X---", "open": "x---x---x---x---"},
        ),
        drum_level=-2,
        parts=(
            Part(
                "chords",
                (34, 33),
                ("1-1-1-1-1-1-1-1-", "1111111111111111", "1.1.1-111.1.1-11"),
                28,
                -2,
            ),
            Part(
                "chords",
                (30, 29),
                ("x-xxx-xxx-xxx-xx", "x.......x...x.x.", "xxxxxxxxxxxxxxxx", "x-xxx.x-x-xxx.x."),
                40,
                2,
            ),
            Part(
                "chords",
                (30, 29),
                ("x...............", "x.......x...x.x.", "x-xxx-xxx-xxx-xx"),
                47,
                0,
            ),
            Part(
                "voice",
                (84, 81, 87),
                ("x...x...x.x.----", "x.x.x...----x...", "x.......x......."),
                47,
                -3,
                0.6,
            ),
            Part(
                "lead",
                (30, 84, 87, 85),
                ("xxxxxxxxx...x...", "x...x...x.x.x...", "x.......x.......", "x.xxx.xxx.xxx..."),
                60,
                -3,
                0.8,
            ),
        ),
    ),
    "pop": Style(
        tempo=(84, 128),
        swing=(0.5, 0.53),
        progressions=("I V vi IV", "vi IV I V", "I vi IV V", "IV V iii vi", "i bVI bIII bVII"),
        scale=MAJOR,
        kits=(24, 16, 0, 25),
        grooves=(
            {
                "kick": "X-----x-x-------",
                "snare": "----X-------X---",
                "hat": "x-x-x-x-x-x-x-x-",
                "tambourine": "--x---x---x---x-",
            },
            {"kick": "X---X---X---X---", "clap": "----X-------X---", "hat": "xxxxxxxxxxxxxxxx"},
            {
                "kick": "X--x--x---x-----",
                "snare": "----X-------X--x",
                "shaker": "xxxxxxxxxxxxxxxx",
                "hat": "x-x-x-x-x-x-x-x-",
            },
            {
                "kick": "X-------X-x-----",
                "clap": "----X-------X---",
                "snare": "----x-------x---",
                "open": "--x---x---x---x-",
            },
        ),
        drum_level=2,
        parts=(
            Part(
                "chords",
                (38, 33, 39),
                ("1-1-1-1-1-1-1-1-", "1.....1.1.......", "1..1..1...1.5..."),
                31,
                1,
            ),
            Part(
                "chords",
                (50, 0, 5, 25, 90),
                ("x.......x.......", "x--x--x-x--x--x-", "1-2-3-2-1-2-3-2-", "x-x-x-x-x-x-x-x-"),
                57,
                -4,
            ),
            Part("chords", (89, 48, 27, 88), ("x...............", "1323132313231323"), 62, -8, 0.8),
            Part(
                "voice",
                (81, 85, 54),
                ("x.x.x...x.x.x...", "x-x-x.x-x...----", "--x.x.x.x.x.x..."),
                57,
                2,
            ),
            Part(
                "lead",
                (54, 85, 53, 80, 81),
                ("x.x.x...x.x.x...", "x-x-x.x-x...----", "--x.x.x.x.x.x..."),
                62,
                0,
            ),
            Part("lead", (54, 53, 52), ("x.......x.......", "----x.......x..."), 67, -7, 0.5),
        ),
    ),
    "reggae": Style(
        tempo=(66, 92),
        swing=(0.5, 0.62),
        progressions=("I IV I IV", "i iv i iv", "I V ii IV", "vi ii vi ii", "i bVII i bVII"),
        scale=PENTATONIC,
        kits=(0, 8, 40),
        grooves=(
            {"kick": "--------X-------", "rim": "--------X-------", "hat": "x-x-x-x-x-x-x-x-"},
            {"kick": "X-------X-------", "snare": "----o---X---o---", "hat": "x-xxx-x-x-xxx-x-"},
            {"kick": "X---X---X---X---", "rim": "--------X----x--", "hat": "--x---x---x---x-"},
            {
                "kick": "--------X-------",
                "snare": "--------X-----o-",
                "shaker": "x-x-x-x-x-x-x-x-",
                "conga": "---x-----x-x----",
            },
        ),
        drum_level=0,
        parts=(
            Part(
                "chords",
                (33, 39, 32),
                ("1.--1-3-5.--3---", "--1-1.3---3-1.--", "1.1.----1-2-3---"),
                28,
                6,
            ),
            Part("chords", (27, 28, 0), ("----x-------x---", "--x---x---x---x-"), 57, -2),
            Part(
                "chords",
                (16, 17, 18),
                ("--oxo---o-oxo---", "-o-o-o-o-o-o-o-o", "--x.--x.--x.--x."),
                57,
                -6,
                0.8,
            ),
            Part(
                "voice",
                (81, 85, 87),
                ("x.x.x...x.------", "--x.x.x.--x.....", "x...x.--x.x.----"),
                52,
                1,
                0.8,
            ),
            Part(
                "lead",
                (53, 57, 22, 66, 85),
                ("x.x.x...x.------", "--x.x.x.--x.....", "x...x.--x.x.----"),
                60,
                -2,
            ),
        ),
    ),
    "rock": Style(
        tempo=(92, 152),
        swing=(0.5, 0.55),
        progressions=("I bVII IV I", "I IV V IV", "i bVI bVII i", "vi IV I V", "I7 I7 IV7 I7"),
        scale=PENTATONIC,
        kits=(0, 16, 8),
        grooves=(
            {"kick": "X-------X-x-----", "snare": "----X-------X---", "hat": "x-x-x-x-x-x-x-x-"},
            {"kick": "X-x---x-X-x-----", "snare": "----X-------X---", "ride": "x-x-x-x-x-x-x-x-"},
            {"kick": "X-----x---x-----", "snare": "----X-------X---", "open": "x---x---x---x---"},
            {"kick": "X---x---X---x---", "snare": "--x---x---x---x-", "hat": "x-x-x-x-x-x-x-x-"},
        ),
        drum_level=-2,
        parts=(
            Part(
                "chords",
                (33, 34),
                ("1-1-1-1-1-1-1-1-", "1.....1.1.1.....", "1-1-3-1-1-1-4-5-"),
                28,
                0,
            ),
            Part(
                "chords",
                (29, 30, 27),
                ("x-x-x-x-x-x-x-x-", "x.......x.x.x...", "x...--x.x...--x.", "x-xx-xx-x-xx-xx-"),
                45,
                0,
            ),
            Part(
                "chords",
                (29, 27, 25),
                ("x.......x.......", "1-2-3-4-3-2-3-2-", "x-x-xx-xx-x-xx-x"),
                52,
                -4,
                0.8,
            ),
            Part("chords", (18, 16, 0), ("x...............", "x-x-x-x-x-x-x-x-"), 55, -9, 0.4),
            Part(
                "voice",
                (81, 87, 84),
                ("x.x.x...x.x.....", "x...x.x.x.......", "--x.x.x.x...x..."),
                52,
                0,
                0.8,
            ),
            Part(
                "lead",
                (29, 30, 85, 53, 22),
                ("x.x.x...x.x.....", "x...x.x.x.......", "--x.xxx.x...x..."),
                60,
                -2,
            ),
        ),
    ),
}
