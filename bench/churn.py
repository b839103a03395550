"""What a claim costs on PostgreSQL while rows come and go, without and with a transaction that somebody left open.

A deleted row stays until no snapshot can see it. While a transaction is open that began before (a forgotten session, a
long report, a dump), nothing that was claimed since can go, and every claim steps over all of it at the head of its
queue. The queue is filled and claimed with the engine's own statements, at a steady pace, first for a while without
such a transaction and then for as long with one. Printed for every few seconds: the median claim, and the dead rows.

    python -m bench.churn                          # 80 s; appends a line to results/churn.jsonl
    python -m bench.churn --seconds 120 --pace 4000
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.backlogs import POOL, SHARED
from bench.charts import Line, Panel, charts
from bench.claim_cost import POSTGRES, RESULTS, ROWS, Store
from bench.figures import say
from bench.machine import machine, version

from sendpool.store import messages, queue
from sendpool.store.database import Script
from sendpool.store.messages import NewMessage
from sendpool.store.postgres import Postgres
from sendpool.store.queue import QueueKey, QueueRow
from sendpool.testing.postgres_server import postgres_server
from sendpool.testing.store_rows import AT, operation

#: Rows that wait all the time, messages of an operation, and seconds of one line.
WAITING, EACH, WINDOW = 5_000, 1_000, 5.0
#: The server looks for dead rows more often than by default (a minute), so that it does within a short run.
SETTINGS = {**POSTGRES, "autovacuum_naptime": "5s"}
#: Tables whose dead rows are counted: what a claim reads at its head, and what it writes.
TABLES = ("outq", "attempt", "message")


class Window(NamedTuple):
    """What was seen in a few seconds."""

    held: bool
    seconds: float
    claims: int
    median_ms: float
    worst_ms: float
    #: Rows by table that are dead at its end.
    dead: dict[str, int]


class Churn:
    """A queue that is filled at its end as fast as it is claimed at its head."""

    def __init__(self, database: Postgres, pace: float) -> None:
        """*pace* is rows a second."""
        self._store = Store(database, 0)
        self._pause = ROWS / pace
        self._keys = count(1, EACH)
        self._waiting = 0

    async def fill(self) -> None:
        """Let as many wait as shall."""
        while self._waiting < WAITING:
            rows = _rows(next(self._keys))
            self._store.heads.entered(rows)
            await self._store.database.write(_accept(rows))
            self._waiting += EACH

    async def run(self, seconds: float) -> list[float]:
        """Claim and fill for so long, at the pace; brings milliseconds of each claim's statements."""
        self._store.took.clear()
        end = due = time.monotonic()
        end += seconds
        while (now := time.monotonic()) < end:
            await self.fill()
            await self._store.heads.look(self._store.database, time.monotonic)
            await self._store.claim("claim", ROWS)
            self._waiting -= ROWS
            due = max(due + self._pause, now)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        return [one.statements for one in self._store.took["claim"]]


def _rows(first: int) -> list[QueueRow]:
    """The queue rows of an operation that wait at the end of the queue."""
    return [(SHARED, key, key, 1, AT) for key in range(first, first + EACH)]


def _accept(rows: Sequence[QueueRow]) -> Script[None]:
    """The operation, its messages and these rows."""
    first = rows[0][2]
    yield from messages.insert_operations([operation(first, EACH)])
    yield from messages.insert_messages([NewMessage(row[2], first, f"+4477{row[2]}", "P", "S", 1, AT) for row in rows])
    yield from queue.enqueue(rows)


async def dead_rows(watch: asyncpg.Connection[asyncpg.Record]) -> dict[str, int]:
    """Dead rows by table, as the server counts them."""
    rows = await watch.fetch(
        "SELECT relname, n_dead_tup FROM pg_stat_user_tables WHERE relname = any($1) ORDER BY relname", TABLES
    )
    return {name: int(dead) for name, dead in rows}


async def phase(churn: Churn, watch: asyncpg.Connection[asyncpg.Record], seconds: float, *, held: bool) -> list[Window]:
    """Run for so long and look every few seconds."""
    seen: list[Window] = []
    for _ in range(max(1, round(seconds / WINDOW))):
        began = time.monotonic()
        took = await churn.run(min(WINDOW, seconds))
        dead = await dead_rows(watch)
        window = Window(held, time.monotonic() - began, len(took), statistics.median(took), max(took), dead)
        seen.append(window)
        state = "snapshot held" if held else "no snapshot  "
        rows = ", ".join(f"{name} {number:,}" for name, number in dead.items())
        say(f"  {state}  claim {window.median_ms:7.2f} ms, worst {window.worst_ms:8.2f} ms; dead rows: {rows}")
    return seen


