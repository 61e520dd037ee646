"""MP3 files that do not say, or say wrongly, how long they are.

An MP3 file is a row of frames. Only a first frame of another kind, which not all encoders write,
says how many there are; without it decoders guess from the first ones, and stop where they guess.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from functools import lru_cache
from mmap import ACCESS_READ, mmap
from typing import BinaryIO, NamedTuple

# A file may hold a little less than it promises: original GTZAN files lack a byte or two.
MISSING_SECONDS_ALLOWED = 0.1

_KILOBITS = {  # by the samples of a frame
    1152: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    576: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_SAMPLE_RATES = (44100, 48000, 32000)
_FRACTIONS = {0: 4, 2: 2, 3: 1}  # of these rates, by version of MPEG
_BEGINS = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][\x10-\xef]")
_TAG = re.compile(rb"ID3|TAG|APETAGEX")
# Near the beginning of a frame that counts the others; in the common way of two, their numbers.
_COUNTER = re.compile(rb"VBRI|(?:Xing|Info)(?:\0\0\0[\3\7\13\17](.{8}))?", re.DOTALL)
_COUNTER_BEGINS = 64  # bytes


class Frame(NamedTuple):
    """What the four bytes say that a frame of layer III begins with."""

    size: int  # bytes
    n_samples: int
    kind: tuple[int, int]  # sample rate and number of channels: the same throughout a file


def tidied(file: BinaryIO) -> list[bytes | memoryview] | None:
    """Return the frames of an MP3 file behind one that says rightly how many there are.

    Parameters
    ----------
    file : binary file
        It must not be empty. Only its pages in use are in memory. Anything may stand before its
        frames, between tags in its midst, and behind.

    Returns
    -------
    list of bytes and memoryview, or None
        What to write one after the other, views of the file among it. None if the file says so
        itself, or has hardly any frames.

    Raises
    ------
    ValueError
        If frames are missing, damaged or of several kinds. Its arguments are the reason and, if
        there is a special one, the way out.
    """
    data = mmap(file.fileno(), 0, access=ACCESS_READ)
    start = _search(data, 0)
    if start is None:
        return None
    header = data[start : start + 4]
    first = _frame(header)
    counts = _COUNTER.search(data[start : start + min(first.size, _COUNTER_BEGINS)])
    promised = struct.unpack(">2I", counts[1]) if counts and counts[1] else (0, 0)
    runs = _runs(data, start + first.size if counts else start, first.kind)
    begins, ends, numbers = zip(*runs, strict=True)
    count, n_bytes = sum(numbers), sum(ends) - sum(begins)
    has = count * first.n_samples / first.kind[0]
    missing = has * (promised[0] / count - 1)
    # If all bytes are there, but for a part of the last frame, it is the number that is wrong.
    if missing > MISSING_SECONDS_ALLOWED and n_bytes + 2 * first.size < promised[1]:
        promise = f"only {has:.1f} s of {has + missing:.1f} s are there"
        raise ValueError(f"damaged or cut short: {promise}")
    lost = sum(b - a for a, b in zip(ends, begins[1:], strict=False) if not _TAG.match(data, a))
    if lost / n_bytes * has > MISSING_SECONDS_ALLOWED:
        raise ValueError(f"damaged: {lost} bytes in its midst are no sound")
    # A tag of ID3 in front is what every decoder knows.
    whole = len(begins) == 1 and promised == (count, first.size + n_bytes)
    if whole and (start == 0 or data[:3] == b"ID3"):
        return None
    places = zip(begins, ends, strict=True)
    return [_counter(header, count, n_bytes), *(memoryview(data)[a:b] for a, b in places)]


def _runs(data: mmap, place: int | None, kind: tuple[int, int]) -> Iterator[tuple[int, int, int]]:
    """Yield from where to where frames stand without a gap, and how many."""
    while place is not None:
        begin, count = place, 0
        while (frame := _frame(data[place : place + 4])) and frame.kind == kind:
            if place + frame.size > len(data):
                break
            place, count = place + frame.size, count + 1
        yield begin, place, count
        place = _search(data, place)
        if place is not None and _frame(data[place : place + 4]).kind != kind:
            reason = "its parts differ in sample rate or channels"
            raise ValueError(reason, "convert it to WAV, FLAC or MP3")


def _search(data: mmap, position: int) -> int | None:
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


def _counter(header: bytes, count: int, n_bytes: int) -> bytes:
    """Return a frame that says how many frames and bytes with such a header follow."""
    # No checksum, and at least 80 kbit/s, so that there is room for the numbers.
    header = bytes((0xFF, header[1] | 1, 0x90 | header[2] & 0x0C, header[3]))
    size, n_samples, (_, n_channels) = _frame(header)
    side = {(1152, 2): 32, (576, 1): 9}.get((n_samples, n_channels), 17)
    numbers = struct.pack(">2I", count, size + n_bytes)
    return (header + bytes(side) + b"Xing\0\0\0\3" + numbers).ljust(size, b"\0")
