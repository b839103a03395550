"""Who is signed in: a signed cookie, that every node with the same secret key can read.

Its signature hangs on the credential that it was opened with: another auth token, a revoked key or a closed account
ends it at once. Nothing is stored.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import NamedTuple

from sendpool.api.auth import Accounts, Caller

COOKIE = "sendpool_console"
#: What requests that change something carry beside the cookie; other sites cannot know it.
TOKEN_HEADER = b"x-sendpool-token"
#: Seconds after which one signs in again.
LASTS = 12 * 3600
#: Bytes of a cookie that are read at all.
_LONGEST = 1_024


class Session(NamedTuple):
    """A session that is good now."""

    caller: Caller
    #: Goes with every request that changes something.
    token: str
    #: Microseconds since 1970.
    ends_at: int


class Sessions:
    """Opens sessions and reads them again."""

    def __init__(self, key: bytes, accounts: Accounts, now: Callable[[], int]) -> None:
        """*key* is the server's secret key; *now* tells microseconds since 1970."""
        self._key = hmac.digest(key, b"sendpool console session", sha256)
        self._accounts = accounts
        self._now = now

    def open(self, caller: Caller) -> str:
        """The value of a cookie for *caller*, whose credential has just been checked."""
        ends_at = self._now() + LASTS * 1_000_000
        said = f"{caller.sid}\n{ends_at}\n{secrets.token_hex(16)}".encode()
        found = self._accounts.standing(caller.sid.encode())
        assert found is not None
        return f"{_text(said)}.{_text(self._sign(b'session', said, found[1]))}"

    def read(self, cookie: str | None) -> Session | None:
        """The session that a cookie stands for; None: it is none of ours, over, or its credential has changed."""
        said, signature = _parts(cookie)
        sid, _, rest = said.partition(b"\n")
        found = self._accounts.standing(sid)
        if found is None or not hmac.compare_digest(self._sign(b"session", said, found[1]), signature):
            return None
        ends_at = int(rest.partition(b"\n")[0])
        if ends_at <= self._now():
            return None
        return Session(found[0], _text(self._sign(b"token", said, found[1])), ends_at)

    def _sign(self, purpose: bytes, said: bytes, digest: bytes) -> bytes:
        return hmac.digest(self._key, b"\n".join((purpose, digest.hex().encode(), said)), sha256)


def cookie_of(headers: Mapping[bytes, bytes]) -> str | None:
    """The console's cookie among those of a request."""
    for pair in headers.get(b"cookie", b"").decode("latin-1").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == COOKIE:
            return value
    return None


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _parts(cookie: str | None) -> tuple[bytes, bytes]:
    """What a cookie says, and its signature; empty where it is none of ours."""
    said, dot, signature = (cookie or "")[:_LONGEST].partition(".")
    try:
        return _raw(said), _raw(signature) if dot else b""
    except ValueError:
        return b"", b""


def _raw(text: str) -> bytes:
    raw = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _text(raw) != text:
        raise ValueError("another spelling of the same bytes")
    return raw
