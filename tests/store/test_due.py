"""Where the rows that are due later begin, on a PostgreSQL that keeps what has gone in the way."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import asyncpg
import pytest

from sendpool.pipeline.clock import Clock
from sendpool.pipeline.due import EVERY, LATE, DueMark
from sendpool.store.database import Database
from sendpool.store.postgres import Postgres
from sendpool.store.queue import EVER, due_later, next_due, postpone, remove_later
from sendpool.store.schedule import due_scheduled
from sendpool.store.sqlite import Sqlite
from sendpool.testing.store_rows import AT

SECOND = 1_000_000


class Time:
    """A clock that is set by hand: seconds since the beginning, and what a wall clock is wrong by."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.wrong = 0.0
        self.clock = Clock(lambda: self.seconds, lambda: AT + int((self.seconds + self.wrong) * SECOND))


@pytest.fixture
async def shared(postgres_url: str) -> AsyncIterator[Postgres]:
    opened = await Postgres.connect(postgres_url, readers=1, shared=True)
    yield opened
    await opened.close()


async def keep(database: Database, *seconds: float) -> None:
    """Keep a row until each of these moments."""
    rows = [(AT + int(at * SECOND), number, 1, 7, 1) for number, at in enumerate(seconds, 100)]
    await database.write(postpone(rows))


async def gone(database: Database, upto: int) -> list[int]:
    """Take what is due until a time away; brings when that was, in seconds."""
    rows = await database.read(due_later(upto, 1_000))
    await database.write(remove_later([row[:2] for row in rows]))
    return [(row[0] - AT) // SECOND for row in rows]


async def test_the_mark_follows_what_is_due_and_stays_behind_it(shared: Postgres) -> None:
    time = Time()
    mark = DueMark(shared, time.clock)
    await keep(shared, 10, 20, 900)

    assert await mark.next() == AT + 10 * SECOND
    assert mark.first == AT - LATE

    time.seconds = 30.0
    assert await mark.next() == AT + 10 * SECOND
    assert mark.first == AT + 10 * SECOND - LATE
    assert await gone(shared, AT + 30 * SECOND) == [10, 20]

    assert await mark.next() == AT + 900 * SECOND
    assert mark.first == AT + 30 * SECOND - LATE
    time.seconds = 1_000.0
    assert [row[0] for row in await shared.read(due_later(AT + 1_000 * SECOND, 10, mark.first))] == [AT + 900 * SECOND]


async def test_what_comes_in_below_the_mark_is_found_by_the_next_look_from_the_very_first(shared: Postgres) -> None:
    time = Time()
    mark = DueMark(shared, time.clock)
    time.seconds = 100.0
    assert await mark.next() is None

    await keep(shared, 50)
    time.seconds += EVERY / 2
    assert await mark.next() is None
    assert await shared.read(due_later(AT + 100 * SECOND, 10, mark.first)) == []

    time.seconds += EVERY
    assert await mark.next() == AT + 50 * SECOND
    assert len(await shared.read(due_later(AT + 100 * SECOND, 10, mark.first))) == 1


async def test_a_wall_clock_that_was_ahead_hides_nothing_for_long(shared: Postgres) -> None:
    time = Time()
    mark = DueMark(shared, time.clock)
    time.wrong = 3_600.0
    assert await mark.next() is None
    assert mark.first == AT + 3_600 * SECOND - LATE

    time.wrong = 0.0
    await keep(shared, 2)
    time.seconds = EVERY + 1
    assert await mark.next() == AT + 2 * SECOND
    assert mark.first < AT + 2 * SECOND


async def test_what_is_scheduled_is_looked_for_from_the_mark_on(database: Database) -> None:
    await database.write(postpone([(AT, 100, 1, None, 1)]))

    assert await database.read(next_due()) == AT
    assert await database.read(next_due(AT + 1)) is None
    assert await database.read(due_scheduled(AT, 10, AT + 1)) == []


async def test_a_file_keeps_nothing_in_the_way_and_has_no_mark(sqlite: Sqlite) -> None:
    time = Time()
    mark = DueMark(sqlite, time.clock)
    await keep(sqlite, 10)
    time.seconds = 100.0

    assert await mark.next() == AT + 10 * SECOND
    assert mark.first == EVER


async def test_nothing_that_has_gone_is_stepped_over_while_somebody_holds_a_snapshot(
    shared: Postgres, postgres_url: str
) -> None:
    time = Time()
    mark = DueMark(shared, time.clock)
    watch, forgotten = await asyncpg.connect(postgres_url), await asyncpg.connect(postgres_url)
    async with forgotten.transaction(isolation="repeatable_read", readonly=True):
        await forgotten.fetchval("SELECT count(*) FROM later")
        for first in range(0, 20_000, 1_000):
            await keep(shared, *[(first + more) / 1_000 for more in range(1_000)])
            await gone(shared, AT + 20 * SECOND)
        time.seconds = 60.0
        await mark.next()

        pages = [await pages_read(watch, first) for first in (EVER, mark.first)]
    await watch.close()
    await forgotten.close()

    # Those that have gone fill more than a hundred.
    assert pages[0] > 100
    assert pages[1] < 10


async def pages_read(connection: asyncpg.Connection[asyncpg.Record], first: int) -> int:
    """Pages that PostgreSQL reads to find what is due from a time on."""
    plan = await connection.fetchval(
        "EXPLAIN (ANALYZE, BUFFERS, FORMAT json) SELECT * FROM later WHERE due >= $1 AND due <= $2"
        " AND rank IS NOT NULL ORDER BY due, message_id LIMIT 1000",
        first,
        AT + 60 * SECOND,
    )
    top = json.loads(plan)[0]["Plan"]
    return int(top["Shared Hit Blocks"]) + int(top["Shared Read Blocks"])
