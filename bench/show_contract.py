"""The figures of the whole contract, measured on real processes or counted from the tests: one JSON object on stdout.

Exits 0 if every figure meets its target. Progress goes to stderr.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from bench import contract_scenarios
from bench.contract_scenarios import CONTRACT_QUICK, ContractSizes
from bench.figures import Figure
from bench.machine import machine, version
from bench.rig import limit_run
from bench.show_main_job import measure_all

#: Seconds that the whole run may take.
WITHIN = 900

FIGURES: Mapping[str, Callable[[ContractSizes], list[Figure]]] = {
    "a": contract_scenarios.fuzzed,
    "b": contract_scenarios.rows_with_tests,
    "c": contract_scenarios.many_with_liquid,
    "d": contract_scenarios.bombs,
    "e": contract_scenarios.huge,
    "f": contract_scenarios.hostile,
}


def arguments() -> argparse.Namespace:
    """The command line."""
    about = " ".join(f"{letter}: {(figure.__doc__ or letter).strip()}" for letter, figure in FIGURES.items())
    parser = argparse.ArgumentParser(description="Print the figures of the whole contract as JSON.", epilog=about)
    parser.add_argument("--only", default=",".join(FIGURES), metavar="a,c", help="measure these alone")
    parser.add_argument("--quick", action="store_true", help="fewer requests, and the quick phases of schemathesis")
    given = parser.parse_args()
    given.letters = [letter for letter in given.only.replace(",", " ").split() if letter]
    if unknown := [letter for letter in given.letters if letter not in FIGURES]:
        parser.error(f"no such figure: {', '.join(unknown)}; there are {', '.join(FIGURES)}")
    return given


def main() -> int:
    """Measure, print, and say by the exit status whether every target was met."""
    given = arguments()
    limit_run(WITHIN)
    on = machine()
    found = measure_all(given.letters, CONTRACT_QUICK if given.quick else ContractSizes(), FIGURES)
    shown = [figure.as_json() for figure in found]
    print(json.dumps({"figures": shown, "quick": given.quick, "machine": on, "version": version()}, indent=2))
    return 0 if all(figure.met is not False for figure in found) else 1


if __name__ == "__main__":
    sys.exit(main())
