"""Take back what has not left: messages that are SCHEDULED, or that wait with no attempt open, in one go."""

from __future__ import annotations

from typing import NamedTuple

from sendpool.domain.states import OPEN_ATTEMPTS, MessageState
from sendpool.store.chunks import rows_from_chunks
from sendpool.store.database import Query, Script
from sendpool.store.locks import lock_between, lock_operation

_CANCELED = int(MessageState.CANCELED)
_OPEN = ", ".join(str(int(state)) for state in sorted(OPEN_ATTEMPTS))
#: A message that is SENT with no attempt open waits for the next one after a failure.
_MAY_BE_CANCELED = (
    f"m.state IN ({MessageState.SCHEDULED:d}, {MessageState.QUEUED:d}, {MessageState.SENT:d}) AND NOT EXISTS"
    f" (SELECT 1 FROM attempt a WHERE a.id BETWEEN m.id * 64 AND m.id * 64 + 63 AND a.state IN ({_OPEN}))"
)


class Found(NamedTuple):
    """An operation that something is to be canceled of."""

    id: int
    total: int


class Taken(NamedTuple):
    """What was canceled, by where it stood."""

    #: Messages by their state.
    states: dict[int, int]
    #: Of the QUEUED ones, those without any attempt.
    untried: int


def find_operation(account_id: int, uid: bytes, *, kind: str) -> Script[Found | None]:
    """An account's operation of a kind ("message" or "email"), or None."""
    rows = yield Query(
        "SELECT id, total FROM operation WHERE uid = ? AND account_id = ? AND kind = ?", (uid, account_id, kind)
    )
    return Found(*rows[0]) if rows else None


def state_of(message_id: int) -> Script[int | None]:
    """Where a message stands; None: there is none."""
    rows = yield Query("SELECT state FROM message WHERE id = ?", (message_id,))
    return rows[0][0] if rows else None


def cancel_messages(first: int, last: int, now: int) -> Script[Taken]:
    """Cancel what may be of these messages, each with its event.

    Rows of queues stay: whoever claims one finds that its message has ended. Those that were never due go.
    """
    between = (first, last)
    yield from lock_between(first, last)
    found = yield Query(
        "SELECT m.state, count(*), sum(CASE WHEN m.attempts = 0 THEN 1 ELSE 0 END) FROM message m"
        f" WHERE m.id BETWEEN ? AND ? AND {_MAY_BE_CANCELED} GROUP BY m.state",
        between,
    )
    states = {state: count for state, count, _ in found}
    untried = sum(count for state, _, count in found if state == MessageState.QUEUED)
    if states:
        yield Query(
            "DELETE FROM later WHERE rank IS NULL AND (due, message_id) IN (SELECT m.scheduled_for, m.id FROM message m"
            f" WHERE m.id BETWEEN ? AND ? AND m.state = {MessageState.SCHEDULED:d})",
            between,
        )
        yield Query(
            f"INSERT INTO event (subject_id, number, created_at) SELECT m.id, m.attempts * 16 + {_CANCELED}, ?"
            f" FROM message m WHERE m.id BETWEEN ? AND ? AND {_MAY_BE_CANCELED}",
            (now, *between),
        )
        yield Query(
            f"UPDATE message SET state = {_CANCELED}, updated_at = ? WHERE id IN (SELECT m.id FROM message m"
            f" WHERE m.id BETWEEN ? AND ? AND {_MAY_BE_CANCELED})",
            (now, *between),
        )
    return Taken(states, untried)


def cancel_chunks(operation_id: int, now: int) -> Script[dict[int, int]]:
    """Turn what is only in chunks into CANCELED messages, so that lists show them. Brings how many, by the state that
    they counted as.
    """
    yield from lock_operation(operation_id)
    found = yield Query("SELECT due > 0, sum(count) FROM chunk WHERE operation_id = ? GROUP BY 1", (operation_id,))
    if not found:
        return {}
    yield Query(
        f"INSERT INTO event (subject_id, number, created_at) SELECT c.first_id + j.key, {_CANCELED}, ?"
        " FROM chunk c, json_each(c.body) j WHERE c.operation_id = ?",
        (now, operation_id),
    )
    yield Query(f"{rows_from_chunks(MessageState.CANCELED)} WHERE c.operation_id = ?", (now, operation_id))
    yield Query("DELETE FROM chunk WHERE operation_id = ?", (operation_id,))
    yield Query("UPDATE operation SET unexpanded = 0 WHERE id = ?", (operation_id,))
    return {int(MessageState.SCHEDULED if held else MessageState.QUEUED): count for held, count in found}
