"""Reading audio files, and listening to them in a lesson."""

from __future__ import annotations

import base64
import html
import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

if TYPE_CHECKING:
    from IPython.display import HTML

PLAYER_SECONDS = 10.0

# A header may promise a little more than the file holds: original GTZAN files lack a byte or two.
MISSING_SECONDS_ALLOWED = 0.1

# libsndfile's figure for the length of a FLAC file that was streamed to disk.
_UNKNOWN_LENGTH = 2**63 - 1

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


class AudioError(ValueError):
    """An audio file that cannot be read: which one, why, and what to do about it."""

    def __init__(self, path: str | Path, reason: str, way_out: str = _TRY_AGAIN) -> None:
        super().__init__(path, reason, way_out)  # all three, so that it can be pickled
        self.path, self.reason, self.way_out = Path(path), reason, way_out

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}; {self.way_out}"


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
        If the file is missing, not audio, empty, cut short, holds values that are not numbers, or
        ends before `offset`.

    Notes
    -----
    Taught in notebooks/01_explore_the_data.ipynb.
    """
    samples, file_rate = decode(path, offset, seconds)
    mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)
    if file_rate == sample_rate:
        return mono
    import librosa  # here, because most tracks need no resampling and librosa is slow to load

    return librosa.resample(mono, orig_sr=file_rate, target_sr=sample_rate)


def decode(
    path: str | Path, offset: float = 0.0, seconds: float | None = None
) -> tuple[NDArray[np.float32], int]:
    """Read an audio file as it is: all channels, shape (n_samples, n_channels), and its rate in Hz.

    `offset`, `seconds` and the errors are those of `read_audio`.
    """
    path = Path(path)
    if offset < 0 or (seconds is not None and seconds <= 0):
        raise ValueError(f"offset {offset} or seconds {seconds} is not a part of a recording")
    with _open(path) as sound:
        first = round(offset * sound.samplerate)
        last = sound.frames if seconds is None else first + round(seconds * sound.samplerate)
        wanted = min(last, sound.frames) - first
        if wanted <= 0:
            has = f"it lasts {sound.frames / sound.samplerate:.1f} s"
            raise AudioError(path, f"no audio at {offset:g} s, {has}", "start earlier")
        try:
            with _without_notes(path):
                sound.seek(first)
                samples = sound.read(wanted, dtype="float32", always_2d=True)
        except sf.SoundFileError as error:
            raise AudioError(path, "damaged: it cannot be decoded to its end") from error
        missing = (wanted - len(samples)) / sound.samplerate
        if missing > MISSING_SECONDS_ALLOWED:
            raise AudioError(path, f"cut short: the last {missing:.1f} s are missing")
    if not np.isfinite(samples).all():
        raise AudioError(path, "holds values that are not numbers (NaN or infinity)")
    return samples, sound.samplerate


def read_header(path: str | Path) -> tuple[float, int]:
    """Return a file's length in seconds and its sample rate in Hz, without decoding it.

    Raises
    ------
    AudioError
        If the file is missing, not audio, empty, or visibly cut short.
    """
    with _open(Path(path)) as sound:
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


def _open(path: Path) -> sf.SoundFile:
    """Open a file for reading, or say what is wrong with it."""
    if not path.is_file():
        reason = "is a folder, not an audio file" if path.is_dir() else "there is no such file"
        raise AudioError(path, reason, "check the path")
    if path.stat().st_size == 0:
        raise AudioError(path, "the file is empty (0 bytes)")
    if path.suffix.lower() in _NEEDS_AUDIOREAD:
        return sf.SoundFile(_decoded_by_system(path))
    # Beside a file of this name, as macOS leaves them, libsndfile would open that one instead.
    shadowed = path.with_name(f"._{path.name}").is_file()
    try:
        with _without_notes(path):
            sound = sf.SoundFile(io.BytesIO(path.read_bytes()) if shadowed else path)
    except (sf.SoundFileError, TypeError) as error:  # TypeError: .raw, which has no header
        raise _not_audio(path) from error
    try:
        _refuse_broken(path, sound)
    except AudioError:
        sound.close()
        raise
    return sound


@contextmanager
def _without_notes(path: Path) -> Iterator[None]:
    """Keep the MP3 decoder from writing notes to standard error: the errors here say it better."""
    if path.suffix.lower() != ".mp3":
        yield
        return
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _refuse_broken(path: Path, sound: sf.SoundFile) -> None:
    if sound.format == "RAW":
        raise _not_audio(path)  # libsndfile takes a headerless .au for a recording from a telephone
    if sound.frames == _UNKNOWN_LENGTH:
        raise AudioError(path, "its header does not say how long it is", "convert it to WAV")
    if sound.frames == 0:
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


def _begins_as_named(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4).startswith(_FIRST_BYTES.get(path.suffix.lower(), (b"",)))


def _not_audio(path: Path) -> AudioError:
    kind = path.suffix.lower()
    if _begins_as_named(path):
        return AudioError(path, "not a readable audio file, or of a kind that is not supported")
    mark = _FIRST_BYTES[kind][0].decode()
    reason = f"not a readable {kind[1:].upper()} file (no {mark} header)"
    if path.name == "jazz.00054.wav":
        way_out = "GTZAN's copy on Kaggle is known for it: leave it out as usable() does"
        return AudioError(path, reason, way_out)
    return AudioError(path, reason)


def _decoded_by_system(path: Path) -> io.BytesIO:
    """Decode with the system's own decoder or ffmpeg, into a WAV file in memory."""
    import audioread

    try:
        with audioread.audio_open(str(path)) as sound:
            rate, channels = sound.samplerate, sound.channels
            samples = np.frombuffer(b"".join(sound), dtype="<i2").reshape(-1, channels)
    except (audioread.DecodeError, OSError, EOFError) as error:
        reason = "cannot be decoded (is ffmpeg installed?)"
        raise AudioError(path, reason, "convert it to WAV, FLAC or MP3") from error
    if len(samples) == 0:
        raise AudioError(path, "the file holds no samples")
    wav = io.BytesIO()
    sf.write(wav, samples, rate, format="WAV", subtype="PCM_16")
    wav.seek(0)
    return wav


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
