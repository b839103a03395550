"""What a restored copy says of itself: up to when it knows what happened, and what waited then to be sent."""

from __future__ import annotations

from typing import Any, NamedTuple

from sendpool.domain.states import MessageState
from sendpool.store.database import Query, Script
from sendpool.store.walks import Place, beginning, window_end

_WAITING = f"{MessageState.QUEUED:d}, {MessageState.SENT:d}"


class Copy(NamedTuple):
    """What a copy knows. Times are microseconds since 1970."""

    #: The last thing that it knows of; None: nothing has ever happened.
    known_until: int | None
    #: Rows that are due by now, and recipients in chunks that are.
    rows: int
    unexpanded: int


def describe_copy(now: int) -> Script[Copy]:
    """Up to when a copy knows what happened, and how much of it would be sent now."""
    until = yield Query(
        "SELECT max(at) FROM (SELECT max(ended_at) AS at FROM uptime UNION ALL"
        " SELECT created_at FROM event WHERE position = (SELECT max(position) FROM event)) r"
    )
    rows = yield Query(
        "SELECT (SELECT count(*) FROM outq) + (SELECT count(*) FROM later WHERE due <= ? AND queue_id <> 0)", (now,)
    )
    chunks = yield Query("SELECT coalesce(sum(count), 0) FROM chunk WHERE due <= ?", (now,))
    return Copy(until[0][0], int(rows[0][0]), int(chunks[0][0]))


def due_chunks(now: int, limit: int) -> Script[list[Any]]:
    """[operation, first message, count, due, pool, first letters of plans] of chunks whose time has come."""
    rows: list[Any] = yield Query(
        "FROM (SELECT operation_id, first_id, count, due, letters FROM chunk WHERE due <= ? ORDER BY operation_id,"
        " first_id LIMIT ?) c JOIN operation o ON o.id = c.operation_id ORDER BY c.operation_id, c.first_id",
        (now, limit),
        ("c.operation_id", "c.first_id", "c.count", "c.due", "o.pool_id", "c.letters"),
    )
    return rows


def due_again(now: int, limit: int) -> Script[list[Any]]:
    """[due, message, queue, rank, cost] of rows to send again whose time has come."""
    rows: list[Any] = yield Query(
        "FROM later WHERE due <= ? AND rank IS NOT NULL AND queue_id <> 0 ORDER BY due, message_id LIMIT ?",
        (now, limit),
        ("due", "message_id", "queue_id", "rank", "cost"),
    )
    return rows


class Unsent(NamedTuple):
    """A row that waits, with what its next attempt would be."""

    queue_id: int
    rank: int
    message_id: int
    cost: int
    attempts: int
    step: int
    #: Its message is still to be sent.
    open: bool


def waiting_rows(place: Place, window: int) -> Script[tuple[list[Unsent], Place | None]]:
    """The next *window* rows in queues, and where to go on, or None."""
    key = ("queue_id", "rank", "message_id")
    begin, bound = beginning(key, place)
    rows = yield Query(
        f"FROM (SELECT * FROM outq{begin} ORDER BY {', '.join(key)} LIMIT ?) w JOIN message m ON m.id = w.message_id",
        (*bound, window),
        (
            *("w.queue_id", "w.rank", "w.message_id", "w.cost", "m.attempts", "m.step"),
            f"CASE WHEN m.state IN ({_WAITING}) THEN 1 ELSE 0 END",
        ),
    )
    found = [Unsent(row[0], row[1], row[2], row[3], row[4], row[5], bool(row[6])) for row in rows]
    return found, (yield from window_end("outq", key, place, window))


def first_letters(operation_id: int, first_id: int) -> Script[str]:
    """First letters of the plans in a chunk that does not say them, as an earlier version has left it."""
    rows = yield Query(
        "SELECT DISTINCT substr(json_extract(j.value, '$[2]'), 1, 1) FROM chunk c, json_each(c.body) j"
        " WHERE c.operation_id = ? AND c.first_id = ?",
        (operation_id, first_id),
    )
    return "".join(row[0] for row in rows)
