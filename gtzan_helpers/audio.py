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
from typing import TYPE_CHECKING

import numpy as np
import soundfile as sf
from numpy.typing import ArrayLike, NDArray

from .cache import file_state
from .errors import CourseError
from .mp3 import MISSING_SECONDS_ALLOWED, tidied

if TYPE_CHECKING:
    from audioread import AudioFile
    from IPython.display import HTML

PLAYER_SECONDS = 10.0
LOWEST_PITCH, HIGHEST_PITCH = 220.0, 880.0  # Hz, of curves that are heard
FADE_SECONDS = 0.02  # a tone that begins and ends at once would click
# What is used of a longer track, so that a mix of an hour among clips costs no more than they do.
LONGEST_SECONDS = 300.0
# The length of a frame in which silence and cut-off peaks are looked for: a full period of the
# lowest note that is heard as one, 20 Hz.
FRAME_SECONDS = 0.05

# Full scale is 1. Files of floats may pass it a little, but not where they hold 16-bit numbers.
FAR_BEYOND = 10.0
# The channels cancel each other where their mean is so much weaker than they are.
CANCELLED = 1e-3
SAMPLE_RATES = (1000, 800_000)  # Hz: no recording has another, but a damaged header may

_UNKNOWN_LENGTH = 2**63 - 1  # libsndfile's, of a FLAC file that was streamed to disk
_BLOCK_SAMPLES = 2**19  # in memory at once while a file is read

# What a file that read_audio reads may be called.
_NEEDS_AUDIOREAD = {".m4a", ".mp4", ".aac", ".wma", ".webm"}  # libsndfile knows none of these
AUDIO_SUFFIXES = _NEEDS_AUDIOREAD | {
    *(".wav", ".w64", ".rf64", ".au", ".aif", ".aiff", ".aifc", ".caf"),
    *(".flac", ".mp3", ".ogg", ".oga", ".opus"),
}

# How files begin that are what they are called; MP3 files, whatever they are called.
_FIRST_BYTES = {".wav": b"RIFF", ".au": b".snd", ".flac": b"fLaC", ".ogg": b"OggS"}
_LIKE_MP3 = re.compile(rb"ID3|\xff[\xe2\xe3\xf2\xf3\xfa\xfb]")
_MP3_RATES = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000}  # Hz
_TRY_AGAIN = "fetch the file again, or leave it out as usable() does"
_KAGGLES = "GTZAN's copy on Kaggle is known for it: leave it out as usable() does"


class AudioError(CourseError):
    """An audio file that cannot be read: which one, why, and what to do about it."""

    def __init__(self, path: str | Path, reason: str, way_out: str = _TRY_AGAIN) -> None:
        super().__init__(path, reason, way_out)  # all three, so that it can be pickled
        self.path, self.reason, self.way_out = Path(path), reason, way_out

    def __str__(self) -> str:
        return f"{display_name(self.path)}: {self.reason}; {self.way_out}"


def display_name(name: str | Path) -> str:
    """Return a file's name with ? for what no screen shows: line breaks, and bytes of no letter."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", "?", str(name))


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

    Examples
    --------
    >>> samples = gh.read_audio(track.path, seconds=10)
    >>> samples.shape
    (220500,)

    Lesson: 01_explore_the_data and others.
    """
    peak = 0.0
    with naming(Path(path)):
        sound, blocks = read_blocks(path, offset, seconds)
        channels = []
        for block in blocks:
            peak = max(peak, float(block.max()), -float(block.min()))
            channels.append(mix(block))
        mono = np.concatenate(channels)
        if sound.samplerate != sample_rate:
            import librosa  # here, because most tracks need no resampling and it is slow to load

            mono = librosa.resample(mono, orig_sr=sound.samplerate, target_sr=sample_rate)
    if peak > FAR_BEYOND:
        raise AudioError(path, f"its amplitudes reach {peak:.0f}, where full scale is 1")
    if peak > CANCELLED and np.abs(mono).max() < CANCELLED * peak:
        raise AudioError(path, "its channels cancel each other, so that their mean is silent")
    return mono


