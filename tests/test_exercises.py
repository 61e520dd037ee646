"""The exercises: tasks, stubs, checks and solutions fit together, and can be marked by nbgrader."""

from __future__ import annotations

import copy
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import course
import exercises
import nbformat
import numpy as np
import pandas as pd
import pytest
import sync
from lessons import run_lesson
from nbformat.v4 import new_notebook

import gtzan_helpers as gh

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
STEMS = [path.stem for path in sorted(NOTEBOOKS.glob("0*.ipynb"))]
HINT = re.compile(r'^# Hint: "(.+)"$', re.MULTILINE)


@pytest.fixture(scope="module", params=STEMS)
def stem(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def solutions(stem) -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOKS / "solutions" / f"{stem}.ipynb", as_version=4)


@pytest.fixture(scope="module")
def students(stem) -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOKS / "exercises" / f"{stem}.ipynb", as_version=4)


def printed(cell: nbformat.NotebookNode) -> str:
    return "".join(output.text for output in cell.outputs if output.get("name") == "stdout")


def checks_of(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if exercises.is_check(cell)]


# What is stored


def test_every_lesson_has_exercises_and_there_are_no_others():
    for folder in ("solutions", "exercises"):
        assert [path.stem for path in sorted((NOTEBOOKS / folder).glob("*.ipynb"))] == STEMS


def test_the_students_notebook_follows_from_the_solutions(solutions, students, stem):
    stored = (NOTEBOOKS / "exercises" / f"{stem}.ipynb").read_text(encoding="utf-8")
    assert nbformat.writes(exercises.for_students(solutions)) + "\n" == stored, (
        f"run: python tools/course.py store notebooks/solutions/{stem}.ipynb"
    )


def test_no_solution_or_mistake_is_handed_to_students(solutions, students):
    text = "\n".join(cell.source for cell in students.cells)
    assert "SOLUTION" not in text and "Typical mistake" not in text
    assert not any(cell.get("outputs") for cell in students.cells)
    given = {cell.source for cell in students.cells}
    assert not any(cell.source in given for cell in solutions.cells if exercises.is_solution(cell))


def test_the_notebooks_are_valid_small_and_lasting(solutions, students, stem):
    for folder, notebook in (("solutions", solutions), ("exercises", students)):
        nbformat.validate(notebook)
        ids = [cell.id for cell in notebook.cells]
        assert len(set(ids)) == len(ids)
        assert notebook.metadata == course.METADATA
        path = NOTEBOOKS / folder / f"{stem}.ipynb"
        assert path.stat().st_size < course.LARGEST_NOTEBOOK / 4


def test_they_open_with_the_set_up_cell_of_the_course(solutions, students):
    for notebook in (solutions, students):
        first = next(cell for cell in notebook.cells if cell.cell_type == "code")
        assert first.source == sync.setup_cell()


