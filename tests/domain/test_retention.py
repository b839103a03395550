"""What is old enough to go, whatever the clock does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendpool.domain.retention import TOLERANCE, Span, lived_through

DAY = 86_400_000_000
YEAR = 365 * DAY
NOW = 1_800_000_000_000_000
WEEK = 7 * DAY


def test_a_server_that_has_run_for_longer_removes_what_is_older() -> None:
    assert lived_through([Span(NOW - 30 * DAY, NOW)], WEEK) == NOW - WEEK


@pytest.mark.parametrize(
    "spans", [[], [Span(NOW - 6 * DAY, NOW)], [Span(NOW, NOW), Span(NOW - 8 * DAY, NOW - 2 * DAY)]]
)
def test_one_that_has_not_run_for_as_long_removes_nothing(spans: list[Span]) -> None:
    assert lived_through(spans, WEEK) is None


def test_a_clock_that_starts_years_ahead_makes_nothing_old() -> None:
    before = Span(NOW - 30 * DAY, NOW)
    after = Span(NOW + 3 * YEAR, NOW + 3 * YEAR + 2 * DAY)

    # Two days later, what is old enough is what was five days old when the clock jumped.
    assert lived_through([after, before], WEEK) == NOW - 5 * DAY
    # After seven days all that was there before has been there for seven days.
    assert lived_through([Span(after.began_at, after.began_at + WEEK), before], WEEK) == after.began_at


def test_a_clock_that_is_set_back_makes_nothing_old_that_was_made_since() -> None:
    ahead = Span(NOW + 3 * YEAR, NOW + 3 * YEAR + 30 * DAY)
    right = Span(NOW + 30 * DAY, NOW + 31 * DAY)

    assert lived_through([right, ahead], WEEK) == right.began_at


@pytest.mark.parametrize(
    ("ahead", "passed", "goes_on"),
    [
        (0, None, True),
        (TOLERANCE, None, True),
        (TOLERANCE + 1, None, False),
        (-1, None, False),
        (DAY, DAY, True),
        (DAY + TOLERANCE + 1, DAY, False),
        (1, 60_000_000, True),
    ],
)
def test_a_span_goes_on_while_the_clock_agrees_with_the_time_that_has_passed(
    ahead: int, passed: int | None, goes_on: bool
) -> None:
    assert Span(NOW - DAY, NOW).goes_on(NOW + ahead, passed) is goes_on


@given(
    st.lists(st.tuples(st.integers(-3 * YEAR, 3 * YEAR), st.integers(0, 10 * DAY)), min_size=1, max_size=8),
    st.integers(0, 7),
    st.integers(0, 10 * DAY),
)
def test_nothing_goes_before_the_server_has_run_for_seven_days_since(
    runs: list[tuple[int, int]], which: int, into: int
) -> None:
    """Runs with jumps of any size between them: what was stamped in one of them is removed after seven days of life."""
    spans, at = [], NOW
    for jump, length in runs:
        at += jump
        spans.append(Span(at, at + length))
        at += length
    which %= len(spans)
    into = min(into, spans[which].ended_at - spans[which].began_at)
    stamp = spans[which].began_at + into
    lived = sum(one.ended_at - one.began_at for one in spans[which:]) - into

    old = lived_through(reversed(spans), WEEK)

    if lived < WEEK:
        assert old is None or stamp >= old
