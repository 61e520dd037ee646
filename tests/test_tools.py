"""What surrounds the lessons: the runner, the site, environments, workflows, the offline kit."""

import functools
import http.server
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import tomllib
import urllib.request
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import course
import cut_songs
import install
import nbformat
import numpy as np
import offline_kit
import pandas as pd
import psutil
import pytest
import soundfile as sf
import sync
import yaml
from click.testing import CliRunner
from lessons import (
    LessonError,
    compile_librosa,
    kernel_environment,
    lesson_paths,
    run_lesson,
    table,
)
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from offline import start
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = ROOT / ".github" / "workflows"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINS = [
    Requirement(line)
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]
# What Colab had in August 2026 (pip-freeze.txt of github.com/googlecolab/backend-info).
COLAB = """
    audioread==3.1.0 click==8.4.2 ipython==7.34.0 jax==0.7.2 joblib==1.5.3 keras==3.13.2
    lazy-loader==0.5 librosa==0.11.0 matplotlib==3.10.0 numpy==2.1.3 packaging==26.3 pandas==2.2.3
    pooch==1.9.0 psutil==5.9.5 scikit-learn==1.6.1 scipy==1.16.3 seaborn==0.13.2 soundfile==0.14.0
    tqdm==4.67.3
"""


def write(folder, *sources, **tags):
    """Write a notebook with these code cells; `tags` maps a tag to the source it stands on."""
    cells = [new_markdown_cell("# 1 · Tiny?")]
    for source in sources:
        metadata = {"tags": [tag for tag, tagged in tags.items() if tagged == source]}
        cells.append(new_code_cell(source, metadata=metadata))
    path = folder / "01_tiny.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    return path


def call(*arguments):
    return CliRunner().invoke(course.main, list(map(str, arguments)))


# Running a lesson


def test_a_lesson_is_measured_and_its_headline_picked(tmp_path):
    child = "import time; large = bytearray(400_000_000); time.sleep(1)"
    allocate = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}]);"
    headline = "import os\nprint('accuracy 0.62')\nprint('in', os.getcwd())"
    path = write(tmp_path, allocate, headline, headline=headline)
    before, cells = path.read_bytes(), []
    run = run_lesson(path, on_cell=lambda number, n_cells: cells.append((number, n_cells)))
    assert (run.lesson, run.headline) == ("01_tiny", f"accuracy 0.62 in {tmp_path}")
    assert 400 < run.peak_megabytes < 1000  # of the kernel and of the process it started
    assert 1 < run.seconds < 60
    assert cells == [(1, 2), (2, 2)]
    assert path.read_bytes() == before
    assert re.search(r"01_tiny +\d+ +60 +\d+ MB  accuracy 0\.62", table([run], 0))


@pytest.mark.parametrize(
    ("source", "message"),
    [("genres / 0", "ZeroDivisionError"), ("import os\nos._exit(1)", "kernel")],
)
def test_a_failing_cell_is_named_with_its_source_and_error(source, message, tmp_path):
    with pytest.raises(LessonError, match=message) as caught:
        run_lesson(write(tmp_path, "genres = 10", source))
    for part in ("01_tiny, code cell 2", source.splitlines()[-1]):
        assert part in str(caught.value)
    assert "\x1b" not in str(caught.value)
    commands = [" ".join(child.cmdline()) for child in psutil.Process().children(recursive=True)]
    assert not any("ipykernel" in command for command in commands)


def test_a_lessons_kernel_finds_gtzan_data_from_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, found in ((".", str(tmp_path)), ("mini", "mini")):  # a path, and not a path
        monkeypatch.setenv("GTZAN_DATA", name)
        assert kernel_environment()["GTZAN_DATA"] == found


# Storing outputs


