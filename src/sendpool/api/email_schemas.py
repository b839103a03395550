"""The shapes of emails in answers, named as in the contract."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from sendpool.api.fields import (
    OURS,
    Count,
    EmailId,
    EmailStatus,
    MaybeTimestamp,
    OperationId,
    OperationStatus,
    PoolId,
    Tags,
    Timestamp,
)
from sendpool.api.schemas import OperationPause, Pagination, RelatedResource, Shape


class EmailOperationStats(Shape, frozen=True, kw_only=True):
    """The eleven counters of an email operation."""

    total: Count
    recipients: Count
    attempts: Count
    scheduled: Count
    queued: Count
    sent: Count
    delivered: Count
    opened: Count
    undelivered: Count
    failed: Count
    canceled: Count


class EmailOperation(Shape, frozen=True, kw_only=True):
    """An operation that made emails."""

    id: OperationId
    status: OperationStatus
    stats: EmailOperationStats
    created_at: Timestamp
    updated_at: Timestamp
    estimated_completion: Annotated[Timestamp | None, OURS] | UnsetType = UNSET
    paused: Annotated[OperationPause, OURS] | UnsetType = UNSET


class EmailOperationPage(Shape, frozen=True, kw_only=True):
    """A page of email operations."""

    operations: list[EmailOperation]
    pagination: Pagination


class EmailAddress(Shape, frozen=True, kw_only=True):
    """Who writes, or whom to. `sender_pool_id` is our extension; until it has bound a sender, the address is empty."""

    address: str
    name: str | UnsetType = UNSET
    sender_pool_id: Annotated[PoolId, OURS] | UnsetType = UNSET


class EmailContent(Shape, frozen=True, kw_only=True):
    """What an email says. In lists, attachments come without their bytes (`content`)."""

    subject: str
    html: str
    text: str
    attachments: list[dict[str, Any]] | UnsetType = UNSET


class Email(Shape, frozen=True, kw_only=True):
    """An email. `ambiguous` is our extension, present only when true; a deleted email has no content."""

    id: EmailId
    from_: EmailAddress = msgspec.field(name="from")
    to: list[EmailAddress]
    status: EmailStatus
    related: list[RelatedResource]
    tags: Tags
    scheduled_for: MaybeTimestamp
    created_at: Timestamp
    updated_at: Timestamp
    deleted_at: MaybeTimestamp
    ambiguous: Annotated[bool, OURS] | UnsetType = UNSET
    content: EmailContent | UnsetType = UNSET


class EmailPage(Shape, frozen=True, kw_only=True):
    """A page of emails."""

    emails: list[Email]
    pagination: Pagination
