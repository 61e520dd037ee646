"""Rows of the table in test_bad_input: kind, make, use, outcome, names.

What surrounds the course: the environment, the disk, the network, files that a user names for
results, saved models, and names that figures must draw.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from unittest import mock

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import soundfile
from click.testing import CliRunner

import gtzan_helpers as gh
from gtzan_helpers import classroom, cli, downloads, outputs, plots
from gtzan_helpers import models as room
from gtzan_helpers.evaluation import Score

PNG = b"\x89PNG\r\n\x1a\n"


# Files that a user names for results


@cache
def networks() -> Path:
    """A folder with untrained networks for two genres, saved once for all rows."""
    card = pd.DataFrame({"parameters": 1.0, "epochs": 1.0, "seconds": 1.0}, [room.DENSE, room.CNN])
    pair = gh.dense_network(57, 2), gh.abdoli_cnn(44100, 2)
    known, distances = np.zeros((2, 57), np.float32), np.ones(2, np.float32)
    folder = Path(tempfile.mkdtemp(), "models")
    room.save_models(room.Models(*pair, ["a", "b"], 2.5, card, known, distances, "noise"), folder)
    return folder


def song(folder: Path) -> Path:
    path = folder / "song.wav"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 22050 * 3), 22050)
    return path


def classified(options: str = "") -> Callable[[Path], str]:
    """Run the command, and return what it prints; its error, if it has one, as ours."""

    def use(folder: Path) -> str:
        given = f"--models MODELS {options}"
        given = given.replace("HERE", str(folder)).replace("MODELS", str(networks()))
        with mock.patch.dict(os.environ):
            command = ["classify", str(folder / "song.wav"), *given.split()]
            result = CliRunner().invoke(cli.main, command)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        if result.exit_code:
            raise ValueError(result.output)
        return result.stdout

    return use


def with_song(*more: Callable[[Path], object]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        for write in (song, *more):
            write(folder)
        return folder

    return make


def silence(folder: Path) -> Path:
    soundfile.write(folder / "song.wav", [0.0] * 100_000, 22050)
    return folder


def words(folder: Path) -> Path:
    (folder / "song.wav").write_bytes(b"words, not sound")
    return folder


def numbers_alone(folder: Path) -> bool:
    return json.loads(classified("--json -")(folder))["song"] == "song.wav"


def written(content: bytes) -> Callable[[Path], bool]:
    def use(path: Path) -> bool:
        was_link = path.is_symlink()
        outputs.write_output(path, content)
        return path.read_bytes() == content and path.is_symlink() == was_link

    return use


def file_named(name: str, content: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def link(target: str, content: bytes | None = None) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        if content is not None:
            (folder / target).write_bytes(content)
        (folder / "link").symlink_to(folder / target)
        return folder / "link"

    return make


def read_through_a_pipe(folder: Path) -> bool:
    pipe, got = folder / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()), daemon=True)
    reader.start()
    outputs.write_output(pipe, PNG)
    reader.join(5)
    return got == [PNG] and pipe.is_fifo()


def no_features(path: Path) -> None:
    gh.write_features(pd.DataFrame(columns=["filename", "length"]), path)


def over_another(folder: Path) -> bool:
    path = folder / "x.png"
    return written(PNG + b"old")(path) and written(PNG + b"new")(path)


def below_a_file(folder: Path) -> Path:
    return file_named("x", b"mine")(folder) / "y.png"


WITH = {
    "x": lambda folder: (folder / "x").mkdir(),
    "l.png": lambda folder: (folder / "l.png").symlink_to(folder / "song.wav"),
    "h.png": lambda folder: (folder / "h.png").hardlink_to(folder / "song.wav"),
}
NOWHERE = "--png /dev/null --json /dev/null"
OUTPUTS = [
    (kind, with_song(*(WITH[name] for name in beside)), classified(options), "refused", names)
    for kind, options, names, *beside in [
        ("song as figure", "--png HERE/song.wav", "song.wav"),
        ("song as numbers, spelt otherwise", "--json HERE/x/../song.wav", "song.wav", "x"),
        ("link to the song as figure", "--png HERE/l.png", "l.png", "l.png"),
        ("hard link to the song as figure", "--png HERE/h.png", "h.png", "h.png"),
        ("one file for figure and numbers", "--png HERE/x --json HERE/./x", "/x"),
    ]
] + [
    ("silent song", silence, classified("--json HERE/x"), "refused", "silent"),
    ("words for a song", words, classified(""), "refused", "song.wav"),
    ("numbers to standard output", with_song(), numbers_alone, "fine"),
    ("figure and numbers to nowhere", with_song(), classified(NOWHERE), "said", room.CNN),
    ("figure over notes", file_named("notes.txt", b"mine"), written(PNG), "refused", "notes.txt"),
    ("figure over an older one", Path, over_another, "fine"),
    ("figure over a link to notes", link("notes.txt", b"mine"), written(PNG), "refused", "link"),
    ("figure over a link to nothing", link("later.png"), written(PNG), "fine"),
    ("figure over a link to itself", link("link"), written(PNG), "refused", "link"),
    ("figure as a folder", Path, written(PNG), "refused", "is a folder"),
    ("figure below a file", below_a_file, written(PNG), "refused", "y.png"),
    ("figure into a pipe", Path, read_through_a_pipe, "fine"),
    ("features over notes", file_named("notes.csv", b"a;b"), no_features, "refused", "notes.csv"),
]


# The environment and the disk


def asked(question: Callable[[], object], **variables: str) -> Callable[[Path], object]:
    """Ask something in an environment with other variables; HERE stands for the row's folder."""

    def use(folder: Path) -> object:
        changed = {name: value.replace("HERE", str(folder)) for name, value in variables.items()}
        with mock.patch.dict(os.environ, changed):
            return question()

    return use