async def measure(seconds: float, pace: float) -> list[Window]:
    """Both phases, half of the time each, on a server of their own."""
    with postgres_server(SETTINGS) as server:
        database = await Postgres.connect(server.url(), readers=1, shared=True)
        watch = await asyncpg.connect(server.url())
        try:
            await database.write(queue.insert_queues([(SHARED, QueueKey(POOL, "SMS", ""))]))
            churn = Churn(database, pace)
            await churn.fill()
            without = await phase(churn, watch, seconds / 2, held=False)
            async with (
                asyncpg.create_pool(server.url(), min_size=1, max_size=1) as pool,
                pool.acquire() as forgotten,
                forgotten.transaction(isolation="repeatable_read", readonly=True),
            ):
                await forgotten.fetchval("SELECT count(*) FROM account")
                return without + await phase(churn, watch, seconds / 2, held=True)
        finally:
            await watch.close()
            await database.close()


def summary(windows: Sequence[Window]) -> dict[str, Any]:
    """Both phases in figures: the claim at the end, how much it grew, dead rows a minute."""
    found: dict[str, Any] = {}
    for name, held in (("without", False), ("held", True)):
        mine = [one for one in windows if one.held is held]
        minutes = sum(one.seconds for one in mine) / 60
        before = 0 if not held else sum(next(one.dead for one in reversed(windows) if not one.held).values())
        found[name] = {
            "claims": sum(one.claims for one in mine),
            "first_ms": round(mine[0].median_ms, 3),
            "last_ms": round(mine[-1].median_ms, 3),
            "median_ms": round(statistics.median(one.median_ms for one in mine), 3),
            "worst_ms": round(max(one.worst_ms for one in mine), 3),
            "dead_at_end": mine[-1].dead,
            "dead_per_minute": round((sum(mine[-1].dead.values()) - before) / minutes),
        }
    found["held_over_without"] = round(found["held"]["last_ms"] / found["without"]["median_ms"], 2)
    return found


def churn_line(seconds: float = 80.0, pace: float = 2_000.0) -> dict[str, Any]:
    """Measure; the figures as one line."""
    windows = asyncio.run(measure(seconds, pace))
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    told = {"scenario": "churn", "at": at, "version": version(), "machine": machine()}
    over_time = [[one.held, round(one.seconds, 2), round(one.median_ms, 3), sum(one.dead.values())] for one in windows]
    summed = summary(windows)
    return {**told, "seconds": seconds, "rows_per_second": pace, "waiting": WAITING, **summed, "windows": over_time}


def draw(line: Mapping[str, Any]) -> str:
    """The picture of a line: claims and dead rows over time, without and with the transaction."""
    curves: dict[bool, list[tuple[float, float, float]]] = {False: [], True: []}
    for held, seconds, claim, dead in line["windows"]:
        before = curves[held][-1][0] if curves[held] else 0.0
        curves[held].append((before + seconds / 60, claim, dead))
    shown = both_halves(curves, (("Median claim", "ms"), ("Dead rows", "rows")))
    return charts(f"Claims on PostgreSQL while somebody holds a snapshot: {line['version']}", [shown])


def both_halves(curves: Mapping[bool, Sequence[tuple[float, ...]]], shown: Sequence[tuple[str, str]]) -> list[Panel]:
    """A chart for each (title, unit) of what was seen without and with the transaction: (minutes, a value of each)."""
    names = {False: "nobody", True: "held"}
    panels = []
    for place, (title, unit) in enumerate(shown, 1):
        lines = [Line(names[held], [(one[0], one[place]) for one in seen]) for held, seen in curves.items()]
        panels.append(Panel(title, lines, max(y for one in lines for _, y in one.points) * 1.1 or 1.0, unit))
    return panels


def main() -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=80.0, help="how long, both halves together (default 80)")
    parser.add_argument("--pace", type=float, default=2_000.0, help="rows a second (default 2,000)")
    parser.add_argument("--no-keep", action="store_true", help="print only; change nothing under results/")
    given = parser.parse_args()
    line = churn_line(given.seconds, given.pace)
    print(json.dumps(line, indent=2))
    if not given.no_keep:
        RESULTS.mkdir(exist_ok=True)
        with (RESULTS / "churn.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        (RESULTS / "churn.svg").write_text(draw(line), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
