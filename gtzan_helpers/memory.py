"""How this program deals with memory that it has freed."""

from __future__ import annotations

import ctypes
import sys

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
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries may lack it
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 1)
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
