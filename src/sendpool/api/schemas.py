"""The shapes of answers, named as in the contract. Fields that are left out when unset have UNSET as their default."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from sendpool.api.fields import (
    OURS,
    AttemptId,
    Count,
    MaybeTimestamp,
    MessageChannel,
    MessageId,
    MessageStatus,
    OperationId,
    OperationStatus,
    PoolId,
    PoolOperationStatus,
    ProfileId,
    RecipientChannel,
    ResolvedContent,
    SenderChannel,
    SenderId,
    SenderStatus,
    StoreId,
    Tags,
    Timestamp,
    Url,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant(microseconds: int) -> str:
    """RFC 3339 in UTC with milliseconds and a `Z`."""
    second, rest = divmod(microseconds, 1_000_000)
    return f"{_second(second)}.{rest // 1_000:03}Z"


@lru_cache(maxsize=4096)
def _second(second: int) -> str:
    return (_EPOCH + timedelta(seconds=second)).isoformat()[:-6]


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

    operation_id: OperationId
    operation_location: Url
    estimated_completion: Annotated[Timestamp | None, OURS] | UnsetType = UNSET


class ResourceReference(Shape, frozen=True, kw_only=True):
    """The body of a 202 that changed a resource."""

    resource_id: str
    resource_location: Url


class Sender(Shape, frozen=True, kw_only=True):
    """A sender. `weight` and `tier` are our extensions, present where the senders of a pool are listed."""

    id: SenderId
    display_name: str | None
    address: str
    channel: SenderChannel
    status: SenderStatus
    tags: Tags
    created_at: Timestamp
    updated_at: Timestamp
    weight: Annotated[float, OURS] | UnsetType = UNSET
    tier: Annotated[int, OURS] | UnsetType = UNSET


class SenderPage(Shape, frozen=True, kw_only=True):
    """A page of senders."""

    senders: list[Sender]
    pagination: Pagination


class ResolvedFrom(Shape, frozen=True, kw_only=True):
    """A sender that could send."""

    sender_id: SenderId
    display_name: str | None
    address: str | None
    channel: SenderChannel


class ResolvedTo(Shape, frozen=True, kw_only=True):
    """An address that it could send to."""

    address: str
    channel: str


class ResolvedPair(Shape, frozen=True, kw_only=True):
    """A sender and an address that it reaches. A lower priority comes first; pairs of the same take turns."""

    from_: ResolvedFrom = msgspec.field(name="from")
    to: ResolvedTo
    priority: Count


class ResolveSendersResponse(Shape, frozen=True, kw_only=True):
    """The best pairs, ten at most."""

    results: list[ResolvedPair]


class PoolCountries(Shape, frozen=True, kw_only=True):
    """Countries that a pool sends to, by their ISO codes."""

    allow: list[str] | UnsetType = UNSET
    deny: list[str] | UnsetType = UNSET


class PoolQuietHours(Shape, frozen=True, kw_only=True):
    """When a pool sends nothing, by the recipient's clock; and the categories that it sends all the same."""

    start: str
    end: str
    exempt: list[str] | UnsetType = UNSET


class PoolHealth(Shape, frozen=True, kw_only=True):
    """Whether a pool leaves the health of its senders out of account, and by what else than usual it judges them."""

    off: bool | UnsetType = UNSET
    min_sample: int | UnsetType = UNSET
    worse_by: float | UnsetType = UNSET
    trickle: float | UnsetType = UNSET
    #: Seconds.
    step: float | UnsetType = UNSET


class SenderPool(Shape, frozen=True, kw_only=True):
    """A pool. What says how it chooses, for how long (seconds) and what in doubt is ours, present only when set."""

    id: PoolId
    name: str
    tags: Tags
    created_at: Timestamp
    updated_at: Timestamp
    category: Annotated[str, OURS] | UnsetType = UNSET
    fallback_after: Annotated[float, OURS] | UnsetType = UNSET
    duplicates: Annotated[str, OURS] | UnsetType = UNSET
    open_outcome: Annotated[str, OURS] | UnsetType = UNSET
    preference: Annotated[str, OURS] | UnsetType = UNSET
    grace: Annotated[float, OURS] | UnsetType = UNSET
    reach: Annotated[list[str], OURS] | UnsetType = UNSET
    countries: Annotated[PoolCountries, OURS] | UnsetType = UNSET
    quiet_hours: Annotated[PoolQuietHours, OURS] | UnsetType = UNSET
    health: Annotated[PoolHealth, OURS] | UnsetType = UNSET


class SenderPoolPage(Shape, frozen=True, kw_only=True):
    """A page of pools."""

    sender_pools: list[SenderPool]
    pagination: Pagination


class SenderPoolOperationStats(Shape, frozen=True, kw_only=True):
    """Memberships by what became of them."""

    total: Count
    queued: Count
    created: Count
    failed: Count


class SenderPoolOperation(Shape, frozen=True, kw_only=True):
    """An operation that changed a pool."""

    id: OperationId
    status: PoolOperationStatus
    stats: SenderPoolOperationStats
    created_at: Timestamp
    updated_at: Timestamp


class SenderPoolOperationPage(Shape, frozen=True, kw_only=True):
    """A page of pool operations."""

    operations: list[SenderPoolOperation]
    pagination: Pagination


