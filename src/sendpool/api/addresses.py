"""Which addresses may be sent to: strict E.164 that is possible, and plausible email addresses.

*Possible* means that the country code exists and its numbers have that length. Whether a range is in use is never
asked: tables of ranges are old the day they are printed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import product
from operator import itemgetter

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

from sendpool.api.problems import BAD_NUMBER, IMPOSSIBLE_NUMBER, Findings
from sendpool.domain.sender import AddressSpace

#: The digits of an address that tell its country.
_CODE = itemgetter(slice(1, 4))

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_E164_LINES = re.compile(r"\+[1-9][0-9]{6,14}(?:\n\+[1-9][0-9]{6,14})*")

#: RFC 5321 allows 254 characters. One @, something on both sides, a dot in the domain; no blanks, controls, or what
#: has a meaning of its own where addresses are listed (RFC 5322 §3.2.3).
_PLAIN = r"[^@\s\x00-\x1f\x7f<>()\[\],;:\\\"]"
_EMAIL = re.compile(rf"(?=.{{6,254}}\Z){_PLAIN}{{1,64}}@{_PLAIN}+\.(?:(?!\.){_PLAIN}){{2,}}")


@cache
def possible_lengths() -> dict[str, int]:
    """By the first three digits: the lengths (with the plus) that a number may have, as bits.

    No country code is the beginning of another, so three digits tell it. Built once, in 0.1 s, from the metadata of
    phonenumbers; asking the library itself costs 26 us for each number, a look-up here 0.1.
    """
    table: dict[str, int] = {}
    for country_code, regions in COUNTRY_CODE_TO_REGION_CODE.items():
        metadata = PhoneMetadata.metadata_for_region_or_calling_code(country_code, regions[0])
        if metadata is None or metadata.general_desc is None:
            continue
        code = str(country_code)
        bits = 0
        for length in metadata.general_desc.possible_length:
            bits |= 1 << (1 + len(code) + length)
        spare = 3 - len(code)
        for i in range(10**spare):
            table[code + (f"{i:0{spare}d}" if spare else "")] = bits
    return table


def is_e164(address: str) -> bool:
    """Whether an address is written as E.164: a plus and 7 to 15 digits."""
    return E164.fullmatch(address) is not None


def is_possible(address: str) -> bool:
    """Whether an E.164 number has a country code that exists and a length that its numbers have."""
    return bool(possible_lengths().get(address[1:4], 0) >> len(address) & 1)


def all_possible(addresses: Sequence[str]) -> bool:
    """Whether every address is E.164 and possible; one look at the whole list, for lists of thousands."""
    if len(addresses) == 1:
        return is_e164(addresses[0]) and is_possible(addresses[0])
    joined = "\n".join(addresses)
    # An address with a line break in it would pass for two.
    if _E164_LINES.fullmatch(joined) is None or joined.count("\n") != len(addresses) - 1:
        return False
    # Thousands of addresses are of few countries and lengths, and as a rule each length is one of each country.
    codes, lengths = set(map(_CODE, addresses)), set(map(len, addresses))
    return _are_lengths(product(codes, lengths)) or _are_lengths(
        set(zip(map(_CODE, addresses), map(len, addresses), strict=True))
    )


def _are_lengths(pairs: Iterable[tuple[str, int]]) -> bool:
    """Whether numbers that begin with these digits may each have that length."""
    possible = possible_lengths()
    return all(possible.get(code, 0) >> length & 1 for code, length in pairs)


def is_email(address: str) -> bool:
    """Whether an address looks like one of an email box."""
    return _EMAIL.fullmatch(address) is not None


def check_address(address: str, space: str, context: str, findings: Findings) -> bool:
    """Whether an address is one of its space ("P", "W" or "E"); what is wrong with it is noted."""
    if space == AddressSpace.EMAIL[0]:
        if not is_email(address):
            findings.add("address is not an email address", context)
        return is_email(address)
    if not is_e164(address):
        findings.add("address is not an E.164 number, for example +12034458910", context, BAD_NUMBER)
        return False
    if not is_possible(address):
        findings.add("no country has numbers that begin so and are so long", context, IMPOSSIBLE_NUMBER)
        return False
    return True
