"""Take what is personal out of a message that has ended: address, name, variables and text. What it counts stays.

Freed bytes are overwritten (`secure_delete`), so nothing of it stays in the file.
"""

from __future__ import annotations

from enum import Enum, auto

import msgspec

from sendpool.domain.states import AttemptState, MessageState
from sendpool.store.database import Lock, Query, Script
from sendpool.store.history import MessagePlace


class Redaction(Enum):
    """What became of the wish to redact a message."""

    #: It is redacted, now or since earlier.
    DONE = auto()
    #: The account has no such message.
    UNKNOWN = auto()
    #: It is SCHEDULED or QUEUED: it would go out without its address, or be sent after its deletion.
    WAITING = auto()
    #: An attempt is being submitted, or another one is due.
    UNDER_WAY = auto()


#: Decisions about the latest attempt after which another one is due.
_DUE_AGAIN = ("later", "failover", "fallback")
#: Attempts that a carrier has, or may have: only its receipt is still to come.
_WITH_THE_CARRIER = (AttemptState.ACCEPTED, AttemptState.AMBIGUOUS)


def redact_message(account_id: int, place: MessagePlace, now: int, *, email: bool = False) -> Script[Redaction]:
    """Redact a message (or an email) of an account, unless it is still to be sent.

    The operation's content goes with the last of its messages. Attempts, receipts, events and counters stay, and a
    receipt that comes later counts; but nothing is sent any more, since nobody knows to whom.
    """
    yield Lock(
        Query(
            "SELECT m.id FROM operation o JOIN message m ON m.id = o.id + ? WHERE o.uid = ? AND o.account_id = ?"
            " FOR NO KEY UPDATE OF m",
            (place.position, place.operation_uid, account_id),
        )
    )
    rows = yield Query(
        "SELECT o.id, o.total, m.id, m.state, m.deleted_at, a.state, a.next FROM operation o"
        " JOIN message m ON m.id = o.id + ? LEFT JOIN attempt a ON a.id ="
        " (SELECT max(id) FROM attempt WHERE id BETWEEN m.id * 64 AND m.id * 64 + 63)"
        f" WHERE o.uid = ? AND o.account_id = ? AND ? < o.total AND o.kind {'=' if email else '<>'} 'email'",
        (place.position, place.operation_uid, account_id, place.position),
    )
    if not rows:
        return Redaction.UNKNOWN
    operation_id, total, message_id, state, deleted_at, *latest = rows[0]
    if deleted_at is not None:
        return Redaction.DONE
    refused = _refused(state, *latest)
    if refused is not None:
        return refused
    yield Query(
        "UPDATE message SET address = '', name = NULL, variables = NULL, deleted_at = ? WHERE id = ?",
        (now, message_id),
    )
    yield Query(
        "UPDATE operation_content SET content = '{}' WHERE operation_id = ? AND NOT EXISTS"
        " (SELECT 1 FROM message WHERE id BETWEEN ? AND ? AND deleted_at IS NULL)"
        " AND NOT EXISTS (SELECT 1 FROM chunk WHERE operation_id = ?)",
        (operation_id, operation_id, operation_id + total - 1, operation_id),
    )
    yield from _forget_answer(operation_id)
    return Redaction.DONE


def _forget_answer(operation_id: int) -> Script[None]:
    """Which button a person answered with says as much as a text."""
    rows = yield Query("SELECT origin FROM operation_content WHERE operation_id = ?", (operation_id,))
    origin = msgspec.json.decode(rows[0][0])
    if origin.pop("postback", None) is not None:
        told = msgspec.json.encode(origin).decode()
        yield Query("UPDATE operation_content SET origin = ? WHERE operation_id = ?", (told, operation_id))


def _refused(state: int, attempt_state: int | None, decided: str | None) -> Redaction | None:
    """Why a message in this state, with this latest attempt, may not be redacted yet."""
    if attempt_state == AttemptState.STARTED:
        return Redaction.UNDER_WAY
    if state in (MessageState.SCHEDULED, MessageState.QUEUED):
        return Redaction.WAITING
    if state != MessageState.SENT:
        return None
    due_again = decided is not None and decided.partition("/")[0] in _DUE_AGAIN
    return None if attempt_state in _WITH_THE_CARRIER and not due_again else Redaction.UNDER_WAY
