"""What surrounds the lessons: the runner, the site, environments, workflows, the offline kit."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
import urllib.request
from importlib import metadata
from pathlib import Path
from types import ModuleType

import course
import install
import nbformat
import offline_kit
import psutil
import pytest
import sync
import yaml
from click.testing import CliRunner, Result
from lessons import LessonError, kernel_environment, run_lesson
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]

# What Colab had in February 2026 (pip-freeze.gpu.txt of github.com/googlecolab/backend-info).
COLAB = """
    audioread==3.1.0 click==8.3.1 ipython==7.34.0 jax==0.7.2 joblib==1.5.3 keras==3.10.0
    lazy-loader==0.4 librosa==0.11.0 matplotlib==3.10.0 numpy==2.0.2 packaging==26.0 pandas==2.2.2
    pooch==1.9.0 psutil==5.9.5 scikit-learn==1.6.1 scipy==1.16.3 seaborn==0.13.2 soundfile==0.13.1
    tqdm==4.67.3
"""


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


# Running a lesson


def test_a_lesson_is_measured_and_its_headline_picked(tmp_path):
    child = "import time; large = bytearray(400_000_000); time.sleep(1)"
    allocate = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}]);"
    headline = "print('accuracy 0.62')\nprint('majority 0.10')"
    path = write(tmp_path, allocate, headline, headline=headline)
    before, cells = path.read_bytes(), []
    run = run_lesson(path, on_cell=lambda number, n_cells: cells.append((number, n_cells)))
    assert (run.lesson, run.headline) == ("01_tiny", "accuracy 0.62 majority 0.10")
    assert 400 < run.peak_megabytes < 1000  # of the kernel and of the process it started
    assert 1 < run.seconds < 60
    assert cells == [(1, 2), (2, 2)]
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("source", "message"),
    [("genres / 0", "ZeroDivisionError"), ("import os\nos._exit(1)", "kernel")],
)
def test_a_failing_cell_is_named_with_its_source_and_error(source, message, tmp_path):
    path = write(tmp_path, "genres = 10", source)
    before = path.read_bytes()
    with pytest.raises(LessonError, match=message) as caught:
        run_lesson(path)
    for part in ("01_tiny, code cell 2", source.splitlines()[-1]):
        assert part in str(caught.value)
    assert "\x1b" not in str(caught.value)
    commands = [" ".join(child.cmdline()) for child in psutil.Process().children(recursive=True)]
    assert not any("ipykernel" in command for command in commands)
    result = store(path)
    assert result.exit_code == 1 and "01_tiny, code cell 2" in result.output
    assert path.read_bytes() == before


def test_a_lesson_runs_in_its_own_folder_with_gtzan_data_found(tmp_path, monkeypatch):
    (tmp_path / "genres").mkdir()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GTZAN_DATA", "genres")
    path = write(tmp_path / "notebooks", "import os\nprint(os.getcwd(), os.environ['GTZAN_DATA'])")
    output = run_lesson(path).notebook.cells[1].outputs[0].text.split()
    assert output == [str(tmp_path / "notebooks"), str(tmp_path / "genres")]
    monkeypatch.setenv("GTZAN_DATA", "mini")  # the name of a data set, not a path
    assert kernel_environment()["GTZAN_DATA"] == "mini"


# Storing outputs


def test_stored_bytes_are_the_same_each_time_and_every_cell_has_its_own_id(tmp_path, monkeypatch):
    monkeypatch.setenv("GTZAN_DATA", "mini")  # nothing to the stored lessons: they use the demo
    path = write(tmp_path, "print('a')\nprint('b')", "import os\nos.environ.get('GTZAN_DATA', 1)")
    cells = nbformat.read(path, as_version=4).cells
    text = path.read_text(encoding="utf-8").replace(cells[1].id, cells[0].id)
    path.write_text(text, encoding="utf-8")
    assert store(path).exit_code == 0
    first = path.read_bytes()
    assert store(path).exit_code == 0
    assert path.read_bytes() == first
    stored = nbformat.read(path, as_version=4)
    kept, made, other = [cell.id for cell in stored.cells]
    assert (kept, other) == (cells[0].id, cells[2].id) and made not in (kept, other)
    assert [cell.execution_count for cell in stored.cells[1:]] == [1, 2]
    assert stored.cells[1].outputs[0].text == "a\nb\n"
    assert stored.cells[2].outputs[0].data["text/plain"] == "1"
    assert stored.metadata == course.METADATA


def test_what_does_not_belong_into_a_notebook_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(course, "LARGEST_NOTEBOOK", 1000)
    warning = "import warnings\nwarnings.warn('old')"
    folder = "import os\nprint(os.path.expanduser('~/music'))"
    path = write(tmp_path, "print('~/music')", warning, folder, "object()")
    before = path.read_bytes()
    result = store(path)
    assert result.exit_code == 1
    shown = f"code cell 3 shows {str(Path.home())!r}"
    for part in (str(path), "code cell 2", shown, "code cell 4", "the file would be"):
        assert part in result.output
    assert "code cell 1 " not in result.output
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# The site

FIGURE = """\
import matplotlib.pyplot as plt
from IPython.display import display
figure, axes = plt.subplots()
plt.close(figure)
display(figure, metadata={"image/png": {"alt": "A line that rises"}})"""
INDEX = "# What genre is this?\n\n{{ lessons }}\n\n```{toctree}\n:glob:\n\nnotebooks/0*\n```\n"


def small_course(folder: Path, monkeypatch: pytest.MonkeyPatch, *sources: str, **tags) -> Path:
    """Point the runner at a course of one lesson, and return where its site will be."""
    (folder / "notebooks").mkdir()
    write(folder / "notebooks", *sources, **tags)
    shutil.copytree(course.DOCS, folder / "docs", ignore=shutil.ignore_patterns("te*.md"))
    (folder / "docs" / "index.md").write_text(INDEX, encoding="utf-8")
    for name in ("notebooks", "docs", "build"):
        monkeypatch.setattr(course, name.upper(), folder / name)
    monkeypatch.setattr(course, "SOLUTIONS", folder / "notebooks" / "solutions")
    shutil.copy(course.ROOT / "pyproject.toml", folder)
    return folder / "build" / "site"


def test_the_site_shows_the_executed_lessons_and_loads_nothing_from_elsewhere(
    tmp_path, monkeypatch
):
    hidden = "print('only for the test')"
    formula = "from IPython.display import Math\nMath(r'x^2')"
    sources = [FIGURE, hidden, formula, "print('accuracy', 6 / 10)"]
    tags = {"headline": sources[-1], "remove-cell": hidden}
    site = small_course(tmp_path, monkeypatch, *sources, **tags)
    site.mkdir(parents=True)
    (site / "old.html").touch()
    result = CliRunner().invoke(course.main, ["run"])
    assert result.exit_code == 0, result.output
    assert re.search(r"01_tiny +\d+ +20 +\d+ MB  accuracy 0\.6\n", result.output)
    page = (site / "notebooks" / "01_tiny.html").read_text(encoding="utf-8")
    assert 'alt="A line that rises"' in page
    assert "<msup>" in page
    assert "only for the test" not in page
    assert re.search(r"the code ran for \d+ s on \d+ cores and took up to 0\.\d GB", page)
    assert "1 · Tiny?" in (site / "index.html").read_text(encoding="utf-8")
    elsewhere = re.compile(r'<(?:script|link|img|audio)[^>]+(?:src|href)="(?:https?:)?//')
    assert not any(elsewhere.search(one.read_text("utf-8")) for one in site.rglob("*.html"))
    assert [one.name for one in sorted((tmp_path / "build").iterdir())] == ["lessons", "site"]
    assert not (site / "old.html").exists()


def test_a_failing_lesson_or_missing_data_leave_no_site(tmp_path, monkeypatch):
    site = small_course(tmp_path, monkeypatch, "1 / 0")
    result = CliRunner().invoke(course.main, ["run"])
    assert result.exit_code == 1 and "01_tiny, code cell 1" in result.output
    monkeypatch.setenv("GTZAN_DATA", str(tmp_path / "nowhere"))
    result = CliRunner().invoke(course.main, ["run"])
    assert result.exit_code == 1 and str(tmp_path / "nowhere") in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert not site.exists()


def test_a_link_that_leads_nowhere_stops_the_site(tmp_path, capfd):
    (tmp_path / "index.md").write_text("# Course\n\n[next](02_missing.ipynb)", encoding="utf-8")
    with pytest.raises(SystemExit):
        course.render(tmp_path, tmp_path / "site", tmp_path / "doctrees")
    assert "02_missing.ipynb" in capfd.readouterr().err


# What follows from the repository's address


def test_another_address_reaches_readme_and_every_notebook_and_the_picture_its_cell(tmp_path):
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    (tmp_path / "docs").mkdir()
    assert list(sync.drifted(tmp_path)) == [tmp_path / "docs" / "picture.png"]
    project = tmp_path / "pyproject.toml"
    moved = project.read_text("utf-8").replace(sync.repository(), "someone/music-course")
    project.write_text(moved, encoding="utf-8")
    changed = sync.drifted(tmp_path)
    assert changed.pop(tmp_path / "docs" / "picture.png").startswith(b"\x89PNG")
    assert set(changed) == {tmp_path / "README.md", *tmp_path.rglob("0*.ipynb")}
    for path, content in changed.items():
        assert b"someone/music-course" in content, path
        assert sync.repository().encode() not in content, path


def test_the_address_stands_nowhere_else():
    folders = ("gtzan_helpers", "benchmarks", "docs", "tools", "tests", ".github", "notebooks")
    files = [*ROOT.glob("*.*"), *(path for name in folders for path in (ROOT / name).rglob("*.*"))]
    kinds = {".py", ".pyi", ".md", ".yml", ".txt", ".mjs", ".ipynb"}
    texts = {path: path.read_text("utf-8") for path in files if path.suffix in kinds}
    assert [p for p, text in texts.items() if sync.repository() in sync.ADDRESS.sub("", text)] == []


# Environments


def pins() -> dict[str, list[Requirement]]:
    """Return what constraints.txt holds; a package may be pinned once per Python version."""
    found: dict[str, list[Requirement]] = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def test_constraints_pin_everything_that_gets_installed():
    """Walk from the package through what is installed here to everything that it pulls in."""
    pinned = pins()
    waiting, seen = [("gtzan-helpers", extra) for extra in ("", *EXTRAS)], set()
    while waiting:
        package, extra = waiting.pop()
        seen.add((package, extra))
        for requirement in map(Requirement, metadata.requires(package) or []):
            if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
                continue
            name = canonicalize_name(requirement.name)
            here = [pin for pin in pinned.get(name, []) if not pin.marker or pin.marker.evaluate()]
            assert len(here) == 1, f"{name}, needed by {package}: run `make lock`"
            assert re.search("==[^*]+$", str(here[0].specifier)), here[0]
            waiting += {(name, one) for one in ("", *requirement.extras)} - seen
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert "://" not in text and "--index" not in text  # it names no server


def test_binder_and_colab_find_what_they_need():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    python, _, pip = environment["dependencies"]
    assert python.removeprefix("python=") in SpecifierSet(PROJECT["requires-python"])
    assert pip["pip"] == ["-c constraints.txt", "-e .[lab]"] and "lab" in EXTRAS
    colab = dict(pin.split("==") for pin in COLAB.split())
    for requirement in map(Requirement, PROJECT["dependencies"]):
        assert colab[requirement.name] in requirement.specifier  # Colab keeps what it has


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


def test_a_python_that_is_too_old_gets_one_line(monkeypatch):
    monkeypatch.setattr(install.sys, "version_info", (3, 9, 1))
    with pytest.raises(SystemExit, match=r"3\.11 to 3\.13"):
        install.check_python()


# Commands and workflows


def test_commands_in_texts_and_workflows_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):.*##", makefile, re.MULTILINE))
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "docs" / "teach.md"]
    for path in [*pages, *(ROOT / ".github").rglob("*.yml")]:
        text = path.read_text(encoding="utf-8")
        assert set(re.findall(r"(?:^|run: |`)make ([a-z-]+)", text, re.MULTILINE)) <= targets, path
        for script in re.findall(r"(?:python3?|py) (\S+\.py)", text):
            assert (ROOT / script).exists() or (offline_kit.TEMPLATES / script).exists(), script
        for module in re.findall(r"-m (benchmarks\.\w+)", text):
            assert importlib.util.find_spec(module), module


def test_readme_and_workflows_run_the_same_tests_as_make():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (command,) = re.findall(r"-m (pytest .* notebooks)$", makefile, re.MULTILINE)
    for name in ("README.md", ".github/workflows/test.yml", ".github/workflows/weekly.yml"):
        assert command in (ROOT / name).read_text(encoding="utf-8"), name


def test_workflows_may_only_read_end_in_time_and_cover_what_is_supported():
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert workflow["permissions"] == {"contents": "read"}
        assert all(job["timeout-minutes"] <= 60 for job in workflow["jobs"].values())
    text = (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
    matrix = yaml.safe_load(text)["jobs"]["test"]["strategy"]["matrix"]
    pythons = [f"3.{minor}" for minor in range(8, 20)]
    assert matrix["python"] == list(SpecifierSet(PROJECT["requires-python"]).filter(pythons))
    assert [name.partition("-")[0] for name in matrix["os"]] == ["ubuntu", "macos", "windows"]
    form = (ROOT / ".github" / "ISSUE_TEMPLATE" / "lesson.yml").read_text(encoding="utf-8")
    lessons = re.findall(r"- (\d) · ", form)
    assert len(lessons) == len(list((ROOT / "notebooks").glob("0*.ipynb")))


# The offline kit


@pytest.fixture
def start(tmp_path) -> ModuleType:
    """The start script of a kit without wheels for this machine, as a module."""
    folder = tmp_path / "kit"
    for name in ("notebooks", "notebooks/exercises", "wheels"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name in ("01_explore_the_data.ipynb", "exercises/01_explore_the_data.ipynb"):
        (folder / "notebooks" / name).write_text("{}")
    shutil.copy(offline_kit.TEMPLATES / "start.py", folder)
    (folder / "kit.json").write_text(json.dumps(offline_kit.description(folder)))
    spec = importlib.util.spec_from_file_location("start", folder / "start.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_wrong_machine_or_a_full_disk_is_named_before_the_installation(
    start, tmp_path, monkeypatch
):
    kit = offline_kit.description(tmp_path)
    start.check_machine(kit)
    with pytest.raises(SystemExit, match=r"Python 3\.99"):
        start.check_machine(kit | {"python": [3, 99]})
    with pytest.raises(SystemExit, match=r"Plan9 \(vax\)"):
        start.check_machine(kit | {"system": "Plan9", "machine": "vax"})
    monkeypatch.setattr(start, "NEEDED", 1e9)
    with pytest.raises(SystemExit, match="GB free"):
        start.check_disk(tmp_path)


def test_notebooks_are_copied_once_and_work_in_them_stays(start, tmp_path):
    start.copy_notebooks(tmp_path)
    lesson = tmp_path / "notebooks" / "01_explore_the_data.ipynb"
    lesson.write_text("my work")
    exercise = tmp_path / "notebooks" / "exercises" / "01_explore_the_data.ipynb"
    exercise.unlink()
    start.copy_notebooks(tmp_path)
    assert lesson.read_text() == "my work"
    assert exercise.exists()


def test_a_place_where_nothing_can_be_written_is_named_in_one_line(start, tmp_path):
    place = tmp_path / "a file"
    place.write_text("")
    command = [sys.executable, start.__file__, "--folder", str(place)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert str(place) in done.stderr and "--folder FOLDER" in done.stderr
    assert "Traceback" not in done.stderr


def test_only_the_teachers_kit_holds_solutions(tmp_path):
    offline_kit.copy_notebooks(tmp_path / "students")
    offline_kit.copy_notebooks(tmp_path / "teacher", solutions=True)
    stems = [path.name for path in (ROOT / "notebooks").glob("0*.ipynb")]
    for folder in ("students", "students/exercises", "teacher/solutions"):
        assert {path.name for path in (tmp_path / folder).glob("*.ipynb")} == set(stems)
    assert not (tmp_path / "students" / "solutions").exists()


def test_a_failure_leaves_the_last_kit_as_it_was(tmp_path, monkeypatch):
    def no_network(*_):
        raise subprocess.CalledProcessError(1, "pip")

    monkeypatch.setattr(offline_kit, "BUILD", tmp_path)
    monkeypatch.setattr(offline_kit, "gather_wheels", no_network)
    (tmp_path / "offline-kit").mkdir()
    (tmp_path / "offline-kit" / "kit.json").write_text("old")
    with pytest.raises(SystemExit):
        offline_kit.main()
    assert (tmp_path / "offline-kit" / "kit.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["offline-kit"]


# With all wheels, and no network (make offline-test)


def without_network() -> list[str]:
    """Return what comes before a command that is to find no network but this machine's own."""
    alone = ["unshare", "--net", "--", "sh", "-c", 'ip link set lo up && exec "$@"', "alone"]
    if shutil.which("unshare") and shutil.which("ip"):
        done = subprocess.run([*alone, "true"], capture_output=True)
        return alone if done.returncode == 0 else []
    return []


