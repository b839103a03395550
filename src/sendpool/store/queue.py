"""What waits to be sent: rows in queues (pool, channel, lane), in rank order, and rows that are not due yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec

from sendpool.domain.low_water import BOTTOM, Begun, Place
from sendpool.store.database import SHARED, Bulk, Query, Script

#: Of every queue it is unknown where it begins.
NOWHERE: Mapping[int, int] = {}


class QueueKey(NamedTuple):
    """A queue's name: `lane` is "" for the whole pool or a sender's key as text."""

    pool_id: int
    channel: str
    lane: str


class QueueClash(Exception):
    """Two queues would have one number: their rows would be sent as each other's."""

    def __init__(self, one: object, other: object) -> None:
        super().__init__(f"the queues {one} and {other} have the same number; report this: neither may be used")


def queue_number(key: QueueKey) -> int:
    """The number of a new queue: 63 bits of a hash of its name, so that processes agree on it unasked.

    0 is no queue's. A clash is less likely than a fault of the machine, and found.
    """
    name = "\0".join(map(str, key)).encode()
    return int.from_bytes(blake2b(name, digest_size=8).digest(), "big") >> 1 or 1


class _Ranked(Protocol):
    rank: int
    message_id: int


R = TypeVar("R", bound=_Ranked)


def _in_order(rows: list[R]) -> list[R]:
    """In rank order, as they are already where the database joined them one by one; PostgreSQL may do otherwise."""
    rows.sort(key=_place)
    return rows


def _place(row: _Ranked) -> tuple[int, int]:
    return row.rank, row.message_id


class DueRow(msgspec.Struct, array_like=True, gc=False):
    """A queue row with what sending needs of its message."""

    queue_id: int
    rank: int
    message_id: int
    cost: int
    due: int
    operation_id: int
    state: int
    address: str
    attempts: int
    step: int
    plan: str
    #: Where PostgreSQL has the queue row (page, number): it stays there for as long as this transaction has it.
    at: tuple[int, int] | None = None


def all_queues() -> Script[list[tuple[int, QueueKey]]]:
    """Every queue that ever had a row."""
    rows = yield Query("SELECT id, pool_id, channel, lane FROM queue")
    return [(row[0], QueueKey(*row[1:])) for row in rows]


def insert_queues(rows: Sequence[tuple[int, QueueKey]]) -> Script[None]:
    """Name queues; those that another process has named are the same ones. Raises `QueueClash`."""
    names = (("id", "bigint"), ("pool_id", "bigint"), ("channel", "text"), ("lane", "text"))
    values = [(queue_id, *key) for queue_id, key in rows]
    yield Bulk(
        "INSERT INTO queue (id, pool_id, channel, lane) SELECT * FROM v WHERE true ON CONFLICT DO NOTHING",
        names,
        values,
    )
    others = yield Bulk(
        "FROM v JOIN queue q ON q.id = v.id OR (q.pool_id = v.pool_id AND q.channel = v.channel AND q.lane = v.lane)"
        " WHERE q.id <> v.id OR q.pool_id <> v.pool_id OR q.channel <> v.channel OR q.lane <> v.lane",
        names,
        values,
        ("v.id", "q.id", "q.pool_id", "q.channel", "q.lane"),
    )
    if others:
        raise QueueClash(others[0][0], others[0][1:])


#: Queues, each with the rank from which on it is looked at.
FIRSTS = (("id", "bigint"), ("first", "bigint"))


def firsts(queue_ids: Sequence[int], first: Mapping[int, int]) -> list[tuple[int, int]]:
    """Rows of `FIRSTS`: queues, and where each begins as far as *first* says so."""
    return [(queue_id, first.get(queue_id, BOTTOM)) for queue_id in queue_ids]


