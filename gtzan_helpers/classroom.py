"""What a class needs: the set-up cell, the doctor, guesses, and the check under each exercise.

The doctor says in plain words what this machine has and lacks. A check says "Right", or gives a
hint; never a traceback. It must not hold the answer in plain sight: it computes it in another way
than the exercise asks for, or tests what the answer does.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from numbers import Number
from pathlib import Path
from typing import NamedTuple

from .errors import CourseError

LESSON_MEMORY = 1.5  # GB, the most that a lesson may take
LESSON_DISK = 1.0  # GB, for features, slices and models of the demo
GIGABYTE = 2**30
# Variables that decide how Keras starts; with these values it starts as if they were not set.
_OF_KERAS = ("KERAS_BACKEND", "JAX_", "XLA_")
_HARMLESS = ("", "jax", "cpu", "--xla_backend_optimization_level=2")  # the last is set by us
# For a trial: it takes no GPU's memory, and its last line is the reason.
_QUIET = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "JAX_TRACEBACK_FILTERING": "off"}
_COMPUTE = """
import os
os.environ["MPLBACKEND"] = "agg"  # Keras imports Matplotlib, which has a trial of its own
import keras
keras.ops.add(1, 1)
print(keras.backend.backend(), "on", ", ".join(keras.distribution.list_devices()) or "cpu")
"""
# Numba's cache may hold what two programs compiled at once: it then crashes whoever loads it.
_MEASURE = """
import librosa, numpy
noise = numpy.random.default_rng(0).random(22050)
librosa.piptrack(y=noise), librosa.zero_crossings(noise), librosa.util.localmin(noise)
librosa.beat.beat_track(y=noise), librosa.onset.onset_detect(y=noise)
print("measures")
"""
_DRAW = "import matplotlib.pyplot as plt; plt.figure(); print('draws')"


class Finding(NamedTuple):
    """What was found and, if something must be mended, how; the cure is "" if all is well."""

    found: str
    cure: str = ""


def start_lesson() -> None:
    """Say what is wrong with this machine, if anything, and set the course's figure style.

    Examples
    --------
    >>> gh.start_lesson()

    Lesson: 01_explore_the_data and others.
    """
    for found, cure in look(check_packages, check_room, check_variables, set_style):
        if cure:
            print(f"{found}\n    {cure}")


def look(*checks: Callable[[], list[Finding]]) -> list[Finding]:
    """Return what checks find; a check that fails is a finding, too."""
    findings = []
    for check in checks:
        try:
            findings += check()
        except Exception as error:  # what is broken may break in any way
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            cure = "Mend what it names. A package: pip install it anew; this one: pip install -e ."
            findings.append(Finding(f"{check.__name__}: {reason:.300}", cure))
    return findings


def check_packages() -> list[Finding]:
    """Return a line for Python and each package that lessons need: its version, and any cure."""
    from packaging.requirements import Requirement

    findings = [Finding(f"Python {platform.python_version()} on {platform.platform()}")]
    for needed in map(Requirement, metadata.requires("gtzan-helpers")):
        if needed.marker and not needed.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(needed.name)
        except (metadata.PackageNotFoundError, KeyError):  # KeyError: what is there is damaged
            version = None
        fits = version and needed.specifier.contains(version, prereleases=True)
        cure = "" if fits else f'pip install --upgrade "{needed.name}{needed.specifier}"'
        found = f"{needed.name} {version or 'is missing'} (needs {needed.specifier})"
        findings.append(Finding(found, cure))
    return findings


def check_room() -> list[Finding]:
    """Return whether free memory and free disk suffice for a lesson."""
    import psutil

    from .cache import cache_folder, wanted_folder, why_not_writable

    memory = psutil.virtual_memory().available / GIGABYTE
    close = f"A lesson takes up to {LESSON_MEMORY} GB: close other programs and notebooks."
    move = "Make room, or set GTZAN_CACHE to a folder of yours on a disk that has some."
    folder = wanted_folder()
    reason = why_not_writable(folder)
    disk = 0.0 if reason else shutil.disk_usage(cache_folder()).free / GIGABYTE
    place = f"cannot be written ({reason})" if reason else f"has {disk:.1f} GB free"
    return [
        Finding(f"memory: {memory:.1f} GB free", close if memory < LESSON_MEMORY else ""),
        Finding(f"disk: {folder} {place}", move if disk < LESSON_DISK else ""),
    ]


def check_audio() -> list[Finding]:
    """Return which of the course's audio formats can be read."""
    import soundfile

    missing = sorted({"WAV", "AU", "FLAC", "OGG", "MP3"} - {*soundfile.available_formats()})
    cure = f"for {' and '.join(missing)}: pip install --upgrade soundfile" if missing else ""
    return [Finding(f"libsndfile {soundfile.__libsndfile_version__}", cure)]


