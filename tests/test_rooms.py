"""What keeps the package in one head: arrows go one way, and a room does not grow unnoticed."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import gtzan_helpers

FOLDER = Path(gtzan_helpers.__file__).parent
ROOMS = sorted(path.stem for path in FOLDER.glob("*.py"))
# Lines of code that a room may have; one that has to grow says why where this table is changed.
MOST_LINES = {
    "__init__": 16,
    "__main__": 8,
    "audio": 265,
    "cache": 94,
    "cli": 104,
    "datasets": 179,
    "classroom": 145,
    "downloads": 205,
    "evaluation": 113,
    "errors": 1,
    "faults": 178,
    "features": 240,
    "copies": 92,
    "predict": 137,
    "lists": 144,
    "mp3": 90,
    "networks": 195,
    "outputs": 47,
    "plots": 251,
    "fast": 169,
    "slices": 119,
    "models": 205,
    "splits": 149,
    "tables": 103,
    "workers": 87,
}
# Imports that stand in functions: what they load is slow, or may be missing.
LATE = {
    "cli": {"audio", "outputs"},
    "classroom": {"cache", "plots"},
    "slices": {"networks"},
    "models": {"networks"},
}
QUIET = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE),
    *(tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER),
}
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_has_no_more_lines_of_code_than_were_granted(room):
    assert code_lines((FOLDER / f"{room}.py").read_text(encoding="utf-8")) <= MOST_LINES[room]


def test_arrows_between_rooms_go_one_way():
    arrows = {room: {other for other, _ in imports(room)} for room in ROOMS}
    assert list(TopologicalSorter(arrows).static_order())  # a circle is an error


@pytest.mark.parametrize("room", ROOMS)
def test_only_listed_imports_stand_in_functions(room):
    assert {other for other, late in imports(room) if late} == LATE.get(room, set())


def imports(room: str) -> Iterator[tuple[str, bool]]:
    """Yield the rooms that one imports, and whether it does so inside a function."""
    tree = ast.parse((FOLDER / f"{room}.py").read_text(encoding="utf-8"))
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
    }
    for_types = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level and id(node) not in for_types:
            names = [node.module] if node.module else [alias.name for alias in node.names]
            yield from ((name.split(".")[0], id(node) in inside) for name in names)


def code_lines(text: str) -> int:
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
        if token.type not in QUIET
        for line in range(token.start[0], token.end[0] + 1)
    }
    return len(lines - documents)
