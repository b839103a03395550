"""Health: a sender is worse than its peers, or nothing is done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendpool.domain.comparing import Group, judge_all
from sendpool.domain.failures import ROUTE_FAULTS, FailureClass
from sendpool.domain.health import LEAST, MOST, TRICKLE, USUAL, Condition, Standing, Symptom, Thresholds, agreed
from sendpool.domain.vitals import ROUTES, Counting, Route, Watch, p95

EVERY = 5.0


class Behaviour(NamedTuple):
    """What a sender does with each hundred messages."""

    lost: int = 0
    faults: int = 0
    delay: float = 1.0
    rate: int = 10


class Rounds:
    """Senders 1, 2, ... of one pool, which all send to one country, judged every five seconds."""

    def __init__(self, *senders: Behaviour, reporting: Sequence[int] | None = None) -> None:
        self.senders = dict(enumerate(senders, 1))
        everybody: Group = frozenset(self.senders)
        self.groups = dict.fromkeys(self.senders, (everybody,))
        self.counting = Counting()
        self.counting.reporting |= set(self.senders if reporting is None else reporting)
        self.standings: dict[Route, Standing] = {}
        self.now = 0.0
        self.due: list[tuple[float, Watch]] = []
        self.sent = dict.fromkeys(self.senders, 0)
        self.owed = dict.fromkeys(self.senders, 0.0)
        self.history: list[tuple[float, int, Condition]] = []
        self.thresholds: dict[int, Thresholds] = {}

    def standing(self, sender_id: int) -> Standing:
        return self.standings.get(Route(sender_id, "GB"), Standing())

    def run(self, seconds: float) -> None:
        """Live for so long."""
        until = self.now + seconds
        while self.now < until:
            self._second()
            if self.now % EVERY == 0:
                self._judge()

    def until(self, sender_id: int, condition: Condition, within: float) -> float:
        """Live until a sender is in a condition; brings how many seconds that took."""
        began = self.now
        while self.standing(sender_id).condition is not condition:
            assert self.now - began < within, self.standing(sender_id)
            self.run(EVERY)
        return self.now - began

    def _second(self) -> None:
        for sender_id, does in self.senders.items():
            self.owed[sender_id] += max(does.rate * self.standing(sender_id).share, 0.2 if does.rate else 0)
            while self.owed[sender_id] >= 1:
                self.owed[sender_id] -= 1
                self._send(sender_id, does)
        self.now += 1.0
        for at, watch in self.due:
            if at <= self.now:
                watch.told(1, self.now)
        self.due = [one for one in self.due if one[0] > self.now]

    def _send(self, sender_id: int, does: Behaviour) -> None:
        # Spread evenly over each hundred, so that shares are exact.
        turn = self.sent[sender_id] = self.sent[sender_id] + 1
        vitals = self.counting.of(Route(sender_id, "GB"))
        slot = vitals.slot(self.now)
        if turn * 37 % 100 < does.faults:
            slot.refused += 1
            return
        slot.taken += 1
        slot.watched += 1
        if turn * 61 % 100 >= does.lost:
            self.due.append((self.now + does.delay, Watch(vitals, slot, self.now, sender_id)))

    def _judge(self) -> None:
        found = judge_all(self.counting, self.groups, self.standings, self.now, self.thresholds)
        for route, judged in found.items():
            if judged.standing.condition is not self.standing(route.sender_id).condition:
                self.history.append((self.now, route.sender_id, judged.standing.condition))
            self.standings[route] = judged.standing


def test_sender_that_loses_receipts_is_down_to_a_trickle_within_two_minutes_and_back_within_ten() -> None:
    rounds = Rounds(Behaviour(), Behaviour())
    rounds.run(120)
    assert not rounds.history

    rounds.senders[1] = Behaviour(lost=60)
    assert rounds.until(1, Condition.UNHEALTHY, 120) <= 120
    assert rounds.standing(1).symptom is Symptom.LOST_RECEIPTS
    assert rounds.standing(1).share == TRICKLE
    rounds.run(600)
    assert rounds.standing(1).condition is Condition.UNHEALTHY

    rounds.senders[1] = Behaviour()
    assert rounds.until(1, Condition.HEALTHY, 600) <= 600
    assert rounds.standing(1).share == 1.0
    assert rounds.standing(2).condition is Condition.HEALTHY


def test_share_comes_back_in_steps() -> None:
    rounds = Rounds(Behaviour(faults=50), Behaviour())
    rounds.until(1, Condition.UNHEALTHY, 120)
    rounds.senders[1] = Behaviour()
    rounds.until(1, Condition.RETURNING, 600)
    shares = []
    while rounds.standing(1).condition is Condition.RETURNING:
        shares.append(rounds.standing(1).share)
        rounds.run(EVERY)

    assert sorted(set(shares)) == [0.1, 0.2, 0.4, 0.8]
    assert shares == sorted(shares)


def test_relapse_while_it_comes_back_is_a_longer_trickle() -> None:
    rounds = Rounds(Behaviour(lost=60), Behaviour())
    rounds.run(30)
    rounds.until(1, Condition.UNHEALTHY, 120)
    rounds.senders[1] = Behaviour()
    rounds.until(1, Condition.RETURNING, 600)
    rounds.senders[1] = Behaviour(faults=80)
    rounds.until(1, Condition.UNHEALTHY, 300)

    assert rounds.standing(1).relapses == 1
    rounds.senders[1] = Behaviour()
    assert rounds.until(1, Condition.RETURNING, 900) >= 120


def test_sender_whose_receipts_come_late_gets_a_trickle() -> None:
    rounds = Rounds(Behaviour(delay=60.0), Behaviour(), Behaviour())
    rounds.until(1, Condition.UNHEALTHY, 240)

    # Their patience is twenty seconds at most, so that they count as lost first; both say the same.
    assert rounds.standing(1).symptom in (Symptom.LATE_RECEIPTS, Symptom.LOST_RECEIPTS)
    assert rounds.standing(2).condition is rounds.standing(3).condition is Condition.HEALTHY


@settings(max_examples=30, deadline=None)
@given(
    lost=st.integers(0, 100),
    faults=st.integers(0, 100),
    delay=st.sampled_from([0.5, 2.0, 30.0]),
    senders=st.integers(2, 4),
)
def test_nobody_is_moved_where_all_are_equally_bad(lost: int, faults: int, delay: float, senders: int) -> None:
    rounds = Rounds(*[Behaviour(lost, faults, delay)] * senders)
    rounds.run(300)

    assert not rounds.history


@settings(max_examples=30, deadline=None)
@given(st.integers(30, 100), st.booleans())
def test_one_that_is_much_worse_is_found_and_the_others_stay(bad: int, loses: bool) -> None:
    worse = Behaviour(lost=bad) if loses else Behaviour(faults=bad)
    rounds = Rounds(Behaviour(), worse, Behaviour(lost=2))
    rounds.run(180)

    assert rounds.standing(2).condition is Condition.UNHEALTHY
    assert {sender_id for _, sender_id, _ in rounds.history} == {2}


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10), st.integers(0, 10))
def test_small_differences_move_nobody(lost: int, faults: int) -> None:
    rounds = Rounds(Behaviour(lost, faults), Behaviour())
    rounds.run(600)

    assert not rounds.history


def test_few_messages_are_no_sample() -> None:
    rounds = Rounds(Behaviour(lost=100, rate=0), Behaviour())
    rounds.run(20)
    for _ in range(25):
        rounds._send(1, rounds.senders[1])
    rounds.run(120)

    assert not rounds.history


def test_sender_without_peers_is_healthy_whatever_it_does() -> None:
    rounds = Rounds(Behaviour(lost=100, faults=100))
    rounds.run(300)

    assert not rounds.history


def test_sender_that_never_brings_receipts_is_not_blamed_for_none() -> None:
    rounds = Rounds(Behaviour(lost=100), Behaviour(), reporting=[2])
    rounds.run(300)

    assert not rounds.history


def test_when_the_last_good_peer_falls_ill_too_the_first_comes_back() -> None:
    rounds = Rounds(Behaviour(lost=60), Behaviour())
    rounds.run(20)
    rounds.until(1, Condition.UNHEALTHY, 120)
    rounds.senders[2] = Behaviour(lost=60)
    rounds.run(600)

    assert rounds.standing(1).condition is Condition.HEALTHY
    assert rounds.standing(2).condition is Condition.HEALTHY


def test_unhealthy_sender_of_which_nothing_more_is_heard_is_tried_again() -> None:
    rounds = Rounds(Behaviour(lost=60), Behaviour())
    rounds.run(20)
    rounds.until(1, Condition.UNHEALTHY, 120)
    rounds.senders[1] = Behaviour(rate=0)

    assert rounds.until(1, Condition.RETURNING, 2_000) >= 1_700


def test_only_faults_of_the_route_count() -> None:
    assert {FailureClass.TRANSIENT, FailureClass.SENDER, FailureClass.ACCOUNT} == ROUTE_FAULTS


def test_what_is_counted_is_bounded() -> None:
    counting = Counting()
    for sender_id in range(ROUTES + 10):
        counting.of(Route(sender_id, "GB"))
    vitals = counting.of(Route(1_000_000, "GB"))
    for second in range(20_000):
        vitals.slot(float(second))

    assert len(counting.routes) == ROUTES
    assert len(vitals.slots) <= 65


@pytest.mark.parametrize(
    ("counts", "delay"), [([], None), ([0, 0], None), ([10], 0.1), ([95, 5], 0.1), ([90, 10], 0.14)]
)
def test_p95_is_the_end_of_its_class(counts: list[int], delay: float | None) -> None:
    found = p95(counts)

    assert found == (None if delay is None else pytest.approx(delay))


def by(**thresholds: float) -> Thresholds:
    """Thresholds with some that are not the usual ones."""
    return USUAL._replace(**thresholds)  # type: ignore[arg-type]


def test_what_is_too_little_to_judge_by_and_what_is_bad_enough_is_for_thresholds_to_say() -> None:
    for thresholds, ill in ((USUAL, True), (by(worse_by=0.6), False), (by(min_sample=5_000), False)):
        rounds = Rounds(Behaviour(faults=50), Behaviour())
        rounds.thresholds[1] = thresholds
        rounds.run(180)
        assert (rounds.standing(1).condition is Condition.UNHEALTHY) is ill


def test_a_large_sample_is_looked_for_further_back() -> None:
    rounds = Rounds(Behaviour(faults=50, rate=2), Behaviour(rate=2))
    rounds.thresholds[1] = by(min_sample=300)
    rounds.until(1, Condition.UNHEALTHY, within=300)


def test_trickle_and_step_are_for_thresholds_to_say() -> None:
    rounds = Rounds(Behaviour(faults=80), Behaviour())
    rounds.thresholds[1] = by(trickle=0.25, step=90.0)
    rounds.until(1, Condition.UNHEALTHY, within=120)
    assert rounds.standing(1).share == 0.25
    rounds.senders[1] = Behaviour()
    rounds.until(1, Condition.RETURNING, within=300)
    assert rounds.standing(1).share == 0.5
    assert 90 <= rounds.until(1, Condition.HEALTHY, within=300) <= 100


some = st.builds(
    Thresholds,
    st.integers(LEAST.min_sample, MOST.min_sample),
    *(st.floats(least, most) for least, most in zip(LEAST[1:], MOST[1:], strict=True)),
)


@given(st.lists(some, max_size=4))
def test_several_pools_agree_on_what_is_mildest(pools: list[Thresholds]) -> None:
    found = agreed(pools)

    assert found == USUAL if not pools else all(found[i] in {one[i] for one in pools} for i in range(4))
    for one in pools:
        assert found.min_sample >= one.min_sample
        assert found.worse_by >= one.worse_by
        assert found.trickle >= one.trickle
        assert found.step <= one.step
