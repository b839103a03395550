from __future__ import annotations

import random

import phonenumbers
import pytest

from sendpool.api.addresses import all_possible, is_e164, is_email, is_possible, possible_lengths


@pytest.mark.parametrize(
    "address",
    [
        "+15551230001",  # the contract's samples: not in use, but possible
        "+19143188062",
        "+12034458910",
        "+447911123456",
        "+31612345678",
        "+4915112345678",
        "+29012345",
        "+390612345678",
        "+80012345678",
        "+8821612345678",
        "+99412345678" + "9",
    ],
)
def test_strict_e164_that_is_possible_is_accepted(address: str) -> None:
    assert is_e164(address)
    assert is_possible(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "+",
        "15551230001",
        "0015551230001",
        "+0123456789",
        "+1 555 123 0001",
        "+1-555-123-0001",
        "+1555123000a",
        "+1234567890123456",
        "+123456",
        "+15551230001\n",
        " +15551230001",
        "+\u0661\u0665\u0665\u0665\u0661\u0662\u0663\u0660\u0660\u0660\u0661",
        "tel:+15551230001",
        "INFO",
    ],
)
def test_anything_but_strict_e164_is_refused(address: str) -> None:
    assert not is_e164(address)


@pytest.mark.parametrize("address", ["+1555123", "+15551230", "+155512300011", "+999123456789", "+2101234567", "+4479"])
def test_a_length_or_a_country_that_does_not_exist_is_impossible(address: str) -> None:
    assert not is_possible(address)


def test_the_table_agrees_with_the_library_on_every_country_and_length() -> None:
    for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
        for length in range(4, 15):
            number = phonenumbers.PhoneNumber(country_code=code, national_number=int("9" * length))
            reason = phonenumbers.is_possible_number_with_reason(number)
            address = f"+{code}{'9' * length}"
            if is_e164(address):
                assert is_possible(address) == (reason == phonenumbers.ValidationResult.IS_POSSIBLE), address


def test_three_digits_tell_the_country() -> None:
    assert all(len(prefix) == 3 for prefix in possible_lengths())


def test_one_bad_address_among_thousands_is_noticed() -> None:
    good = [f"+1555{random.randrange(10**7):07d}" for _ in range(2000)]

    assert all_possible(good)
    for bad in ("+1555", "nonsense", "", "+15551230001\n+15551230002", "+999123456789"):
        assert not all_possible([*good[:1000], bad, *good[1000:]])


@pytest.mark.parametrize("address", ["support@coolcompany.com", "a.b+c@x.co.uk", "ü@bücher.example"])
def test_plausible_email_addresses_are_accepted(address: str) -> None:
    assert is_email(address)


@pytest.mark.parametrize(
    "address", ["", "@", "a@b", "a b@c.de", "a@b@c.de", "a@b.c\n", "a@.d", "a\0@b.de", "a@" + "b" * 260 + ".de"]
)
def test_implausible_email_addresses_are_refused(address: str) -> None:
    assert not is_email(address)
