"""What is stored of the course: lessons, exercises and pages that fit together and can be read."""

from __future__ import annotations

import copy
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import course
import exercises
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
import sync
from colorspacious import cspace_convert, deltaE
from lessons import run_lesson
from matplotlib.colors import to_rgb
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook, new_output

import gtzan_helpers as gh
from gtzan_helpers import plots

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
STEMS = [path.stem for path in sorted(NOTEBOOKS.glob("*.ipynb"))]
STORED = sorted(NOTEBOOKS.rglob("0*.ipynb"))
EXECUTED = [path for path in STORED if path.parent.name != "exercises"]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")), *STORED]
TAGS = {"setup", "headline", "picture", "check", "nbval-check-output", "remove-cell"}


def read(folder: str, stem: str) -> NotebookNode:
    return nbformat.read(NOTEBOOKS / folder / f"{stem}.ipynb", as_version=4)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell: NotebookNode) -> set[str]:
    return set(cell.metadata.get("tags", []))


def printed(cell: NotebookNode) -> str:
    return "".join(output.text for output in cell.outputs if output.get("name") == "stdout")


# All notebooks


def test_lessons_are_numbered_and_each_has_exercises_and_solutions():
    assert [int(stem[:2]) for stem in STEMS] == list(range(1, len(STEMS) + 1))
    for folder in ("exercises", "solutions"):
        assert [path.stem for path in sorted((NOTEBOOKS / folder).glob("*.ipynb"))] == STEMS


@pytest.mark.parametrize("path", STORED, ids=name)
def test_a_notebook_is_valid_small_and_opens_with_the_set_up_cell(path):
    raw = json.loads(path.read_text(encoding="utf-8"))
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    ids = [cell["id"] for cell in raw["cells"]]  # the stored ones: reading would make them up
    assert len(set(ids)) == len(ids)
    assert raw["metadata"] == course.METADATA
    assert path.stat().st_size <= course.LARGEST_NOTEBOOK
    first, *others = code_cells(notebook)
    assert first.source == code_cells(read("", STEMS[0]))[0].source
    assert sync.repository() in first.source and "gh.start_lesson()" in first.source
    assert "setup" in tags(first) and not any("setup" in tags(cell) for cell in others)


@pytest.mark.parametrize("path", EXECUTED, ids=name)
def test_stored_outputs_are_of_one_run_without_faults_and_figures_are_described(path):
    notebook = nbformat.read(path, as_version=4)
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))
    assert course.faults(notebook) == []
    for cell in code_cells(notebook):
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                alt = output.metadata.get("image/png", {}).get("alt", "")
                assert len(alt) > 20, f"code cell {cell.execution_count}"


# Lessons


@pytest.mark.parametrize("stem", STEMS)
def test_a_lesson_opens_with_a_question_and_ends_with_what_to_remember(stem):
    lesson = read("", stem)
    opening = lesson.cells[0].source
    assert re.match(rf"# {int(stem[:2])} · .+\?\n", opening)
    assert "you can" in opening and re.search(r"\*\*About \d+ minutes\.?\*\*", opening)
    end = "\n".join(cell.source for cell in lesson.cells[-4:] if cell.cell_type == "markdown")
    assert "To remember" in end and re.search(r"\btry\b", end, re.IGNORECASE)


@pytest.mark.parametrize("stem", STEMS)
def test_a_lesson_has_one_headline_and_outputs_that_are_compared(stem):
    cells = code_cells(read("", stem))
    assert set().union(*map(tags, cells)) <= TAGS
    (headline,) = [cell for cell in cells if "headline" in tags(cell)]
    assert printed(headline)
    assert any("nbval-check-output" in tags(cell) for cell in cells)


def test_lesson_3_needs_no_more_than_the_published_features(real_data, tmp_path, monkeypatch):
    shutil.copytree(real_data / "sturm", tmp_path / "sturm")
    monkeypatch.setenv("GTZAN_CACHE", str(tmp_path))
    monkeypatch.setenv("GTZAN_FEATURES", str(real_data / "features_30_sec.csv"))
    path = tmp_path / "03_dense_network.ipynb"
    lesson = (NOTEBOOKS / path.name).read_text(encoding="utf-8")
    path.write_text(lesson.replace("epochs=200", "epochs=1"), encoding="utf-8")
    run = run_lesson(path)
    text = "".join(printed(cell) for cell in code_cells(run.notebook))
    assert "985 usable tracks of 1000" in text
    assert re.search(r"Burning Spear +9 +1 +7", text)  # the published split shares artists
    assert "divided by artist: 0 known artists in several parts" in text