def nothing(folder: Path) -> Path:
    (folder / "file").write_text("mine")
    return folder


def without_metadata() -> list:
    missing = mock.Mock(side_effect=classroom.metadata.PackageNotFoundError("gtzan-helpers"))
    names = ("metadata", "requires", "version")
    with mock.patch.multiple(classroom.metadata, **dict.fromkeys(names, missing)):
        return classroom.look(classroom.check_packages)


def broken() -> None:
    raise OSError("libsndfile.so: cannot open shared object file")


KERAS, TRIAL, LESSON = classroom.require_keras, classroom.check_keras, classroom.start_lesson
ENVIRONMENT = [
    (kind, nothing, asked(question, **{name: value}), outcome, (name, *value.split("HERE"), *more))
    for kind, question, name, value, outcome, *more in [
        ("backend that is not installed", LESSON, "KERAS_BACKEND", "torch", "said", "Unset"),
        ("backend that does not exist", KERAS, "KERAS_BACKEND", "thean0", "refused"),
        ("platform that is missing", TRIAL, "JAX_PLATFORMS", "cuda,quantum", "said"),
        ("flags that end the process", KERAS, "XLA_FLAGS", "--no_flag", "refused", "Unset XLA"),
        ("variable that is neither true nor false", KERAS, "JAX_ENABLE_X64", "perhaps", "refused"),
        ("screen that does not exist", classroom.check_figures, "MPLBACKEND", "crayon", "said"),
        ("cache folder that is a file", classroom.check_room, "GTZAN_CACHE", "HERE/file", "said"),
        ("cache folder below a file", LESSON, "GTZAN_CACHE", "HERE/file/cache", "said"),
        ("cache folder that nobody can make", LESSON, "GTZAN_CACHE", "/proc/nope", "said"),
    ]
] + [
    ("package that is not installed", nothing, lambda _: without_metadata(), "said", "pip install"),
    ("library that is broken", nothing, lambda _: classroom.look(broken), "said", "libsndfile.so"),
    (
        "song for a backend that is not installed",
        with_song(lambda _: networks()),  # with the backend that is there
        lambda folder: asked(lambda: classified()(folder), KERAS_BACKEND="tensorflow")(folder),
        "refused",
        "KERAS_BACKEND=tensorflow",
    ),
    (
        "variables that change nothing",
        nothing,
        asked(lambda: classroom.check_variables() == [], KERAS_BACKEND="", JAX_PLATFORMS=""),
        "fine",
    ),
]


# Saved models


def damaged(*harms: Callable[[Path], object]) -> Callable[[Path], Path]:
    """Make saved models that something has happened to."""

    def make(folder: Path) -> Path:
        place = folder / "models"
        shutil.copytree(networks(), place)
        for harm in harms:
            harm(place)
        return place

    return make


def told(**facts: object) -> Callable[[Path], object]:
    """Change what is told about models, `...` for nothing, as if they had been saved so."""

    def harm(place: Path) -> None:
        about = json.loads((place / "about.json").read_text()) | {"checksum": ...} | facts
        left = {name: fact for name, fact in about.items() if fact is not ...}
        checksum = {"checksum": room._checksum(left, place)}
        (place / "about.json").write_text(json.dumps(left | checksum))

    return harm


def about_as(content: bytes) -> Callable[[Path], object]:
    return lambda place: (place / "about.json").write_bytes(content)


def cut(name: str) -> Callable[[Path], object]:
    return lambda place: (place / name).write_bytes((place / name).read_bytes()[:900])


def newer(place: Path) -> None:
    """Replace a network by one with an option that this Keras does not know."""
    with zipfile.ZipFile(place / "cnn.keras") as packed:
        entries = {name: packed.read(name) for name in packed.namelist()}
    config = entries["config.json"].replace(b'"filters": 16', b'"filters": 16, "quantum": 1')
    with zipfile.ZipFile(place / "cnn.keras", "w") as packed:
        for name, content in (entries | {"config.json": config}).items():
            packed.writestr(name, content)


def folder_instead(place: Path) -> None:
    (place / "cnn.keras").unlink()
    (place / "cnn.keras").mkdir()