def test_the_stored_solutions_are_right_and_show_what_to_expect(solutions):
    assert course.faults(solutions) == []
    assert all(printed(check).startswith("Right.") for check in checks_of(solutions))
    solved = [cell for cell in solutions.cells if exercises.is_solution(cell)]
    assert 4 <= len(solved) <= 6
    assert all(cell.outputs for cell in solved)
    figures = [
        output
        for cell in solutions.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert all(len(figure.metadata["image/png"]["alt"]) > 20 for figure in figures)


def test_each_exercise_has_task_solution_check_and_mistake_in_order(solutions):
    order = [
        "mistake"
        if exercises.is_mistake(cell)
        else "solution"
        if exercises.is_solution(cell)
        else "check"
        if exercises.is_check(cell)
        else "task"
        for cell in solutions.cells
        if exercises.is_check(cell)
        or cell.cell_type == "markdown"
        or "nbgrader" in cell.metadata
        or exercises.is_mistake(cell)
    ]
    assert re.fullmatch(r"(task )+((mistake )+solution check (task ?)+){4,6}", " ".join(order))
    tasks = [cell.source for cell in solutions.cells if cell.source.startswith("## Exercise")]
    numbers = [int(re.match(r"## Exercise (\d) · \S", task)[1]) for task in tasks]
    assert numbers == list(range(1, len(tasks) + 1))


# What the checks say


@pytest.fixture(scope="module")
def tried(solutions, students, tmp_path_factory):
    """All checks of a lesson, after the stub, after each typical mistake, after the solution."""
    answers = {cell.id: cell for cell in students.cells if exercises.is_solution(cell)}
    cells, mistakes, expected = [], [], []
    for cell in solutions.cells:
        if exercises.is_mistake(cell):
            mistakes.append(cell)
        elif exercises.is_solution(cell):
            attempts = [answers[cell.id], *mistakes, cell]
            mistakes = []
        elif exercises.is_check(cell):
            for attempt in attempts:
                cells += [copy.deepcopy(attempt), copy.deepcopy(cell)]
                expected.append((cell.metadata.nbgrader.grade_id, attempt))
        else:
            cells.append(copy.deepcopy(cell))
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    path = tmp_path_factory.mktemp("tried") / "01_tried.ipynb"
    nbformat.write(new_notebook(cells=cells, metadata=course.METADATA), path)
    said = checks_of(run_lesson(path).notebook)
    return list(zip(expected, said, strict=True))


def test_a_stub_is_not_right_and_is_told_what_to_do(tried):
    stubs = [(name, printed(said)) for (name, cell), said in tried if "# your code" in cell.source]
    assert len(stubs) >= 4
    for name, text in stubs:
        assert text.startswith("Not yet. Replace the dots by your answer"), (name, text)


def test_a_typical_mistake_gets_its_hint(tried):
    mistakes = [(name, cell, said) for (name, cell), said in tried if exercises.is_mistake(cell)]
    for name, cell, said in mistakes:
        text = printed(said)
        assert text.startswith("Not yet.") and "Points, of" in text, (name, cell.source)
        assert HINT.search(cell.source)[1] in text, (name, cell.source, text)
        assert said.outputs[-1].data["text/plain"] == "0"


def test_a_solution_is_right_and_gets_its_points(tried):
    solved = [(name, said) for (name, cell), said in tried if "BEGIN SOLUTION" in cell.source]
    for name, said in solved:
        assert printed(said).startswith("Right."), (name, printed(said))
        assert said.outputs[-1].data["text/plain"] == str(said.metadata.nbgrader.points)


def test_the_points_in_code_and_metadata_agree(solutions):
    for check in checks_of(solutions):
        assert f"points={check.metadata.nbgrader.points})" in check.source
        assert check.metadata.nbgrader.locked


# The helper


def test_a_check_says_right_and_returns_the_points(capsys):
    assert gh.check_answer(lambda: iter([(True, "a hint")]), points=3) == 3
    assert capsys.readouterr().out == "Right. Points, of 3:\n"


def test_what_a_students_function_returns_is_never_taken_for_a_hint():
    answers = [(0, "jazz"), [False, "jazz"], (None, "jazz"), ("", "jazz")]  # a student's functions'
    assert gh.check_answer(lambda: iter([*answers, (np.bool_(True), "a hint")])) == 1


def test_the_first_hint_is_given_and_the_rest_not_computed(capsys):
    def checks():
        yield True, "first"
        yield False, "Look again."
        raise AssertionError("too far")

    assert gh.check_answer(checks) == 0
    assert capsys.readouterr().out == "Not yet. Look again. Points, of 1:\n"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"count": ...}, "Replace the dots by your answer: count."),
        ({}, "There is no count yet: run the cells above first."),
        ({"count": lambda: ...}, "Replace the dots by your answer: a function still returns them."),
        ({"count": lambda: 1 / 0}, "ZeroDivisionError: division by zero."),
    ],
)
def test_what_cannot_be_checked_is_said_without_a_traceback(answer, said, capsys):
    space: dict = dict(answer)
    exec("def checks():\n    yield count()\n    yield count() > 3, 'more'", space)
    assert gh.check_answer(space["checks"]) == 0
    assert said in capsys.readouterr().out


