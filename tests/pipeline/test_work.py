"""Bulk and single messages cost no more operations than they did: counted, not timed, so that no neighbour disturbs."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from tests.pipeline.counting import EXPECTED, LOADS, STEPS, count_all, grown


def test_no_load_costs_a_tenth_more_operations_than_expected(tmp_path: Path) -> None:
    """Where this fails and the cost is meant, `PYTHONPATH=. python -m tests.pipeline.counting` writes it down anew."""
    expected = json.loads(EXPECTED.read_text(encoding="utf-8"))
    counted_with = expected.pop("counted with")

    found = count_all(tmp_path)

    more = grown(found, expected, steps=counted_with["sqlite"] == sqlite3.sqlite_version)
    assert not more, f"{more}; if that is meant: PYTHONPATH=. python -m tests.pipeline.counting"


def test_what_costs_over_a_tenth_more_is_named() -> None:
    expected = {name: {"statements": 100, STEPS: 1_000} for name in LOADS}
    found = {"bulk": {"statements": 110, STEPS: 1_101}, "single": {"statements": 111, STEPS: 900}}

    assert grown(found, expected) == [
        "bulk: 1,101 sqlite steps, +10.1% over 1,000",
        "single: 111 statements, +11.0% over 100",
    ]
    assert grown(found, expected, steps=False) == ["single: 111 statements, +11.0% over 100"]
