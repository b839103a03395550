"""What housekeeping looks for: messages whose time is over, receipts that match by now, the age of queues."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sendpool.domain.states import MessageState, OperationState
from sendpool.store.database import Bulk, Query, Script
from sendpool.store.queue import FIRSTS, NOWHERE, firsts
from sendpool.store.receipts import PARKED
from sendpool.store.walks import Place, beginning, window_end


def overdue_operations(now: int, limit: int) -> Script[list[tuple[int, int, int]]]:
    """(operation, messages, still in chunks) of operations that have messages queued after their deadline."""
    rows = yield Query(
        f"FROM operation WHERE state = {int(OperationState.PROCESSING)} AND deadline < ? ORDER BY deadline LIMIT ?",
        (now, limit),
        ("id", "total", "unexpanded"),
    )
    return [tuple(row) for row in rows]


def queued_messages(operation_id: int, total: int, limit: int) -> Script[list[int]]:
    """Messages of an operation that are QUEUED, oldest first."""
    rows = yield Query(
        f"FROM message WHERE id BETWEEN ? AND ? AND state = {int(MessageState.QUEUED)} ORDER BY id LIMIT ?",
        (operation_id, operation_id + total - 1, limit),
        ("id",),
    )
    return [row[0] for row in rows]


def parked_that_match(limit: int) -> Script[list[Any]]:
    """Parked receipts (`receipts.PARKED`) whose segment is known by now."""
    rows: list[Any] = yield Query(
        "FROM receipt r WHERE EXISTS (SELECT 1 FROM segment s WHERE s.connection_id = r.connection_id"
        " AND s.carrier_id = r.carrier_id) ORDER BY r.id LIMIT ?",
        (limit,),
        tuple(f"r.{name}" for name in PARKED),
    )
    return rows


def rows_in(queue_ids: list[int], limit: int) -> Script[list[tuple[int, int, int]]]:
    """(queue, rank, message) of rows that wait in these queues."""
    rows = yield Bulk(
        "FROM v JOIN outq q ON q.queue_id = v.id LIMIT " + str(int(limit)),
        (("id", "bigint"),),
        [(queue_id,) for queue_id in queue_ids],
        ("q.queue_id", "q.rank", "q.message_id"),
    )
    return [tuple(row) for row in rows[:limit]]


def waiting_by_account() -> Script[dict[int, int]]:
    """Messages that are scheduled or queued, those in chunks included, by account."""
    # Two statements in one, so that each finds its own narrow index.
    rows = yield Query(
        "SELECT account_id, sum(waiting) FROM (SELECT account_id, scheduled + queued AS waiting FROM operation WHERE"
        f" state = {OperationState.SCHEDULED:d} UNION ALL SELECT account_id, scheduled + queued FROM operation WHERE"
        f" state = {OperationState.PROCESSING:d}) r GROUP BY account_id"
    )
    return {account_id: int(waiting) for account_id, waiting in rows}


def oldest_due(queue_ids: list[int], first: Mapping[int, int] = NOWHERE) -> Script[list[tuple[int, int]]]:
    """(queue, when the row at its head became due) of queues that hold rows, from the rank on that *first* has."""
    # One step into the index for each queue: as a join, PostgreSQL asks it anew for every row that waits.
    some = "SELECT q.due FROM outq q WHERE q.queue_id = v.id AND q.rank >= v.first"
    rows = yield Bulk(
        "FROM v",
        FIRSTS,
        firsts(queue_ids, first),
        ("v.id", f"({some} ORDER BY q.rank, q.message_id LIMIT 1)"),
    )
    return [(queue_id, due) for queue_id, due in rows if due is not None]


#: Receipts that are counted, at most.
_COUNTED = 100_000


class Doubts(NamedTuple):
    """What nobody is sure of: messages that may have left, and receipts that have found no segment yet."""

    ambiguous: int
    receipts: int
    #: When the oldest of them came; None: there is none.
    oldest_receipt: int | None


def count_doubts() -> Script[Doubts]:
    """Messages of unknown fate, and receipts that wait for their segment, up to 100,000 of them."""
    ambiguous = yield Query("SELECT count(*) FROM message WHERE ambiguous <> 0")
    parked = yield Query(f"SELECT count(*) FROM (SELECT 1 FROM receipt LIMIT {_COUNTED}) r")
    oldest = yield Query("SELECT received_at FROM receipt ORDER BY id LIMIT 1")
    return Doubts(int(ambiguous[0][0]), int(parked[0][0]), oldest[0][0] if oldest else None)


class Lingering(NamedTuple):
    """A queue row that waits though its message has ended, is gone, or is past its deadline."""

    queue_id: int
    rank: int
    message_id: int
    #: Whether its message may still have to be ended.
    open: bool


def lingering_rows(place: Place, now: int, window: int) -> Script[tuple[list[Lingering], Place | None]]:
    """Of the next *window* rows in queues, those that are not to be sent any more; and where to go on, or None."""
    key = ("queue_id", "rank", "message_id")
    names = ", ".join(key)
    begin, bound = beginning(key, place)
    rows = yield Query(
        f"FROM (SELECT {names} FROM outq{begin} ORDER BY {names} LIMIT ?) q"
        " LEFT JOIN message m ON m.id = q.message_id LEFT JOIN operation o ON o.id = m.operation_id"
        f" WHERE o.id IS NULL OR m.state > {MessageState.SENT:d} OR o.deadline <= ?",
        (*bound, window, now),
        ("q.queue_id", "q.rank", "q.message_id", f"CASE WHEN m.state <= {MessageState.SENT:d} THEN 1 ELSE 0 END"),
    )
    found = [Lingering(queue_id, rank, message_id, bool(is_open)) for queue_id, rank, message_id, is_open in rows]
    return found, (yield from window_end("outq", key, place, window))