def test_the_picture_of_a_solution_is_attached_with_its_words():
    solved = nbformat.v4.new_code_cell("plot()", id="drawn")
    data = {"image/png": "aGVsbG8=", "text/plain": "<Figure>"}
    alt = {"image/png": {"alt": "Two bars, the left one higher"}}
    solved.outputs = [nbformat.v4.new_output("display_data", data, metadata=alt)]
    cell = exercises.expected_output(solved)
    assert "![Two bars, the left one higher](attachment:expected-1.png)" in cell.source
    assert cell.attachments == {"expected-1.png": {"image/png": "aGVsbG8="}}


def test_a_page_of_the_site_folds_solutions_and_leaves_checks_out(solutions):
    page = exercises.for_site(solutions)
    tags = Counter(tag for cell in page.cells for tag in cell.metadata.get("tags", []))
    assert tags["hide-input"] == tags["remove-cell"] == len(checks_of(solutions))
    assert not any("BEGIN SOLUTION" in cell.source for cell in page.cells)
    assert not any(exercises.is_mistake(cell) for cell in page.cells)


# Marking


@pytest.fixture(scope="module")
def marked(tmp_path_factory) -> dict[str, object]:
    """A real nbgrader course: marks of a solved, an unsolved and a half-solved submission."""
    folder = tmp_path_factory.mktemp("nbgrader")
    shutil.copy(exercises.NBGRADER_CONFIG, folder)
    for stem in STEMS:
        (folder / "source" / stem).mkdir(parents=True)
        shutil.copy(NOTEBOOKS / "solutions" / f"{stem}.ipynb", folder / "source" / stem)
    for stem in STEMS:
        nbgrader(folder, "generate_assignment", stem)
    lesson = STEMS[0]
    released = nbformat.read(folder / "release" / lesson / f"{lesson}.ipynb", as_version=4)
    for student, n_solved in (("solved", 9), ("half", 3), ("unsolved", 0)):
        place = folder / "submitted" / student / lesson
        place.mkdir(parents=True)
        nbformat.write(solved(released, lesson, n_solved), place / f"{lesson}.ipynb")
    nbgrader(folder, "autograde", lesson)
    nbgrader(folder, "export")
    grades = pd.read_csv(folder / "grades.csv").query("assignment == @lesson")
    return grades.set_index("student_id")[["score", "max_score"]].T.to_dict("list") | {
        "released": sorted(path.stem for path in (folder / "release").glob("*/*.ipynb")),
        "text": "\n".join(cell.source for cell in released.cells),
    }


def nbgrader(folder: Path, *arguments: str) -> None:
    """Run an nbgrader command as a teacher does: in the course's folder, environment active."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = [sys.executable, "-m", "nbgrader", *arguments]
    environment = os.environ | {"PATH": path, "HOME": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def solved(released: nbformat.NotebookNode, stem: str, n_solved: int) -> nbformat.NotebookNode:
    """Return a released notebook with the first exercises solved."""
    solutions = nbformat.read(NOTEBOOKS / "solutions" / f"{stem}.ipynb", as_version=4)
    answers = {c.id: c.source for c in solutions.cells if exercises.is_solution(c)}
    submission = copy.deepcopy(released)
    stubs = [cell for cell in submission.cells if exercises.is_solution(cell)]
    for cell in stubs[:n_solved]:
        cell.source = answers[cell.id]
    return submission


def test_nbgrader_releases_every_lesson_without_solutions_and_mistakes(marked):
    assert marked["released"] == STEMS
    assert "SOLUTION" not in marked["text"] and "Typical mistake" not in marked["text"]
    assert marked["text"].count("# your code here") >= 5


def test_nbgrader_marks_what_is_solved_and_nothing_else(marked):
    lesson = nbformat.read(NOTEBOOKS / "solutions" / f"{STEMS[0]}.ipynb", as_version=4)
    points = [check.metadata.nbgrader.points for check in checks_of(lesson)]
    assert marked["solved"] == [sum(points), sum(points)]
    assert marked["half"] == [sum(points[:3]), sum(points)]
    assert marked["unsolved"] == [0, sum(points)]