# Exercises


def kind(cell: NotebookNode) -> str:
    """Return what a cell of a solution's notebook is for."""
    if exercises.is_mistake(cell):
        return "mistake"
    if exercises.is_solution(cell):
        return "solution"
    if exercises.is_check(cell):
        return "check"
    return "task" if cell.cell_type == "markdown" else "code"


@pytest.mark.parametrize("stem", STEMS)
def test_each_exercise_has_task_mistakes_solution_and_a_check_that_is_right(stem):
    cells = read("solutions", stem).cells
    order = " ".join(kind(cell) for cell in cells if kind(cell) != "code")
    assert re.fullmatch(r"(task )+((mistake )+solution check (task ?)+){4,6}", order)
    numbers = re.findall(r"^## Exercise (\d) · \S", "\n".join(c.source for c in cells), re.M)
    assert list(map(int, numbers)) == list(range(1, order.count("check") + 1))
    for cell in cells:
        if kind(cell) == "check":
            assert printed(cell).startswith("Right.")
            assert f"points={cell.metadata.nbgrader.points})" in cell.source
            assert cell.metadata.nbgrader.locked
        if kind(cell) == "solution":
            assert cell.outputs


@pytest.mark.parametrize("stem", STEMS)
def test_the_students_notebook_follows_from_the_solutions_and_gives_none_away(stem):
    solutions = read("solutions", stem)
    wanted = nbformat.writes(exercises.for_students(solutions)) + "\n"
    stored = (NOTEBOOKS / "exercises" / f"{stem}.ipynb").read_text(encoding="utf-8")
    assert stored == wanted, f"run: python tools/course.py store notebooks/solutions/{stem}.ipynb"
    assert "SOLUTION" not in stored and "Typical mistake" not in stored
    students = nbformat.reads(stored, as_version=4).cells
    given = {cell.source for cell in students}
    assert not any(c.source in given for c in solutions.cells if kind(c) in ("solution", "mistake"))
    assert not any(cell.get("outputs") for cell in students)


@pytest.mark.parametrize("stem", STEMS)
def test_checks_tell_stubs_typical_mistakes_and_solutions_apart(stem, tmp_path):
    attempts, checks = tried(stem, tmp_path)
    assert {kind(cell) for cell in attempts} == {"mistake", "solution"}
    for attempt, check in zip(attempts, checks, strict=True):
        text, about = printed(check), (check.metadata.nbgrader.grade_id, attempt.source)
        points = check.outputs[-1].data["text/plain"]
        if kind(attempt) == "mistake":
            hint = re.search(r'^# Hint: "(.+)"$', attempt.source, re.MULTILINE)[1]
            assert text.startswith("Not yet.") and hint in text and points == "0", (about, text)
        elif "# your code" in attempt.source:
            assert text.startswith("Not yet.") and points == "0", (about, text)
            assert "Replace the dots" in text, (about, text)
        else:
            assert text.startswith("Right."), (about, text)
            assert points == str(check.metadata.nbgrader.points), about


def tried(stem: str, folder: Path) -> tuple[list[NotebookNode], list[NotebookNode]]:
    """Run all checks of a lesson after the stub, each typical mistake and the solution."""
    stubs = {cell.id: cell for cell in read("exercises", stem).cells}
    cells, attempts, waiting = [], [], []
    for cell in read("solutions", stem).cells:
        if kind(cell) == "mistake":
            waiting.append(cell)
        elif kind(cell) == "solution":
            waiting = [stubs[cell.id], *waiting, cell]
        elif kind(cell) == "check":
            cells += [copy.deepcopy(one) for attempt in waiting for one in (attempt, cell)]
            attempts += waiting
            waiting = []
        else:
            cells.append(cell)
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    path = folder / "01_tried.ipynb"
    nbformat.write(new_notebook(cells=cells, metadata=course.METADATA), path)
    return attempts, [cell for cell in run_lesson(path).notebook.cells if kind(cell) == "check"]


