"""Who is calling: HTTP Basic with an account's SID and auth token, or an API key and its secret.

Checked in memory and in constant time. Whoever is unknown looks like somebody with a wrong secret, also to a clock.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import time
from collections.abc import Callable, Iterable
from hashlib import blake2b
from hmac import compare_digest
from typing import NamedTuple

from sendpool.store.accounts import Account
from sendpool.store.keys import ApiKey, digest_of


class Caller(NamedTuple):
    """Whose request it is."""

    account_id: int
    #: The sid that it came with: the account's, or an API key's.
    sid: str


class _Credential(NamedTuple):
    """What one user name opens: with its secret, or until some time (microseconds since 1970) with the one before."""

    caller: Caller
    digest: bytes
    old_digest: bytes
    old_until: int


class _Known(NamedTuple):
    """A whole header that was right. `until` is None for ever, else microseconds since 1970."""

    digest: bytes
    caller: Caller
    until: int | None


def _wall() -> int:
    return time.time_ns() // 1000


class Accounts:
    """Every account's credentials in memory; closed accounts and revoked keys are simply not there."""

    def __init__(
        self, accounts: Iterable[Account] = (), keys: Iterable[ApiKey] = (), now: Callable[[], int] = _wall
    ) -> None:
        # Digests under a key of this process: looking one up tells a clock nothing about the secret behind it.
        self._key = secrets.token_bytes(32)
        self._nothing = secrets.token_bytes(32)
        self._nobody = _Credential(Caller(0, ""), self._nothing, self._nothing, 0)
        self._now = now
        self.replace(accounts, keys)

    def replace(self, accounts: Iterable[Account], keys: Iterable[ApiKey] = ()) -> None:
        """Know these accounts and keys from now on, and no others."""
        accounts = list(accounts)
        known = [*map(self._of_account, accounts), *map(self._of_key, keys)]
        self._by_sid = {one.caller.sid.encode(): one for one in known}
        # Whole headers as nearly every client spells them, once they have been right, so that a request costs no
        # base64: at most two for each user name.
        self._by_header: dict[bytes, _Known] = {}
        self._sids = {one.id: one.sid for one in accounts}

    def standing(self, sid: bytes) -> tuple[Caller, bytes] | None:
        """Whom a user name stands for, and the digest of its present secret; None: it opens nothing."""
        found = self._by_sid.get(sid)
        return None if found is None else (found.caller, found.digest)

    def sid_of(self, account_id: int) -> str:
        """The sid of an open account."""
        return self._sids[account_id]

    def _of_account(self, one: Account) -> _Credential:
        old = self._nothing if one.old_auth_token is None else digest_of(one.old_auth_token.encode())
        digest = digest_of(one.auth_token.encode())
        return _Credential(Caller(one.id, one.sid), digest, old, one.old_auth_token_until)

    def _of_key(self, one: ApiKey) -> _Credential:
        return _Credential(Caller(one.account_id, one.sid), one.digest, self._nothing, 0)

    def authenticate(self, authorization: bytes | None) -> Caller | None:
        """Who an Authorization header stands for, or None."""
        if authorization is None:
            return None
        digest = blake2b(authorization, digest_size=32, key=self._key).digest()
        known = self._by_header.get(digest)
        if known is not None and compare_digest(known.digest, digest):
            return known.caller if known.until is None or self._now() < known.until else None
        return self._decoded(authorization, digest)

    def _decoded(self, authorization: bytes, header: bytes) -> Caller | None:
        scheme, _, encoded = authorization.strip().partition(b" ")
        if scheme.lower() != b"basic":
            return None
        try:
            sid, colon, secret = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        except (binascii.Error, ValueError):
            return None
        found = self._by_sid.get(sid, self._nobody)
        given = digest_of(secret)
        new, old = compare_digest(found.digest, given), compare_digest(found.old_digest, given)
        if not colon or not (new or (old and self._now() < found.old_until)):
            return None
        if authorization == b"Basic " + base64.b64encode(sid + b":" + secret):
            self._by_header[header] = _Known(header, found.caller, None if new else found.old_until)
        return found.caller


def bears(authorization: bytes | None, token: str) -> bool:
    """Whether an Authorization header is `Bearer` with this token."""
    scheme, _, given = (authorization or b"").strip().partition(b" ")
    return compare_digest(given.strip(), token.encode()) and scheme.lower() == b"bearer"
