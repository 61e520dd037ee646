"""The workflows of GitHub run what the project has, and nothing else."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
PREPARING = {  # what has no counterpart in README or Makefile
    'python tools/install.py --path >> "$GITHUB_PATH"',
    "git diff --stat constraints.txt",
    "python -m gtzan_helpers doctor",
    "make lock UPGRADE=--upgrade",
}


def read(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def commands(path: Path) -> list[str]:
    steps = [step for job in read(path)["jobs"].values() for step in job["steps"]]
    return [line for step in steps for line in step.get("run", "").splitlines() if line]


def known_commands() -> set[str]:
    """Return README's plain commands and the Makefile's targets."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = readme.partition("<!-- commands -->")[2].partition("<!-- /commands -->")[0]
    plain = {line.partition(" # ")[0].strip() for line in block.splitlines()}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return plain | {f"make {name}" for name in re.findall(r"^([a-z-]+):.*##", makefile, re.M)}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_step_is_a_command_of_the_project(path):
    plain = {re.sub(r"^(\.venv/bin/)?python3?\b", "python", line) for line in known_commands()}
    for line in commands(path):
        same = re.sub(r"^\.venv/bin/python\b", "python", line)
        assert same in plain | PREPARING, f"{path.name}: {line}"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_job_ends_in_time_and_may_only_read(path):
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert all(job["timeout-minutes"] <= 60 for job in workflow["jobs"].values())


def test_all_supported_pythons_and_systems_are_tested():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    first, end = map(int, re.findall(r"3\.(\d+)", project["requires-python"]))
    matrix = read(ROOT / ".github/workflows/test.yml")["jobs"]["test"]["strategy"]["matrix"]
    assert matrix["python"] == [f"3.{minor}" for minor in range(first, end)]
    assert [name.partition("-")[0] for name in matrix["os"]] == ["ubuntu", "macos", "windows"]


def test_the_forms_ask_for_lesson_cell_and_environment():
    lesson = read(ROOT / ".github/ISSUE_TEMPLATE/lesson.yml")
    required = {field["id"] for field in lesson["body"] if field.get("validations")}
    assert {"lesson", "cell", "environment"} <= required
    for path in FORMS:
        if path.stem != "config":
            form = read(path)
            assert form["name"] and form["description"] and form["body"]
    stems = {path.stem for path in sorted((ROOT / "notebooks").glob("0*.ipynb"))}
    options = next(field for field in lesson["body"] if field["id"] == "lesson")["attributes"]
    assert len([one for one in options["options"] if re.match(r"\d · ", one)]) == len(stems)
