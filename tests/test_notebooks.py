"""The lessons as they are stored: complete, in order, readable by everyone, not too long."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import course
import nbformat
import pytest
import sync
from lessons import run_lesson

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
LESSONS = [
    "01_explore_the_data",
    "02_extract_features",
    "03_dense_network",
    "04_slice_waveforms",
    "05_cnn_1d",
    "06_compare_and_use",
]
TAGS = {"setup", "headline", "picture", "check", "nbval-check-output", "remove-cell"}


@pytest.fixture(scope="module", params=LESSONS)
def path(request) -> Path:
    return NOTEBOOKS / f"{request.param}.ipynb"


@pytest.fixture(scope="module")
def lesson(path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(lesson: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in lesson.cells if cell.cell_type == "code"]


def tagged(lesson: nbformat.NotebookNode, tag: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in lesson.cells if tag in cell.metadata.get("tags", [])]


def words(lesson: nbformat.NotebookNode) -> int:
    text = "\n".join(cell.source for cell in lesson.cells if cell.cell_type == "markdown")
    return len(text.split())


def test_there_are_the_six_lessons_and_no_others():
    assert [path.stem for path in sorted(NOTEBOOKS.glob("*.ipynb"))] == LESSONS


def test_it_is_a_valid_notebook_with_a_lasting_id_in_every_cell(path, lesson):
    raw = json.loads(path.read_text(encoding="utf-8"))
    ids = [cell["id"] for cell in raw["cells"]]
    assert len(set(ids)) == len(ids)
    nbformat.validate(lesson)
    assert raw["metadata"] == course.METADATA


def test_every_code_cell_was_run_in_order(lesson):
    counts = [cell.execution_count for cell in code_cells(lesson)]
    assert counts == list(range(1, len(counts) + 1))


def test_no_warnings_errors_or_machine_paths_are_stored(lesson):
    assert course.faults(lesson) == []


def test_the_file_is_small_enough(path):
    assert path.stat().st_size <= course.LARGEST_NOTEBOOK


def test_every_figure_says_what_it_shows(lesson):
    figures = [
        (cell.execution_count, output.metadata.get("image/png", {}).get("alt", ""))
        for cell in code_cells(lesson)
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    assert figures
    assert [number for number, alt in figures if len(alt) < 20] == []


def test_it_opens_with_the_set_up_cell_of_the_course(lesson):
    first = code_cells(lesson)[0]
    assert first.source == sync.setup_cell()
    assert tagged(lesson, "setup") == [first]


def test_one_cell_prints_the_headline_result(lesson):
    (cell,) = tagged(lesson, "headline")
    assert any(output.get("name") == "stdout" for output in cell.outputs)


def test_its_tags_are_known_ones(lesson):
    assert {tag for cell in lesson.cells for tag in cell.metadata.get("tags", [])} <= TAGS


def test_some_outputs_are_compared_exactly(lesson):
    assert tagged(lesson, "nbval-check-output")


def test_it_opens_with_a_question_goals_and_minutes(path, lesson):
    opening = lesson.cells[0].source
    assert re.match(rf"# {int(path.stem[:2])} · .+\?\n", opening)
    assert "you can" in opening
    assert re.search(r"\*\*About \d+ minutes\.?\*\*", opening)


def test_it_ends_with_what_to_remember_to_try_and_what_comes_next(lesson):
    end = "\n".join(cell.source for cell in lesson.cells[-4:] if cell.cell_type == "markdown")
    assert "To remember" in end
    assert re.search(r"\btry\b", end, re.IGNORECASE)


def test_cells_are_short_and_text_is_not_too_long(lesson):
    long = [cell.execution_count for cell in code_cells(lesson) if cell.source.count("\n") >= 25]
    assert long == []
    assert words(lesson) <= 2000


def test_text_and_code_take_turns(lesson):
    texts = [cell for cell in lesson.cells if cell.cell_type == "markdown"]
    assert len(lesson.cells) >= 30
    assert 0.35 <= len(texts) / len(lesson.cells) <= 0.65


# A lesson on other data than the demo


def test_lesson_3_needs_no_more_than_the_published_features(real_data, tmp_path, monkeypatch):
    shutil.copytree(real_data / "sturm", tmp_path / "sturm")
    monkeypatch.setenv("GTZAN_CACHE", str(tmp_path))
    monkeypatch.setenv("GTZAN_FEATURES", str(real_data / "features_30_sec.csv"))
    run = run_lesson(NOTEBOOKS / "03_dense_network.ipynb")
    printed = "".join(
        output.get("text", "") for cell in code_cells(run.notebook) for output in cell.outputs
    )
    assert "985 usable tracks of 1000" in printed
    assert re.search(r"Burning Spear +9 +1 +7", printed)  # the published split shares artists
    assert "divided by artist: 0 known artists in several parts" in printed
