"""Calls as values, what an answer to one means, and when one is repeated. Pure: it opens no connection and waits for
nothing, so that both clients (now and later) are thin.
"""

from __future__ import annotations

import email.utils
from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import urlencode

import msgspec

from sendpool.client.errors import (
    ClientError,
    OutcomeUnknown,
    Problem,
    UnexpectedAnswer,
    Unreachable,
    refusal,
)
from sendpool.client.models import Page

T = TypeVar("T")
Json = Mapping[str, Any]

#: Seconds before the first repetition; each further one waits twice as long, up to the longest.
_FIRST, _LONGEST = 0.5, 30.0
#: Statuses that say "not now".
_LATER = frozenset({429, 503})
#: Statuses of proxies that may or may not have handed a request on.
_LOST = frozenset({502, 504})


class Call(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One request and what makes a value of its answer."""

    method: str
    #: Below the base URL.
    path: str
    read: Callable[[bytes], T]
    query: Mapping[str, str] = {}
    body: Any = None
    #: Makes a repetition harmless: the server carries out one request of a key.
    key: str | None = None

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path

    @property
    def headers(self) -> dict[str, str]:
        """What it needs beside credentials."""
        named = {"Accept": "application/json"}
        if self.body is not None:
            named["Content-Type"] = "application/json"
        return named if self.key is None else {**named, "Idempotency-Key": self.key}

    @property
    def content(self) -> bytes | None:
        """Its body."""
        return None if self.body is None else msgspec.json.encode(self.body)

    @property
    def is_harmless(self) -> bool:
        """Whether it may be made twice."""
        return self.method == "GET" or self.key is not None


class Listing(msgspec.Struct, Generic[T], frozen=True):
    """A list that comes in pages: the call for the first one."""

    first: Call[Page[T]]

    def after(self, page: Page[T]) -> Call[Page[T]] | None:
        """The call for the next page; None after the last. Filters are repeated: a token is good for the same ones."""
        if page.next is None:
            return None
        if self.first.method == "POST":
            return msgspec.structs.replace(self.first, body={**self.first.body, "pageToken": page.next})
        return msgspec.structs.replace(self.first, query={**self.first.query, "pageToken": page.next})


class Reply(NamedTuple):
    """What the server answered; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Fault(NamedTuple):
    """Nothing was answered. `left`: the request may have reached somebody."""

    reason: str
    left: bool


Outcome = Reply | Fault


def pause_before_repeat(call: Call[Any], outcome: Outcome, tried: int, most: int, chance: float) -> float | None:
    """Seconds until a call is made again, of which *tried* of *most* have been; None: it is not.

    A request that surely was not carried out (429, or nobody there) is always repeated; one that may have been, only
    where that does no harm. 500 is not: the contract says so. *chance* (0 to 1) spreads repetitions of many clients.
    """
    if tried >= most:
        return None
    backoff = min(_LONGEST, _FIRST * 2 ** (tried - 1)) * (0.5 + chance / 2)
    if isinstance(outcome, Fault):
        return backoff if call.is_harmless or not outcome.left else None
    asked = retry_after(outcome)
    if outcome.status == 429 or (outcome.status == 503 and (call.is_harmless or asked is not None)):
        # As long as it asks for, and a little more, so that not all come at once.
        return backoff if asked is None else asked + chance * min(1.0, asked / 4)
    return backoff if outcome.status in _LOST and call.is_harmless else None


def retry_after(reply: Reply) -> float | None:
    """Seconds that the server asks to wait: a number, or a date after that of the answer (RFC 9110, 10.2.3)."""
    value = reply.headers.get("retry-after", "")
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        until, sent = (email.utils.parsedate_to_datetime(text) for text in (value, reply.headers.get("date", "")))
        return max(0.0, (until - sent).total_seconds())
    except (TypeError, ValueError):
        return None


def settle(call: Call[T], outcome: Outcome) -> T:
    """The value that an answer is. Raises `ClientError`."""
    if isinstance(outcome, Fault):
        raise _lost(call, outcome)
    if outcome.status >= 400:
        raise refusal(outcome.status, _problems(outcome), retry_after(outcome))
    try:
        return call.read(outcome.body)
    except msgspec.DecodeError as error:
        raise UnexpectedAnswer(
            f"{call.method} {call.path} brought a {outcome.status} that is no answer to it: {error}"
        ) from None


def _lost(call: Call[Any], fault: Fault) -> ClientError:
    what = f"{call.method} {call.path}: {fault.reason}"
    return OutcomeUnknown(what) if fault.left and call.method != "GET" else Unreachable(what)


class _Errors(msgspec.Struct):
    errors: list[Problem] = []
    code: int = 0
    message: str = ""


def _problems(reply: Reply) -> tuple[Problem, ...]:
    try:
        found = msgspec.json.decode(reply.body, type=_Errors)
    except msgspec.DecodeError:
        found = _Errors()
    flat = Problem(found.code, found.message or f"an answer without a reason, HTTP status {reply.status}")
    return tuple(found.errors) or (flat,)
