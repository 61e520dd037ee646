"""The runner of the lessons: what it measures, stores and refuses, on tiny notebooks."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import course
import install
import nbformat
import psutil
import pytest
from click.testing import CliRunner, Result
from lessons import (
    LessonError,
    Run,
    kernel_environment,
    lesson_paths,
    read_lesson,
    run_lesson,
    table,
)
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output


def write(folder: Path, *sources: str, name: str = "01_tiny.ipynb", **tags: str) -> Path:
    """Write a notebook with these code cells; `tags` maps a tag to the source it stands on."""
    cells = [new_markdown_cell("# 1 · Tiny?")]
    for source in sources:
        cell_tags = [tag for tag, tagged in tags.items() if tagged == source]
        cells.append(new_code_cell(source, metadata={"tags": cell_tags} if cell_tags else {}))
    path = folder / name
    nbformat.write(new_notebook(cells=cells), path)
    return path


def store(*paths: Path) -> Result:
    return CliRunner().invoke(course.main, ["store", *map(str, paths)])


def test_a_lesson_is_measured_and_its_headline_picked(tmp_path):
    allocate = "import numpy as np\nlarge = np.ones(40_000_000)"  # 320 MB, touched
    headline = "print('accuracy 0.62')\nprint('majority 0.10')"
    path = write(tmp_path, allocate, "import time\ntime.sleep(0.3)", headline, headline=headline)
    before, asked = path.read_bytes(), []
    run = run_lesson(path, on_cell=lambda number, n_cells: asked.append((number, n_cells)))
    assert run.lesson == "01_tiny"
    assert run.headline == "accuracy 0.62 majority 0.10"
    assert 320 < run.peak_megabytes < 1000
    assert 0.3 < run.seconds < 60
    assert asked == [(1, 3), (2, 3), (3, 3)]
    assert path.read_bytes() == before


def test_the_memory_of_child_processes_counts(tmp_path):
    child = "import time; large = bytearray(200_000_000); time.sleep(1)"
    path = write(
        tmp_path, f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}]);"
    )
    assert run_lesson(path).peak_megabytes > 200


def test_a_failing_cell_is_named_with_its_source_and_error(tmp_path):
    path = write(tmp_path, "genres = 10", "genres / 0")
    with pytest.raises(LessonError) as caught:
        run_lesson(path)
    message = str(caught.value)
    assert message.startswith("01_tiny, code cell 2, failed:\n\n    genres / 0\n")
    assert message.endswith("ZeroDivisionError: division by zero")
    assert "\x1b" not in message


def test_a_kernel_that_ends_is_a_failure_of_its_cell(tmp_path):
    path = write(tmp_path, "import os\nos._exit(1)")
    with pytest.raises(LessonError, match=r"code cell 1, failed[\s\S]*The kernel ended"):
        run_lesson(path)


def test_no_kernel_is_left_behind_by_a_failure(tmp_path):
    with pytest.raises(LessonError):
        run_lesson(write(tmp_path, "1 / 0"))
    commands = [" ".join(child.cmdline()) for child in psutil.Process().children(recursive=True)]
    assert not any("ipykernel" in command for command in commands)


def test_a_lesson_runs_in_its_own_folder_with_gtzan_data_found(tmp_path, monkeypatch):
    (tmp_path / "genres").mkdir()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GTZAN_DATA", "genres")
    path = write(tmp_path / "notebooks", "import os\nprint(os.getcwd(), os.environ['GTZAN_DATA'])")
    output = run_lesson(path).notebook.cells[1].outputs[0].text.split()
    assert output == [str(tmp_path / "notebooks"), str(tmp_path / "genres")]


def test_names_of_data_sets_are_no_paths(monkeypatch):
    monkeypatch.setenv("GTZAN_DATA", "mini")
    assert kernel_environment()["GTZAN_DATA"] == "mini"


def test_a_folder_without_lessons_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no lessons"):
        lesson_paths(tmp_path)


def test_the_table_holds_each_lesson_against_its_budget(tmp_path):
    write(tmp_path, "print('done')", name="05_five.ipynb")
    measured = table(tmp_path)
    assert measured["lesson"].tolist() == ["05_five"]
    assert measured["budget (s)"].tolist() == [120]
    assert (measured["seconds"] > 0).all()


def test_stored_bytes_and_ids_are_the_same_each_time(tmp_path, monkeypatch):
    monkeypatch.setenv("GTZAN_DATA", "mini")
    path = write(
        tmp_path, "import os", "print('a')\nprint('b')", "os.environ.get('GTZAN_DATA', 'demo')"
    )
    ids = [cell.id for cell in read_lesson(path).cells]
    assert store(path).exit_code == 0
    first = path.read_bytes()
    assert store(path).exit_code == 0
    assert path.read_bytes() == first
    stored = nbformat.read(path, as_version=4)
    assert [cell.id for cell in stored.cells] == ids
    assert [cell.execution_count for cell in stored.cells[1:]] == [1, 2, 3]
    assert stored.cells[2].outputs[0].text == "a\nb\n"
    assert stored.cells[3].outputs[0].data["text/plain"] == "'demo'"
    assert stored.metadata == course.METADATA


def test_cells_without_ids_of_their_own_get_lasting_ones(tmp_path):
    path = write(tmp_path, "1", "1", "2")
    text = path.read_text(encoding="utf-8")
    first, second, *_ = [cell.id for cell in nbformat.read(path, as_version=4).cells]
    path.write_text(text.replace(first, second), encoding="utf-8")
    ids = [cell.id for cell in read_lesson(path).cells]
    assert ids == [cell.id for cell in read_lesson(path).cells]
    assert len(set(ids)) == 4
    assert ids[0] == second


def test_what_does_not_belong_into_a_notebook_is_refused(tmp_path):
    warning = "import warnings\nwarnings.warn('old')"
    folder = "import os\nprint(os.path.expanduser('~/music'))"
    path = write(tmp_path, "print('~/music')", warning, folder, "object()")
    before = path.read_bytes()
    result = store(path)
    assert result.exit_code == 1
    assert f"{path} is left as it was:" in result.output
    assert "code cell 2 wrote to stderr" in result.output
    assert f"code cell 3 shows {str(Path.home())!r}, which is different" in result.output
    assert "code cell 4 shows 'at 0x" in result.output
    assert "code cell 1 " not in result.output
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_lesson_with_a_failing_cell_is_not_stored(tmp_path):
    path = write(tmp_path, "1 / 0")
    before = path.read_bytes()
    result = store(path)
    assert result.exit_code == 1
    assert "01_tiny, code cell 1, failed" in result.output
    assert path.read_bytes() == before


def test_a_notebook_that_is_too_large_is_refused(tmp_path):
    path = write(tmp_path, "pass")
    notebook = read_lesson(path)
    notebook.cells[1].outputs = [new_output("stream", name="stdout", text="word\n" * 250_000)]
    with pytest.raises(SystemExit, match="2 MB at most"):
        course.store_outputs(Run("01_tiny", 1.0, 1.0, "", notebook), path)


def test_sounds_and_images_are_not_searched_for_paths():
    player = new_output("display_data", {"text/html": '<audio src="data:audio/mp3;base64,/tmp/x">'})
    figure = new_output("display_data", {"image/png": "iVBO/tmp/x", "text/plain": "<Figure>"})
    told = new_output("stream", name="stdout", text="see /tmp/x\n")
    assert not course.machine_fragments(course.output_text(player) + course.output_text(figure))
    assert course.machine_fragments(course.output_text(told)) == ["/tmp"]


FIGURE = """\
import matplotlib.pyplot as plt
from IPython.display import display
figure, axes = plt.subplots()
axes.plot([1, 2])
plt.close(figure)
display(figure, metadata={"image/png": {"alt": "A line that rises"}})"""


SMALL_INDEX = """\
# What genre is this?

