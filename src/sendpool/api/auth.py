"""Who is calling: HTTP Basic with an account's SID and auth token, checked in memory and in constant time."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Iterable
from hashlib import blake2b
from hmac import compare_digest

from sendpool.store.accounts import Account


class Accounts:
    """Every account's credentials in memory. An unknown account looks like a wrong token, also to a clock."""

    def __init__(self, accounts: Iterable[Account] = ()) -> None:
        # Digests under a key of this process: looking one up tells a clock nothing about the secret behind it.
        self._key = secrets.token_bytes(32)
        self._nobody = (self._digest(secrets.token_bytes(32)), None)
        self.replace(accounts)

    def replace(self, accounts: Iterable[Account]) -> None:
        """Know these accounts from now on, and no others."""
        known = list(accounts)
        self._by_sid = {one.sid.encode(): (self._digest(one.auth_token.encode()), one.id) for one in known}
        # The whole header as nearly every client spells it, so that a request costs no base64.
        self._by_header: dict[bytes, tuple[bytes, int]] = {}
        for one in known:
            digest = self._digest(b"Basic " + base64.b64encode(f"{one.sid}:{one.auth_token}".encode()))
            self._by_header[digest] = (digest, one.id)

    def _digest(self, secret: bytes) -> bytes:
        return blake2b(secret, digest_size=32, key=self._key).digest()

    def authenticate(self, authorization: bytes | None) -> int | None:
        """The account that an Authorization header stands for, or None."""
        if authorization is None:
            return None
        digest = self._digest(authorization)
        found = self._by_header.get(digest)
        if found is not None and compare_digest(found[0], digest):
            return found[1]
        return self._decoded(authorization)

    def _decoded(self, authorization: bytes) -> int | None:
        scheme, _, encoded = authorization.strip().partition(b" ")
        if scheme.lower() != b"basic":
            return None
        try:
            sid, colon, token = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        except (binascii.Error, ValueError):
            return None
        expected, account_id = self._by_sid.get(sid, self._nobody)
        matches = compare_digest(expected, self._digest(token))
        return account_id if matches and colon else None


def bears(authorization: bytes | None, token: str) -> bool:
    """Whether an Authorization header is `Bearer` with this token."""
    scheme, _, given = (authorization or b"").strip().partition(b" ")
    return compare_digest(given.strip(), token.encode()) and scheme.lower() == b"bearer"
