"""The tables that show what the course claims; each is one command.

`python -m gtzan_helpers benchmarks` lists them, `python -m gtzan_helpers benchmarks leak` runs one.
"""

from __future__ import annotations

from importlib import import_module

import click

NAMES = ("checks", "cnn", "demo", "features", "leak", "lessons", "reference", "slices")


class Benchmarks(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Return the names of the benchmarks."""
        return list(NAMES)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Return the command of that name in the module of that name."""
        if name not in NAMES:
            return None
        return getattr(import_module(f"{__name__}.{name}"), name)


@click.group(cls=Benchmarks)
def benchmarks() -> None:
    """Measure what the course claims, and print it as a table."""
