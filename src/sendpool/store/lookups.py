"""What clients ask of messages besides the messages themselves: whose an attempt is, what failed in an operation."""

from __future__ import annotations

from typing import NamedTuple

from sendpool.domain.states import MessageState
from sendpool.store.database import Query, Script
from sendpool.store.history import MessagePlace


def attempt_exists(account_id: int, place: MessagePlace, n: int) -> Script[bool]:
    """Whether an account's message has an attempt number *n*, also one that was withdrawn. Emails show none."""
    rows = yield Query(
        "SELECT 1 FROM operation o JOIN attempt a ON a.id = (o.id + ?) * 64 + ?"
        " WHERE o.uid = ? AND o.account_id = ? AND o.kind <> 'email' AND ? < o.total",
        (place.position, n, place.operation_uid, account_id, place.position),
    )
    return bool(rows)


def attempt_of_carrier(account_id: int, carrier_id: str) -> Script[tuple[bytes, int] | None]:
    """The operation's uid and the position of the message that a carrier of an account calls so; or None."""
    rows = yield Query(
        "SELECT o.uid, m.id - o.id FROM connection c JOIN segment s ON s.connection_id = c.id AND s.carrier_id = ?"
        " JOIN message m ON m.id = s.attempt_id >> 6 JOIN operation o ON o.id = m.operation_id"
        " WHERE c.account_id = ? AND o.account_id = c.account_id AND o.kind <> 'email'"
        " ORDER BY s.attempt_id DESC LIMIT 1",
        (carrier_id, account_id),
    )
    return (bytes(rows[0][0]), int(rows[0][1])) if rows else None


class ErrorPlace(NamedTuple):
    """A place in an operation's errors: recipients without a message come first, then messages that failed."""

    failed: bool
    #: The recipient's place in the request, or the message's in the operation.
    position: int


class ErrorRow(NamedTuple):
    """Why a recipient got no message, or why a message failed. Times are microseconds since 1970."""

    place: ErrorPlace
    address: str
    space: str
    code: int | None
    #: Empty where the code says it all.
    reason: str
    created_at: int
    #: The step that a failed message ended at.
    step: int = 0


def list_errors(account_id: int, uid: bytes, limit: int, after: ErrorPlace | None) -> Script[list[ErrorRow] | None]:
    """At most *limit* errors of a message operation, in the order of `ErrorPlace`; None: there is no such operation."""
    found = yield Query(
        "SELECT o.id, o.total FROM operation o WHERE o.uid = ? AND o.account_id = ? AND o.kind <> 'email'",
        (uid, account_id),
    )
    if not found:
        return None
    operation_id, total = found[0]
    rows: list[ErrorRow] = []
    if after is None or not after.failed:
        rows = yield from _unaddressable(operation_id, limit, -1 if after is None else after.position)
        after = None
    if len(rows) < limit:
        first = operation_id + (0 if after is None else after.position + 1)
        rows += yield from _failed(operation_id, first, total, limit - len(rows))
    return rows


def _unaddressable(operation_id: int, limit: int, after: int) -> Script[list[ErrorRow]]:
    rows = yield Query(
        "SELECT position, address, space, code, reason, created_at FROM operation_error"
        " WHERE operation_id = ? AND position > ? ORDER BY position LIMIT ?",
        (operation_id, after, limit),
    )
    return [ErrorRow(ErrorPlace(False, row[0]), *row[1:]) for row in rows]


def _failed(operation_id: int, first: int, total: int, limit: int) -> Script[list[ErrorRow]]:
    # A walk over the operation's own rows, at most 16,383 of them.
    rows = yield Query(
        "SELECT id, address, space, error_code, updated_at, step FROM message"
        f" WHERE id BETWEEN ? AND ? AND state = {MessageState.FAILED:d} ORDER BY id LIMIT ?",
        (first, operation_id + total - 1, limit),
    )
    return [
        ErrorRow(ErrorPlace(True, key - operation_id), address, space, code, "", at, step)
        for key, address, space, code, at, step in rows
    ]