def count_waiting(
    queue_ids: Sequence[int], most: int = 1_000_000, first: Mapping[int, int] = NOWHERE
) -> Script[dict[int, int]]:
    """How many rows these queues hold, those with none left out; counted no further than *most* each.

    *first* has the rank from which on a queue is looked at.
    """
    # In the order of the index, and no EXISTS beside it: PostgreSQL might read every row that waits otherwise.
    some = "SELECT 1 FROM outq q WHERE q.queue_id = v.id AND q.rank >= v.first ORDER BY q.rank, q.message_id"
    rows = yield Bulk(
        "FROM v",
        FIRSTS,
        firsts(queue_ids, first),
        ("v.id", f"(SELECT count(*) FROM ({some} LIMIT {int(most)}) r)"),
    )
    return {queue_id: waiting for queue_id, waiting in rows if waiting}


_ROW = (("queue_id", "bigint"), ("rank", "bigint"), ("message_id", "bigint"), ("cost", "int"), ("due", "bigint"))

#: (queue, rank, message, cost, due)
QueueRow = tuple[int, int, int, int, int]


def enqueue(rows: Sequence[QueueRow]) -> Script[None]:
    """Make rows due."""
    if rows:
        yield Bulk("INSERT INTO outq (queue_id, rank, message_id, cost, due) SELECT * FROM v", _ROW, rows)


def postpone(rows: Sequence[tuple[int, int, int, int | None, int]]) -> Script[None]:
    """Keep (due, message, queue, rank or None, cost) until they are due."""
    if rows:
        yield Bulk(
            "INSERT INTO later (due, message_id, queue_id, rank, cost) SELECT * FROM v",
            (("due", "bigint"), ("message_id", "bigint"), ("queue_id", "bigint"), ("rank", "bigint"), ("cost", "int")),
            rows,
        )


#: Rows and messages that another transaction has at this moment are left to it; those that are brought are ours.
_OURS, _MESSAGES_OURS = "/*shared FOR UPDATE SKIP LOCKED*/", " /*shared FOR NO KEY UPDATE OF m SKIP LOCKED*/"

_ROW_OF_OURS = "outq.* /*shared , ctid AS place*/"


def head(queue_id: int, limit: int, begun: Begun | None = None) -> Script[list[DueRow]]:
    """The first rows of a queue in rank order, with their messages; both belong to this transaction then.

    *begun* says where the queue begins; None: nobody knows.
    """
    if begun is None or begun.is_all:
        return _in_order((yield from _head("queue_id = ?", (queue_id, limit))))
    found = _in_order((yield from _strays(queue_id, begun.strays))) if begun.strays else []
    if len(found) < limit:
        which = "queue_id = ? AND rank >= ?"
        found += _in_order((yield from _head(which, (queue_id, begun.rank, limit - len(found)))))
    return found


def _head(which: str, args: Sequence[int]) -> Script[list[DueRow]]:
    some = f"SELECT {_ROW_OF_OURS} FROM outq WHERE {which} ORDER BY rank, message_id LIMIT ? {_OURS}"
    columns = yield from _due_row()
    rows: list[DueRow] = yield Query(
        f"FROM ({some}) q JOIN message m ON m.id = q.message_id{_MESSAGES_OURS}", args, columns, DueRow
    )
    return rows


def _strays(queue_id: int, places: Sequence[Place]) -> Script[list[DueRow]]:
    """The same of rows that are named, as far as they are there."""
    named = "SELECT queue_id, rank, message_id FROM v"
    rows: list[DueRow] = yield Bulk(
        f"FROM (SELECT {_ROW_OF_OURS} FROM outq WHERE (queue_id, rank, message_id) IN ({named}) {_OURS}) q"
        f" JOIN message m ON m.id = q.message_id{_MESSAGES_OURS}",
        _ROW[:3],
        [(queue_id, *place) for place in places],
        (yield from _due_row()),
        DueRow,
    )
    return rows


