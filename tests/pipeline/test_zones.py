"""Where a number is: its prefix tells, in the words of the tables of phonenumbers."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers.timezone import time_zones_for_geographical_number

from sendpool.pipeline.zones import zones_of


@pytest.mark.parametrize(
    ("address", "zones"),
    [
        ("+12125550100", ("America/New_York",)),
        ("+4915112345678", ("Europe/Berlin",)),
        ("+34600123456", ("Europe/Madrid",)),
        ("+34600123456 someone@example.com", ("Europe/Madrid",)),
        ("someone@example.com", ()),
        ("", ()),
        ("+", ()),
        ("+9999999999", ()),
    ],
)
def test_the_longest_known_prefix_tells(address: str, zones: tuple[str, ...]) -> None:
    assert zones_of(address) == zones


@given(st.integers(10**7, 10**13))
def test_the_answer_is_that_of_the_library(digits: int) -> None:
    try:
        number = phonenumbers.parse(f"+{digits}")
    except phonenumbers.NumberParseException:
        return
    if phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) != f"+{digits}":
        return  # It is written differently, so it is no E.164.
    found = time_zones_for_geographical_number(number)

    assert zones_of(f"+{digits}") == (() if found == ("Etc/Unknown",) else found)
