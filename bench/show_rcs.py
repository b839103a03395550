"""The figures of RCS first, measured on real processes through the public API."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from bench import rcs_scenarios
from bench.rcs_scenarios import RCS_QUICK, RcsSizes
from bench.show import Show, run

SHOW = Show(
    "RCS first",
    {
        "a": rcs_scenarios.some_without_rcs,
        "b": rcs_scenarios.refused_by_rcs,
        "c": rcs_scenarios.silent_rcs,
        "d": rcs_scenarios.look_ups_beside_others,
    },
    RcsSizes(),
    RCS_QUICK,
    within=300,
)

if __name__ == "__main__":
    sys.exit(run(SHOW))