def read_track(path: str | Path, sample_rate: int = 22050) -> NDArray[np.float32]:
    """Read what is used of a track: all of it, or its first five minutes. See `read_audio`."""
    return read_audio(path, sample_rate, 0.0, LONGEST_SECONDS)


def mix(block: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of the channels."""
    return block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)


def read_blocks(
    path: str | Path, offset: float = 0.0, seconds: float | None = None
) -> tuple[sf.SoundFile, Iterator[NDArray[np.float32]]]:
    """Open an audio file, to be read in blocks of whole frames, shape (n_samples, n_channels)."""
    path = Path(path)
    if not 0 <= offset < np.inf or (seconds is not None and not seconds > 0):
        raise ValueError(f"offset {offset} or seconds {seconds} is not a part of a recording")
    sound = _open(path)
    rate, first, end = sound.samplerate, round(offset * sound.samplerate), sound.frames
    if seconds is not None and seconds * rate < end:
        end = min(end, first + max(1, round(seconds * rate)))
    if end <= first:
        sound.close()
        reason = f"no audio at {offset:g} s, it lasts {sound.frames / rate:.1f} s"
        raise AudioError(path, reason, "start earlier")
    return sound, _blocks(path, sound, first, end - first)


def read_header(path: str | Path, exact: bool = False) -> tuple[float, int]:
    """Return a file's length in seconds and its sample rate in Hz, without decoding it.

    Parameters
    ----------
    path : str or path
    exact : bool
        Whether M4A and the like may be decoded to know their length: what they say is about right.
    """
    path = Path(path)
    if path.suffix.lower() in _NEEDS_AUDIOREAD and not exact:
        with naming(path), _audioread(path) as sound:
            if sound.duration > 0:
                return float(sound.duration), sound.samplerate
    with _open(path) as sound:
        return sound.frames / sound.samplerate, sound.samplerate


def player(samples: NDArray, sample_rate: int = 22050, label: str = "") -> HTML:
    """Return a player for a waveform, small enough to be stored in a notebook.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,) or (n_samples, 2)
        Waveform, mono or stereo. Its level is kept unless it passes full scale; what lies behind
        the first 10 s is left out, and the label says so.
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
        If `samples` is empty, has more than two channels, or holds values that are not numbers.

    Examples
    --------
    >>> gh.player(gh.read_audio(track.path), label=track.track_id)

    Lesson: 01_explore_the_data and others.
    """
    from IPython.display import HTML

    samples = np.asarray(samples, dtype=np.float32)
    known = samples.ndim == 1 or samples.shape[1:] == (2,)
    if not known or len(samples) == 0 or not np.isfinite(samples).all():
        raise ValueError(f"a waveform of finite numbers is needed, not {samples.shape}")
    excerpt = samples[: round(PLAYER_SECONDS * sample_rate)]
    if len(excerpt) < len(samples):
        cut = f"the first {PLAYER_SECONDS:g} s of {len(samples) / sample_rate:.0f} s"
        label = f"{label} ({cut})" if label else cut
    form, kind = ("MP3", "mpeg") if sample_rate in _MP3_RATES else ("WAV", "wav")
    file = io.BytesIO()
    sf.write(file, excerpt / max(1.0, np.abs(excerpt).max()), sample_rate, format=form)
    source = f"data:audio/{kind};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
    text = html.escape(label)
    sound = f'<audio controls aria-label="{text}" src="{source}"></audio>'
    return HTML(f"<figure><figcaption>{text}</figcaption>{sound}</figure>")


def sonify(
    left: ArrayLike, right: ArrayLike, seconds: float = 4.0, sample_rate: int = 22050
) -> NDArray[np.float32]:
    """Make two curves audible: a tone in each ear, the higher the value, the higher its pitch.

    Both tones share one scale, from an A (220 Hz) at the lowest value of both curves, two octaves
    up to 880 Hz at the highest: equal differences are equal intervals, equal values sound equal.

    Parameters
    ----------
    left, right : array_like, shape (n_values,)
        The curves, of equal length; values between are interpolated.
    seconds : float
        How long they sound.
    sample_rate : int
        Hz.

    Returns
    -------
    ndarray, shape (n_samples, 2), float32
        Stereo waveform, for `player`.

    Raises
    ------
    ValueError
        If the curves differ in length, have less than two values, or hold some that are not
        numbers.

    Examples
    --------
    >>> history = gh.fit(network, training, validation)
    >>> gh.player(gh.sonify(history["loss"], history["val_loss"]), label="two losses")

    Lesson: 05_dense_network.
    """
    left, right = np.asarray(left, dtype=float), np.asarray(right, dtype=float)
    if left.shape != right.shape or left.ndim != 1 or len(left) < 2:
        raise ValueError(f"two curves of equal length are needed, not {left.shape}, {right.shape}")
    curves = np.column_stack([left, right])
    if not np.isfinite(curves).all():
        raise ValueError("a curve holds values that are not numbers (NaN or infinity)")
    heights = (curves - curves.min()) / (np.ptp(curves) or 1.0)
    n_samples = round(seconds * sample_rate)
    places = np.linspace(0, len(curves) - 1, n_samples)
    heights = np.column_stack([np.interp(places, range(len(curves)), h) for h in heights.T])
    hertz = LOWEST_PITCH * (HIGHEST_PITCH / LOWEST_PITCH) ** heights
    phases = 2 * np.pi * np.cumsum(hertz, axis=0) / sample_rate  # without a jump, and so a click
    from_end = np.minimum(np.arange(n_samples), np.arange(n_samples)[::-1])
    level = 0.3 * np.minimum(1.0, from_end / (FADE_SECONDS * sample_rate))
    return (level[:, None] * np.sin(phases)).astype(np.float32)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn what may befall any file, before and while it is read, into an error that names it."""
    try:
        if not path.is_file():  # nor wait for what a pipe may bring
            reason = "a folder, a pipe or a device" if path.exists() else "there is no such file"
            raise AudioError(path, reason, "check the path")
        yield
    except (MemoryError, OSError) as error:
        reason = "too little memory" if isinstance(error, MemoryError) else error.strerror or error
        way_out = "check its rights and your memory, or leave it out as usable() does"
        raise AudioError(path, f"cannot be read ({reason})", way_out) from error


