"""The figures of events, measured on real processes, or taken from tests by name."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from bench import events_scenarios
from bench.events_scenarios import EVENT_QUICK, EventSizes
from bench.show import Show, run

SHOW = Show(
    "events",
    {
        "a": events_scenarios.bad_sink,
        "b": events_scenarios.cost,
        "c": events_scenarios.an_hour_down,
        "d": events_scenarios.killed,
    },
    EventSizes(),
    EVENT_QUICK,
    within=2_400,
)

if __name__ == "__main__":
    sys.exit(run(SHOW))
