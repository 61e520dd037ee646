"""Many files at once: one that fails, or kills its process, costs only itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import joblib
import psutil
import pytest
from joblib.externals.loky import get_reusable_executor

from gtzan_helpers.workers import each_file, measured


@pytest.fixture
def paths(tmp_path):
    found = [tmp_path / name for name in ("a", "b", "bad", "c", "deadly", "d")]
    for path in found:
        path.touch()
    return found


def measure(path):
    if path.name == "bad":
        raise MemoryError
    if path.name == "deadly":
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGKILL)
    return path.name.upper()


def measuring_process(path):
    return os.getpid()


def test_the_first_file_is_measured_here_so_that_processes_find_compiled_what_it_needs(paths):
    # Two processes that compile the same at once can leave files that crash whoever loads them.
    first, *others = measured(
        paths, measuring_process, "processes", 1, "measure", n_jobs=2
    ).values()
    assert first == os.getpid() and first not in others


@pytest.mark.skipif(os.name == "nt", reason="processes are killed in another way there")
def test_a_killed_process_and_one_want_of_memory_are_named_and_the_rest_is_kept(paths):
    outcomes = measured(paths, measure, "letters", 1, "measure", n_jobs=2)
    assert all("memory" in str(outcomes.pop(paths[place])) for place in (2, 4))
    assert outcomes == {path: path.name.upper() for path in outcomes}
    assert measured(list(outcomes), None, "letters", 1, "measure") == outcomes  # recalled


def test_the_processes_end_and_those_of_the_user_stay(paths):
    joblib.Parallel(n_jobs=2)(joblib.delayed(abs)(number) for number in range(4))
    theirs = get_reusable_executor(reuse=True)
    before = set(psutil.Process().children())
    list(each_file(paths[:2] + paths[3:4], measure, "measure", n_jobs=2))
    assert set(psutil.Process().children()) <= before
    assert theirs.submit(int, "7").result() == 7
    theirs.shutdown()


INTERRUPTED = """
import threading, time
from pathlib import Path
from gtzan_helpers.workers import each_file

try:
    paths = [Path(str(number)) for number in range(100)]
    for path, _ in each_file(paths, lambda path: time.sleep(0.2), "", 2, {threads}):
        if path.name == "3":
            raise KeyboardInterrupt
except KeyboardInterrupt:
    print([thread.name for thread in threading.enumerate() if "ThreadPool" in thread.name])
"""


@pytest.mark.parametrize("threads", [True, False])
def test_after_an_interrupt_nothing_runs_on(threads):
    code = INTERRUPTED.format(threads=threads)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