def check_librosa() -> list[Finding]:
    """Return whether librosa measures a second of noise; the first time, it is compiled, too."""
    import librosa
    import pooch

    places = f"{Path(librosa.__file__).parent} and {pooch.os_cache('numba')}"
    places = os.environ.get("NUMBA_CACHE_DIR") or places
    cure = f"Delete all files *.nbi below {places}: what was compiled may be damaged."
    return _trial("librosa", _MEASURE, seconds=600, cure=cure)


def set_style() -> list[Finding]:
    """Set the course's figure style; return nothing, unless Matplotlib cannot draw."""
    from . import plots

    plots.use_style()
    return []


def check_figures() -> list[Finding]:
    """Return whether Matplotlib draws."""
    return _trial("Matplotlib", _DRAW, "MPL", "MATPLOTLIB")


def check_keras() -> list[Finding]:
    """Return Keras' backend and the devices that it computes on."""
    return _trial("Keras", _COMPUTE, *_OF_KERAS)


def check_variables() -> list[Finding]:
    """Return what keeps Keras from starting if a variable does; without one, nothing is tried."""
    return check_keras() if _set_variables(*_OF_KERAS) else []


def require_keras() -> None:
    """Raise a CourseError if a variable of the environment keeps Keras from starting."""
    for found, cure in look(check_variables):
        if cure:
            raise CourseError(f"{found}: {cure}")


def _set_variables(*prefixes: str) -> list[str]:
    """Return the variables of the environment that begin so and change something, as name=value."""
    return [
        f"{name}={value}"
        for name, value in os.environ.items()
        if name.startswith(prefixes) and value not in _HARMLESS
    ]


def _trial(
    library: str, program: str, *prefixes: str, seconds: int = 120, cure: str = ""
) -> list[Finding]:
    """Try a library in another process, because some failures end a process without a word."""
    options = {"capture_output": True, "text": True, "errors": "replace", "timeout": seconds}
    done = subprocess.run([sys.executable, "-c", program], env=os.environ | _QUIET, **options)
    *_, last = ["", *(done.stderr if done.returncode else done.stdout).strip().splitlines()]
    if done.returncode == 0:
        return [Finding(f"{library} {metadata.version(library)}: {last}")]
    variables = ", ".join(_set_variables(*prefixes))
    cure = f"Unset {variables.partition('=')[0]}" if variables else cure
    reasons = filter(None, [variables, last[:200], f"status {done.returncode}"])
    found = f"{library} cannot start: {', '.join(reasons)}"
    return [Finding(found, cure or f"pip install --upgrade {library.lower()}")]


def compare_guess(guess: object, outcome: object) -> None:
    """Print what was guessed before a cell ran beside what came out.

    The guess stays in the cell, so it is kept with the notebook.

    Parameters
    ----------
    guess : text or number
        What the reader wrote before the cell ran; "" if nothing.
    outcome : text or number
        What came out; a float is rounded to two digits.

    Examples
    --------
    >>> gh.compare_guess("wider", "narrower")
    guessed: wider    outcome: narrower

    Lesson: 04_test_honestly and others.
    """
    shown = round(outcome, 2) if isinstance(outcome, float) else outcome
    print(f"guessed: {'nothing yet' if guess == '' else guess}    outcome: {shown}")


def check_answer(checks: Callable[[], Iterable[object]], points: int = 1) -> int:
    """Say whether an exercise is solved, or give a hint, and return the points.

    The points stand alone in the cell's output, where nbgrader looks for them.

    Parameters
    ----------
    checks : function
        Takes nothing and yields pairs: whether all is well, and the hint if it is not. The first
        hint that is needed is given, and what comes after it is not computed. It may also yield
        what a function of the student returns: that must not be the dots it began with.
    points : int
        What the exercise is worth.

    Returns
    -------
    int
        `points`, or 0.

    Examples
    --------
    >>> gh.check_answer(lambda: iter([(count == 100, "Count all files.")]))

    Lesson: 01_explore_the_data and others.
    """
    hint = _hint(checks)
    print(f"Not yet. {hint}" if hint else "Right.", f"Points, of {points}:")
    return 0 if hint else points


def _hint(checks: Callable[[], Iterable[object]]) -> str:
    """Return the first hint that is needed, or "" if all is well."""
    names = [name for name in checks.__code__.co_names if checks.__globals__.get(name) is ...]
    if names:
        return f"Replace the dots by your answer: {names[0]}."
    try:
        for found in checks():
            if found is ...:
                return "Replace the dots by your answer: a function still returns them."
            match found:
                case tuple((well, str(hint))) if not (well or _is_value(well)):
                    return hint
    except Exception as error:
        if isinstance(error, NameError) and error.name:
            return f"There is no {error.name} yet: run the cells above first."
        return f"Your answer stops with an error: {type(error).__name__}: {error}."
    return ""


def _is_value(well: object) -> bool:
    """Whether a pair is what a function of the student returns: a check says true or false."""
    return isinstance(well, Number | str | Sequence | None) and not isinstance(well, bool)
