"""What an entry of the ledger covers, what a recipient may say, and a filter that never misses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendpool.domain.consent import (
    EVERYTHING,
    MARKETING,
    Filter,
    Person,
    fault_of,
    person,
    scope_of,
    scopes_over,
)


def test_marketing_is_covered_only_where_it_is_marketing() -> None:
    assert scope_of("whatsapp/131050") == scope_of("rcs/UNSUBSCRIBE") == MARKETING
    assert scope_of("twilio/21610") == scope_of("class/CONSENT") == EVERYTHING
    assert scopes_over("bulk", ["p", "s"]) == {EVERYTHING, MARKETING, "p", "s"}
    assert scopes_over("otp", []) == {EVERYTHING}
    assert scopes_over("reply", ["p"]) == set()


def test_of_mailboxes_case_says_nothing() -> None:
    assert person("E", "Ann@Example.com") == person("E", "ann@example.com")
    assert person("P", "+447700900123") == Person("P", "+447700900123")


@pytest.mark.parametrize(
    ("space", "address", "wrong"),
    [
        ("P", "+447700900123", False),
        ("W", "+447700900123", False),
        ("E", "a@b.example", False),
        ("P", "447700900123", True),
        ("P", "+0447700900123", True),
        ("P", "+44", True),
        ("P", "+٤٤٧٧٠٠٩٠٠", True),
        ("E", "nobody", True),
        ("E", "a @b", True),
        ("X", "+447700900123", True),
    ],
)
def test_wrong_addresses_are_named(space: str, address: str, wrong: bool) -> None:
    assert (fault_of(space, address) is not None) is wrong


@given(st.sets(st.integers(0, 10**9), max_size=200), st.integers(1, 300))
def test_filter_never_misses(numbers: set[int], room: int) -> None:
    known = Filter(room)
    people = [Person("P", f"+{number}") for number in numbers]
    for one in people:
        known.add(one)

    assert all(one in known for one in people)


def test_filter_says_perhaps_of_few_others_and_when_it_is_full() -> None:
    known = Filter(1_000)
    for number in range(2_000):
        assert not known.full
        known.add(Person("P", f"+44{number}"))
    for number in range(1_000):
        known.add(Person("P", f"+45{number}"))

    assert known.full
    assert sum(Person("P", f"+49{number}") in known for number in range(10_000)) < 2_000
