"""The figures of RCS first, measured on real processes through the public API: one JSON object on stdout.

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

from bench import rcs_scenarios
from bench.figures import Figure
from bench.machine import machine, version
from bench.rcs_scenarios import RCS_QUICK, RcsSizes
from bench.rig import limit_run
from bench.show_main_job import measure_all

#: Seconds that the whole run may take.
WITHIN = 300

FIGURES: Mapping[str, Callable[[RcsSizes], list[Figure]]] = {
    "a": rcs_scenarios.some_without_rcs,
    "b": rcs_scenarios.refused_by_rcs,
    "c": rcs_scenarios.silent_rcs,
    "d": rcs_scenarios.look_ups_beside_others,
}


def arguments() -> argparse.Namespace:
    """The command line."""
    about = " ".join(f"{letter}: {(figure.__doc__ or letter).strip()}" for letter, figure in FIGURES.items())
    parser = argparse.ArgumentParser(description="Print the figures of RCS first as JSON.", epilog=about)
    parser.add_argument("--only", default=",".join(FIGURES), metavar="a,c", help="measure these alone")
    parser.add_argument("--quick", action="store_true", help="fewer messages and rounds")
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
    sizes = RCS_QUICK if given.quick else RcsSizes()
    found = measure_all(given.letters, sizes, FIGURES)
    shown = [figure.as_json() for figure in found]
    print(json.dumps({"figures": shown, "quick": given.quick, "machine": on, "version": version()}, indent=2))
    return 0 if all(figure.met is not False for figure in found) else 1


if __name__ == "__main__":
    sys.exit(main())
