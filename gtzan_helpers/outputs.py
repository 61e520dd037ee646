"""Writing where a user says: nothing else is replaced, and links stay links."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pooch

from .cache import why_not_writable, write_atomically

STANDARD_OUTPUT = ("-", "/dev/stdout")
_COMPARED = 8  # bytes: the signature of a PNG file, the first name of a table


def write_output(path: str | Path, data: str | bytes) -> None:
    """Write a result into a file that a user has named, or to standard output for "-".

    A file is replaced only by one that begins alike; a link stays, and its target is written;
    a pipe or a device is written to.

    Parameters
    ----------
    path : str or path
    data : str or bytes
        Text is written as UTF-8.

    Raises
    ------
    ValueError
        If the file is there and holds something else, or cannot be written.
    """
    content = data.encode("utf-8") if isinstance(data, str) else data
    check_output(path, content)
    if str(path) in STANDARD_OUTPUT:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    target = Path(path).resolve()
    try:
        if target.exists() and not target.is_file():
            with target.open("wb") as pipe:
                pipe.write(content)
        else:
            write_atomically(target, content)
    except BrokenPipeError:  # who reads has read enough
        raise
    except OSError as error:
        raise _not_written(path, error) from error


def check_output(path: str | Path, begins: bytes) -> None:
    """Raise a ValueError if a file is in the way of one that begins with some bytes."""
    if str(path) in STANDARD_OUTPUT:
        return
    try:
        target = Path(path).resolve()
        if target.is_dir():
            raise ValueError(f"{path} is a folder: name a file in it")
        if not target.is_file():
            return
        with target.open("rb") as file:
            there = file.read(_COMPARED)
    except (OSError, RuntimeError) as error:  # RuntimeError: links that lead back to themselves
        raise _not_written(path, error) from error
    if there and there != begins[:_COMPARED]:
        raise ValueError(
            f"{path} is there already, and holds something else than what would be written: name "
            "another file, or move it away"
        )


def same_output(one: str | Path, other: str | Path) -> bool:
    """Whether two paths lead to the same file; a device such as /dev/null may take several."""
    first, second = Path(one).resolve(), Path(other).resolve()
    same = first == second or {str(one), str(other)} <= set(STANDARD_OUTPUT)
    return same and (first.is_file() or not first.exists() or str(one) in STANDARD_OUTPUT)


def let_numba_start() -> None:
    """Name a temporary folder for what Numba compiles, where it cannot write into the user's."""
    if why_not_writable(pooch.os_cache("numba")):
        folder = f"numba-{getattr(os, 'getuid', int)()}"
        os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(tempfile.gettempdir(), folder)))


def _not_written(path: str | Path, error: Exception) -> ValueError:
    reason = getattr(error, "strerror", None) or error
    return ValueError(f"{path} cannot be written: {reason}; name another file")
