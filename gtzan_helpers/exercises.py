"""The check under each exercise: says "Right", or gives a hint; never a traceback.

A check must not hold the answer in plain sight: it computes it in another way than the exercise
asks for, or tests what the answer does.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Sequence
from numbers import Number

UNANSWERED = "Replace the dots by your answer: {}."
NOT_RUN = "There is no {} yet: run the cells above first."


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
