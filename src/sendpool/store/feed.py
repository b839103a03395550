"""The feed of events with what is told of their subjects: hot in `event`, `message` and `attempt`, looked up by key.

What many events share (operations, senders) is fetched apart, so that a reader may keep it.
"""

from __future__ import annotations

from collections.abc import Collection
from operator import attrgetter

import msgspec

from sendpool.domain.event_types import OPERATION_EVENT
from sendpool.store.database import Bulk, Query, Script
from sendpool.store.feed_end import VISIBLE


class FeedRow(msgspec.Struct, array_like=True, gc=False):
    """An event. What is of a message is None in one about an operation, and in a notice."""

    position: int
    subject_id: int
    number: int
    error_code: int | None
    #: Microseconds since 1970.
    at: int
    operation_id: int | None
    address: str | None
    space: str | None
    #: The step of the attempt, else of the message.
    step: int | None
    #: JSON.
    variables: str | None
    #: Of the attempt, else of the message.
    sender_id: int | None


class FeedOperation(msgspec.Struct, array_like=True, gc=False):
    """What the events of an operation share."""

    id: int
    #: In hex.
    uid: str
    account_id: int
    accepted_at: int
    kind: str
    #: JSON.
    tags: str
    origin: str
    #: In hex; None where the pool is hidden or gone.
    pool: str | None


class FeedSender(msgspec.Struct, array_like=True, gc=False):
    """A sender as events name it."""

    id: int
    #: In hex.
    uid: str
    address: str
    channel: str


class FeedNotice(msgspec.Struct, array_like=True, gc=False):
    """A notice."""

    id: int
    account_id: int
    type: str
    subject: str
    #: JSON.
    data: str


_KEYS = (("id", "bigint"),)


def feed_page(after: int, limit: int, last: int | None = None) -> Script[list[FeedRow]]:
    """The events after a position, in order; *last*: up to that one at most."""
    upper = "" if last is None else " AND position <= ?"
    bound = (after,) if last is None else (after, last)
    rows: list[FeedRow] = yield Query(
        f"FROM (SELECT * FROM event WHERE {VISIBLE} AND position > ?{upper} ORDER BY position LIMIT ?) e"
        f" LEFT JOIN message m ON e.number < {OPERATION_EVENT} AND m.id = e.subject_id"
        f" LEFT JOIN attempt a ON e.number BETWEEN 16 AND {OPERATION_EVENT - 1} AND a.id = m.id * 64 + e.number / 16",
        (*bound, limit),
        (
            "e.position",
            "e.subject_id",
            "e.number",
            "e.error_code",
            "e.created_at",
            "m.operation_id",
            "m.address",
            "m.space",
            "coalesce(a.step, m.step)",
            "m.variables",
            "coalesce(a.sender_id, m.sender_id)",
        ),
        FeedRow,
    )
    # They come in order as a rule; to ask the database for it would make it sort them all the same.
    rows.sort(key=attrgetter("position"))
    return rows


def newest_position() -> Script[int]:
    """The position of the newest event; 0: there is none."""
    rows = yield Query(f"SELECT coalesce(max(position), 0) FROM event WHERE {VISIBLE}")
    return int(rows[0][0])


def oldest_position() -> Script[int]:
    """The position of the oldest event that is still kept; 0: there is none."""
    rows = yield Query("SELECT coalesce(min(position), 0) FROM event")
    return int(rows[0][0])


def feed_operations(ids: Collection[int]) -> Script[list[FeedOperation]]:
    """What the events of these operations share; those that are being removed are left out."""
    rows: list[FeedOperation] = yield Bulk(
        "FROM v JOIN operation o ON o.id = v.id JOIN operation_content t ON t.operation_id = o.id"
        " LEFT JOIN sender_pool p ON p.id = o.pool_id AND p.kind = 'pool' WHERE o.account_id <> 0",
        _KEYS,
        [(key,) for key in ids],
        ("o.id", "hex(o.uid)", "o.account_id", "o.created_at", "o.kind", "t.tags", "t.origin", "hex(p.uid)"),
        FeedOperation,
    )
    return rows


def feed_senders(ids: Collection[int]) -> Script[list[FeedSender]]:
    """Senders as events name them."""
    rows: list[FeedSender] = yield Bulk(
        "FROM v JOIN sender s ON s.id = v.id",
        _KEYS,
        [(key,) for key in ids],
        ("s.id", "hex(s.uid)", "s.address", "s.channel"),
        FeedSender,
    )
    return rows


def feed_notices(ids: Collection[int]) -> Script[list[FeedNotice]]:
    """Notices by the subjects of their events."""
    rows: list[FeedNotice] = yield Bulk(
        "FROM v JOIN notice n ON n.id = v.id",
        _KEYS,
        [(key,) for key in ids],
        ("n.id", "n.account_id", "n.type", "n.subject", "n.data"),
        FeedNotice,
    )
    return rows


def feed_accounts() -> Script[dict[int, str]]:
    """The sid of every account, by its key."""
    rows = yield Query("SELECT id, sid FROM account")
    return {row[0]: row[1] for row in rows}


def operation_key(uid: bytes) -> Script[int | None]:
    """The key of an operation; None: there is none."""
    rows = yield Query("SELECT id FROM operation WHERE uid = ?", (uid,))
    return rows[0][0] if rows else None
