"""When events that have come are read: at once at a quiet time, together while more come, and soon after the last."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from sendpool.domain.delivery import LINGER
from sendpool.pipeline.notify.pace import Pace

#: Seconds between two looks.
LOOK = 0.05


def goes(pace: Pace, newest: Iterable[int], since: float = 100.0) -> list[bool]:
    """What it says to looks that find these positions."""
    return [pace.lets_go(position, since + n * LOOK) for n, position in enumerate(newest)]


def test_the_first_event_at_a_quiet_time_goes_at_once_and_only_once() -> None:
    assert goes(Pace(), [0, 0, 7, 7, 7]) == [False, False, True, False, False]


def test_while_more_come_they_go_together() -> None:
    found = goes(Pace(), range(1, 41))
    assert found[0]
    assert not any(found[1:4])
    assert sum(found) <= 2 + 40 * LOOK / LINGER


def test_the_last_ones_go_at_the_first_look_that_finds_no_more() -> None:
    assert goes(Pace(), [5, 6, 7, 7, 7]) == [True, False, False, True, False]


@given(st.lists(st.integers(0, 3), max_size=60))
def test_nothing_waits_longer_than_it_may_and_nothing_is_left(steps: list[int]) -> None:
    pace, newest, gone, since = Pace(), 0, 0, None
    for n, step in enumerate([*steps, 0, 0]):
        newest, now = newest + step, n * LOOK
        if pace.lets_go(newest, now):
            assert newest > gone, "it goes though all has gone"
            gone, since = newest, None
        elif newest > gone:
            since = now if since is None else since
            assert now - since <= LINGER, "it waits for too long"
    assert gone == newest
