"""Rows of the table in test_bad_input: kind, make, use, outcome, names."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path
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
ID3 = b"ID3\x04\0\0\0\0\x08\0" + bytes(1024)
ID3_BEHIND = b"TAG" + bytes(125)
APE = b"APETAGEX" + (2000).to_bytes(4, "little") + (500).to_bytes(4, "little") + bytes(516)


def noise(seconds=SECONDS, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, round(seconds * RATE)).clip(-0.9, 0.9)


# What is written: functions that take a folder and return the path of one file in it, or, among a
# few sound tracks, the folder itself.


def file(name, content):
    def make(folder):
        path = folder / name
        path.write_bytes(content() if callable(content) else content)
        return path

    return make


def sound(name, samples, rate=RATE, subtype=None, **options):
    def make(folder):
        sf.write(folder / name, samples, rate, subtype, **options)
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
    path = Path(os.environ["GTZAN_CACHE"], "made.mp3")
    samples = noise()
    samples[: round(quiet * RATE)] = 0
    options = {"bitrate_mode": "VARIABLE", "compression_level": 0.3}
    sf.write(path, np.stack([samples] * n_channels, axis=1), RATE, **options)
    content = path.read_bytes()
    path.unlink()
    return content


def counter_size():
    bits = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160][(mp3()[2] >> 4) - 1]
    return 72_000 * bits // RATE


def uncounted():
    return mp3()[counter_size() :]


def miscounted(frames, n_bytes=None):
    def content():
        changed, place = bytearray(mp3()), mp3().index(b"Xing") + 8
        changed[place : place + 4] = frames.to_bytes(4, "big")
        if n_bytes is not None:
            changed[place + 4 : place + 8] = n_bytes.to_bytes(4, "big")
        return bytes(changed)

    return content


def vbri():
    changed = bytearray(mp3()[: counter_size()])
    frames = mp3()[mp3().index(b"Xing") + 8 :][:4]
    changed[13:17] = bytes(4)
    changed[36:54] = b"VBRI" + bytes(6) + len(mp3()).to_bytes(4, "big") + frames
    return bytes(changed) + uncounted()


def holed():
    return uncounted()[:15_000] + bytes(4000) + uncounted()[19_000:]


def wav(chunks=b"", rate=RATE, samples=None):
    data = np.int16(noise() * 32767 if samples is None else samples).tobytes()
    form = (16).to_bytes(4, "little") + b"\1\0\1\0" + rate.to_bytes(4, "little")
    form += (2 * rate % 2**32).to_bytes(4, "little") + b"\2\0\x10\0"
    body = b"WAVEfmt " + form + chunks + b"data" + len(data).to_bytes(4, "little") + data
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def unheard(folder):
    """A socket, which can be listed like a file."""
    here = socket.socket(socket.AF_UNIX)
    before = Path.cwd()
    os.chdir(folder)  # the name of a socket must be short
    try:
        here.bind("song.wav")
    finally:
        os.chdir(before)
        here.close()
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
    names = ["a", "b"]
    return pd.DataFrame({"track_id": names, "genre": names, "artist": "", "path": ""})


def latin_1(folder):
    return file(os.fsdecode(b"caf\xe9.wav"), wav)(folder)


# What is done with it.


def is_whole(path, seconds=SECONDS):
    """Read in full, and the header and any part say the same as the whole."""
    samples, (header, _) = read_audio(path), read_header(path)
    part = read_audio(path, offset=1.5, seconds=2)
    same = np.abs(part - samples[round(1.5 * RATE) :][: len(part)]).max() < 1e-4
    return bool(
        abs(len(samples) / RATE - seconds) < 0.15 and abs(len(samples) / RATE - header) < 1e-3
    ) and bool(same and len(part) == 2 * RATE)


def is_twice_as_long(path):
    return is_whole(path, 2 * SECONDS)


def listed(folder):
    return load_tracks(folder).to_string()


def left_out(folder):
    """Left out by `usable`, and only that."""
    tracks = load_tracks(folder)
    assert len(usable(tracks)) == len(tracks) - 1
    return check_tracks(tracks).to_string()


def checked(folder):
    return check_tracks(load_tracks(folder)).to_string()


def all_usable(folder):
    return len(usable(load_tracks(folder))) == len(load_tracks(folder))


def sliced(folder):
    return len(SliceSet(load_tracks(folder)))


def told_shortly(folder):
    with mock.patch("builtins.print") as said:
        usable(load_tracks(folder))
    return "40 of 40" in str(said.call_args) and len(str(said.call_args)) < 300


def short_of(what, error, use):
    """Do something while a part of the system fails."""

    def use_so(given):
        with mock.patch(what, side_effect=error):
            return use(given)

    return use_so


def keeps_standard_error(path):
    before = os.fstat(2)
    for read in (read_audio, read_header):
        list(each_file([path] * 30, read, "read", threads=True))
    return os.path.samestat(before, os.fstat(2))


def five_minutes(path):
    return len(read_track(path)) == 300 * RATE


opposite = np.stack([noise(), -noise()], axis=1)
offset_only = np.full(SECONDS * RATE, 0.3)
one_channel_of_none = np.stack([noise(), np.full(SECONDS * RATE, np.nan)], axis=1)
denied = PermissionError(13, "Permission denied")

CASES: list[tuple] = [
    ("MP3: without a count, quiet first", file("a.mp3", uncounted), is_whole, "fine"),
    (
        "MP3: without a count, loud first",
        file("a.mp3", lambda: mp3(quiet=0)[counter_size() :]),
        is_whole,
        "fine",
    ),
    ("MP3: two joined", file("a.mp3", lambda: mp3() + mp3()), is_twice_as_long, "fine"),
    (
        "MP3: two joined, without a count",
        file("a.mp3", lambda: 2 * uncounted()),
        is_twice_as_long,
        "fine",
    ),
    (
        "MP3: two joined, tags between",
        file("a.mp3", lambda: ID3 + mp3() + ID3_BEHIND + ID3 + mp3()),
        is_twice_as_long,
        "fine",
    ),
    ("MP3: two tags in front", file("a.mp3", lambda: ID3 + ID3 + uncounted()), is_whole, "fine"),
    (
        "MP3: tags of two kinds behind",
        file("a.mp3", lambda: uncounted() + APE + ID3_BEHIND),
        is_whole,
        "fine",
    ),
    ("MP3: an APE tag in front", file("a.mp3", lambda: APE + mp3()), is_whole, "fine"),
    ("MP3: zeros in front", file("a.mp3", lambda: bytes(5000) + mp3()), is_whole, "fine"),
    (
        "MP3: rubbish behind",
        file("a.mp3", lambda: uncounted() + b"rubbish\xff\xfb" * 9000),
        is_whole,
        "fine",
    ),
    ("MP3: begins within a frame", file("a.mp3", lambda: uncounted()[33:]), is_whole, "fine"),
    ("MP3: counts too many frames", file("a.mp3", miscounted(10**6)), is_whole, "fine"),
    ("MP3: counts too few", file("a.mp3", miscounted(3, 900)), is_whole, "fine"),
    ("MP3: counts none", file("a.mp3", miscounted(0, 0)), is_whole, "fine"),
    ("MP3: counts in Fraunhofer's way", file("a.mp3", vbri), is_whole, "fine"),
    ("MP3: called WAV", file("a.wav", uncounted), is_whole, "fine"),
    (
        "MP3: counted, and cut in half",
        file("a.mp3", lambda: mp3()[: len(mp3()) // 2]),
        read_header,
        "refused",
        ("a.mp3", "cut short"),
    ),
    ("MP3: a hole in its midst", file("a.mp3", holed), read_audio, "refused", "damaged"),
    (
        "MP3: mono joined to stereo",
        file("a.mp3", lambda: mp3() + mp3(2)),
        read_audio,
        "refused",
        "channels",
    ),
    (
        "MP3: thirty threads, a broken file",
        file("a.mp3", lambda: mp3()[:9000] + bytes(300) + mp3()[9300:]),
        keeps_standard_error,
        "fine",
    ),
    ("WAV: GSM, not seekable", sound("a.wav", noise(), subtype="GSM610"), is_whole, "fine"),
    ("WAV: NMS ADPCM", sound("a.wav", noise(), subtype="NMS_ADPCM_32"), is_whole, "fine"),
    ("AU: G.721", sound("a.au", noise(), subtype="G721_32"), is_whole, "fine"),
    ("WAV: IMA ADPCM", sound("a.wav", noise(), subtype="IMA_ADPCM"), is_whole, "fine"),
    (
        "GSM among tracks",
        among(sound("a.wav", noise(), subtype="GSM610")),
        all_usable,
        "fine",
    ),
    ("WAV called M4A", file("a.m4a", wav), is_whole, "fine"),
    (
        "floats like 16-bit numbers",
        among(sound("a.wav", noise() * 32768, subtype="FLOAT")),
        left_out,
        "said",
        ("jazz/a", "out of range"),
    ),
    (
        "floats like 32-bit numbers",
        sound("a.wav", noise() * 2**31, subtype="DOUBLE"),
        read_audio,
        "refused",
        ("a.wav", "full scale"),
    ),
    (
        "floats like 16-bit numbers, sliced",
        among(sound("a.wav", noise() * 32768, subtype="FLOAT")),
        sliced,
        "refused",
        ("a.wav", "full scale"),
    ),
    (
        "floats a little beyond full scale",
        among(sound("a.wav", noise() * 20, subtype="FLOAT")),
        all_usable,
        "fine",
    ),
    (
        "channels cancel",
        among(sound("a.wav", opposite)),
        left_out,
        "said",
        ("jazz/a", "channels cancel"),
    ),
    (
        "channels cancel after compression",
        among(sound("a.mp3", opposite)),
        left_out,
        "said",
        ("jazz/a", "channels cancel"),
    ),
    ("channels cancel, sliced", among(sound("a.wav", opposite)), sliced, "refused", "a.wav"),
    (
        "one channel holds no numbers",
        among(sound("a.wav", one_channel_of_none, subtype="FLOAT")),
        left_out,
        "said",
        ("jazz/a", "NaN"),
    ),
    ("all samples are equal", among(sound("a.wav", offset_only)), left_out, "said", "silent"),
    (
        "denormal numbers",
        among(sound("a.wav", noise() * 1e-40, subtype="FLOAT")),
        left_out,
        "said",
        "silent",
    ),
    (
        "8 bits without a sign, all zero",
        among(sound("a.wav", np.zeros(4 * RATE), subtype="PCM_U8")),
        left_out,
        "said",
        "silent",
    ),
    ("music on an offset", among(sound("a.wav", noise() * 0.2 + 0.3)), all_usable, "fine"),
    ("sample rate 1 Hz", file("a.wav", lambda: wav(rate=1)), read_audio, "refused", "1 Hz"),
    ("sample rate 10 MHz", file("a.wav", lambda: wav(rate=10**7)), read_audio, "refused", "Hz"),
    ("sample rate 0 Hz", file("a.wav", lambda: wav(rate=0)), read_audio, "refused", "a.wav"),
    (
        "chunks without content",
        file("a.wav", lambda: wav(b"LIST\0\0\0\0JUNK\0\0\0\0")),
        is_whole,
        "fine",
    ),
    (
        "a header alone",
        among(file("a.wav", lambda: wav(samples=[]))),
        left_out,
        "said",
        ("jazz/a", "no samples"),
    ),
    ("no name", lambda folder: "", read_audio, "refused", "path"),
    ("a folder called like a song", lambda folder: folder, read_audio, "refused", "folder"),
    (
        "a name in Latin-1",
        among(latin_1),
        all_usable,
        "fine",
    ),
    (
        "an error about a name in Latin-1",
        file(os.fsdecode(b"caf\xe9.wav"), b"words" * 99),
        lambda path: read_audio(path).tobytes().decode("utf-8"),
        "refused",
        "caf?.wav",
    ),
    (
        "an error about a name of two lines",
        file("two\nlines.wav", b"words" * 99),
        read_audio,
        "refused",
        "two?lines.wav",
    ),
    (
        "a file that may not be read",
        among(sound("a.wav", noise())),
        short_of("gtzan_helpers.audio.os.open", denied, listed),
        "said",
        ("jazz/a", "may not be read (Permission denied)"),
    ),
    (
        "a disk that fails",
        sound("a.wav", noise()),
        short_of("gtzan_helpers.audio.os.open", OSError(5, "Input/output error"), read_audio),
        "refused",
        ("a.wav", "Input/output error"),
    ),
    (
        "too little memory to check",
        among(sound("a.wav", noise())),
        short_of("gtzan_helpers.faults.landmarks", MemoryError, checked),
        "said",
        ("jazz/a", "too little memory"),
    ),
    (
        "too little memory to read",
        sound("a.wav", noise()),
        short_of("gtzan_helpers.audio.mix", MemoryError, read_audio),
        "refused",
        ("a.wav", "too little memory"),
    ),
    (
        "a mix of seven minutes",
        among(sound("a.wav", noise(420 / RATE * 1000, seed=3), 1000)),
        checked,
        "said",
        ("jazz/a", "long", "7.0 min"),
    ),
    (
        "a mix of seven minutes, read as a track",
        sound("a.wav", noise(420 / RATE * 1000), 1000),
        five_minutes,
        "fine",
    ),
    ("forty faulty tracks", many_short, told_shortly, "fine"),
    ("tracks without sound, checked", soundless, usable, "refused", "feature file"),
    ("tracks without sound, sliced", soundless, SliceSet, "refused", "feature file"),
    (
        "tracks without sound, as recordings",
        soundless,
        lambda tracks: list(recordings(tracks)) == ["a", "b"],
        "fine",
    ),
    (
        "hardly a sample is asked for",
        sound("a.wav", noise()),
        lambda path: len(read_audio(path, seconds=1e-9)) == 1,
        "fine",
    ),
    (
        "an offset that is no number",
        sound("a.wav", noise()),
        lambda path: read_audio(path, offset=float("nan")),
        "refused",
        "offset",
    ),
]

if os.name == "posix":
    CASES += [
        ("a pipe", pipe, read_audio, "refused", ("song.wav", "pipe")),
        ("a pipe among tracks", among(pipe), left_out, "said", ("jazz/song", "pipe")),
        ("a socket", unheard, read_audio, "refused", "song.wav"),
        ("a link to a device", link_to("/dev/zero"), read_audio, "refused", "device"),
        ("a link to itself", link_to("song.wav"), read_audio, "refused", "song.wav"),
        ("a link to nothing", among(link_to("gone.wav")), left_out, "said", "jazz/song"),
    ]
