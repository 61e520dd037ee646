"""Measuring many files at once: what is known is recalled, and one bad file costs only itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from pathlib import Path
from typing import Any

from tqdm import tqdm

from .cache import recall, remember

Outcome = Any | Exception
Outcomes = Iterator[tuple[Path, Outcome]]


def measured(
    paths: Iterable[Path],
    measure: Callable[[Path], Any],
    kind: str,
    version: object,
    description: str,
    n_jobs: int = -1,
    threads: bool = False,
) -> dict[Path, Outcome]:
    """Return what a function measures on each file, from the cache where it is known.

    Parameters
    ----------
    paths : iterable of Path
    measure : function of a path
        It returns something that JSON can hold.
    kind : str
        Folder of the cache for results of this kind.
    version : anything with a `repr`
        What the result depends on besides the file.
    description : str
        Of the progress bar.
    n_jobs : int
        Processes or threads at once; -1 takes every core.
    threads : bool
        Whether threads do: where the work is done by libraries that let each other run.

    Returns
    -------
    dict
        For each path the result, or the error that came instead.
    """
    outcomes = {path: recall(kind, path, version) for path in paths}
    missing = [path for path, known in outcomes.items() if known is None]
    for path, outcome in each_file(missing, measure, description, n_jobs, threads):
        outcomes[path] = outcome
        if not isinstance(outcome, Exception):
            remember(outcome, kind, path, version)
    return outcomes


def each_file(
    paths: list[Path],
    measure: Callable[[Path], Any],
    description: str,
    n_jobs: int = -1,
    threads: bool = False,
) -> Outcomes:
    """Yield each path with what a function makes of it, or the error, as they come in.

    The parameters are those of `measured`. Whatever ends the loop, no thread goes on behind it.
    """
    if paths:
        outcomes = _outcomes(paths, measure, n_jobs, threads)
        yield from tqdm(outcomes, description, len(paths), leave=False)


def _outcomes(paths: list[Path], measure: Callable, n_jobs: int, threads: bool) -> Outcomes:
    # The first one here: what is compiled at first use (librosa's parts, and kept on disk) must be
    # ready before processes start. Two that compile the same at once can leave a mixture behind.
    yield _attempt(measure, paths[0])
    in_parallel, left = _in_threads if threads else _in_processes, set(paths[1:])
    try:
        with closing(in_parallel(paths[1:], measure, n_jobs if len(paths) > 2 else 1)) as outcomes:
            for path, outcome in outcomes:
                left.discard(path)
                yield path, outcome
    except BrokenProcessPool:
        for path in sorted(left):  # one by one, to see which of them it is
            try:
                yield from _in_processes([path], measure, 2)
            except BrokenProcessPool:
                yield path, MemoryError("its process was ended, most often for want of memory")


def _in_threads(paths: list[Path], measure: Callable, n_jobs: int) -> Outcomes:
    from joblib import effective_n_jobs

    with ThreadPoolExecutor(effective_n_jobs(n_jobs)) as pool:
        try:
            waiting = [pool.submit(_attempt, measure, path) for path in paths]
            while waiting:
                yield waiting.pop(0).result()  # and then forgotten, for it may be large
        finally:
            # Threads that are left running would crash Python when it ends.
            pool.shutdown(cancel_futures=True)


def _in_processes(paths: list[Path], measure: Callable, n_jobs: int) -> Outcomes:
    from joblib import Parallel, delayed
    from joblib.externals.loky import reusable_executor

    before = reusable_executor._executor  # asking joblib for them would start some
    workers = Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    try:
        with closing(workers(delayed(_attempt)(measure, path) for path in paths)) as outcomes:
            yield from outcomes
    finally:
        # Idle processes would wait for more work in 300 MB each. The user's own are let be.
        started = reusable_executor._executor
        if started is not None and started is not before:
            started.shutdown(wait=True, kill_workers=True)


def _attempt(measure: Callable[[Path], Any], path: Path) -> tuple[Path, Outcome]:
    try:
        return path, measure(path)
    except MemoryError:
        return path, MemoryError("too little memory is free for it: close other programs")
    except (OSError, ValueError, RuntimeError) as error:
        return path, error
