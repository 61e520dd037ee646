"""Reading audio files, and listening to them in a lesson."""

from __future__ import annotations

import base64
import html
import io
import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from .cache import file_state
from .errors import CourseError
from .mp3 import find_frames, write_tidy

if TYPE_CHECKING:
    from audioread import AudioFile
    from IPython.display import HTML

PLAYER_SECONDS = 10.0
# What is used of a longer track, so that a mix of an hour among clips costs no more than they do.
LONGEST_SECONDS = 300.0
# The length of a frame in which silence and cut-off peaks are looked for: a full period of the
# lowest note that is heard as one, 20 Hz.
FRAME_SECONDS = 0.05

# A header may promise a little more than the file holds: original GTZAN files lack a byte or two.
MISSING_SECONDS_ALLOWED = 0.1
# Full scale is 1. Files of floats may pass it a little, but not where they hold 16-bit numbers.
FAR_BEYOND = 10.0
# The channels cancel each other where their mean is so much weaker than they are.
CANCELLED = 1e-3
SAMPLE_RATES = (1000, 800_000)  # Hz: no recording has another, but a damaged header may

# libsndfile's figure for the length of a FLAC file that was streamed to disk.
_UNKNOWN_LENGTH = 2**63 - 1
_BLOCK_SAMPLES = 2**19  # in memory at once while a file is read

# What a file that read_audio reads may be called.
_NEEDS_AUDIOREAD = {".m4a", ".mp4", ".aac", ".wma", ".webm"}  # libsndfile knows none of these
AUDIO_SUFFIXES = _NEEDS_AUDIOREAD | {
    *(".wav", ".w64", ".rf64", ".au", ".aif", ".aiff", ".aifc", ".caf"),
    *(".flac", ".mp3", ".ogg", ".oga", ".opus"),
}

# How files of these kinds begin.
_FIRST_BYTES = {
    ".wav": (b"RIFF", b"RIFX", b"RF64"),
    ".au": (b".snd", b"dns."),
    ".flac": (b"fLaC", b"ID3"),
    ".ogg": (b"OggS",),
}
_TRY_AGAIN = "fetch the file again, or leave it out as usable() does"
_CONVERT = "convert it to WAV, FLAC or MP3"


class AudioError(CourseError):
    """An audio file that cannot be read: which one, why, and what to do about it."""

    def __init__(self, path: str | Path, reason: str, way_out: str = _TRY_AGAIN) -> None:
        super().__init__(path, reason, way_out)  # all three, so that it can be pickled
        self.path, self.reason, self.way_out = Path(path), reason, way_out

    def __str__(self) -> str:
        return f"{printable(self.path)}: {self.reason}; {self.way_out}"


