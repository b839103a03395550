"""What a simulated RCS platform does wrong, and when: the faults of `script` in RCS terms. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from math import inf
from typing import Annotated, Any, TypeVar, get_args

import msgspec
from msgspec import Meta

from sendpool.connectors.smpp.status import Status
from sendpool.simulate.fates import Fate, Fates
from sendpool.simulate.script import (
    Count,
    Drop,
    EarlyReceipt,
    Fault,
    NoAnswer,
    Outage,
    Refuse,
    RepeatReceipt,
    Script,
    ScriptError,
    Silence,
    SlowAnswer,
    SlowReceipt,
    Throttle,
    Undelivered,
    read_fault,
    span,
)

RCS_FAULT_HELP = """\
The faults of SMPP centres mean the same here: refuse status=404 (an HTTP
status; about=user or about=feature says so in its words), throttle mps=50
(429), silence (taken, never delivered, no word), undelivered (not before its
ttl is over), no-answer, slow-answer, slow-receipt, early-receipt,
repeat-receipt, drop, outage. source is the agent, destination the number.
Besides:

  no-rcs destination=*2       such numbers have no RCS: capabilities and sends
                              answer 404, bulk look-ups leave them out
  lost-event                  delivered, but nobody tells us
  revoke-fails                it cannot be taken back: DELETE answers 404, and
                              the end of the ttl TTL_EXPIRATION_REVOKE_FAILED
  slow-revoke seconds=20      carried out at once, answered late
  look-up-fails status=503    capability look-ups fail
  slow-look-up seconds=3      they take so long
  wrong-region destination=1* such numbers make a bulk look-up a 400
"""


class RefuseRequest(Refuse, frozen=True, kw_only=True, tag="refuse"):
    """Answer with the HTTP status `status`; nothing is taken."""

    status: str | int = 404
    #: What the error's words are about: "", "user" (its limit for this person) or "feature" (of the phone).
    about: Annotated[str, Meta(pattern="^(user|feature|)$")] = ""


class NoRcs(Fault, frozen=True, kw_only=True, tag="no-rcs"):
    """A number without RCS. `share` is drawn by number, so that look-ups and sends agree."""


class LostEvent(Fault, frozen=True, kw_only=True, tag="lost-event"):
    """Deliver it, but tell nobody."""


class RevokeFails(Fault, frozen=True, kw_only=True, tag="revoke-fails"):
    """Do not take it back, neither when asked nor at the end of its time."""


class SlowRevoke(Fault, frozen=True, kw_only=True, tag="slow-revoke"):
    """Answer a request to take back after so long, though it is carried out at once."""

    seconds: str | float


class LookUpFails(Fault, frozen=True, kw_only=True, tag="look-up-fails"):
    """Answer capability look-ups with `status`."""

    status: int = 503


class SlowLookUp(Fault, frozen=True, kw_only=True, tag="slow-look-up"):
    """Answer capability look-ups after so long."""

    seconds: str | float


class WrongRegion(Fault, frozen=True, kw_only=True, tag="wrong-region"):
    """A number of another region: a bulk look-up with such a one is refused whole."""


RcsFault = (
    RefuseRequest
    | Throttle
    | Silence
    | Undelivered
    | NoAnswer
    | SlowAnswer
    | SlowReceipt
    | EarlyReceipt
    | RepeatReceipt
    | Drop
    | Outage
    | NoRcs
    | LostEvent
    | RevokeFails
    | SlowRevoke
    | LookUpFails
    | SlowLookUp
    | WrongRegion
)
KINDS = tuple(str(kind.__struct_config__.tag) for kind in get_args(RcsFault))
_FaultT = TypeVar("_FaultT", bound=Fault)
#: Those about single messages that SMPP centres have too; their fates are drawn in the same way.
_SHARED = (
    RefuseRequest,
    Throttle,
    Silence,
    Undelivered,
    NoAnswer,
    SlowAnswer,
    SlowReceipt,
    EarlyReceipt,
    RepeatReceipt,
)


class RcsScript(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One simulated RCS platform: how it behaves when all is well, and its faults."""

    name: str = "rcs"
    host: str = "127.0.0.1"
    #: 0 takes a free port.
    port: Annotated[int, Meta(ge=0, le=65535)] = 8790
    seed: int = 1
    #: Agents that it knows; empty: every one.
    agents: tuple[str, ...] = ()
    #: A bearer token that it takes besides those it gives out; "": any.
    token: str = ""
    #: Seconds that a token holds which it gives out.
    token_life: Annotated[float, Meta(gt=0)] = 3600.0
    #: Where events are posted, and what they are signed with; "": no events.
    webhook: str = ""
    client_token: str = ""
    #: Seconds, fixed ("0.2") or drawn from a range ("0.1-0.5"): until the answer, and until the delivery.
    answer_delay: str | float = 0.0
    receipt_delay: str | float = 0.1
    #: Seconds from the delivery to the READ event; None: nobody reads.
    read_delay: str | float | None = None
    #: What a message id that was used before is answered with: 200, or 409.
    repeat_status: Annotated[int, Meta(ge=200, le=409)] = 200
    #: Events on their way to the webhook at one time.
    event_window: Count = 50
    #: Seconds until an event that was not acknowledged is posted again; doubling, up to 600.
    resend_after: Annotated[float, Meta(gt=0)] = 0.5
    faults: tuple[RcsFault, ...] = ()

    def __post_init__(self) -> None:
        for seconds in (self.answer_delay, self.receipt_delay, self.read_delay or 0.0):
            span(seconds)
        for fault in self.faults:
            _check(fault)


