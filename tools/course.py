"""Run the lessons: to read them as a site, or to store their outputs in the notebooks.

python tools/course.py run      # `make course`
python tools/course.py store    # `make notebooks`
python tools/course.py links    # `make links`
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING

import click
import psutil
from exercises import for_site, for_students
from lessons import (
    MEGABYTE,
    MEMORY_BUDGET,
    LessonError,
    Run,
    compile_librosa,
    keep_to_a_core,
    lesson_paths,
    run_lesson,
    table,
)

from gtzan_helpers.cache import write_atomically

if TYPE_CHECKING:
    from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
SOLUTIONS = NOTEBOOKS / "solutions"
EXERCISES = NOTEBOOKS / "exercises"
DOCS = ROOT / "docs"
PAGES = ("README.md", "CONTRIBUTING.md")  # they are not on the site
BUILD = ROOT / "build"
LARGEST_NOTEBOOK = 2_000_000  # bytes
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
KEPT = ("tags", "nbgrader")  # what a cell's metadata may hold
EMBEDDED = re.compile(r"base64,[A-Za-z0-9+/=\s]+")
WIDGET = "application/vnd.jupyter.widget-view+json"
MEMORY_ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]{6,}")


@click.group()
def main() -> None:
    """Run the lessons of the course."""


@main.command()
def run() -> None:
    """Execute every lesson and render the course as a site under build/site."""
    started = time.perf_counter()
    describe_data()
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="course-", dir=BUILD) as temporary:
        work = Path(temporary)
        source = work / "source"
        shutil.copytree(DOCS, source)
        paths, at_once = lesson_paths(NOTEBOOKS), lessons_at_once()
        beside = " shared with another lesson" if at_once > 1 else ""
        runs = run_all(paths, lambda one, _: save_executed(one, source, beside), at_once)
        save_exercises(source)
        save_costs(runs, source)
        click.echo("Rendering the site …")
        render(source, work / "site", work / "doctrees")
        put_in_place(source / "notebooks", BUILD / "lessons", work)
        put_in_place(work / "site", BUILD / "site", work)
    click.echo(f"\n{table(runs, time.perf_counter() - started)}\n\nOpen build/site/index.html")


@main.command()
@click.argument("notebooks", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def store(notebooks: tuple[Path, ...]) -> None:
    """Execute lessons and exercises on the demo, and store their outputs in place.

    All of them, or those named. The students' notebooks follow from the solutions.
    """
    os.environ.pop("GTZAN_DATA", None)
    paths = notebooks or [*lesson_paths(NOTEBOOKS), *lesson_paths(SOLUTIONS)]
    run_all(paths, store_outputs, lessons_at_once())


@main.command()
def links() -> None:
    """Ask for every address outside that lessons, exercises and pages name."""
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary, "source")
        shutil.copytree(DOCS, source)
        shutil.copytree(NOTEBOOKS, source / "notebooks", ignore=shutil.ignore_patterns("solutions"))
        for page in PAGES:
            shutil.copy(ROOT / page, source)
        if broken := broken_links(source):
            sys.exit("\n".join(["These links lead nowhere:", *broken]))


def broken_links(source: Path) -> list[str]:
    """Return a line for each address in the pages of a folder that does not answer."""
    report = source.with_name("links") / "output.json"
    sphinx("linkcheck", source, report.parent, "-Q")
    if not report.exists():
        sys.exit(f"Sphinx could not read the pages in {source}: `make course` says why.")
    asked = map(json.loads, report.read_text(encoding="utf-8").splitlines())
    return [
        f"{link['filename']}:{link['lineno']} {link['uri']} ({link['info']})"
        for link in asked
        if link["status"] in ("broken", "timeout")
    ]


def sphinx(builder: str, source: Path, out: Path, *options: str) -> bool:
    """Let Sphinx build something of the pages in a folder; return whether all went well."""
    command = [sys.executable, "-m", "sphinx", *options, "-b", builder, "-c", str(DOCS)]
    return subprocess.run([*command, str(source), str(out)], check=False).returncode == 0


def describe_data() -> None:
    """Say which tracks the lessons run on; stop with one line if they cannot be found."""
    import gtzan_helpers as gh

    try:
        tracks = gh.load_tracks()
    except gh.CourseError as error:
        sys.exit(f"{error}")
    click.echo(gh.describe_source(tracks))
    for track in tracks[tracks["problem"] != ""].itertuples():
        click.echo(f"left out: {track.track_id} ({track.path}): {track.problem}")


def lessons_at_once() -> int:
    """Return how many lessons may run at once: two, where there are cores and memory for them."""
    room = psutil.virtual_memory().available / MEGABYTE
    return 2 if (os.cpu_count() or 1) > 1 and room > 2 * MEMORY_BUDGET + 1024 else 1


def run_all(
    paths: Iterable[Path], afterwards: Callable[[Run, Path], None], at_once: int
) -> list[Run]:
    """Run lessons, some at once, showing how far they are; stop at the first failure.

    The last ones come first: they train networks, and take longest.
    """
    compile_librosa()
    paths, ready, numbers = sorted(paths, reverse=True), {}, itertools.count()
    with ThreadPoolExecutor(at_once, initializer=lambda: keep_to_a_core(next(numbers))) as pool:
        waiting = {pool.submit(run_lesson, path, show_progress(path.stem)): path for path in paths}
        try:
            for one in as_completed(waiting):
                path = waiting[one]
                ready[path] = one.result()
                start = "\r\033[K" if sys.stdout.isatty() else ""
                click.echo(f"{start}{path.stem}  {ready[path].seconds:.0f} s")
                afterwards(ready[path], path)
        except LessonError as error:
            sys.exit(f"\n{error}")
        finally:
            pool.shutdown(cancel_futures=True)
    return [ready[path] for path in sorted(ready)]


def show_progress(lesson: str) -> Callable[[int, int], None]:
    """Return a function that shows the running cell, on a line that it writes over."""

    def show(number: int, n_cells: int) -> None:
        if sys.stdout.isatty():
            click.echo(f"\r\033[K{lesson} … cell {number} of {n_cells}", nl=False)
        elif number == 1:
            click.echo(f"{lesson} …")

    return show


def save_executed(one: Run, source: Path, beside: str) -> None:
    """Write an executed lesson where the site is built from, its cost below its opening."""
    import nbformat

    folder = source / "notebooks"
    folder.mkdir(exist_ok=True)
    normalise(one.notebook)
    told = f"*When this page was made, the code ran for {cost(one)['seconds']} on {os.cpu_count()} "
    told += f"cores{beside} and took up to {cost(one)['memory']} of memory."
    if (SOLUTIONS / f"{one.lesson}.ipynb").exists():
        told += f" There are [exercises](exercises/{one.lesson}.ipynb) to it."
    one.notebook.cells.insert(1, nbformat.v4.new_markdown_cell(f"{told}*", id="cost"))
    nbformat.write(one.notebook, folder / f"{one.lesson}.ipynb")


def cost(one: Run) -> dict[str, str]:
    """Return what a lesson cost, in words."""
    return {"seconds": f"{one.seconds:.0f} s", "memory": f"{one.peak_megabytes / 1024:.1f} GB"}


def save_costs(runs: list[Run], source: Path) -> None:
    """Write what the lessons cost where the site's first page looks for it."""
    costs = {one.lesson: cost(one) for one in runs}
    (source / "lessons.json").write_text(json.dumps(costs), encoding="utf-8")


