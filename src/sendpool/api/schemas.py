"""The shapes of answers, named as in the contract. Fields that are left out when unset have UNSET as their default."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

import msgspec
from msgspec import UNSET, Raw, UnsetType

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=4096)
def instant(microseconds: int) -> str:
    """RFC 3339 in UTC with milliseconds and a `Z`."""
    moment = _EPOCH + timedelta(microseconds=microseconds)
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


def maybe_instant(microseconds: int | None) -> str | None:
    """The same of a time that may never come."""
    return None if microseconds is None else instant(microseconds)


class Shape(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Anything that is answered."""


class Pagination(Shape, frozen=True, kw_only=True):
    """`next` is a token for `pageToken`, null on the last page; `self` a token (v1) or the page's URL (preview)."""

    next: str | None
    self: str | None


class OperationReference(Shape, frozen=True, kw_only=True):
    """The body of a 202 that made an operation."""

    operation_id: str
    operation_location: str


class ResourceReference(Shape, frozen=True, kw_only=True):
    """The body of a 202 that changed a resource."""

    resource_id: str
    resource_location: str


class Sender(Shape, frozen=True, kw_only=True):
    """A sender."""

    id: str
    display_name: str | None
    address: str
    channel: str
    status: str
    tags: Raw
    created_at: str
    updated_at: str


class SenderPage(Shape, frozen=True, kw_only=True):
    """A page of senders."""

    senders: list[Sender]
    pagination: Pagination


class SenderPool(Shape, frozen=True, kw_only=True):
    """A pool. `category` and `fallback_after` (seconds) are our extensions, present only when set."""

    id: str
    name: str
    tags: Raw
    created_at: str
    updated_at: str
    category: str | UnsetType = UNSET
    fallback_after: float | UnsetType = UNSET


class SenderPoolPage(Shape, frozen=True, kw_only=True):
    """A page of pools."""

    sender_pools: list[SenderPool]
    pagination: Pagination


class SenderPoolOperationStats(Shape, frozen=True, kw_only=True):
    """Memberships by what became of them."""

    total: int
    queued: int
    created: int
    failed: int


class SenderPoolOperation(Shape, frozen=True, kw_only=True):
    """An operation that changed a pool."""

    id: str
    status: str
    stats: SenderPoolOperationStats
    created_at: str
    updated_at: str


class SenderPoolOperationPage(Shape, frozen=True, kw_only=True):
    """A page of pool operations."""

    operations: list[SenderPoolOperation]
    pagination: Pagination


class MessageOperationStats(Shape, frozen=True, kw_only=True):
    """The twelve counters of a message operation."""

    total: int
    recipients: int
    attempts: int
    scheduled: int
    queued: int
    sent: int
    delivered: int
    read: int
    undelivered: int
    unaddressable: int
    failed: int
    canceled: int


class MessageOperation(Shape, frozen=True, kw_only=True):
    """An operation that made messages."""

    id: str
    status: str
    stats: MessageOperationStats
    created_at: str
    updated_at: str


class MessageOperationPage(Shape, frozen=True, kw_only=True):
    """A page of message operations."""

    operations: list[MessageOperation]
    pagination: Pagination


class Party(Shape, frozen=True, kw_only=True):
    """Who sends, or whom to: complete, or only the pool before a sender is bound."""

    address: str | UnsetType = UNSET
    channel: str | UnsetType = UNSET
    sender_id: str | UnsetType = UNSET
    sender_pool_id: str | UnsetType = UNSET


class RelatedResource(Shape, frozen=True, kw_only=True):
    """Something that a message belongs to."""

    name: str
    id: str
    uri: str


class MessageMetadata(Shape, frozen=True, kw_only=True):
    """A message as lists show it. `ambiguous` is our extension, present only when true."""

    id: str
    from_: Party = msgspec.field(name="from")
    to: list[Party]
    status: str
    related: list[RelatedResource]
    tags: Raw
    scheduled_for: str | None
    created_at: str
    updated_at: str
    deleted_at: str | None
    ambiguous: bool | UnsetType = UNSET


class AttemptError(Shape, frozen=True, kw_only=True):
    """Why an attempt failed, or that its fate was once unknown (30410)."""

    code: int
    message: str
    info_url: str


class MessageAttempt(Shape, frozen=True, kw_only=True):
    """One try: the documented fields and those that one client reads, which repeat them."""

    id: str
    from_: Party = msgspec.field(name="from")
    to: list[Party]
    status: str
    channel: str
    sender_id: str
    attempted_at: str
    created_at: str
    updated_at: str
    info_url: str
    error: AttemptError | UnsetType = UNSET


class Message(MessageMetadata, frozen=True, kw_only=True):
    """A message as a fetch shows it."""

    attempts: list[MessageAttempt]
    content: Raw


class MessagePage(Shape, frozen=True, kw_only=True):
    """A page of messages."""

    messages: list[MessageMetadata]
    pagination: Pagination


#: The bytes of any shape.
encode = msgspec.json.Encoder().encode
