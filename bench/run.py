"""Measure whole processes as users run them, from the first HTTP byte to the last event: a JSON line for each run.

`synchronous=FULL`, receipts, every event of every message to a local webhook, explanations. Lines are appended to
results/, and what this run brought is drawn there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from bench import claim_cost, figures, scenarios, soak
from bench.bars import Chart, bars
from bench.machine import machine, version
from bench.rig import OutOfTime, RigFailed, limit_run
from bench.scenarios import Setup

RESULTS = Path(__file__).resolve().parent / "results"
#: Seconds that the whole run may take.
WITHIN = 4 * 3_600
Json = dict[str, Any]
#: What is drawn of a line: title, unit, and where it stands in the line.
DRAWN = (
    ("Messages", "a second", ("messages_per_second",)),
    ("CPU", "seconds for 1,000 messages", ("cpu_seconds_per_1000",)),
    ("Peak RSS of all processes", "MB", ("peak_rss_mb",)),
    ("Accepting, p50", "ms", ("accept_ms", "p50")),
    ("Accepting, p99", "ms", ("accept_ms", "p99")),
    ("Accepting one message meanwhile, p99", "ms", ("single_ms", "p99")),
    ("Accepting 10,000 recipients meanwhile, p99", "ms", ("large_ms", "p99")),
)
AS_USED = Setup(sink=True)


class Case(NamedTuple):
    """A load in one setup, and what is different in it from others of its scenario."""

    differs: Json
    measure: Callable[[int], Json]
    #: Messages; the second number with `--quick`.
    messages: tuple[int, int]


def _nodes(load: str, nodes: int) -> Case:
    measure, messages = (scenarios.bulk, (100_000, 10_000)) if load == "bulk" else (scenarios.single, (20_000, 1_000))
    differs = {"load": load, "database": "postgresql" if nodes else "sqlite", "processes": max(1, nodes)}
    return Case(differs, partial(measure, setup=AS_USED._replace(nodes=nodes)), messages)


def _queued(messages: int) -> Json:
    figure = figures.queued_memory(messages, figures.QUEUED_MOST_MB)[0]
    return {"queued": figure.detail["queued"], "peak_rss_mb": figure.value}


SCENARIOS: Mapping[str, Sequence[Case]] = {
    "bulk": [Case({}, partial(scenarios.bulk, setup=AS_USED), (100_000, 10_000))],
    "single": [
        Case(
            {"front_processes": number},
            partial(scenarios.single, setup=AS_USED._replace(fronts=number)),
            (20_000, 1_000),
        )
        for number in (0, 1, 2)
    ],
    "latency": [Case({}, partial(scenarios.latency, setup=AS_USED), (100_000, 20_000))],
    "senders": [
        Case({"senders": number}, partial(scenarios.bulk, setup=AS_USED._replace(senders=number)), (100_000, 10_000))
        for number in (1, 10, 100, 1_000)
    ],
    "processes": [_nodes(load, nodes) for load in ("bulk", "single") for nodes in (0, 1, 2, 4)],
    "queued": [Case({}, _queued, (1_000_000, 50_000))],
}
#: What is measured once, by scripts of its own that keep and draw their own lines: seconds or rows, and with `--quick`.
ONCE: Mapping[str, tuple[int, int]] = {"backlog": (10_000_000, 20_000), "soak": (600, 20)}


def keep(name: str, line: Json) -> None:
    """Append a line to the results of a scenario."""
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / f"{name}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def measured(name: str, case: Case, messages: int) -> Json:
    """One run of a case, as a line of the results."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {"scenario": name, "at": at, "version": version(), "machine": machine(), **case.differs} | case.measure(
        messages
    )


def rounds(name: str, runs: int, messages: int | None, *, quick: bool) -> Iterator[Json]:
    """Lines of a scenario; its cases take turns, so that a busy neighbour slows all of them alike."""
    for number in range(runs):
        for case in SCENARIOS[name][:: 1 if number % 2 == 0 else -1]:
            yield measured(name, case, messages or case.messages[quick])


def draw(name: str, lines: Sequence[Json]) -> str:
    """The picture of a scenario's lines: their medians, and a dot for each of them."""
    first = SCENARIOS[name][0].differs
    labelled = [(" ".join(f"{line[key]} {key}" for key in first) or name, line) for line in _in_order(name, lines)]
    charts = []
    for title, unit, path in DRAWN:
        runs: dict[str, list[float]] = {}
        for label, line in labelled:
            if (value := _value(line, path)) is not None:
                runs.setdefault(label, []).append(value)
        charts += [Chart(title, unit, runs)] if runs else []
    about = lines[-1]
    on = f"{about['version']}, {about['machine']['cores']} cores of {about['machine']['processor']}"
    return bars(f"{name}: {on}", charts)


def _in_order(name: str, lines: Sequence[Json]) -> list[Json]:
    cases = [case.differs for case in SCENARIOS[name]]
    return sorted(lines, key=lambda line: cases.index({key: line[key] for key in cases[0]}))


def _value(line: Json, path: Sequence[str]) -> float | None:
    value: Any = line
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, int | float) else None


def once(name: str, *, quick: bool, kept: bool) -> None:
    """Measure the cost of claims, or steady traffic with a transaction that somebody holds."""
    size = ONCE[name][quick]
    if name == "backlog":
        found = asyncio.run(claim_cost.measure(list(claim_cost.DATABASES), size))
        print(json.dumps({"scenario": "claim_cost", **found}), flush=True)
        if kept:
            claim_cost.keep(found)
        return
    line = soak.soak_line(size)
    print(json.dumps(line), flush=True)
    if kept:
        keep(name, line)
        (RESULTS / f"{name}.svg").write_text(soak.draw(line), encoding="utf-8")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    every = [*SCENARIOS, *ONCE]
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"{', '.join(every)}; all without")
    parser.add_argument("--runs", type=int, default=3, help="how many times each (default 3); backlog and soak once")
    parser.add_argument("--messages", type=int, help="how many messages; else as many as each scenario says")
    parser.add_argument("--quick", action="store_true", help="small and once: tells whether it works; keeps nothing")
    parser.add_argument("--no-keep", action="store_true", help="print only; change nothing under results/")
    given = parser.parse_args()
    if unknown := set(given.scenarios) - set(every):
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}; there are {', '.join(every)}")
    given.scenarios = given.scenarios or every
    given.kept = not (given.no_keep or given.quick)
    return given


def main() -> int:
    """Run the scenarios; 1 if one of them could not be measured."""
    given = arguments()
    limit_run(WITHIN)
    for name in given.scenarios:
        lines = []
        try:
            if name in ONCE:
                once(name, quick=given.quick, kept=given.kept)
                continue
            for line in rounds(name, 1 if given.quick else given.runs, given.messages, quick=given.quick):
                print(json.dumps(line), flush=True)
                lines.append(line)
                if given.kept:
                    keep(name, line)
        except (RigFailed, OutOfTime, OSError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 1
        if given.kept:
            (RESULTS / f"{name}.svg").write_text(draw(name, lines), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
