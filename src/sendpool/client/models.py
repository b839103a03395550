"""What the API answers, as typed values.

Fields are those of the contract; those that a server may leave out have a default, and unknown ones are ignored, so
that the same values serve Sendpool and the hosted API. Statuses and channels are texts: a newer server may know more.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")

#: Statuses of operations that change no more by themselves.
FINISHED = frozenset({"COMPLETED", "CANCELED", "FAILED"})


class Answer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Anything that is answered."""


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Some items of a list, and the token of the next page (None: this is the last one)."""

    items: list[T]
    next: str | None

    def __iter__(self) -> Iterator[T]:
        """The items of this page alone."""
        return iter(self.items)


class Accepted(Answer, frozen=True, kw_only=True):
    """A request that is under way, and the operation that counts what became of it."""

    operation_id: str
    operation_location: str
    #: When the last message will have left, where the server can say so (Sendpool).
    estimated_completion: datetime | None = None


class Changed(Answer, frozen=True, kw_only=True):
    """A change of one resource that is accepted."""

    resource_id: str
    resource_location: str


class Sender(Answer, frozen=True, kw_only=True):
    """One identity on one channel."""

    id: str
    address: str
    channel: str
    status: str
    display_name: str | None = None
    tags: dict[str, str] = {}
    created_at: datetime
    updated_at: datetime
    #: Of a member of a pool (Sendpool).
    weight: float | None = None
    tier: int | None = None


class ResolvedFrom(Answer, frozen=True, kw_only=True):
    """A sender that could send."""

    sender_id: str
    channel: str
    address: str | None = None
    display_name: str | None = None


class Address(Answer, frozen=True, kw_only=True):
    """Where a message goes: the address and its space (PHONE, WHATSAPP, EMAIL)."""

    address: str | None = None
    channel: str | None = None
    #: The profile that the person was named by.
    profile_id: str | None = None
    memory_store_id: str | None = None


class ResolvedPair(Answer, frozen=True, kw_only=True):
    """A sender and an address that it reaches; the lowest priority comes first."""

    from_: ResolvedFrom = msgspec.field(name="from")
    to: Address
    priority: int


class ResolvedPairs(Answer, frozen=True, kw_only=True):
    """The best pairs, ten at most."""

    results: list[ResolvedPair]


class SenderPool(Answer, frozen=True, kw_only=True):
    """Senders that are used interchangeably."""

    id: str
    name: str
    tags: dict[str, str] = {}
    created_at: datetime
    updated_at: datetime
    #: How it chooses a sender, and what its messages are for (Sendpool).
    preference: str | None = None
    category: str | None = None


class PoolStats(Answer, frozen=True, kw_only=True):
    """Memberships by what became of them."""

    total: int
    queued: int
    created: int
    failed: int


class PoolOperation(Answer, frozen=True, kw_only=True):
    """A change of a pool."""

    id: str
    status: str
    stats: PoolStats
    created_at: datetime
    updated_at: datetime

    @property
    def is_finished(self) -> bool:
        """Whether it changes no more."""
        return self.status in FINISHED


class Stats(Answer, frozen=True, kw_only=True):
    """How many messages of an operation are where; emails have `opened` instead of `read` and `unaddressable`."""

    total: int
    recipients: int
    attempts: int
    scheduled: int
    queued: int
    sent: int
    delivered: int
    undelivered: int
    failed: int
    canceled: int
    read: int = 0
    opened: int = 0
    unaddressable: int = 0


class Pause(Answer, frozen=True, kw_only=True):
    """Why an operation is paused (Sendpool): carriers refuse what it says."""

    since: datetime
    refused: int
    answers: int
    code: str
    rule: str


class Operation(Answer, frozen=True, kw_only=True):
    """What became of one send."""

    id: str
    status: str
    stats: Stats
    created_at: datetime
    updated_at: datetime
    #: When the last message will have left; None: not known (Sendpool).
    estimated_completion: datetime | None = None
    paused: Pause | None = None

    @property
    def is_finished(self) -> bool:
        """Whether nothing of it is scheduled or queued any more. Receipts may still come."""
        return self.status in FINISHED


class Party(Answer, frozen=True, kw_only=True):
    """Who sends: complete, or only the pool before a sender is bound."""

    address: str | None = None
    channel: str | None = None
    sender_id: str | None = None
    sender_pool_id: str | None = None
    #: The person who wrote, where the message came in.
    profile_id: str | None = None


class Related(Answer, frozen=True, kw_only=True):
    """Something that a message belongs to."""

    name: str
    id: str
    uri: str


class AttemptError(Answer, frozen=True, kw_only=True):
    """Why an attempt failed, or that its fate was once unknown (30410)."""

    code: int
    message: str
    info_url: str | None = None


class Attempt(Answer, frozen=True, kw_only=True):
    """One try through one sender."""

    status: str
    from_: Party | None = msgspec.field(name="from", default=None)
    to: list[Address] = []
    id: str | None = None
    attempted_at: datetime | None = None
    info_url: str | None = None
    error: AttemptError | None = None


class Message(Answer, frozen=True, kw_only=True):
    """A message. Lists leave `attempts` and `content` out (None)."""

    id: str
    status: str
    from_: Party = msgspec.field(name="from")
    to: list[Address]
    related: list[Related] = []
    tags: dict[str, str] = {}
    scheduled_for: datetime | None = None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None
    #: Whether nobody knows if the latest attempt left (Sendpool).
    ambiguous: bool = False
    #: What the button stands for with which a person answered (Sendpool).
    postback: str | None = None
    attempts: list[Attempt] | None = None
    content: dict[str, Any] | None = None


class Receipt(Answer, frozen=True, kw_only=True):
    """How far a message has come with one recipient."""

    to: Address
    status: str
    updated_at: datetime


class OperationError(Answer, frozen=True, kw_only=True):
    """A recipient that got no message (`context` is its place in the request), or a message that failed."""

    code: int
    message: str
    context: str | None = None
    info_url: str | None = None
    message_id: str | None = None
    to: Address | None = None
    created_at: datetime | None = None


class Mailbox(Answer, frozen=True, kw_only=True):
    """An email address with a name."""

    address: str | None = None
    name: str | None = None
    sender_id: str | None = None
    sender_pool_id: str | None = None


class Email(Answer, frozen=True, kw_only=True):
    """An email."""

    id: str
    status: str
    from_: Mailbox = msgspec.field(name="from")
    to: list[Mailbox]
    related: list[Related] = []
    tags: dict[str, str] = {}
    scheduled_for: datetime | None = None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None
    content: dict[str, Any] | None = None
