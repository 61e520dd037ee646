"""Memory that was freed is kept for the next time."""

from __future__ import annotations

import platform

import pytest

from gtzan_helpers.memory import keep_freed_memory


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="can be arranged on GNU/Linux only")
def test_a_freed_block_is_used_again_without_asking_the_system():
    import resource

    def pages_asked_for() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        assert len(b"x" * 80_000_000) == 80_000_000
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    keep_freed_memory()
    pages_asked_for()
    assert pages_asked_for() < 1000  # of about 20 000
