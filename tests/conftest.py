"""What the tests share: a cache of their own, real tracks where there are some, and the site."""

import os
import tempfile
from pathlib import Path
from unittest import mock

import course
import nbformat
import pytest
from click.testing import CliRunner
from lessons import Run, compile_librosa, keep_to_a_core
from threadpoolctl import threadpool_limits

# Most tests train for a few steps: compiling would take longer than what it saves, by far. Lessons,
# whose kernels are processes of their own, are compiled as ever.
SOON = {
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    "XLA_FLAGS": "--xla_cpu_use_fusion_emitters=false",
}
# What would take every core takes one: two tests run at once, and processes start slowly.
os.environ["LOKY_MAX_CPU_COUNT"] = "1"
threadpool_limits(1)


class QuietLessons:
    """What lessons store has no progress bars, so their kernels are started without."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item):
        os.environ.pop("TQDM_DISABLE", None)
        if item.path.suffix == ".ipynb":
            os.environ["TQDM_DISABLE"] = "1"


def pytest_configure(config):
    """Keep the tests, and the lessons' kernels, away from the cache and data of the user."""
    config.pluginmanager.register(QuietLessons())
    if worker := getattr(config, "workerinput", None):
        keep_to_a_core(int(worker["workerid"].removeprefix("gw")))
    if worker or not config.getoption("numprocesses", 0):  # it is here that tests run
        with mock.patch.dict(os.environ, SOON):
            import jax

            jax.devices()  # from here on, what the environment says is settled
    os.environ.pop("GTZAN_DATA", None)
    if not worker:  # parallel workers share what the first process made
        compile_librosa()
        cache = tempfile.TemporaryDirectory(prefix="gtzan-tests-", ignore_cleanup_errors=True)
        os.environ["GTZAN_CACHE"] = cache.name
        config.add_cleanup(cache.cleanup)


def pytest_collection_modifyitems(items):
    """Begin with files that take long: one at the end would let a worker wait for the other."""
    longest = ("07_cnn_1d", "test_course", "test_splits", "test_tools")
    items.sort(key=lambda item: item.path.stem not in longest)


@pytest.fixture(scope="session")
def real_data():
    """Folder with real GTZAN material; tests that need it are skipped where there is none."""
    folder = os.environ.get("GTZAN_TEST_DATA")
    if not folder:
        pytest.skip("needs real GTZAN tracks: set GTZAN_TEST_DATA to a folder that holds them")
    return Path(folder).resolve()


@pytest.fixture
def compiled_soon():
    """What to set in the environment of a process that trains for a few steps."""
    return SOON


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """Folder of the site, made from the notebooks as they are stored, in place of an old one."""

    def stored(path, on_cell):
        return Run(path.stem, 12.3, 1331.0, "", nbformat.read(path, as_version=4))

    folder = tmp_path_factory.mktemp("build") / "site"
    folder.mkdir()
    (folder / "old.html").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(course, "BUILD", folder.parent)
        patch.setattr(course, "run_lesson", stored)
        done = CliRunner().invoke(course.main, ["run"])
    assert done.exit_code == 0, done.output
    return folder