def test_stored_bytes_are_the_same_each_time_and_every_cell_has_its_own_id(tmp_path, monkeypatch):
    monkeypatch.setenv("GTZAN_DATA", "mini")  # nothing to the stored lessons: they use the demo
    path = write(tmp_path, "print('a')\nprint('b')", "import os\nos.environ.get('GTZAN_DATA', 1)")
    ids = [cell.id for cell in nbformat.read(path, as_version=4).cells]
    path.write_text(path.read_text("utf-8").replace(ids[1], ids[0]), encoding="utf-8")
    assert call("store", path).exit_code == 0
    first = path.read_bytes()
    assert call("store", path).exit_code == 0
    assert path.read_bytes() == first
    stored = nbformat.read(path, as_version=4)
    kept, made, other = [cell.id for cell in stored.cells]
    assert [kept, other] == [ids[0], ids[2]] and made not in (kept, other)
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
    result = call("store", path)
    shown = f"code cell 3 shows {str(Path.home())!r}"
    for part in (str(path), "code cell 2", shown, "code cell 4", "the file would be"):
        assert part in result.output
    assert result.exit_code == 1 and "code cell 1 " not in result.output
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


# The site


def test_the_site_shows_the_executed_lessons_and_loads_nothing_from_elsewhere(site):
    pages = {path.stem: path.read_text("utf-8") for path in site.glob("*.html")}
    pages |= {path.stem: path.read_text("utf-8") for path in site.glob("notebooks/0*.html")}
    assert "old" not in pages
    assert sorted(path.name for path in site.parent.iterdir()) == ["lessons", "site"]
    for path in lesson_paths(ROOT / "notebooks"):
        page, cells = pages[path.stem], nbformat.read(path, as_version=4).cells
        assert re.search(r"the code ran for 12 s on \d+ cores.* and took up to 1\.3 GB", page)
        assert cells[0].source.partition("\n")[0].removeprefix("# ") in pages["index"]
        assert page.count('alt="') >= str(cells).count("'alt'") > 0
        assert "For maintainers" in str(cells) and "For maintainers" not in page
    assert "<math" in pages["06_slice_waveforms"]
    elsewhere = re.compile(r'<(?:script|link|img|audio)[^>]+(?:src|href)="(?:https?:)?//')
    assert not any(elsewhere.search(page) for page in pages.values())


def test_a_failing_lesson_or_missing_data_leave_no_site(tmp_path, monkeypatch):
    write(tmp_path, "1 / 0")
    monkeypatch.setattr(course, "NOTEBOOKS", tmp_path)
    monkeypatch.setattr(course, "BUILD", tmp_path / "build")
    result = call("run")
    assert result.exit_code == 1 and "01_tiny, code cell 1" in result.output
    monkeypatch.setenv("GTZAN_DATA", str(tmp_path / "nowhere"))
    result = call("run")
    assert result.exit_code == 1 and str(tmp_path / "nowhere") in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert not list((tmp_path / "build").iterdir())


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
    pictures = [tmp_path / "docs" / f"{name}.png" for name in ("leak", "real")]
    assert list(sync.drifted(tmp_path)) == pictures
    project = tmp_path / "pyproject.toml"
    moved = project.read_text("utf-8").replace(sync.repository(), "someone/music-course")
    project.write_text(moved, encoding="utf-8")
    changed = sync.drifted(tmp_path)
    assert all(changed.pop(picture).startswith(b"\x89PNG") for picture in pictures)
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


# The songs