{{ lessons }}

```{toctree}
:glob:

notebooks/0*
```
"""


def small_course(folder: Path, monkeypatch: pytest.MonkeyPatch, *sources: str, **tags) -> Path:
    """Point the runner at a course of one lesson, and return where its site will be."""
    (folder / "notebooks").mkdir()
    write(folder / "notebooks", *sources, **tags)
    shutil.copytree(course.DOCS, folder / "docs", ignore=shutil.ignore_patterns("te*.md"))
    (folder / "docs" / "index.md").write_text(SMALL_INDEX, encoding="utf-8")
    shutil.copy(course.ROOT / "pyproject.toml", folder)
    for name in ("notebooks", "docs", "build"):
        monkeypatch.setattr(course, name.upper(), folder / name)
    monkeypatch.setattr(course, "SOLUTIONS", folder / "notebooks" / "solutions")
    return folder / "build" / "site"


def test_the_site_shows_the_executed_lessons_and_loads_nothing_from_elsewhere(
    tmp_path, monkeypatch
):
    hidden = "print('only for the test')"
    write_formula = "from IPython.display import Math\nMath(r'x^2')"
    sources = [FIGURE, hidden, write_formula, "print('accuracy', 6 / 10)"]
    tags = {"headline": sources[-1], "remove-cell": hidden}
    site = small_course(tmp_path, monkeypatch, *sources, **tags)
    result = CliRunner().invoke(course.main, ["run"])
    assert result.exit_code == 0, result.output
    assert re.search(r"01_tiny +\d+ +\d+ MB  accuracy 0\.6\n", result.output)
    assert result.output.endswith("Open build/site/index.html\n")
    page = (site / "notebooks" / "01_tiny.html").read_text(encoding="utf-8")
    assert 'alt="A line that rises"' in page
    assert "<msup>" in page
    assert "only for the test" not in page
    assert re.search(r"the code ran for \d+ s on \d+ cores and took up to 0\.\d GB", page)
    assert "1 · Tiny?" in (site / "index.html").read_text(encoding="utf-8")
    for path in site.rglob("*.html"):
        content = path.read_text(encoding="utf-8")
        assert not re.findall(
            r'<(?:script|link|img|audio)[^>]+(?:src|href)="(?:https?:)?//', content
        )
    assert [one.name for one in sorted((tmp_path / "build").iterdir())] == ["lessons", "site"]


def test_a_failing_lesson_leaves_no_site(tmp_path, monkeypatch):
    site = small_course(tmp_path, monkeypatch, "1 / 0")
    result = CliRunner().invoke(course.main, ["run"])
    assert result.exit_code == 1
    assert "01_tiny, code cell 1, failed" in result.output
    assert "ZeroDivisionError" in result.output
    assert not site.exists()


def test_a_link_that_leads_nowhere_stops_the_site(tmp_path, capfd):
    (tmp_path / "index.md").write_text("# Course\n\n[next](02_missing.ipynb)", encoding="utf-8")
    with pytest.raises(SystemExit, match="could not be rendered"):
        course.render(tmp_path, tmp_path / "site", tmp_path / "doctrees")
    assert "02_missing.ipynb" in capfd.readouterr().err


def test_data_that_are_not_there_stop_the_course_in_one_line(tmp_path, monkeypatch):
    small_course(tmp_path, monkeypatch, "pass")
    monkeypatch.setenv("GTZAN_DATA", str(tmp_path / "nowhere"))
    result = CliRunner().invoke(course.main, ["run"])
    assert result.exit_code == 1
    assert str(tmp_path / "nowhere") in result.output
    assert len(result.output.strip().splitlines()) == 1


def test_a_finished_folder_takes_the_place_of_the_last_one(tmp_path):
    place, work = tmp_path / "site", tmp_path / "work"
    for content in ("first", "second"):
        new = work / "site"
        new.mkdir(parents=True)
        (new / "index.html").write_text(content, encoding="utf-8")
        course.put_in_place(new, place, work)
        assert (place / "index.html").read_text(encoding="utf-8") == content


def test_the_installation_is_current_until_its_sources_change(tmp_path, monkeypatch):
    source, stamp = tmp_path / "pyproject.toml", tmp_path / "installed"
    source.touch()
    monkeypatch.setattr(install, "SOURCES", [source])
    monkeypatch.setattr(install, "INSTALLED", stamp)
    assert not install.is_current()
    stamp.touch()
    assert install.is_current()
    later = stamp.stat().st_mtime + 10
    os.utime(source, (later, later))
    assert not install.is_current()


def test_a_python_that_is_too_old_is_told_so_in_one_line(monkeypatch):
    monkeypatch.setattr(install.sys, "version_info", (3, 9, 1))
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 to 3\.13"):
        install.check_python()
