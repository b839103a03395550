"""Hours of a pool's traffic in seconds: throughput used, fairness and an outage, under three ways of choosing.

make simulation                              # an hour; a line and a picture into bench/results
make simulation ARGS="--minutes 10 --no-keep"
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from bench.charts import Line, Panel, charts
from bench.machine import machine, version
from bench.pool_world import Choosing, Request, SenderPlan, World

from sendpool.domain.message import Category
from sendpool.domain.throughput import default_burst

RESULTS = Path(__file__).resolve().parent / "results"
#: Segments a second of each sender, which of them has the outage, and the parts of the run between which it has it.
PACES, ILL, OUTAGE = (10.0, 15.0, 20.0, 25.0, 30.0), 4, (0.3, 0.6)
#: One-time passwords a second.
PASSWORDS = 0.5


class Outcome(NamedTuple):
    """What came of one way of choosing."""

    world: World
    seconds: float
    campaigns: tuple[int, int]
    #: Seconds of real time that it took.
    took: float


def requests(seconds: float, seed: int = 7) -> list[Request]:
    """Two equal campaigns at once, which together keep the pool busy for most of the time, and passwords all along."""
    each = int(sum(PACES) * seconds * 0.35)
    dice, at = Random(seed), 0.0
    found = [Request(1.0, each), Request(1.0, each)]
    while (at := at + dice.expovariate(PASSWORDS)) < seconds * 0.9:
        found.append(Request(at, 1, Category.OTP))
    return found


def simulate(choosing: Choosing, seconds: float) -> Outcome:
    """Run one way of choosing; checks that its sums hold. Raises AssertionError."""
    plans = [SenderPlan(pace) for pace in PACES]
    plans[ILL] = SenderPlan(PACES[ILL], (OUTAGE[0] * seconds, OUTAGE[1] * seconds))
    world = World(choosing, plans)
    began = time.perf_counter()
    world.run(requests(seconds), seconds)
    check(world)
    first, second = sorted({one.flow for one in world.taken if one.kind is Category.BULK})
    return Outcome(world, seconds, (first, second), time.perf_counter() - began)


def check(world: World) -> None:
    """Every message is somewhere, once; no sender is ever faster than it may be. Raises AssertionError."""
    assert world.offered == len(world.taken) + world.failed + world.waiting
    for sender in world.senders.values():
        pace = sender.plan.mps
        assert max(sender.left.values(), default=0) <= pace + max(1.0, default_burst(pace)) + 1, sender.id


def figures(outcome: Outcome) -> dict[str, Any]:
    """What one way of choosing came to."""
    world, seconds = outcome.world, outcome.seconds
    waits = sorted(one.at - one.born for one in world.taken if one.kind is Category.OTP)
    begin, end = OUTAGE[0] * seconds, OUTAGE[1] * seconds
    whole, ill = sum(PACES), PACES[ILL]
    done = {flow: sorted(one.at for one in world.taken if one.flow == flow) for flow in outcome.campaigns}
    # Both have rows until the first of them is through.
    first = min(times[-1] for times in done.values())
    shares = [sum(at <= first for at in times) for times in done.values()]
    return {
        "throughput_used_before_the_outage": _used(world, 30.0, begin, whole),
        "throughput_used_during_the_outage": _used(world, begin + 60, end, whole - ill),
        "throughput_used_after_the_outage": _used(world, end + 60, min(first, seconds), whole),
        "campaigns_finished_after_s": [round(times[-1]) for times in done.values()],
        "campaigns_apart": round(abs(shares[0] - shares[1]) / max(shares), 3),
        "password_wait_s": {
            "median": _quantile(waits, 0.5),
            "p95": _quantile(waits, 0.95),
            "worst": round(waits[-1], 2),
        },
        "offered": world.offered,
        "taken": len(world.taken),
        "failed": world.failed,
        "left_waiting": world.waiting,
        "refused_attempts": sum(world.refused.values()),
        "real_seconds": round(outcome.took, 1),
    }


def _used(world: World, begin: float, end: float, capacity: float) -> float | None:
    """The part of what the healthy senders may that was used."""
    if end - begin < 10:
        return None
    return round(sum(begin <= one.at < end for one in world.taken) / ((end - begin) * capacity), 3)


def _quantile(ordered: Sequence[float], part: float) -> float:
    return round(ordered[min(len(ordered) - 1, int(part * len(ordered)))], 2) if ordered else 0.0


def picture(outcomes: Mapping[Choosing, Outcome]) -> str:
    """Throughput, campaigns and passwords over time, a column for each way of choosing."""
    columns = list(outcomes.items())
    whole, offered = sum(PACES) * 1.1, columns[0][1].world.offered
    rows = [
        [Panel(f"{name}: accepted", _throughput(one), whole, "segments a second") for name, one in columns],
        [Panel("two equal campaigns", _progress(one), offered / 2, "messages accepted") for _, one in columns],
        [Panel("wait of one-time passwords", _passwords(one), 60.0, "s, at most 60") for _, one in columns],
    ]
    title = f"Five senders, {sum(PACES):g} segments/s; the fastest refuses everything for a third of the time"
    return charts(title, rows)


def _throughput(outcome: Outcome) -> list[Line]:
    step = max(1, int(outcome.seconds / 120))
    taken = Counter(int(one.at // step) for one in outcome.world.taken)
    ill = Counter(int(one.at // step) for one in outcome.world.taken if one.sender == ILL + 1)
    slots = range(int(outcome.seconds / step))
    return [
        Line("all senders", [(i * step / 60, taken[i] / step) for i in slots]),
        Line("the ill one", [(i * step / 60, ill[i] / step) for i in slots]),
    ]


def _progress(outcome: Outcome) -> list[Line]:
    step = max(1, int(outcome.seconds / 120))
    lines = []
    for name, flow in zip(("campaign A", "campaign B"), outcome.campaigns, strict=True):
        counts = Counter(int(one.at // step) for one in outcome.world.taken if one.flow == flow)
        total, points = 0, []
        for i in range(int(outcome.seconds / step)):
            total += counts[i]
            points.append((i * step / 60, float(total)))
        lines.append(Line(name, points))
    return lines


def _passwords(outcome: Outcome) -> list[Line]:
    step = max(10, int(outcome.seconds / 60))
    waits: dict[int, list[float]] = {}
    for one in outcome.world.taken:
        if one.kind is Category.OTP:
            waits.setdefault(int(one.born // step), []).append(one.at - one.born)
    points = sorted(waits.items())
    return [
        Line("median", [(i * step / 60, statistics.median(found)) for i, found in points]),
        Line("worst", [(i * step / 60, max(found)) for i, found in points]),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate, print, and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0, help="of virtual time")
    parser.add_argument("--no-keep", action="store_true", help="leave bench/results alone")
    given = parser.parse_args(arguments)
    outcomes = {choosing: simulate(choosing, given.minutes * 60) for choosing in Choosing}
    found = {
        "scenario": "simulation",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "minutes": given.minutes,
        **{choosing.value: figures(outcome) for choosing, outcome in outcomes.items()},
        "machine": machine(),
        "version": version(),
    }
    print(json.dumps(found, indent=2))
    if not given.no_keep:
        RESULTS.mkdir(exist_ok=True)
        with (RESULTS / "simulation.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(found) + "\n")
        (RESULTS / "simulation.svg").write_text(picture(outcomes), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
