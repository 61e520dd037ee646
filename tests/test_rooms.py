"""What keeps the package in one head: its size, its arrows, and public names that are used."""

import ast
import inspect
import io
import re
import tokenize
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import gtzan_helpers as gh

FOLDER = Path(gh.__file__).parent
ROOT = Path(__file__).resolve().parents[1]
ROOMS = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.py"))}
# Lines of code that each room may have: not comments, docstrings or blank lines. Who needs more
# says here why.
MOST_LINES = {
    "__init__": 17,  # how thoroughly XLA compiles
    "__main__": 8,
    "audio": 252,  # two curves that are heard, one in each ear
    "cache": 83,
    "classroom": 149,  # guesses beside outcomes; trials of what ends a process without a word
    "cli": 111,  # an error is not a leak
    "copies": 91,
    "datasets": 187,  # the songs, and that they are as they were installed
    "downloads": 181,
    "errors": 1,
    "evaluation": 84,
    "fast": 153,
    "faults": 174,
    "features": 223,
    "leaks": 126,  # a command of its own, for anyone's division
    "lists": 79,
    "measured": 49,
    "models": 215,  # the head on musicnn, for the third opinion; weights that any Keras reads
    "mp3": 84,
    "networks": 205,  # three networks, each as readable as the paper's table
    "outputs": 45,
    "plots": 363,  # each lesson's longer drawings, so that its own cells stay short
    "predict": 164,  # two forms of what its button holds: Colab has ipywidgets 7
    "pretrained": 88,
    "slices": 114,
    "splits": 138,  # ties fall by lot, so that the largest artists come to every part
    "tables": 103,
    "workers": 79,
}
# Imports that stand in functions: what they load is slow, or may be missing.
LATE = {
    "cli": {"audio", "leaks", "outputs"},
    "classroom": {"cache", "plots"},
    "slices": {"networks"},
    "models": {"networks"},
}
LAYOUT = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE),
    *(tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER),
}
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)


def code_lines(text):
    """Count the lines that hold code: no comments, docstrings or blank lines."""
    documents = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None
        for line in range(node.body[0].lineno, node.body[0].end_lineno + 1)
    }
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    lines = {
        line
        for token in tokens
        if token.type not in LAYOUT
        for line in range(token.start[0], token.end[0] + 1)
    }
    return len(lines - documents)


def test_no_room_grows_unnoticed():
    sizes = {room: code_lines(text) for room, text in ROOMS.items()}
    assert {room: size for room, size in sizes.items() if size > MOST_LINES.get(room, 0)} == {}


def imported(*blocks):
    """Return the rooms that are imported somewhere in these pieces of code."""
    nodes = [node for block in blocks for node in ast.walk(block)]
    return {
        (node.module or alias.name).split(".")[0]
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.level
        for alias in node.names
    }


def test_arrows_between_rooms_go_one_way_and_start_at_the_head_of_a_room():
    arrows, late = {}, {}
    for room, text in ROOMS.items():
        tree = ast.parse(text)
        for_types = [
            block
            for block in tree.body
            if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        ]
        arrows[room] = imported(*(block for block in tree.body if block not in for_types))
        late[room] = imported(*(n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)))
    assert list(TopologicalSorter(arrows).static_order())  # a circle is an error
    assert {room: others for room, others in late.items() if others} == LATE


def users(name):
    """Return the notebooks and pages in which a public name is used."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md")]
    paths = [*pages, *ROOT.glob("notebooks/**/0*.ipynb")]
    use = re.compile(rf"\bgh\.{name}\b")
    return [path for path in paths if use.search(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("name", [name for name in gh.__all__ if not name.endswith("Error")])
def test_a_public_name_is_used_and_its_documentation_shows_how_and_where(name):
    used_in = users(name)
    assert used_in, "no notebook and no page uses it"
    if callable(getattr(gh, name)):
        *_, last = document = inspect.getdoc(getattr(gh, name)).splitlines()
        assert "Examples" in document
        stems = {path.stem for path in used_in if path.suffix == ".ipynb"}
        assert last.startswith("Lesson: ") or not stems
        assert set(re.findall(r"\d\d_\w+", last)) <= stems
