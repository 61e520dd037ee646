"""Rows of the table in test_bad_input: kind, make, use, outcome, names."""

from __future__ import annotations

import io
import os
import socket
from contextlib import chdir
from functools import cache, partial
from unittest import mock

import numpy as np
import pandas as pd
import soundfile as sf

from gtzan_helpers.audio import read_audio, read_header, read_track
from gtzan_helpers.copies import recordings
from gtzan_helpers.datasets import load_tracks
from gtzan_helpers.faults import check_tracks, usable
from gtzan_helpers.slices import SliceSet
from gtzan_helpers.workers import each_file

RATE = 22050
SECONDS = 6
LATIN_1 = os.fsdecode(b"caf\xe9.wav")
ID3 = b"ID3\x04\0\0\0\0\x08\0" + bytes(1024)
ID3_BEHIND = b"TAG" + bytes(125)
APE = b"APETAGEX" + (2000).to_bytes(4, "little") + (500).to_bytes(4, "little") + bytes(516)


def noise(seconds=SECONDS, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, round(seconds * RATE)).clip(-0.9, 0.9)


# What is written: functions that take a folder and return the path of one file in it, or, among a
# few sound tracks, the folder itself.


def file(name, content):
    def make(folder):
        (folder / name).write_bytes(content() if callable(content) else content)
        return folder / name

    return make


def sound(samples, subtype=None, name="a.wav", rate=RATE):
    def make(folder):
        sf.write(folder / name, samples, rate, subtype)
        return folder / name

    return make


def among(make):
    """Put what another function writes among sound tracks."""

    def make_folder(folder):
        for number, genre in enumerate(("blues", "jazz")):
            (folder / genre).mkdir()
            sf.write(folder / genre / f"sound {genre}.wav", noise(seed=number + 1), RATE)
        make(folder / "jazz")
        return folder

    return make_folder


@cache
def mp3(n_channels=1, quiet=2.0):
    """An MP3 file of variable bit rate, whose first frames say nothing of the later ones."""
    samples = noise()[:, None].repeat(n_channels, axis=1)
    samples[: round(quiet * RATE)] = 0
    options = {"format": "MP3", "bitrate_mode": "VARIABLE", "compression_level": 0.3}
    sf.write(made := io.BytesIO(), samples, RATE, **options)
    return made.getvalue()


