"""What this machine has and lacks, in plain words: for the command line and the set-up cell."""

from __future__ import annotations

import os
import platform
import shutil
from importlib import import_module, metadata
from typing import NamedTuple

LESSON_MEMORY = 1.5  # GB, the most that a lesson may take
LESSON_DISK = 1.0  # GB, for features, slices and models of the demo
GIGABYTE = 2**30


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
    for finding in (*check_python(), *check_dependencies()):
        if finding.cure:
            print(f"{finding.found}\n    {finding.cure}")
    from . import plots  # what it needs may be missing: first say so

    for finding in check_room():
        if finding.cure:
            print(f"{finding.found}\n    {finding.cure}")
    plots.use_style()


def check_python() -> list[Finding]:
    """Return whether the course supports this Python."""
    from packaging.specifiers import SpecifierSet

    wanted = SpecifierSet(metadata.metadata("gtzan-helpers")["Requires-Python"])
    fits = wanted.contains(platform.python_version(), prereleases=True)
    cure = "" if fits else f"Install Python {wanted} and make the environment anew with it."
    return [Finding(f"Python {platform.python_version()} on {platform.platform()}", cure)]


def check_dependencies() -> list[Finding]:
    """Return a line per package that the lessons need: its version, or how to get a fitting one."""
    from packaging.requirements import Requirement

    findings = []
    for text in metadata.requires("gtzan-helpers") or []:
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        name, wanted = requirement.name, f"{requirement.name}{requirement.specifier}"
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
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

    from .cache import cache_folder

    memory = psutil.virtual_memory()
    free = memory.available / GIGABYTE
    folder = cache_folder()
    existing = next(place for place in [folder, *folder.parents] if place.exists())
    disk = shutil.disk_usage(existing).free / GIGABYTE
    more_memory = f"A lesson takes up to {LESSON_MEMORY} GB: close other programs and notebooks."
    more_disk = "Make room, or set GTZAN_CACHE to a folder on a disk that has some."
    return [
        Finding(
            f"memory: {free:.1f} GB free of {memory.total / GIGABYTE:.1f} GB, on "
            f"{os.cpu_count()} cores",
            "" if free >= LESSON_MEMORY else more_memory,
        ),
        Finding(f"disk: {disk:.1f} GB free for {folder}", "" if disk >= LESSON_DISK else more_disk),
    ]


def check_audio() -> list[Finding]:
    """Return which audio formats can be read, and what decodes the others."""
    import soundfile

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


def check_keras() -> list[Finding]:
    """Return Keras' backend, the devices that it computes on, and a GPU that it does not see."""
    try:
        import_module("gtzan_helpers.networks")  # chooses the backend, unless you have
        import keras

        devices = keras.distribution.list_devices()
    except ImportError as error:
        cure = "Install that backend, or set KERAS_BACKEND=jax."
        return [Finding(f"Keras cannot start: {error}", cure)]
    backend, names = keras.config.backend(), ", ".join(devices) or "cpu"
    findings = [Finding(f"Keras {keras.__version__} computes with {backend} on {names}")]
    if "gpu" not in names and "cuda" not in names:
        idle = "there is an NVIDIA GPU that it does not use" if shutil.which("nvidia-smi") else ""
        findings.append(Finding(f"acceleration: {idle or 'none'}; the lessons need none"))
    return findings
