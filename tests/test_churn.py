"""Churn is measured with the engine's own statements, and summed up by what was seen."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import churn
from bench.churn import Window, measure, summary


def window(median: float, outq: int, *, held: bool) -> Window:
    return Window(held, 30.0, 100, median, 2 * median, {"outq": outq, "attempt": 0})


def test_what_piles_up_and_what_a_claim_costs_at_the_end_is_said_of_both_halves() -> None:
    seen = [window(1.0, 40, held=False), window(3.0, 100, held=False)]
    seen += [window(4.0, 1_100, held=True), window(8.0, 6_100, held=True)]

    found = summary(seen)

    assert found["without"]["dead_per_minute"] == 100
    assert found["held"]["dead_per_minute"] == 6_000
    assert (found["held"]["first_ms"], found["held"]["last_ms"], found["held"]["worst_ms"]) == (4.0, 8.0, 16.0)
    assert found["held_over_without"] == 4.0


def test_a_short_run_claims_in_both_halves_and_keeps_the_dead_while_a_snapshot_is_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(churn, "WINDOW", 1.0)
    monkeypatch.setattr(churn, "WAITING", 1_000)

    seen = asyncio.run(measure(4.0, 1_000.0))

    assert [one.held for one in seen] == [False, False, True, True]
    assert all(one.claims and one.median_ms > 0 for one in seen)
    assert seen[-1].dead["outq"] > 0
