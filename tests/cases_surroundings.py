"""Rows of the table in test_bad_input: kind, make, use, outcome, names."""

from __future__ import annotations

CASES: list[tuple] = []
