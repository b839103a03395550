"""What a connector is given, what it must do, and what it may say back.

A connector is a live link to one carrier account. It sees `domain/` and this file only: it is handed
an `Inbox` and never calls a stage of the pipeline itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple, Protocol

import msgspec

from sendpool.domain.failures import FailureClass
from sendpool.domain.message import Content
from sendpool.domain.sender import Channel


class SenderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A sender as its connection's configuration declares it."""

    channel: Channel
    address: str
    display_name: str | None = None
    #: Segments a second; None takes the channel's default.
    mps: float | None = None
    burst: float | None = None
    #: Whatever else the `[[connections.senders]]` table holds (for example `ton`, `npi`).
    options: Mapping[str, Any] = {}


class ConnectionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One `[[connections]]` table; `options` holds the keys that belong to its type alone."""

    name: str
    type: str
    #: Segments a second over all senders of the connection; None: no limit of its own.
    mps: float | None = None
    burst: float | None = None
    #: Submits in flight; None takes the connector's default (10 for SMPP).
    window: int | None = None
    senders: tuple[SenderSettings, ...] = ()
    options: Mapping[str, Any] = {}


class AttemptKey(NamedTuple):
    """Attempt `n` (from 1) of a message; `message_id` is the store's integer."""

    message_id: int
    n: int


class Submission(NamedTuple):
    """One attempt to hand over: every segment of it goes through this one sender."""

    attempt: AttemptKey
    channel: Channel
    #: The sender's address as declared ("+12034458910", "INFO", "62442", an agent id).
    sender: str
    #: The recipient's address (E.164 with "+").
    recipient: str
    #: Interned per operation: the same object for every recipient who gets the same text.
    content: Content
    #: How many carrier-sized parts the store charged for.
    segments: int
    #: Concatenation reference (0-255), stored with the attempt; meaningless for one segment.
    reference: int
    #: Seconds the message is still useful, or None for the carrier's own default.
    validity: int | None
    #: Bit i set: part i+1 is wanted. Normally all; fewer when only some parts go again.
    parts: int
    #: The sender's own options from the configuration.
    options: Mapping[str, Any]


class CarrierId(NamedTuple):
    """The carrier took the segment and calls it so (normalised as receipts will name it)."""

    id: str


class Rejected(NamedTuple):
    """A firm no: nothing was accepted. `code` is the carrier's own, as text ("0x0A", "131026")."""

    failure: FailureClass
    code: str
    #: What the refusal indicts: message, pair, sender, sender_country, connection or account.
    scope: str = "message"
    #: `Classified.rule` of the row that decided ("smpp/0x0a"); "" where the connector knew the class by itself.
    rule: str = ""


class Throttled(NamedTuple):
    """Too fast; surely not accepted. Not a failure of the message: its scope pauses."""

    #: "sender" or "connection" ("pair" for one recipient).
    scope: str
    #: Seconds the carrier asked for, or None.
    retry_after: float | None
    code: str


class Unavailable(NamedTuple):
    """Nothing left us: the link was down."""

    reason: str


class Uncertain(NamedTuple):
    """It may have left: a timeout, a cut link, a crash of the peer after the write."""

    reason: str


Outcome = CarrierId | Rejected | Throttled | Unavailable | Uncertain


class ReceiptState(IntEnum):
    """What a receipt says about one segment; the first two are not final."""

    PROGRESS = 0
    #: The carrier does not know (stat UNKNOWN); evidence, but no decision.
    UNKNOWN = 1
    DELIVERED = 2
    READ = 3
    UNDELIVERED = 4
    #: The carrier gave up because the validity period passed.
    EXPIRED = 5
    REVOKED = 6


class Receipt(NamedTuple):
    """The carrier's later word on one segment."""

    #: As `CarrierId.id` named it, normalised by the connector.
    carrier_id: str
    state: ReceiptState
    #: Set when the state is a failure.
    failure: FailureClass | None
    #: The carrier's own code as text ("034", "UNDELIV"); empty where there is none.
    code: str
    #: `Classified.rule` of the row that decided ("smpp.stat/UNDELIV"); "" where the state is no failure.
    rule: str = ""


class Inbound(NamedTuple):
    """A text that a person sent to one of our senders."""

    channel: Channel
    #: The person's address.
    sender: str
    #: Our sender's address.
    recipient: str
    text: str
    #: The carrier's id of it where it gave one, for dropping repeats.
    carrier_id: str | None = None


class Inbox(Protocol):
    """Where a connector says what happened. One per connection; call it from the event loop only.

    Hand over what one socket read brought in one call: everything behind it is set-based.
    """

    def outcomes(self, items: Sequence[tuple[AttemptKey, int, Outcome]]) -> None:
        """What became of segments; the int is the part, from 1. Each part gets exactly one final outcome.

        An outcome that comes later for a part already `Uncertain` (a late response) is welcome and settles it.
        """

    def receipts(self, items: Sequence[Receipt]) -> Awaitable[None]:
        """Store receipts. Acknowledge to the carrier when this resolves; on an exception ask for a repeat."""

    def inbound(self, items: Sequence[Inbound]) -> Awaitable[None]:
        """Store inbound texts. Acknowledge when this resolves."""

    def link(self, *, up: bool, window: int, detail: str = "") -> None:
        """Say how many segments may be in flight now (0 when down) and, in plain words, why."""


class Connector(Protocol):
    """A live link to one carrier account, shared by the senders behind it."""

    async def open(self, inbox: Inbox) -> None:
        """Start connecting and return at once; reconnect by yourself for ever. Say `inbox.link` on each change.

        Whatever the carrier says unasked goes to *inbox*.
        """

    async def submit(self, batch: Sequence[Submission]) -> None:
        """Hand over a batch; return when it is written (or queued behind a full window).

        What became of each segment comes to the inbox: a carrier id, `Rejected` (a firm no), `Throttled` (later,
        not counted as an attempt), `Unavailable` (nothing left us) or `Uncertain` (it may have: await a receipt).
        Never raises for what a carrier did.
        """

    async def close(self) -> None:
        """Finish what is in flight (bounded by the response timer), then disconnect."""
