"""The figures of the console, measured in Chromium on a real server."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from bench import console_scenarios
from bench.console_scenarios import CONSOLE_QUICK, ConsoleSizes
from bench.show import Show, run

SHOW = Show(
    "the console",
    {"a": console_scenarios.first_page, "b": console_scenarios.live, "c": console_scenarios.newcomer},
    ConsoleSizes(),
    CONSOLE_QUICK,
    within=400,
)

if __name__ == "__main__":
    sys.exit(run(SHOW))
