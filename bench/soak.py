"""Steady traffic over two processes on PostgreSQL, half of the time while somebody holds a transaction.

A deleted or changed row stays until no snapshot can see it. While a transaction is open that began before (a forgotten
session, a long report, a dump), nothing that was queued, begun or changed since can go. Campaigns are sent at a quarter
of what the machine can do, and single messages beside them, whose way from the request to the carrier is timed. It is
read off the carrier's log, as all that arrived is. `bench.churn` asks the same of the statements of claims alone.

    make bench ARGS=soak                           # ten minutes; appends a line to results/soak.jsonl
    python -m bench.soak --seconds 120 --pace 4000 # prints only
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.api import Prober, recipient, send_body
from bench.carrier_log import Submit, parse, quantile
from bench.charts import charts
from bench.churn import both_halves, dead_rows
from bench.figures import say
from bench.machine import machine, version
from bench.rig import Rig
from bench.scenarios import PROBES, Bench, Setup, check_taken, fast_server

#: Processes, messages of a campaign's request, seconds from one single message to the next, and seconds of one line.
NODES, EACH, PROBE_EVERY, WINDOW = 2, 200, 0.05, 10.0
#: Seconds until all that was asked for has been told of, once nothing more is.
PATIENCE = 60.0
Json = dict[str, Any]


class Window(NamedTuple):
    """What was seen in some seconds, all but what the carrier's log says."""

    held: bool
    #: Seconds since 1970.
    began: float
    ended: float
    cpu_seconds: float
    database_cpu_seconds: float
    #: Of all our processes, at its end.
    rss_mb: float
    #: Rows by table that are dead at its end.
    dead: Mapping[str, int]


class Arrived(NamedTuple):
    """What the carrier took in one window, and milliseconds from a single message's request until it had it."""

    messages: int
    single_ms: Sequence[float]


async def watch(bench: Bench, seconds: float) -> list[Window]:
    """Look at both halves; the second is that in which a transaction is open."""
    assert bench.postgres is not None
    looks, forgotten = [await asyncpg.connect(bench.postgres.url()) for _ in range(2)]
    try:
        seen = await _half(bench, looks, seconds / 2, held=False)
        async with forgotten.transaction(isolation="repeatable_read", readonly=True):
            await forgotten.fetchval("SELECT count(*) FROM account")
            return seen + await _half(bench, looks, seconds / 2, held=True)
    finally:
        await looks.close()
        await forgotten.close()


async def _half(bench: Bench, looks: asyncpg.Connection[asyncpg.Record], seconds: float, *, held: bool) -> list[Window]:
    seen = []
    length = min(WINDOW, seconds)
    for _ in range(round(seconds / length)):
        began, used, database = time.time(), bench.used(), bench.database_cpu()
        await asyncio.sleep(length)
        after, dead = bench.used(), await dead_rows(looks)
        costs = after.cpu_seconds - used.cpu_seconds, bench.database_cpu() - database
        seen.append(Window(held, began, time.time(), *costs, after.rss_mb, dead))
        rows = ", ".join(f"{name} {number:,}" for name, number in dead.items())
        say(f"  {'held' if held else 'free'}  {after.rss_mb:6.1f} MB; dead rows: {rows}")
    return seen


def arrived(submits: Iterable[Submit], windows: Sequence[Window], asked: Mapping[str, float]) -> list[Arrived]:
    """What the log says of each window; *asked* is when single messages were asked for, by recipient."""
    starts = [one.began for one in windows]
    messages: Counter[int] = Counter()
    took: defaultdict[int, list[float]] = defaultdict(list)
    for submit in submits:
        messages[_window(starts, windows, submit.at)] += 1
        at = asked.get(submit.destination)
        if at is not None:
            took[_window(starts, windows, at)].append((submit.at - at) * 1000)
    return [Arrived(messages[place], took[place]) for place in range(len(windows))]


def _window(starts: Sequence[float], windows: Sequence[Window], at: float) -> int:
    """The place of the window that a moment lies in; -1: in none."""
    place = bisect_right(starts, at) - 1
    return place if place >= 0 and at < windows[place].ended else -1


