"""The offline kit: what it says to the wrong machine, and that it works without a network."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import offline_kit
import pytest

TEMPLATES = Path(offline_kit.TEMPLATES)


@pytest.fixture
def kit(tmp_path):
    """A kit without wheels, for this machine."""
    folder = tmp_path / "kit"
    (folder / "wheels").mkdir(parents=True)
    (folder / "notebooks" / "exercises").mkdir(parents=True)
    (folder / "notebooks" / "01_explore_the_data.ipynb").write_text("{}")
    (folder / "notebooks" / "exercises" / "01_explore_the_data.ipynb").write_text("{}")
    shutil.copy(TEMPLATES / "start.py", folder)
    (folder / "kit.json").write_text(json.dumps(offline_kit.description(folder)))
    return folder


@pytest.fixture
def start(kit):
    """The start script of the kit, as a module."""
    spec = importlib.util.spec_from_file_location("start", kit / "start.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_another_python_is_told_which_one_is_needed(start):
    kit = {"python": [3, 99], "system": "Linux", "machine": "x86_64"}
    with pytest.raises(
        SystemExit, match=r"for Python 3\.99; this is .* Start it with Python 3\.99"
    ):
        start.check_machine(kit)


def test_another_machine_is_told_for_which_the_kit_is(start):
    kit = {"python": list(sys.version_info[:2]), "system": "Plan9", "machine": "vax"}
    with pytest.raises(SystemExit, match=r"This kit is for Plan9 \(vax\)"):
        start.check_machine(kit)


def test_a_full_disk_is_told_before_the_installation(start, tmp_path, monkeypatch):
    monkeypatch.setattr(start, "NEEDED", 1e9)
    with pytest.raises(SystemExit, match="Make room, or name another place"):
        start.check_disk(tmp_path)


def test_notebooks_are_copied_once_and_work_in_them_stays(start, tmp_path):
    folder = tmp_path / "course"
    start.copy_notebooks(folder)
    lesson = folder / "notebooks" / "01_explore_the_data.ipynb"
    lesson.write_text("my work")
    (folder / "notebooks" / "exercises" / "01_explore_the_data.ipynb").unlink()
    start.copy_notebooks(folder)
    assert lesson.read_text() == "my work"
    assert (folder / "notebooks" / "exercises" / "01_explore_the_data.ipynb").exists()


def test_only_a_finished_installation_of_these_wheels_counts(start, tmp_path):
    kit = {"python": [3, 11], "wheels": ["a.whl"]}
    assert not start.is_installed(tmp_path, kit)
    (tmp_path / "installed.json").write_text(json.dumps(kit))
    assert start.is_installed(tmp_path, kit)
    assert not start.is_installed(tmp_path, kit | {"wheels": ["b.whl"]})


def test_a_place_where_nothing_can_be_written_is_named_in_one_line(kit, tmp_path):
    place = tmp_path / "a file"
    place.write_text("")
    command = [sys.executable, str(kit / "start.py"), "--folder", str(place)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert str(place) in done.stderr and "--folder FOLDER" in done.stderr
    assert "Traceback" not in done.stderr


def test_only_the_teachers_kit_holds_solutions(tmp_path):
    offline_kit.copy_notebooks(tmp_path / "students")
    offline_kit.copy_notebooks(tmp_path / "teacher", solutions=True)
    stems = [path.name for path in (offline_kit.ROOT / "notebooks").glob("0*.ipynb")]
    for folder in ("students", "students/exercises", "teacher/solutions"):
        assert {path.name for path in (tmp_path / folder).glob("*.ipynb")} == set(stems)
    assert not (tmp_path / "students" / "solutions").exists()


def test_a_failure_leaves_the_last_kit_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(offline_kit, "BUILD", tmp_path)
    (tmp_path / "offline-kit").mkdir()
    (tmp_path / "offline-kit" / "kit.json").write_text("old")

    def no_network(*_):
        raise subprocess.CalledProcessError(1, "pip")

    monkeypatch.setattr(offline_kit, "gather_wheels", no_network)
    with pytest.raises(SystemExit, match="is left as it was"):
        offline_kit.main()
    assert (tmp_path / "offline-kit" / "kit.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["offline-kit"]


# With all wheels, and no network (make offline-test)


def without_network() -> list[str]:
    """Return what comes before a command that is to find no network but this machine's own."""
    alone = ["unshare", "--net", "--", "sh", "-c", 'ip link set lo up && exec "$@"', "alone"]
    if shutil.which("unshare") and shutil.which("ip"):
        tried = subprocess.run([*alone, "true"], capture_output=True)
        return alone if tried.returncode == 0 else []
    return []


def environment(home: Path) -> dict[str, str]:
    """Return an environment with the package index switched off and a home of its own."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    unreachable = "http://127.0.0.1:9"
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), unreachable)
    index = {"PIP_INDEX_URL": unreachable, "PIP_NO_INDEX": "1", "PIP_NO_CACHE_DIR": "1"}
    return kept | proxies | index | {"HOME": str(home), "USERPROFILE": str(home)}


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
    alone = without_network()
    print("network:", "none at all" if alone else "there, but index and proxies lead nowhere")
    base = Path(sys.base_prefix, "python.exe" if os.name == "nt" else "bin/python3")
    command = [*alone, str(base), str(kit / "start.py"), "--no-browser", "--port=0"]
    if os.name != "nt" and os.geteuid() == 0:
        command.append("--allow-root")
    for _ in ("first", "second"):
        log.write_text("")
        with log.open("a") as written:
            lab = subprocess.Popen(
                command, env=environment(home), stdout=written, stderr=subprocess.STDOUT
            )
        try:
            begun = time.monotonic()
            address = logged(log, r"http://localhost:\d+/lab/tree/\S+", lab, 240)
            print(f"JupyterLab after {time.monotonic() - begun:.0f} s at {address}")
            assert "01_explore_the_data.ipynb" in address
            if not alone:  # another network cannot be looked into
                assert urllib.request.urlopen(address, timeout=30).status == 200
        finally:
            for child in children(lab):
                child.terminate()
            lab.wait(30)
    execute_lesson(home / "gtzan-course", alone, environment(home))
    shutil.rmtree(tmp_path)  # two gigabytes


def children(process: subprocess.Popen) -> list:
    """Return a process and all that it started."""
    import psutil

    parent = psutil.Process(process.pid)
    return [*parent.children(recursive=True), parent]


def execute_lesson(folder: Path, alone: list[str], environment: dict[str, str]) -> None:
    """Run lesson 1 to its end in the kit's own environment."""
    inside = "Scripts/python.exe" if os.name == "nt" else "bin/python"
    lesson = folder / "notebooks" / "01_explore_the_data.ipynb"
    python = str(folder / "environment" / inside)
    nbconvert = [python, "-m", "nbconvert", "--to", "notebook", "--execute", "--inplace"]
    done = subprocess.run(
        [*alone, *nbconvert, str(lesson)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    cells = json.loads(lesson.read_text(encoding="utf-8"))["cells"]
    assert any("tracks usable" in str(cell.get("outputs")) for cell in cells)