def save_exercises(source: Path) -> None:
    """Write the exercises, as they are stored, where the site is built from."""
    import nbformat

    (source / "notebooks" / "exercises").mkdir()
    for path in sorted(SOLUTIONS.glob("0*.ipynb")):
        page = for_site(nbformat.read(path, as_version=4))
        nbformat.write(page, source / "notebooks" / "exercises" / path.name)


def render(source: Path, place: Path, doctrees: Path, builder: str = "html") -> None:
    """Build pages with Sphinx; a broken link or any other warning stops it."""
    strict = ["-W", "--keep-going", "--quiet", "-d", str(doctrees)]
    if not sphinx(builder, source, place, *strict):
        sys.exit("The pages could not be rendered: see the warnings above.")


def put_in_place(new: Path, place: Path, work: Path) -> None:
    """Move a finished folder to its place, and what was there out of the way."""
    if place.exists():
        place.rename(work / f"old-{place.name}")
    new.rename(place)


def store_outputs(one: Run, path: Path) -> None:
    """Write an executed lesson over its notebook, unless an output does not belong there."""
    import nbformat

    normalise(one.notebook)
    text = nbformat.writes(one.notebook) + "\n"
    problems = faults(one.notebook)
    if len(text.encode()) > LARGEST_NOTEBOOK:
        problems.append(f"the file would be {len(text.encode()) / 1e6:.1f} MB; 2 MB at most")
    if problems:
        sys.exit("\n".join([f"{path} is left as it was:", *problems]))
    mode = path.stat().st_mode
    write_atomically(path, text)
    path.chmod(mode)
    if path.resolve().parent == SOLUTIONS:
        students = nbformat.writes(for_students(one.notebook)) + "\n"
        write_atomically(EXERCISES / path.name, students)


def normalise(notebook: NotebookNode) -> None:
    """Drop what changes from run to run and from editor to editor: metadata, and widgets."""
    notebook.metadata = METADATA
    for cell in notebook.cells:
        cell.metadata = {key: cell.metadata[key] for key in KEPT if cell.metadata.get(key)}
        for output in cell.get("outputs", []):
            # A widget lives as long as its kernel; what is stored could not be pressed.
            if output.get("data", {}).pop(WIDGET, None):
                output.data["text/plain"] = "(Run this cell, and a button appears here.)"


def faults(notebook: NotebookNode) -> list[str]:
    """Return what must not be stored: warnings, errors, paths and addresses of this machine.

    One line per fault, naming the code cell.
    """
    found = []
    code_cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code_cells, start=1):
        for output in cell.outputs:
            text = output_text(output)
            if output.get("name") == "stderr":
                found.append(f"code cell {number} wrote to stderr: {text.strip()[:300]}")
            if output.output_type == "error":
                found.append(f"code cell {number} failed: {output.ename}: {output.evalue}")
            found += [
                f"code cell {number} shows {fragment!r}, which is different on every machine"
                for fragment in machine_fragments(text)
            ]
    return found


def output_text(output: NotebookNode) -> str:
    """Return all readable text of an output; sounds and images embedded in it are left out."""
    data = output.get("data", {})
    texts = [str(value) for kind, value in data.items() if not kind.startswith("image/png")]
    return EMBEDDED.sub("", "\n".join([output.get("text", ""), *texts]))


def machine_fragments(text: str) -> list[str]:
    """Return the folders of this machine, and the memory addresses, that a text shows."""
    folders = {str(ROOT), str(Path.home()), tempfile.gettempdir(), "/tmp", "/home", "/Users"}
    shown = [
        folder
        for folder in sorted(folders)
        if len(folder) > 1 and re.search(rf"(?<![\w.]){re.escape(folder)}[/\\]", text)
    ]
    return shown + MEMORY_ADDRESS.findall(text)


if __name__ == "__main__":
    main()
