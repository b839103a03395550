"""Promise I6: states only move forward, and a terminal one never changes."""

from __future__ import annotations

from enum import IntEnum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendpool.domain.states import (
    ATTEMPT_MOVES,
    MESSAGE_MOVES,
    OPEN_ATTEMPTS,
    OPERATION_MOVES,
    SETTLED_MESSAGES,
    TERMINAL_MESSAGES,
    AttemptState,
    MessageState,
    OperationState,
    attempt_may_become,
    attempt_on_the_wire,
    event_number,
    message_may_become,
)

A, M, O = AttemptState, MessageState, OperationState  # noqa: E741

#: Every move that design and contract allow, written apart from the tables under test.
MESSAGE_PATHS = {
    (M.SCHEDULED, M.QUEUED),
    (M.SCHEDULED, M.CANCELED),
    (M.SCHEDULED, M.FAILED),
    (M.QUEUED, M.SENT),
    (M.QUEUED, M.DELIVERED),
    (M.QUEUED, M.READ),
    (M.QUEUED, M.UNDELIVERED),
    (M.QUEUED, M.FAILED),
    (M.QUEUED, M.CANCELED),
    (M.SENT, M.DELIVERED),
    (M.SENT, M.READ),
    (M.SENT, M.UNDELIVERED),
    (M.SENT, M.FAILED),
    (M.SENT, M.CANCELED),
    (M.DELIVERED, M.READ),
}
ENDS = (A.DELIVERED, A.READ, A.UNDELIVERED, A.EXPIRED, A.REVOKED)
ATTEMPT_PATHS = (
    {(A.STARTED, state) for state in A if state is not A.STARTED}
    | {(A.ACCEPTED, state) for state in ENDS}
    | {(A.AMBIGUOUS, state) for state in (*ENDS, A.ACCEPTED, A.REJECTED)}
    | {(state, late) for state in (A.UNDELIVERED, A.EXPIRED, A.REVOKED) for late in (A.DELIVERED, A.READ)}
    | {(A.DELIVERED, A.READ)}
)
OPERATION_PATHS = {
    (O.SCHEDULED, O.PROCESSING),
    (O.SCHEDULED, O.CANCELED),
    (O.PROCESSING, O.COMPLETED),
    (O.PROCESSING, O.CANCELED),
}


@pytest.mark.parametrize("state", list(M))
@pytest.mark.parametrize("new", list(M))
def test_message_moves_only_along_the_paths(state: MessageState, new: MessageState) -> None:
    assert message_may_become(state, new) == ((state, new) in MESSAGE_PATHS)


@pytest.mark.parametrize("state", list(A))
@pytest.mark.parametrize("new", list(A))
def test_attempt_moves_only_along_the_paths(state: AttemptState, new: AttemptState) -> None:
    assert attempt_may_become(state, new) == ((state, new) in ATTEMPT_PATHS)


@pytest.mark.parametrize("state", list(O))
def test_operation_moves_only_along_the_paths(state: OperationState) -> None:
    assert {(state, new) for new in OPERATION_MOVES[state]} == {path for path in OPERATION_PATHS if path[0] is state}


@pytest.mark.parametrize(
    "moves", [ATTEMPT_MOVES, MESSAGE_MOVES, OPERATION_MOVES], ids=["attempt", "message", "operation"]
)
def test_no_state_can_be_reached_again(moves: dict[IntEnum, frozenset[IntEnum]]) -> None:
    for start, ahead in moves.items():
        reached: set[IntEnum] = set()
        while ahead:
            reached |= ahead
            ahead = frozenset(new for state in ahead for new in moves[state]) - reached
        assert start not in reached


@settings(deadline=None)
@given(st.lists(st.sampled_from(M), max_size=20))
def test_message_that_has_ended_stays_as_it_is_whatever_comes(evidence: list[MessageState]) -> None:
    state, ended = M.QUEUED, None
    for new in evidence:
        if message_may_become(state, new):
            state = new
        if state in TERMINAL_MESSAGES:
            ended = ended or state
            assert state is ended


def test_terminal_messages_move_nowhere_and_delivered_may_still_be_read() -> None:
    assert all(not MESSAGE_MOVES[state] for state in TERMINAL_MESSAGES)
    assert MESSAGE_MOVES[M.DELIVERED] == {M.READ}
    assert {M.DELIVERED, M.INBOUND} == SETTLED_MESSAGES - TERMINAL_MESSAGES


def test_attempts_whose_fate_is_open_are_exactly_those_that_may_still_fail() -> None:
    may_fail = {state for state in A if ATTEMPT_MOVES[state] & {A.UNDELIVERED, A.REJECTED}}
    assert may_fail == OPEN_ATTEMPTS


@pytest.mark.parametrize(
    ("state", "submitted", "wire"),
    [
        (A.STARTED, False, "QUEUED"),
        (A.ACCEPTED, True, "SENT"),
        (A.AMBIGUOUS, False, "SENT"),
        (A.DELIVERED, True, "DELIVERED"),
        (A.READ, True, "READ"),
        (A.UNDELIVERED, True, "UNDELIVERED"),
        (A.REJECTED, False, "FAILED"),
        (A.EXPIRED, True, "UNDELIVERED"),
        (A.EXPIRED, False, "FAILED"),
        (A.REVOKED, True, "UNDELIVERED"),
        (A.REVOKED, False, "FAILED"),
    ],
)
def test_attempt_shows_the_contracts_status(state: AttemptState, submitted: bool, wire: str) -> None:
    assert attempt_on_the_wire(state, submitted=submitted) == wire


def test_no_two_state_changes_of_a_message_share_an_event_number() -> None:
    numbers = [event_number(attempt, state) for attempt in range(64) for state in M]
    assert len(set(numbers)) == len(numbers)
