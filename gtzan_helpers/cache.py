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
