"""Who goes next: no campaign delays a one-time password, and no pool starves another."""

from __future__ import annotations

from collections import Counter
from heapq import heappop, heappush

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendpool.domain.fairness import SMALL_WEIGHT, TURN, UNIT, FairClock, RoundRobin, flow_of, turn_of


class Queue:
    """A pool's waiting rows in rank order, served as the claim does it."""

    def __init__(self, clock: FairClock) -> None:
        self.clock = clock
        self.rows: list[tuple[int, int, str]] = []
        self._order = 0

    def add(self, name: str, ranks: list[int]) -> None:
        for rank in ranks:
            self._order += 1
            heappush(self.rows, (rank, self._order, name))

    def serve(self, n: int = 1) -> list[str]:
        taken = [heappop(self.rows) for _ in range(min(n, len(self.rows)))]
        if taken:
            self.clock.claimed(taken[-1][0])
        return [name for _, _, name in taken]


def test_messages_of_an_operation_stand_one_behind_the_other() -> None:
    clock = FairClock()

    assert clock.admit("a", 2, count=3) == (0, 2 * UNIT)
    assert clock.admit("a", 1, count=1) == (6 * UNIT, UNIT)
    assert clock.admit_each("b", [1, 3, 2]) == [0, UNIT, 4 * UNIT]
    assert clock.admit_each("b", []) == []


def test_weight_divides_the_step() -> None:
    clock = FairClock()

    assert clock.admit("small", 1, weight=SMALL_WEIGHT).step == UNIT // 4
    assert clock.admit_each("other", [2, 2], weight=SMALL_WEIGHT) == [0, UNIT // 2]


def test_free_messages_still_move_their_flow_on() -> None:
    assert FairClock().admit("a", 0).step == 1


def test_small_operations_of_a_category_share_one_heavier_flow() -> None:
    assert flow_of(7, 10, "otp") == (("small", "otp"), 4.0)
    assert flow_of(7, 10, "otp") != flow_of(7, 10, "bulk")
    assert flow_of(7, 11, "otp") == (7, 1.0)


def test_priority_multiplies_the_weight_and_never_more_than_fourfold() -> None:
    assert flow_of(7, 11, "bulk", "high") == (7, 4.0)
    assert flow_of(7, 11, "bulk", "low") == (7, 0.25)
    assert flow_of(7, 1, "bulk", "high") == (("small", "bulk", "high"), 16.0)


def test_campaign_of_low_priority_still_gets_its_part() -> None:
    clock = FairClock()
    ranks = [(rank, "low") for rank in clock.admit_each("low", [1] * 100, 0.25)]
    ranks += [(rank, "high") for rank in clock.admit_each("high", [1] * 1600, 4.0)]

    first = [name for _, name in sorted(ranks)[:680]]

    assert 39 <= first.count("low") <= 41


def test_segments_before_the_end_of_a_flow_are_shared_by_weight() -> None:
    clock = FairClock()
    clock.admit("mine", 1, 100)
    clock.admit("longer", 1, 1000)
    clock.admit("shorter", 1, 30)
    clock.admit("heavy", 1, 1000, weight=4.0)

    assert clock.before("mine", 1.0, 100, {}) == pytest.approx(100 + 100 + 30 + 400)
    assert clock.before("mine", 1.0, 100, {"shorter": 500}) == pytest.approx(100 + 100 + 100 + 400)
    assert clock.waiting("heavy") == pytest.approx(1000)
    clock.claimed(UNIT * 1000)
    assert clock.waiting("shorter") == 0


def test_one_message_goes_out_next_while_a_million_wait() -> None:
    clock = FairClock()
    campaign = clock.admit("campaign", 3, count=1_000_000)
    clock.claimed(campaign.start + 200_000 * campaign.step)

    password = clock.admit(*_small("otp"))

    next_of_campaign = campaign.start + 200_001 * campaign.step
    assert clock.virtual <= password.start <= clock.virtual + password.step
    assert password.start < next_of_campaign


def _small(category: str) -> tuple[object, int, int, float]:
    key, weight = flow_of(1, 1, category)
    return key, 1, 1, weight


def test_stream_of_single_messages_keeps_its_four_shares_of_five_against_a_campaign() -> None:
    clock = FairClock()
    queue = Queue(clock)
    start, step = clock.admit("campaign", 1, count=1000)
    queue.add("campaign", [start + i * step for i in range(1000)])
    for _ in range(1000):
        queue.add("single", [clock.admit(*_small("otp")).start])

    served = Counter(queue.serve(1000))

    assert served["single"] == pytest.approx(800, abs=2)


@settings(deadline=None)
@given(
    chunks=st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 60)), max_size=12),
    batches=st.lists(st.integers(1, 9), min_size=1, max_size=80),
)
def test_two_equal_flows_stay_within_one_message_of_each_other(
    chunks: list[tuple[str, int]], batches: list[int]
) -> None:
    clock = FairClock()
    queue = Queue(clock)
    # Both have work all the time; how it was cut into chunks must not matter.
    for name, count in [*chunks, ("a", 400), ("b", 400)]:
        start, step = clock.admit(name, 1, count)
        queue.add(name, [start + i * step for i in range(count)])
    served: Counter[str] = Counter()
    for n in batches:
        served.update(queue.serve(n))
        if max(served.values()) >= 400:
            return
        assert abs(served["a"] - served["b"]) <= 1