MODELS = [
    (f"models: {kind}", make, gh.load_models, "refused", ("models", *names))
    for kind, make, *names in [
        ("a list", damaged(about_as(b"[1, 2]"))),
        ("null", damaged(about_as(b"null"))),
        ("a number", damaged(about_as(b"3"))),
        ("half a description", damaged(cut("about.json"))),
        ("no text", damaged(about_as(b"\xff\xfe\x00{"))),
        ("no description", damaged(lambda place: (place / "about.json").unlink()), "about.json"),
        ("no versions", damaged(told(versions=...)), "versions"),
        ("versions in a list", damaged(told(versions=["keras"]))),
        ("no genres", damaged(told(genres=None))),
        ("a genre too many", damaged(told(genres=["a", "b", "c"])), "name=genre"),
        ("length in words", damaged(told(track_seconds="thirty")), "thirty"),
        ("nothing to learn from", damaged(told(trained_on=...)), "trained_on"),
        ("half a network", damaged(cut("cnn.keras")), "changed"),
        ("half a network, sealed", damaged(cut("dense.keras"), told())),
        ("half the numbers, sealed", damaged(cut("known.npz"), told())),
        ("a folder for a network", damaged(folder_instead), "cnn.keras"),
        ("a file for the folder", file_named("models", b"x")),
        ("no folder", lambda folder: folder / "models"),
    ]
] + [
    (
        "models from a newer Keras",
        damaged(newer, told(versions={"keras": "9.1.0"})),
        lambda folder: gh.load_models(folder).genres,
        "said",
        "keras 9.1.0",
    ),
    (
        "models from an unknown library",
        damaged(told(versions={"keras": "9.1", "qwop": "1"})),
        lambda folder: gh.load_models(folder).genres,
        "said",
        ("keras 9.1", "qwop 1"),
    ),
    (
        "models to be saved below a file",
        nothing,
        lambda folder: room.save_models(gh.load_models(networks()), folder / "file" / "models"),
        "refused",
        "file/models",
    ),
]


# Names that figures must draw, and answers that must not be taken for hints

NAMES = ["Too $hort 100%^$", "A$AP_Rocky_-_L$D", "夜に駆ける", "caf\udce9", "^_{", "a\tb"]


def drawn(draw: Callable[[str], object]) -> Callable[[object], bool]:
    def use(_: object) -> bool:
        for name in NAMES:
            axes = draw(name)
            figure = np.ravel(np.asarray(axes, dtype=object))[0].figure
            made = plots.png(figure)
            plt.close(figure)
            plots.alt_text_of(figure).encode("utf-8")
            if not made.startswith(PNG):
                return False
        return True

    return use


def windows(genre: str, title: str = "") -> object:
    table = pd.DataFrame({genre: [0.6, 0.7], "rock": [0.4, 0.3]}, [0.0, 1.0])
    return plots.windows({"CNN": table}, {"CNN": 2}, title=title)


def no_hint(*answers: object) -> Callable[[object], bool]:
    def checks() -> object:
        yield from answers
        yield True, "a hint"

    return lambda _: classroom.check_answer(checks) == 1


FIGURES = [
    (kind, nothing, drawn(draw), "fine")
    for kind, draw in [
        ("song's name in a figure", lambda n: windows("jazz", title=n)),
        ("genre beside windows", windows),
        ("name of a score", lambda n: plots.scores({n: Score(0.5, 0.4, 0.6, 0.1)})),
    ]
] + [("answer that looks like a hint", nothing, no_hint((0, "jazz"), [False, "x"]), "fine")]


# The network


def fetched(**proxies: str) -> Callable[[Path], object]:
    def use(folder: Path) -> object:
        cleared = {name: "" for name in os.environ if name.lower().endswith("_proxy")}
        place = {"GTZAN_CACHE": str(folder / "cache")}
        with (
            mock.patch.dict(os.environ, cleared | place | proxies),
            mock.patch.object(downloads, "STURM", "http://example.invalid/"),
        ):
            return gh.fetch_index()

    return use


NETWORK = [
    (f"proxy: {kind}", nothing, fetched(**variables), "refused", ("index.txt", *names))
    for kind, variables, *names in [
        ("SOCKS", {"ALL_PROXY": "socks5h://127.0.0.1:9"}, "SOCKS", "ALL_PROXY"),
        ("no host", {"HTTP_PROXY": "http://", "http_proxy": "http://"}, "proxy URL"),
        ("no port", {"http_proxy": "http://127.0.0.1:port"}, "HTTPS_PROXY"),
        ("not there", {"http_proxy": "http://127.0.0.1:9"}, "through the proxy"),
        ("no scheme", {"http_proxy": "127.0.0.1:9"}, "through the proxy"),
        ("another kind", {"http_proxy": "ftp://127.0.0.1:9"}, "ftp"),
    ]
]

CASES: list[tuple] = [*OUTPUTS, *ENVIRONMENT, *MODELS, *FIGURES, *NETWORK]
