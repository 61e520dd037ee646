"""What the tests share: a cache of their own, and real tracks where there are some."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Keep the tests, and the lessons' kernels, away from the cache and data of the user."""
    for name in ("GTZAN_DATA", "GTZAN_FEATURES"):
        os.environ.pop(name, None)
    if not hasattr(config, "workerinput"):  # parallel workers share what the first process made
        cache = tempfile.TemporaryDirectory(prefix="gtzan-tests-", ignore_cleanup_errors=True)
        os.environ["GTZAN_CACHE"] = cache.name
        config.add_cleanup(cache.cleanup)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with real GTZAN material; tests that need it are skipped where there is none."""
    folder = os.environ.get("GTZAN_TEST_DATA")
    if not folder:
        pytest.skip("needs real GTZAN tracks: set GTZAN_TEST_DATA to a folder that holds them")
    return Path(folder).resolve()
