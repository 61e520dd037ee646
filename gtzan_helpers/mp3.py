"""MP3 files that do not say, or say wrongly, how long they are.

An MP3 file is a row of frames. Only a first frame of another kind, which not all encoders write,
says how many there are; without it decoders guess from the first ones, and stop where they guess.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

# A file may hold a little less than it promises: original GTZAN files lack a byte or two.
MISSING_SECONDS_ALLOWED = 0.1

_KILOBITS = {  # by the samples of a frame
    1152: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    576: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_SAMPLE_RATES = (44100, 48000, 32000)
_FRACTIONS = {0: 4, 2: 2, 3: 1}  # of these rates, by version of MPEG
_BEGINS = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][\x10-\xef]")
_TAGS = (b"ID3", b"TAG", b"APETAGEX")
# In a frame that counts the others; and what stands before the numbers of frames and of bytes. That
# of LAME says also how much silence to leave out, so it is kept.
_COUNTER = re.compile(b"Xing|Info|VBRI")
_BEFORE_NUMBERS = re.compile(b"(?:Xing|Info)\0\0\0[\3\7\13\17]")
_COUNTER_BEGINS = 48  # bytes


class Frame(NamedTuple):
    """What the four bytes say that a frame of layer III begins with."""

    size: int  # bytes
    n_samples: int
    kind: tuple[int, int]  # sample rate and number of channels: the same throughout a file


def tidied(data: bytes) -> bytes | None:
    """Return the frames of an MP3 file behind one that says rightly how many there are.

    Parameters
    ----------
    data : bytes
        The file; anything may stand before its frames, between tags in its midst, and behind.

    Returns
    -------
    bytes or None
        None if the file says so itself, or has hardly any frames.

    Raises
    ------
    ValueError
        If frames are missing, damaged or of several kinds. Its arguments are the reason and, if
        there is a special one, the way out.
    """
    start = _search(data, 0)
    if start is None:
        return None
    first = _frame(data[start : start + 4])
    counter = data[start : start + first.size]
    counts = _COUNTER.search(counter, 0, _COUNTER_BEGINS)
    runs = list(_runs(data, start + first.size if counts else start, first.kind))
    frames, count = b"".join(data[begin:end] for begin, end, _ in runs), sum(n for *_, n in runs)
    before_numbers = _BEFORE_NUMBERS.search(counter, 0, _COUNTER_BEGINS)
    if not before_numbers:  # another counter, or none
        counter = _new_counter(data[start : start + 4])
        before_numbers = _BEFORE_NUMBERS.search(counter)
    place = before_numbers.end()
    promised, promised_bytes = struct.unpack_from(">2I", counter, place)
    n_bytes = len(counter) + len(frames)
    has = count * first.n_samples / first.kind[0]
    missing = has * (promised / count - 1)
    # If all bytes are there, but for a part of the last frame, it is the number that is wrong.
    if missing > MISSING_SECONDS_ALLOWED and n_bytes + first.size < promised_bytes:
        promise = f"only {has:.1f} s of {has + missing:.1f} s are there"
        raise ValueError(f"damaged or cut short: {promise}")
    lost = _lost_bytes(data, runs)
    if missing < 0 and lost / len(frames) * has > MISSING_SECONDS_ALLOWED:
        raise ValueError(f"damaged: {lost} bytes in its midst are no sound")
    tidy = counter[:place] + struct.pack(">2I", count, n_bytes) + counter[place + 8 :] + frames
    in_front = start == 0 or data.startswith(b"ID3")  # this tag is what every decoder knows
    return None if in_front and data.startswith(tidy, start) else tidy


def _runs(data: bytes, position: int, kind: tuple[int, int]) -> Iterator[tuple[int, int, int]]:
    """Yield from where to where frames stand without a gap, and how many."""
    following: int | None = position
    while following is not None:
        position, count = following, 0
        while (frame := _frame(data[position : position + 4])) and frame.kind == kind:
            if position + frame.size > len(data):
                break
            position, count = position + frame.size, count + 1
        yield following, position, count
        following = _search(data, position)
        if following is not None and _frame(data[following : following + 4]).kind != kind:
            reason = "its parts differ in sample rate or channels"
            raise ValueError(reason, "convert it to WAV, FLAC or MP3")


def _lost_bytes(data: bytes, runs: list[tuple[int, int, int]]) -> int:
    """Return how many bytes between frames are no tag either."""
    gaps = [(end, begin) for (_, end, _), (begin, _, _) in pairwise(runs)]
    return sum(end - begin for begin, end in gaps if not data.startswith(_TAGS, begin))


def _search(data: bytes, position: int) -> int | None:
    """Return where the next three frames in a row begin: two bytes alone may look like one."""
    for found in _BEGINS.finditer(data, position):
        kinds, place = [], found.start()
        while len(kinds) < 3 and (frame := _frame(data[place : place + 4])):
            kinds.append(frame.kind)
            place += frame.size
        if len(kinds) == 3 and len(set(kinds)) == 1:
            return found.start()
    return None


@lru_cache(maxsize=1024)
def _frame(header: bytes) -> Frame | None:
    """Return what four bytes mean, if a frame of layer III may begin with them."""
    if len(header) < 4 or not _BEGINS.match(header) or header[2] >> 2 & 3 == 3:
        return None
    version = header[1] >> 3 & 3
    n_samples = 1152 if version == 3 else 576
    rate = _SAMPLE_RATES[header[2] >> 2 & 3] // _FRACTIONS[version]
    bits = 1000 * _KILOBITS[n_samples][(header[2] >> 4) - 1]
    size = n_samples // 8 * bits // rate + (header[2] >> 1 & 1)
    return Frame(size, n_samples, (rate, 1 if header[3] >= 0xC0 else 2))


def _new_counter(header: bytes) -> bytes:
    """Return a frame that counts, with no numbers yet, for frames with such a header."""
    # No checksum, and at least 80 kbit/s, so that there is room for the numbers.
    header = bytes((0xFF, header[1] | 1, 0x90 | header[2] & 0x0C, header[3]))
    size, n_samples, (_, n_channels) = _frame(header)
    side = {(1152, 2): 32, (576, 1): 9}.get((n_samples, n_channels), 17)
    return (header + bytes(side) + b"Xing\0\0\0\3").ljust(size, b"\0")
