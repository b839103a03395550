"""Integer keys in blocks: each process takes its own, so that none is given twice and nobody waits for another."""

from __future__ import annotations

from sendpool.store.database import Query, Script
from sendpool.store.messages import next_operation_id

#: Keys in one block: some seconds of full load, and more than the largest request needs.
BLOCK = 1 << 16
_MESSAGES = "message"


def take_block() -> Script[int]:
    """The first key of a block of `BLOCK` that nobody else has: keys of operations and their messages."""
    rows = yield Query("UPDATE number_block SET next = next + ? WHERE name = ? RETURNING next", (BLOCK, _MESSAGES))
    return int(rows[0][0]) - BLOCK if rows else (yield from first_block())


def first_block() -> Script[int]:
    """The same for a process that starts: no block reaches back to keys that rows have, whoever wrote these."""
    least = yield from next_operation_id()
    yield Query(
        "INSERT INTO number_block (name, next) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET next ="
        " CASE WHEN number_block.next < excluded.next THEN excluded.next ELSE number_block.next END",
        (_MESSAGES, least),
    )
    return (yield from take_block())
