"""The figures of speed, measured on real processes beside Kannel, through the public API."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from bench import speed_figures
from bench.show import Show, run
from bench.speed_figures import SPEED_QUICK, SpeedSizes

SHOW = Show(
    "speed",
    {
        "a": speed_figures.bulk_beside_kannel,
        "b": speed_figures.single_beside_kannel,
        "c": speed_figures.accept_latency,
        "d": speed_figures.many_senders,
        "e": speed_figures.backlog,
        "f": speed_figures.processes,
    },
    SpeedSizes(),
    SPEED_QUICK,
    within=14_400,
)

if __name__ == "__main__":
    sys.exit(run(SHOW))
