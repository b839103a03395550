"""What Twilio's answers and error codes mean: taken, refused, too fast, or nobody knows. Pure."""

from __future__ import annotations

from collections.abc import Callable
from time import time

import msgspec

from sendpool.connectors.base import CarrierId, Outcome, Uncertain
from sendpool.connectors.web import Reply, refusal, retry_after
from sendpool.domain.failures import ROWS, Classified, FailureClass, classify

#: The table of codes; the same codes come in answers and by callback.
TABLE = "twilio"
#: What a failure without a code counts as: unknown error.
NO_CODE = "30008"


class _Error(msgspec.Struct, frozen=True):
    code: int | None = None


class _Message(msgspec.Struct, frozen=True):
    sid: str
    status: str = ""
    error_code: int | str | None = None


def judge(reply: Reply, name: str, wall: Callable[[], float] = time) -> Outcome:
    """Judge the answer to a message that is *name* to us; *wall* is the time in seconds since 1970."""
    if 200 <= reply.status < 300:
        sid = _sid_of(reply.body)
        if sid is None:
            return Uncertain("the answer is none of Twilio's; check base_url")
        return CarrierId(name, sid)
    code, found = classify_reply(reply)
    return refusal(found, code, retry_after(reply.headers, wall), reply.status)


def classify_reply(reply: Reply) -> tuple[str, Classified]:
    """The code of a refusal ("21610", "503" where it has none), and what it means."""
    try:
        code = msgspec.json.decode(reply.body, type=_Error).code
    except (msgspec.DecodeError, UnicodeDecodeError):
        code = None
    http = str(reply.status)
    if code is None or (str(code) not in ROWS[TABLE] and http in ROWS[TABLE]):
        return (http, classify(TABLE, http)) if http in ROWS[TABLE] else (http, classify("http", http))
    return str(code), classify(TABLE, str(code))


def classify_failure(code: str) -> tuple[str, Classified]:
    """The code of a message that has failed after it was taken, and what it means."""
    found = classify(TABLE, code or NO_CODE)
    if found.failure in (FailureClass.OK, FailureClass.AMBIGUOUS) or not code:
        # A warning, or a doubt about something that is certain by now.
        return code or NO_CODE, classify(TABLE, NO_CODE)
    return code, found


def read_fate(body: bytes) -> tuple[str, str]:
    """Status and error code ("" without one) of a message that was asked for. Raises `ValueError`."""
    try:
        found = msgspec.json.decode(body, type=_Message)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ValueError("the answer is no message") from None
    return found.status, "" if found.error_code is None else str(found.error_code)


def _sid_of(body: bytes) -> str | None:
    try:
        return msgspec.json.decode(body, type=_Message).sid or None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
