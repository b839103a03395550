"""Figures of the last minutes, from events alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sendpool.console.tally import KEPT, SHOWN, WAITS, Tally
from sendpool.domain.event_types import ATTEMPT_ENDED, OPERATION_EVENT
from sendpool.domain.states import MessageState
from sendpool.store.pulse import PulseRow

NOW = 1_800_000_000
SENT, DELIVERED = int(MessageState.SENT), int(MessageState.DELIVERED)


def event(
    number: int,
    at: float,
    sender: int | None = None,
    earlier: int | None = None,
    wait: float = 0.0,
    error: int | None = None,
) -> PulseRow:
    when = int(at * 1e6)
    return PulseRow(1, number, when, 1, when - int(wait * 1e6), sender, earlier, error)


def test_pace_is_that_of_the_last_whole_seconds() -> None:
    tally = Tally()
    tally.add([event(16 + SENT, NOW - ago, 7) for ago in (1, 1, 2, 3, 4, 5, 6)])
    # The present second is not over.
    tally.add([event(16 + SENT, NOW, 7)])

    shown = tally.shown(NOW)

    assert shown["pace"] == 6 / 5
    assert shown["series"]["sent"][-2:] == [1, 2]
    assert len(shown["series"]["sent"]) == SHOWN
    assert shown["senders"] == [{"id": 7, "sent": 8, "series": shown["series"]["sent"]}]


def test_who_took_over_is_told_and_the_message_counts_once() -> None:
    tally = Tally()
    tally.add(
        [event(16 + ATTEMPT_ENDED, NOW - 3, 7), event(32 + SENT, NOW - 2, 8, 7), event(32 + DELIVERED, NOW - 1, 8)]
    )

    shown = tally.shown(NOW)

    assert shown["flows"] == [{"from": 7, "to": 8, "n": 1}]
    assert (shown["funnel"]["sent"], shown["funnel"]["more"], shown["funnel"]["delivered"]) == (0, 1, 1)
    assert shown["funnel"]["retried"] == 1


def test_errors_are_told_of_the_sender_that_met_them() -> None:
    tally = Tally()
    for sender in (7, 7, 8):
        tally.add([event(16 + ATTEMPT_ENDED, NOW - 3, sender, error=30003)])
    tally.add([event(16 + SENT, NOW - 1, 9)])

    shown = tally.shown(NOW)

    assert shown["errors"] == [{"id": 7, "code": 30003, "n": 2}, {"id": 8, "code": 30003, "n": 1}]
    assert shown["counts"] == {9: 1}


def test_a_try_by_the_same_sender_is_no_failover() -> None:
    tally = Tally()
    tally.add([event(32 + SENT, NOW - 2, 7, 7)])

    assert tally.shown(NOW)["flows"] == []


def test_deliveries_are_counted_by_how_long_they_took() -> None:
    tally = Tally()
    tally.add([event(16 + DELIVERED, NOW - 1, 7, wait=wait) for wait in (0.1, 0.25, 0.3, 9_999)])

    waits = tally.shown(NOW)["waits"]

    assert waits == [2, 1, *[0] * (len(WAITS) - 2), 1]


def test_events_of_operations_and_notices_count_for_nothing() -> None:
    tally = Tally()
    tally.add([event(OPERATION_EVENT + 2, NOW - 1), event(2 * OPERATION_EVENT, NOW - 1)])

    assert sum(tally.shown(NOW)["funnel"].values()) == 0


@given(
    st.lists(st.tuples(st.integers(0, 2 * KEPT), st.sampled_from([SENT, DELIVERED]), st.integers(1, 30)), max_size=80)
)
def test_totals_are_those_of_the_seconds_that_are_kept(happened: list[tuple[int, int, int]]) -> None:
    tally = Tally()
    for ago, number, sender in happened:
        tally.add([event(16 + number, NOW - ago, sender)])
        tally.forget(NOW - KEPT)

    shown = tally.shown(NOW)

    kept = [one for one in happened if one[0] < KEPT]
    assert shown["funnel"]["sent"] == sum(1 for one in kept if one[1] == SENT)
    assert shown["funnel"]["delivered"] == sum(1 for one in kept if one[1] == DELIVERED)
    assert sum(shown["waits"]) == shown["funnel"]["delivered"]