class MessageOperationStats(Shape, frozen=True, kw_only=True):
    """The twelve counters of a message operation."""

    total: Count
    recipients: Count
    attempts: Count
    scheduled: Count
    queued: Count
    sent: Count
    delivered: Count
    read: Count
    undelivered: Count
    unaddressable: Count
    failed: Count
    canceled: Count


class OperationPause(Shape, frozen=True, kw_only=True):
    """Why an operation is paused: carriers refused `refused` of its last `answers` for what it says."""

    since: Timestamp
    refused: int
    answers: int
    #: The carrier's code of the last refusal, and the row of the failure table.
    code: str
    rule: str


class MessageOperation(Shape, frozen=True, kw_only=True):
    """An operation that made messages."""

    id: OperationId
    status: OperationStatus
    stats: MessageOperationStats
    created_at: Timestamp
    updated_at: Timestamp
    estimated_completion: Annotated[Timestamp | None, OURS] | UnsetType = UNSET
    paused: Annotated[OperationPause, OURS] | UnsetType = UNSET


class MessageOperationPage(Shape, frozen=True, kw_only=True):
    """A page of message operations."""

    operations: list[MessageOperation]
    pagination: Pagination


class Party(Shape, frozen=True, kw_only=True):
    """Who sends: complete, or only the pool before a sender is bound."""

    address: str | UnsetType = UNSET
    channel: MessageChannel | UnsetType = UNSET
    sender_id: SenderId | UnsetType = UNSET
    sender_pool_id: PoolId | UnsetType = UNSET


class AttemptSender(Shape, frozen=True, kw_only=True):
    """The sender of one try."""

    address: str
    channel: MessageChannel
    sender_id: SenderId


class Addressee(Shape, frozen=True, kw_only=True):
    """Whom to: the address in use, and the space that it is one of (PHONE, WHATSAPP)."""

    address: str
    channel: RecipientChannel


class MessageAddressee(Addressee, frozen=True, kw_only=True):
    """The same with the profile that the recipient was named by."""

    profile_id: ProfileId | UnsetType = UNSET
    memory_store_id: StoreId | UnsetType = UNSET


class RelatedResource(Shape, frozen=True, kw_only=True):
    """Something that a message belongs to."""

    name: str
    id: str
    uri: Url


class MessageMetadata(Shape, frozen=True, kw_only=True):
    """A message as lists show it. `ambiguous` (present only when true) is our extension, and so is `postback`: what the
    button stands for with which a person answered.
    """

    id: MessageId
    from_: Party = msgspec.field(name="from")
    to: list[MessageAddressee]
    status: MessageStatus
    related: list[RelatedResource]
    tags: Tags
    scheduled_for: MaybeTimestamp
    created_at: Timestamp
    updated_at: Timestamp
    deleted_at: MaybeTimestamp
    ambiguous: Annotated[bool, OURS] | UnsetType = UNSET
    postback: Annotated[str, OURS] | UnsetType = UNSET


class AttemptError(Shape, frozen=True, kw_only=True):
    """Why an attempt failed, or that its fate was once unknown (30410)."""

    code: int
    message: str
    info_url: Url


class MessageAttempt(Shape, frozen=True, kw_only=True):
    """One try: the documented fields and those that one client reads, which repeat them."""

    id: AttemptId
    from_: AttemptSender = msgspec.field(name="from")
    to: list[Addressee]
    status: MessageStatus
    channel: MessageChannel
    sender_id: SenderId
    attempted_at: Timestamp
    created_at: Timestamp
    updated_at: Timestamp
    info_url: Url
    error: AttemptError | UnsetType = UNSET


class Message(MessageMetadata, frozen=True, kw_only=True):
    """A message as a fetch shows it."""

    attempts: list[MessageAttempt]
    content: ResolvedContent


class MessagePage(Shape, frozen=True, kw_only=True):
    """A page of messages."""

    messages: list[MessageMetadata]
    pagination: Pagination


class Receipt(Shape, frozen=True, kw_only=True):
    """How far a message has come with one recipient."""

    to: MessageAddressee
    status: MessageStatus
    updated_at: Timestamp


class ReceiptPage(Shape, frozen=True, kw_only=True):
    """A page of receipts."""

    receipts: list[Receipt]
    pagination: Pagination


class OperationError(Shape, frozen=True, kw_only=True):
    """A recipient that got no message (`context`: its place in the request), or a message that failed."""

    code: int
    message: str
    context: str | UnsetType = UNSET
    info_url: Url
    message_id: MessageId | UnsetType = UNSET
    to: Addressee
    created_at: Timestamp


class OperationErrorPage(Shape, frozen=True, kw_only=True):
    """A page of errors."""

    errors: list[OperationError]
    pagination: Pagination


class ContentTemplate(Shape, frozen=True, kw_only=True, rename=None):
    """A template; our own addition, spelled as the hosted Content API does."""

    sid: str
    friendly_name: str
    language: str
    variables: dict[str, str]
    types: dict[str, Any]
    date_created: str
    date_updated: str
    url: str


class ContentTemplatePage(Shape, frozen=True, kw_only=True):
    """A page of templates."""

    contents: list[ContentTemplate]
    pagination: Pagination


#: The bytes of any shape.
encode = msgspec.json.Encoder().encode