def test_pictures_of_a_solution_are_attached_and_the_site_folds_it():
    data = {"image/png": "aGVsbG8=", "text/plain": "<Figure>"}
    alt = {"image/png": {"alt": "Two bars, the left one higher"}}
    solved = new_code_cell("plot()", id="drawn")
    solved.outputs = [new_output("display_data", data, metadata=alt)]
    expected = exercises.expected_output(solved)
    assert "![Two bars, the left one higher](attachment:expected-1.png)" in expected.source
    assert expected.attachments == {"expected-1.png": {"image/png": "aGVsbG8="}}
    solutions = read("solutions", STEMS[0])
    page = exercises.for_site(solutions)
    hidden = ["hide-input" in tags(cell) for cell in page.cells if kind(cell) == "solution"]
    assert all(hidden) and len(hidden) >= 4
    assert all(tags(cell) == {"remove-cell"} for cell in page.cells if kind(cell) == "check")
    assert not any(
        "BEGIN SOLUTION" in cell.source or kind(cell) == "mistake" for cell in page.cells
    )


# What the checks print


def test_a_check_returns_its_points_only_if_everything_in_it_holds(capsys):
    def checks():
        yield True, "first"
        yield False, "Look again."
        raise AssertionError("too far")

    assert gh.check_answer(checks) == 0
    assert "Look again." in capsys.readouterr().out
    students = [(0, "jazz"), [False, "jazz"], (None, "jazz"), ("", "jazz")]  # never hints
    assert gh.check_answer(lambda: iter([*students, (np.bool_(True), "a hint")]), points=3) == 3


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"count": ...}, "count"),
        ({}, "count"),
        ({"count": lambda: ...}, "Replace the dots"),
        ({"count": lambda: 1 / 0}, "ZeroDivisionError"),
    ],
)
def test_what_cannot_be_checked_gets_a_message_and_no_traceback(answer, message, capsys):
    space: dict = dict(answer)
    exec("def checks():\n    yield count()\n    yield count() > 3, 'more'", space)
    assert gh.check_answer(space["checks"]) == 0
    assert message in capsys.readouterr().out


# Marking


def nbgrader(folder: Path, *arguments: str) -> None:
    """Run an nbgrader command as a teacher does: in the course's folder, environment active."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = [sys.executable, "-m", "nbgrader", *arguments]
    environment = os.environ | {"PATH": path, "HOME": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_nbgrader_releases_every_lesson_and_marks_what_is_solved(tmp_path):
    shutil.copy(exercises.NBGRADER_CONFIG, tmp_path)
    first, *others = STEMS
    for assignment, stems in (("first", [first]), ("others", others)):
        (tmp_path / "source" / assignment).mkdir(parents=True)
        for stem in stems:
            source = NOTEBOOKS / "solutions" / f"{stem}.ipynb"
            shutil.copy(source, tmp_path / "source" / assignment)
        nbgrader(tmp_path, "generate_assignment", assignment)
    released = {path.stem: path for path in (tmp_path / "release").glob("*/*.ipynb")}
    assert sorted(released) == STEMS
    for path in released.values():
        text = path.read_text(encoding="utf-8")
        assert "SOLUTION" not in text and "Typical mistake" not in text
        assert text.count("# your code here") >= 4
    solutions = read("solutions", first).cells
    answers = {cell.id: cell.source for cell in solutions if kind(cell) == "solution"}
    for student, n_solved in (("solved", 9), ("half", 3), ("unsolved", 0)):
        submission = nbformat.read(released[first], as_version=4)
        stubs = [cell for cell in submission.cells if kind(cell) == "solution"]
        for cell in stubs[:n_solved]:
            cell.source = answers[cell.id]
        (tmp_path / "submitted" / student / "first").mkdir(parents=True)
        path = tmp_path / "submitted" / student / "first" / f"{first}.ipynb"
        nbformat.write(submission, path)
    nbgrader(tmp_path, "autograde", "first")
    nbgrader(tmp_path, "export")
    grades = pd.read_csv(tmp_path / "grades.csv").query("assignment == 'first'")
    points = [cell.metadata.nbgrader.points for cell in solutions if kind(cell) == "check"]
    assert (grades["max_score"] == sum(points)).all()
    scores = grades.set_index("student_id")["score"].to_dict()
    assert scores == {"solved": sum(points), "half": sum(points[:3]), "unsolved": 0}


# Pages


def markdown(path: Path) -> str:
    """Return the text of a page or a notebook, without blocks of code."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = nbformat.reads(text, as_version=4).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def headings(path: Path) -> list[tuple[int, str]]:
    found = re.findall(r"^(#+) (.+)$", markdown(path), re.MULTILINE)
    return [(len(marks), title) for marks, title in found]


