"""Dealing rows to senders: in order, evenly, and never faster than any sender or connection may go."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendpool.domain.bounded import Asked, deal_bounded
from sendpool.domain.dealing import Dealt, LinkOffer, Offer, References, deal, step_cost
from sendpool.domain.scopes import Moment
from sendpool.domain.throughput import Bucket
from sendpool.domain.trickle import CANARY, Trickle

HORIZON = 0.05
UNLIMITED = 1_000_000


class Row(NamedTuple):
    """A row that waits."""

    cost: int = 1


class Departure(NamedTuple):
    """A message that left."""

    at: float
    cost: int
    sender_id: int
    connection_id: int


class Pool:
    """Senders on connections, dealt to round after round as the send stage does; what departs is landed at once."""

    def __init__(
        self, senders: dict[int, tuple[float, int]], links: dict[int, float | None], *, window: int = UNLIMITED
    ) -> None:
        self.buckets = {key: Bucket(mps) for key, (mps, _) in senders.items()}
        self.link_of = {key: link for key, (_, link) in senders.items()}
        self.link_buckets = {key: Bucket(mps) for key, mps in links.items()}
        self.window = window
        self.weights: dict[int, float] = defaultdict(lambda: 1.0)
        self.served: dict[int, float] = defaultdict(float)
        self.departures: list[Departure] = []

    def offers(self, now: float) -> list[Offer]:
        """What each sender can take at *now*; nothing is in flight."""
        links = {key: LinkOffer(key, self.window, bucket, idle=True) for key, bucket in self.link_buckets.items()}
        offers = []
        for key, bucket in self.buckets.items():
            link = links[self.link_of[key]]
            room = min(bucket.slots(now, HORIZON), link.bucket.slots(now, HORIZON), link.room)
            if room > 0:
                offers.append(Offer(key, room, bucket, link, self.served[key], self.weights[key], idle=True))
        return offers

    def deal(self, rows: Sequence[Row], now: float) -> list[Dealt]:
        """One claim; what leaves is noted."""
        dealt = deal(rows, self.offers(now), now, HORIZON)
        for one in dealt:
            self.served[one.offer.sender_id] = one.offer.served
            link = one.offer.link.connection_id
            self.departures.append(Departure(one.departure, rows[one.place].cost, one.offer.sender_id, link))
        return dealt

    def run(self, rows: list[Row], times: Sequence[float]) -> list[Row]:
        """Claim at each of *times* until nothing is left; what is left."""
        for now in times:
            rows = rows[len(self.deal(rows, now)) :]
        return rows


def assert_within(departures: Sequence[Departure], mps: float) -> None:
    """In no window of any length may more depart than the rate, the burst and one longest message allow."""
    ordered = sorted(departures)
    longest = max((one.cost for one in ordered), default=1)
    spare = max(Bucket(mps).burst, longest)
    for first, begin in enumerate(ordered):
        total = 0
        for end in ordered[first:]:
            total += end.cost
            assert total <= mps * (end.at - begin.at) + spare + 1e-6, (begin.at, end.at, total)


rates = st.sampled_from([0.5, 1.0, 3.0, 10.0, 33.0, 100.0])
costs = st.lists(st.sampled_from([1, 1, 1, 2, 3, 6]), min_size=1, max_size=80)
steps = st.lists(st.sampled_from([0.0, 0.003, 0.02, 0.05, 0.11, 0.7]), min_size=5, max_size=40)


@given(
    senders=st.lists(st.tuples(rates, st.integers(0, 1)), min_size=1, max_size=5),
    links=st.tuples(st.none() | rates, st.none() | rates),
    sizes=costs,
    pauses=steps,
    window=st.sampled_from([1, 5, UNLIMITED]),
)
def test_no_sender_and_no_connection_ever_exceeds_its_rate(
    senders: list[tuple[float, int]],
    links: tuple[float | None, float | None],
    sizes: list[int],
    pauses: list[float],
    window: int,
) -> None:
    pool = Pool(dict(enumerate(senders)), dict(enumerate(links)), window=window)
    now = 0.0
    times = [now := now + pause for pause in pauses]

    pool.run([Row(cost) for cost in sizes], times)

    for key, (mps, _) in enumerate(senders):
        assert_within([one for one in pool.departures if one.sender_id == key], mps)
    for link, mps_or_none in enumerate(links):
        if mps_or_none is not None:
            assert_within([one for one in pool.departures if one.connection_id == link], mps_or_none)


@given(
    senders=st.lists(st.tuples(rates, st.just(0)), min_size=1, max_size=4),
    sizes=costs,
    window=st.sampled_from([1, 3, UNLIMITED]),
)
def test_what_is_dealt_is_the_beginning_of_the_queue_in_order(
    senders: list[tuple[float, int]], sizes: list[int], window: int
) -> None:
    pool = Pool(dict(enumerate(senders)), {0: None}, window=window)
    rows = [Row(cost) for cost in sizes]

    for now in (0.0, 0.01, 0.2, 3.0):
        dealt = pool.deal(rows, now)

        assert [one.place for one in dealt] == list(range(len(dealt)))
        assert all(one.departure >= now for one in dealt)


@given(
    senders=st.lists(st.tuples(rates, st.just(0)), min_size=1, max_size=4),
    sizes=costs,
    window=st.integers(1, 8),
)
def test_a_window_is_exceeded_only_by_one_long_message_on_an_idle_link(
    senders: list[tuple[float, int]], sizes: list[int], window: int
) -> None:
    pool = Pool(dict(enumerate(senders)), {0: None}, window=window)

    dealt = pool.deal([Row(cost) for cost in sizes], 0.0)

    taken = sum(sizes[one.place] for one in dealt)
    assert taken <= window or len(dealt) == 1


def test_senders_of_one_pace_share_evenly() -> None:
    pool = Pool(dict.fromkeys(range(7), (10.0, 0)), {0: None})

    left = pool.run([Row()] * 500, [n * 0.02 for n in range(300)])

    counts = Counter(one.sender_id for one in pool.departures)
    assert len(left) == 500 - sum(counts.values())
    assert max(counts.values()) - min(counts.values()) <= 1


def test_weights_divide_what_the_senders_could_all_take() -> None:
    pool = Pool({0: (1000.0, 0), 1: (1000.0, 0)}, {0: 40.0})
    pool.weights |= {0: 3.0, 1: 1.0}

    pool.run([Row()] * 200, [n * 0.02 for n in range(200)])

    counts = Counter(one.sender_id for one in pool.departures)
    assert counts[0] == pytest.approx(3 * counts[1], rel=0.1)


def test_a_pool_runs_at_the_sum_of_its_senders() -> None:
    pool = Pool({0: (5.0, 0), 1: (20.0, 0), 2: (100.0, 1)}, {0: None, 1: None})

    pool.run([Row()] * 5000, [n * 0.02 for n in range(501)])

    assert len(pool.departures) == pytest.approx(125 * 10, rel=0.03)


def test_a_sender_that_cannot_go_delays_nobody() -> None:
    pool = Pool({0: (10.0, 0), 1: (10.0, 0), 2: (10.0, 0)}, {0: None})
    pool.buckets[0].pause(0.0, 1000.0)

    pool.run([Row()] * 500, [n * 0.02 for n in range(501)])

    counts = Counter(one.sender_id for one in pool.departures)
    assert counts[0] == 0
    assert counts[1] == pytest.approx(100, abs=3)
    assert counts[2] == pytest.approx(100, abs=3)


def test_a_connection_slower_than_its_senders_sets_the_pace() -> None:
    pool = Pool({0: (100.0, 0), 1: (100.0, 0), 2: (100.0, 1)}, {0: 20.0, 1: None})

    pool.run([Row()] * 5000, [n * 0.02 for n in range(501)])

    by_link = Counter(one.connection_id for one in pool.departures)
    assert by_link[0] == pytest.approx(200, rel=0.05)
    assert by_link[1] == pytest.approx(1000, rel=0.05)


def test_a_long_message_waits_for_room_and_is_not_overtaken() -> None:
    link = LinkOffer(0, 4, Bucket(None), idle=False)
    offer = Offer(0, 4, Bucket(None), link, 0.0, 1.0, idle=False)

    dealt = deal([Row(3), Row(2), Row(1)], [offer], 0.0, HORIZON)

    assert [one.place for one in dealt] == [0]
    assert offer.room == link.room == 1


@pytest.mark.parametrize(
    ("sender_idle", "link_idle", "starts"), [(True, True, 1), (False, True, 0), (True, False, 0), (False, False, 0)]
)
def test_a_message_longer_than_the_window_starts_only_when_nothing_is_in_flight(
    sender_idle: bool, link_idle: bool, starts: int
) -> None:
    link = LinkOffer(0, 2, Bucket(None), idle=link_idle)
    offer = Offer(0, 2, Bucket(None), link, 0.0, 1.0, idle=sender_idle)

    assert len(deal([Row(5), Row(5)], [offer], 0.0, HORIZON)) == starts


def test_a_long_message_goes_to_the_sender_that_has_room_for_it() -> None:
    link = LinkOffer(0, 100, Bucket(None), idle=False)
    narrow = Offer(0, 1, Bucket(None), link, 0.0, 1.0, idle=False)
    wide = Offer(1, 10, Bucket(None), link, 50.0, 1.0, idle=False)

    dealt = deal([Row(3), Row(1), Row(1)], [narrow, wide], 0.0, HORIZON)

    assert [one.offer.sender_id for one in dealt] == [1, 0, 1]


def test_nothing_is_dealt_beyond_the_horizon() -> None:
    pool = Pool({0: (1.0, 0), 1: (1.0, 0)}, {0: None})

    first = pool.deal([Row()] * 10, 0.0)
    second = pool.deal([Row()] * 10, 0.5)
    third = pool.deal([Row()] * 10, 0.96)

    assert [one.departure for one in first] == [0.0, 0.0]
    assert second == []
    assert [one.departure for one in third] == [1.0, 1.0]


@pytest.mark.parametrize(("letter", "segments", "cost"), [("S", 3, 3), ("R", 3, 1), ("W", 7, 1), ("E", 2, 1)])
def test_only_sms_is_charged_by_segments(letter: str, segments: int, cost: int) -> None:
    assert step_cost(letter, segments) == cost


def test_a_pair_uses_each_reference_once_in_256() -> None:
    references = References()

    drawn = [references.next(1, "+447700900001", 250) for _ in range(256)]

    assert drawn[0] == 250
    assert sorted(drawn) == list(range(256))


def test_pairs_count_for_themselves() -> None:
    references = References()

    assert [references.next(1, "a", 5), references.next(2, "a", 5), references.next(1, "b", 5)] == [5, 5, 5]
    assert [references.next(1, "a", 99), references.next(2, "a", 99)] == [6, 6]


def test_pairs_not_seen_lately_are_forgotten_first() -> None:
    references = References(capacity=2)
    references.next(1, "a", 0)
    references.next(1, "b", 0)
    references.next(1, "a", 0)
    references.next(1, "c", 0)

    assert references.next(1, "a", 77) == 2
    assert references.next(1, "b", 77) == 77


@given(st.integers(-(1 << 40), 1 << 62))
def test_a_reference_fits_into_an_octet_whatever_the_seed(seed: int) -> None:
    assert 0 <= References().next(1, "a", seed) <= 255


class Abroad(NamedTuple):
    """A row that goes to a country."""

    country: str
    cost: int = 1


def unwell(sender_id: int, share: float, country: str = "GB", *, senders: int = 2) -> Offer:
    trickle = Trickle(share / senders)
    trickle.take(0.0)
    link = LinkOffer(sender_id, UNLIMITED, Bucket(None), idle=True)
    return Offer(sender_id, UNLIMITED, Bucket(None), link, 0.0, 1.0, idle=True, trickles={country: trickle})


def well(sender_id: int, mps: float | None = None) -> Offer:
    link = LinkOffer(sender_id, UNLIMITED, Bucket(None), idle=True)
    return Offer(sender_id, UNLIMITED, Bucket(mps, 1.0 if mps else None), link, 0.0, 1.0, idle=True)


def given_by_country(rows: Sequence[Abroad], offers: list[Offer]) -> Counter[tuple[int, str]]:
    dealt = deal(rows, offers, 1.0, HORIZON, lambda row: row.country)
    return Counter((one.offer.sender_id, rows[one.place].country) for one in dealt)


@given(st.sampled_from([0.05, 0.1, 0.2, 0.4, 0.8]), st.integers(1, 400), st.integers(0, 400))
def test_unhealthy_sender_gets_its_part_and_does_not_make_up_for_it_elsewhere(share: float, gb: int, de: int) -> None:
    rows = [Abroad("GB")] * gb + [Abroad("DE")] * de
    given = given_by_country(rows, [unwell(1, share), well(2)])

    assert sum(given.values()) == gb + de
    assert given[1, "GB"] <= share / 2 * gb + 1
    assert given[1, "GB"] >= share / 2 * gb - 2
    assert abs(given[1, "DE"] - given[2, "DE"]) <= max(2, share * gb + 2)


@pytest.mark.parametrize("bounded", [False, True])
@settings(max_examples=30)
@given(ahead=st.floats(0.0, 50.0), claims=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=60))
def test_unhealthy_sender_gets_its_trickle_however_far_ahead_of_the_others_it_has_served(
    bounded: bool, ahead: float, claims: list[tuple[int, int]]
) -> None:
    one, two = unwell(1, 0.4), well(2)
    one.served = ahead
    given_to_one = 0
    for gb, de in claims:
        rows = [Abroad("GB")] * gb + [Abroad("DE")] * de
        if bounded:
            asked = [Asked(row.cost, "ana", row.country) for row in rows]
            dealt = deal_bounded(asked, [one, two], Moment(1.0, 0), HORIZON, all_in=True).dealt
        else:
            dealt = deal(rows, [one, two], 1.0, HORIZON, lambda row: row.country)
        assert len(dealt) == len(rows)
        given_to_one += sum(each.offer is one and rows[each.place].country == "GB" for each in dealt)

    total = sum(gb for gb, _ in claims)
    assert 0.2 * total - 2 <= given_to_one <= 0.2 * total + 1


def test_row_that_waits_for_a_healthy_sender_holds_up_no_other_country() -> None:
    rows = [Abroad("GB"), Abroad("GB"), Abroad("DE"), Abroad("GB"), Abroad("DE")]
    dealt = deal(rows, [unwell(1, 0.05), well(2, mps=1.0)], 1.0, HORIZON, lambda row: row.country)

    assert [(one.place, one.offer.sender_id) for one in dealt] == [(0, 2), (2, 1), (4, 1)]


def test_one_now_and_then_goes_through_however_small_its_part() -> None:
    offer = unwell(1, 0.0)
    assert offer.trickles is not None
    assert not offer.may_take("GB", CANARY - 0.1)
    assert offer.may_take("GB", CANARY)
    offer.trickles["GB"].take(CANARY)
    assert not offer.may_take("GB", 2 * CANARY - 0.1)
    assert offer.may_take("DE", CANARY)
