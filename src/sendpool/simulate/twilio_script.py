"""How a simulated Twilio account behaves: what it has, how fast it is, and its faults. Pure."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from sendpool.simulate.script import Count, span
from sendpool.simulate.web_faults import WebFault

TWILIO_FAULT_HELP = """\
The faults of SMPP centres mean the same here: refuse status=21610 (a code of
the API; http=400 its HTTP status, retry_after=5 a Retry-After), throttle
mps=80 (20429), silence, undelivered err=30003 (with such an ErrorCode),
no-answer, slow-answer, slow-receipt, early-receipt, repeat-receipt, drop,
outage. source is the sender, destination the recipient.
"""


class Number(msgspec.Struct, frozen=True, kw_only=True):
    """A phone number of the account."""

    phone_number: str
    friendly_name: str = "Sendpool"
    sms: bool = True
    status: str = "in-use"


NUMBER = Number(phone_number="+12034458910")


class TwilioScript(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One simulated account: how it behaves when all is well, and its faults."""

    name: str = "twilio"
    host: str = "127.0.0.1"
    #: 0 takes a free port.
    port: Annotated[int, Meta(ge=0, le=65535)] = 8793
    seed: int = 1
    account_sid: str = "AC00000000000000000000000000000001"
    #: The password of requests, and what callbacks are signed with.
    auth_token: str = "12345"  # noqa: S105  # of no account
    #: A shared key (id, secret) that callbacks are signed with in place of the token.
    signing_key: tuple[str, str] | None = None
    numbers: tuple[Number, ...] = (NUMBER,)
    short_codes: tuple[str, ...] = ()
    #: Messaging services, which pick the first number.
    services: tuple[str, ...] = ()
    #: Where messages of people are posted; "": nowhere. Statuses go where each message says.
    inbound: str = ""
    #: Seconds, fixed ("0.2") or drawn from a range ("0.1-0.5"): until the answer, and until the delivery.
    answer_delay: str | float = 0.0
    receipt_delay: str | float = 0.1
    #: Tell also that a message was sent on, before its delivery or failure.
    sent_status: bool = True
    #: Callbacks on their way at one time, and seconds until the first repeat of one (where the address asks for any).
    callback_window: Count = 50
    resend_after: Annotated[float, Meta(gt=0)] = 0.2
    faults: tuple[WebFault, ...] = ()

    def __post_init__(self) -> None:
        for seconds in (self.answer_delay, self.receipt_delay):
            span(seconds)