def anchor(title: str) -> str:
    """Return the anchor that GitHub and the site give a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-")


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_headings_nest_and_links_inside_the_course_lead_somewhere(path):
    levels = [level for level, _ in headings(path)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    for link in re.findall(r"\]\(([^)\s]+)\)", markdown(path)):
        if re.match(r"(https?|attachment|mailto):", link):
            continue
        place, _, fragment = link.partition("#")
        target = (path.parent / place).resolve() if place else path
        if path.parent.name == "docs" and place.startswith("notebooks/"):
            target = ROOT / place  # the site puts the notebooks beside its pages
        assert target.exists(), link
        if fragment:
            assert fragment in {anchor(title) for _, title in headings(target)}, link


def test_each_term_is_used_where_its_link_leads():
    text = (ROOT / "docs" / "terms.md").read_text(encoding="utf-8")
    glossary = text.partition("```{glossary}")[2]
    terms = re.findall(r"^(\S.*)\n  .*\((notebooks/\S+)#(\S+)\)$", glossary, re.MULTILINE)
    assert terms
    assert [term.lower() for term, *_ in terms] == sorted(term.lower() for term, *_ in terms)
    for term, notebook, fragment in terms:
        sections = re.split(r"^(?=#+ )", markdown(ROOT / notebook), flags=re.MULTILINE)
        titles = [anchor(section.partition("\n")[0].lstrip("# ")) for section in sections]
        assert term.lower() in sections[titles.index(fragment)].lower(), (term, notebook)


# Colours


def seen(color: str, kind: str) -> np.ndarray:
    """Return a colour as somebody with a colour vision deficiency sees it."""
    if kind == "normal":
        return np.array(to_rgb(color))
    space = {"name": "sRGB1+CVD", "cvd_type": kind, "severity": 100}
    return np.clip(cspace_convert(to_rgb(color), space, "sRGB1"), 0, 1)


@pytest.mark.parametrize("kind", ["normal", "deuteranomaly", "protanomaly", "tritanomaly"])
def test_colour_blind_readers_tell_the_genres_apart(kind):
    genres = "blues classical country disco hiphop jazz metal pop reggae rock".split()  # noqa: SIM905
    colors = plots.genre_colors(genres)
    for one, other in itertools.combinations(colors, 2):
        apart = deltaE(seen(colors[one], kind), seen(colors[other], kind), input_space="sRGB1")
        assert apart > 10, f"{one} and {other} look alike ({apart:.1f})"


def test_lines_differ_by_more_than_colour():
    ink, accent = (
        cspace_convert(to_rgb(c), "sRGB1", "CAM02-UCS") for c in (plots.INK, plots.ACCENT)
    )
    assert abs(ink[0] - accent[0]) > 30  # in grey, too
    table = pd.DataFrame(np.random.default_rng(0).dirichlet(np.ones(5), 20), columns=list("abcde"))
    named = plots.probabilities(table, top=4).get_legend().get_lines()
    assert len({line.get_linestyle() for line in named}) == 4
    columns = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    axes = plots.history(pd.DataFrame(np.ones((3, 5)), columns=columns), title="t")
    for ax in np.ravel(np.asarray(axes, dtype=object)):
        styles = [line.get_linestyle() for line in ax.get_lines()]
        assert len(set(styles)) == len(styles)
    plt.close("all")
