"""The figures of sender pools, measured on real processes through the public API, or taken from tests by name."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from bench import pools_scenarios, pools_scenarios_health, pools_scenarios_throughput
from bench.pools_scenarios import POOL_QUICK, PoolSizes
from bench.show import Show, run

SHOW = Show(
    "sender pools",
    {
        "a": pools_scenarios.campaigns,
        "b": pools_scenarios_throughput.mixed,
        "c": pools_scenarios_throughput.shared_scope,
        "d": pools_scenarios.sticky,
        "e": pools_scenarios.beside_a_lane,
        "f": pools_scenarios_health.silent_loss,
        "g": pools_scenarios_health.black_hole,
        "h": pools_scenarios_health.bad_list,
        "k": pools_scenarios_health.equally_bad,
        "i": pools_scenarios.filtered,
        "j": pools_scenarios.explanations,
    },
    PoolSizes(),
    POOL_QUICK,
    within=3_600,
)

if __name__ == "__main__":
    sys.exit(run(SHOW))
