"""Where the API is, as whom, and how patiently."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import msgspec

from sendpool.client.calls import Call

T = TypeVar("T")

#: Variables that say it where the code does not; the latter two are those that the hosted API's clients read.
URL, ACCOUNT, TOKEN = "SENDPOOL_URL", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"
_HERE = "http://127.0.0.1:8080"
_VERSIONS = ("v1", "preview")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How a client reaches the API."""

    #: The account's SID, or that of an API key; and the token, or the key's secret.
    account_sid: str
    auth_token: str
    #: The origin, with the version or without (then v1): "https://sms.example.com", "https://comms.twilio.com/preview".
    base_url: str
    #: Seconds for one answer.
    timeout: float = 30.0
    #: How often a call is made at most, if each time it is to be repeated.
    tries: int = 5
    #: Whether the server knows `Idempotency-Key`, as Sendpool does. Say False for the hosted API: then a send whose
    #: answer was lost is not repeated, and raises `OutcomeUnknown`.
    keys: bool = True

    @classmethod
    def of(cls, environ: Mapping[str, str] = os.environ, **given: Any) -> Self:
        """Settings as given, else from the environment. Raises ValueError where something is missing or wrong."""
        sid = given.pop("account_sid", None) or environ.get(ACCOUNT) or environ.get("SENDPOOL_ACCOUNT_SID")
        token = given.pop("auth_token", None) or environ.get(TOKEN) or environ.get("SENDPOOL_AUTH_TOKEN")
        if not sid or not token:
            raise ValueError(f"no credentials: give account_sid and auth_token, or set {ACCOUNT} and {TOKEN}")
        url = given.pop("base_url", None) or environ.get(URL) or _HERE
        return cls(account_sid=sid, auth_token=token, base_url=_versioned(url), **given)

    @property
    def credentials(self) -> tuple[str, str]:
        """User name and password."""
        return self.account_sid, self.auth_token

    def fit(self, call: Call[T]) -> Call[T]:
        """The call as this server takes it."""
        return call if self.keys else msgspec.structs.replace(call, key=None)


def _versioned(url: str) -> str:
    url = url.rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"base URL {url!r} is none; write for example {_HERE}")
    return url if parts.path.rsplit("/", 1)[-1] in _VERSIONS else f"{url}/v1"
