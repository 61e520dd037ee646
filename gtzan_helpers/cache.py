"""Where results and downloads are kept between runs, and how they are written."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

import pooch


def cache_folder() -> Path:
    """Return the folder that holds downloads and computed results, made if it is missing.

    Returns
    -------
    pathlib.Path
        The environment variable GTZAN_CACHE if it is set, else the platform's cache folder.
    """
    folder = Path(os.environ.get("GTZAN_CACHE") or pooch.os_cache("gtzan_helpers")).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def file_state(path: str | Path) -> tuple[str, int, int]:
    """Return a file's full path, its size in bytes and when it was changed, in nanoseconds.

    What is kept about a file goes by these three: another state as soon as the file changes.

    Raises
    ------
    OSError
        If there is no such file, or it may not be looked at.
    """
    path = Path(path).resolve()
    facts = path.stat()
    return str(path), facts.st_size, facts.st_mtime_ns


def write_atomically(path: str | Path, data: str | bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never half of it.

    Parameters
    ----------
    path : str or path
        File to write; its folder is made if it is missing.
    data : str or bytes
        Text is written as UTF-8, with line ends as they are.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = data.encode("utf-8") if isinstance(data, str) else data
    # The temporary file lies in the same folder, because a move is atomic only within a disk.
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
