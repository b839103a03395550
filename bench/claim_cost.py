"""What a claim costs as the backlog grows: 10,000, 1 million and 10 million messages that wait, as rows or in chunks.

The statements are the engine's own (`pipeline.claim.claim_due`, `store.chunks.expand_chunk`, what the sweep asks), on a
real SQLite file and a real PostgreSQL server. Stores of all sizes stand side by side and are asked in turn, so that a
busy neighbour slows all of them alike; what is compared are medians.

    python -m bench.claim_cost                         # both databases, up to 10 million: some minutes, 10 GB of disk
    python -m bench.claim_cost --databases sqlite --most 1000000
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.backlogs import CHUNK, CHUNKS_FIRST, EACH, LANE, ONE, POOL, SENDERS, SHARED, add_chunks, add_lane, add_rows
from bench.figures import Figure, say
from bench.machine import machine, version
from bench.plot import plot
from bench.rig import BUILD

from sendpool.domain.dealing import LinkOffer, Offer, References
from sendpool.domain.sender import Channel
from sendpool.domain.throughput import Bucket
from sendpool.pipeline.claim import Claim, Queue, claim_due
from sendpool.pipeline.clock import Clock
from sendpool.pipeline.consent import Consent
from sendpool.pipeline.heads import Heads
from sendpool.pipeline.quarantine import Quarantine
from sendpool.pipeline.roster import Roster
from sendpool.pipeline.sieve import Guards
from sendpool.store import chunks, queue, upkeep
from sendpool.store.chunks import Expansion, Run
from sendpool.store.database import Database, Script
from sendpool.store.postgres import Postgres
from sendpool.store.sqlite import Sqlite
from sendpool.store.walks import Place
from sendpool.testing.postgres_server import postgres_server
from sendpool.testing.store_rows import AT

RESULTS = Path(__file__).resolve().parent / "results"
SIZES = (10_000, 1_000_000, 10_000_000)
#: How much dearer a claim may be with the largest backlog; and with a million that only one sender may carry.
MOST_GROWTH, MOST_LANE = 1.5, 1.2
#: Claims of each store, and rows of each.
CLAIMS, ROWS = 40, 100
#: What a production server would have; the throw-away one of the tests has no room and no durability.
POSTGRES = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "30min",
    "random_page_cost": "1.1",
}
_CLOCK = Clock(time.monotonic, lambda: AT)
_NOBODY_STOPPED = Guards(Consent(Roster), Quarantine(_CLOCK.wall))


class Took(NamedTuple):
    """Milliseconds: of the statements alone, and with the commit."""

    statements: float
    whole: float


def timed(script: Script[Any], spent: list[float]) -> Script[Any]:
    """A script that notes how long each of its statements took, in seconds."""
    brought: Any = None
    while True:
        try:
            statement = script.send(brought)
        except StopIteration as end:
            return end.value
        began = time.perf_counter()
        brought = yield statement
        spent.append(time.perf_counter() - began)


async def clock(database: Database, script: Script[Any], *, writes: bool = True) -> tuple[Any, Took]:
    """Run a script; what it brought and what it took. One that is `Undone` brings nothing."""
    spent: list[float] = []
    brought = None
    began = time.perf_counter()
    with contextlib.suppress(Undone):
        brought = await (database.write if writes else database.read)(timed(script, spent))
    return brought, Took(1_000 * sum(spent), 1_000 * (time.perf_counter() - began))


class Store:
    """One database with a backlog, and what was measured on it."""

    def __init__(self, database: Database, backlog: int) -> None:
        self.database = database
        self.backlog = backlog
        self.took: dict[str, list[Took]] = {}
        self.heads = Heads()
        self.heads.on = database.shared
        self._contexts: dict[int, Any] = {}
        self._references = References()

    def median(self, name: str) -> float:
        """Milliseconds of its statements."""
        return statistics.median(one.statements for one in self.took[name])

    async def note(self, name: str, script: Script[Any], *, writes: bool = True) -> Any:
        """Run a script and keep what it took."""
        brought, took = await clock(self.database, script, writes=writes)
        self.took.setdefault(name, []).append(took)
        return brought

    async def claim(self, name: str, room: int, senders: Sequence[int] = (ONE,)) -> None:
        """Claim as the engine does for senders that have room for so many together."""
        link = LinkOffer(1, room, Bucket(None), idle=True)
        share = -(-room // len(senders))
        offers = [Offer(one, share, Bucket(None), link, 0.0, 1.0, idle=True) for one in senders]
        # The lane's sender is busy: it is no offer, so its rows are none of this claim's business.
        lanes = [] if ONE in senders else [Queue(LANE, frozenset({ONE}), lane=True, mark=self.heads.of(LANE))]
        claim = Claim(POOL, Channel.SMS, [Queue(SHARED, None, mark=self.heads.of(SHARED)), *lanes], offers)
        claimed = await self.note(name, claim_due(claim, self._contexts, self._references, _CLOCK, _NOBODY_STOPPED))
        self.heads.committed(claimed.passed)
        if len(claimed.started) != room:
            raise RuntimeError(
                f"the claim brought {len(claimed.started)} of {room}: the backlog is not as it should be"
            )

    async def expand(self, number: int) -> None:
        """Turn the chunk of this number into rows, and undo it: the smallest backlog has but a few chunks."""
        operation_id = CHUNKS_FIRST + number // (EACH // CHUNK) % (self.backlog // EACH) * EACH
        first = operation_id + number % (EACH // CHUNK) * CHUNK
        expansion = Expansion(operation_id, first, CHUNK, (), {"S": Run(SHARED, 1 << 50, 1)})
        await self.note("expand", _undone(chunks.expand_chunk(expansion, AT)))

    async def upkeep(self) -> None:
        """What the sweep asks every few seconds, or a start asks once."""
        await self.note("some wait", queue.count_waiting([SHARED, LANE], most=1), writes=False)
        await self.note("lowest ranks", queue.lowest_ranks([SHARED, LANE]), writes=False)
        await self.note("oldest due", upkeep.oldest_due([SHARED, LANE]), writes=False)
        await self.note("waiting by account", upkeep.waiting_by_account(), writes=False)
        await self.note("lingering rows", upkeep.lingering_rows(Place(), AT, 1_000), writes=False)
        await self.note("overdue in queue", queue.overdue_in_lane(SHARED, AT - 10_000_000, 1_000), writes=False)
        await self.note("overdue in lane", queue.overdue_in_lane(LANE, AT - 10_000_000, 1_000), writes=False)
        await self.note("next due", queue.next_due(), writes=False)


class Undone(Exception):
    """What was measured is rolled back."""


def _undone(script: Script[tuple[int, Any]]) -> Script[None]:
    rows, _ = yield from script
    if rows != CHUNK:
        raise RuntimeError("the chunk is not as it should be")
    raise Undone


def _open_operations() -> Script[None]:
    """Everything that a start reads of operations that are still in chunks."""
    for key, *_ in (yield from chunks.expanding_operations()):
        yield from chunks.chunks_of(key)


# ---------------------------------------------------------------- databases

Open = Callable[[str], Awaitable[Database]]


@contextlib.asynccontextmanager
async def sqlite_stores() -> AsyncIterator[Open]:
    """Makes SQLite files in a folder of their own."""
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD, prefix="claim-") as folder:

        async def make(name: str) -> Database:
            return Sqlite(Path(folder) / f"{name}.db", readers=1)

        yield make


@contextlib.asynccontextmanager
async def postgres_stores() -> AsyncIterator[Open]:
    """Makes databases on a PostgreSQL server of their own."""
    with postgres_server(POSTGRES) as server:

        async def make(name: str) -> Database:
            connection = await asyncpg.connect(server.url())
            try:
                await connection.execute(f"CREATE DATABASE {name}")
            finally:
                await connection.close()
            return await Postgres.connect(server.url(name), readers=1, shared=True)

        yield make


DATABASES = {"sqlite": sqlite_stores, "postgresql": postgres_stores}


async def settle(database: Database) -> None:
    """As a database is some minutes after such a load: written out, and known to the planner."""
    if isinstance(database, Postgres):
        connection = await asyncpg.connect(database.url)
        try:
            await connection.execute("VACUUM ANALYZE")
            await connection.execute("CHECKPOINT")
        finally:
            await connection.close()
    elif isinstance(database, Sqlite):
        database._writer.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


@contextlib.asynccontextmanager
async def stores(make: Open, name: str, backlogs: Sequence[int], fill: Fill) -> AsyncIterator[list[Store]]:
    """Stores with these backlogs, side by side."""
    made: list[Store] = []
    try:
        for backlog in backlogs:
            began = time.monotonic()
            made.append(Store(await make(f"{name}_{backlog}"), backlog))
            await fill(made[-1].database, backlog)
            await settle(made[-1].database)
            say(f"   {name}: {backlog:,} made in {time.monotonic() - began:.0f} s")
        yield made
    finally:
        for store in made:
            await store.database.close()


Fill = Callable[[Database, int], Awaitable[None]]


# ---------------------------------------------------------------- cases


def in_turn(made: Sequence[Store], turn: int) -> Sequence[Store]:
    """The stores forwards, then backwards: who comes first finds other caches than who comes last."""
    return made if turn % 2 else made[::-1]


async def as_rows(make: Open, backlogs: Sequence[int]) -> list[Store]:
    """Everything waits in one queue."""
    async with stores(make, "rows", backlogs, add_rows) as made:
        for turn in range(CLAIMS + WARM):
            for store in in_turn(made, turn):
                await store.claim("claim", ROWS)
                await store.claim("claim of a part", ROWS * 3 // 5)
                if turn % 10 == 0:
                    await store.upkeep()
                if turn % 20 == 0:
                    await store.note("count waiting", queue.count_waiting([SHARED, LANE]), writes=False)
        return warmed(made)


async def as_chunks(make: Open, backlogs: Sequence[int]) -> list[Store]:
    """A few thousand messages are due, all others are in chunks."""

    async def fill(database: Database, backlog: int) -> None:
        await add_rows(database, 20_000)
        await add_chunks(database, backlog)

    async with stores(make, "chunks", backlogs, fill) as made:
        for turn in range(CLAIMS + WARM):
            for store in in_turn(made, turn):
                await store.claim("claim", ROWS)
                for place in range(3):
                    await store.expand(turn * 7 + place * 101)
                if turn < 3:
                    await store.note("open operations", _open_operations(), writes=False)
        return warmed(made)


async def beside_a_lane(make: Open, backlogs: Sequence[int]) -> list[Store]:
    """Of a hundred senders, 99 claim what everybody may carry, while so many rows wait for the one that is busy."""

    async def fill(database: Database, backlog: int) -> None:
        await add_rows(database, 20_000)
        if backlog:
            await add_lane(database, backlog)

    others = range(ONE + 1, SENDERS + 1)
    async with stores(make, "lane", backlogs, fill) as made:
        for turn in range(CLAIMS + WARM):
            for store in in_turn(made, turn):
                await store.claim("claim", len(others), others)
                if turn % 10 == 0:
                    await store.upkeep()
        return warmed(made)


#: Rounds that fill caches and are not counted.
WARM = 3


def warmed(made: Sequence[Store]) -> list[Store]:
    """The same without what was measured while the caches were cold."""
    for store in made:
        store.took = {
            name: took[WARM:] if len(took) > 2 * WARM else took[1:] or took for name, took in store.took.items()
        }
    return list(made)


# ---------------------------------------------------------------- figures


def growth(made: Sequence[Store], name: str) -> float:
    """How much dearer something is with the largest backlog than with the smallest."""
    return made[-1].median(name) / made[0].median(name)


def medians(made: Sequence[Store]) -> dict[str, dict[str, float]]:
    """Milliseconds by what was done and backlog."""
    return {name: {f"{store.backlog}": round(store.median(name), 3) for store in made} for name in made[0].took}


async def measure(databases: Sequence[str], most: int) -> dict[str, Any]:
    """Everything, by database."""
    sizes = sorted({*(size for size in SIZES if size < most), most})
    found: dict[str, Any] = {}
    for name in databases:
        async with DATABASES[name]() as make:
            say(f"{name}: as rows")
            rows = await as_rows(make, sizes)
            say(f"{name}: in chunks")
            chunked = await as_chunks(make, sizes)
            say(f"{name}: beside a lane")
            lane = await beside_a_lane(make, [0, min(1_000_000, most)])
        found[name] = {
            "rows_ms": medians(rows),
            "chunks_ms": medians(chunked),
            "lane_ms": medians(lane),
            "growth": {
                "claim": round(growth(rows, "claim"), 2),
                "claim of a part": round(growth(rows, "claim of a part"), 2),
                "claim beside chunks": round(growth(chunked, "claim"), 2),
                "expand": round(growth(chunked, "expand"), 2),
            },
            "lane": round(growth(lane, "claim"), 2),
        }
    return found


def judged(found: Mapping[str, Any]) -> list[Figure]:
    """The figures of a measurement, with their targets."""
    figures = []
    for name, one in found.items():
        worst = max(one["growth"].values())
        largest = max(int(size) for size in one["rows_ms"]["claim"])
        figures += [
            Figure(
                f"{name}: the cost of a claim with {largest:,} waiting, over that with {SIZES[0]:,}, the worst case",
                f"at most {MOST_GROWTH}",
                worst,
                worst <= MOST_GROWTH,
                {"growth": one["growth"], "rows_ms": one["rows_ms"], "chunks_ms": one["chunks_ms"]},
            ),
            Figure(
                f"{name}: the cost of a claim of 99 senders while a million wait for the hundredth, over that without",
                f"at most {MOST_LANE}",
                one["lane"],
                one["lane"] <= MOST_LANE,
                {"lane_ms": one["lane_ms"]},
            ),
        ]
    return figures


def claim_cost(most: int = SIZES[-1], databases: Sequence[str] = tuple(DATABASES)) -> list[Figure]:
    """The cost of a claim against the size of the backlog, on both databases."""
    return judged(asyncio.run(measure(databases, most)))


def claim_cost_line(most: int = SIZES[-1], databases: Sequence[str] = tuple(DATABASES)) -> dict[str, Any]:
    """The same as one line: what it should be, what was seen, whether it is so."""
    figures = claim_cost(most, databases)
    return {
        "target": f"a claim costs at most {MOST_GROWTH} times as much with {most:,} waiting as with {SIZES[0]:,},"
        f" and at most {MOST_LANE} times while a million wait for one of 100 senders",
        "seen": {figure.name: figure.value for figure in figures},
        "ok": all(figure.met for figure in figures),
    }


def curves(found: Mapping[str, Any]) -> dict[str, list[tuple[float, float]]]:
    """What is drawn."""
    drawn = {}
    for database, one in found.items():
        for case, name in (("rows_ms", "claim"), ("chunks_ms", "claim"), ("chunks_ms", "expand")):
            label = f"{database}: {name}" + (" beside chunks" if (case, name) == ("chunks_ms", "claim") else "")
            drawn[label] = [(float(size), took) for size, took in one[case][name].items()]
    return drawn


def keep(found: Mapping[str, Any]) -> None:
    """Append a line to the results, and draw it."""
    RESULTS.mkdir(exist_ok=True)
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = {"scenario": "claim_cost", "at": at, "version": version(), "machine": machine(), **found}
    with (RESULTS / "claim_cost.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    title = f"A claim of {ROWS} rows, a chunk of 1,000 recipients"
    picture = plot(title, "messages that wait", "milliseconds (median)", curves(found))
    (RESULTS / "claim_cost.svg").write_text(picture, encoding="utf-8")


def main() -> int:
    """Measure, print, keep; 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--databases", nargs="+", choices=list(DATABASES), default=list(DATABASES))
    parser.add_argument("--most", type=int, default=SIZES[-1], help="the largest backlog (default 10 million)")
    parser.add_argument("--no-keep", action="store_true", help="print only; change nothing under results/")
    given = parser.parse_args()
    found = asyncio.run(measure(given.databases, given.most))
    figures = judged(found)
    print(
        json.dumps(
            {"figures": [one.as_json() for one in figures], "machine": machine(), "version": version()}, indent=2
        )
    )
    if not given.no_keep:
        keep(found)
    return 0 if all(figure.met for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
