"""Run lessons, each in a kernel of its own, and measure their seconds and peak memory."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil

if TYPE_CHECKING:
    from nbclient import NotebookClient
    from nbformat import NotebookNode

CELL_SECONDS = 7200  # a real collection takes its time; a lesson that hangs still ends
MEGABYTE = 2**20
# On the demo.
SECONDS_BUDGET = dict.fromkeys(("01", "02", "03", "04", "05", "06", "08", "09"), 60) | {"07": 120}
COURSE_BUDGET = 240
MEMORY_BUDGET = 1536  # MB; Binder gives 2 GB
QUIET_KERNEL = ["--Application.log_level=ERROR"]
COLOUR_CODES = re.compile(r"\x1b\[[0-9;]*m")


class Run(NamedTuple):
    """One lesson, executed: its name, cost, headline result and the notebook with its outputs."""

    lesson: str
    seconds: float
    peak_megabytes: float
    headline: str
    notebook: NotebookNode


class LessonError(RuntimeError):
    """A cell of a lesson failed; the message names the lesson and the cell and shows both."""


def lesson_paths(folder: Path) -> list[Path]:
    """Return the lessons' notebooks in a folder, in the order of the course."""
    return sorted(folder.glob("0*.ipynb"))


def read_lesson(path: Path | str) -> NotebookNode:
    """Read a notebook, giving every cell that lacks an id of its own a lasting one.

    nbformat would make up random ids, and the file would change each time it is stored.
    """
    import nbformat

    content = json.loads(Path(path).read_text(encoding="utf-8"))
    content["nbformat_minor"] = max(5, content["nbformat_minor"])
    taken: set[str] = set()
    for position, cell in enumerate(content["cells"]):
        if cell.get("id") in taken | {None}:
            text = f"{position} {''.join(cell['source'])}"
            cell["id"] = hashlib.sha256(text.encode()).hexdigest()[:8]
        taken.add(cell["id"])
    return nbformat.reads(json.dumps(content), as_version=4)


def keep_to_a_core(number: int) -> None:
    """Let this thread, and processes that it starts from now on, run on one core (on Linux).

    Numbers are then the same on machines with more cores, which add them up in another order. Two
    lessons at once are done sooner, too: their threads would wait for each other.
    """
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[number % len(cores)]})


def compile_librosa() -> None:
    """Let Numba compile librosa's functions, unless it has, before two processes need them.

    Two that compile them at once leave a mixture behind, and whoever loads it crashes from then on
    (https://github.com/numba/numba/issues/10128).
    """
    librosa = Path(find_spec("librosa").origin).parent
    if not any(librosa.glob("__pycache__/beat.*.nbi")):  # the last ones
        print("Compiling librosa's functions, which takes a minute …", flush=True)
        everything = os.environ | {"EAGER_IMPORT": "1"}
        subprocess.run([sys.executable, "-c", "import librosa"], env=everything, check=True)


def run_lesson(path: Path | str, on_cell: Callable[[int, int], Any] | None = None) -> Run:
    """Execute a lesson in a kernel of its own, from its own folder, and measure it.

    Parameters
    ----------
    path : path
        The notebook; the file itself stays as it is.
    on_cell : callable, optional
        Called with the number of the code cell about to run, from 1, and how many there are.

    Returns
    -------
    Run
        `seconds` go from the start of the kernel to the end of the last cell. `peak_megabytes` is
        the largest resident memory of the kernel and its children together, looked at ten times a
        second.

    Raises
    ------
    LessonError
        If a cell fails, takes too long or ends the kernel.
    """
    from nbclient import NotebookClient

    path = Path(path).resolve()
    notebook = read_lesson(path)
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=CELL_SECONDS,
        coalesce_streams=True,
        record_timing=False,
        extra_arguments=QUIET_KERNEL,
        resources={"metadata": {"path": str(path.parent)}},
    )
    code_cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    start = time.perf_counter()
    kernel = client.setup_kernel(env=kernel_environment())
    with kernel, peak_memory(client) as peak:
        for number, cell in enumerate(code_cells, start=1):
            if on_cell:
                on_cell(number, len(code_cells))
            _run_cell(client, cell, number, path.stem)
        seconds = time.perf_counter() - start
    return Run(path.stem, seconds, peak() / MEGABYTE, headline(notebook), notebook)


