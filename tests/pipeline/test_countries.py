"""The country of a number, by its first digits."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendpool.pipeline.countries import NOWHERE, country_of


@pytest.mark.parametrize(
    ("address", "country"),
    [
        ("+12034458910", "US"),
        ("+14165550123", "CA"),
        ("+18765551234", "JM"),
        ("+15005550001", "US"),
        ("+447700900123", "GB"),
        ("+79161234567", "RU"),
        ("+77012345678", "KZ"),
        ("+3225551234", "BE"),
        ("+9991234567", NOWHERE),
        ("+88213456789", NOWHERE),
        ("someone@example.com", NOWHERE),
        ("+", NOWHERE),
        ("", NOWHERE),
        ("+٣٤٥٦٧٨٩", NOWHERE),
    ],
)
def test_first_digits_tell_the_country(address: str, country: str) -> None:
    assert country_of(address) == country
    assert country_of(address) == country


@given(st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)))
def test_example_of_every_region_is_in_a_country_of_its_code(region: str) -> None:
    number = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    if number is None:
        return
    address = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)

    assert country_of(address) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[number.country_code or 0]


@given(st.text())
def test_anything_else_is_nowhere_or_a_country(text: str) -> None:
    found = country_of(text)

    assert found == NOWHERE or len(found) == 2
