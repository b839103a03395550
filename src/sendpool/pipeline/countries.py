"""The country that a number is in, as far as its first digits tell. By the tables of phonenumbers; nobody is asked."""

from __future__ import annotations

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

#: The country of what is no number, or has a country code that nobody has.
NOWHERE = ""
#: Country codes that several countries share by their next digits; of the others the main one stands for all.
_SHARED = ("1", "7")
#: Digits that tell the country: a country code of up to three, or "1" with an area code.
_TELLING = 4

_known: dict[str, str] = {}


def country_of(address: str) -> str:
    """The country (ISO 3166-1 alpha-2) of a number in E.164, `NOWHERE` for anything else.

    A look-up in a dictionary; only the first number of each prefix costs more.
    """
    prefix = address[: _TELLING + 1]
    found = _known.get(prefix)
    return _learn(prefix) if found is None else found


def _learn(prefix: str) -> str:
    digits = prefix[1:]
    if prefix[:1] != "+" or not (digits.isascii() and digits.isdigit()):
        return NOWHERE
    country = _country(digits)
    _known[prefix] = country
    return country


def _country(digits: str) -> str:
    for size in range(1, 4):
        regions = COUNTRY_CODE_TO_REGION_CODE.get(int(digits[:size]))
        if regions is not None and digits[0] != "0":
            main = regions[0] if len(regions[0]) == 2 else NOWHERE
            return _sharing(digits, main) if digits[:size] in _SHARED else main
    return NOWHERE


def _sharing(digits: str, main: str) -> str:
    """Which of the countries that share a code: those whose numbers of this area are valid, or the main one."""
    area = digits[1:]
    for subscriber in ("2345678", "5552345"):
        number = phonenumbers.PhoneNumber(
            country_code=int(digits[0]), national_number=int(area + subscriber[: 10 - len(area)])
        )
        region = phonenumbers.region_code_for_number(number)
        if region is not None and len(region) == 2:
            return str(region)
    return main
