"""The figures of the whole contract, measured on real processes or counted from the tests."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from bench import contract_scenarios
from bench.contract_scenarios import CONTRACT_QUICK, ContractSizes
from bench.show import Show, run

SHOW = Show(
    "the whole contract",
    {
        "a": contract_scenarios.fuzzed,
        "b": contract_scenarios.rows_with_tests,
        "c": contract_scenarios.many_with_liquid,
        "d": contract_scenarios.bombs,
        "e": contract_scenarios.huge,
        "f": contract_scenarios.hostile,
    },
    ContractSizes(),
    CONTRACT_QUICK,
    within=900,
)

if __name__ == "__main__":
    sys.exit(run(SHOW))