def rows_below(marks: Sequence[tuple[int, int]], limit: int) -> Script[dict[int, list[Place]]]:
    """The first rows of each of these (queue, mark) that are below its mark, at most *limit* of each, in order."""
    # PostgreSQL alone is asked: where one process writes a file, nothing that has gone lies in the way.
    some = "SELECT q.rank, q.message_id FROM outq q WHERE q.queue_id = v.id AND q.rank < v.first"
    rows = yield Bulk(
        f"FROM v CROSS JOIN LATERAL ({some} ORDER BY q.rank, q.message_id LIMIT {int(limit)}) r",
        FIRSTS,
        marks,
        ("v.id", "r.rank", "r.message_id"),
    )
    found: dict[int, list[Place]] = {}
    for queue_id, rank, message_id in sorted(map(tuple, rows)):
        found.setdefault(queue_id, []).append((rank, message_id))
    return found


_DUE_ROW = (
    "q.queue_id",
    "q.rank",
    "q.message_id",
    "q.cost",
    "q.due",
    "m.operation_id",
    "m.state",
    "m.address",
    "m.attempts",
    "m.step",
    "m.plan",
)


def _due_row() -> Script[Sequence[str]]:
    return (*_DUE_ROW, "q.place") if (yield SHARED) else _DUE_ROW


class AskingRow(msgspec.Struct, array_like=True, gc=False):
    """A queue row that waits for an answer about its address."""

    rank: int
    message_id: int
    operation_id: int
    cost: int
    due: int
    address: str
    plan: str
    step: int
    segments: int


def head_addresses(queue_id: int, limit: int) -> Script[list[AskingRow]]:
    """The first rows of a queue with what has to be asked, in rank order."""
    rows: list[AskingRow] = yield Query(
        "FROM (SELECT * FROM outq WHERE queue_id = ? ORDER BY rank, message_id LIMIT ?) q"
        " JOIN message m ON m.id = q.message_id",
        (queue_id, limit),
        ("q.rank", "q.message_id", "m.operation_id", "q.cost", "q.due", "m.address", "m.plan", "m.step", "m.segments"),
        AskingRow,
    )
    return _in_order(rows)


#: Characters of notes on a message after which no more are added.
_NOTES = 240


def take_step(steps: Sequence[tuple[int, int, str]]) -> Script[None]:
    """Note that messages go on with a later step: (message, step, why they leave the present one).

    Why is a letter of `domain.explanation.PASSED`, or "" where what was decided about an attempt says it.
    """
    yield Bulk(
        "UPDATE message SET step = v.step, passed = CASE WHEN v.why = '' THEN message.passed"
        " ELSE coalesce(message.passed || ' ', '') || message.step || v.why END FROM v WHERE message.id = v.id",
        (("id", "bigint"), ("step", "int"), ("why", "text")),
        steps,
    )


def note_withdrawn(rows: Sequence[tuple[int, str]]) -> Script[None]:
    """Note (message, note) of attempts that were none: the first few of each; a carrier may throttle for hours."""
    yield Bulk(
        "UPDATE message SET passed = coalesce(message.passed || ' ', '') || v.note FROM v WHERE message.id = v.id"
        f" AND length(coalesce(message.passed, '')) < {_NOTES}",
        (("id", "bigint"), ("note", "text")),
        rows,
    )


def remove_head(queue_id: int, rows: Sequence[DueRow]) -> Script[None]:
    """Take these rows away, which are the head of a queue but for what other processes have of it."""
    if (yield SHARED):
        yield _at_their_places(rows)
    else:
        yield Query(
            "DELETE FROM outq WHERE queue_id = ? AND (rank, message_id) <= (?, ?)",
            (queue_id, rows[-1].rank, rows[-1].message_id),
        )


def remove_of_head(queue_id: int, rows: Sequence[DueRow]) -> Script[None]:
    """Take these rows away, some of those that `head` brought."""
    if (yield SHARED):
        yield _at_their_places(rows)
    else:
        yield from remove([(queue_id, row.rank, row.message_id) for row in rows])


def _at_their_places(rows: Sequence[DueRow]) -> Query:
    """Ours since `head` brought them, they are where they were: nothing has to be looked up."""
    return Query("DELETE FROM outq WHERE ctid = ANY(?)", ([row.at for row in rows],))


