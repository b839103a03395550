"""Dealing with limits: nothing exceeds them, and what one refuses does not hold up the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.domain.test_throughput import assert_never_exceeded

from sendpool.domain.bounded import Asked, BoundOffer, Held, deal_bounded, hold
from sendpool.domain.dealing import Dealt, LinkOffer, Offer
from sendpool.domain.limits import Day, Pairs, Recipients, Tally
from sendpool.domain.reasons import Reason
from sendpool.domain.scopes import Bounds, Moment
from sendpool.domain.throughput import Bucket

NOON = 1_800_014_400_000_000
HORIZON = 0.05
NOW = Moment(1000.0, NOON)


def Row(cost: int, to: str = "ana") -> Asked:  # noqa: N802 - reads as the value that it makes
    return Asked(cost, to)


def offer(sender_id: int, bounds: Bounds | None, mps: float = 1000.0, burst: float | None = None) -> Offer:
    link = LinkOffer(1, 1000, Bucket(None), idle=True)
    common = (sender_id, 1000, Bucket(mps, burst), link, 0.0, 1.0)
    return Offer(*common, idle=True) if bounds is None else BoundOffer(*common, bounds, idle=True)


class Outcome(NamedTuple):
    dealt: list[Dealt]
    held: list[Held]


def dealt(rows: list[Asked], offers: Sequence[Offer], now: Moment = NOW, *, all_in: bool = True) -> Outcome:
    found = deal_bounded(rows, offers, now, HORIZON, all_in=all_in)
    return Outcome(found.dealt, hold(rows, found.refused, now))


def places(outcome: Outcome) -> list[tuple[int, int]]:
    return [(one.place, one.offer.sender_id) for one in outcome.dealt]


def test_shared_scope_bounds_the_senders_together() -> None:
    shared = Bucket(10.0, 2.0)
    offers = [offer(n, Bounds({"x": shared})) for n in (1, 2)]

    outcome = dealt([Row(1)] * 9, offers)

    assert len(outcome.dealt) == 2
    assert not outcome.held


def test_row_that_a_pair_limit_refuses_lets_the_others_pass_and_waits_for_its_time() -> None:
    pairs = Pairs(6.0, 1, 0.0)
    pairs.take("ana", 1, NOW.now)

    outcome = dealt([Row(1, "ana"), Row(1, "ben"), Row(1, "ana")], [offer(1, Bounds(pairs=pairs))])

    assert places(outcome) == [(1, 1)]
    assert [(one.place, one.reason, one.until) for one in outcome.held] == [
        (0, Reason.PAIR_LIMIT, NOW.now + 6.0),
        (2, Reason.PAIR_LIMIT, NOW.now + 12.0),
    ]


def test_another_sender_takes_what_the_first_is_refused() -> None:
    full = Recipients("sender:1", 1, Tally())
    full.take("somebody", NOON)

    outcome = dealt([Row(1, "ana"), Row(1, "ben")], [offer(1, Bounds(recipients=[full])), offer(2, None)])

    assert places(outcome) == [(0, 2), (1, 2)]


def test_nothing_is_held_while_somebody_who_is_busy_might_take_it() -> None:
    full = Recipients("sender:1", 1, Tally())
    full.take("somebody", NOON)
    offers = [offer(1, Bounds(recipients=[full]))]

    assert not dealt([Row(1)], offers, all_in=False).held
    busy = offer(2, None, mps=1.0)
    busy.bucket.take(1, NOW.now)
    assert not dealt([Row(1)], [*offers, busy]).held
    assert len(dealt([Row(1)], offers).held) == 1


def test_long_message_that_the_day_has_no_room_for_lets_short_ones_pass() -> None:
    day = Day("sender:1", 2, "UTC", Tally())

    outcome = dealt([Row(3), Row(1), Row(1), Row(1)], [offer(1, Bounds(days=[day]))])

    assert places(outcome) == [(1, 1), (2, 1)]
    assert [one.place for one in outcome.held] == [0, 3]


def test_long_message_that_is_too_early_is_not_overtaken_by_short_ones() -> None:
    bounds = Bounds({"x": Bucket(10.0, 3.0)})
    bounds.scopes["x"].take(1, NOW.now)

    outcome = dealt([Row(3), Row(1)], [offer(1, bounds)])

    assert outcome == Outcome([], [])


rates = st.sampled_from([0.5, 2.0, 7.0, 33.3, 200.0])
rows_of = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 5)), max_size=10)


class Kit(NamedTuple):
    """Senders with what bounds them, as a process holds them."""

    senders: list[Bucket]
    links: list[Bucket]
    scopes: list[Bucket]
    days: list[Day]
    recipients: list[Recipients]
    pairs: list[Pairs]


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_no_limit_is_ever_exceeded_whatever_pool_windows_scopes_clocks_and_crashes(data: st.DataObject) -> None:
    draw = data.draw
    mps = draw(st.lists(rates, min_size=3, max_size=3), label="senders")
    link_mps = draw(st.lists(rates, min_size=2, max_size=2), label="links")
    scope_mps = draw(st.lists(rates, min_size=2, max_size=2), label="scopes")
    member_of = draw(st.lists(st.sets(st.integers(0, 1)), min_size=3, max_size=3), label="member of")
    daily = draw(st.integers(3, 40), label="daily")
    tier = draw(st.integers(1, 5), label="tier")
    spent: Counter[int] = Counter()
    contacts: list[tuple[int, str]] = []
    tally = Tally()

    def begin(now: Moment, debt: float) -> Kit:
        """A process starts: it knows what is durable, and its buckets are empty."""
        kit = Kit(
            [Bucket(one) for one in mps],
            [Bucket(one) for one in link_mps],
            [Bucket(one) for one in scope_mps],
            [Day("scope:x", daily, "UTC", tally)],
            [Recipients("scope:x", tier, tally)],
            [Pairs(2.0, 2, now.now) for _ in mps],
        )
        for bucket in (*kit.senders, *kit.links, *kit.scopes):
            bucket.empty(now.now, debt)
        kit.days[0].load(dict(spent))
        kit.recipients[0].load(contacts)
        return kit

    now, wall = 1000.0, NOON + 43_170 * 1_000_000  # Half a minute before midnight.
    kit = begin(Moment(now, wall), 0.0)
    left: list[tuple[float, int, int, str]] = []
    for _ in range(draw(st.integers(1, 12), label="claims")):
        step = draw(st.floats(0.0, 8.0))
        now += step
        wall += int(step * 1e6) + draw(st.sampled_from([0, 0, 0, -1_000_000, 2_000_000]))
        moment = Moment(now, wall)
        if draw(st.integers(0, 5)) == 0:
            # A crash: what was claimed and has not left may have left all the same.
            now = max([now, *(at for at, *_ in left)])
            kit = begin(moment := Moment(now, wall), 6.0)
        window = draw(st.integers(1, 20))
        links = [LinkOffer(n, window, bucket, idle=False) for n, bucket in enumerate(kit.links)]
        offers = [
            BoundOffer(
                n,
                window,
                kit.senders[n],
                links[n % 2],
                0.0,
                1.0,
                Bounds({str(s): kit.scopes[s] for s in member_of[n]}, kit.days, kit.recipients, kit.pairs[n]),
                idle=False,
            )
            for n in range(3)
        ]
        rows = [Row(cost, f"to {to}") for cost, to in draw(rows_of)]
        outcome = dealt(rows, offers, moment)
        for one in outcome.dealt:
            row = rows[one.place]
            assert one.departure >= now
            left.append((one.departure, one.offer.sender_id, row.cost, row.recipient))
        for (_, day), cost in tally.segments.items():
            spent[day] += cost
        contacts += [(one.at, one.recipient) for one in tally.contacts]
        tally.clear()
        assert all(used <= daily for used in spent.values())
        assert len({place for place, *_ in (*outcome.dealt, *outcome.held)}) == len(outcome.dealt) + len(outcome.held)

    for n in range(3):
        assert_never_exceeded([(at, cost) for at, s, cost, _ in left if s == n], mps[n], max(1.0, 0.05 * mps[n]))
    for n in range(2):
        assert_never_exceeded(
            [(at, c) for at, s, c, _ in left if s % 2 == n], link_mps[n], max(1.0, 0.05 * link_mps[n])
        )
        assert_never_exceeded(
            [(at, c) for at, s, c, _ in left if n in member_of[s]], scope_mps[n], max(1.0, 0.05 * scope_mps[n])
        )
    assert len({to for *_, to in left}) <= tier
