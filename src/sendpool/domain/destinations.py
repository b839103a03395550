"""Where somebody sends: countries, what a sender's kind allows, registered campaigns. Pure, and without tables.

A country is its ISO code ("US"), `UNKNOWN` for a number whose prefix nobody knows, and `NOWHERE` for what is no number:
an email address is in no country, so that no rule of this kind applies to it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from sendpool.domain.reasons import Reason, Remark

if TYPE_CHECKING:
    from sendpool.domain.sender import Sender

#: A code that ISO leaves to its users, and no country has.
UNKNOWN = "ZZ"
NOWHERE = ""

#: Countries whose networks take no sender with a name, or put another in its place (the country pages that carriers
#: publish agree on these). A sender that lists a country among its own is taken at its word.
NO_NAMES = frozenset(
    "AR AS BE BR CA CL CN CO CR EC GT GU MP MX MY NI PA PE PR TW US UY VE VI ZA".split()  # noqa: SIM905 - readable
)


class Kind(StrEnum):
    """What an SMS sender's address is."""

    NUMBER = "number"
    SHORT_CODE = "short code"
    NAME = "name"


def kind_of(address: str) -> Kind:
    """The kind of an SMS sender by its address."""
    if address.startswith("+"):
        return Kind.NUMBER
    return Kind.SHORT_CODE if address.isdigit() else Kind.NAME


class Countries(msgspec.Struct, frozen=True, kw_only=True):
    """Countries that somebody sends to: none of `never`, and of the others only those in `only` (None: all)."""

    only: frozenset[str] | None = None
    never: frozenset[str] = frozenset()

    @property
    def everywhere(self) -> bool:
        """Whether nothing is left out."""
        return self.only is None and not self.never

    def hold(self, country: str) -> bool:
        """Whether a country is among them. What is in no country is; an unknown one is only where all are."""
        if country == NOWHERE:
            return True
        return country not in self.never and (self.only is None or country in self.only)


EVERYWHERE = Countries()


class Destinations(msgspec.Struct, frozen=True, kw_only=True):
    """Where one sender sends."""

    #: Where it is at home; "" where that is not known. A short code stays there.
    country: str = NOWHERE
    #: The beginning of the numbers that share its area code ("+1203"); "" where it has none.
    area: str = ""
    countries: Countries = EVERYWHERE
    #: The registered campaign that it belongs to.
    campaign: str = ""
    #: Countries in which its connection takes nothing from a sender without one.
    campaigns_in: frozenset[str] = frozenset()


ANYWHERE = Destinations()


def exclusion(sender: Sender, country: str) -> Remark | None:
    """Why a sender does not send to a country; None: it does."""
    rule = sender.destinations
    if country == NOWHERE:
        return None
    if not rule.countries.hold(country):
        return Remark(Reason.NOT_IN_COUNTRY, about=country)
    if sender.channel != "SMS":
        return None
    if country in rule.campaigns_in and not rule.campaign:
        return Remark(Reason.UNREGISTERED, about=country)
    if rule.countries.only is not None:
        return None
    kind = kind_of(sender.address)
    if kind is Kind.NAME and country in NO_NAMES:
        return Remark(Reason.NO_ALPHANUMERIC, about=country)
    if kind is Kind.SHORT_CODE and rule.country not in (NOWHERE, country):
        return Remark(Reason.FOREIGN_SHORT_CODE, about=country)
    return None


def is_bound(sender: Sender) -> bool:
    """Whether there is any country at all that a sender does not send to."""
    rule = sender.destinations
    if not rule.countries.everywhere:
        return True
    if sender.channel != "SMS":
        return False
    if rule.campaigns_in and not rule.campaign:
        return True
    kind = kind_of(sender.address)
    return kind is Kind.NAME or (kind is Kind.SHORT_CODE and rule.country != NOWHERE)
