"""Cancel: what has not left never will. Runs in the commit between results and claims, so that neither is overtaken."""

from __future__ import annotations

from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from sendpool.domain.states import MessageState
from sendpool.pipeline.settle import Changes
from sendpool.store.cancel import cancel_chunks, cancel_messages, find_operation, state_of
from sendpool.store.database import Script
from sendpool.store.messages import COUNTER

if TYPE_CHECKING:
    from sendpool.pipeline.engine import Engine


class Cancellation(Enum):
    """What became of the wish to cancel."""

    #: Nothing more of it leaves: canceled now or earlier; of an operation, all of it that could be.
    DONE = auto()
    #: The account has no such thing.
    UNKNOWN = auto()
    #: The message has left, or is leaving.
    TOO_LATE = auto()


class Wish(NamedTuple):
    """What is to be canceled: an account's operation, or the message at a position of it."""

    account_id: int
    operation_uid: bytes
    position: int | None = None
    #: "message" or "email".
    kind: str = "message"


class _Outcome:
    """What one commit did about a wish."""

    def __init__(self) -> None:
        self.result = Cancellation.UNKNOWN
        self.operation_id = 0
        #: Rows due that count for the operation's next chunk no more.
        self.untried = 0
        self.state: MessageState | None = None


async def cancel(engine: Engine, wish: Wish) -> tuple[Cancellation, MessageState | None]:
    """Carry out a wish; returns once it is durable. With it comes where the message stands, if it was about one.

    Raises `StoreUnavailable`.
    """
    outcome = _Outcome()
    await engine.settle(partial(_carry_out, wish=wish, outcome=outcome))
    if outcome.result is Cancellation.DONE:
        if wish.position is None:
            engine.expander.forget(outcome.operation_id)
        elif outcome.untried:
            engine.expander.gone({outcome.operation_id: outcome.untried})
            engine.wake()
    return outcome.result, outcome.state


def _carry_out(changes: Changes, wish: Wish, outcome: _Outcome) -> Script[None]:
    found = yield from find_operation(wish.account_id, wish.operation_uid, kind=wish.kind)
    if found is None:
        return
    outcome.operation_id = found.id
    if wish.position is None:
        yield from _cancel_operation(found.id, found.total, changes)
        outcome.result = Cancellation.DONE
    elif wish.position < found.total:
        yield from _cancel_message(found.id, found.id + wish.position, changes, outcome)


def _cancel_operation(operation_id: int, total: int, changes: Changes) -> Script[None]:
    # Chunks first: what another process makes rows of meanwhile is found among the messages.
    chunks = yield from cancel_chunks(operation_id, changes.now)
    taken = yield from cancel_messages(operation_id, operation_id + total - 1, changes.now)
    for states in (taken.states, chunks):
        _note(operation_id, states, changes)


def _cancel_message(operation_id: int, message_id: int, changes: Changes, outcome: _Outcome) -> Script[None]:
    taken = yield from cancel_messages(message_id, message_id, changes.now)
    _note(operation_id, taken.states, changes)
    outcome.untried = taken.untried
    state = yield from state_of(message_id)
    if state is not None:
        outcome.state = MessageState(state)
        done = state == MessageState.CANCELED
        outcome.result = Cancellation.DONE if done else Cancellation.TOO_LATE


def _note(operation_id: int, states: dict[int, int], changes: Changes) -> None:
    for state, messages in states.items():
        deltas = changes.deltas[operation_id]
        deltas[COUNTER[state]] -= messages
        deltas[COUNTER[MessageState.CANCELED]] += messages
