"""Fixtures shared by the tests."""

import os
from pathlib import Path

import pytest
import tqdm  # noqa: F401 - before the next line, so that progress bars can be tested here

os.environ["TQDM_DISABLE"] = "1"  # for the lessons, whose kernels start later


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with real GTZAN material; tests that need it are skipped where there is none."""
    folder = os.environ.get("GTZAN_TEST_DATA")
    if not folder:
        pytest.skip("needs real GTZAN tracks: set GTZAN_TEST_DATA to a folder that holds them")
    return Path(folder).resolve()


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the tests away from the user's cache, and from a data set the user may have chosen."""
    os.environ["GTZAN_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    for name in ("GTZAN_DATA", "GTZAN_FEATURES"):
        os.environ.pop(name, None)
