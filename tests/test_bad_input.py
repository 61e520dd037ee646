"""One table of what people give to a course by mistake, and what each must lead to.

The rows stand in `cases_audio`, `cases_tables` and `cases_surroundings`. Whatever the input: no
bare traceback, what is wrong is named, the files that were given stay as they are, and nothing
half-written is left behind.
"""

from __future__ import annotations

import io
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any, NamedTuple

import cases_audio
import cases_surroundings
import cases_tables
import pytest

from gtzan_helpers.cache import cache_folder


class Case(NamedTuple):
    """A kind of input, what is done with it, and what must come of it."""

    kind: str
    make: Callable[[Path], Any]  # writes the input into an empty folder, returns what `use` takes
    use: Callable[[Any], Any]
    outcome: str  # "refused": one of our errors; "said": goes on, and says so; "fine": just works
    names: str | tuple[str, ...] = ()  # what the error, or what is said or returned, must name


CASES = [
    Case(*row) for room in (cases_audio, cases_tables, cases_surroundings) for row in room.CASES
]


@pytest.mark.parametrize("case", CASES, ids=[case.kind for case in CASES])
def test_bad_input_is_named_and_nothing_is_lost(case, tmp_path):
    given = case.make(tmp_path)
    before = contents(tmp_path)
    said = io.StringIO()
    with redirect_stdout(said), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            result = case.use(given)
        except ValueError as error:  # the family of all our errors
            assert type(error).__module__.startswith("gtzan_helpers") or type(error) is ValueError
            outcome, text = "refused", str(error)
        else:
            outcome = "fine" if case.outcome == "fine" else "said"
            text = f"{said.getvalue()}\n{[str(one.message) for one in warned]}\n{result}"
    assert outcome == case.outcome, text
    assert "Traceback" not in text
    names = [case.names] if isinstance(case.names, str) else case.names
    assert [name for name in names if name not in text] == [], text
    assert outcome != "fine" or result is True, text
    after = contents(tmp_path)
    assert {path: after.get(path) for path in before} == before, "what was given has changed"
    unfinished = [*tmp_path.rglob("*.part"), *cache_folder().rglob("*.part")]
    if unfinished:  # the other worker, whose cache this is, too, may be writing
        time.sleep(2)
    assert not [path for path in unfinished if path.exists()]


def test_the_table_has_no_kind_twice_and_many_kinds():
    kinds = [case.kind for case in CASES]
    assert len(set(kinds)) == len(kinds) >= 80


def contents(folder: Path) -> dict[Path, bytes]:
    """Return what is in each file below a folder, as far as it may be read."""
    found = {}
    for path in folder.rglob("*"):
        with suppress(OSError):
            if path.is_file() and not path.is_symlink():
                found[path] = path.read_bytes()
    return found
