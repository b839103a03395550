"""Databases with a large backlog, made by a few statements: messages that wait in a queue, in a lane, or in chunks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count

from sendpool.store import chunks, messages, queue
from sendpool.store.chunks import NewChunk
from sendpool.store.database import Database, Query, Script
from sendpool.store.postgres import Postgres
from sendpool.store.queue import QueueKey
from sendpool.testing.store_rows import AT, operation

#: The pool of the tests' operations, its queue for all senders, the lane of one of them, and that sender.
POOL, SHARED, LANE, ONE = 7, 1, 2, 1
SENDERS = 100
#: Messages of an operation, and operations that take turns: campaigns that were accepted at the same time.
EACH, TURNS = 10_000, 10
#: Rows of one statement, and recipients of one chunk.
_STEP, CHUNK = 200_000, 1_000
#: Keys of what waits in the lane, and in chunks, begin here.
LANE_FIRST, CHUNKS_FIRST = 1 << 40, 1 << 41


def _numbers(database: Database, first: int, end: int) -> str:
    """A table `n` of one column `i` with these numbers, as a FROM."""
    if isinstance(database, Postgres):
        return f"generate_series({first}::bigint, {end - 1}) AS n(i)"
    rows = f"WITH RECURSIVE r(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM r WHERE i < {end - 1}) SELECT i FROM r"
    return f"({rows}) n"


def _steps(rows: int) -> Iterator[tuple[int, int]]:
    for first in range(0, rows, _STEP):
        yield first, min(rows, first + _STEP)


async def add_rows(database: Database, rows: int, *, first: int = 1, queue_id: int = SHARED) -> None:
    """So many messages that are due: operations of up to `EACH`, of which `TURNS` at a time take turns."""
    each = min(EACH, rows // TURNS)
    await database.write(_name_queues())
    for start in range(0, rows // each, 100):
        keys = [first + number * each for number in range(start, min(rows // each, start + 100))]
        await database.write(messages.insert_operations([operation(key, each) for key in keys]))
    for begin, end in _steps(rows):
        await database.write(_messages(database, first, each, begin, end))
    for begin, end in _steps(rows):
        await database.write(_due(database, first, each, begin, end, queue_id))


def _name_queues() -> Script[None]:
    names = [(SHARED, QueueKey(POOL, "SMS", "")), (LANE, QueueKey(POOL, "SMS", str(ONE)))]
    known = yield Query("SELECT id FROM queue")
    yield from queue.insert_queues([one for one in names if (one[0],) not in [tuple(row) for row in known]])


def _messages(database: Database, first: int, each: int, begin: int, end: int) -> Script[None]:
    address = "'+4477' || (10000000 + i)"
    yield Query(
        "INSERT INTO message (id, operation_id, state, address, space, plan, step, attempts, segments, ambiguous,"
        f" updated_at) SELECT {first} + i, {first} + i - i % {each}, 2, {address}, 'P', 'S', 0, 0, 1, 0,"
        f" {AT} FROM {_numbers(database, begin, end)}"
    )


def _due(database: Database, first: int, each: int, begin: int, end: int, queue_id: int) -> Script[None]:
    """In the order of their ranks, in which the index grows at its end only."""
    turn = TURNS * each
    key = f"{first} + (i / {turn} * {TURNS} + i % {TURNS}) * {each} + i % {turn} / {TURNS}"
    yield Query(
        f"INSERT INTO outq (queue_id, rank, message_id, cost, due) SELECT {queue_id}, 1000 + i, {key}, 1, {AT}"
        f" FROM {_numbers(database, begin, end)}"
    )


async def add_lane(database: Database, rows: int) -> None:
    """So many messages that only sender `ONE` may carry."""
    await add_rows(database, rows, first=LANE_FIRST, queue_id=LANE)


async def add_chunks(database: Database, recipients: int) -> None:
    """So many recipients that are no rows yet, in operations of up to `EACH`."""
    body = json.dumps([[f"+44770{number:07}", "P", "S", 1] for number in range(CHUNK)])
    firsts = count(CHUNKS_FIRST, EACH)
    for _ in range(0, recipients, 50 * EACH):
        keys = [next(firsts) for _ in range(min(50, -(-recipients // EACH)))]
        await database.write(_chunks(keys, body))


def _chunks(keys: list[int], body: str) -> Script[None]:
    yield from messages.insert_operations([operation(key, EACH, unexpanded=EACH) for key in keys])
    rows = [NewChunk(key, key + place, CHUNK, body, 0, CHUNK, "S") for key in keys for place in range(0, EACH, CHUNK)]
    yield from chunks.insert_chunks(rows)
