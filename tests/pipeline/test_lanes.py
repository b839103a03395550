"""Lanes: who may take which rows, where a row waits, and what becomes of it when that changes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendpool.domain.destinations import EVERYWHERE, Countries, Destinations
from sendpool.domain.pool import Choice, Member, Pool
from sendpool.domain.preference import Preference
from sendpool.domain.reasons import Reason
from sendpool.domain.sender import Channel, Sender
from sendpool.pipeline.book import ANYONE, ASKING, QueueBook
from sendpool.pipeline.lanes import Lanes, common_entry, entry, why_nobody

US, GB, DE = "+12035550001", "+442071234567", "+493012345678"
ANY = Destinations()


def member(
    n: int, rule: Destinations = ANY, address: str = "", weight: float = 1.0, tier: int = 0
) -> tuple[Sender, Member]:
    sender = Sender(
        id=n,
        uid=b"uid%d" % n,
        account_id=1,
        connection_id=1,
        channel=Channel.SMS,
        address=address or f"+1203555{n:04}",
        mps=1.0,
        destinations=rule,
    )
    return sender, Member(sender_id=n, weight=weight, tier=tier)


def only(*countries: str) -> Destinations:
    return Destinations(countries=Countries(only=frozenset(countries)))


def lanes(*members: tuple[Sender, Member], account: Countries = EVERYWHERE, **choice: Any) -> Lanes:
    pool = Pool(id=1, uid=b"p", account_id=1, choice=Choice(**choice))
    return Lanes(pool, members, account)


def takers(found: Lanes, lane: str) -> set[int]:
    some = found.takers(lane)
    return set(found.tier_of) if some is None else set(some)


def test_a_pool_without_rules_has_one_lane_for_all() -> None:
    found = lanes(member(1), member(2))

    assert found.plain
    assert not found.restricted
    assert {found.lane(address) for address in (US, GB, DE, "a@b.example")} == {ANYONE}
    assert found.takers(ANYONE) is None


def test_rows_wait_by_country_where_a_member_does_not_send_everywhere() -> None:
    found = lanes(member(1), member(2, only("US", "GB")), member(3, address="COOL"))

    assert [found.lane(address) for address in (US, GB, DE)] == ["US", "GB", "DE"]
    assert takers(found, "US") == {1, 2}
    assert takers(found, "GB") == {1, 2, 3}
    assert takers(found, "DE") == {1, 3}
    # Who came later and does not send everywhere takes nothing of what waits without a country.
    assert takers(found, ANYONE) == {1}
    assert takers(found, ASKING) == set()


def test_a_lane_of_one_sender_is_that_senders() -> None:
    found = lanes(member(1), member(2))

    assert takers(found, "2") == {2}
    assert takers(found, "3") == set()


def test_sticky_keeps_a_recipient_at_one_sender() -> None:
    found = lanes(*(member(n) for n in range(1, 6)), preference=Preference.STICKY)
    recipients = [f"+1203{n:07}" for n in range(500)]
    kept = {address: found.lane(address) for address in recipients}

    without = lanes(*(member(n) for n in range(1, 6) if n != 3), preference=Preference.STICKY)
    moved = {address: without.lane(address) for address in recipients}

    assert set(kept.values()) == {"1", "2", "3", "4", "5"}
    assert all(moved[address] == lane for address, lane in kept.items() if lane != "3")
    assert all(moved[address] != "3" for address in recipients)


def test_sticky_is_among_those_who_may() -> None:
    found = lanes(member(1, only("US")), member(2, only("US")), member(3, only("GB")), preference=Preference.STICKY)

    assert {found.lane(f"+1203{n:07}") for n in range(100)} == {"1", "2"}
    # The only one who may gets it anyway: its lane is the country's, so that one who joins takes what waits.
    assert found.lane(GB) == "GB"
    assert takers(found, "GB") == {3}


def test_matching_goes_by_area_code_then_country_and_leaves_the_rest_open() -> None:
    here = Destinations(country="US", area="+1203")
    there = Destinations(country="US", area="+1212")
    far = Destinations(country="GB", area="+4420")
    found = lanes(member(1, here), member(2, there), member(3, far), preference=Preference.MATCH)

    assert found.lane("+12035551234") == "1"
    assert found.lane("+12125551234") == "2"
    assert found.lane("+13105551234") in ("1", "2")
    assert found.lane(GB) == "3"
    assert found.lane(DE) == ANYONE


def test_tiers_are_before_preference() -> None:
    found = lanes(member(1), member(2), member(3, tier=1), member(4, tier=1), preference=Preference.STICKY)

    assert {found.lane(f"+1203{n:07}") for n in range(200)} == {"1", "2"}
    alone = lanes(member(1), member(2, tier=1), member(3, tier=1), preference=Preference.STICKY)
    assert {alone.lane(f"+1203{n:07}") for n in range(50)} == {ANYONE}


@pytest.mark.parametrize(
    ("account", "countries", "code"),
    [
        (EVERYWHERE, Countries(only=frozenset({"US"})), 21408),
        (Countries(never=frozenset({"DE"})), EVERYWHERE, 21408),
        (EVERYWHERE, EVERYWHERE, None),
    ],
)
def test_pool_and_account_bar_countries(account: Countries, countries: Countries, code: int | None) -> None:
    found = lanes(member(1), account=account, countries=countries)

    assert found.serves(US)
    assert found.serves(DE) is (code is None)
    assert found.serves("a@b.example")
    if code:
        assert why_nobody("DE", [found])[0] == code
        remark = found.exclusions("DE")[1]
        assert (remark.reason, remark.about) == (Reason.NOT_IN_COUNTRY, "DE")
        # It is no rule of a sender's: what waits already is sent.
        assert found.lane(DE) == ANYONE


def test_why_nobody_says_what_is_lacking() -> None:
    unregistered = Destinations(campaigns_in=frozenset({"US"}))

    assert why_nobody("US", [lanes(member(1, unregistered), member(2, only("GB")))])[0] == 30034
    assert why_nobody("US", [lanes(member(1, address="COOL"))])[0] == 21612


@pytest.mark.parametrize(
    ("able", "lane"),
    [({1, 2, 3}, ANYONE), ({2}, "2"), ({1, 9}, "1")],
)
def test_who_reaches_a_phone_gets_its_rows(able: set[int], lane: str) -> None:
    assert lanes(member(1), member(2), member(3)).lane(US, able) == lane


def test_of_several_who_reach_a_phone_one_gets_it_always() -> None:
    found = lanes(member(1), member(2), member(3))

    chosen = {found.lane(f"+1203{n:07}", {1, 3}) for n in range(100)}

    assert chosen == {"1", "3"}
    assert found.lane(US, {1, 3}) == found.lane(US, {1, 3})


def test_stuck_is_what_nobody_takes_though_somebody_is_there() -> None:
    found = lanes(member(1, only("GB")))

    assert found.is_stuck("US")
    assert found.is_stuck(ANYONE)
    assert not found.is_stuck("GB")
    assert not found.is_stuck("7")
    assert not found.is_stuck(ASKING)
    assert not lanes().is_stuck("US")


def test_an_entry_hangs_on_the_address_only_where_it_must() -> None:
    book = QueueBook()
    plain, bound = lanes(member(1)), lanes(member(1, only("US")))

    assert common_entry(book, plain, 1, Channel.SMS) == entry(book, plain, 1, Channel.SMS, US)
    assert common_entry(book, bound, 1, Channel.SMS) is None
    assert book.keys[entry(book, bound, 1, Channel.SMS, US)].lane == "US"
    book.asks = lambda _pool_id, _channel: True
    asked = common_entry(book, bound, 1, Channel.SMS)
    assert asked is not None
    assert book.keys[asked].lane == ASKING


rules = st.builds(
    Destinations,
    countries=st.builds(
        Countries,
        only=st.none() | st.frozensets(st.sampled_from(["US", "GB", "DE"])),
        never=st.frozensets(st.sampled_from(["US", "GB", "DE"])),
    ),
    country=st.sampled_from(["US", "GB", "DE"]),
)


@given(
    st.lists(st.tuples(rules, st.sampled_from(["", "COOL", "62442"]), st.integers(0, 2)), min_size=1, max_size=6),
    st.sampled_from(list(Preference)),
    st.sampled_from([US, GB, DE]),
)
def test_a_row_waits_where_exactly_those_take_it_who_may(
    members: list[tuple[Destinations, str, int]], preference: Preference, address: str
) -> None:
    found = lanes(
        *(member(n, rule, kind, tier=tier) for n, (rule, kind, tier) in enumerate(members, 1)), preference=preference
    )

    everybody = takers(found, found.lane(address))

    may = {sender_id for sender_id in found.tier_of if found.may(sender_id, address)}
    assert everybody <= may
    if found.lane(address).isdigit():
        assert len(everybody) == 1
    else:
        assert everybody == may
    assert bool(may) == found.serves(address)
