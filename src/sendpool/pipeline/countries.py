"""The country that a number is in, as far as its first digits tell. By the tables of phonenumbers; nobody is asked.

A look-up costs about a microsecond: numbers whose first digits agree are in one country, so that the library is asked
once for each of these beginnings and not for each number.
"""

from __future__ import annotations

from functools import lru_cache

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE
from phonenumbers.phonenumberutil import length_of_geographical_area_code

from sendpool.domain.destinations import NOWHERE, UNKNOWN

__all__ = ["NOWHERE", "area_of", "country_of", "destination_of"]

#: Digits that tell the country where several share a code. Area codes of North America have three, after the 1;
#: elsewhere islands have their own ranges, the finest (Saint Barthélemy) of five digits after 590.
_NORTH_AMERICA = 4
_SHARED = 8
#: Digits of the longest numbers that are tried for a range.
_LONGEST = 12


def country_of(address: str) -> str:
    """The country (ISO 3166-1 alpha-2) of a number in E.164, `NOWHERE` for anything else.

    A look-up in a dictionary; only the first number of each prefix costs more.
    """
    if address.startswith("+1"):
        return _in_north_america(address[1 : _NORTH_AMERICA + 1])
    if address.startswith("+"):
        for end in (3, 4, 2):
            found = _BY_CODE.get(address[1:end])
            if found is not None:
                return found or _in_shared(address[1 : _SHARED + 1], int(address[1:end]))
    return NOWHERE


def destination_of(address: str) -> str:
    """The country that rules of destinations go by: `UNKNOWN` for a number in none, `NOWHERE` for what is no number."""
    return country_of(address) or (UNKNOWN if address.startswith("+") else NOWHERE)


@lru_cache(maxsize=16_384)
def area_of(address: str) -> str:
    """The beginning that all numbers of its area code have ("+1203"); "" where an address has none."""
    try:
        number = phonenumbers.parse(address)
    except phonenumbers.NumberParseException:
        return ""
    digits = length_of_geographical_area_code(number)
    return address[: 1 + len(str(number.country_code)) + digits] if digits else ""


def _by_code() -> dict[str, str]:
    """The only country of each country code; "" where several share it. Those of no country are left out."""
    regions = {code: names for code, names in COUNTRY_CODE_TO_REGION_CODE.items() if code != 1 and names[0] != "001"}
    return {str(code): names[0] if len(names) == 1 else "" for code, names in regions.items()}


_BY_CODE = _by_code()


@lru_cache(maxsize=16_384)
def _in_north_america(digits: str) -> str:
    """The country of an area code; that of one which is not in use is the main one."""
    return _region(1, digits[1:].ljust(_NORTH_AMERICA - 1, "2") + "2345678") or "US"


@lru_cache(maxsize=65_536)
def _in_shared(digits: str, code: int) -> str:
    """The country of a range under a shared code; of one that is not in use the code's main country."""
    national = digits[len(str(code)) :]
    for longest in range(_LONGEST, len(national), -1):
        # Any number of the range will do, of a length that is in use there.
        found = _region(code, national.ljust(longest, "2"))
        if found:
            return found
    return str(COUNTRY_CODE_TO_REGION_CODE[code][0])


def _region(code: int, national: str) -> str | None:
    if not (national.isascii() and national.isdigit()):
        return None
    # A leading zero is part of a number in Italy alone, and lost in an integer.
    zero = national.startswith("0") or None
    number = phonenumbers.PhoneNumber(country_code=code, national_number=int(national), italian_leading_zero=zero)
    region = phonenumbers.region_code_for_number(number)
    return region if region is not None and len(region) == 2 else None