def still_there(rows: Sequence[tuple[int, int, int]]) -> Script[set[int]]:
    """The messages of those of these rows (queue, rank, message) that this transaction has to itself from now on.

    Where nobody else writes, nobody has taken any.
    """
    if not (yield SHARED):
        return {row[2] for row in rows}
    found = yield Bulk(
        "FROM outq WHERE (queue_id, rank, message_id) IN (SELECT queue_id, rank, message_id FROM v)"
        " FOR UPDATE SKIP LOCKED",
        _ROW[:3],
        rows,
        ("message_id",),
    )
    return {row[0] for row in found}


def remove(rows: Sequence[tuple[int, int, int]]) -> Script[None]:
    """Take single rows (queue, rank, message) away."""
    if rows:
        yield Bulk(
            "DELETE FROM outq WHERE (queue_id, rank, message_id) IN (SELECT queue_id, rank, message_id FROM v)",
            _ROW[:3],
            rows,
        )


#: Before every time: where it is not known that nothing was due before another one.
EVER = 0


def due_later(now: int, limit: int, first: int = EVER) -> Script[list[Any]]:
    """(due, message, queue, rank, cost, since) of rows whose time has come again, earliest first; they are ours.

    None is due before *first*. *since*: when it became due on its channel where a limit has held it, else None.
    """
    rows: list[Any] = yield Query(
        f"FROM later WHERE due >= ? AND due <= ? AND rank IS NOT NULL ORDER BY due, message_id LIMIT ? {_OURS}",
        (first, now, limit),
        ("due", "message_id", "queue_id", "rank", "cost", "since"),
    )
    return rows


def remove_later(rows: Sequence[tuple[int, int]]) -> Script[None]:
    """Take (due, message) rows away."""
    yield Bulk(
        "DELETE FROM later WHERE (due, message_id) IN (SELECT due, message_id FROM v)",
        (("due", "bigint"), ("message_id", "bigint")),
        rows,
    )


def next_due(first: int = EVER) -> Script[int | None]:
    """When the earliest row that is due later becomes due, of those from *first* on."""
    rows = yield Query("SELECT min(due) FROM later WHERE due >= ?", (first,))
    return rows[0][0]  # type: ignore[no-any-return]


#: Rows of a queue that are looked at for those that have waited too long.
_NEAR_HEAD = 5_000


def overdue_in_lane(queue_id: int, before: int, limit: int, first: int = BOTTOM) -> Script[list[DueRow]]:
    """Rows near the head of a queue that became due before *before* and still wait there; they are ours.

    Its head is at rank *first* or behind that.
    """
    # Where nothing is overdue the rest would be read for nothing, each time, and be it a million rows.
    rows: list[DueRow] = yield Query(
        "FROM (SELECT * FROM (SELECT * FROM outq WHERE queue_id = ? AND rank >= ?"
        f" ORDER BY rank, message_id LIMIT {_NEAR_HEAD}) h WHERE due < ? ORDER BY rank, message_id LIMIT ?) q"
        " JOIN message m ON m.id = q.message_id"
        # Locked by another look: within the first one all rows near the head would be.
        " /*shared JOIN outq w ON w.queue_id = q.queue_id AND w.rank = q.rank AND w.message_id = q.message_id"
        " FOR NO KEY UPDATE OF m, w SKIP LOCKED*/",
        (queue_id, first, before, limit),
        _DUE_ROW,
        DueRow,
    )
    return _in_order(rows)


def lowest_ranks(queue_ids: Sequence[int], first: Mapping[int, int] = NOWHERE) -> Script[dict[int, int]]:
    """The rank of the row that waits first in each of these queues, from the rank on that *first* has of it.

    Rank 0 is that of rows that go before all others (a failure that a receipt told), and says nothing.
    """
    some = "SELECT q.rank FROM outq q WHERE q.queue_id = v.id AND q.rank > 0 AND q.rank >= v.first"
    rows = yield Bulk(
        "FROM v",
        FIRSTS,
        firsts(queue_ids, first),
        ("v.id", f"({some} ORDER BY q.rank, q.message_id LIMIT 1)"),
    )
    return {queue_id: rank for queue_id, rank in rows if rank is not None}
