"""A carrier that refuses the account stops all its senders, with one probe for them all."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendpool.domain.closure import (
    CONFIGURED_PAUSE,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    REFUSALS_TO_STOP,
    Closure,
    is_of_account,
    is_senders_fault,
)
from sendpool.domain.failures import ROWS, FailureClass


def closed(now: float = 0.0, *, of_settings: bool = False) -> Closure:
    closure = Closure()
    closure.refused(REFUSALS_TO_STOP, now, of_settings=of_settings)
    return closure


def test_five_refusals_without_an_acceptance_between_close_it_and_four_do_not() -> None:
    closure = Closure()
    closure.refused(4, 0.0)
    assert not closure.accepted()
    closure.refused(4, 0.0)
    assert (closure.closed, closure.room(0.0, 3, 50)) == (False, 50)

    closure.refused(1, 0.0)

    assert (closure.closed, closure.until, closure.room(0.0, 0, 50)) == (True, FIRST_PAUSE, 0)


def test_one_probe_is_in_flight_at_a_time_and_its_acceptance_opens_it() -> None:
    closure = closed()
    assert closure.room(FIRST_PAUSE, 0, 50) == 1
    assert closure.room(FIRST_PAUSE, 1, 50) == 0
    assert closure.room(FIRST_PAUSE, 0, 0) == 0

    assert closure.accepted()

    assert not closure.accepted()
    assert (closure.closed, closure.until, closure.room(FIRST_PAUSE, 7, 50)) == (False, -inf, 50)


def test_failed_probes_of_an_account_double_the_pause_to_an_hour_and_those_of_settings_do_not() -> None:
    account, settings = closed(), closed(of_settings=True)
    pauses = []
    for _ in range(5):
        at = account.until, settings.until
        account.refused(1, at[0])
        settings.refused(1, at[1], of_settings=True)
        pauses.append((account.until - at[0], settings.until - at[1]))

    assert [pause for pause, _ in pauses] == [600.0, 1200.0, 2400.0, LONGEST_PAUSE, LONGEST_PAUSE]
    assert {pause for _, pause in pauses} == {CONFIGURED_PAUSE}


def test_answers_to_what_was_in_flight_when_it_was_closed_change_nothing() -> None:
    closure = closed(now=10.0)
    closure.refused(500, 11.0)

    assert closure.until == 10.0 + FIRST_PAUSE


@pytest.mark.parametrize("failure", list(FailureClass))
def test_only_the_account_is_everybodys_and_only_other_faults_of_the_route_are_one_senders(
    failure: FailureClass,
) -> None:
    assert is_of_account(failure) is (failure is FailureClass.ACCOUNT)
    assert is_senders_fault(failure, "sender") is (failure in (FailureClass.TRANSIENT, FailureClass.SENDER))
    assert not is_senders_fault(failure, "sender_country")


def test_wrong_credentials_are_settings_and_an_unpaid_bill_is_not() -> None:
    assert ROWS["smpp"]["0x0e"].of_settings
    assert ROWS["rcs"]["401"].of_settings
    assert not ROWS["whatsapp"]["131042"].of_settings
    assert not ROWS["smpp"]["0x14"].of_settings


@given(
    answers=st.lists(st.tuples(st.floats(0.0, 4_000.0), st.booleans()), min_size=1, max_size=200),
    of_settings=st.booleans(),
)
def test_an_account_that_is_refused_throughout_is_asked_ever_less_and_never_forgotten(
    answers: list[tuple[float, bool]], of_settings: bool
) -> None:
    closure, now, in_flight, asked = Closure(), 0.0, 0, 0
    for pause, answered in answers:
        now += pause
        room = closure.room(now, in_flight, 10 - in_flight)
        assert room <= (1 if closure.closed else 10)
        in_flight += room
        asked += room
        if answered and in_flight:
            closure.refused(in_flight, now, of_settings=of_settings)
            in_flight = 0
    if in_flight:
        closure.refused(in_flight, now, of_settings=of_settings)

    assert asked <= 11 + now / (CONFIGURED_PAUSE if of_settings else FIRST_PAUSE)
    assert closure.until <= now + LONGEST_PAUSE
    if closure.closed:
        assert closure.room(closure.until, 0, 10) == 1
