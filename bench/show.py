"""What every `show_*.py` does with its figures: measure those asked for, print them as JSON, say whether all are met.

Progress goes to stderr, one JSON object to stdout; the exit status is 0 if every figure meets its target.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from bench.figures import Figure, say
from bench.machine import machine, version
from bench.rig import OutOfTime, RigFailed, limit_run

#: What is measured, by letter.
Figures = Mapping[str, Callable[[Any], list[Figure]]]


class Show(NamedTuple):
    """The figures of one subject."""

    #: "the main job".
    subject: str
    figures: Figures
    #: What the figures are given, and what they are given with `--quick`.
    sizes: object
    quick: object
    #: Seconds that the whole run may take.
    within: int


def run(show: Show) -> int:
    """Measure, print, and return the exit status."""
    given = arguments(show)
    limit_run(show.within)
    on = machine()
    found = measure_all(given.letters, show.quick if given.quick else show.sizes, show.figures)
    shown = [figure.as_json() for figure in found]
    print(json.dumps({"figures": shown, "quick": given.quick, "machine": on, "version": version()}, indent=2))
    return 0 if all(figure.met is not False for figure in found) else 1


def arguments(show: Show) -> argparse.Namespace:
    """The command line."""
    figures = show.figures
    about = " ".join(f"{letter}: {description(letter, figures)}" for letter in figures)
    parser = argparse.ArgumentParser(description=f"Print the figures of {show.subject} as JSON.", epilog=about)
    parser.add_argument("--only", default=",".join(figures), metavar="a,c", help="measure these alone")
    parser.add_argument("--quick", action="store_true", help="smaller: tells whether it works, not how well")
    given = parser.parse_args()
    given.letters = [letter for letter in given.only.replace(",", " ").split() if letter]
    if unknown := [letter for letter in given.letters if letter not in figures]:
        parser.error(f"no such figure: {', '.join(unknown)}; there are {', '.join(figures)}")
    return given


def measure(letter: str, sizes: object, figures: Figures) -> list[Figure]:
    """The figures behind a letter; what could not be measured is a figure that is not met, and says why."""
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


def measure_all(letters: Sequence[str], sizes: object, figures: Figures) -> list[Figure]:
    """The figures behind these letters; those that the time did not suffice for are not met."""
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
