"""How this program deals with memory that it has freed."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

# The numbers of these options in malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8


def keep_freed_memory() -> None:
    """Keep freed memory for the next time, where that can be arranged: on GNU/Linux.

    Large blocks usually go back to the system at once. JAX frees and asks for hundreds of megabytes
    in every step of training, and up to a third of the step went into having them cleared anew. The
    most that is held at once stays about the same. Call it before JAX starts its threads.

    Notes
    -----
    See mallopt(3): one arena for all threads, no separate mappings, nothing trimmed.
    """
    mallopt = _from_c_library("mallopt")
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 1)
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def return_freed_memory() -> None:
    """Give back to the system what was kept, once the work that needed it is done."""
    malloc_trim = _from_c_library("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def _from_c_library(name: str) -> Callable[..., int] | None:
    """Return a function of GNU's C library, or None elsewhere."""
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), name, None)  # other C libraries may lack it
