"""The cost of claims is measured with the engine's own statements, and judged by what was measured."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import claim_cost
from bench.claim_cost import Took, curves, judged, measure
from bench.plot import plot


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(claim_cost, "SIZES", (10_000, 20_000))
    monkeypatch.setattr(claim_cost, "CLAIMS", 2)
    monkeypatch.setattr(claim_cost, "BUILD", tmp_path)


@pytest.mark.usefixtures("small")
def test_a_small_run_measures_everything() -> None:
    found = asyncio.run(measure(["sqlite"], 20_000))

    one = found["sqlite"]
    assert one["rows_ms"].keys() >= {"claim", "claim of a part", "oldest due", "some wait", "count waiting"}
    assert one["chunks_ms"].keys() == {"claim", "expand", "open operations"}
    assert one["rows_ms"]["claim"].keys() == {"10000", "20000"}
    assert all(
        took > 0 for case in ("rows_ms", "chunks_ms", "lane_ms") for by in one[case].values() for took in by.values()
    )
    figures = judged(found)
    assert [figure.target for figure in figures] == ["at most 1.5", "at most 1.2"]
    ET.fromstring(plot("a claim", "waiting", "ms", curves(found)))


def _found(growth: float, lane: float) -> dict[str, Any]:
    by_size = {"claim": {"10000": 1.0, "10000000": growth}, "expand": {"10000": 1.0, "10000000": 1.0}}
    return {
        "sqlite": {
            "rows_ms": by_size,
            "chunks_ms": by_size,
            "lane_ms": {},
            "growth": {"claim": growth, "expand": 1.0},
            "lane": lane,
        }
    }


@pytest.mark.parametrize(
    ("growth", "lane", "met"), [(1.5, 1.2, [True, True]), (1.51, 1.2, [False, True]), (1.0, 1.21, [True, False])]
)
def test_a_figure_is_met_up_to_its_target(growth: float, lane: float, met: list[bool]) -> None:
    figures = judged(_found(growth, lane))

    assert [figure.met for figure in figures] == met
    assert [figure.value for figure in figures] == [growth, lane]
    assert "10,000,000" in figures[0].name


def test_a_line_says_what_it_should_be_what_was_seen_and_whether_it_is_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async def measured(databases: object, most: object) -> dict[str, Any]:
        return _found(1.1, 1.3)

    monkeypatch.setattr(claim_cost, "measure", measured)

    line = claim_cost.claim_cost_line()

    assert line.keys() == {"target", "seen", "ok"}
    assert line["ok"] is False
    assert list(line["seen"].values()) == [1.1, 1.3]


def test_medians_leave_out_the_first_rounds() -> None:
    store = claim_cost.Store(SimpleNamespace(shared=False), 1)
    store.took["claim"] = [Took(100.0, 100.0)] * claim_cost.WARM + [Took(1.0, 2.0)] * 7

    (warm,) = claim_cost.warmed([store])

    assert warm.median("claim") == 1.0
