"""Where a sender sends: its own countries, what its kind allows, and registered campaigns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendpool.domain.destinations import (
    EVERYWHERE,
    NO_NAMES,
    NOWHERE,
    UNKNOWN,
    Countries,
    Destinations,
    Kind,
    exclusion,
    is_bound,
    kind_of,
)
from sendpool.domain.reasons import Reason, Verdict
from sendpool.domain.sender import Channel, Sender

CODES = ["US", "CA", "GB", "DE", "BR", UNKNOWN]
countries = st.builds(
    Countries,
    only=st.none() | st.frozensets(st.sampled_from(CODES)),
    never=st.frozensets(st.sampled_from(CODES)),
)
destinations = st.builds(
    Destinations,
    country=st.sampled_from([*CODES, NOWHERE]),
    countries=countries,
    campaign=st.sampled_from(["", "C123"]),
    campaigns_in=st.frozensets(st.sampled_from(CODES)),
)
addresses = st.sampled_from(["+12034458910", "62442", "COOL"])


def sender(address: str, rule: Destinations, channel: Channel = Channel.SMS) -> Sender:
    return Sender(
        id=1,
        uid=b"1",
        account_id=1,
        connection_id=1,
        channel=channel,
        address=address,
        mps=1.0,
        destinations=rule,
    )


senders = st.builds(sender, addresses, destinations, st.sampled_from(list(Channel)))


@pytest.mark.parametrize(
    ("address", "kind"),
    [("+12034458910", Kind.NUMBER), ("62442", Kind.SHORT_CODE), ("COOL", Kind.NAME), ("4You", Kind.NAME)],
)
def test_the_kind_of_a_sender_is_seen_from_its_address(address: str, kind: Kind) -> None:
    assert kind_of(address) is kind


@pytest.mark.parametrize(
    ("address", "rule", "country", "reason"),
    [
        ("+12034458910", Destinations(), "DE", None),
        ("+12034458910", Destinations(countries=Countries(only=frozenset({"US"}))), "US", None),
        ("+12034458910", Destinations(countries=Countries(only=frozenset({"US"}))), "DE", Reason.NOT_IN_COUNTRY),
        ("+12034458910", Destinations(countries=Countries(never=frozenset({"DE"}))), "DE", Reason.NOT_IN_COUNTRY),
        ("COOL", Destinations(), "DE", None),
        ("COOL", Destinations(), "US", Reason.NO_ALPHANUMERIC),
        ("COOL", Destinations(countries=Countries(only=frozenset({"US"}))), "US", None),
        ("COOL", Destinations(countries=Countries(only=frozenset({"US"}))), "DE", Reason.NOT_IN_COUNTRY),
        ("62442", Destinations(), "DE", None),
        ("62442", Destinations(country="US"), "US", None),
        ("62442", Destinations(country="US"), "CA", Reason.FOREIGN_SHORT_CODE),
        ("62442", Destinations(country="US"), UNKNOWN, Reason.FOREIGN_SHORT_CODE),
        ("62442", Destinations(country="US", countries=Countries(only=frozenset({"CA"}))), "CA", None),
        ("+12034458910", Destinations(country="US"), "DE", None),
        ("+12034458910", Destinations(campaigns_in=frozenset({"US"})), "US", Reason.UNREGISTERED),
        ("+12034458910", Destinations(campaigns_in=frozenset({"US"})), "DE", None),
        ("+12034458910", Destinations(campaigns_in=frozenset({"US"}), campaign="C1"), "US", None),
    ],
)
def test_what_excludes_a_sender_has_its_reason(
    address: str, rule: Destinations, country: str, reason: Reason | None
) -> None:
    found = exclusion(sender(address, rule), country)

    assert (found and found.reason) is reason
    if found is not None:
        assert found.reason.verdict is Verdict.EXCLUDED
        assert found.about == country


@pytest.mark.parametrize("channel", [Channel.RCS, Channel.WHATSAPP, Channel.EMAIL])
def test_kinds_and_campaigns_are_of_sms_only(channel: Channel) -> None:
    rule = Destinations(country="DE", campaigns_in=frozenset({"US"}))

    assert exclusion(sender("COOL", rule, channel), "US") is None
    assert not is_bound(sender("COOL", rule, channel))


@given(senders, st.sampled_from(CODES))
def test_a_sender_that_is_not_bound_sends_everywhere(one: Sender, country: str) -> None:
    if not is_bound(one):
        assert exclusion(one, country) is None


@given(senders)
def test_what_is_in_no_country_is_bound_by_none(one: Sender) -> None:
    assert exclusion(one, NOWHERE) is None


@given(countries, st.sampled_from(CODES))
def test_never_wins_over_only(listed: Countries, country: str) -> None:
    if country in listed.never:
        assert not listed.hold(country)
    elif listed.only is None or country in listed.only:
        assert listed.hold(country)
    assert EVERYWHERE.hold(country)


@given(st.sampled_from(sorted(NO_NAMES)))
def test_countries_without_names_take_numbers(country: str) -> None:
    assert exclusion(sender("COOL", Destinations()), country) is not None
    assert exclusion(sender("+12034458910", Destinations()), country) is None
