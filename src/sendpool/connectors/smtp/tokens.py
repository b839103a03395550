"""What comes back to us names its message by something that only we can have written.

A bounce address carries a message's id with a short HMAC, so that bounces cannot be made up. A link to unsubscribe
carries message and address, encrypted: opaque, and valid for as long as the secret is kept.
"""

from __future__ import annotations

import base64
import hmac
import re
from hashlib import sha256
from typing import NamedTuple

from cryptography.fernet import Fernet, InvalidToken

#: Hex digits of a bounce address's HMAC: 40 bits, asked about over the network one guess at a time.
MAC_DIGITS = 10
#: What a bounce address begins with, before its "+".
LOCAL = "bounce"
_TOKEN = re.compile(rf"([0-9a-f]{{32}})-([0-9a-f]{{{MAC_DIGITS}}})")
_ATTEMPT_BITS = 0x3F


def message_uid(public_id: str) -> str:
    """The message of an attempt ("SM" and 32 hex digits): 32 hex digits, the same for all tries (domain/ids.py)."""
    return f"{int(public_id[2:] or '0', 16) & ~_ATTEMPT_BITS:032x}"


class Sealed(NamedTuple):
    """What a link to unsubscribe says."""

    uid: str
    address: str


class Tokens:
    """Writes and checks tokens under one secret."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        # A key of its own for each use.
        self._seals = Fernet(base64.urlsafe_b64encode(hmac.digest(self._secret, b"sendpool/smtp/seal", "sha256")))

    def mac(self, uid: str) -> str:
        """The short HMAC of a message's id."""
        return hmac.new(self._secret, uid.encode(), sha256).hexdigest()[:MAC_DIGITS]

    def token(self, uid: str) -> str:
        """What names a message in a bounce address and in ENVID. It is the same for every try of the message."""
        return f"{uid}-{self.mac(uid)}"

    def uid_of(self, token: str) -> str | None:
        """The message that a token names, or None where we have not written it. Case says nothing in it."""
        found = _TOKEN.fullmatch(token.strip().lower())
        return found[1] if found and hmac.compare_digest(found[2], self.mac(found[1])) else None

    def bounced(self, address: str, domain: str) -> str | None:
        """The message whose bounce address this is, or None where it is none of ours."""
        local, _, host = address.strip().strip("<>").rpartition("@")
        name, _, token = local.partition("+")
        return self.uid_of(token) if (name.lower(), host.lower()) == (LOCAL, domain.lower()) else None

    def seal(self, uid: str, address: str) -> str:
        """Message and address as an opaque text for URLs."""
        return self._seals.encrypt(f"{uid} {address}".encode()).decode("ascii")

    def unseal(self, text: str) -> Sealed | None:
        """What a sealed text says, or None where we have not written it."""
        try:
            uid, _, address = self._seals.decrypt(text).decode().partition(" ")
        except (InvalidToken, ValueError):
            return None
        return Sealed(uid, address)
