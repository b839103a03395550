"""The country of a number, by its first digits: what phonenumbers says, for every region and every area code."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from sendpool.domain.destinations import UNKNOWN
from sendpool.pipeline.countries import NOWHERE, area_of, country_of, destination_of

KINDS = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE, PhoneNumberType.TOLL_FREE)


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
        ("+3906698", "VA"),
        ("+1", "US"),
        ("+9991234567", NOWHERE),
        ("+88213456789", NOWHERE),
        ("someone@example.com", NOWHERE),
        ("62442", NOWHERE),
        ("+", NOWHERE),
        ("", NOWHERE),
        ("+٣٤٥٦٧٨٩", NOWHERE),
    ],
)
def test_first_digits_tell_the_country(address: str, country: str) -> None:
    assert country_of(address) == country
    assert country_of(address) == country
    assert destination_of(address) == (country or (UNKNOWN if address.startswith("+") else NOWHERE))


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_every_region_is_told_by_its_numbers(region: str) -> None:
    for kind in KINDS:
        number = phonenumbers.example_number_for_type(region, kind)
        if number is not None:
            address = phonenumbers.format_number(number, PhoneNumberFormat.E164)
            assert country_of(address) == phonenumbers.region_code_for_number(number)


@given(st.integers(200, 989), st.integers(2_000_000, 9_999_999))
def test_every_number_of_an_area_code_is_in_its_country(area: int, rest: int) -> None:
    address = f"+1{area}{rest}"
    said = phonenumbers.region_code_for_number(phonenumbers.parse(address))

    assert said is None or country_of(address) == said


@given(st.text() | st.from_regex(r"\+[0-9]{0,15}", fullmatch=True))
def test_anything_else_is_nowhere_or_a_country(text: str) -> None:
    found = country_of(text)

    assert found == NOWHERE or len(found) == 2


@pytest.mark.parametrize(
    ("address", "area"),
    [
        ("+12034458910", "+1203"),
        ("+14165550100", "+1416"),
        ("+15005550001", ""),
        ("+442071234567", "+4420"),
        ("+447700900123", ""),
        ("+4930123456", "+4930"),
        ("62442", ""),
        ("COOL", ""),
        ("a@b.example", ""),
    ],
)
def test_area_code_is_what_its_numbers_begin_with(address: str, area: str) -> None:
    assert area_of(address) == area
