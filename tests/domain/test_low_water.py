"""The mark of a queue is driven by every interleaving of processes, and no row is missed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendpool.domain import low_water
from sendpool.domain.low_water import BOTTOM, LowWater, Passed, Place


def claim(mark: LowWater, took: Iterable[Place], left: Iterable[Place] = ()) -> None:
    """A claim that is committed at once."""
    mark.begin(100)
    taken = sorted(took)
    mark.committed(Passed(taken[-1], list(left)) if taken else None)


def test_a_claim_begins_where_the_one_before_has_come() -> None:
    mark = LowWater()
    assert mark.begin(10).is_all
    mark.committed(Passed((7, 107), [(8, 108)]))

    assert mark.begin(10) == (7, [])


def test_what_a_claim_passes_by_is_known_by_name_and_holds_the_mark_no_lower() -> None:
    mark = LowWater()
    claim(mark, [(7, 107), (9, 109)], left=[(3, 103), (8, 108), (9, 110), (12, 112)])

    assert mark.begin(10) == (9, [(3, 103), (8, 108)])
    assert mark.first == 3


def test_what_is_taken_of_the_strays_is_forgotten_and_the_mark_stays() -> None:
    mark = LowWater()
    claim(mark, [(9, 109)], left=[(3, 103), (4, 104)])
    claim(mark, [(3, 103)], left=[(4, 104)])

    assert mark.begin(10) == (9, [(4, 104)])


def test_strays_beyond_those_that_a_claim_looks_at_are_kept() -> None:
    mark = LowWater()
    claim(mark, [(9, 109)], left=[(3, 103), (4, 104)])

    assert mark.begin(1).strays == [(3, 103)]
    mark.committed(Passed((3, 103)))
    assert mark.begin(1).strays == [(4, 104)]


def test_a_row_that_comes_in_while_a_claim_is_under_way_is_not_passed_over() -> None:
    mark = LowWater()
    mark.begin(10)
    mark.entered([(5, 105)])
    mark.committed(Passed((9, 109)))

    assert mark.begin(10) == (9, [(5, 105)])


def test_what_another_process_tells_lowers_the_mark_also_under_a_claim() -> None:
    mark = LowWater()
    mark.begin(10)
    assert mark.told(5)
    mark.committed(Passed((9, 109)))

    assert mark.begin(10).rank == 5


def test_far_behind_the_mark_is_looked_at_beside_the_claims() -> None:
    mark = LowWater()
    claim(mark, [(50, 150)])
    mark.turn()
    mark.turn()

    assert not mark.told(5)
    mark.seen_below([(5, 105)], more=False)
    assert mark.begin(10) == (50, [(5, 105)])


def test_a_look_that_found_too_much_lowers_the_mark_to_where_it_has_come() -> None:
    mark = LowWater()
    claim(mark, [(50, 150)])
    mark.seen_below([(5, 105), (6, 106)], more=True)

    assert mark.begin(10) == (6, [(5, 105)])


def test_more_strays_than_can_be_named_lower_the_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(low_water, "MOST_STRAYS", 3)
    mark = LowWater()
    claim(mark, [(50, 150)])
    mark.entered([(rank, 100 + rank) for rank in range(4, 9)])

    assert mark.begin(10) == (4, [])


@dataclass
class Claiming:
    """A claim under way: what it holds, and what it would do."""

    seen: list[Place]
    gone: list[Place]


@dataclass
class Process:
    mark: LowWater = field(default_factory=LowWater)
    claim: Claiming | None = None
    #: Rows put in by a transaction that is open.
    entering: list[Place] = field(default_factory=list)
    #: Lowest ranks that it has been told of and not heard yet; what a look has read and not given back yet.
    notices: list[int] = field(default_factory=list)
    look: tuple[list[Place], bool] | None = None
    #: Something has happened that only a look finds: a notice was lost or came from too far behind, rows were locked.
    owes_a_look: bool = False
    #: The look that was read last was read after that.
    looks_well: bool = False

    def owe(self) -> None:
        self.owes_a_look, self.looks_well = True, False


class World:
    """Two processes on one queue, of which each transaction, notice and look may come at any time, or not at all."""

    def __init__(self, seed: int) -> None:
        self.dice = Random(seed)
        self.rows: set[Place] = set()
        self.messages = count(1)
        self.ones = [Process(), Process()]

    def visible(self) -> list[Place]:
        held = {place for one in self.ones if one.claim for place in one.claim.seen}
        return sorted(self.rows - held)

    def step(self) -> None:
        one, other = self.dice.sample(self.ones, 2)
        what = [self.put, self.end_put, self.hear, self.begin_claim, self.end_claim, self.read_below, self.end_look]
        self.dice.choices(what, (4, 4, 3, 4, 4, 1, 1))[0](one, other)
        if self.dice.random() < 0.05:
            one.mark.turn()

    def put(self, one: Process, _: Process) -> None:
        ranks = [self.dice.randrange(20) for _ in range(self.dice.randint(1, 4))]
        places = [(rank, next(self.messages)) for rank in ranks]
        one.mark.entered(places)
        one.entering += places

    def end_put(self, one: Process, other: Process) -> None:
        if one.entering and self.dice.random() < 0.8:
            self.rows.update(one.entering)
            other.notices.append(min(rank for rank, _ in one.entering))
        one.entering = []

    def hear(self, one: Process, _: Process) -> None:
        if one.notices:
            rank, lost = one.notices.pop(0), self.dice.random() < 0.05
            if lost or not one.mark.told(rank):
                one.owe()

    def begin_claim(self, one: Process, _: Process) -> None:
        # One connection writes: what a process puts in is committed before it claims, or in the same transaction.
        if one.claim is not None or one.entering:
            return
        begun = one.mark.begin(most := self.dice.randint(1, 6))
        visible = self.visible()
        seen = [place for place in visible if place in begun.strays]
        seen = (seen + [place for place in visible if place[0] >= begun.rank])[:most]
        one.claim = Claiming(seen, [place for place in seen if self.dice.random() < 0.7])

    def end_claim(self, one: Process, other: Process) -> None:
        if one.claim is None:
            return
        done, one.claim = one.claim, None
        left = done.seen
        if self.dice.random() < 0.8:
            self.rows.difference_update(done.gone)
            to = done.gone[-1] if done.gone else next(iter(done.seen), None)
            left = [place for place in done.seen if place not in done.gone]
            one.mark.committed(None if to is None else Passed(to, left))
        if left:
            # What it held and left there the other one may have passed by meanwhile.
            other.owe()

    def read_below(self, one: Process, other: Process) -> None:
        found = sorted(place for place in self.rows if place[0] < one.mark.rank)
        one.look = (found[:3], len(found) > 3)
        # A claim under way of its own may yet pass by what this look did not have to look at.
        one.looks_well = one.claim is None and other.claim is None

    def end_look(self, one: Process, _: Process) -> None:
        if one.look is None:
            return
        if one.look[0]:
            one.mark.seen_below(one.look[0], more=one.look[1])
        one.owes_a_look = one.owes_a_look and not one.looks_well
        one.look = None

    def check(self) -> None:
        """What was told, and what nobody held, is known."""
        for one in self.ones:
            if not (one.owes_a_look or one.notices or one.claim):
                begun = one.mark.begin(1_000)
                assert all(place[0] >= begun.rank or place in begun.strays for place in self.visible())

    def end(self) -> None:
        """After one look, and more while it finds more than it can say, each process has every row of its share."""
        for one in self.ones:
            one.claim, one.entering = None, []
        for who, one in enumerate(self.ones):
            mine = {place for place in self.rows if place[1] % 2 == who}
            for _ in range(len(self.rows)):
                self.read_below(one, one)
                self.end_look(one, one)
                self.take_all(one, mine)
        assert not self.rows

    def take_all(self, one: Process, mine: set[Place]) -> None:
        gone: list[Place] | None = None
        while gone is None or gone:
            begun = one.mark.begin(1_000)
            seen = [place for place in sorted(self.rows) if place in begun.strays or place[0] >= begun.rank]
            gone = [place for place in seen if place in mine]
            left = [place for place in seen if place not in mine]
            self.rows.difference_update(gone)
            one.mark.committed(Passed((gone or seen)[-1], left) if seen else None)


@given(st.integers(min_value=0))
@settings(max_examples=200, deadline=None)
def test_whatever_comes_between_two_processes_no_row_is_missed(seed: int) -> None:
    world = World(seed)

    for _ in range(100):
        world.step()
        world.check()
    world.end()


def test_a_mark_that_knows_nothing_is_at_the_bottom() -> None:
    assert LowWater().begin(1) == (BOTTOM, [])