class _Sound(sf.SoundFile):
    """A file that is read on from where it stands. soundfile seeks the place behind each block, and
    decoders begin anew there: in an MP3 file, without what the frames before hold for the next."""

    stand_in: _StandIn | None = None  # what is read instead lives as long

    def seekable(self) -> bool:
        return False

    def go_to(self, first: int) -> None:
        """Go to a sample by way of the second before, or all that is before if nothing else goes.

        The first frames of an MP3 file that are decoded lack what stands in those before.
        """
        by_reading = min(first, self.samplerate) if super().seekable() else first
        if by_reading < first:
            self.seek(first - by_reading)
        for place in range(0, by_reading, _BLOCK_SAMPLES):
            self.read(min(_BLOCK_SAMPLES, by_reading - place))


class _StandIn:
    """A temporary file with the sound of another one, deleted once nobody uses it, or at exit."""

    def __init__(self, content: Iterable[bytes], **how_to_read: object) -> None:
        folder = tempfile.mkdtemp(prefix="gtzan_helpers_")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self.path, self.how_to_read = Path(folder, "sound"), how_to_read
        with self.path.open("wb") as file:
            file.writelines(content)


def _open(path: Path) -> _Sound:
    """Open a file for reading, or one that stands in for it, or say what is wrong with it."""
    with naming(path):
        if path.stat().st_size == 0:
            raise AudioError(path, "the file is empty (0 bytes)")
        stand_in = _stand_in(path, file_state(path))
        place, how_to_read = (stand_in.path, stand_in.how_to_read) if stand_in else (path, {})
        # Opened here and not by libsndfile, which takes no names that are not UTF-8, would open a
        # file called "._name" instead, as macOS leaves them, and cannot say that a file may not be
        # read.
        source = os.open(place, os.O_RDONLY) if os.name == "posix" else place.open("rb")
        try:
            sound = _Sound(source, **how_to_read)
        except sf.SoundFileError as error:
            raise _not_audio(path) from error
        sound.stand_in = stand_in
        if reason := _what_is_broken(path, sound):
            sound.close()
            raise AudioError(path, reason)
        return sound


