"""Memory that was freed is kept for the next time, and given back when the work is done."""

from __future__ import annotations

import platform

import numpy as np
import psutil
import pytest

from gtzan_helpers.memory import keep_freed_memory, return_freed_memory

gnu_linux = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="can be arranged on GNU/Linux only"
)


@gnu_linux
def test_a_freed_block_is_used_again_without_asking_the_system():
    import resource

    def pages_asked_for() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        assert len(b"x" * 80_000_000) == 80_000_000
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    keep_freed_memory()
    pages_asked_for()
    assert pages_asked_for() < 1000  # of about 20 000


@gnu_linux
def test_it_goes_back_to_the_system_when_the_work_is_done():
    keep_freed_memory()
    blocks = [np.ones(1_000_000) for _ in range(20)]
    last = np.ones(10)  # behind them, so that the system cannot just cut the end off
    del blocks
    kept = psutil.Process().memory_info().rss
    return_freed_memory()
    assert kept - psutil.Process().memory_info().rss > 100e6
    assert last.sum() == 10
