"""The state machines of attempts, messages and operations: one table each, one function each.

Wire names follow the contract's MessageStatus; design §5 maps attempts onto them. SQL repeats these
states only as `WHERE state = :expected`.
"""

from __future__ import annotations

from enum import IntEnum


class AttemptState(IntEnum):
    """Where one try through one sender stands. The number is what the store keeps."""

    STARTED = 1
    ACCEPTED = 2
    #: It may have been accepted: a timeout, a cut link, a crash after the write.
    AMBIGUOUS = 3
    DELIVERED = 4
    READ = 5
    UNDELIVERED = 6
    REJECTED = 7
    EXPIRED = 8
    REVOKED = 9
    #: It never left us, or the carrier throttled it: no attempt at all, seen only in the Explanation.
    WITHDRAWN = 10


class MessageState(IntEnum):
    """Where a message stands. The number is what the store keeps and the ordinal in event numbers."""

    SCHEDULED = 1
    QUEUED = 2
    SENT = 3
    DELIVERED = 4
    READ = 5
    UNDELIVERED = 6
    FAILED = 7
    CANCELED = 8
    INBOUND = 9


class OperationState(IntEnum):
    """Where an operation stands."""

    SCHEDULED = 1
    PROCESSING = 2
    COMPLETED = 3
    CANCELED = 4


_A = AttemptState
_M = MessageState
_O = OperationState

ATTEMPT_MOVES: dict[AttemptState, frozenset[AttemptState]] = {
    _A.STARTED: frozenset(_A) - {_A.STARTED},
    _A.ACCEPTED: frozenset({_A.DELIVERED, _A.READ, _A.UNDELIVERED, _A.EXPIRED, _A.REVOKED}),
    _A.AMBIGUOUS: frozenset({_A.ACCEPTED, _A.DELIVERED, _A.READ, _A.UNDELIVERED, _A.REJECTED, _A.EXPIRED, _A.REVOKED}),
    _A.DELIVERED: frozenset({_A.READ}),
    # A receipt that says delivered overrides an earlier final failure (providers/smpp.md §5, quirk 3).
    _A.UNDELIVERED: frozenset({_A.DELIVERED, _A.READ}),
    _A.EXPIRED: frozenset({_A.DELIVERED, _A.READ}),
    _A.REVOKED: frozenset({_A.DELIVERED, _A.READ}),
    _A.REJECTED: frozenset(),
    _A.READ: frozenset(),
    _A.WITHDRAWN: frozenset(),
}

MESSAGE_MOVES: dict[MessageState, frozenset[MessageState]] = {
    _M.SCHEDULED: frozenset({_M.QUEUED, _M.CANCELED, _M.FAILED}),
    # A receipt may overtake the submit result, so QUEUED may jump past SENT.
    _M.QUEUED: frozenset({_M.SENT, _M.DELIVERED, _M.READ, _M.UNDELIVERED, _M.FAILED, _M.CANCELED}),
    # Canceled between two attempts, the first of which was sent and failed.
    _M.SENT: frozenset({_M.DELIVERED, _M.READ, _M.UNDELIVERED, _M.FAILED, _M.CANCELED}),
    _M.DELIVERED: frozenset({_M.READ}),
    _M.READ: frozenset(),
    _M.UNDELIVERED: frozenset(),
    _M.FAILED: frozenset(),
    _M.CANCELED: frozenset(),
    _M.INBOUND: frozenset(),
}

OPERATION_MOVES: dict[OperationState, frozenset[OperationState]] = {
    _O.SCHEDULED: frozenset({_O.PROCESSING, _O.CANCELED}),
    _O.PROCESSING: frozenset({_O.COMPLETED, _O.CANCELED}),
    _O.COMPLETED: frozenset(),
    _O.CANCELED: frozenset(),
}

#: Attempts whose fate is not known yet; while one is open its message does not end.
OPEN_ATTEMPTS = frozenset({_A.STARTED, _A.ACCEPTED, _A.AMBIGUOUS})
#: Messages that will not move by themselves any more. DELIVERED may still become READ.
TERMINAL_MESSAGES = frozenset({_M.READ, _M.UNDELIVERED, _M.FAILED, _M.CANCELED})
#: Messages that want no further attempt.
SETTLED_MESSAGES = TERMINAL_MESSAGES | {_M.DELIVERED, _M.INBOUND}

_WIRE_ATTEMPT = {
    _A.STARTED: "QUEUED",
    _A.ACCEPTED: "SENT",
    _A.AMBIGUOUS: "SENT",
    _A.DELIVERED: "DELIVERED",
    _A.READ: "READ",
    _A.UNDELIVERED: "UNDELIVERED",
    _A.REJECTED: "FAILED",
}


def attempt_may_become(state: int, new: AttemptState) -> bool:
    """Whether an attempt moves from *state* to *new*; False means: append the evidence, keep the state."""
    return new in ATTEMPT_MOVES[state]  # type: ignore[index]


def message_may_become(state: int, new: MessageState) -> bool:
    """Whether a message moves from *state* to *new*. States only move forward (promise I6)."""
    return new in MESSAGE_MOVES[state]  # type: ignore[index]


def attempt_on_the_wire(state: AttemptState, *, submitted: bool) -> str:
    """The MessageStatus that an attempt shows; *submitted*: a carrier had taken it (EXPIRED, REVOKED)."""
    if state in _WIRE_ATTEMPT:
        return _WIRE_ATTEMPT[state]
    return "UNDELIVERED" if submitted else "FAILED"


def event_number(attempt: int, state: MessageState) -> int:
    """The number of an event within its message: unique, so that no event can be written twice (design §5)."""
    return attempt * 16 + state
