"""No black hole: a sender that fails fastest must not pull most."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendpool.domain.failures import FailureClass
from sendpool.domain.inflight import (
    FIRST_LIMIT,
    FIRST_STOP,
    LONGEST_FIRM_STOP,
    LONGEST_STOP,
    Flights,
    is_firm,
    is_route_fault,
)

WINDOW = 500


def stopped_flights(now: float = 0.0) -> Flights:
    flights = Flights()
    flights.started(5)
    flights.faulted(5, now)
    return flights


def test_at_most_ten_are_in_flight_until_the_first_acceptance() -> None:
    flights = Flights()
    assert flights.room(0.0, WINDOW) == FIRST_LIMIT

    flights.started(10)
    assert flights.room(0.0, WINDOW) == 0

    flights.accepted(1, 0.0)
    assert flights.room(0.0, WINDOW) == 2


def test_limit_doubles_with_each_accepted_window_up_to_the_window() -> None:
    flights = Flights()
    seen = []
    for _ in range(8):
        taken = flights.room(0.0, WINDOW)
        seen.append(taken)
        flights.started(taken)
        flights.accepted(taken, 0.0)

    assert seen == [10, 20, 40, 80, 160, 320, 500, 500]


def test_window_of_the_connection_is_never_exceeded() -> None:
    flights = Flights()
    assert flights.room(0.0, 3) == 3
    assert flights.room(0.0, 0) == 0


def test_each_fault_halves_the_limit_down_to_one() -> None:
    flights = Flights()
    flights.started(14)
    limits = []
    for _ in range(4):
        flights.faulted(1, 0.0)
        limits.append(flights.limit)

    assert limits == [5, 2, 1, 1]
    assert not flights.stopped


def test_five_faults_without_an_acceptance_between_stop_the_sender_for_thirty_seconds() -> None:
    flights = stopped_flights(now=100.0)

    assert flights.stopped
    assert flights.stopped_until == 100.0 + FIRST_STOP
    assert flights.room(129.9, WINDOW) == 0


def test_an_acceptance_between_faults_starts_the_count_again() -> None:
    flights = Flights()
    flights.started(9)
    flights.faulted(4, 0.0)
    flights.accepted(1, 0.0)
    flights.faulted(4, 0.0)

    assert not flights.stopped


def test_one_probe_follows_a_stop_and_its_acceptance_restarts_at_ten() -> None:
    flights = stopped_flights()
    assert flights.room(30.0, WINDOW) == 1

    flights.started(1)
    assert flights.room(30.0, WINDOW) == 0

    flights.accepted(1, 31.0)
    assert not flights.stopped
    assert flights.room(31.0, WINDOW) == FIRST_LIMIT + 1


def test_failed_probes_double_the_stop_up_to_five_minutes() -> None:
    flights = stopped_flights()
    lengths = []
    for _ in range(6):
        now = flights.stopped_until
        assert flights.room(now, WINDOW) == 1
        flights.started(1)
        flights.faulted(1, now)
        lengths.append(flights.stopped_until - now)

    assert lengths == [60.0, 120.0, 240.0, LONGEST_STOP, LONGEST_STOP, LONGEST_STOP]


def test_probe_that_says_nothing_about_the_route_is_followed_by_another() -> None:
    flights = stopped_flights()
    flights.started(1)
    flights.ended(1)

    assert flights.room(31.0, WINDOW) == 1


def test_probe_waits_until_what_was_in_flight_before_the_stop_is_answered() -> None:
    flights = Flights()
    flights.started(8)
    flights.faulted(5, 0.0)
    assert flights.room(30.0, WINDOW) == 0

    flights.faulted(3, 30.0)

    assert flights.stopped_until == 30.0
    assert flights.room(30.0, WINDOW) == 1


def test_acceptance_of_what_was_in_flight_lifts_a_stop() -> None:
    flights = Flights()
    flights.started(10)
    flights.faulted(6, 0.0)
    flights.accepted(1, 0.1)

    assert not flights.stopped
    assert flights.in_flight == 3


def test_outcomes_that_do_not_indict_the_route_change_nothing_but_the_count() -> None:
    flights = Flights()
    flights.started(10)
    flights.ended(10)

    assert flights.room(0.0, WINDOW) == FIRST_LIMIT
    assert not flights.stopped


def test_lifted_flights_start_afresh_and_keep_what_is_in_flight() -> None:
    flights = stopped_flights()
    flights.in_flight = 4
    flights.lift()

    assert flights.room(0.0, WINDOW) == FIRST_LIMIT - 4


def test_counts_of_nothing_change_nothing() -> None:
    flights = stopped_flights()
    flights.accepted(0, 1.0)
    flights.faulted(0, 1.0)

    assert flights.stopped


@pytest.mark.parametrize("failure", list(FailureClass))
def test_only_transient_sender_and_account_refusals_indict_the_route(failure: FailureClass) -> None:
    indicted = {FailureClass.TRANSIENT, FailureClass.SENDER, FailureClass.ACCOUNT}
    assert is_route_fault(failure) == (failure in indicted)


@settings(deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.floats(0.0, 2.0), st.integers(0, 40), st.integers(0, 40), st.integers(1, 1000)), max_size=60
    )
)
def test_sender_that_refuses_everything_takes_at_most_thirty_before_it_is_stopped(
    steps: list[tuple[float, int, int, int]],
) -> None:
    flights = Flights()
    taken, now = 0, 0.0
    for wait, wanted, answered, window in steps:
        now += wait
        start = min(wanted, flights.room(now, window))
        flights.started(start)
        taken += start
        flights.faulted(min(answered, flights.in_flight), now)
        if flights.stopped:
            break

    assert taken <= 30


@settings(deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["start", "accept", "fault", "end"]),
            st.integers(1, 20),
            st.floats(0, 40),
            st.integers(0, 60),
        ),
        max_size=80,
    )
)
def test_room_is_never_negative_and_never_more_than_the_window_leaves(
    steps: list[tuple[str, int, float, int]],
) -> None:
    flights = Flights()
    now = 0.0
    for action, n, wait, window in steps:
        now += wait
        room = flights.room(now, window)
        assert 0 <= room <= max(0, window - flights.in_flight)
        if action == "start":
            flights.started(min(n, room))
        elif action == "accept":
            flights.accepted(min(n, flights.in_flight), now)
        elif action == "fault":
            flights.faulted(min(n, flights.in_flight), now)
        else:
            flights.ended(min(n, flights.in_flight))


def test_probes_become_rare_where_somebody_has_to_do_something() -> None:
    for firm, longest in ((False, LONGEST_STOP), (True, LONGEST_FIRM_STOP)):
        flights, now = stopped_flights(), FIRST_STOP
        stops = []
        for _ in range(10):
            flights.started(1)
            flights.faulted(1, now, firm=firm)
            stops.append(flights.stopped_until - now)
            now = flights.stopped_until

        assert stops == [min(longest, FIRST_STOP * 2.0**n) for n in range(1, 11)]


def test_what_passes_by_itself_is_not_firm() -> None:
    assert {failure for failure in FailureClass if is_firm(failure)} == {FailureClass.SENDER, FailureClass.ACCOUNT}