def alone_in(home: Path) -> dict[str, str]:
    """Return an environment with the package index switched off and a home of its own."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "PIP_INDEX_URL"), "http://127.0.0.1:9")
    switched_off = {"PIP_NO_INDEX": "1", "PIP_NO_CACHE_DIR": "1"}
    return kept | nowhere | switched_off | {"HOME": str(home), "USERPROFILE": str(home)}


def logged(log: Path, pattern: str, process: subprocess.Popen, seconds: float) -> str:
    """Wait until a process has written something into its log, and return it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := re.search(pattern, log.read_text(encoding="utf-8")):
            return found[0]
        assert process.poll() is None, log.read_text(encoding="utf-8")
        time.sleep(0.2)
    raise AssertionError(log.read_text(encoding="utf-8"))


@pytest.mark.offline
def test_the_kit_ends_in_lesson_1_and_runs_it_with_the_network_switched_off(tmp_path):
    offline_kit.main()
    kit, home, log = tmp_path / "stick" / "kit", tmp_path / "home", tmp_path / "log"
    shutil.copytree(offline_kit.BUILD / "offline-kit", kit)
    home.mkdir()
    alone, environment = without_network(), alone_in(home)
    print("network:", "none at all" if alone else "there, but index and proxies lead nowhere")
    base = Path(sys.base_prefix, "python.exe" if os.name == "nt" else "bin/python3")
    command = [*alone, str(base), str(kit / "start.py"), "--no-browser", "--port=0"]
    if os.name != "nt" and os.geteuid() == 0:
        command.append("--allow-root")
    for _ in ("first", "second"):
        with log.open("w") as out:
            lab = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)
        try:
            address = logged(log, r"http://localhost:\d+/lab/tree/\S+", lab, 240)
            assert "01_explore_the_data.ipynb" in address
            if not alone:  # another network cannot be looked into
                assert urllib.request.urlopen(address, timeout=30).status == 200
        finally:
            parent = psutil.Process(lab.pid)
            for process in [*parent.children(recursive=True), parent]:
                process.terminate()
            lab.wait(30)
    folder = home / "gtzan-course"
    inside = "Scripts/python.exe" if os.name == "nt" else "bin/python"
    lesson = folder / "notebooks" / "01_explore_the_data.ipynb"
    python = str(folder / "environment" / inside)
    nbconvert = [python, "-m", "nbconvert", "--to", "notebook", "--execute", "--inplace"]
    command = [*alone, *nbconvert, str(lesson)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    cells = json.loads(lesson.read_text(encoding="utf-8"))["cells"]
    assert any("tracks usable" in str(cell.get("outputs")) for cell in cells)
    shutil.rmtree(tmp_path)  # two gigabytes
