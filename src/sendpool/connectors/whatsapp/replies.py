"""What the platform's answer to a message means: taken, refused, too fast, or nobody knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import time
from typing import Any

import msgspec

from sendpool.connectors.base import CarrierId, Outcome, Uncertain
from sendpool.connectors.web import LONGEST_RETRY_AFTER, Reply, refusal, retry_after
from sendpool.domain.failures import ROWS, Classified, FailureClass, classify, of_class

#: The table of codes; the same codes come in answers and by webhook.
TABLE = "whatsapp"
#: Says for how long calls of a business are refused, in minutes (Graph API, rate limits).
USAGE = "X-Business-Use-Case-Usage"
_PASSING = (FailureClass.TRANSIENT, FailureClass.THROTTLED)


class _Error(msgspec.Struct, frozen=True):
    code: int | None = None
    is_transient: bool = False


class _ErrorBody(msgspec.Struct, frozen=True):
    error: _Error = _Error()


class _Sent(msgspec.Struct, frozen=True):
    id: str


class _SentBody(msgspec.Struct, frozen=True):
    messages: tuple[_Sent, ...]


def judge(reply: Reply, name: str, wall: Callable[[], float] = time) -> Outcome:
    """Judge the answer to a message that webhooks will call *name*; *wall* is the time in seconds since 1970."""
    if 200 <= reply.status < 300:
        if not _is_taken(reply.body):
            return Uncertain("the answer is none of the Cloud API; check base_url")
        return CarrierId(name)
    code, found = classify_reply(reply)
    return refusal(found, code, _wait(reply.headers, wall), reply.status)


def classify_reply(reply: Reply) -> tuple[str, Classified]:
    """The code of a refusal as the class table spells it ("131056", "http/503"), and what it means."""
    try:
        error = msgspec.json.decode(reply.body, type=_ErrorBody).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        error = _Error()
    http = f"http/{reply.status}"
    if error.code is None:
        return http, classify(TABLE, http)
    code = str(error.code)
    found = classify(TABLE, code)
    if error.is_transient and found.failure not in _PASSING:
        return code, of_class(FailureClass.TRANSIENT)
    # What it means that the platform fails is known also where its code is not.
    return code, found if found.known or http not in ROWS[TABLE] else classify(TABLE, http)


def _is_taken(body: bytes) -> bool:
    try:
        return bool(msgspec.json.decode(body, type=_SentBody).messages)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


def _wait(headers: Mapping[str, str], wall: Callable[[], float]) -> float | None:
    """Seconds that the platform asks us to wait, or None."""
    said = retry_after(headers, wall)
    return _regained_in(headers.get(USAGE, "")) if said is None else said


def _regained_in(usage: str) -> float | None:
    """Seconds until calls are taken again: the longest that the header names for any of its accounts."""
    try:
        accounts = msgspec.json.decode(usage, type=dict[str, list[dict[str, Any]]])
    except msgspec.DecodeError:
        return None
    told = [one.get("estimated_time_to_regain_access") for limits in accounts.values() for one in limits]
    minutes = max((one for one in told if isinstance(one, int | float)), default=0)
    return min(minutes * 60.0, LONGEST_RETRY_AFTER) if minutes > 0 else None