class RcsFate(msgspec.Struct, frozen=True, kw_only=True):
    """What the platform does with one message."""

    #: HTTP status; 200: taken.
    status: int
    about: str = ""
    answered: bool = True
    #: Seconds until the answer; until the delivery (`inf`: never); from there until it is read (None: never).
    answer_after: float = 0.0
    delivered_after: float = 0.0
    read_after: float | None = None
    early: bool = False
    #: How often each event is told; 0: never.
    told: int = 1
    revocable: bool = True


class RcsFates:
    """Decides for one platform. The same messages and numbers get the same fates on every run with one seed."""

    def __init__(self, script: RcsScript) -> None:
        self._script = script
        shared: Any = tuple(fault for fault in script.faults if isinstance(fault, _SHARED))
        self._shared = Fates(
            Script(
                port=0,
                seed=script.seed,
                answer_delay=script.answer_delay,
                receipt_delay=script.receipt_delay,
                faults=shared,
            )
        )
        self._about = [fault for fault in script.faults if isinstance(fault, RefuseRequest)]

    def of_message(self, agent: str, phone: str, said: bytes, elapsed: float) -> RcsFate:
        """Decide about a message at *elapsed* seconds; *said* is its content."""
        if not self.has_rcs(agent, phone, elapsed):
            return RcsFate(status=404)
        fate = self._shared.of_submit("", agent, phone, said, elapsed)
        if fate.status:
            return RcsFate(status=_http_status(fate), about=self._words(agent, phone, elapsed, fate.status))
        dead = not fate.receipts or fate.stat != "DELIVRD"
        lost = self._befalls(LostEvent, agent, phone, elapsed)
        return RcsFate(
            status=200,
            answered=fate.answered,
            answer_after=fate.answer_after,
            delivered_after=inf if dead else fate.receipt_after,
            read_after=self._read_after(phone, said),
            early=fate.early,
            told=0 if lost else fate.receipts,
            revocable=not self._befalls(RevokeFails, agent, phone, elapsed),
        )

    def has_rcs(self, agent: str, phone: str, elapsed: float) -> bool:
        """Whether *agent* reaches *phone*."""
        return not self._befalls(NoRcs, agent, phone, elapsed)

    def is_elsewhere(self, agent: str, phone: str, elapsed: float) -> bool:
        """Whether *phone* belongs to another region."""
        return self._befalls(WrongRegion, agent, phone, elapsed)

    def of_revoke(self, agent: str, phone: str, elapsed: float) -> float:
        """The seconds until a request to take back is answered."""
        slow = next(self._meant(SlowRevoke, agent, phone, elapsed), None)
        return 0.0 if slow is None else self._within("revoke", phone.encode(), slow.seconds)

    def of_look_up(self, agent: str, phone: str, elapsed: float) -> tuple[int, float]:
        """The status of a look-up (200: answer it) and the seconds that it takes."""
        failing = next(self._meant(LookUpFails, agent, phone, elapsed), None)
        slow = next(self._meant(SlowLookUp, agent, phone, elapsed), None)
        after = 0.0 if slow is None else self._within("look-up", phone.encode(), slow.seconds)
        return 200 if failing is None else failing.status, after

    def _befalls(self, kind: type[Fault], agent: str, phone: str, elapsed: float) -> bool:
        return any(True for _ in self._meant(kind, agent, phone, elapsed))

    def _meant(self, kind: type[_FaultT], agent: str, phone: str, elapsed: float) -> Iterator[_FaultT]:
        for index, fault in enumerate(self._script.faults):
            if not isinstance(fault, kind) or not fault.befalls("", agent, phone, elapsed):
                continue
            if fault.share >= 1.0 or self._draw(f"{index}", phone.encode()) < fault.share:
                yield fault

    def _words(self, agent: str, phone: str, elapsed: float, status: int) -> str:
        meant = (f for f in self._about if f.code == status and f.befalls("", agent, phone, elapsed))
        return next((fault.about for fault in meant), "")

    def _read_after(self, phone: str, said: bytes) -> float | None:
        delay = self._script.read_delay
        return None if delay is None else self._within("read", phone.encode() + b"\0" + said, delay)

    def _within(self, what: str, key: bytes, seconds: str | float) -> float:
        low, high = span(seconds)
        return low + (high - low) * self._draw(what, key)

    def _draw(self, what: str, key: bytes) -> float:
        """A number in [0, 1) that depends on the seed, what it is drawn for, and *key*."""
        digest = blake2b(b"%d\0%s\0%s" % (self._script.seed, what.encode(), key), digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2**64


def parse_rcs_fault(text: str) -> RcsFault:
    """Read one fault: "refuse status=403 share=0.1". Raises `ScriptError`."""
    fault: RcsFault = read_fault(text, KINDS, RcsFault, _check)
    return fault


def _http_status(fate: Fate) -> int:
    """An SMPP centre's answer to what is too fast, in HTTP terms; other statuses are those of the script."""
    return 429 if fate.status == Status.RTHROTTLED else fate.status


def _check(fault: RcsFault) -> None:
    """Raise `ScriptError` where a fault makes no sense."""
    shared: Any = fault
    Script(port=0, faults=(shared,))
    if isinstance(fault, SlowLookUp | SlowRevoke):
        span(fault.seconds)
    if isinstance(fault, RefuseRequest | LookUpFails):
        code = fault.code if isinstance(fault, RefuseRequest) else fault.status
        if not 400 <= code <= 599:
            raise ScriptError(f'status "{fault.status}" is no HTTP status of an error, such as 404')
