"""In which country a number is, and which area code it shares, by the tables of phonenumbers.

A look-up costs less than a microsecond: numbers whose first digits agree are in the same country, so that the library
is asked once for each of these beginnings and not for each number.
"""

from __future__ import annotations

from functools import cache, lru_cache

import phonenumbers
from phonenumbers.phonenumberutil import length_of_geographical_area_code

from sendpool.domain.destinations import NOWHERE, UNKNOWN

#: Digits that decide the country where several share a calling code. Area codes of North America have three, after
#: the 1; elsewhere islands have their own ranges, the finest (Saint Barthélemy) of five digits after 590.
_NORTH_AMERICA = 4
_SHARED = 8
#: Digits of the national numbers that are tried for a range: those of its longest numbers.
_LONGEST = 12


def country_of(address: str) -> str:
    """The country of an address in E.164: its ISO code, or `UNKNOWN`. `NOWHERE` for what is no number."""
    if not address.startswith("+"):
        return NOWHERE
    if address.startswith("+1"):
        return _in_north_america(address[1 : _NORTH_AMERICA + 1])
    for end in (3, 2, 4):
        found = _BY_CALLING_CODE.get(address[1:end])
        if found is not None:
            return found or _in_shared(address[1 : _SHARED + 1])
    return UNKNOWN


def area_of(address: str) -> str:
    """The beginning that all numbers of its area code have ("+1203"); "" where an address has none."""
    if not address.startswith("+"):
        return ""
    try:
        number = phonenumbers.parse(address)
    except phonenumbers.NumberParseException:
        return ""
    digits = length_of_geographical_area_code(number)
    return address[: 1 + len(str(number.country_code)) + digits] if digits else ""


def _by_calling_code() -> dict[str, str]:
    """The only country of each calling code; "" where several share it."""
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE
    # Codes of no country (satellites, freephone) have "001" for a region.
    only = {code: UNKNOWN if names[0] == "001" else names[0] for code, names in regions.items() if len(names) == 1}
    return {str(code): only.get(code, "") for code in regions if code != 1}


_BY_CALLING_CODE = _by_calling_code()


@cache
def _in_north_america(digits: str) -> str:
    """The country of an area code; that of one which is not in use is the first that numbers beginning with 1 have."""
    return _region(digits.ljust(_NORTH_AMERICA, "2") + "2345678") or "US"


@lru_cache(maxsize=65_536)
def _in_shared(digits: str) -> str:
    """The country of a range under a shared calling code; of an unused one the code's main country."""
    for longest in range(_LONGEST, len(digits), -1):
        # Any number of the range will do, of a length that is in use there.
        found = _region(digits.ljust(longest, "2"))
        if found:
            return found
    number = phonenumbers.parse("+" + digits.ljust(_LONGEST - 1, "2"))
    return phonenumbers.region_code_for_country_code(number.country_code)


def _region(digits: str) -> str | None:
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse("+" + digits))
    except phonenumbers.NumberParseException:
        return None
