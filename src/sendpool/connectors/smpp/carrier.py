"""What the sessions of one connection share, and as what each of them binds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import NamedTuple

from sendpool.connectors.base import Inbox
from sendpool.connectors.smpp.inbound import InboundReader
from sendpool.connectors.smpp.pdu import Command
from sendpool.connectors.smpp.receipts import ReceiptReader
from sendpool.connectors.smpp.settings import SmppSettings
from sendpool.connectors.smpp.window import PartKey, Shared


class Role(Enum):
    """What a session binds as (SMPP 3.4 §2.2)."""

    TRANSCEIVER = "transceiver"
    TRANSMITTER = "transmitter"
    RECEIVER = "receiver"

    @property
    def command(self) -> Command:
        """The command by which it binds."""
        return Command[f"BIND_{self.name}"]

    @property
    def submits(self) -> bool:
        """Whether it may submit."""
        return self is not Role.RECEIVER

    @property
    def receives(self) -> bool:
        """Whether receipts and inbound texts come over it."""
        return self is not Role.TRANSMITTER


def _nothing_told(up: bool, detail: str) -> None:
    """Nobody wants to hear of the link."""


def _nothing_heard() -> None:
    """Nobody wants to hear of congestion."""


class Carrier(NamedTuple):
    """What sessions of one connection share."""

    name: str
    settings: SmppSettings
    #: Submits that may be unanswered on one session.
    window: int
    inbox: Inbox
    receipts: ReceiptReader
    inbound: InboundReader
    shared: Shared
    #: Called with (up, detail) when the link changes.
    link: Callable[[bool, str], None] = _nothing_told
    #: Called when a session's `congestion` was heard anew.
    congested: Callable[[], None] = _nothing_heard
    #: Asked when a session is lost: the parts that wait and that no other session will submit.
    stranded: Callable[[], Sequence[PartKey]] = tuple


class SessionEnd(NamedTuple):
    """How a session ended."""

    reason: str
    #: command_status of a refused bind.
    refused: int | None
    #: Seconds for which it was bound; 0 if never.
    bound_for: float
