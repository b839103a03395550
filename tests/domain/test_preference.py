"""Choosing among senders: sticky moves nobody whose sender stayed, matching goes by distance, tiers wait no longer than
the grace.
"""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendpool.domain.preference import (
    Preference,
    Seat,
    best_tier,
    closeness,
    in_time,
    nearest,
    number_of,
    preferred,
    rendezvous,
    spare,
)

RECIPIENTS = [f"+1203555{n:04}" for n in range(4_000)]


def seat(n: int, weight: float = 1.0, tier: int = 0, country: str = "", area: str = "") -> Seat:
    return Seat(n, number_of(b"sender %d" % n), weight, tier, country, area)


weights = st.sampled_from([0.5, 1.0, 1.0, 2.0, 3.0])
seats = st.lists(
    st.builds(
        seat,
        st.integers(0, 500),
        weights,
        st.integers(0, 2),
        st.sampled_from(["", "US", "GB"]),
        st.sampled_from(["", "+1203", "+1212", "+4420"]),
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda one: one.sender_id,
)
recipients = st.from_regex(r"\+(1203|1212|4420|49)[0-9]{7}", fullmatch=True)


@given(seats, recipients, st.data())
def test_nobody_moves_whose_sender_stayed(pool: list[Seat], recipient: str, data: st.DataObject) -> None:
    chosen = rendezvous(recipient, pool)
    leaving = data.draw(st.sampled_from(pool))

    left = [one for one in pool if one != leaving]

    if chosen != leaving:
        assert rendezvous(recipient, left) == chosen


@given(seats, recipients, st.integers(501, 900), weights)
def test_who_joins_takes_only_what_it_keeps(pool: list[Seat], recipient: str, n: int, weight: float) -> None:
    before, joined = rendezvous(recipient, pool), seat(n, weight)

    assert rendezvous(recipient, [*pool, joined]) in (before, joined)


@given(seats, recipients, st.data())
def test_the_order_of_members_decides_nothing(pool: list[Seat], recipient: str, data: st.DataObject) -> None:
    assert rendezvous(recipient, data.draw(st.permutations(pool))) == rendezvous(recipient, pool)


@pytest.mark.parametrize("weights", [[1, 1, 1, 1], [1, 2, 3, 4], [0.1, 0.1, 0.1, 0.7], [5, 1], [100] * 7])
def test_recipients_are_shared_out_by_weight(weights: list[float]) -> None:
    pool = [seat(n, weight) for n, weight in enumerate(weights)]

    taken = Counter(rendezvous(recipient, pool).sender_id for recipient in RECIPIENTS)

    for n, weight in enumerate(weights):
        share = weight / sum(weights)
        # Four standard deviations of a draw of so many.
        assert abs(taken[n] - len(RECIPIENTS) * share) <= 4 * (len(RECIPIENTS) * share * (1 - share)) ** 0.5


def test_equal_weights_choose_as_the_weighted_hash_does() -> None:
    pool = [seat(n) for n in range(5)]
    nearly = [one._replace(weight=1.0 if one.sender_id else 1.0 + 1e-9) for one in pool]

    assert [rendezvous(one, pool) for one in RECIPIENTS] == [
        pool[rendezvous(one, nearly).sender_id] for one in RECIPIENTS
    ]


def test_a_heavier_weight_only_draws_recipients_in() -> None:
    pool = [seat(n) for n in range(4)]
    heavier = [seat(0, 2.0), *pool[1:]]

    for recipient in RECIPIENTS[:1_000]:
        before, after = rendezvous(recipient, pool), rendezvous(recipient, heavier)
        assert after.sender_id in (before.sender_id, 0)


@pytest.mark.parametrize(
    ("address", "country", "distance"),
    [("+12034458910", "US", 2), ("+12124458910", "US", 1), ("+442071234567", "GB", 0), ("+1203", "", 2)],
)
def test_area_code_is_nearer_than_country(address: str, country: str, distance: int) -> None:
    assert closeness(seat(1, country="US", area="+1203"), address, country) == distance


def test_nothing_is_near_to_a_sender_of_no_country() -> None:
    assert closeness(seat(1), "+12034458910", "") == 0


@given(seats, recipients, st.sampled_from(["US", "GB", "DE", ""]))
def test_nobody_is_nearer_than_the_nearest(pool: list[Seat], recipient: str, country: str) -> None:
    near = nearest(recipient, country, pool)

    worst = min(closeness(one, recipient, country) for one in near)
    assert all(closeness(one, recipient, country) < worst for one in pool if one not in near)


@given(seats, recipients, st.sampled_from(["US", "GB", "DE", ""]))
def test_matching_leaves_the_choice_open_where_all_are_equally_near(
    pool: list[Seat], recipient: str, country: str
) -> None:
    chosen = preferred(Preference.MATCH, recipient, country, pool)

    near = nearest(recipient, country, pool)
    assert (chosen is None) == (len(near) == len(pool))
    assert chosen is None or chosen in near


@given(seats, recipients)
def test_spread_prefers_nobody(pool: list[Seat], recipient: str) -> None:
    assert preferred(Preference.SPREAD, recipient, "US", pool) is None


@given(seats, st.data(), st.floats(0, 100))
def test_a_lower_tier_is_used_only_while_no_higher_one_is_in_time(
    pool: list[Seat], data: st.DataObject, latest: float
) -> None:
    ready = {one.sender_id: data.draw(st.floats(0, 200)) for one in pool}

    found = in_time(pool, ready, latest)

    soon = [one for one in pool if ready[one.sender_id] <= latest]
    if soon:
        assert {one.tier for one in found} == {min(one.tier for one in soon)}
        assert all(ready[one.sender_id] <= latest for one in found)
    else:
        assert found == pool


@given(seats)
def test_the_best_tier_is_the_lowest_number(pool: list[Seat]) -> None:
    assert {one.tier for one in best_tier(pool)} == {min(one.tier for one in pool)}


@given(
    st.floats(0, 1e6),
    st.lists(st.floats(0, 1e3), min_size=1, max_size=5),
    st.floats(1, 300),
)
def test_a_lower_tier_gets_what_those_above_cannot_take_in_time(
    waiting: float, paces: list[float], grace: float
) -> None:
    left = spare(waiting, paces, grace)

    assert left[0] == waiting
    for i in range(1, len(paces)):
        above = sum(paces[:i])
        assert left[i] == pytest.approx(max(0.0, waiting - above * grace))
    if not paces[0] and len(paces) > 1:
        assert left[1] == waiting
