"""What a class needs: the set-up cell, the doctor, and the check under each exercise.

The doctor says in plain words what this machine has and lacks. A check says "Right", or gives a
hint; never a traceback. It must not hold the answer in plain sight: it computes it in another way
than the exercise asks for, or tests what the answer does.
"""

from __future__ import annotations

import builtins
import os
import platform
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module, metadata
from numbers import Number
from typing import NamedTuple

LESSON_MEMORY = 1.5  # GB, the most that a lesson may take
LESSON_DISK = 1.0  # GB, for features, slices and models of the demo
GIGABYTE = 2**30
# Variables that decide how Keras starts; with these values it starts as if they were not set.
_OF_KERAS, _HARMLESS = ("KERAS_BACKEND", "JAX_", "XLA_"), ("", "jax", "cpu")
# For a trial: it takes no GPU's memory, and fails in few words.
_QUIET = {
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "JAX_TRACEBACK_FILTERING": "off",
}
_TRIAL = """
import os, sys
os.environ["MPLBACKEND"] = "agg"  # Keras imports Matplotlib, which has a trial of its own
import keras
backend = keras.backend.backend()
if backend in ("numpy", "openvino"):
    sys.exit(f"{backend} trains no networks")
keras.ops.add(1, 1)
print(backend, "on", ", ".join(keras.distribution.list_devices()) or "cpu")
"""

UNANSWERED = "Replace the dots by your answer: {}."
NOT_RUN = "There is no {} yet: run the cells above first."


class Finding(NamedTuple):
    """What was found and, if something must be mended, how; the cure is "" if all is well."""

    found: str
    cure: str = ""


def start_lesson() -> None:
    """Say what is wrong with this machine, if anything, and set the course's figure style.

    Notes
    -----
    Called in the set-up cell of every lesson.
    """
    for finding in look(check_python, check_dependencies, check_room, check_variables, check_style):
        if finding.cure:
            print(f"{finding.found}\n    {finding.cure}")


def look(*checks: Callable[[], list[Finding]]) -> list[Finding]:
    """Return what checks find; a check that fails is a finding, too."""
    findings = []
    for check in checks:
        try:
            findings += check()
        except Exception as error:  # what is broken may break in any way
            subject = check.__name__.removeprefix("check_").replace("_", " ")
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            cure = "Mend what it names; if that is a package, install it anew."
            findings.append(Finding(f"{subject}: {reason:.300}", cure))
    return findings


def check_python() -> list[Finding]:
    """Return whether the course supports this Python."""
    from packaging.specifiers import SpecifierSet

    try:
        wanted = SpecifierSet(metadata.metadata("gtzan-helpers")["Requires-Python"])
    except (metadata.PackageNotFoundError, KeyError):
        missing = "gtzan-helpers is not installed, so what it needs is not known"
        return [Finding(missing, "In the course's folder: pip install -e .")]
    fits = wanted.contains(platform.python_version(), prereleases=True)
    cure = "" if fits else f"Install Python {wanted} and make the environment anew with it."
    return [Finding(f"Python {platform.python_version()} on {platform.platform()}", cure)]


def check_dependencies() -> list[Finding]:
    """Return a line per package that the lessons need: its version, or how to get a fitting one."""
    from packaging.requirements import Requirement

    try:
        needed = metadata.requires("gtzan-helpers") or []
    except metadata.PackageNotFoundError:  # check_python says so
        return []
    findings = []
    for text in needed:
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        name, wanted = requirement.name, f"{requirement.name}{requirement.specifier}"
        try:
            version = metadata.version(name) or "0"  # None: what is installed is damaged
        except (metadata.PackageNotFoundError, KeyError):
            findings.append(Finding(f"{name} is missing", f'pip install "{wanted}"'))
            continue
        if requirement.specifier.contains(version, prereleases=True):
            findings.append(Finding(f"{name} {version} (needs {requirement.specifier})"))
        else:
            cure = f'pip install --upgrade "{wanted}"'
            findings.append(Finding(f"{name} {version} does not fit {requirement.specifier}", cure))
    return findings


def check_room() -> list[Finding]:
    """Return whether free memory and free disk suffice for a lesson."""
    import psutil

    from .cache import cache_folder, wanted_folder, why_not_writable

    memory, folder = psutil.virtual_memory(), wanted_folder()
    free = memory.available / GIGABYTE
    more_memory = f"A lesson takes up to {LESSON_MEMORY} GB: close other programs and notebooks."
    findings = [
        Finding(
            f"memory: {free:.1f} GB free of {memory.total / GIGABYTE:.1f} GB, on "
            f"{os.cpu_count()} cores",
            "" if free >= LESSON_MEMORY else more_memory,
        )
    ]
    if reason := why_not_writable(folder):
        with warnings.catch_warnings(action="ignore"):  # this finding says it
            cache_folder()
        unwritable = f"{folder} cannot be written ({reason}), so nothing is kept for the next time"
        return [
            *findings,
            Finding(unwritable, "Set GTZAN_CACHE to a folder of yours that has room."),
        ]
    existing = next(place for place in [folder, *folder.parents] if place.exists())
    disk = shutil.disk_usage(existing).free / GIGABYTE
    more_disk = "Make room, or set GTZAN_CACHE to a folder on a disk that has some."
    cure = "" if disk >= LESSON_DISK else more_disk
    return [*findings, Finding(f"disk: {disk:.1f} GB free for {folder}", cure)]


