"""Measure whole processes, from the first HTTP byte to the last receipt: a JSON line each, kept under results/."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import scenarios
from bench.machine import machine, version
from bench.rig import OutOfTime, RigFailed, limit_run

RESULTS = Path(__file__).resolve().parent / "results"
#: Seconds that the whole run may take.
WITHIN = 600

SCENARIOS: Mapping[str, tuple[Callable[[int], dict[str, Any]], int]] = {
    "bulk": (scenarios.bulk, 100_000),
    "single": (scenarios.single, 20_000),
}


def keep(name: str, line: dict[str, Any]) -> None:
    """Append a line to the results of a scenario."""
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / f"{name}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def main() -> int:
    """Run the scenarios; 1 if one of them could not be measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"{', '.join(SCENARIOS)}; all without")
    parser.add_argument("--runs", type=int, default=3, help="how many times each (default 3)")
    parser.add_argument("--messages", type=int, help="how many messages; else 100,000 in bulk, 20,000 single")
    parser.add_argument("--no-keep", action="store_true", help="print only; append nothing under results/")
    given = parser.parse_args()
    if unknown := set(given.scenarios) - SCENARIOS.keys():
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    limit_run(WITHIN)
    for name in given.scenarios or SCENARIOS:
        measure, messages = SCENARIOS[name]
        for _ in range(given.runs):
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            line = {"scenario": name, "at": at, "version": version(), "machine": machine()}
            try:
                line |= measure(given.messages or messages)
            except (RigFailed, OutOfTime, OSError) as error:
                print(f"{name}: {error}", file=sys.stderr)
                return 1
            print(json.dumps(line), flush=True)
            if not given.no_keep:
                keep(name, line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