@settings(deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("admit"), st.integers(0, 5), st.integers(1, 12), st.integers(1, 50)),
            st.tuples(st.just("serve"), st.integers(1, 30), st.just(0), st.just(0)),
            st.tuples(st.just("retry"), st.integers(0, 1000), st.just(0), st.just(0)),
        ),
        max_size=60,
    )
)
def test_virtual_time_never_falls_and_no_admission_starts_before_it(steps: list[tuple[str, int, int, int]]) -> None:
    clock = FairClock()
    queue = Queue(clock)
    highest = 0
    for action, key, cost, count in steps:
        if action == "admit":
            ranks = clock.admit(key, cost, count)
            assert ranks.start >= clock.virtual
            queue.add(str(key), [ranks.start + i * ranks.step for i in range(count)])
        elif action == "serve":
            queue.serve(key)
        else:
            # A failed-over row keeps its old rank and is claimed again.
            clock.claimed(key * UNIT // 7)
        assert clock.virtual >= highest
        highest = clock.virtual


def test_backlogged_flows_of_unequal_costs_share_segments_not_messages() -> None:
    clock = FairClock()
    queue = Queue(clock)
    long = clock.admit("long", 4, count=500)
    short = clock.admit("short", 1, count=2000)
    queue.add("long", [long.start + i * long.step for i in range(500)])
    queue.add("short", [short.start + i * short.step for i in range(2000)])

    served = Counter(queue.serve(1000))

    assert abs(4 * served["long"] - served["short"]) <= 5


def test_flows_that_are_done_are_forgotten_so_memory_stays_bounded() -> None:
    clock = FairClock()
    for operation in range(100_000):
        start, step = clock.admit(operation, 1, count=3)
        clock.claimed(start + 2 * step)

    assert len(clock) <= 2048


def test_forgetting_changes_no_rank() -> None:
    clock, forgetful = FairClock(), FairClock()
    ranks: dict[str, list[int]] = {"clock": [], "forgetful": []}
    for i in range(500):
        for name, one in (("clock", clock), ("forgetful", forgetful)):
            admitted = one.admit(i % 7, 1 + i % 3, count=1 + i % 5)
            ranks[name].append(admitted.start)
            one.claimed(admitted.start)
        forgetful.forget()

    assert ranks["clock"] == ranks["forgetful"]


@given(st.floats(0.01, 1e6), st.integers(0, 5_000), st.floats(1, 20))
def test_a_turn_is_short_and_no_more_than_leaves_at_once(mps: float, window: int, cost: float) -> None:
    turn = turn_of(mps, window, cost)

    assert turn >= 1
    assert turn == 1 or (turn * cost <= window and turn * cost <= mps * TURN)


def test_a_fast_pool_has_turns_as_long_as_its_window() -> None:
    assert turn_of(20_000.0, 500, 1) == 500
    assert turn_of(20_000.0, 500, 2) == 250
    assert turn_of(1_000.0, 500, 1) == 50
    assert turn_of(10.0, 500, 1) == 1


def test_ranks_of_years_fit_63_bits() -> None:
    clock = FairClock()
    two_years = 2 * 365 * 86_400 * 100_000
    start, step = clock.admit("a", 1, count=two_years)

    assert start + two_years * step < 2**63


def test_single_slots_rotate_between_the_pools() -> None:
    turns: RoundRobin[str] = RoundRobin()

    order = [next(key for key, n in turns.share(1, ["a", "b", "c"]).items() if n) for _ in range(9)]

    assert Counter(order) == {"a": 3, "b": 3, "c": 3}
    assert all(len(set(order[i : i + 3])) == 3 for i in range(0, 9, 3))


def test_slots_are_split_by_weight() -> None:
    turns: RoundRobin[str] = RoundRobin()
    total: Counter[str] = Counter()
    for _ in range(100):
        total.update(turns.share(7, ["a", "b"], weights={"a": 3.0, "b": 1.0}))

    assert total["a"] == pytest.approx(525, abs=1)


def test_what_one_pool_cannot_use_goes_to_the_others_and_is_not_owed_later() -> None:
    turns: RoundRobin[str] = RoundRobin()

    assert turns.share(10, ["a", "b"], waiting={"a": 2, "b": 100}) == {"a": 2, "b": 8}
    assert turns.share(10, ["a", "b"], waiting={"a": 100, "b": 100}) == {"a": 5, "b": 5}
    assert turns.share(10, ["a", "b"], waiting={"a": 1, "b": 2}) == {"a": 1, "b": 2}


def test_one_pool_gets_everything() -> None:
    assert RoundRobin[str]().share(17, ["a"]) == {"a": 17}
    assert RoundRobin[str]().share(5, []) == {}
    assert RoundRobin[str]().share(0, ["a", "b"]) == {"a": 0, "b": 0}


@settings(deadline=None)
@given(
    weights=st.lists(st.sampled_from([0.5, 1.0, 2.0, 7.0]), min_size=2, max_size=6),
    slots=st.lists(st.integers(0, 9), min_size=1, max_size=80),
)
def test_every_pool_is_within_two_slots_of_its_share_at_any_time(weights: list[float], slots: list[int]) -> None:
    turns: RoundRobin[int] = RoundRobin()
    shares = dict(enumerate(weights))
    total: Counter[int] = Counter()
    for n in slots:
        given_now = turns.share(n, list(shares), weights=shares)
        assert sum(given_now.values()) == n
        total.update(given_now)
        for key, weight in shares.items():
            fair = total.total() * weight / sum(weights)
            assert abs(total[key] - fair) < 2


@settings(deadline=None)
@given(
    calls=st.lists(
        st.tuples(st.integers(0, 50), st.dictionaries(st.integers(0, 5), st.integers(0, 30), min_size=1)), max_size=40
    )
)
def test_pools_that_come_and_go_never_lose_or_gain_slots(calls: list[tuple[int, dict[int, int]]]) -> None:
    turns: RoundRobin[int] = RoundRobin()
    for slots, waiting in calls:
        shared = turns.share(slots, list(waiting), waiting=waiting)
        assert sum(shared.values()) == min(slots, sum(waiting.values()))
        assert all(0 <= shared[key] <= waiting[key] for key in waiting)


def test_what_joins_a_lane_that_lags_stands_where_the_lane_is() -> None:
    clock = FairClock()
    campaign = clock.admit("campaign", 1, 1_000)
    clock.claimed(campaign.start + 900 * campaign.step)
    clock.stands("slow", campaign.start + 100 * campaign.step)

    (rank,) = clock.admit_each("small", [1], 4.0)

    assert clock.lag("fast") == 0
    assert rank - clock.lag("fast") == campaign.start + 900 * campaign.step
    assert rank - clock.lag("slow") == campaign.start + 100 * campaign.step
    assert clock.lag("empty", ["slow", "fast"]) == clock.lag("slow")
    clock.emptied("slow")
    assert clock.lag("slow") == 0


def test_a_lane_that_nobody_has_claimed_from_stands_where_its_first_row_does() -> None:
    clock = FairClock()
    clock.begins("stopped", 5 * UNIT)
    clock.begins("stopped", 9 * UNIT)
    clock.claimed(100 * UNIT)

    assert clock.lag("stopped") == 95 * UNIT
    clock.stands("stopped", 3 * UNIT)
    assert clock.lag("stopped") == 95 * UNIT, "a row that is tried again is no way back"


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 10**9), st.booleans()), max_size=50))
def test_a_lag_is_never_more_than_the_virtual_time(claims: list[tuple[int, int, bool]]) -> None:
    clock = FairClock()
    for lane, rank, emptied in claims:
        clock.claimed(rank)
        clock.stands(lane, rank)
        if emptied:
            clock.emptied(lane)
        assert all(0 <= clock.lag(one) < max(1, clock.virtual) for one in range(4))


@given(lags=st.lists(st.tuples(st.sampled_from("xy"), st.integers(0, 50), st.integers(1, 3)), min_size=1, max_size=40))
def test_what_is_moved_ahead_in_a_lane_stays_behind_its_own_flow_and_never_falls_back(
    lags: list[tuple[str, int, int]],
) -> None:
    clock = FairClock()
    before: dict[str, int] = {}
    for lane, lag, cost in lags:
        rank, step = clock.admit("flow", cost)
        moved = clock.in_lane("flow", lane, rank, lag * UNIT, step)
        assert before.get(lane, 0) <= moved <= rank
        assert moved == rank or lag
        before[lane] = moved + step


def test_what_is_remembered_of_lanes_is_forgotten_with_the_flows() -> None:
    clock = FairClock()
    clock.stands("lane", 0)
    for operation in range(50_000):
        rank, step = clock.admit(operation, 1)
        clock.claimed(rank + step)
        clock.stands("lane", rank)
        clock.in_lane(operation, "lane", rank, 1, step)

    assert len(clock._in_lanes) <= 4096
