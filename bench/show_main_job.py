"""The figures of the main job, measured on real processes through the public API: one JSON object on stdout.

Exits 0 if every figure meets its target. Progress goes to stderr.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import figures as main_job
from bench import three_kills
from bench.figures import QUICK, Figure, Sizes, say
from bench.machine import machine, version
from bench.rig import OutOfTime, RigFailed, limit_run

#: Seconds that the whole run may take.
WITHIN = 300

FIGURES: Mapping[str, Callable[[Sizes], list[Figure]]] = {
    "a": main_job.ten_senders,
    "b": main_job.one_good_carrier,
    "c": three_kills.three_kills,
    "d": main_job.large_requests,
    "e": main_job.queued_memory,
    "f": main_job.bulk,
    "g": main_job.single,
}


#: What is measured, by letter.
Figures = Mapping[str, Callable[[Any], list[Figure]]]


def measure(letter: str, sizes: object, figures: Figures | None = None) -> list[Figure]:
    """The figures behind a letter; what could not be measured is a figure that is not met, and says why."""
    figures = FIGURES if figures is None else figures
    name = description(letter, figures)
    say(f"{letter}: {name}")
    began = time.monotonic()
    try:
        found = figures[letter](sizes)
    except (RigFailed, OSError) as error:
        found = [Figure(name, None, None, False, {"problem": str(error)})]
    for figure in found:
        verdict = {True: "met", False: "MISSED", None: "for information"}[figure.met]
        problem = figure.detail.get("problem", "")
        say(f"   {verdict}: {figure.name}: {figure.value}" + (f" ({problem})" if problem else ""))
    say(f"   {time.monotonic() - began:.1f} s")
    return found


def measure_all(letters: Sequence[str], sizes: object, figures: Figures | None = None) -> list[Figure]:
    """The figures behind these letters; those that the time did not suffice for are not met."""
    figures = FIGURES if figures is None else figures
    found: list[Figure] = []
    left = list(letters)
    try:
        while left:
            found += measure(left[0], sizes, figures)
            del left[0]
    except OutOfTime as error:
        say(str(error))
        found += [Figure(description(letter, figures), None, None, False, {"problem": str(error)}) for letter in left]
    return found


def description(letter: str, figures: Figures) -> str:
    """What is measured under a letter."""
    return (figures[letter].__doc__ or letter).strip()


def arguments() -> argparse.Namespace:
    """The command line."""
    about = " ".join(f"{letter}: {description(letter, FIGURES)}" for letter in FIGURES)
    parser = argparse.ArgumentParser(description="Print the figures of the main job as JSON.", epilog=about)
    parser.add_argument("--only", default=",".join(FIGURES), metavar="a,f", help="measure these alone")
    parser.add_argument("--quick", action="store_true", help="fewer messages: tells whether it works, not how fast")
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
    found = measure_all(given.letters, QUICK if given.quick else Sizes())
    shown = [figure.as_json() for figure in found]
    print(json.dumps({"figures": shown, "quick": given.quick, "machine": on, "version": version()}, indent=2))
    return 0 if all(figure.met is not False for figure in found) else 1


if __name__ == "__main__":
    sys.exit(main())
