"""How long an MP3 file is, counted frame by frame, and a copy that says so.

An MP3 file is a row of frames. Only a first frame of another kind, which not all encoders write,
says how many there are; without it decoders guess from the first ones, and stop where they guess.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import BinaryIO, NamedTuple

_KILOBITS = (
    (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),  # up to 24 000 Hz
    (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
)
_SAMPLE_RATES = (44100, 48000, 32000)
_BEGINS = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][\x10-\xef]")
_CHUNK = 2**16


class Frame(NamedTuple):
    """What the four bytes say that a frame begins with."""

    size: int  # bytes
    n_samples: int
    kind: tuple[int, int]  # sample rate and number of channels: the same throughout a file


class Frames(NamedTuple):
    """The frames of a file, but for the one that only counts the others."""

    count: int
    first: Frame
    counter: bytes  # that one, as it stands in the file; b"" if there is none
    runs: list[tuple[int, int]]  # from which byte to which they stand without a gap
    lost_bytes: int  # between the runs, and no tag
    tidy: bool  # little else is in the file
    mixed: bool  # part of it has another sample rate, or is mono instead of stereo

    @property
    def n_bytes(self) -> int:
        return sum(stop - start for start, stop in self.runs)

    @property
    def seconds_each(self) -> float:
        return self.first.n_samples / self.first.kind[0]

    @property
    def promised(self) -> int:
        """How many frames there are by the one that counts; 0 if it does not say."""
        return _counts(self.counter)[0]

    @property
    def missing_seconds(self) -> float:
        """How much sound was promised and is not there."""
        promised, promised_bytes = _counts(self.counter)
        # They include the frame that counts, and another may be there in half.
        if promised_bytes and self.n_bytes + 2 * self.first.size >= promised_bytes:
            return 0.0  # all is there, so that it is the number that is wrong
        return max(0, promised - self.count) * self.seconds_each

    @property
    def told_rightly(self) -> bool:
        """Whether the file says itself how long it is, so that a decoder reads all of it."""
        return self.tidy and self.promised == self.count and self.counter[36:40] != b"VBRI"

    @property
    def lost_seconds(self) -> float:
        """How much sound there was room for where no frame stands, if all was not counted."""
        if self.promised >= self.count:
            return 0.0
        return self.lost_bytes / self.n_bytes * self.count * self.seconds_each


def find_frames(path: Path) -> Frames | None:
    """Find the frames of layer III in a file, whatever lies before and between; None if it has
    hardly any."""
    with path.open("rb", buffering=_CHUNK) as file:
        size = os.fstat(file.fileno()).st_size
        start = _search(file, _behind_tags(file, 0, size), size)
        if start is None:
            return None
        first = _frame(file, start)
        counter = _bytes(file, start, first.size)
        counter = counter if _count_place(counter) else b""
        count, lost, runs, position, mixed = 0, 0, [], start + len(counter), False
        while not mixed:
            begin = position
            while (frame := _frame(file, position)) and frame.kind == first.kind:
                if position + frame.size > size:
                    break
                count, position = count + 1, position + frame.size
            runs += [(begin, position)] if position > begin else []
            behind = _behind_tags(file, position, size)
            following = _search(file, behind, size)
            if following is None:
                break
            mixed = _frame(file, following).kind != first.kind
            lost, position = lost + following - behind, following
        head = _bytes(file, 0, 10)
    # A tag of ID3 in front is what every decoder knows.
    in_front = _tag_bytes(head) if head.startswith(b"ID3") else 0
    tidy = start == in_front and len(runs) == 1 and size - position < size // 200
    return Frames(count, first, counter, runs, lost, tidy, mixed)


def write_tidy(path: Path, frames: Frames, copy: Path) -> None:
    """Copy the frames of a file, behind one that says rightly how many there are."""
    with path.open("rb") as file, copy.open("wb") as out:
        first = bytearray(frames.counter)
        place = _count_place(first)
        # In that of LAME more is told that should be kept: how much silence to leave out.
        if not place or first[36:40] == b"VBRI" or first[place - 1] & 3 != 3:
            first = bytearray(_bytes(file, frames.runs[0][0], 4))
            # No checksum, and at least 80 kbit/s, so that there is room for the numbers.
            first[1:3] = first[1] | 1, 0x90 | first[2] & 0x0C
            first = first.ljust(_FRAMES[first[3] >= _MONO][bytes(first[1:3])].size, b"\0")
            place = 4 + _side_bytes(first) + 8
            first[place - 8 : place] = b"Xing\0\0\0\3"
        numbers = frames.count, len(first) + frames.n_bytes
        first[place : place + 8] = b"".join(number.to_bytes(4, "big") for number in numbers)
        out.write(first)
        for start, stop in frames.runs:
            file.seek(start)
            for position in range(start, stop, _CHUNK):
                out.write(file.read(min(_CHUNK, stop - position)))


def _all_frames(n_channels: int) -> dict[bytes, Frame]:
    """Return what each second and third byte of a frame of layer III mean."""
    frames = {}
    for second in (0xE2, 0xE3, 0xF2, 0xF3, 0xFA, 0xFB):
        large, quarter = second & 8 == 8, second & 0x10 == 0
        for third in range(0x10, 0xF0):
            if third >> 2 & 3 == 3:
                continue
            rate = _SAMPLE_RATES[third >> 2 & 3] // (1 if large else 4 if quarter else 2)
            bits = 1000 * _KILOBITS[large][(third >> 4) - 1]
            n_samples = 1152 if large else 576
            size = n_samples // 8 * bits // rate + (third >> 1 & 1)
            frames[bytes((second, third))] = Frame(size, n_samples, (rate, n_channels))
    return frames


_FRAMES = _all_frames(2), _all_frames(1)
_MONO = 0xC0  # and above: the fourth byte of a frame with one channel


def _bytes(file: BinaryIO, position: int, count: int) -> bytes:
    file.seek(position)
    return file.read(count)


def _frame(file: BinaryIO, position: int) -> Frame | None:
    file.seek(position)
    head = file.read(4)
    if len(head) < 4 or head[0] != 0xFF:
        return None
    return _FRAMES[head[3] >= _MONO].get(head[1:3])


def _search(file: BinaryIO, position: int, size: int) -> int | None:
    """Return where the next three frames in a row begin: two bytes alone may look like one."""
    while position < size:
        chunk = _bytes(file, position, _CHUNK + 2)
        for found in _BEGINS.finditer(chunk):
            if _three_frames(file, position + found.start()):
                return position + found.start()
        position += _CHUNK
    return None


def _three_frames(file: BinaryIO, position: int) -> bool:
    kinds = set()
    for _ in range(3):
        frame = _frame(file, position)
        if frame is None:
            return False
        kinds.add(frame.kind)
        position += frame.size
    return len(kinds) == 1


def _behind_tags(file: BinaryIO, position: int, size: int) -> int:
    """Return where the tags end that begin at a place."""
    while length := _tag_bytes(_bytes(file, position, 32)):
        if position + length > size:
            break
        position += length
    return position


def _tag_bytes(head: bytes) -> int:
    """Return the length of a tag (both kinds of ID3, or APE) by its first bytes; 0 of no tag."""
    if head.startswith(b"ID3") and len(head) >= 10:
        digits = enumerate(reversed(head[6:10]))  # of seven bits each
        return 10 + sum((digit & 127) << 7 * place for place, digit in digits)
    if head.startswith(b"APETAGEX"):
        return 32 + int.from_bytes(head[12:16], "little")
    return 128 if head.startswith(b"TAG") else 0


def _side_bytes(frame: bytes) -> int:
    """Return how many bytes stand between the beginning of a frame and its sound."""
    mono, large = frame[3] >= _MONO, frame[1] & 8 == 8
    return (17 if mono else 32) if large else (9 if mono else 17)


def _count_place(frame: bytes) -> int:
    """Return where in a frame the number of the others stands, or would stand; 0 in any other."""
    if frame[36:40] == b"VBRI":
        return 50
    place = 4 + _side_bytes(frame) if frame else 0
    return place + 8 if frame[place : place + 4] in (b"Xing", b"Info") else 0


def _counts(frame: bytes) -> tuple[int, int]:
    """Return how many frames follow, and how many bytes in all; 0 where that is not told."""
    place = _count_place(frame)
    if frame[36:40] == b"VBRI":
        return int.from_bytes(frame[50:54], "big"), int.from_bytes(frame[46:50], "big")
    flags = frame[place - 1] if place else 0
    numbers = [int.from_bytes(frame[n : n + 4], "big") for n in (place, place + 4)]
    promised = numbers.pop(0) if flags & 1 else 0
    return promised, numbers.pop(0) if flags & 2 else 0
