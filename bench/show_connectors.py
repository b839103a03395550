"""The figures of connectors, measured on real processes, or taken from tests by name."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from bench import connectors_scenarios
from bench.connectors_scenarios import CONNECTOR_QUICK, ConnectorSizes
from bench.show import Show, run

SHOW = Show(
    "connectors",
    {
        "a": connectors_scenarios.peers,
        "r": connectors_scenarios.conversations,
        "b": connectors_scenarios.load,
        "c": connectors_scenarios.secrets,
        "d": connectors_scenarios.forged,
    },
    ConnectorSizes(),
    CONNECTOR_QUICK,
    within=1_200,
)

if __name__ == "__main__":
    sys.exit(run(SHOW))