def _run_cell(client: NotebookClient, cell: NotebookNode, number: int, lesson: str) -> None:
    """Execute one code cell; its failure becomes a `LessonError` that can be read."""
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    position = next(i for i, other in enumerate(client.nb.cells) if other is cell)
    try:
        client.execute_cell(cell, position, execution_count=number)
        return
    except CellExecutionError as failure:
        error = f"{failure.ename}: {failure.evalue}"
        where = COLOUR_CODES.sub("", failure.traceback).strip().splitlines()[-15:]
    except DeadKernelError:
        error, where = "The kernel ended; most often the memory did not suffice.", []
    except CellTimeoutError:
        error, where = f"The cell did not end within {CELL_SECONDS} seconds.", []
    parts = [f"{lesson}, code cell {number}, failed:", _indented(cell.source.splitlines())]
    parts += [_indented(where), error] if where else [error]
    raise LessonError("\n\n".join(parts))


def _indented(lines: list[str]) -> str:
    return "\n".join(f"    {line}" for line in lines)


def kernel_environment() -> dict[str, str]:
    """Return the environment of a lesson's kernel: quiet, repeatable, with the data found.

    The kernel works in the folder of the notebooks, so a path relative to where the command
    was typed is made absolute.
    """
    environment = dict(os.environ, TQDM_DISABLE="1", PYTHONHASHSEED="0")
    environment["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # no debugger warnings on the screen
    for name in ("GTZAN_DATA", "GTZAN_CACHE"):
        value = environment.get(name)
        if value and Path(value).expanduser().exists():
            environment[name] = str(Path(value).expanduser().resolve())
    return environment


@contextmanager
def peak_memory(client: NotebookClient) -> Iterator[Callable[[], int]]:
    """Watch the resident memory of a kernel and its children, in bytes.

    What it yields returns the largest memory seen so far, looked at ten times a second.
    """
    process = psutil.Process(client.km.provisioner.pid)
    peak, done = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.1):
            peak = max(peak, _resident(process))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield lambda: peak
    finally:
        done.set()
        watcher.join()


def _resident(process: psutil.Process) -> int:
    total = 0
    try:
        for one in [process, *process.children(recursive=True)]:
            total += one.memory_info().rss
    except psutil.NoSuchProcess:  # it ended while we looked
        pass
    return total


def headline(notebook: NotebookNode) -> str:
    """Return what the cell tagged "headline" printed, on one line; "" without such a cell."""
    for cell in notebook.cells:
        if "headline" in cell.metadata.get("tags", []):
            printed = [out.text for out in cell.outputs if out.get("name") == "stdout"]
            return " ".join("".join(printed).split())
    return ""


def table(runs: list[Run], seconds: float) -> str:
    """Return cost, budget and headline of executed lessons, and of all by the clock, as text."""
    width = max(len(run.lesson) for run in runs)
    lines = [f"{'lesson':<{width}}  seconds  budget  peak memory  headline"]
    for run in runs:
        budget = SECONDS_BUDGET.get(run.lesson[:2], "")
        cost = f"{run.seconds:7.0f}  {budget:>6}  {run.peak_megabytes:8.0f} MB"
        lines.append(f"{run.lesson:<{width}}  {cost}  {run.headline}")
    cost = f"{seconds:7.0f}  {COURSE_BUDGET:>6}  {MEMORY_BUDGET:8.0f} MB at most"
    lines.append(f"{'all, by the clock':<{width}}  {cost}")
    return "\n".join([*lines, "", "Budgets are those of a lesson that runs alone."])
