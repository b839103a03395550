"""What a simulated WhatsApp platform does wrong, and when: the faults of `script` in terms of its Cloud API. Pure."""

from __future__ import annotations

from math import inf
from typing import Annotated, Any, get_args

import msgspec
from msgspec import Meta

from sendpool.connectors.smpp.status import Status
from sendpool.simulate.fates import Fates
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
    Silence,
    SlowAnswer,
    SlowReceipt,
    Throttle,
    Undelivered,
    read_fault,
    span,
)

WHATSAPP_FAULT_HELP = """\
The faults of SMPP centres mean the same here: refuse status=131056 (a code of
the API; http=400 its HTTP status), throttle mps=80 (130429), silence (taken,
sent, never delivered), undelivered err=131026 (failed, with such a code),
no-answer, slow-answer, slow-receipt, early-receipt (statuses before the
answer), repeat-receipt, drop, outage. source is the id of the number,
destination the recipient. Besides:

  closed-window destination=*2  who has not written to the number gets nothing
                                but templates: failed with 131047, or refused
                                with it where at_once=true
"""
#: Codes of the API (its page of error codes).
UNKNOWN_FAULT, TOO_FAST, WINDOW_CLOSED = 131000, 130429, 131047


class RefuseMessage(Refuse, frozen=True, kw_only=True, tag="refuse"):
    """Answer with the API's error `status`; nothing is taken."""

    status: str | int = UNKNOWN_FAULT
    http: Annotated[int, Meta(ge=400, le=599)] = 400


class ClosedWindow(Fault, frozen=True, kw_only=True, tag="closed-window"):
    """No free content to who has not written to the number."""

    #: Refused in the answer already, not only by webhook.
    at_once: bool = False


WhatsAppFault = (
    RefuseMessage
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
    | ClosedWindow
)
KINDS = tuple(str(kind.__struct_config__.tag) for kind in get_args(WhatsAppFault))
_SHARED = (
    RefuseMessage,
    Throttle,
    Silence,
    Undelivered,
    NoAnswer,
    SlowAnswer,
    SlowReceipt,
    EarlyReceipt,
    RepeatReceipt,
)


class Number(msgspec.Struct, frozen=True, kw_only=True):
    """A phone number of the business account, as the API tells of it."""

    id: str
    display_phone_number: str
    verified_name: str = "Sendpool"
    status: str = "CONNECTED"
    quality_rating: str = "GREEN"
    account_mode: str = "LIVE"
    platform_type: str = "CLOUD_API"
    #: STANDARD: 80 messages a second; HIGH: 1,000.
    throughput: str = "STANDARD"


NUMBER = Number(id="1065", display_phone_number="+1 203-445-8910")


class WhatsAppScript(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One simulated platform: how it behaves when all is well, and its faults."""

    name: str = "whatsapp"
    host: str = "127.0.0.1"
    #: 0 takes a free port.
    port: Annotated[int, Meta(ge=0, le=65535)] = 8791
    seed: int = 1
    business_account_id: str = "1020"
    numbers: tuple[Number, ...] = (NUMBER,)
    #: Names of approved templates; empty: every one.
    templates: tuple[str, ...] = ()
    #: The bearer token that it takes; "": any.
    token: str = ""
    #: Where events are posted, and what they are signed with; "": no events.
    webhook: str = ""
    app_secret: str = ""
    #: Seconds, fixed ("0.2") or drawn from a range ("0.1-0.5"): until the answer, and until the delivery.
    answer_delay: str | float = 0.0
    receipt_delay: str | float = 0.1
    #: Tell also that a message was sent on, before its delivery or failure.
    sent_status: bool = True
    #: Seconds from the delivery to the read status; None: nobody reads.
    read_delay: float | None = None
    #: Events on their way to the webhook at one time.
    event_window: Count = 50
    #: Seconds until an event that was not acknowledged is posted again; doubling, up to 600.
    resend_after: Annotated[float, Meta(gt=0)] = 0.5
    faults: tuple[WhatsAppFault, ...] = ()

    def __post_init__(self) -> None:
        for seconds in (self.answer_delay, self.receipt_delay):
            span(seconds)


class WhatsAppFate(msgspec.Struct, frozen=True, kw_only=True):
    """What the platform does with one message."""

    #: The API's code; 0: taken.
    code: int = 0
    http: int = 200
    answered: bool = True
    #: Seconds until the answer; until the delivery or the failure (`inf`: never).
    answer_after: float = 0.0
    ended_after: float = 0.0
    #: Why it fails in the end; 0: it is delivered.
    failure: int = 0
    early: bool = False
    #: How often each status is told.
    told: int = 1


class WhatsAppFates:
    """Decides for one platform. The same messages get the same fates on every run with one seed."""

    def __init__(self, script: WhatsAppScript) -> None:
        self._faults = script.faults
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

    def of_message(self, number: str, phone: str, said: bytes, elapsed: float, *, free: bool) -> WhatsAppFate:
        """Decide about a message at *elapsed* seconds; *said* is its content. *free*: the window has to be open."""
        fate = self._shared.of_submit("", number, phone, said, elapsed)
        if fate.status:
            return self._refused(fate.status, number, phone, elapsed)
        closed = self._closed(number, phone, elapsed) if free else None
        if closed is not None and closed.at_once:
            return WhatsAppFate(code=WINDOW_CLOSED, http=400)
        failed = 0 if fate.stat == "DELIVRD" else int(fate.err) if int(fate.err) > 1 else UNKNOWN_FAULT
        return WhatsAppFate(
            answered=fate.answered,
            answer_after=fate.answer_after,
            ended_after=fate.receipt_after if fate.receipts else inf,
            failure=WINDOW_CLOSED if closed is not None else failed,
            early=fate.early,
            told=max(fate.receipts, 1),
        )

    def _refused(self, status: int, number: str, phone: str, elapsed: float) -> WhatsAppFate:
        if status == Status.RTHROTTLED:
            return WhatsAppFate(code=TOO_FAST, http=429)
        meant = (f for f in self._faults if isinstance(f, RefuseMessage) and f.code == status)
        http = next((f.http for f in meant if f.befalls("", number, phone, elapsed)), 400)
        return WhatsAppFate(code=status, http=http)

    def _closed(self, number: str, phone: str, elapsed: float) -> ClosedWindow | None:
        faults = (fault for fault in self._faults if isinstance(fault, ClosedWindow))
        return next((fault for fault in faults if fault.befalls("", number, phone, elapsed)), None)


def parse_whatsapp_fault(text: str) -> WhatsAppFault:
    """Read one fault: "refuse status=131056 share=0.1". Raises `ScriptError`."""
    fault: WhatsAppFault = read_fault(text, KINDS, WhatsAppFault, lambda _: None)
    return fault
