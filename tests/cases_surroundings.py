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
    from gtzan_helpers.networks import abdoli_cnn, dense_network

    numbers = {"parameters": 1.0, "epochs": 1.0, "seconds": 1.0}
    card = pd.DataFrame.from_dict({room.DENSE: numbers, room.CNN: numbers}, orient="index")
    known = np.zeros((2, 57), np.float32)
    distances = np.ones(2, np.float32)
    models = room.Models(
        dense_network(57, 2), abdoli_cnn(44100, 2), ["a", "b"], 2.5, card, known, distances, "noise"
    )
    folder = Path(tempfile.mkdtemp(), "models")
    gh.save_models(models, folder)
    return folder


def song(folder: Path, name: str = "song.wav") -> Path:
    path = folder / name
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 22050 * 3), 22050)
    return path


def ran(*arguments: object) -> str:
    """Run a command, and return what it prints; its error, if it has one, as ours."""
    with mock.patch.dict(os.environ):
        result = CliRunner().invoke(cli.main, [*map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    if result.exit_code:
        raise ValueError(result.output)
    return result.stdout


def classified(*options: str) -> Callable[[Path], str]:
    def use(folder: Path) -> str:
        places = [option.replace("HERE", str(folder)) for option in options]
        return ran("classify", folder / "song.wav", "--models", networks(), *places)

    return use


def with_song(more: Callable[[Path, Path], object] | None = None) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = song(folder)
        if more:
            more(folder, path)
        return folder

    return make


def numbers_alone(folder: Path) -> bool:
    return json.loads(classified("--json", "-")(folder))["song"] == "song.wav"


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


OUTPUTS = [
    ("song as figure", with_song(), classified("--png", "HERE/song.wav"), "refused", "song.wav"),
    (
        "song as numbers, spelt otherwise",
        with_song(lambda folder, _: (folder / "x").mkdir()),
        classified("--json", "HERE/x/../song.wav"),
        "refused",
        "song.wav",
    ),
    (
        "link to the song as figure",
        with_song(lambda folder, path: (folder / "l.png").symlink_to(path)),
        classified("--png", "HERE/l.png"),
        "refused",
        "l.png",
    ),
    (
        "hard link to the song as figure",
        with_song(lambda folder, path: (folder / "h.png").hardlink_to(path)),
        classified("--png", "HERE/h.png"),
        "refused",
        "h.png",
    ),
    (
        "one file for figure and numbers",
        with_song(),
        classified("--png", "HERE/x", "--json", "HERE/./x"),
        "refused",
        "/x",
    ),
    ("numbers to standard output", with_song(), numbers_alone, "fine"),
    (
        "figure and numbers to nowhere",
        with_song(),
        classified("--png", "/dev/null", "--json", "/dev/null"),
        "said",
        room.CNN,
    ),
    ("figure over notes", file_named("notes.txt", b"mine"), written(PNG), "refused", "notes.txt"),
    (
        "figure over an older one",
        lambda folder: folder / "x.png",
        lambda path: written(PNG + b"old")(path) and written(PNG + b"new")(path),
        "fine",
    ),
    ("figure over a link to notes", link("notes.txt", b"mine"), written(PNG), "refused", "link"),
    ("figure over a link to nothing", link("later.png"), written(PNG), "fine"),
    ("figure over a link to itself", link("link"), written(PNG), "refused", "link"),
    ("figure as a folder", lambda folder: folder, written(PNG), "refused", "is a folder"),
    (
        "figure below a file",
        lambda folder: file_named("x", b"mine")(folder) / "y.png",
        written(PNG),
        "refused",
        "y.png",
    ),
    ("figure into a pipe", lambda folder: folder, read_through_a_pipe, "fine"),
    (
        "features over notes",
        file_named("notes.csv", b"name;mark\n"),
        lambda path: gh.write_features(pd.DataFrame(columns=["filename", "length"]), path),
        "refused",
        "notes.csv",
    ),
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
    missing = classroom.metadata.PackageNotFoundError("gtzan-helpers")
    names = ("metadata", "requires", "version")
    with mock.patch.multiple(
        classroom.metadata, **{n: mock.Mock(side_effect=missing) for n in names}
    ):
        return classroom.look(classroom.check_python, classroom.check_dependencies)


def broken() -> None:
    raise OSError("libsndfile.so: cannot open shared object file")


ENVIRONMENT = [
    (
        "backend that is not installed",
        nothing,
        asked(classroom.start_lesson, KERAS_BACKEND="torch"),
        "said",
        ("KERAS_BACKEND=torch", "set KERAS_BACKEND=jax"),
    ),
    (
        "backend that does not exist",
        nothing,
        asked(classroom.start_keras, KERAS_BACKEND="thean0"),
        "refused",
        "KERAS_BACKEND=thean0",
    ),
    (
        "song for a backend that is not installed",
        with_song(),
        lambda folder: asked(lambda: classified()(folder), KERAS_BACKEND="tensorflow")(folder),
        "refused",
        "KERAS_BACKEND=tensorflow",
    ),
    (
        "platform that this machine lacks",
        nothing,
        asked(classroom.check_keras, JAX_PLATFORMS="cuda,quantum"),
        "said",
        ("JAX_PLATFORMS=cuda,quantum", "Unset JAX_PLATFORMS"),
    ),
    (
        "flags that end the process",
        nothing,
        asked(classroom.start_keras, XLA_FLAGS="--no_such_flag"),
        "refused",
        ("XLA_FLAGS=--no_such_flag", "Unset XLA_FLAGS"),
    ),
    (
        "variable that is neither true nor false",
        nothing,
        asked(classroom.start_keras, JAX_ENABLE_X64="perhaps"),
        "refused",
        "JAX_ENABLE_X64",
    ),
    (
        "variables that change nothing",
        nothing,
        asked(lambda: classroom.check_variables() == [], KERAS_BACKEND="", JAX_PLATFORMS=""),
        "fine",
    ),
    (
        "drawing on a screen that does not exist",
        nothing,
        asked(classroom.check_figures, MPLBACKEND="crayon"),
        "said",
        "Unset MPLBACKEND",
    ),
    (
        "cache folder that is a file",
        nothing,
        asked(classroom.check_room, GTZAN_CACHE="HERE/file"),
        "said",
        ("/file", "GTZAN_CACHE"),
    ),
    (
        "cache folder below a file",
        nothing,
        asked(classroom.start_lesson, GTZAN_CACHE="HERE/file/cache"),
        "said",
        ("file/cache", "GTZAN_CACHE"),
    ),
    (
        "cache folder that nobody can make",
        nothing,
        asked(classroom.start_lesson, GTZAN_CACHE="/proc/nope"),
        "said",
        ("/proc/nope", "GTZAN_CACHE"),
    ),
    ("package that is not installed", nothing, lambda _: without_metadata(), "said", "pip install"),
    ("library that is broken", nothing, lambda _: classroom.look(broken), "said", "libsndfile.so"),
]


# Saved models


def damaged(harm: Callable[[Path], object], sealed: bool = False) -> Callable[[Path], Path]:
    """Make saved models that something has happened to; sealed, as if they were saved so."""

    def make(folder: Path) -> Path:
        place = folder / "models"
        shutil.copytree(networks(), place)
        harm(place)
        if sealed:
            about = json.loads((place / "about.json").read_text())
            about.pop("seal", None)
            about["seal"] = room._seal(about, place)
            (place / "about.json").write_text(json.dumps(about))
        return place

    return make


def told(**facts: object) -> Callable[[Path], object]:
    def harm(place: Path) -> None:
        about = json.loads((place / "about.json").read_text()) | facts
        left = {name: fact for name, fact in about.items() if fact is not ...}
        (place / "about.json").write_text(json.dumps(left))

    return harm


def about_as(text: str) -> Callable[[Path], object]:
    return lambda place: (place / "about.json").write_text(text)


def cut(name: str) -> Callable[[Path], object]:
    return lambda place: (place / name).write_bytes((place / name).read_bytes()[:900])


def newer(place: Path) -> None:
    """Replace a network by one with an option that this Keras does not know."""
    import zipfile

    with zipfile.ZipFile(place / "cnn.keras") as packed:
        entries = {name: packed.read(name) for name in packed.namelist()}
    config = entries["config.json"].replace(b'"filters": 16', b'"filters": 16, "quantum": 1')
    with zipfile.ZipFile(place / "cnn.keras", "w") as packed:
        for name, content in (entries | {"config.json": config}).items():
            packed.writestr(name, content)
    told(versions={"keras": "9.1.0"})(place)


def folder_instead(place: Path) -> None:
    (place / "cnn.keras").unlink()
    (place / "cnn.keras").mkdir()


def saved_below_a_file(folder: Path) -> None:
    gh.save_models(gh.load_models(networks()), folder / "file" / "models")


MODELS = [
    (f"models: {kind}", make, gh.load_models, "refused", ("models", *names))
    for kind, make, *names in [
        ("a list", damaged(about_as("[1, 2]"))),
        ("null", damaged(about_as("null"))),
        ("a number", damaged(about_as("3"))),
        ("half a description", damaged(cut("about.json"))),
        ("no text", damaged(lambda place: (place / "about.json").write_bytes(b"\xff\xfe\x00{"))),
        ("no description", damaged(lambda place: (place / "about.json").unlink())),
        ("no versions", damaged(told(versions=...), sealed=True)),
        ("versions in a list", damaged(told(versions=["keras"]), sealed=True)),
        ("no genres", damaged(told(genres=None), sealed=True)),
        ("a genre too many", damaged(told(genres=["a", "b", "c"]), sealed=True)),
        ("length in words", damaged(told(track_seconds="thirty"), sealed=True)),
        ("nothing to learn from", damaged(told(trained_on=...), sealed=True), "trained_on"),
        ("half a network", damaged(cut("cnn.keras")), "changed"),
        ("half a network, sealed", damaged(cut("dense.keras"), sealed=True)),
        ("half the numbers, sealed", damaged(cut("known.npz"), sealed=True)),
        ("a folder for a network", damaged(folder_instead), "missing"),
        ("a newer Keras", damaged(newer, sealed=True), "keras 9.1.0"),
        ("a file for the folder", file_named("models", b"x")),
        ("no folder", lambda folder: folder / "models"),
    ]
] + [
    (
        "models from an unknown library",
        damaged(told(versions={"keras": "9.1", "qwop": "1"}), sealed=True),
        lambda folder: gh.load_models(folder).genres,
        "said",
        ("keras 9.1", "qwop 1"),
    ),
    ("models to be saved below a file", nothing, saved_below_a_file, "refused", "file/models"),
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
            plots.spoken(figure).encode("utf-8")
            if not made.startswith(PNG):
                return False
        return True

    return use


def votes(name: str) -> pd.DataFrame:
    return pd.DataFrame({name: [0.6, 0.7], "rock": [0.4, 0.3]}, [0.0, 1.0])


def no_hint(*answers: object) -> Callable[[object], bool]:
    def checks() -> object:
        yield from answers
        yield True, "a hint"

    return lambda _: classroom.check_answer(checks) == 1


FIGURES = [
    (
        "song's name in a figure",
        nothing,
        drawn(lambda name: plots.song({"CNN": votes("jazz")}, title=name)),
        "fine",
    ),
    ("genre in a legend", nothing, drawn(lambda name: plots.probabilities(votes(name))), "fine"),
    (
        "genre beside bars",
        nothing,
        drawn(lambda n: plots.tracks_by_artist(pd.DataFrame({"genre": [n], "artist": ["x"]}))),
        "fine",
    ),
    (
        "genre beside a matrix",
        nothing,
        drawn(lambda name: plots.confusion([name, "a"], [name, name], [name, "a"])),
        "fine",
    ),
    (
        "name of a score",
        nothing,
        drawn(lambda name: plots.scores({name: Score(0.5, 0.4, 0.6, 0.1)})),
        "fine",
    ),
    ("answer that looks like a hint", nothing, no_hint((0, "jazz"), [False, "x"]), "fine"),
]


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