def printable(name: str | Path) -> str:
    """Return a file's name with ? for what no screen shows: line breaks, and bytes of no letter."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", "?", str(name))


class Blocks(NamedTuple):
    """A part of an audio file, to be read block by block, and what is known before."""

    sample_rate: int
    n_channels: int
    file_seconds: float
    blocks: Iterator[NDArray[np.float32]]  # of shape (n_samples, n_channels), whole frames each


def read_audio(
    path: str | Path,
    sample_rate: int = 22050,
    offset: float = 0.0,
    seconds: float | None = None,
) -> NDArray[np.float32]:
    """Read an audio file, or a part of it, as one channel at one sample rate.

    Parameters
    ----------
    path : str or path
        WAV, AU, FLAC, MP3, Ogg and whatever else libsndfile reads; M4A and the like where the
        system or ffmpeg can decode them.
    sample_rate : int
        Hz of the result; a file of another rate is resampled.
    offset : float
        Where to start, in seconds from the beginning.
    seconds : float, optional
        How much to read; to the end of the file if None, or if there is less.

    Returns
    -------
    ndarray, shape (n_samples,), float32
        The mean of the channels, between -1 and 1 for files of whole numbers.

    Raises
    ------
    AudioError
        If the file is missing, not audio, empty, cut short, ends before `offset`, or holds what is
        no music: values that are not numbers or pass full scale tenfold, or channels that cancel
        each other, so that their mean is silent.

    Notes
    -----
    Taught in notebooks/01_explore_the_data.ipynb.
    """
    with naming(Path(path)):
        mono, peak, file_rate = _read_mono(path, offset, seconds)
        if file_rate != sample_rate:
            import librosa  # here, because most tracks need no resampling and it is slow to load

            mono = librosa.resample(mono, orig_sr=file_rate, target_sr=sample_rate)
    if peak > FAR_BEYOND:
        way_out = "divide its samples by the largest number of their kind, such as 32768"
        raise AudioError(path, beyond_full_scale(peak), way_out)
    if peak > CANCELLED and np.abs(mono).max() < CANCELLED * peak:
        reason = "its channels cancel each other out, so that their mean is silent"
        raise AudioError(path, reason, "keep one of them only, or leave it out as usable() does")
    return mono


def _read_mono(
    path: str | Path, offset: float, seconds: float | None
) -> tuple[NDArray[np.float32], float, int]:
    """Return the mean of the channels, the largest amplitude in any of them, and the rate."""
    part = read_blocks(path, offset, seconds)
    waveform, peak = [], 0.0
    for block in part.blocks:
        peak = max(peak, float(block.max()), -float(block.min()))
        waveform.append(mix(block))
    return np.concatenate(waveform), peak, part.sample_rate


def read_track(path: str | Path, sample_rate: int = 22050) -> NDArray[np.float32]:
    """Read what is used of a track: all of it, or its first five minutes. See `read_audio`."""
    return read_audio(path, sample_rate, 0.0, LONGEST_SECONDS)


def decode(
    path: str | Path, offset: float = 0.0, seconds: float | None = None
) -> tuple[NDArray[np.float32], int]:
    """Read an audio file as it is: all channels, shape (n_samples, n_channels), and its rate in Hz.

    `offset`, `seconds` and the errors are those of `read_audio`, but for those about its values.
    """
    part = read_blocks(path, offset, seconds)
    return np.concatenate(list(part.blocks)), part.sample_rate


def mix(block: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of the channels."""
    return block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)


def beyond_full_scale(peak: float) -> str:
    """Say what is wrong with amplitudes like these."""
    return f"its amplitudes reach {peak:.0f}, where full scale is 1"


def read_blocks(path: str | Path, offset: float = 0.0, seconds: float | None = None) -> Blocks:
    """Open an audio file, to be read block by block; see `decode`."""
    path = Path(path)
    if not 0 <= offset < np.inf or (seconds is not None and not seconds > 0):
        raise ValueError(f"offset {offset} or seconds {seconds} is not a part of a recording")
    sound = _open(path, from_start=offset == 0)
    first, n_samples = round(offset * sound.samplerate), sound.frames
    if seconds is not None and seconds * sound.samplerate < n_samples:
        n_samples = min(n_samples, first + max(1, round(seconds * sound.samplerate)))
    length = sound.frames / sound.samplerate
    if n_samples <= first:
        sound.close()
        has = f"it lasts {length:.1f} s"
        raise AudioError(path, f"no audio at {offset:g} s, {has}", "start earlier")
    blocks = _blocks(path, sound, first, n_samples - first)
    return Blocks(sound.samplerate, sound.channels, length, blocks)


def read_header(path: str | Path, exact: bool = False) -> tuple[float, int]:
    """Return a file's length in seconds and its sample rate in Hz, without decoding it.

    Parameters
    ----------
    path : str or path
    exact : bool
        Whether M4A and the like may be decoded to know their length: what they say is about right.

    Raises
    ------
    AudioError
        If the file is missing, not audio, empty, or visibly cut short.
    """
    path = Path(path)
    if path.suffix.lower() in _NEEDS_AUDIOREAD and not exact:
        with naming(path):
            _refuse_what_is_no_file(path)
            with _audioread(path) as sound:
                if sound.duration > 0:
                    return float(sound.duration), sound.samplerate
    with _open(path) as sound:
        return sound.frames / sound.samplerate, sound.samplerate


