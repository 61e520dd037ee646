"""Make the folder .venv and install the course into it, unless that is done already.

    python3 tools/install.py
    python3 tools/install.py --path     only prints the folder of its programs

It runs before anything is installed, so it needs the standard library only, and it is written
so that an old Python can still read it and say what is wrong.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: there two installations at once are on their own
    fcntl = None

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
INSTALLED = VENV / "installed"  # written last: an installation without it is not finished
UNFINISHED = VENV / "unfinished"
SOURCES = [ROOT / "pyproject.toml", ROOT / "constraints.txt"]


def check_python():
    """Stop with one clear line when this Python is not one that the course supports."""
    requires = re.search(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', SOURCES[0].read_text("utf8"))
    first, end = (int(number) for number in requires.groups())
    if not (3, first) <= sys.version_info[:2] < (3, end):
        sys.exit(
            f"The course needs Python 3.{first} to 3.{end - 1}; {sys.executable} is Python "
            f"{sys.version.split()[0]}. Name another one: make PYTHON=python3.{first + 1} …"
        )


def is_current():
    """Whether the installation is finished and no older than what it was made from."""
    changed = max(source.stat().st_mtime for source in SOURCES)
    return INSTALLED.exists() and INSTALLED.stat().st_mtime >= changed


def install():
    """Make the virtual environment and install the package with its pinned dependencies."""
    print("Installing into .venv (a few minutes the first time) …", flush=True)
    fresh = ["--clear"] if UNFINISHED.exists() else []  # an interrupted one may be half there
    subprocess.check_call([sys.executable, "-m", "venv", *fresh, str(VENV)])
    UNFINISHED.touch()
    run_pip("install", "-c", "constraints.txt", "-e", ".[lab,course,test,demo,browser]")
    compiling = "import lessons; lessons.compile_librosa()"
    subprocess.check_call([str(PYTHON), "-c", compiling], cwd=str(ROOT / "tools"))
    UNFINISHED.unlink()
    INSTALLED.touch()


def run_pip(*arguments):
    """Run pip in the virtual environment, showing what it does on one line."""
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", *arguments]
    with subprocess.Popen(command, cwd=str(ROOT), stdout=subprocess.PIPE) as pip:
        for line in pip.stdout:
            if sys.stdout.isatty():
                print("\r\033[K" + line.decode().strip()[:78], end="", flush=True)
    if sys.stdout.isatty():
        print("\r\033[K", end="")
    if pip.returncode:
        raise subprocess.CalledProcessError(pip.returncode, command)


def main():
    """Install, one process at a time: a second one waits, and then finds the work done."""
    check_python()
    if sys.argv[1:] == ["--path"]:
        print(PYTHON.parent)
        return
    with (ROOT / ".venv.lock").open("w") as lock:
        if fcntl:
            fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_current():
            try:
                install()
            except subprocess.CalledProcessError as error:
                sys.exit(f"The installation stopped: {error}. Run it again.")
            except KeyboardInterrupt:
                sys.exit("Interrupted; the next run starts the installation afresh.")


if __name__ == "__main__":
    main()
