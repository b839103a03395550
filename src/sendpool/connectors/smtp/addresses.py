"""Addresses of mailboxes as SMTP writes them, and the xtext of its notification requests. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

#: What may stand in an address unquoted (RFC 5322 §3.2.3, RFC 6531 §3.3): nothing that ends a command or a header.
_LOCAL = re.compile(r"[^\x00-\x20\x7f()<>\[\]:;@\\,\"]{1,64}")
_DOMAIN = re.compile(r"[^\x00-\x20\x7f()<>\[\]:;@\\,\"]{1,253}")


class UnfitAddress(ValueError):
    """It is no address of a mailbox."""


class Mailbox(NamedTuple):
    """An address, its domain in ASCII."""

    local: str
    domain: str

    @property
    def address(self) -> str:
        """As it stands in commands and headers."""
        return f"{self.local}@{self.domain}"

    @property
    def international(self) -> bool:
        """Whether only a relay with SMTPUTF8 takes it (RFC 6531)."""
        return not self.local.isascii()


def mailbox(address: str) -> Mailbox:
    """An address as SMTP writes it. Raises `UnfitAddress`."""
    local, _, domain = address.rpartition("@")
    if not (_LOCAL.fullmatch(local) and _DOMAIN.fullmatch(domain)):
        raise UnfitAddress(address)
    try:
        return Mailbox(local, domain if domain.isascii() else domain.encode("idna").decode("ascii"))
    except UnicodeError:
        raise UnfitAddress(address) from None


def to_xtext(text: str) -> str:
    """Write a value of ENVID or ORCPT (RFC 3461 §4): octets 33 to 126 as they are, others and "+", "=" as +HH."""
    octets = text.encode()
    return "".join(chr(o) if 33 <= o <= 126 and o not in b"+=" else f"+{o:02X}" for o in octets)


def from_xtext(text: str) -> str:
    """Read an xtext; what is none stays as it is."""
    octets = re.sub(rb"\+([0-9A-F]{2})", lambda found: bytes([int(found[1], 16)]), text.encode())
    return octets.decode(errors="replace")
