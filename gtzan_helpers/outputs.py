"""Writing where a user says: nothing else is replaced, and links stay links."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from .cache import write_atomically

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
    with _naming(path):
        target = Path(path).resolve()
        if str(path) in STANDARD_OUTPUT:
            click.echo(content, nl=False)
        elif _is_device(target):
            target.write_bytes(content)
        else:
            write_atomically(target, content)


def check_output(path: str | Path, begins: bytes) -> None:
    """Raise a ValueError if a file is in the way of one that begins with some bytes."""
    if str(path) in STANDARD_OUTPUT:
        return
    with _naming(path):
        target = Path(path).resolve()
        if target.is_dir():
            raise ValueError(f"{path} is a folder: name a file in it")
        if target.is_file():
            with target.open("rb") as file:
                there = file.read(_COMPARED)
            if there and there != begins[:_COMPARED]:
                raise ValueError(f"{path} holds something else: name another file, or move it away")


def same_output(one: str | Path, other: str | Path) -> bool:
    """Whether two paths lead to the same file; a device such as /dev/null may take several."""
    first, second = Path(one).resolve(), Path(other).resolve()
    return first == second and not _is_device(first)


def _is_device(path: Path) -> bool:
    """Whether a path leads to a device or a pipe."""
    return path.exists() and not path.is_file()


@contextmanager
def _naming(path: str | Path) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:  # who reads has read enough
        raise
    except (OSError, RuntimeError) as error:  # RuntimeError: links that lead back to themselves
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"{path} cannot be written: {reason}; name another file") from error
