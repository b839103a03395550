"""Questions come ever more rarely, and end."""

from __future__ import annotations

from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from sendpool.domain.inquiries import GIVEN_UP_AFTER, wait_after


def waits(first: float) -> list[float]:
    found: list[float] = []
    for asked in count():
        wait = wait_after(asked, first)
        if wait is None:
            return found
        found.append(wait)
    raise AssertionError


def test_a_minute_then_four_up_to_three_days() -> None:
    assert waits(60) == [60, 240, 960, 3840, 15360, 61440]
    assert waits(900) == [900, 3600, 14400, 57600]


@given(st.floats(1, 86_400))
def test_each_wait_is_longer_and_all_of_them_end_in_time(first: float) -> None:
    found = waits(first)

    assert found[0] == first
    assert found == sorted(found)
    assert sum(found) <= GIVEN_UP_AFTER < sum(found) + 4 * found[-1] + 1
