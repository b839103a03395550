"""What the platform's answer to a message means: taken, refused, too fast, or worth another try."""

from __future__ import annotations

import re
from collections.abc import Callable
from time import time
from typing import NamedTuple

import msgspec

from sendpool.connectors.base import CarrierId, Outcome, Rejected, Throttled, Uncertain
from sendpool.connectors.web import Reply, retry_after
from sendpool.domain.failures import ROWS, FailureClass, classify

#: The platform or a proxy before it ran out of time: the message may be in (failover rules for unknown outcomes).
_IN_DOUBT = frozenset({502, 504})
#: Passing faults of the platform itself.
_PASSING = frozenset({499, 500, 503})
#: Refusals of the message itself: had an earlier try got in, this one would have too.
_FIRM = frozenset({400, 404})
#: A 429 about one person, not about the pace: "limit of messages to this user", not "per minute per user".
_ABOUT_ONE_PERSON = re.compile(
    r"\b(?:to|towards?|for|with)\s+(?:this|the|that)\s+(?:user|recipient|subscriber|phone|msisdn)\b|"
    r"\buser['’]s?\s+(?:\w+\s+)?(?:limit|quota)\b",
    re.IGNORECASE,
)


class Verdict(NamedTuple):
    """One answer, judged."""

    outcome: Outcome
    #: Try again with the same id.
    again: bool = False
    #: It settles also whether an earlier try got in.
    firm: bool = False


class _Error(msgspec.Struct, frozen=True):
    message: str = ""
    status: str = ""


class _ErrorBody(msgspec.Struct, frozen=True):
    error: _Error = _Error()


def judge(reply: Reply, message_id: str, wall: Callable[[], float] = time) -> Verdict:
    """Judge the answer to the message posted as *message_id*; *wall* is the time in seconds since 1970."""
    status = reply.status
    if 200 <= status < 300:
        if not _is_object(reply.body):
            return Verdict(Uncertain("the answer is none of the RBM API; check base_url"), again=True)
        return Verdict(CarrierId(message_id), firm=True)
    code = code_of(reply)
    found = classify("rcs", code)
    if found.failure is FailureClass.OK:
        # Our earlier try got in, although its answer was lost.
        return Verdict(CarrierId(message_id), firm=True)
    if status in _IN_DOUBT or (status >= 500 and not found.known):
        return Verdict(Uncertain(f"the platform answers {status}"), again=True)
    if found.failure is FailureClass.THROTTLED:
        return Verdict(Throttled(found.scope, retry_after(reply.headers, wall), code))
    refused = Rejected(found.failure, code, found.scope, found.rule)
    return Verdict(refused, again=status in _PASSING, firm=status in _FIRM)


def code_of(reply: Reply) -> str:
    """The code of a refusal as the class table spells it: "404", "400/FAILED_PRECONDITION", "429/user"."""
    try:
        error = msgspec.json.decode(reply.body, type=_ErrorBody).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        error = _Error()
    if reply.status == 429 and _ABOUT_ONE_PERSON.search(error.message):
        return "429/user"
    precise = f"{reply.status}/{error.status}"
    return precise if precise in ROWS["rcs"] else str(reply.status)


def _is_object(body: bytes) -> bool:
    try:
        msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True
