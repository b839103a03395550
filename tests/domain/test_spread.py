"""Senders that are free at the same time are given the same, for their weights, however few rows a claim has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendpool.domain.bounded import Asked, BoundOffer, deal_bounded
from sendpool.domain.dealing import LinkOffer, Offer, deal
from sendpool.domain.scopes import Bounds, Moment
from sendpool.domain.spread import Spread
from sendpool.domain.throughput import Bucket

ROW = Asked(1, "ana")
WEIGHTS = st.lists(st.sampled_from([0.5, 1.0, 2.0, 5.0]), min_size=2, max_size=6)


def offers(spread: Spread, weights: dict[int, float], scope: Bucket | None = None) -> list[Offer]:
    """One of each sender; with a *scope*, which they share."""
    link = LinkOffer(1, 1_000, Bucket(None), idle=True)
    found: list[Offer] = []
    for key, weight in weights.items():
        offer = (key, 1_000, Bucket(None), link, spread.place(key), weight)
        found.append(
            Offer(*offer, idle=True) if scope is None else BoundOffer(*offer, Bounds({"campaign": scope}), idle=True)
        )
    return found


def claim(spread: Spread, weights: dict[int, float], rows: int) -> Counter[int]:
    """What one claim of so many rows gives to each."""
    found = offers(spread, weights)
    dealt = deal([ROW] * rows, found, 1.0, 0.05)
    spread.note(found)
    return Counter(one.offer.sender_id for one in dealt)


@given(WEIGHTS, st.lists(st.integers(1, 4), min_size=20, max_size=100))
def test_each_is_given_its_part_however_small_the_claims_are(weights: Sequence[float], claims: list[int]) -> None:
    spread, by_sender = Spread(), dict(enumerate(weights))
    given: Counter[int] = Counter()
    for rows in claims:
        given += claim(spread, by_sender, rows)

    whole = sum(claims)
    for key, weight in by_sender.items():
        # Fair queueing: at no time further apart than one row of each (Goyal 1996, theorem 1).
        part = whole * weight / sum(weights)
        assert abs(given[key] - part) <= 1 + weight * sum(1 / one for one in weights)


@given(st.integers(1, 500), st.integers(1, 500))
def test_who_was_away_does_not_catch_up(before: int, away: int) -> None:
    spread = Spread()
    claim(spread, {1: 1.0, 2: 1.0}, before)
    claim(spread, {2: 1.0}, away)

    assert claim(spread, {1: 1.0, 2: 1.0}, 100)[1] in (49, 50, 51)


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_two_that_share_a_slow_scope_take_turns(order: tuple[int, int]) -> None:
    scope, spread = Bucket(20.0, 1.0), Spread()
    given: Counter[int] = Counter()
    for step in range(400):
        now = 1.0 + step * 0.025
        found = offers(spread, dict.fromkeys(order, 1.0), scope)
        dealt = deal_bounded([ROW] * 3, found, Moment(now, 0), 0.05, all_in=True).dealt
        spread.note(found)
        given.update(one.offer.sender_id for one in dealt)

    assert sum(given.values()) >= 200
    assert abs(given[1] - given[2]) <= 1
