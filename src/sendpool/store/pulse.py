"""What the console's overview is made of: events as they come, and what waits. Each read does a bounded amount."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from sendpool.domain.event_types import OPERATION_EVENT
from sendpool.store.database import Query, Script
from sendpool.store.feed_end import VISIBLE

#: Open operations that one look at what waits goes over.
MOST_OPEN = 20_000


class PulseRow(msgspec.Struct, array_like=True, gc=False):
    """An event, as figures need it. Times are microseconds since 1970."""

    position: int
    number: int
    at: int
    #: 0 where it is about no message, or its operation is being removed.
    account_id: int
    #: When its operation was accepted.
    accepted_at: int
    #: Who made the attempt that it is about, and who the one before.
    sender_id: int | None
    earlier_id: int | None
    #: The wire code of how that attempt, or the message, failed.
    error_code: int | None = None


class Waiting(NamedTuple):
    """What an account has waiting."""

    queued: int
    scheduled: int
    #: When the oldest operation was accepted that has messages in a queue (microseconds since 1970).
    oldest: int | None
    operations: int


def pulse_page(after: int, limit: int) -> Script[list[PulseRow]]:
    """The events after a position, in order, of every account."""
    rows: list[PulseRow] = yield Query(
        f"FROM (SELECT * FROM event WHERE {VISIBLE} AND position > ? ORDER BY position LIMIT ?) e"
        f" LEFT JOIN message m ON e.number < {OPERATION_EVENT} AND m.id = e.subject_id"
        " LEFT JOIN operation o ON o.id = m.operation_id"
        f" LEFT JOIN attempt a ON e.number BETWEEN 16 AND {OPERATION_EVENT - 1} AND a.id = m.id * 64 + e.number / 16"
        f" LEFT JOIN attempt b ON e.number BETWEEN 32 AND {OPERATION_EVENT - 1}"
        " AND b.id = m.id * 64 + e.number / 16 - 1 ORDER BY e.position",
        (after, limit),
        (
            "e.position",
            "e.number",
            "e.created_at",
            "coalesce(o.account_id, 0)",
            "coalesce(o.created_at, 0)",
            "a.sender_id",
            "b.sender_id",
            "e.error_code",
        ),
        PulseRow,
    )
    return rows


def load_waiting() -> Script[dict[int, Waiting]]:
    """What waits, by account. Open operations beyond `MOST_OPEN`, those with the latest deadlines, are left out."""
    rows = yield Query(
        "SELECT account_id, sum(queued), sum(scheduled), min(CASE WHEN queued > 0 THEN created_at END), count(*)"
        " FROM (SELECT account_id, queued, scheduled, created_at FROM operation WHERE state = 2"
        " ORDER BY deadline LIMIT ?) o GROUP BY account_id",
        (MOST_OPEN,),
    )
    return {row[0]: Waiting(int(row[1]), int(row[2]), row[3], row[4]) for row in rows}
