"""What is old enough to go, and its removal in small pieces. Nothing here decides how old that is.

An operation that has ended is first taken from its account, so that from then on it looks unknown and no list shows
it; its rows go afterwards. What no index leads to from a message (carrier ids, queue rows) is found by walking a
whole table, a window at a time, beside the writer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sendpool.domain.decision import CLOSE_AFTER
from sendpool.domain.states import OperationState
from sendpool.store.database import Bulk, Query, Script
from sendpool.store.walks import Place, beginning, walk, window_end

#: The account of operations that are being removed: nobody's.
NOBODY = 0
_GONE = "removed"
_CLOSING = int(CLOSE_AFTER * 1e6)
_DAY = 86_400_000_000

#: Nothing of it is to be sent, and what has no receipt is closed: at its deadline and an hour (design §5).
_ENDED = (
    f"state IN ({OperationState.COMPLETED:d}, {OperationState.CANCELED:d}) AND queued = 0 AND scheduled = 0"
    f" AND unexpanded = 0 AND updated_at < ? AND (sent = 0 OR deadline < ? - {_CLOSING}) AND account_id <> {NOBODY}"
)


class Keys(NamedTuple):
    """A run of message keys, both ends included."""

    first: int
    last: int


class Removed(NamedTuple):
    """How many rows went."""

    messages: int = 0
    attempts: int = 0
    events: int = 0
    operations: int = 0


def _keys(rows: Sequence[Any]) -> list[Keys]:
    # Inbound operations count no message, but have one; those without any recipient still have a key.
    return [Keys(key, key + max(total, 1) - 1) for key, total in rows]


# ---------------------------------------------------------------- operations


def ended_operations(after: Place, old: int, window: int) -> Script[tuple[list[Keys], Place | None]]:
    """Of the next *window* operations, those that ended before *old*; and where to go on, or None."""
    begin, bound = beginning(("id",), after)
    rows = yield Query(
        f"FROM (SELECT * FROM operation{begin} ORDER BY id LIMIT ?) r WHERE {_ENDED} ORDER BY id",
        (*bound, window, old, old),
        ("id", "total"),
    )
    return _keys(rows), (yield from window_end("operation", ("id",), after, window))


def take_from_accounts(operations: Sequence[Keys], old: int) -> Script[list[Keys]]:
    """Take operations from their accounts, if they are still what they were; brings those that were."""
    yield Bulk(
        f"UPDATE operation SET account_id = {NOBODY}, kind = '{_GONE}' FROM v WHERE operation.id = v.id AND"
        f" {_ENDED.replace('?', 'v.old')}",
        (("id", "bigint"), ("old", "bigint")),
        [(one.first, old) for one in operations],
    )
    rows = yield Bulk(
        f"FROM v JOIN operation o ON o.id = v.id WHERE o.account_id = {NOBODY}",
        (("id", "bigint"),),
        [(one.first,) for one in operations],
        ("o.id", "o.total"),
    )
    return _keys(rows)


def taken_operations(limit: int) -> Script[list[Keys]]:
    """Operations that were taken from their accounts and still have rows, as after a restart."""
    rows = yield Query(f"FROM operation WHERE account_id = {NOBODY} ORDER BY uid LIMIT ?", (limit,), ("id", "total"))
    return sorted(_keys(rows))


def remove_messages(keys: Keys) -> Script[Removed]:
    """Remove these messages of taken operations with everything that hangs on them."""
    spread = (keys.first, keys.last)
    # The last position stays, so that none is given twice.
    events = yield Query(
        "DELETE FROM event WHERE subject_id BETWEEN ? AND ? AND position < (SELECT max(position) FROM event)", spread
    )
    attempts = yield Query("DELETE FROM attempt WHERE id BETWEEN ? AND ?", (keys.first * 64, keys.last * 64 + 63))
    yield Query("DELETE FROM inquiry WHERE attempt_id BETWEEN ? AND ?", (keys.first * 64, keys.last * 64 + 63))
    messages = yield Query("DELETE FROM message WHERE id BETWEEN ? AND ?", spread)
    return Removed(messages, attempts, events)


def remove_operations(keys: Keys) -> Script[Removed]:
    """Remove taken operations whose messages are gone. The very last stays, without content: it holds its key."""
    spread = (keys.first, keys.last)
    for table in ("operation_error", "chunk", "operation_content", "operation_pause"):
        yield Query(f"DELETE FROM {table} WHERE operation_id BETWEEN ? AND ?", spread)
    operations = yield Query(
        f"DELETE FROM operation WHERE id BETWEEN ? AND ? AND account_id = {NOBODY}"
        " AND id < (SELECT max(id) FROM operation)",
        spread,
    )
    return Removed(operations=operations)


def oldest_creation() -> Script[int | None]:
    """When the oldest operation that is there was made."""
    rows = yield Query("SELECT created_at FROM operation ORDER BY id LIMIT 1")
    return rows[0][0] if rows else None


# ---------------------------------------------------------------- walks


_SEGMENT = ("connection_id", "carrier_id", "attempt_id", "part")
_SEEN = ("connection_id", "carrier_id")


def segments_between(place: Place, keys: Keys, window: int) -> Script[tuple[list[Any], Place | None]]:
    """Of the next *window* segments, [connection, carrier id, attempt, part] of those whose message's key is between
    these; and where to go on, or None.
    """
    return (
        yield from walk(
            "segment", _SEGMENT, place, window, "attempt_id BETWEEN ? AND ?", (keys.first * 64, keys.last * 64 + 63)
        )
    )


def remove_segments(rows: Sequence[Sequence[Any]]) -> Script[int]:
    """Forget these carrier ids, which lie near each other and in order: the part of the table between them is read."""
    attempts = [row[2] for row in rows]
    gone: int = yield Query(
        "DELETE FROM segment WHERE (connection_id, carrier_id) >= (?, ?) AND (connection_id, carrier_id) <= (?, ?)"
        f" AND attempt_id IN ({', '.join('?' for _ in attempts)})",
        (*rows[0][:2], *rows[-1][:2], *attempts),
    )
    return gone


def arrivals_before(place: Place, old: int, window: int) -> Script[tuple[list[Any], Place | None]]:
    """Of the next *window* inbound texts, [connection, carrier id] of those seen before *old*; and where to go on."""
    return (yield from walk("inbound_seen", _SEEN, place, window, "seen_at < ?", (old,)))


def remove_arrivals(rows: Sequence[Sequence[Any]], old: int) -> Script[int]:
    """Forget these ids of inbound texts, which lie near each other and in order, all seen before *old*."""
    gone: int = yield Query(
        "DELETE FROM inbound_seen WHERE (connection_id, carrier_id) >= (?, ?)"
        " AND (connection_id, carrier_id) <= (?, ?) AND seen_at < ?",
        (*rows[0], *rows[-1], old),
    )
    return gone


# ---------------------------------------------------------------- what is small


def parked_before(old: int, window: int) -> Script[list[int]]:
    """Of the oldest parked receipts, those that came before *old* and never found their segment."""
    rows = yield Query(
        "FROM (SELECT id, received_at FROM receipt ORDER BY id LIMIT ?) r WHERE received_at < ?", (window, old), ("id",)
    )
    return [row[0] for row in rows]


def pool_operations_before(old: int, window: int) -> Script[list[int]]:
    """Of the oldest operations on pools, those that ended before *old*."""
    rows = yield Query(
        "FROM (SELECT id, updated_at FROM pool_operation ORDER BY id LIMIT ?) r WHERE updated_at < ?",
        (window, old),
        ("id",),
    )
    return [row[0] for row in rows]


def remove_by_key(table: str, keys: Sequence[int]) -> Script[int]:
    """Remove rows of a table with an integer key."""
    gone: int = yield Bulk(
        f"DELETE FROM {table} WHERE id IN (SELECT id FROM v)", (("id", "bigint"),), [(key,) for key in keys]
    )
    return gone


def scenes_before(created_at: int, limit: int) -> Script[list[int]]:
    """Scenes that no attempt of an operation made at *created_at* or later can name: one serves for a day."""
    rows = yield Query("FROM scene WHERE created_at < ? ORDER BY id LIMIT ?", (created_at - 2 * _DAY, limit), ("id",))
    return [row[0] for row in rows]


def dead_pools(created_at: int, old: int, limit: int) -> Script[list[int]]:
    """Pools deleted before *old* that no operation made at *created_at* or later can name."""
    rows = yield Query(
        "SELECT id FROM sender_pool WHERE deleted_at < ? AND deleted_at < ? ORDER BY id LIMIT ?",
        (created_at - _DAY, old, limit),
    )
    return [row[0] for row in rows]


def remove_pools(pool_ids: Sequence[int]) -> Script[list[int]]:
    """Remove deleted pools, their members and queues, unless a row still waits in one; brings the queues' numbers."""
    names = (("id", "bigint"),)
    keys = [(pool_id,) for pool_id in pool_ids]
    empty = "NOT EXISTS (SELECT 1 FROM queue q JOIN outq w ON w.queue_id = q.id WHERE q.pool_id = v.id)"
    rows = yield Bulk(f"FROM v WHERE {empty}", names, keys, ("v.id",))
    keys = [(row[0],) for row in rows]
    if not keys:
        return []
    queues = yield Bulk("FROM v JOIN queue q ON q.pool_id = v.id", names, keys, ("q.id",))
    yield Bulk("DELETE FROM queue WHERE pool_id IN (SELECT id FROM v)", names, keys)
    yield Bulk("DELETE FROM pool_member WHERE pool_id IN (SELECT id FROM v)", names, keys)
    yield Bulk("DELETE FROM sender_pool WHERE id IN (SELECT id FROM v) AND deleted_at IS NOT NULL", names, keys)
    return [row[0] for row in queues]
