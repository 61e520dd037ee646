"""What is stored of the course: lessons, exercises and pages that fit together and can be read."""

import base64
import copy
import functools
import io
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
from handouts import CHOICE, is_guess
from lessons import run_lesson
from matplotlib.colors import to_rgb
from nbformat.v4 import new_code_cell, new_notebook, new_output
from nbgrader.api import Gradebook

import gtzan_helpers as gh
from gtzan_helpers import plots

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
STEMS = [path.stem for path in sorted(NOTEBOOKS.glob("*.ipynb"))]
STORED = [path.relative_to(ROOT).as_posix() for path in sorted(NOTEBOOKS.rglob("0*.ipynb"))]
EXECUTED = [name for name in STORED if "/exercises/" not in name]
TAGS = {
    "setup",
    "headline",
    "picture-leak",
    "picture-real",
    "check",
    "nbval-check-output",
    "remove-cell",
}
GENRES = "blues classical country disco hiphop jazz metal pop reggae rock".split()  # noqa: SIM905

each_lesson = pytest.mark.parametrize("stem", STEMS)


@functools.cache
def read(name):
    """Return a stored notebook, which must not be changed: tests share it."""
    return nbformat.read(ROOT / name, as_version=4)


def lesson(stem, folder="."):
    return read(Path("notebooks", folder, f"{stem}.ipynb").as_posix())


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tagged(notebook, tag):
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def printed(cell):
    return "".join(output.text for output in cell.outputs if output.get("name") == "stdout")


# All notebooks


def test_lessons_are_numbered_and_each_has_exercises_and_solutions():
    assert [int(stem[:2]) for stem in STEMS] == list(range(1, len(STEMS) + 1))
    folders = ("notebooks", "notebooks/exercises", "notebooks/solutions")
    assert sorted(STORED) == sorted(
        f"{folder}/{stem}.ipynb" for folder in folders for stem in STEMS
    )


@pytest.mark.parametrize("name", STORED)
def test_a_notebook_is_valid_small_and_opens_with_the_set_up_cell(name):
    path, notebook = ROOT / name, read(name)
    raw = json.loads(path.read_text(encoding="utf-8"))  # nbformat would make up what is missing
    nbformat.validate(raw)
    ids = [cell["id"] for cell in raw["cells"]]
    assert len(set(ids)) == len(ids)
    assert raw["metadata"] == course.METADATA
    assert path.stat().st_size <= course.LARGEST_NOTEBOOK
    first = code_cells(notebook)[0]
    assert tagged(notebook, "setup") == [first]
    assert first.source == code_cells(lesson(STEMS[0]))[0].source
    assert sync.repository() in first.source and "gh.start_lesson()" in first.source


@pytest.mark.parametrize("name", EXECUTED)
def test_stored_outputs_are_of_one_run_without_faults_and_figures_are_described(name):
    cells = code_cells(read(name))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert course.faults(read(name)) == []
    for output in itertools.chain.from_iterable(cell.outputs for cell in cells):
        if "image/png" in output.get("data", {}):
            assert len(output.metadata["image/png"]["alt"]) > 20


@pytest.mark.parametrize("name", EXECUTED)
def test_stored_figures_bring_their_light_ground_and_hide_nothing_in_a_dark_theme(name):
    for output in itertools.chain.from_iterable(cell.outputs for cell in code_cells(read(name))):
        if image := output.get("data", {}).get("image/png"):
            pixels = plt.imread(io.BytesIO(base64.b64decode(image)))
            assert pixels.shape[2] == 3 or pixels[..., 3].min() == 1
            assert pixels[0, 0, :3].min() > 0.9


