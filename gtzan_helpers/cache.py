"""Where downloads and results are kept between runs, and how they are written.

Whatever is kept about a file goes by its path, size and time of change. Where nothing can be
written, everything goes on without being kept, after one warning.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import warnings
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import pooch

WAY_OUT = "set GTZAN_CACHE to a folder that you may write to, on a disk with room"


def cache_folder() -> Path:
    """Return a folder for downloads and computed results that can be written to.

    Returns
    -------
    pathlib.Path
        The environment variable GTZAN_CACHE if it is set, else the platform's cache folder. Where
        that cannot be made or written, a temporary folder that goes when the program ends; a
        warning names both.
    """
    wanted = wanted_folder()
    with suppress(OSError):  # no place for temporary files either: `keep` says so
        if reason := _tried_once(wanted):
            _complain(wanted, reason)
            return Path(_temporary_folder().name)
        wanted.mkdir(parents=True, exist_ok=True)
    return wanted


def wanted_folder() -> Path:
    """Return the cache folder that was asked for, whether or not it exists or can be made."""
    folder = Path(os.environ.get("GTZAN_CACHE") or pooch.os_cache("gtzan_helpers"))
    with suppress(RuntimeError):  # there is no home: the folder then cannot be written, either
        folder = folder.expanduser()
    return folder.absolute()


def why_not_writable(folder: Path) -> str:
    """Return why no file can be written into a folder, or into the one that it is to be made in.

    A small file is written and removed again: what permissions say is not the whole truth.
    """
    try:
        nearest = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
        with tempfile.TemporaryFile(dir=nearest) as file:
            file.write(bytes(2**14))
    except OSError as error:
        return error.strerror or str(error)
    return ""


_tried_once = cache(why_not_writable)


def let_numba_start() -> None:
    """Name a temporary folder for what Numba compiles, where it cannot write into the user's."""
    if why_not_writable(pooch.os_cache("numba")):
        folder = f"numba-{getattr(os, 'getuid', int)()}"
        os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(tempfile.gettempdir(), folder)))


def kept(name: str) -> Path:
    """Return where something is kept, or is to be kept, by its path within the cache folder.

    That is in the folder that was asked for if it is there already, even where nothing more can be
    written to it; else in `cache_folder`.
    """
    wanted = wanted_folder() / name
    with suppress(OSError):
        if wanted.exists():
            return wanted
    return cache_folder() / name


def entry(kind: str, path: str | Path, *version: object) -> Path:
    """Return where a result about a file is kept: another place as soon as the file changes.

    Parameters
    ----------
    kind : str
        Folder for results of this kind.
    path : str or path
        The file that was measured.
    version : anything with a `repr`
        All else that the result depends on.
    """
    return kept(f"{kind}/{digest(file_state(path), *version)}")


def recall(kind: str, path: str | Path, *version: object) -> Any | None:
    """Return what `remember` kept about a file as it is now; None if there is nothing (sound)."""
    with suppress(OSError, ValueError):
        return json.loads(entry(kind, path, *version).read_bytes())
    return None


def remember(result: Any, kind: str, path: str | Path, *version: object) -> None:
    """Keep a result about a file, of lists, dicts, text and numbers; see `entry`."""
    with suppress(FileNotFoundError):  # the file is gone meanwhile
        keep(entry(kind, path, *version), json.dumps(result))


def keep(path: Path, data: str | bytes | memoryview) -> bool:
    """Write a file of the cache; where that fails, go on without it. Return whether it is there."""
    try:
        write_atomically(path, data)
    except OSError as error:
        _complain(wanted_folder(), error.strerror or str(error))
        return False
    return True


def digest(*key: object) -> str:
    """Return a short name for a key, the same in every run."""
    return hashlib.sha256(repr(key).encode("utf-8", "backslashreplace")).hexdigest()[:24]


def file_state(path: str | Path) -> tuple[str, int, int]:
    """Return a file's full path, its size in bytes and when it was changed, in nanoseconds."""
    path = Path(path).resolve()
    facts = path.stat()
    return str(path), facts.st_size, facts.st_mtime_ns


def write_atomically(path: str | Path, data: str | bytes | memoryview) -> None:
    """Write a file so that a reader sees the old content or the new, never half of it.

    Parameters
    ----------
    path : str or path
        File to write; its folder is made if it is missing.
    data : str or bytes
        Text is written as UTF-8, with line ends as they are.
    """
    path = Path(path)
    # The temporary file lies in the same folder, because a move is atomic only within a disk.
    temporary = path.with_name(f".{uuid4().hex}.part")  # a longer name might be too long
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        temporary.write_bytes(data.encode("utf-8") if isinstance(data, str) else data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@cache
def _complain(folder: Path, reason: str) -> None:
    """Say once that nothing is kept in a folder, and why."""
    text = f"{folder} cannot be written ({reason}), so results are not kept for the next time"
    warnings.warn(f"{text}: {WAY_OUT}", stacklevel=3)


@cache
def _temporary_folder() -> tempfile.TemporaryDirectory:
    """Return a folder that removes itself when the program ends, the same one every time."""
    return tempfile.TemporaryDirectory(prefix="gtzan-")
