"""Gather what a class without a network needs into one folder: `make offline-kit`.

The folder holds the wheels of everything that constraints.txt pins for JupyterLab and the lessons,
the notebooks, and a start script. It fits the platform and the Python that made it. The solutions
are left out: with `make offline-kit KIT=teacher` they are in it.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
TEMPLATES = Path(__file__).resolve().parent / "offline"
PACKAGE = ("pyproject.toml", "README.md", "LICENSE", "LICENSE-TEXT", "gtzan_helpers")
STALE = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")


def main(solutions: bool = False) -> None:
    """Build the kit beside its place and then move it there, so that it is whole or not at all."""
    BUILD.mkdir(exist_ok=True)
    place = BUILD / ("offline-kit-teacher" if solutions else "offline-kit")
    with tempfile.TemporaryDirectory(prefix="kit-", dir=BUILD) as temporary:
        kit = Path(temporary, "offline-kit")
        try:
            gather_wheels(kit / "wheels", Path(temporary))
        except subprocess.CalledProcessError as error:
            sys.exit(f"The wheels could not be gathered ({error}); {place} is left as it was.")
        copy_notebooks(kit / "notebooks", solutions)
        for template in TEMPLATES.iterdir():
            if template.is_file():
                shutil.copy(template, kit)
        (kit / "kit.json").write_text(json.dumps(description(kit), indent=1), encoding="utf-8")
        if place.exists():
            place.rename(Path(temporary, "old"))
        kit.rename(place)
    print(summary(place))


def gather_wheels(wheels: Path, work: Path) -> None:
    """Download the pinned wheels for this Python, and build those that are missing."""
    source = work / "source"
    source.mkdir()
    for name in PACKAGE:  # from a copy: building leaves files behind
        original = ROOT / name
        if original.is_dir():
            shutil.copytree(original, source / name, ignore=STALE)
        else:
            shutil.copy(original, source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel"]
    pinned = ["--constraint", str(ROOT / "constraints.txt"), "--wheel-dir", str(wheels)]
    subprocess.run([*pip, *pinned, f"{source}[lab]", "pip"], check=True)


def copy_notebooks(folder: Path, solutions: bool = False) -> None:
    """Copy lessons and exercises into the kit, and the solutions into a teacher's."""
    shutil.copytree(ROOT / "notebooks", folder, ignore=STALE)
    if not solutions:
        shutil.rmtree(folder / "solutions")


def description(kit: Path) -> dict[str, object]:
    """Return for which machines the kit is, and the wheels by which a new kit is recognised."""
    return {
        "python": list(sys.version_info[:2]),
        "system": platform.system(),
        "machine": platform.machine(),
        "wheels": sorted(path.name for path in (kit / "wheels").glob("*.whl")),
    }


def summary(place: Path) -> str:
    """Return where the kit is, how large, for whom, and how it is started."""
    kit = json.loads((place / "kit.json").read_text(encoding="utf-8"))
    size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    version = ".".join(map(str, kit["python"]))
    return (
        f"\n{place}: {size / 1e6:.0f} MB, for Python {version} on {kit['system']} "
        f"({kit['machine']}).\nCopy the folder to each machine or stick; there, "
        "`python3 start.py` (Windows: `py start.py`) ends in lesson 1."
    )


if __name__ == "__main__":
    main(solutions="teacher" in sys.argv[1:])