def uncounted():
    """Leave out the first frame, 72 bytes for each kilobit a second at 1 kHz."""
    bits = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160][(mp3()[2] >> 4) - 1]
    return mp3()[72_000 * bits // RATE :]


def miscounted(frames, n_bytes=None):
    def content():
        before, name, behind = mp3().partition(b"Xing")
        numbers = [frames, int.from_bytes(behind[8:12], "big") if n_bytes is None else n_bytes]
        return before + name + behind[:4] + np.array(numbers, ">u4").tobytes() + behind[12:]

    return content


def vbri():
    numbers = len(mp3()).to_bytes(4, "big") + mp3()[21:25]  # of bytes, and of frames
    return mp3()[:13] + bytes(23) + b"VBRI" + bytes(6) + numbers + mp3()[54:]


def wav(chunks=b"", rate=RATE, samples=None):
    data = np.int16(noise() * 32767 if samples is None else samples).tobytes()
    form = (16).to_bytes(4, "little") + b"\1\0\1\0" + rate.to_bytes(4, "little")
    form += (2 * rate % 2**32).to_bytes(4, "little") + b"\2\0\x10\0"
    body = b"WAVEfmt " + form + chunks + b"data" + len(data).to_bytes(4, "little") + data
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def unheard(folder):
    """A socket, which can be listed like a file."""
    with socket.socket(socket.AF_UNIX) as here, chdir(folder):  # its name must be short
        here.bind("song.wav")
    return folder / "song.wav"


def pipe(folder):
    os.mkfifo(folder / "song.wav")
    return folder / "song.wav"


def link_to(target):
    def make(folder):
        (folder / "song.wav").symlink_to(target)
        return folder / "song.wav"

    return make


def many_short(folder):
    (folder / "jazz").mkdir()
    for number in range(40):
        sf.write(folder / "jazz" / f"number {number}.wav", noise(0.5, number), RATE)
    return folder


def soundless(folder):
    return pd.DataFrame({"track_id": ["a", "b"], "genre": ["a", "b"], "artist": "", "path": ""})


# What is done with it.


def is_whole(path, seconds=SECONDS):
    """Read in full, and the header and any part say the same as the whole."""
    samples, (header, _) = read_audio(path), read_header(path)
    length = len(samples) / RATE
    part = read_audio(path, offset=1.5, seconds=2)
    np.testing.assert_allclose(part, samples[round(1.5 * RATE) :][: 2 * RATE], atol=1e-4)
    return abs(length - seconds) < 0.15 and abs(length - header) < 1e-3


def is_five_minutes_long(path):
    return len(read_track(path)) == 300 * RATE


def one_sample(path):
    return len(read_audio(path, seconds=1e-9)) == 1


def all_differ(tracks):
    return recordings(tracks).is_unique


def listed(folder):
    return load_tracks(folder).to_string()


def checked(folder):
    return check_tracks(load_tracks(folder)).to_string()


def n_left_out(folder):
    return len(load_tracks(folder)) - len(usable(load_tracks(folder)))


def left_out(folder):
    """Left out by `usable`, and only that."""
    assert n_left_out(folder) == 1
    return checked(folder)


def all_usable(folder):
    return n_left_out(folder) == 0


def sliced(folder):
    return len(SliceSet(load_tracks(folder)))


def said_shortly(folder):
    with mock.patch("builtins.print") as said:
        usable(load_tracks(folder))
    return "40 of 40" in str(said.call_args) and len(str(said.call_args)) < 300


def short_of(what, error, use):
    """Do something while a part of the system fails."""
    return mock.patch(f"gtzan_helpers.{what}", side_effect=error)(lambda given, _: use(given))


def keeps_standard_error(path):
    before = os.fstat(2)
    for read in (read_audio, read_header):
        list(each_file([path] * 30, read, "read", threads=True))
    return os.path.samestat(before, os.fstat(2))


# The rows: what is fine, what is refused with these names, and what is said of one track in three.


def fine(kind, make, use=is_whole):
    return kind, make, use, "fine"


def refused(kind, make, *names, use=read_audio):
    return kind, make, use, "refused", names


def said(kind, make, *names, use=left_out):
    return kind, among(make), use, "said", names


opposite = np.stack([noise(), -noise()], axis=1)
one_channel_of_none = np.stack([noise(), np.full(SECONDS * RATE, np.nan)], axis=1)
like_16_bit = sound(noise() * 32768, "FLOAT")
plain = sound(noise())
gsm = sound(noise(), "GSM610")
seven_minutes = sound(noise(420 / RATE * 1000, seed=3), rate=1000)
may_not_open = short_of("audio.os.open", PermissionError(13, "Permission denied"), listed)
cannot_open = short_of("audio.os.open", OSError(5, "Input/output error"), read_audio)
cannot_check = short_of("faults.landmarks", MemoryError, checked)
cannot_mix = short_of("audio.mix", MemoryError, read_audio)

MP3 = {
    "without a count, quiet first": uncounted,
    "two tags in front": lambda: ID3 + ID3 + uncounted(),
    "tags of two kinds behind": lambda: uncounted() + APE + ID3_BEHIND,
    "an APE tag in front": lambda: APE + mp3(),
    "zeros in front": lambda: bytes(5000) + mp3(),
    "rubbish behind": lambda: uncounted() + b"rubbish\xff\xfb" * 9000,
    "begins within a frame": lambda: uncounted()[33:],
    "counts too many frames": miscounted(10**6),
    "counts too few": miscounted(3, 900),
    "counts none": miscounted(0, 0),
    "counts in Fraunhofer's way": vbri,
    "two joined": lambda: mp3() + mp3(),
    "two joined, without a count": lambda: 2 * uncounted(),
    "two joined, tags between": lambda: ID3 + mp3() + ID3_BEHIND + ID3 + mp3(),
}


def whole_mp3(kind, content):
    seconds = SECONDS * (2 if "joined" in kind else 1)
    return fine(f"MP3: {kind}", file("a.mp3", content), partial(is_whole, seconds=seconds))


def half():
    return mp3()[: len(mp3()) // 2]


def holed():
    return uncounted()[:15_000] + bytes(4000) + uncounted()[19_000:]


def broken():
    return mp3()[:9000] + bytes(300) + mp3()[9300:]


LOUD_FIRST = file("a.mp3", lambda: mp3(quiet=0)[len(mp3()) - len(uncounted()) :])
CASES: list[tuple] = [
    *(whole_mp3(kind, content) for kind, content in MP3.items()),
    fine("MP3: without a count, loud first", LOUD_FIRST),
    fine("MP3: called WAV", file("a.wav", uncounted)),
    fine("MP3: thirty threads, a broken file", file("a.mp3", broken), keeps_standard_error),
    refused("MP3: counted, and cut in half", file("a.mp3", half), "a.mp3", "cut", use=read_header),
    refused("MP3: a hole in its midst", file("a.mp3", holed), "a.mp3"),
    refused("MP3: mono joined to stereo", file("a.mp3", lambda: mp3() + mp3(2)), "channels"),
    fine("WAV: GSM, not seekable", gsm),
    fine("WAV: NMS ADPCM", sound(noise(), "NMS_ADPCM_32")),
    fine("AU: G.721", sound(noise(), "G721_32", "a.au")),
    fine("WAV: IMA ADPCM", sound(noise(), "IMA_ADPCM")),
    fine("GSM among tracks", among(gsm), all_usable),
    fine("WAV called M4A", file("a.m4a", wav)),
    said("floats like 16-bit numbers", like_16_bit, "jazz/a", "out of range"),
    refused("floats like 32-bit numbers", sound(noise() * 2**31, "DOUBLE"), "a.wav"),
    refused("floats like 16-bit numbers, sliced", among(like_16_bit), "a.wav", use=sliced),
    fine("floats a little beyond full scale", among(sound(noise() * 20, "FLOAT")), all_usable),
    said("channels cancel", sound(opposite), "jazz/a", "channels cancel"),
    said("channels cancel after compression", sound(opposite, name="a.mp3"), "jazz/a", "channels"),
    refused("channels cancel, sliced", among(sound(opposite)), "a.wav", use=sliced),
    said("one channel holds no numbers", sound(one_channel_of_none, "FLOAT"), "jazz/a", "NaN"),
    said("all samples are equal", sound(np.full(SECONDS * RATE, 0.3)), "silent"),
    said("denormal numbers", sound(noise() * 1e-40, "FLOAT"), "silent"),
    said("8 bits without a sign, all zero", sound(np.zeros(4 * RATE), "PCM_U8"), "silent"),
    fine("music on an offset", among(sound(noise() * 0.2 + 0.3)), all_usable),
    refused("sample rate 1 Hz", file("a.wav", lambda: wav(rate=1)), "1 Hz"),
    refused("sample rate 10 MHz", file("a.wav", lambda: wav(rate=10**7)), "Hz"),
    refused("sample rate 0 Hz", file("a.wav", lambda: wav(rate=0)), "a.wav"),
    fine("chunks without content", file("a.wav", lambda: wav(b"LIST\0\0\0\0JUNK\0\0\0\0"))),
    said("a header alone", file("a.wav", lambda: wav(samples=[])), "jazz/a", "no samples"),
    refused("no name", lambda folder: "", "path"),
    refused("a folder called like a song", lambda folder: folder, "folder"),
    fine("a name in Latin-1", among(file(LATIN_1, wav)), all_usable),
    refused("an error about a name in Latin-1", file(LATIN_1, b"words" * 99), "caf?.wav"),
    refused("an error about a name of two lines", file("2\nlines.wav", b"words"), "2?lines.wav"),
    said("a file that may not be read", plain, "jazz/a", "Permission denied", use=may_not_open),
    refused("a disk that fails", plain, "a.wav", "output", use=cannot_open),
    said("too little memory to check", plain, "jazz/a", "too little memory", use=cannot_check),
    refused("too little memory to read", plain, "a.wav", "too little memory", use=cannot_mix),
    said("a mix of seven minutes", seven_minutes, "jazz/a", "long", "7.0 min", use=checked),
    fine("a mix of seven minutes, read as a track", seven_minutes, is_five_minutes_long),
    fine("forty faulty tracks", many_short, said_shortly),
    refused("tracks without sound, checked", soundless, "feature file", use=usable),
    refused("tracks without sound, sliced", soundless, "feature file", use=SliceSet),
    fine("tracks without sound, as recordings", soundless, all_differ),
    fine("hardly a sample is asked for", plain, one_sample),
    refused("an offset that is no number", plain, "offset", use=partial(read_audio, offset=np.nan)),
]

if os.name == "posix":
    CASES += [
        refused("a pipe", pipe, "song.wav", "pipe"),
        said("a pipe among tracks", pipe, "jazz/song", "pipe"),
        refused("a socket", unheard, "song.wav"),
        refused("a link to a device", link_to("/dev/zero"), "device"),
        refused("a link to itself", link_to("song.wav"), "song.wav"),
        said("a link to nothing", link_to("gone.wav"), "jazz/song"),
    ]