def player(samples: NDArray, sample_rate: int = 22050, label: str = "") -> HTML:
    """Return a player for a waveform, small enough to be stored in a notebook.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        Mono waveform. Its level is kept unless it passes full scale; what lies behind the first
        10 s is left out, and the label says so.
    sample_rate : int
        Hz.
    label : str
        What is heard, shown above the player.

    Returns
    -------
    IPython.display.HTML

    Raises
    ------
    ValueError
        If `samples` is empty, not mono, or holds values that are not numbers.

    Notes
    -----
    Taught in notebooks/01_explore_the_data.ipynb.
    """
    from IPython.display import HTML

    samples = np.asarray(samples, dtype=np.float32)
    if samples.ndim != 1 or len(samples) == 0 or not np.isfinite(samples).all():
        raise ValueError(f"a mono waveform of finite numbers is needed, not {samples.shape}")
    heard = samples[: round(PLAYER_SECONDS * sample_rate)]
    if len(heard) < len(samples):
        cut = f"the first {PLAYER_SECONDS:g} s of {len(samples) / sample_rate:.0f} s"
        label = f"{label} ({cut})" if label else cut
    heard = heard / max(1.0, np.abs(heard).max())
    data, kind = _encode(heard, sample_rate)
    source = f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
    text = html.escape(label)
    named = f' aria-label="{text}"' if text else ""
    above = f"<figcaption>{text}</figcaption>" if text else ""
    return HTML(f'<figure>{above}<audio controls{named} src="{source}"></audio></figure>')


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn what may befall any file, while it is read, into an error that names it."""
    try:
        yield
    except MemoryError as error:
        way_out = "close other programs, or leave it out as usable() does"
        raise AudioError(path, "there is too little memory for it", way_out) from error
    except OSError as error:
        way_out = "check its rights, or leave it out as usable() does"
        raise AudioError(path, f"may not be read ({error.strerror or error})", way_out) from error


def _blocks(
    path: Path, sound: sf.SoundFile, first: int, wanted: int
) -> Iterator[NDArray[np.float32]]:
    """Yield a part of an open file block by block, and close it."""
    frame = max(1, round(FRAME_SECONDS * sound.samplerate))
    length = max(1, _BLOCK_SAMPLES // (frame * sound.channels)) * frame
    with sound:
        missing = wanted
        try:
            if first:
                # The first frames of an MP3 file that are decoded lack what stands in those before.
                lead = min(first, sound.samplerate if sound.format == "MP3" else 0)
                sound.seek(first - lead)
                sound.read(lead)
            while missing:
                block = sound.read(min(length, missing), dtype="float32", always_2d=True)
                if len(block) == 0:
                    break
                if not np.isfinite(block).all():
                    raise AudioError(path, "holds values that are not numbers (NaN or infinity)")
                yield block
                missing -= len(block)
        except sf.SoundFileError as error:
            raise AudioError(path, "damaged: it cannot be decoded to its end") from error
        if missing == wanted or missing / sound.samplerate > MISSING_SECONDS_ALLOWED:
            seconds = missing / sound.samplerate
            raise AudioError(path, f"cut short: the last {seconds:.1f} s are missing")


class _Sound(sf.SoundFile):
    """A file that is read on from where it stands. soundfile seeks the place behind each block, and
    decoders begin anew there: in an MP3 file, without what the frames before hold for the next."""

    stand_in: _StandIn | None = None  # what is read instead lives as long

    def seekable(self) -> bool:
        return False


class _StandIn:
    """A temporary file with the sound of another one, deleted once nobody uses it, or at exit."""

    def __init__(self, suffix: str) -> None:
        folder = tempfile.mkdtemp(prefix="gtzan_helpers_")
        self.path = Path(folder, f"sound{suffix}")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)

    def write(self, sample_rate: int, n_channels: int, blocks: Iterable[bytes]) -> None:
        """Write 16-bit samples, which come as bytes in pieces of any size."""
        size, rest = 2 * n_channels, b""
        # W64 knows no limit of 4 GB.
        with sf.SoundFile(self.path, "w", sample_rate, n_channels, "PCM_16", format="W64") as out:
            for block in blocks:
                rest += block
                whole = len(rest) // size * size
                out.buffer_write(rest[:whole], "int16")
                rest = rest[whole:]


def _open(path: Path, from_start: bool = True) -> _Sound:
    """Open a file for reading, or one that stands in for it, or say what is wrong with it."""
    with naming(path):
        _refuse_what_is_no_file(path)
        stand_in = _stand_in(path, file_state(path))
        sound = _sound_file(path, stand_in)
        if not (from_start or sf.SoundFile.seekable(sound)):
            sound.close()
            sound = _sound_file(path, _decoded_from_start(path, file_state(path)))
        try:
            _refuse_broken(path, sound)
        except AudioError:
            sound.close()
            raise
        return sound


def _refuse_what_is_no_file(path: Path) -> None:
    """Refuse a folder, a pipe that one would wait for, and an empty file."""
    if path == Path():
        raise AudioError(path, "has no sound file", "give the path of one")
    if not path.is_file():
        reason = "there is no such file"
        if path.is_dir():
            reason = "is a folder, not an audio file"
        elif path.exists():
            reason = "is a pipe or a device, not an audio file"
        raise AudioError(path, reason, "check the path")
    if path.stat().st_size == 0:
        raise AudioError(path, "the file is empty (0 bytes)")


def _sound_file(path: Path, stand_in: _StandIn | None) -> _Sound:
    # Opened here and not by libsndfile, which takes no names that are not UTF-8, would open a file
    # called "._name" instead, as macOS leaves them, and cannot say that a file may not be read.
    place = stand_in.path if stand_in else path
    source = os.open(place, os.O_RDONLY) if os.name == "posix" else place.open("rb")
    try:
        sound = _Sound(source, closefd=True)
    except sf.SoundFileError as error:
        raise _not_audio(path) from error
    sound.stand_in = stand_in
    return sound


@lru_cache(maxsize=4)
def _stand_in(path: Path, _state: tuple[str, int, int]) -> _StandIn | None:
    """Return a file that libsndfile reads in full, if it does not read this one so."""
    suffix = path.suffix.lower()
    if suffix in _NEEDS_AUDIOREAD:
        return _decoded_by_system(path)
    with path.open("rb") as file:
        start = file.read(3).ljust(3)
    if suffix == ".mp3" or start == b"ID3" or (start[0] == 0xFF and start[1] & 0xE6 == 0xE2):
        return _tidy_mp3(path)
    return None


def _tidy_mp3(path: Path) -> _StandIn | None:
    """Make a copy of an MP3 file that does not say, or not rightly, how long it is."""
    frames = find_frames(path)
    if frames is None or frames.told_rightly:
        return None
    has = frames.count * frames.seconds_each
    if frames.missing_seconds > MISSING_SECONDS_ALLOWED:
        promised = f"only {has:.1f} s of {has + frames.missing_seconds:.1f} s are there"
        raise AudioError(path, f"damaged or cut short: {promised}")
    if frames.mixed:
        raise AudioError(path, "its parts differ in sample rate or channels", _CONVERT)
    if frames.lost_seconds > MISSING_SECONDS_ALLOWED:
        raise AudioError(path, f"damaged: {frames.lost_bytes} bytes in its midst are no sound")
    copy = _StandIn(".mp3")
    write_tidy(path, frames, copy.path)
    return copy


def _audioread(path: Path) -> AudioFile:
    """Open a file with the system's own decoder or ffmpeg."""
    import audioread

    path.open("rb").close()  # a decoder does not say that a file may not be read
    try:
        sound = audioread.audio_open(str(path.absolute()))  # ffmpeg takes "a:b" for a protocol
        if not (sound.samplerate and sound.channels):
            raise audioread.DecodeError
    except (audioread.DecodeError, OSError, EOFError) as error:
        raise AudioError(path, "cannot be decoded (is ffmpeg installed?)", _CONVERT) from error
    return sound


