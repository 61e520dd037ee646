"""Open lesson 1 in JupyterLab, from this folder alone: nothing is downloaded.

    python3 start.py [--folder FOLDER] [options for JupyterLab, such as --no-browser]

The first start installs the course into FOLDER (gtzan-course in your home folder, unless you name
another); later ones take seconds. Your notebooks stay in FOLDER and are never written over.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

KIT = Path(__file__).resolve().parent
NEEDED = 2.0  # GB on the disk
LESSON = "01_explore_the_data.ipynb"


def main():
    """Install if need be, then start JupyterLab."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path.home() / "gtzan-course")
    chosen, for_jupyter = parser.parse_known_args()
    kit = json.loads((KIT / "kit.json").read_text(encoding="utf-8"))
    folder = chosen.folder.expanduser().resolve()
    check_machine(kit)
    try:
        copy_notebooks(folder)
        if not is_installed(folder, kit):
            check_disk(folder)
            install(folder, kit)
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}. Name another folder: --folder FOLDER")
    except subprocess.CalledProcessError as error:
        sys.exit(
            f"The installation stopped ({error}). Start it again; if it stops again, copy "
            "the kit anew: a file may be damaged."
        )
    print("JupyterLab opens in your browser. To end it, press Ctrl+C here.", flush=True)
    place = ["--ServerApp.root_dir=notebooks", f"--LabApp.default_url=/lab/tree/{LESSON}"]
    command = [python_of(folder), "-m", "jupyter", "lab", *place, *for_jupyter]
    try:
        sys.exit(subprocess.call(command, cwd=folder))
    except KeyboardInterrupt:
        sys.exit(0)


def check_machine(kit):
    """Stop with one line if the wheels are for another Python or another kind of machine."""
    version = ".".join(map(str, kit["python"]))
    if list(sys.version_info[:2]) != kit["python"]:
        sys.exit(
            f"This kit is for Python {version}; this is {platform.python_version()}. "
            f"Start it with Python {version}, or ask for a kit made with yours."
        )
    if (platform.system(), platform.machine()) != (kit["system"], kit["machine"]):
        sys.exit(
            f"This kit is for {kit['system']} ({kit['machine']}); this is "
            f"{platform.system()} ({platform.machine()}). Ask for one made on such a machine."
        )


def check_disk(folder):
    """Stop with one line if the disk has too little room."""
    free = shutil.disk_usage(folder).free / 1e9
    if free < NEEDED:
        sys.exit(
            f"{folder} has {free:.1f} GB free, {NEEDED:.0f} GB are needed. Make room, "
            "or name another place: --folder FOLDER"
        )


def copy_notebooks(folder):
    """Copy the notebooks that are not there yet; what somebody has worked on stays."""
    for source in sorted((KIT / "notebooks").rglob("*")):
        target = folder / "notebooks" / source.relative_to(KIT / "notebooks")
        if source.is_file() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def python_of(folder):
    """Return the Python of the course's own environment."""
    inside = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    return str(folder.joinpath("environment", *inside))


def is_installed(folder, kit):
    """Whether these very wheels have been installed, to the end."""
    finished = folder / "installed.json"
    return finished.exists() and json.loads(finished.read_text(encoding="utf-8")) == kit


def install(folder, kit):
    """Make an environment and install the wheels into it, with the pip that lies among them."""
    print(f"Installing into {folder} (some minutes, once) …", flush=True)
    environment = [sys.executable, "-m", "venv", "--clear", "--without-pip"]
    subprocess.check_call([*environment, str(folder / "environment")])
    wheels = KIT / "wheels"
    (pip,) = wheels.glob("pip-*.whl")
    (course,) = wheels.glob("gtzan_helpers-*.whl")
    alone = ["--no-index", "--find-links", str(wheels), "--disable-pip-version-check", "--quiet"]
    subprocess.check_call(
        [python_of(folder), str(pip / "pip"), "install", *alone, f"{course}[lab]"],
        env=dict(os.environ, PIP_CONFIG_FILE=os.devnull),
    )
    (folder / "installed.json").write_text(json.dumps(kit), encoding="utf-8")


if __name__ == "__main__":
    main()
