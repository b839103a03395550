"""Events: written in the transaction of the change that they tell of, and read in the order of commits."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sendpool.domain.events import OPERATION_EVENT
from sendpool.store.database import Bulk, Query, Script

#: (subject, number, error code or None, at). The sender is that of attempt `number // 16`.
EventRow = tuple[int, int, int | None, int]


def write_events(events: Sequence[EventRow]) -> Script[None]:
    """Write events. One that is already there is the same one: a subject's numbers are unique."""
    if events:
        yield Bulk(
            "INSERT INTO event (subject_id, number, error_code, created_at) SELECT * FROM v WHERE true"
            " ON CONFLICT DO NOTHING",
            (
                ("subject_id", "bigint"),
                ("number", "int"),
                ("error_code", "int"),
                ("at", "bigint"),
            ),
            events,
        )


class StoredEvent(msgspec.Struct, array_like=True, gc=False):
    """An event with what is told of its subject. Of one about an operation the parts of a message are None."""

    position: int
    number: int
    error_code: int | None
    at: int
    account_sid: str
    operation_id: int
    #: The operation's, in hex, and when it was accepted.
    uid: str
    accepted_at: int
    kind: str
    #: JSON.
    tags: str
    origin: str
    #: In hex; None where the pool is hidden or gone.
    pool: str | None
    message_id: int | None
    address: str | None
    space: str | None
    #: The step of the attempt, else of the message.
    step: int | None
    #: JSON.
    variables: str | None
    #: The sender of the attempt: uid in hex, address, channel.
    sender: str | None
    sender_address: str | None
    channel: str | None


def list_events(after: int, limit: int) -> Script[list[StoredEvent]]:
    """Events after a position, in order. Those of emails, of which the contract tells none, are left out."""
    rows: list[StoredEvent] = yield Query(
        "FROM (SELECT * FROM event WHERE position > ? ORDER BY position LIMIT ?) e"
        f" LEFT JOIN message m ON e.number < {OPERATION_EVENT} AND m.id = e.subject_id"
        f" JOIN operation o ON o.id = CASE WHEN e.number < {OPERATION_EVENT} THEN m.operation_id ELSE e.subject_id END"
        " JOIN account c ON c.id = o.account_id JOIN operation_content t ON t.operation_id = o.id"
        " LEFT JOIN sender_pool p ON p.id = o.pool_id AND p.kind = 'pool'"
        " LEFT JOIN attempt a ON e.number >= 16 AND a.id = m.id * 64 + e.number / 16"
        " LEFT JOIN sender s ON s.id = CASE WHEN o.kind = 'inbound' THEN m.sender_id ELSE a.sender_id END"
        " WHERE o.kind <> 'email' ORDER BY e.position",
        (after, limit),
        (
            "e.position",
            "e.number",
            "e.error_code",
            "e.created_at",
            "c.sid",
            "o.id",
            "hex(o.uid)",
            "o.created_at",
            "o.kind",
            "t.tags",
            "t.origin",
            "hex(p.uid)",
            "m.id",
            "m.address",
            "m.space",
            "coalesce(a.step, m.step)",
            "m.variables",
            "hex(s.uid)",
            "s.address",
            "s.channel",
        ),
        StoredEvent,
    )
    return rows
