"""The environments of the course (pip, conda, Binder, Colab) say the same thing."""

from __future__ import annotations

import json
import shutil
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import sync
from click.testing import CliRunner
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]

# What Colab had in February 2026 (pip-freeze.gpu.txt of github.com/googlecolab/backend-info).
COLAB = {
    "audioread": "3.1.0",
    "click": "8.3.1",
    "ipython": "7.34.0",
    "jax": "0.7.2",
    "joblib": "1.5.3",
    "keras": "3.10.0",
    "lazy-loader": "0.4",
    "librosa": "0.11.0",
    "matplotlib": "3.10.0",
    "numpy": "2.0.2",
    "packaging": "26.0",
    "pandas": "2.2.2",
    "pooch": "1.9.0",
    "psutil": "5.9.5",
    "scikit-learn": "1.6.1",
    "scipy": "1.16.3",
    "seaborn": "0.13.2",
    "soundfile": "0.13.1",
    "tqdm": "4.67.3",
}


def pins() -> dict[str, list[Requirement]]:
    """Return what constraints.txt holds; a package may be pinned once per Python version."""
    found: dict[str, list[Requirement]] = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def version(pin: Requirement) -> str:
    (exact,) = pin.specifier
    assert exact.operator == "==", f"{pin} is not an exact pin"
    return exact.version


def needed(package: str, extra: str = "") -> list[Requirement]:
    """Return what an installed package needs on this Python and system."""
    requirements = [Requirement(text) for text in metadata.requires(package) or []]
    return [
        requirement
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra})
    ]


def copy_of_the_project(folder: Path) -> Path:
    for name in ("pyproject.toml", "environment.yml", "README.md", "Makefile"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    (folder / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "picture.png", folder / "docs")
    return folder


def test_what_follows_from_pyproject_has_not_drifted():
    assert [path.name for path in sync.drifted()] == []


def test_another_address_reaches_binder_colab_and_readme(tmp_path):
    root = copy_of_the_project(tmp_path)
    content = (root / "pyproject.toml").read_text(encoding="utf-8")
    moved = content.replace(sync.repository(), "https://github.com/someone/music-course")
    (root / "pyproject.toml").write_text(moved, encoding="utf-8")
    changed = sync.drifted(root)
    expected = {root / "environment.yml", root / "README.md"}
    expected |= set((root / "notebooks").rglob("0*.ipynb"))  # exercises and solutions, too
    assert set(changed) == expected and len(expected) == 20
    for path, content in changed.items():
        assert b"music-course" in content, path
        assert sync.repository().encode() not in content, path


def test_the_picture_is_the_figure_of_the_tagged_cell_with_its_words(tmp_path):
    root = copy_of_the_project(tmp_path)
    (root / "docs" / "picture.png").write_bytes(b"another figure")
    assert [path.name for path in sync.drifted(root)] == ["picture.png"]
    png, alt = sync.picture()
    assert png.startswith(b"\x89PNG")
    assert f"![{alt}](docs/picture.png)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_a_course_without_a_picture_says_which_tag_is_missing(tmp_path):
    (tmp_path / "notebooks").mkdir()
    with pytest.raises(ValueError, match='tag "picture"'):
        sync.picture(tmp_path)


@pytest.mark.parametrize("name", ["environment.yml", "README.md"])
def test_a_change_by_hand_is_noticed(tmp_path, name, monkeypatch):
    root = copy_of_the_project(tmp_path)
    text = (root / name).read_text(encoding="utf-8")
    drift = text.replace("constraints.txt", "pins.txt").replace("mybinder.org/v2", "mybinder.org")
    (root / name).write_text(drift, encoding="utf-8")
    monkeypatch.setattr(sync, "drifted", lambda drifted=sync.drifted: drifted(root))
    monkeypatch.setattr(sync, "ROOT", root)
    result = CliRunner().invoke(sync.main, ["--check"])
    assert result.exit_code == 1
    assert f"{name} has drifted" in result.output
    assert CliRunner().invoke(sync.main).exit_code == 0
    assert (root / name).read_text(encoding="utf-8") == text


def test_a_lesson_gets_its_set_up_cell_and_keeps_the_rest(tmp_path):
    cells = [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": ["# Title"]},
        {
            "cell_type": "code",
            "execution_count": 1,
            "id": "b",
            "metadata": {"tags": ["setup"]},
            "outputs": [],
            "source": ["import old"],
        },
    ]
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path = tmp_path / "01_lesson.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    written = json.loads(sync.lesson(path))
    assert "".join(written["cells"][1].pop("source")) == sync.setup_cell()
    cells[1].pop("source")
    assert written == notebook


def test_a_lesson_without_a_set_up_cell_is_named(tmp_path):
    path = tmp_path / "01_lesson.ipynb"
    path.write_text('{"cells": []}', encoding="utf-8")
    with pytest.raises(ValueError, match=r"01_lesson\.ipynb: the first code cell"):
        sync.lesson(path)


@pytest.mark.parametrize("group", ["base", *EXTRAS])
def test_constraints_pin_each_dependency_inside_its_range(group):
    for text in PROJECT["dependencies"] if group == "base" else EXTRAS[group]:
        requirement = Requirement(text)
        pinned = pins().get(canonicalize_name(requirement.name), [])
        assert pinned, f"{requirement.name} is not in constraints.txt: run `make lock`"
        for pin in pinned:
            assert requirement.specifier.contains(version(pin), prereleases=True), str(pin)


def test_constraints_pin_everything_that_gets_installed():
    """Walk from the package through what is installed here to everything that it pulls in."""
    pinned = pins()
    waiting = [("gtzan-helpers", extra) for extra in ("", *EXTRAS)]
    seen = set()
    while waiting:
        package, extra = waiting.pop()
        seen.add((package, extra))
        for requirement in needed(package, extra):
            name = canonicalize_name(requirement.name)
            here = [pin for pin in pinned.get(name, []) if not pin.marker or pin.marker.evaluate()]
            assert len(here) == 1, f"{name}, needed by {package}, has {len(here)} pins"
            found = {(name, one) for one in ("", *requirement.extras)}
            waiting += sorted(found - seen)
    assert len(seen) > 100


def test_the_lock_says_how_it_was_made_and_names_no_server():
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert "make lock" in text
    assert "://" not in text
    assert "--index" not in text


def test_the_synthesiser_of_the_demo_stays_at_the_version_that_made_it():
    assert [version(pin) for pin in pins()["symusic"]] == ["0.5.8"]


def test_conda_and_binder_use_a_supported_python_and_an_extra_that_exists():
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    assert sync.PYTHON in SpecifierSet(PROJECT["requires-python"])
    assert f"python={sync.PYTHON}" in text
    assert "-e .[lab]" in text
    assert "lab" in EXTRAS


def test_colab_keeps_every_package_that_it_has():
    ranges = {Requirement(text).name: Requirement(text) for text in PROJECT["dependencies"]}
    assert set(ranges) == set(COLAB)
    replaced = [name for name, one in ranges.items() if COLAB[name] not in one.specifier]
    assert replaced == []
