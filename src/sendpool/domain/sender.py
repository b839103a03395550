"""Who sends: channels and senders as immutable values."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from sendpool.domain.destinations import ANYWHERE, Destinations


class Channel(StrEnum):
    """How a message travels. MMS is SMS with media, so it has no value of its own."""

    SMS = "SMS"
    RCS = "RCS"
    WHATSAPP = "WHATSAPP"
    EMAIL = "EMAIL"


class AddressSpace(StrEnum):
    """What a recipient's address means; PHONE is reached over SMS and RCS."""

    PHONE = "PHONE"
    WHATSAPP = "WHATSAPP"
    EMAIL = "EMAIL"


#: Segments a second of a sender whose configuration names no `mps` (design §9).
DEFAULT_MPS = {Channel.SMS: 1.0, Channel.WHATSAPP: 80.0, Channel.RCS: 20.0, Channel.EMAIL: 10.0}


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """One identity on one channel, carried by one connection."""

    id: int
    uid: bytes
    account_id: int
    connection_id: int
    channel: Channel
    address: str
    #: Segments a second.
    mps: float
    #: Segments that may leave at once after a pause; None: `max(1, 0.05 * mps)`.
    burst: float | None = None
    active: bool = True
    #: It, or its connection, is to start nothing new, and goes on later: what waits for it alone keeps waiting.
    drained: bool = False
    #: Of EMAIL: it sends for every mailbox of its address's domain; its own is that of who names none.
    whole_domain: bool = False
    #: The countries that it sends to, and what that hangs on.
    destinations: Destinations = ANYWHERE
