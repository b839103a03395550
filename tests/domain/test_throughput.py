"""Promise I5: throughput is never exceeded at the write, and none of it is lost by late wake-ups."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendpool.domain.throughput import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    REGAIN_PER_SECOND,
    Bucket,
    default_burst,
    slots_nested,
    take_nested,
    take_nested_singles,
)

HORIZON = 0.05
#: Segments: the sum of rounding in a long run of float arithmetic.
TOLERANCE = 1e-5

rates = st.sampled_from([0.2, 1.0, 7.0, 20.0, 33.3, 80.0, 500.0, 10_000.0])
waits = st.floats(0.0, 0.4)
costs = st.integers(1, 12)


def assert_never_exceeded(departures: list[tuple[float, int]], mps: float, burst: float) -> None:
    """Check every window that starts and ends with a departure, which are the tightest ones."""
    longest = max((cost for _, cost in departures), default=0)
    ordered = sorted(departures)
    for i, (start, _) in enumerate(ordered):
        total = 0
        for end, cost in ordered[i:]:
            total += cost
            assert total <= mps * (end - start) + max(burst, longest) + TOLERANCE


def test_full_bucket_lets_its_burst_go_at_once_and_then_keeps_the_rate() -> None:
    bucket = Bucket(100.0, 5.0)

    departures = [bucket.take(1, 10.0) for _ in range(8)]

    assert departures == pytest.approx([10.0] * 5 + [10.01, 10.02, 10.03])


def test_default_burst_is_50_ms_of_the_rate_and_at_least_one_segment() -> None:
    assert default_burst(10.0) == 1.0
    assert default_burst(500.0) == 25.0
    assert Bucket(500.0).burst == 25.0


def test_message_longer_than_the_burst_starts_when_the_bucket_is_full_and_pays_afterwards() -> None:
    bucket = Bucket(10.0, 1.0)

    assert bucket.take(4, 0.0) == 0.0
    assert bucket.take(1, 0.0) == pytest.approx(0.4)
    assert bucket.take(4, 0.0) == pytest.approx(0.5)


def test_unlimited_bucket_never_waits() -> None:
    bucket = Bucket(None)

    assert {bucket.take(9, 5.0) for _ in range(1000)} == {5.0}
    assert bucket.slots(5.0, HORIZON) >= 100_000
    assert bucket.free_at(5.0) == 5.0


@pytest.mark.parametrize(("mps", "burst"), [(0.0, None), (-1.0, None), (float("inf"), None), (5.0, 0.5)])
def test_rate_or_burst_out_of_range_is_refused(mps: float, burst: float | None) -> None:
    with pytest.raises(ValueError, match=r"above zero|at least one"):
        Bucket(mps, burst)


def test_time_before_the_bucket_existed_gives_no_credit_beyond_the_burst() -> None:
    bucket = Bucket(10.0, 3.0)
    bucket.take(1, 0.0)

    departures = [bucket.take(1, 1000.0) for _ in range(4)]

    assert departures == pytest.approx([1000.0] * 3 + [1000.1])


@settings(deadline=None)
@given(mps=rates, claims=st.lists(st.tuples(waits, st.lists(costs, max_size=8)), max_size=25))
def test_no_window_holds_more_than_rate_and_burst_whatever_is_claimed_when(
    mps: float, claims: list[tuple[float, list[int]]]
) -> None:
    bucket = Bucket(mps)
    now = 0.0
    departures = []
    for wait, batch in claims:
        now += wait
        for cost in batch:
            departures.append((bucket.take(cost, now), cost))

    assert_never_exceeded(departures, mps, bucket.burst)


@settings(deadline=None)
@given(
    inner=rates,
    outer=rates,
    claims=st.lists(st.tuples(waits, st.lists(st.tuples(st.integers(0, 2), costs), max_size=8)), max_size=20),
)
def test_neither_sender_nor_connection_is_exceeded_by_nested_takes(
    inner: float, outer: float, claims: list[tuple[float, list[tuple[int, int]]]]
) -> None:
    senders = [Bucket(inner) for _ in range(3)]
    connection = Bucket(outer)
    now = 0.0
    departures: list[tuple[int, float, int]] = []
    for wait, batch in claims:
        now += wait
        for sender, cost in batch:
            departures.append((sender, take_nested(senders[sender], connection, cost, now), cost))

    assert_never_exceeded([(at, cost) for _, at, cost in departures], outer, connection.burst)
    for sender in range(3):
        assert_never_exceeded([(at, c) for s, at, c in departures if s == sender], inner, senders[sender].burst)


@settings(deadline=None)
@given(
    inner=st.none() | rates,
    outer=st.none() | rates,
    rounds=st.lists(st.tuples(waits, st.integers(0, 40), st.sampled_from(["", "inner", "outer"])), max_size=12),
)
def test_singles_in_one_go_are_the_same_as_one_by_one(
    inner: float | None, outer: float | None, rounds: list[tuple[float, int, str]]
) -> None:
    together, apart = (Bucket(inner), Bucket(outer)), (Bucket(inner), Bucket(outer))
    now = 0.0
    for wait, count, paused in rounds:
        now += wait
        for sender, connection in (together, apart):
            if paused:
                (sender if paused == "inner" else connection).pause(now)
        departures: list[float] = []
        while len(departures) < count and not (departures and departures[-1] > now + HORIZON):
            departures.append(take_nested(*apart, 1, now))

        assert take_nested_singles(*together, count, now, now + HORIZON) == pytest.approx(departures)
        states = [[bucket.state(now) for bucket in pair] for pair in (together, apart)]
        assert states[0] == [pytest.approx(state) for state in states[1]]


@settings(deadline=None)
@given(mps=rates, before=st.lists(st.tuples(waits, costs), max_size=10), horizon=st.floats(0.0, 0.3))
def test_slots_are_exactly_the_segments_that_depart_within_the_horizon(
    mps: float, before: list[tuple[float, int]], horizon: float
) -> None:
    bucket = Bucket(mps)
    now = 0.0
    for wait, cost in before:
        now += wait
        bucket.take(cost, now)

    slots = bucket.slots(now, horizon)
    departures = [bucket.take(1, now) for _ in range(slots + 1)]

    assert all(departure <= now + horizon + 1e-6 for departure in departures[:slots])
    assert departures[slots] >= now + horizon - 1e-6


@settings(deadline=None)
@given(
    mps=st.sampled_from([0.2, 1.0, 7.0, 33.3, 500.0, 3000.0]),
    late=st.lists(st.floats(0.0, 0.040), min_size=40, max_size=40),
    cost=st.integers(1, 4),
)
def test_late_wake_ups_lose_no_throughput_while_rows_are_always_due(mps: float, late: list[float], cost: int) -> None:
    bucket = Bucket(mps)
    bucket.empty(0.0)
    now = 0.0
    sent = 0
    written: list[tuple[float, int]] = []
    for delay in late:
        now = max(now, bucket.free_at(now) - HORIZON) + delay
        for _ in range(-(-bucket.slots(now, HORIZON) // cost)):
            departure = bucket.take(cost, now)
            # A row is written at its time, or when the late wake-up finds it.
            written.append((max(departure, now), cost))
            sent += cost

    assert sent >= 0.97 * mps * now - cost
    if len(written) < 400:
        assert_never_exceeded(written, mps, bucket.burst)


def test_connection_shared_by_many_senders_is_used_up_although_each_claims_ahead() -> None:
    senders = [Bucket(10.0) for _ in range(10)]
    connection = Bucket(60.0)
    sent, now = 0, 0.0
    while now < 60.0:
        left = connection.slots(now, HORIZON)
        for sender in senders:
            for _ in range(slots_nested(sender, left, now, HORIZON)):
                take_nested(sender, connection, 1, now)
                sent, left = sent + 1, left - 1
        now += 0.037

    assert 0.97 * 60 * now <= sent <= 60 * now + connection.burst + HORIZON * 60


def test_connection_without_a_limit_leaves_the_pace_to_the_sender_until_it_is_paused() -> None:
    sender, connection = Bucket(10.0), Bucket(None)
    assert [take_nested(sender, connection, 1, 0.0) for _ in range(2)] == pytest.approx([0.0, 0.1])

    connection.pause(0.2)
    assert take_nested(sender, connection, 1, 0.3) == pytest.approx(1.2)
    assert slots_nested(sender, 0, 9.0, HORIZON) == 0


def test_nothing_departs_during_a_pause_and_one_segment_opens_the_ramp() -> None:
    bucket = Bucket(100.0)
    bucket.take(1, 0.0)
    bucket.pause(0.0, retry_after=2.5)

    assert bucket.slots(2.4, HORIZON) == 0
    assert bucket.free_at(0.1) == 2.5
    assert [bucket.take(1, 1.0) for _ in range(3)] == pytest.approx([2.5, 2.52, 2.54])


def test_pauses_double_from_one_to_thirty_seconds_while_the_carrier_keeps_throttling() -> None:
    bucket = Bucket(100.0)
    lengths, now = [], 0.0
    for _ in range(8):
        bucket.pause(now)
        lengths.append(bucket.paused_until - now)
        now = bucket.paused_until + 0.5

    assert lengths == [FIRST_PAUSE, 2.0, 4.0, 8.0, 16.0, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE]
    bucket.rate(now + 60.0)
    bucket.pause(now + 60.0)
    assert bucket.paused_until == pytest.approx(now + 60.0 + FIRST_PAUSE)


def test_answers_to_what_was_in_flight_before_a_pause_do_not_slow_down_twice() -> None:
    bucket = Bucket(100.0)
    for i in range(10):
        bucket.pause(i * 0.01)

    assert bucket.paused_until == pytest.approx(FIRST_PAUSE)
    assert bucket.rate(0.5) == pytest.approx(50.0)

    bucket.pause(0.6, retry_after=3.0)
    assert bucket.paused_until == pytest.approx(3.6)


def test_rate_halves_and_regains_five_percent_of_nominal_a_second() -> None:
    bucket = Bucket(100.0)
    bucket.pause(0.0)

    assert bucket.rate(1.0) == pytest.approx(50.0)
    assert bucket.rate(3.0) == pytest.approx(60.0)
    assert bucket.rate(11.0) == pytest.approx(100.0)
    assert bucket.rate(500.0) == 100.0


def test_unlimited_bucket_obeys_a_pause_too() -> None:
    bucket = Bucket(None)
    bucket.pause(0.0)

    assert bucket.take(1, 0.2) == 1.0
    assert bucket.slots(0.2, HORIZON) == 0
    assert bucket.take(1, 1.5) == 1.5


pauses = st.none() | st.floats(0.01, 3.0)


@settings(deadline=None)
@given(
    mps=rates,
    steps=st.lists(st.tuples(waits, st.lists(costs, max_size=5), st.booleans(), pauses), max_size=25),
)
def test_pauses_and_ramps_never_exceed_the_nominal_rate_nor_break_the_pause(
    mps: float, steps: list[tuple[float, list[int], bool, float | None]]
) -> None:
    bucket = Bucket(mps)
    now = 0.0
    departures = []
    for wait, batch, throttled, retry_after in steps:
        now += wait
        if throttled:
            bucket.pause(now, retry_after)
        for cost in batch:
            departure = bucket.take(cost, now)
            assert departure >= bucket.paused_until
            departures.append((departure, cost))

    assert_never_exceeded(departures, mps, bucket.burst)


@settings(deadline=None)
@given(mps=rates, times=st.lists(st.floats(0.0, 40.0), min_size=2, max_size=30), strikes=st.integers(1, 6))
def test_ramp_is_monotone_and_ends_at_the_nominal_rate(mps: float, times: list[float], strikes: int) -> None:
    bucket = Bucket(mps)
    now = 0.0
    for _ in range(strikes):
        bucket.pause(now)
        now = bucket.paused_until

    seen = [bucket.rate(now + after) for after in sorted(times)]

    assert all(before <= after for before, after in pairwise(seen))
    assert bucket.rate(now + 1.0 / REGAIN_PER_SECOND) == mps


def test_larger_burst_fills_at_the_new_rate_instead_of_coming_for_free() -> None:
    bucket = Bucket(10.0, 1.0)
    bucket.resize(10.0, 5.0, 100.0)

    departures = [bucket.take(1, 100.0) for _ in range(3)]

    assert departures == pytest.approx([100.0, 100.1, 100.2])


def test_debt_survives_a_new_rate_and_is_paid_at_it() -> None:
    slower = Bucket(10.0, 1.0)
    slower.take(5, 0.0)
    slower.resize(5.0, 1.0, 0.0)
    faster = Bucket(10.0, 1.0)
    faster.take(5, 0.0)
    faster.resize(100.0, 1.0, 0.0)

    assert slower.free_at(0.0) == pytest.approx(1.0)
    assert faster.free_at(0.0) == pytest.approx(0.05)


def test_limit_set_on_an_unlimited_bucket_starts_empty() -> None:
    bucket = Bucket(None)
    bucket.take(1, 7.0)
    bucket.resize(10.0, 1.0, 7.0)

    assert bucket.free_at(7.0) == pytest.approx(7.1)

    bucket.resize(None, None, 8.0)
    assert [bucket.take(3, 8.0) for _ in range(2)] == [8.0, 8.0]


@settings(deadline=None)
@given(
    sizes=st.lists(st.tuples(rates, st.none() | st.floats(1.0, 30.0)), min_size=1, max_size=5),
    batches=st.lists(st.tuples(waits, st.lists(costs, max_size=5)), min_size=5, max_size=20),
)
def test_reconfigured_bucket_never_exceeds_the_largest_of_its_limits(
    sizes: list[tuple[float, float | None]], batches: list[tuple[float, list[int]]]
) -> None:
    bucket = Bucket(*sizes[0])
    fastest, largest = bucket.mps or 0.0, bucket.burst
    now = 0.0
    departures = []
    for i, (wait, batch) in enumerate(batches):
        now += wait
        bucket.resize(*sizes[i % len(sizes)], now)
        fastest, largest = max(fastest, bucket.mps or 0.0), max(largest, bucket.burst)
        departures += [(bucket.take(cost, now), cost) for cost in batch]

    assert_never_exceeded(departures, fastest, largest)


def test_invalid_resize_leaves_the_bucket_as_it_was() -> None:
    bucket = Bucket(10.0, 2.0)
    with pytest.raises(ValueError, match="above zero"):
        bucket.resize(0.0, None, 1.0)

    assert (bucket.mps, bucket.burst) == (10.0, 2.0)


def test_bucket_after_an_unclean_end_starts_empty_and_owes_one_longest_message() -> None:
    bucket = Bucket(10.0, 1.0)
    bucket.empty(50.0, debt=6)

    assert bucket.take(1, 50.0) == pytest.approx(50.7)


@settings(deadline=None)
@given(mps=rates, before=st.lists(costs, max_size=6), throttled=st.booleans(), gap=st.floats(0.0, 3.0))
def test_handed_over_bucket_goes_on_where_the_other_stopped(
    mps: float, before: list[int], throttled: bool, gap: float
) -> None:
    old = Bucket(mps)
    if throttled:
        old.pause(99.0)
    for cost in before:
        old.take(cost, 100.0)
    new = Bucket(mps)
    new.restore(old.state(100.0 + gap), 5.0)

    assert new.rate(5.0) == pytest.approx(old.rate(100.0 + gap))
    expected = old.free_at(100.0 + gap) - 100.0 - gap
    assert new.free_at(5.0) - 5.0 == pytest.approx(expected, abs=1e-9)


# ---------------------------------------------------------------- the carrier's load


def test_an_eased_bucket_goes_at_its_share_until_it_is_told_otherwise() -> None:
    bucket = Bucket(100.0, 1.0)
    bucket.take(1, 0.0)

    bucket.ease(0.5, 0.0)
    assert [bucket.take(1, 0.0) for _ in range(3)] == pytest.approx([0.02, 0.04, 0.06])
    assert bucket.rate(60.0) == 50.0
    bucket.ease(1.0, 0.06)

    assert bucket.take(1, 0.06) == pytest.approx(0.07)
    assert bucket.rate(0.07) == 100.0


def test_an_eased_bucket_never_stops_for_good() -> None:
    bucket = Bucket(100.0, 1.0)
    bucket.ease(0.0, 0.0)

    assert bucket.rate(0.0) == 5.0
    assert Bucket(None).rate(0.0) == float("inf")


def test_load_is_not_handed_over_and_the_ramp_after_a_throttle_goes_on_below_it() -> None:
    bucket = Bucket(100.0, 1.0)
    bucket.ease(0.3, 0.0)
    bucket.pause(0.0)
    assert bucket.rate(1.0) == pytest.approx(30.0)
    assert bucket.state(1.0 + 4).share == pytest.approx(0.7)

    bucket.ease(1.0, 5.0)

    assert bucket.rate(5.0) == pytest.approx(70.0)


@given(
    rates,
    st.lists(st.tuples(waits, costs, st.floats(0.0, 1.0)), min_size=1, max_size=60),
)
def test_easing_and_letting_go_never_exceeds_the_rate(mps: float, steps: list[tuple[float, int, float]]) -> None:
    bucket, now = Bucket(mps), 0.0
    departures: list[tuple[float, int]] = []
    for wait, cost, share in steps:
        now += wait
        bucket.ease(share, now)
        departures.append((bucket.take(cost, now), cost))

    assert_never_exceeded(departures, mps, bucket.burst)
