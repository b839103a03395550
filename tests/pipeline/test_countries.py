"""The quick look-up says what phonenumbers says, for every region and every area code of North America."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from sendpool.domain.destinations import NOWHERE, UNKNOWN
from sendpool.pipeline.countries import area_of, country_of

KINDS = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE, PhoneNumberType.TOLL_FREE)


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_every_region_is_told_by_its_numbers(region: str) -> None:
    for kind in KINDS:
        number = phonenumbers.example_number_for_type(region, kind)
        if number is not None:
            address = phonenumbers.format_number(number, PhoneNumberFormat.E164)
            assert country_of(address) == phonenumbers.region_code_for_number(number)


@given(st.integers(200, 989), st.integers(2_000_000, 9_999_999))
def test_every_number_of_an_area_code_is_in_its_country(area: int, rest: int) -> None:
    number = phonenumbers.parse(f"+1{area}{rest}")
    said = phonenumbers.region_code_for_number(number)

    found = country_of(f"+1{area}{rest}")

    assert found == said or said is None


@pytest.mark.parametrize(
    ("address", "country", "area"),
    [
        ("+12034458910", "US", "+1203"),
        ("+14165550100", "CA", "+1416"),
        ("+18769221234", "JM", "+1876"),
        ("+17875550100", "PR", "+1787"),
        ("+15005550001", "US", ""),
        ("+442071234567", "GB", "+4420"),
        ("+447700900123", "GB", ""),
        ("+4930123456", "DE", "+4930"),
        ("+77012345678", "KZ", ""),
        ("+79161234567", "RU", ""),
        ("+3906698", "VA", ""),
        ("+881612345678", UNKNOWN, ""),
        ("+999123456", UNKNOWN, ""),
        ("+4", UNKNOWN, ""),
        ("+1", "US", ""),
        ("+", UNKNOWN, ""),
        ("62442", NOWHERE, ""),
        ("COOL", NOWHERE, ""),
        ("a@b.example", NOWHERE, ""),
    ],
)
def test_a_number_has_a_country_and_perhaps_an_area_code(address: str, country: str, area: str) -> None:
    assert (country_of(address), area_of(address)) == (country, area)