def test_the_version_is_the_same_wherever_it_is_named():
    (version,) = re.findall(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.M)
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    newest = re.search(r"^## (\S+) \((.+)\)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert newest[1] == version
    assert f"date-released: {newest[2]}" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


# Lessons


@each_lesson
def test_a_lesson_asks_a_question_says_what_to_remember_and_prints_one_headline(stem):
    notebook = lesson(stem)
    opening = notebook.cells[0].source
    assert re.match(rf"# {int(stem[:2])} · .+\?\n", opening)
    assert "you can" in opening and re.search(r"\*\*About \d+ minutes\.?\*\*", opening)
    end = "\n".join(cell.source for cell in notebook.cells[-4:] if cell.cell_type == "markdown")
    assert "To remember" in end and re.search(r"\btry\b", end, re.IGNORECASE)
    assert {tag for cell in notebook.cells for tag in cell.metadata.get("tags", [])} <= TAGS
    (headline,) = tagged(notebook, "headline")
    assert printed(headline)
    assert tagged(notebook, "nbval-check-output")


@each_lesson
def test_three_to_five_questions_each_with_one_right_choice_and_a_reason_for_every_one(stem):
    (asked,) = [cell.source for cell in lesson(stem).cells if "## Check yourself" in cell.source]
    questions = re.split(r"^\*\*\d\.\*\* ", asked.split("## Check yourself")[1], flags=re.M)[1:]
    assert 3 <= len(questions) <= 5
    for question in questions:
        reasons = [reason for _, reason in CHOICE.findall(question)]
        assert 2 <= len(reasons) == question.count("<details") <= 4
        assert [reason.startswith("Right") for reason in reasons].count(True) == 1
        assert all(len(reason.split()) > 3 for reason in reasons)


@each_lesson
def test_a_guess_is_asked_for_above_its_cell_kept_in_it_and_shown_beside_the_outcome(stem):
    cells = lesson(stem).cells
    asked = [i for i, cell in enumerate(cells) if is_guess(cell)]
    assert asked
    for i in asked:
        assert cells[i].source.startswith('guess = ""') and cells[i - 1].cell_type == "markdown"
        assert "gh.compare_guess(guess, " in cells[i].source
        assert "guessed: nothing yet    outcome: " in printed(cells[i])


def test_a_guess_stands_beside_its_outcome(capsys):
    gh.compare_guess(0.7, np.float64(0.951))
    gh.compare_guess("", "narrower")
    assert capsys.readouterr().out.splitlines() == [
        "guessed: 0.7    outcome: 0.95",
        "guessed: nothing yet    outcome: narrower",
    ]


# Exercises


def kind(cell):
    """Return what a cell of a solution's notebook is for."""
    for name in ("mistake", "solution", "check"):
        if getattr(exercises, f"is_{name}")(cell):
            return name
    return "task" if cell.cell_type == "markdown" else "code"


def cells_of(notebook, *kinds):
    return [cell for cell in notebook.cells if kind(cell) in kinds]


@each_lesson
def test_each_exercise_has_task_mistakes_solution_and_a_check_that_is_right(stem):
    solutions = lesson(stem, "solutions")
    order = " ".join(kind(cell) for cell in solutions.cells if kind(cell) != "code")
    assert re.fullmatch(r"(task )+((mistake )+solution check (task ?)+){4,6}", order)
    text = "\n".join(cell.source for cell in solutions.cells)
    numbers = re.findall(r"^## Exercise (\d) · \S", text, re.MULTILINE)
    assert list(map(int, numbers)) == list(range(1, order.count("check") + 1))
    for cell in cells_of(solutions, "check"):
        assert printed(cell).startswith("Right.")
        assert f"points={cell.metadata.nbgrader.points})" in cell.source
        assert cell.metadata.nbgrader.locked
    assert all(cell.outputs for cell in cells_of(solutions, "solution"))


@each_lesson
def test_the_students_notebook_follows_from_the_solutions_and_gives_none_away(stem):
    solutions = lesson(stem, "solutions")
    students = exercises.for_students(solutions)
    stored = (NOTEBOOKS / "exercises" / f"{stem}.ipynb").read_text(encoding="utf-8")
    assert stored == nbformat.writes(students) + "\n", "run: make notebooks"
    assert "SOLUTION" not in stored and "Typical mistake" not in stored
    secret = {cell.source for cell in cells_of(solutions, "solution", "mistake")}
    assert not any(cell.source in secret or cell.get("outputs") for cell in students.cells)


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    """Each lesson's attempts with their checks: one kernel runs all, and forgets between two."""
    notebook, numbers = new_notebook(metadata=course.METADATA), itertools.count()
    attempts = {}
    for stem in STEMS:
        attempts[stem], cells = attempts_and_cells(stem)
        for cell in [new_code_cell("%reset -f"), *map(copy.deepcopy, cells)]:
            cell.id = f"{stem}-{next(numbers)}"
            notebook.cells.append(cell)
    path = tmp_path_factory.mktemp("tried") / "01_tried.ipynb"
    nbformat.write(notebook, path)
    checks = cells_of(run_lesson(path).notebook, "check")
    of_lesson = {stem: [cell for cell in checks if cell.id.startswith(stem)] for stem in STEMS}
    return {stem: [*zip(attempts[stem], of_lesson[stem], strict=True)] for stem in STEMS}


@each_lesson
def test_checks_tell_stubs_typical_mistakes_and_solutions_apart(stem, tried):
    for attempt, check in tried[stem]:
        text, points = printed(check), check.outputs[-1].data["text/plain"]
        verdict, hint, earned = "Right.", "", str(check.metadata.nbgrader.points)
        if "# your code" in attempt.source:
            verdict, hint, earned = "Not yet.", "Replace the dots", "0"
        elif kind(attempt) == "mistake":
            hint = re.search(r'^# Hint: "(.+)"$', attempt.source, re.MULTILINE)[1]
            verdict, earned = "Not yet.", "0"
        about = f"{check.metadata.nbgrader.grade_id}: {text}\n{attempt.source}"
        assert text.startswith(verdict) and hint in text and points == earned, about


def attempts_and_cells(stem):
    """Return a lesson's stubs, typical mistakes and solutions, and its cells with the checks."""
    stubs = {cell.id: cell for cell in lesson(stem, "exercises").cells}
    cells, attempts, waiting = [], [], []
    for cell in lesson(stem, "solutions").cells:
        if kind(cell) == "mistake":
            waiting.append(cell)
        elif kind(cell) == "solution":
            waiting = [stubs[cell.id], *waiting, cell]
        elif kind(cell) == "check":
            cells += [one for attempt in waiting for one in (attempt, cell)]
            attempts += waiting
            waiting = []
        else:
            cells.append(cell)
    return attempts, cells


def test_pictures_of_a_solution_are_attached_and_the_site_folds_it():
    data = {"image/png": "aGVsbG8=", "text/plain": "<Figure>"}
    alt = {"image/png": {"alt": "Two bars, the left one higher"}}
    solved = new_code_cell("plot()", id="drawn")
    solved.outputs = [new_output("display_data", data, metadata=alt)]
    expected = exercises.expected_output(solved)
    assert "![Two bars, the left one higher](attachment:expected-1.png)" in expected.source
    assert expected.attachments == {"expected-1.png": {"image/png": "aGVsbG8="}}
    page = exercises.for_site(lesson(STEMS[0], "solutions"))
    assert cells_of(page, "solution") == tagged(page, "hide-input") != []
    assert cells_of(page, "check") == tagged(page, "remove-cell")
    assert not cells_of(page, "mistake") and "BEGIN SOLUTION" not in str(page)


@pytest.mark.parametrize(
    ("space", "points", "message"),
    [
        ({"count": lambda: 4}, 3, "Right."),
        ({"count": lambda: 3}, 0, "Not yet. Count again."),
        ({"count": lambda: ...}, 0, "Replace the dots"),
        ({"count": lambda: 1 / 0}, 0, "ZeroDivisionError"),
        ({"count": ...}, 0, "count"),
        ({}, 0, "count"),
    ],
)
def test_a_check_gives_its_points_or_a_hint_and_no_traceback(space, points, message, capsys):
    exec("def checks():\n    yield count()\n    yield count() == 4, 'Count again.'", space)
    assert gh.check_answer(space["checks"], points=3) == points
    assert message in capsys.readouterr().out


def test_what_a_student_returns_is_never_taken_for_a_hint():
    answers = [(0, "jazz"), [False, "jazz"], (None, "jazz"), ("", "jazz")]
    assert gh.check_answer(lambda: iter([*answers, (np.bool_(True), "a hint")])) == 1


# Marking


def nbgrader(folder, *arguments):
    """Run an nbgrader command as a teacher does: in the course's folder, environment active."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = [sys.executable, "-m", "nbgrader", *arguments]
    environment = os.environ | {"PATH": path, "HOME": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_nbgrader_releases_every_lesson_and_marks_what_is_solved(tmp_path):
    shutil.copy(exercises.NBGRADER_CONFIG, tmp_path)
    shutil.copytree(NOTEBOOKS / "solutions", tmp_path / "source" / "course")
    nbgrader(tmp_path, "generate_assignment", "course")
    released = sorted((tmp_path / "release" / "course").glob("*.ipynb"))
    assert [path.stem for path in released] == STEMS
    for path in released:
        text = path.read_text(encoding="utf-8")
        assert "Typical mistake" not in text and text.count("# your code here") >= 4
    solutions = lesson(STEMS[0], "solutions")
    answers = {cell.id: cell.source for cell in cells_of(solutions, "solution")}
    students = {"solved": 9, "half": 3, "unsolved": 0}
    for student, n_solved in students.items():
        submission = nbformat.read(released[0], as_version=4)
        for cell in cells_of(submission, "solution")[:n_solved]:
            cell.source = answers[cell.id]
        folder = tmp_path / "submitted" / student / "course"
        folder.mkdir(parents=True)
        nbformat.write(submission, folder / released[0].name)
    nbgrader(tmp_path, "autograde", "course")
    with Gradebook(f"sqlite:///{tmp_path / 'gradebook.db'}") as book:
        scores = {name: book.find_submission("course", name).score for name in students}
    points = [cell.metadata.nbgrader.points for cell in cells_of(solutions, "check")]
    assert scores == {"solved": sum(points), "half": sum(points[:3]), "unsolved": 0}


# Pages


def markdown(name):
    """Return the text of a page or a notebook, without blocks of code."""
    text = (ROOT / name).read_text(encoding="utf-8")
    if name.endswith(".ipynb"):
        cells = [cell.source for cell in read(name).cells if cell.cell_type == "markdown"]
        text = "\n\n".join(cells)
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def sections(name):
    """Return each section of a page under the anchor that GitHub and the site give its heading."""
    parts = re.split(r"^#+ (.+)$", markdown(name), flags=re.MULTILINE)[1:]
    anchors = [re.sub(r"[^\w\- ]", "", title.lower()).strip() for title in parts[::2]]
    titled = map("\n".join, zip(parts[::2], parts[1::2], strict=True))
    return dict(zip([anchor.replace(" ", "-") for anchor in anchors], titled, strict=True))


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", *STORED])  # Sphinx: the rest
def test_headings_nest_and_links_inside_the_course_lead_somewhere(name):
    levels = [len(marks) for marks in re.findall(r"^(#+) ", markdown(name), re.MULTILINE)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    for link in re.findall(r"\]\((?!https?:|attachment:)([^)\s]+)\)", markdown(name)):
        place, _, fragment = link.partition("#")
        target = ((ROOT / name).parent / place).resolve() if place else ROOT / name
        assert target.exists(), link
        assert not fragment or fragment in sections(target.relative_to(ROOT).as_posix()), link


def test_each_term_is_used_where_its_link_leads():
    text = (ROOT / "docs" / "terms.md").read_text(encoding="utf-8")
    glossary = text.partition("```{glossary}")[2]
    terms = re.findall(r"^(\S.*)\n  .*\((notebooks/\S+)#(\S+)\)$", glossary, re.MULTILINE)
    words = [term.lower() for term, *_ in terms]
    assert words and words == sorted(words)
    for word, (_, notebook, anchor) in zip(words, terms, strict=True):
        assert word in sections(notebook)[anchor].lower(), (word, notebook)


# Colours


@pytest.mark.parametrize(
    ("deficiency", "severity"),
    [("deuteranomaly", 0), ("deuteranomaly", 100), ("protanomaly", 100), ("tritanomaly", 100)],
)
def test_colour_blind_readers_tell_the_genres_apart(deficiency, severity):
    space = {"name": "sRGB1+CVD", "cvd_type": deficiency, "severity": severity}
    colors = np.array([to_rgb(color) for color in plots.genre_colors(GENRES).values()])
    seen = np.clip(cspace_convert(colors, space, "sRGB1"), 0, 1)
    for one, other in itertools.combinations(range(len(GENRES)), 2):
        apart = deltaE(seen[one], seen[other], input_space="sRGB1")
        assert apart > 10, f"{GENRES[one]} and {GENRES[other]} look alike ({apart:.1f})"


def test_lines_differ_by_more_than_colour():
    ink, accent = (cspace_convert(to_rgb(c), "sRGB1", "JCh") for c in (plots.INK, plots.ACCENT))
    assert abs(ink[0] - accent[0]) > 30  # in grey, too
    columns = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    history = pd.DataFrame(np.ones((3, 5)), columns=columns)
    for axes in np.ravel(plots.history(history, title="t")):
        lines = axes.get_lines()
        assert len({line.get_linestyle() for line in lines}) == len(lines) > 1
    plt.close("all")