def _decoded_by_system(path: Path) -> _StandIn:
    """Decode with the system's own decoder or ffmpeg, block by block."""
    import audioread

    wav = _StandIn(".w64")
    with _audioread(path) as sound:
        try:
            wav.write(sound.samplerate, sound.channels, sound)
        except (audioread.DecodeError, EOFError) as error:
            raise AudioError(path, "damaged: it cannot be decoded to its end") from error
        promised = sound.duration if path.suffix.lower() in (".m4a", ".mp4") else 0
        has = sf.info(wav.path).duration
        if promised - has > 1:  # promised in tenths, more or less
            raise AudioError(path, f"cut short: only {has:.1f} s of {promised:.1f} s are there")
    return wav


@lru_cache(maxsize=4)
def _decoded_from_start(path: Path, _state: tuple[str, int, int]) -> _StandIn:
    """Decode a file in which one cannot go to a place; all such formats have 16-bit samples."""
    wav = _StandIn(".w64")
    with _sound_file(path, None) as sound:
        blocks = iter(lambda: sound.read(_BLOCK_SAMPLES, "int16").tobytes(), b"")
        wav.write(sound.samplerate, sound.channels, blocks)
    return wav


def _refuse_broken(path: Path, sound: sf.SoundFile) -> None:
    if not SAMPLE_RATES[0] <= sound.samplerate <= SAMPLE_RATES[1]:
        raise AudioError(path, f"its header gives a sample rate of {sound.samplerate} Hz")
    if sound.frames == _UNKNOWN_LENGTH:
        raise AudioError(path, "its header does not say how long it is", "convert it to WAV")
    if sound.frames <= 0:
        raise AudioError(path, "the file has a header but no samples")
    # libsndfile reads what is there; that the header promised more stands only in its notes.
    sizes = re.search(r"(?:data|Data Size|SSND)\s*: (\d+) \(should be (\d+)\)", sound.extra_info)
    # Recorders that write into a pipe do not know the size, and promise two gigabytes or more.
    if sizes and int(sizes[2]) < int(sizes[1]) < 0x7FFFF000:
        has = sound.frames / sound.samplerate
        promised = has * int(sizes[1]) / int(sizes[2])
        if promised - has > MISSING_SECONDS_ALLOWED:
            raise AudioError(path, f"cut short: only {has:.1f} s of {promised:.1f} s are there")
    if sound.format == "OGG" and not _has_last_page(path):
        raise AudioError(path, "cut short: its last page is missing")