def test_a_song_is_cut_to_its_loudest_part_around_its_mean_and_stored_as_the_same_bytes(
    tmp_path, monkeypatch
):
    rate, rng = cut_songs.SAMPLE_RATE, np.random.default_rng(0)
    loudness = np.repeat([0.9, 0.02, 0.2, 0.02], [rate, 6 * rate, 30 * rate, 5 * rate])
    long = 0.3 + loudness * rng.uniform(-0.7, 0.7, len(loudness))
    for song, samples in (("long", long), ("short", rng.uniform(-0.5, 0.5, 2 * rate))):
        sf.write(tmp_path / f"{song}.ogg", samples, rate)
        (tmp_path / f"{song}.txt").write_text("Free for all.\n", encoding="utf-8")
    (tmp_path / "songs").mkdir()
    monkeypatch.setattr(cut_songs, "SONGS", tmp_path / "songs")
    (cut_songs.SONGS / "songs.csv").write_text("song,by,changed\nlong,A\nshort,B\n", "utf-8")
    made = []
    for _ in range(2):
        done = CliRunner().invoke(cut_songs.main, [str(tmp_path)])
        assert done.exit_code == 0, done.output
        made.append({path.name: path.read_bytes() for path in cut_songs.SONGS.iterdir()})
    assert made[0] == made[1]
    songs = pd.read_csv(cut_songs.SONGS / "songs.csv").set_index("song")
    assert songs.loc["long", "changed"].startswith("Cut to 30 s from 7 s on of the copy")
    assert songs.loc["long", "changed"].endswith("22 050 Hz, its constant offset taken away")
    assert songs.loc["short", "changed"].startswith("All 2.0 s of the copy")
    assert songs["by"].tolist() == ["A", "B"] and songs["sha256"].str.len().eq(64).all()
    text = (cut_songs.SONGS / "long.txt").read_text("utf-8")
    assert text == f"Free for all.\n{songs.loc['long', 'changed']}.\n"
    samples, _ = sf.read(cut_songs.SONGS / "long.ogg")
    assert len(samples) == 30 * rate and abs(samples.mean()) < 1e-3
    assert abs(samples[:20]).max() < 0.01 < samples[rate : 2 * rate].std()


# Environments


def test_librosa_is_compiled_once_before_two_processes_need_it(tmp_path, monkeypatch):
    """A package of that name which says when it is loaded, and as a whole, stands in for it."""
    (tmp_path / "librosa").mkdir()
    said = tmp_path / "said"
    program = f"import os\nopen({str(said)!r}, 'a').write(os.environ['EAGER_IMPORT'])"
    (tmp_path / "librosa/__init__.py").write_text(program)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "librosa", raising=False)
    compile_librosa()
    assert said.read_text() == "1"
    compiled = tmp_path / "librosa/__pycache__/beat.__dp_backtrack-686.py311.nbi"
    compiled.parent.mkdir(exist_ok=True)
    compiled.touch()
    compile_librosa()
    assert said.read_text() == "1"


def test_constraints_pin_everything_that_gets_installed():
    """Walk from the package through what is installed here to everything that it pulls in."""
    pinned = {
        canonicalize_name(pin.name): str(pin.specifier)
        for pin in PINS  # a package may be pinned once per Python version
        if not pin.marker or pin.marker.evaluate()
    }
    extras = ["", *PROJECT["optional-dependencies"]]
    waiting, seen = [("gtzan-helpers", extra) for extra in extras], set()
    while waiting:
        package, extra = waiting.pop()
        seen.add((package, extra))
        for requirement in map(Requirement, metadata.requires(package) or []):
            if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
                continue
            name = canonicalize_name(requirement.name)
            assert re.fullmatch("==[^*]+", pinned[name]), f"{name}: run `make lock`"
            waiting += {(name, one) for one in ("", *requirement.extras)} - seen
    assert not any(pin.url for pin in PINS)  # they name no server


def test_binder_and_colab_find_what_they_need():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    python, _, pip = environment["dependencies"]
    assert python.removeprefix("python=") in SpecifierSet(PROJECT["requires-python"])
    assert pip["pip"] == ["-c constraints.txt", "-e .[lab]"]
    colab = dict(pin.split("==") for pin in COLAB.split())
    for requirement in map(Requirement, PROJECT["dependencies"]):
        assert colab[requirement.name] in requirement.specifier  # Colab keeps what it has


def test_a_python_that_is_too_old_gets_one_line(monkeypatch):
    monkeypatch.setattr(install.sys, "version_info", (3, 9, 1))
    with pytest.raises(SystemExit, match=r"3\.11 to 3\.13"):
        install.check_python()


# Commands and workflows