def _what_is_broken(path: Path, sound: _Sound) -> str:
    """Return what libsndfile lets pass, as a reason; none if all is well."""
    if not SAMPLE_RATES[0] <= sound.samplerate <= SAMPLE_RATES[1]:
        return f"its header gives a sample rate of {sound.samplerate} Hz"
    if not 0 < sound.frames < _UNKNOWN_LENGTH:
        return "it has a header but no samples, or does not say how many"
    if sound.format == "OGG" and not _has_last_page(path):
        return "cut short: its last page is missing"
    # libsndfile reads what is there; that the header promised more stands only in its notes.
    sizes = re.search(r"(?:data|Data Size|SSND)\s*: (\d+) \(should be (\d+)\)", sound.extra_info)
    promised, has = map(int, sizes.groups()) if sizes else (0, 0)
    # Recorders that write into a pipe do not know the size, and promise two gigabytes or more.
    if has < promised < 0x7FFFF000:
        seconds = sound.frames / sound.samplerate
        in_full = seconds * promised / has
        if in_full - seconds > MISSING_SECONDS_ALLOWED:
            return f"cut short: only {seconds:.1f} s of {in_full:.1f} s are there"
    return ""


def _has_last_page(path: Path) -> bool:
    """Whether the last page of an Ogg file is marked as such, in the sixth byte of its header."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 2**16))  # no page is longer
        flags = file.read().rpartition(b"OggS")[2][1:2]
    return bool(flags and flags[0] & 4)


def _not_audio(path: Path) -> AudioError:
    suffix = path.suffix.lower()
    reason, mark = "not a readable audio file", _FIRST_BYTES.get(suffix, b"")
    with path.open("rb") as file:
        if not file.read(4).startswith(mark):
            reason = f"not a readable {suffix[1:].upper()} file (no {mark.decode()} header)"
    way_out = _KAGGLES if path.name == "jazz.00054.wav" else _TRY_AGAIN
    return AudioError(path, reason, way_out)


def _blocks(path: Path, sound: _Sound, first: int, wanted: int) -> Iterator[NDArray[np.float32]]:
    """Yield a part of an open file block by block, and close it."""
    frame = max(1, round(FRAME_SECONDS * sound.samplerate))
    length = max(1, _BLOCK_SAMPLES // (frame * sound.channels)) * frame
    missing = wanted
    with sound:
        try:
            sound.go_to(first)
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
        seconds = missing / sound.samplerate
        if missing == wanted or seconds > MISSING_SECONDS_ALLOWED:
            raise AudioError(path, f"cut short: the last {seconds:.1f} s are missing")


@lru_cache(maxsize=4)
def _stand_in(path: Path, _state: tuple[str, int, int]) -> _StandIn | None:
    """Return a file that libsndfile reads in full, if it does not read this one so."""
    suffix = path.suffix.lower()
    if suffix in _NEEDS_AUDIOREAD:
        with _audioread(path) as sound:
            how = {"samplerate": sound.samplerate, "channels": sound.channels}
            return _StandIn(sound, format="RAW", subtype="PCM_16", endian="LITTLE", **how)
    with path.open("rb") as file:
        if suffix != ".mp3" and not _LIKE_MP3.match(file.read(3)):
            return None
        try:
            tidy = tidied(file)
        except ValueError as error:
            raise AudioError(path, *error.args) from error
    return _StandIn(tidy) if tidy else None


@contextmanager
def _audioread(path: Path) -> Iterator[AudioFile]:
    """Open a file with the system's own decoder or ffmpeg, which gives samples of 16 bits."""
    import audioread

    path.open("rb").close()  # a decoder does not say that a file may not be read
    try:
        # ffmpeg takes "a:b" for a protocol, but not an absolute path.
        with audioread.audio_open(str(path.absolute())) as sound:
            yield sound
    except (audioread.DecodeError, EOFError) as error:
        reason = "cannot be decoded (is ffmpeg installed?)"
        raise AudioError(path, reason, "convert it to WAV, FLAC or MP3") from error