def _has_last_page(path: Path) -> bool:
    """Whether the last page of an Ogg file is marked as such, in the sixth byte of its header."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 2**16))  # no page is longer
        _, found, page = file.read().rpartition(b"OggS")
    return bool(found) and len(page) > 1 and bool(page[1] & 4)


def _not_audio(path: Path) -> AudioError:
    kind = path.suffix.lower()
    with path.open("rb") as file:
        if file.read(4).startswith(_FIRST_BYTES.get(kind, (b"",))):
            reason = "not a readable audio file, or of a kind that is not supported"
            return AudioError(path, reason)
    mark = _FIRST_BYTES[kind][0].decode()
    reason = f"not a readable {kind[1:].upper()} file (no {mark} header)"
    if path.name == "jazz.00054.wav":
        way_out = "GTZAN's copy on Kaggle is known for it: leave it out as usable() does"
        return AudioError(path, reason, way_out)
    return AudioError(path, reason)


def _encode(samples: NDArray[np.float32], sample_rate: int) -> tuple[bytes, str]:
    """Return the samples as an MP3 file, or as WAV where MP3 does not know the rate."""
    for form, kind in (("MP3", "audio/mpeg"), ("WAV", "audio/wav")):
        file = io.BytesIO()
        try:
            sf.write(file, samples, sample_rate, format=form)
        except (sf.SoundFileError, ValueError):  # ValueError: a libsndfile older than 1.1
            continue
        return file.getvalue(), kind
    raise ValueError(f"{sample_rate} Hz is not a sample rate that can be played")