def test_commands_in_texts_and_workflows_exist_and_run_the_same_tests_as_make():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):.*##", makefile, re.MULTILINE))
    (tests,) = re.findall(r"-m (pytest .* notebooks tests)$", makefile, re.MULTILINE)
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "docs" / "teach.md"]
    for path in [*pages, *(ROOT / ".github").rglob("*.yml")]:
        text = path.read_text(encoding="utf-8")
        assert set(re.findall(r"(?:^|run: |`)make ([a-z-]+)", text, re.MULTILINE)) <= targets, path
        for script in re.findall(r"(?:python3?|py) (\S+\.py)", text):
            assert (ROOT / script).exists() or (offline_kit.TEMPLATES / script).exists(), script
        for module in re.findall(r"-m (benchmarks\.\w+)", text):
            assert importlib.util.find_spec(module), module
        if path.name == "README.md" or path.parent == WORKFLOWS:
            assert tests in text, path


def test_workflows_may_only_read_end_in_time_and_cover_what_is_supported():
    workflows = {path.stem: yaml.safe_load(path.read_bytes()) for path in WORKFLOWS.glob("*.yml")}
    for workflow in workflows.values():
        assert workflow["permissions"] == {"contents": "read"}
        assert all(job["timeout-minutes"] <= 60 for job in workflow["jobs"].values())
    matrix = workflows["test"]["jobs"]["test"]["strategy"]["matrix"]
    supported = SpecifierSet(PROJECT["requires-python"])
    pythons = [f"3.{minor}" for minor in range(8, 20) if f"3.{minor}.99" in supported]
    assert matrix["python"] == pythons
    assert [name.partition("-")[0] for name in matrix["os"]] == ["ubuntu", "macos", "windows"]
    form = (ROOT / ".github" / "ISSUE_TEMPLATE" / "lesson.yml").read_text(encoding="utf-8")
    assert len(re.findall(r"- \d · ", form)) == len(lesson_paths(ROOT / "notebooks"))


def test_an_address_that_does_not_answer_is_named_with_the_page_that_leads_to_it(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "here.txt").write_text("")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=source)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place = f"http://127.0.0.1:{server.server_port}"
        repository = PROJECT["urls"]["Repository"]
        links = f"[a]({place}/here.txt)\n\n[b]({place}/gone)\n\n[c]({repository}/nowhere)"
        (source / "index.md").write_text(f"# Page\n\n{links}\n")
        (line,) = course.broken_links(source)
        server.shutdown()
    assert "index.md:5" in line and f"{place}/gone" in line


# The offline kit


@pytest.fixture
def kit(tmp_path, monkeypatch):
    """Folder of a kit without wheels, for this machine."""
    folder = tmp_path / "kit"
    offline_kit.copy_notebooks(folder / "notebooks")
    (folder / "kit.json").write_text(json.dumps(offline_kit.description(folder)))
    monkeypatch.setattr(start, "KIT", folder)
    return folder


def test_another_machine_and_a_full_disk_are_named_before_the_installation(kit, monkeypatch):
    made_for = json.loads((kit / "kit.json").read_text())
    start.check_machine(made_for)
    with pytest.raises(SystemExit, match=r"Python 3\.99"):
        start.check_machine(made_for | {"python": [3, 99]})
    with pytest.raises(SystemExit, match=r"Plan9 \(vax\)"):
        start.check_machine(made_for | {"system": "Plan9", "machine": "vax"})
    monkeypatch.setattr(start, "NEEDED", 1e9)
    with pytest.raises(SystemExit, match=re.escape(str(kit))):
        start.check_disk(kit)


def test_notebooks_are_copied_once_and_work_in_them_stays(kit, tmp_path):
    start.copy_notebooks(tmp_path)
    lesson = tmp_path / "notebooks" / start.LESSON
    lesson.write_text("my work")
    exercise = tmp_path / "notebooks" / "exercises" / start.LESSON
    exercise.unlink()
    start.copy_notebooks(tmp_path)
    assert lesson.read_text() == "my work" and exercise.exists()