def check_audio() -> list[Finding]:
    """Return which audio formats can be read, and what decodes the others."""
    import librosa
    import soundfile

    librosa.feature.melspectrogram  # noqa: B018 - what is broken shows when it is asked for

    readable = soundfile.available_formats()
    missing = [name for name in ("WAV", "AU", "FLAC", "OGG", "MP3") if name not in readable]
    cure = f"{' and '.join(missing)} cannot be read: pip install --upgrade soundfile"
    decoder = shutil.which("ffmpeg") or shutil.which("avconv")
    if decoder or platform.system() == "Darwin":
        others = f"m4a, wma and others are decoded by {decoder or 'the system'}"
    else:
        others = "m4a and wma cannot be decoded; if you want to, install ffmpeg"
    return [
        Finding(f"audio: {', '.join(sorted(readable))}", cure if missing else ""),
        Finding(f"audio: {others}"),
    ]


def check_style() -> list[Finding]:
    """Set the course's figure style; return nothing, unless Matplotlib cannot draw."""
    from . import plots

    plots.use_style()
    return []


def check_figures() -> list[Finding]:
    """Return whether Matplotlib draws, in a process of its own, as in a lesson."""
    reason = _tried("import matplotlib.pyplot as plt; plt.figure(); print('drawn')")[1]
    named = _set_variables("MPL", "MATPLOTLIB")
    cure = (
        f"Unset {named.partition('=')[0]}."
        if named
        else "Install it anew: pip install --upgrade matplotlib"
    )
    return [Finding(f"figures: Matplotlib cannot draw ({reason})", cure)] if reason else []


def check_keras() -> list[Finding]:
    """Return Keras' backend, the devices that it computes on, and a GPU that it does not see."""
    computes, reason = _tried(_TRIAL)
    if reason:
        return [_keras_trouble(reason)]
    findings = [Finding(f"Keras {metadata.version('keras')} computes with {computes}")]
    if "gpu" not in computes and "cuda" not in computes:
        idle = "there is an NVIDIA GPU that it does not use" if shutil.which("nvidia-smi") else ""
        findings.append(Finding(f"acceleration: {idle or 'none'}; the lessons need none"))
    return findings


def check_variables() -> list[Finding]:
    """Return what keeps Keras from starting if a variable does; without one, nothing is tried."""
    reason = _tried(_TRIAL)[1] if _set_variables(*_OF_KERAS) else ""
    return [_keras_trouble(reason)] if reason else []


def start_keras() -> None:
    """Import Keras, or say in one line why it cannot start.

    Raises
    ------
    ValueError
        If a variable of the environment or an installation keeps it from starting.
    """
    findings = check_variables()  # first, because a wrong variable may end the whole process
    try:
        if not findings:
            import_module("gtzan_helpers.networks")
    except Exception as error:  # what is broken may break in any way
        findings = [_keras_trouble(f"{type(error).__name__}: {error}")]
    if findings:
        raise ValueError(": ".join(findings[0]))


def _keras_trouble(reason: str) -> Finding:
    named = _set_variables(*_OF_KERAS)
    found = f"Keras cannot start{' with ' if named else ''}{named} ({' '.join(reason.split())})"
    name = named.partition("=")[0]
    if name == "KERAS_BACKEND":
        return Finding(found, "Install that backend, or set KERAS_BACKEND=jax.")
    return Finding(found, f"Unset {name}." if name else "Install keras and jax anew.")


def _set_variables(*prefixes: str) -> str:
    """Return the variables of the environment that begin so and say something, to be read."""
    chosen = {name: value for name, value in os.environ.items() if name.startswith(prefixes)}
    return ", ".join(f"{n}={value}" for n, value in chosen.items() if value not in _HARMLESS)


def _tried(program: str) -> tuple[str, str]:
    """Run some lines of Python in another process; return what they print, and why they fail.

    In another, because some failures end a process without giving it a chance to say anything.
    """
    command = [sys.executable, "-c", program]
    options = {"errors": "replace", "env": os.environ | _QUIET}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, **options)
    except subprocess.TimeoutExpired:
        return "", "it does not answer within two minutes"
    *_, last = done.stderr.strip().splitlines() or [f"it ends with status {done.returncode}"]
    printed = done.stdout.strip().rpartition("\n")[2]
    return (printed, "") if done.returncode == 0 and printed else ("", last[:200])


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
    """
    hint = unanswered(checks) or first_hint(checks)
    print(f"Not yet. {hint}" if hint else "Right.", f"Points, of {points}:")
    return 0 if hint else points


def unanswered(checks: Callable[[], object]) -> str:
    """Return what to do about names that the checks use and nobody has filled yet, or ""."""
    for name in checks.__code__.co_names:
        if checks.__globals__.get(name) is ...:
            return UNANSWERED.format(name)
    return ""


def first_hint(checks: Callable[[], Iterable[object]]) -> str:
    """Return the first hint that is needed, or "" if all is well."""
    try:
        for found in checks():
            if found is ...:
                return UNANSWERED.format("a function still returns them")
            match found:
                case tuple((well, str(hint))) if not (_is_value(well) or well):
                    return hint
    except NameError as error:
        if error.name and not hasattr(builtins, error.name):
            return NOT_RUN.format(error.name)
        return f"Your answer stops with an error: {error}."
    except Exception as error:
        return f"Your answer stops with an error: {type(error).__name__}: {error}."
    return ""


def _is_value(well: object) -> bool:
    """Whether a pair is what a function of the student returns: a check says true or false."""
    return isinstance(well, Number | str | Sequence | None) and not isinstance(well, bool)
