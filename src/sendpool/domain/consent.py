"""Who does not want to hear from us: what an entry of the ledger covers.

An entry covers an address in an address space, and everything that the account sends or one programme of it: a pool,
a sender, or marketing. Pure.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import NamedTuple

from sendpool.domain.message import LETTER_CHANNEL, Category
from sendpool.domain.sender import Channel

#: Scopes beside the public ids of pools and senders: everything, and what is sent as bulk.
EVERYTHING, MARKETING = "", "marketing"
#: Rules by which a recipient has only asked for no more marketing (the pages of these carriers say so).
_OF_MARKETING = frozenset({"whatsapp/131050", "rcs/UNSUBSCRIBE", "smtp/unsubscribe"})

#: The address space of what goes over each channel.
_SPACE = {Channel.SMS: "P", Channel.RCS: "P", Channel.WHATSAPP: "W", Channel.EMAIL: "E"}
SPACE_OF_LETTER = {letter: _SPACE[channel] for letter, channel in LETTER_CHANNEL.items()}


class Person(NamedTuple):
    """An address as the ledger knows it; `space` is "P", "W" or "E"."""

    space: str
    address: str


class OptOut(NamedTuple):
    """An entry of the ledger."""

    account_id: int
    space: str
    address: str
    scope: str
    #: How it came to be known: "command", "import", "reply", or the rule of a carrier's code.
    source: str
    #: Who said so: "command line", "carrier", "recipient".
    actor: str


def person(space: str, address: str) -> Person:
    """An address as it is compared: of mailboxes case says nothing."""
    return Person(space, address.lower() if space == "E" else address)


def fault_of(space: str, address: str) -> str | None:
    """What is wrong with an address of the ledger, in words; None: nothing."""
    if space == "E":
        name, at, host = address.partition("@")
        return None if name and at and host and " " not in address else f'"{address[:64]}" is no email address'
    if space not in ("P", "W"):
        return f'"{space[:20]}" is no address space: say PHONE, WHATSAPP or EMAIL'
    digits = address[1:]
    if address[:1] == "+" and digits.isascii() and digits.isdigit() and 7 <= len(digits) <= 15 and digits[0] != "0":
        return None
    return f'"{address[:64]}" is no number in E.164, for example +12034458910'


def scope_of(rule: str) -> str:
    """What a recipient has opted out of who is known by this rule of the failure table."""
    return MARKETING if rule in _OF_MARKETING else EVERYTHING


def scopes_over(category: str, programmes: Iterable[str]) -> frozenset[str]:
    """The scopes that cover a message of a category which is from these pools and senders (public ids).

    None cover the answer to a keyword: who stops is told so (CTIA Messaging Principles §5.1.3).
    """
    if category == Category.REPLY:
        return frozenset()
    marketing = (MARKETING,) if category == Category.BULK else ()
    return frozenset((EVERYTHING, *marketing, *programmes))


class Filter:
    """Says quickly of most addresses that a ledger has no entry of them; of the others the ledger has to be asked.

    One bit for each entry, by the address's hash: at 32 bits of room for each, 3 in 100 are asked about in vain.
    """

    __slots__ = ("_bits", "_mask", "entries")

    def __init__(self, room: int = 1_024) -> None:
        """*room* entries and as many again fit in before it should be made anew, larger."""
        size = 1 << max(10, (room * 32 - 1).bit_length())
        self._bits = bytearray(size >> 3)
        self._mask = size - 1
        self.entries = 0

    @property
    def full(self) -> bool:
        """Whether so many entries are in it that it says "perhaps" too often."""
        return self.entries * 16 > self._mask

    def add(self, one: Hashable) -> None:
        """Know an address."""
        place = hash(one) & self._mask
        self._bits[place >> 3] |= 1 << (place & 7)
        self.entries += 1

    def __contains__(self, one: Hashable) -> bool:
        place = hash(one) & self._mask
        return bool(self._bits[place >> 3] >> (place & 7) & 1)