def test_a_place_where_nothing_can_be_written_is_named_in_one_line(kit, monkeypatch):
    place = kit / "kit.json"
    monkeypatch.setattr(sys, "argv", ["start.py", "--folder", str(place)])
    with pytest.raises(SystemExit, match=f"{re.escape(str(place))}.*--folder FOLDER"):
        start.main()


def test_only_the_teachers_kit_holds_solutions(kit, tmp_path):
    offline_kit.copy_notebooks(tmp_path / "teacher", solutions=True)
    solutions = {path.name for path in (tmp_path / "teacher" / "solutions").glob("0*.ipynb")}
    for folder in (kit / "notebooks", kit / "notebooks" / "exercises"):
        assert {path.name for path in folder.glob("0*.ipynb")} == solutions
    assert not (kit / "notebooks" / "solutions").exists()


def test_a_failure_leaves_the_last_kit_as_it_was(tmp_path, monkeypatch):
    def no_network(*_):
        raise subprocess.CalledProcessError(1, "pip")

    monkeypatch.setattr(offline_kit, "BUILD", tmp_path)
    monkeypatch.setattr(offline_kit, "gather_wheels", no_network)
    old = tmp_path / "offline-kit"
    old.mkdir()
    with pytest.raises(SystemExit):
        offline_kit.main()
    assert list(tmp_path.iterdir()) == [old] and not list(old.iterdir())


# With all wheels, and no network (make offline-test)


@contextmanager
def jupyter_lab(command, environment, log):
    """Start a JupyterLab that writes into a log; yield the address that it names there."""
    with log.open("w") as out:
        lab = psutil.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)
    try:
        for _ in range(1200):
            text = log.read_text(encoding="utf-8")
            if found := re.search(r"http://(?:localhost|127\.0\.0\.1):\d+/lab\S*", text):
                break
            assert lab.poll() is None, text
            time.sleep(0.2)
        yield found[0]
    finally:
        for process in [*lab.children(recursive=True), lab]:
            process.terminate()
        lab.wait(30)


def without_network():
    """Return what comes before a command that is to find no network but this machine's own."""
    alone = ["unshare", "--net", "--", "sh", "-c", 'ip link set lo up && exec "$@"', "alone"]
    able = shutil.which("unshare") and shutil.which("ip")
    return alone if able and subprocess.run([*alone, "true"]).returncode == 0 else []


@pytest.mark.offline
def test_the_kit_ends_in_lesson_1_and_runs_it_with_the_network_switched_off(tmp_path):
    offline_kit.main()
    kit, home = tmp_path / "stick" / "kit", tmp_path / "home"
    shutil.copytree(offline_kit.BUILD / "offline-kit", kit)
    home.mkdir()
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "PIP_INDEX_URL"), "http://127.0.0.1:9")
    environment = nowhere | {"PATH": os.environ["PATH"], "HOME": str(home), "PIP_NO_INDEX": "1"}
    command = [*without_network(), f"{sys.base_prefix}/bin/python3", str(kit / "start.py")]
    for _ in ("first", "second"):
        options = ["--no-browser", "--port=0", "--allow-root"]
        with jupyter_lab([*command, *options], environment, tmp_path / "log") as address:
            assert "01_explore_the_data.ipynb" in address
            if not without_network():  # another network cannot be looked into
                assert urllib.request.urlopen(address, timeout=30).status == 200
    folder = home / "gtzan-course"
    lesson = folder / "notebooks" / "01_explore_the_data.ipynb"
    python = [*without_network(), f"{folder}/environment/bin/python"]
    nbconvert = ["-m", "nbconvert", "--to", "notebook", "--execute", "--inplace", str(lesson)]
    subprocess.run([*python, *nbconvert], env=environment, check=True)
    assert "iopub.execute_input" in lesson.read_text(encoding="utf-8")  # the time of a run
    shutil.rmtree(tmp_path)  # two gigabytes
