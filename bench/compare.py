"""Sendpool beside Kannel: the same carrier, the same kind of sink, in turn, so that a busy neighbour slows both alike.

Kannel takes one message in a request, without store and with its spool; Sendpool takes single messages and bulk. Each
run counts from the first HTTP byte until the sink was told of the last delivery, less what the carrier waits before a
receipt. Compared are medians.

    python -m bench.compare                    # 5 rounds with receipts after 100 ms and after 5 s; appends a line
    python -m bench.compare --runs 1 --messages 2000 --no-keep
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from bench import run, scenarios
from bench.bars import Chart, bars
from bench.figures import say
from bench.kannel import kannel
from bench.machine import machine, version
from bench.rig import OutOfTime, RigFailed, limit_run
from bench.scenarios import Setup

#: Seconds that the whole run may take.
WITHIN = 3_600
#: Milliseconds until a receipt: at once, and as a carrier that has to find a phone.
AT_ONCE, LATER = 100, 5_000
Json = dict[str, Any]


class Sizes(NamedTuple):
    """Messages of a bulk run, and of one in which each has a request of its own."""

    bulk: int = 100_000
    single: int = 20_000


QUICK = Sizes(10_000, 2_000)

#: In one of ten runs or so Kannel never tells of one receipt of 20,000. A figure of ours is not to be lost by that.
TRIES = 3

#: What is measured, by name: messages and milliseconds until a receipt.
SYSTEMS: Mapping[str, Callable[[Sizes, int], Json]] = {
    "kannel spool": lambda sizes, after: kannel(sizes.single, spool=True, receipts_after=after),
    "kannel no store": lambda sizes, after: kannel(sizes.single, spool=False, receipts_after=after),
    "bulk": lambda sizes, after: scenarios.bulk(sizes.bulk, Setup(receipts_after=after, sink=True)),
    "single": lambda sizes, after: scenarios.single(sizes.single, Setup(receipts_after=after, sink=True)),
    "single, two fronts": lambda sizes, after: scenarios.single(
        sizes.single, Setup(receipts_after=after, sink=True, fronts=2)
    ),
}


class Ran(NamedTuple):
    """A run of a system."""

    system: str
    receipts_after: int
    #: Messages a second until the last event was told, less the carrier's own wait.
    rate: float
    cpu: float
    peak_rss_mb: float

    @property
    def name(self) -> str:
        """What it is called in pictures and results."""
        return f"{self.system}, receipts after {self.receipts_after / 1000:g} s"


def ran(system: str, receipts_after: int, sizes: Sizes) -> Ran:
    """Run a system once; Kannel again where it did not get to the end, up to `TRIES` times."""
    found = _finished(system, receipts_after, sizes)
    seconds = found["seconds_to_last_event"] - receipts_after / 1000
    one = Ran(system, receipts_after, found["messages"] / seconds, found["cpu_seconds_per_1000"], found["peak_rss_mb"])
    others = found["cores_of_neighbours"]
    say(f"  {one.name}: {one.rate:,.0f}/s, {one.cpu:.3f} CPU s for 1,000, {others} cores of neighbours")
    return one


def _finished(system: str, receipts_after: int, sizes: Sizes) -> Json:
    for _ in range(TRIES - 1):
        try:
            return SYSTEMS[system](sizes, receipts_after)
        except RigFailed as error:
            if not system.startswith("kannel"):
                raise
            say(f"  {system}: not counted, as it did not tell of all: {error}")
    return SYSTEMS[system](sizes, receipts_after)


def rounds(pairs: Sequence[tuple[str, int]], runs: int, sizes: Sizes) -> list[Ran]:
    """Systems with their receipts in turn, forwards, then backwards."""
    return [
        ran(system, after, sizes) for number in range(runs) for system, after in pairs[:: 1 if number % 2 == 0 else -1]
    ]


def runs_of(found: Sequence[Ran], system: str, receipts_after: int = AT_ONCE) -> list[Ran]:
    """A system's runs, round by round."""
    return [one for one in found if (one.system, one.receipts_after) == (system, receipts_after)]


def median(found: Sequence[Ran], system: str, receipts_after: int = AT_ONCE, *, of: str = "rate") -> float:
    """The median of a system's runs."""
    found_of: list[float] = [getattr(one, of) for one in runs_of(found, system, receipts_after)]
    return statistics.median(found_of)


def medians(found: Sequence[Ran]) -> dict[str, Json]:
    """Medians by name, and the rates of all runs."""
    told = {}
    for system, after, name in dict.fromkeys((one.system, one.receipts_after, one.name) for one in found):
        told[name] = {
            "messages_per_second": round(median(found, system, after)),
            "runs": [round(one.rate) for one in found if one.name == name],
            "cpu_seconds_per_1000": round(median(found, system, after, of="cpu"), 4),
            "peak_rss_mb": round(median(found, system, after, of="peak_rss_mb"), 1),
        }
    return told


def ratios(found: Sequence[Ran]) -> dict[str, float]:
    """How many times as fast as Kannel we are with the same receipts, of medians."""
    there = {(one.system, one.receipts_after) for one in found}
    return {
        f"{ours} over {theirs}, receipts after {after / 1000:g} s": round(
            median(found, ours, after) / median(found, theirs, after), 2
        )
        for after in sorted({after for _, after in there})
        for ours in ("bulk", "single", "single, two fronts")
        for theirs in ("kannel spool", "kannel no store")
        if {(ours, after), (theirs, after)} <= there
    }


def draw(found: Sequence[Ran]) -> str:
    """The picture of all runs."""
    names = list(dict.fromkeys(one.name for one in found))
    charts = [
        Chart(title, unit, {name: [getattr(one, of) for one in found if one.name == name] for name in names})
        for title, unit, of in (
            ("Messages", "a second", "rate"),
            ("CPU", "seconds for 1,000 messages", "cpu"),
            ("Peak RSS of all processes", "MB", "peak_rss_mb"),
        )
    ]
    return bars(f"Sendpool {version()} beside Kannel", charts)


def main() -> int:
    """Compare, print, keep; 1 if something could not be measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, default=5, help="rounds (default 5)")
    parser.add_argument("--messages", type=int, help="of every run; else 100,000 in bulk, 20,000 one by one")
    parser.add_argument("--quick", action="store_true", help="small and once: tells whether it works; keeps nothing")
    parser.add_argument("--no-keep", action="store_true", help="print only; change nothing under results/")
    given = parser.parse_args()
    limit_run(WITHIN)
    sizes = QUICK if given.quick else Sizes()
    sizes = Sizes(given.messages, given.messages) if given.messages else sizes
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line: Json = {"scenario": "compare", "at": at, "version": version(), "machine": machine()}
    try:
        found = rounds(
            [(system, after) for after in (AT_ONCE, LATER) for system in SYSTEMS],
            1 if given.quick else given.runs,
            sizes,
        )
    except (RigFailed, OutOfTime, OSError) as error:
        print(f"compare: {error}", file=sys.stderr)
        return 1
    line |= {"ratios": ratios(found), "medians": medians(found)}
    print(json.dumps(line, indent=2))
    if not (given.quick or given.no_keep):
        run.keep("compare", line)
        (run.RESULTS / "compare.svg").write_text(draw(found), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