def summary(windows: Sequence[Window], log: Sequence[Arrived]) -> Json:
    """Both halves in figures, and what the transaction has changed."""
    found: Json = {}
    for name, held in (("without", False), ("held", True)):
        mine = [(one, there) for one, there in zip(windows, log, strict=True) if one.held is held]
        seconds = sum(one.ended - one.began for one, _ in mine)
        messages = sum(there.messages for _, there in mine)
        singles = [ms for _, there in mine for ms in there.single_ms]
        found[name] = {
            "messages_per_second": round(messages / seconds),
            "single_ms": {"p50": round(quantile(singles, 0.5), 1), "p99": round(quantile(singles, 0.99), 1)},
            "cpu_seconds_per_1000": round(sum(one.cpu_seconds for one, _ in mine) / messages * 1000, 4),
            "database_cpu_seconds_per_1000": round(
                sum(one.database_cpu_seconds for one, _ in mine) / messages * 1000, 4
            ),
            "rss_mb": [round(mine[0][0].rss_mb, 1), round(mine[-1][0].rss_mb, 1)],
            "dead_at_end": mine[-1][0].dead,
        }
    before, after = found["without"], found["held"]
    found["held_over_without"] = {
        "single_p99": round(after["single_ms"]["p99"] / before["single_ms"]["p99"], 2),
        "cpu": round(after["cpu_seconds_per_1000"] / before["cpu_seconds_per_1000"], 2),
        "database_cpu": round(after["database_cpu_seconds_per_1000"] / before["database_cpu_seconds_per_1000"], 2),
    }
    return found


def soak_line(seconds: float = 600.0, pace: float = 2_000.0) -> Json:
    """Measure; the figures as one line. Raises `RigFailed` if a message was lost or came twice."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    told = {"scenario": "soak", "at": at, "version": version(), "machine": machine(), "processes": NODES}
    with Rig() as rig:
        bench = fast_server(rig, Setup(nodes=NODES, sink=True))
        assert bench.events is not None
        every, longest = EACH / pace, seconds * 1.1 + WINDOW
        campaigns = [send_body(bench.pool_id, number * EACH, EACH) for number in range(round(longest / every))]
        singles = [send_body(bench.pool_id, PROBES + number, 1) for number in range(round(longest / PROBE_EVERY))]
        probers = [Prober(bench.bases()[-1], singles, PROBE_EVERY, 4), Prober(bench.bases()[0], campaigns, every, 4)]
        try:
            windows = asyncio.run(watch(bench, seconds))
        finally:
            for prober in probers:
                prober.stop()
        messages = len(probers[0].seconds) + EACH * len(probers[1].seconds)
        bench.events.wait(messages + 1, PATIENCE)
        check_taken(bench.sink.stop(), messages)
        began = probers[0].began
        asked = {recipient(PROBES + number)[1:]: began + number * PROBE_EVERY for number in range(len(singles))}
        with bench.sink.log.open(encoding="ascii") as lines:
            log = arrived(parse(lines), windows, asked)
    return {
        **told,
        "seconds": seconds,
        "asked_per_second": round(pace + 1 / PROBE_EVERY),
        "messages": messages,
        **summary(windows, log),
        "windows": [_in_short(*both) for both in zip(windows, log, strict=True)],
    }


def _in_short(window: Window, there: Arrived) -> list[Any]:
    """A window for the line: held or not, seconds, messages, p50 and p99 of single ones, RSS, dead rows."""
    ms = [round(quantile(there.single_ms, share), 1) for share in (0.5, 0.99)]
    seconds = round(window.ended - window.began, 2)
    return [window.held, seconds, there.messages, *ms, round(window.rss_mb, 1), sum(window.dead.values())]


def draw(line: Mapping[str, Any]) -> str:
    """The picture of a line: rate, single messages, memory and dead rows over time, of both halves."""
    curves: dict[bool, list[tuple[float, ...]]] = {False: [], True: []}
    for held, seconds, messages, _, p99, rss, dead in line["windows"]:
        before = curves[held][-1][0] if curves[held] else 0.0
        curves[held].append((before + seconds / 60, messages / seconds, p99, rss, dead))
    shown = (("Messages", "a second"), ("Single, request to carrier, p99", "ms"), ("RSS", "MB"), ("Dead rows", "rows"))
    panels = both_halves(curves, shown)
    title = f"Steady traffic on PostgreSQL while somebody holds a transaction: {line['version']}"
    return charts(title, [panels[:2], panels[2:]])


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=600.0, help="how long, both halves together (default 600)")
    parser.add_argument("--pace", type=float, default=2_000.0, help="messages of campaigns a second (default 2,000)")
    given = parser.parse_args()
    print(json.dumps(soak_line(given.seconds, given.pace), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
