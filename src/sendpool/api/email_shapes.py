"""Emails and their operations as clients see them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from sendpool.api.content_shapes import shown_tags
from sendpool.api.email_schemas import Email, EmailAddress, EmailContent, EmailOperation, EmailOperationStats
from sendpool.api.message_shapes import paused
from sendpool.api.schemas import RelatedResource, instant, maybe_instant
from sendpool.domain import ids
from sendpool.domain.message import Content
from sendpool.domain.sender import Channel
from sendpool.domain.states import MessageState, OperationState
from sendpool.pipeline.email_templates import EmailTemplate
from sendpool.pipeline.liquid import Unrenderable
from sendpool.store.history import MessageRow
from sendpool.store.operations import OperationRow

#: Statuses of emails by state: nobody reads one, it is opened.
STATUSES = {int(state): "OPENED" if state is MessageState.READ else state.name for state in MessageState}


class Letter:
    """What the emails of one operation say, read from its content (JSON) once for all of them."""

    def __init__(self, stored: str) -> None:
        content = msgspec.json.decode(stored, type=Content)
        #: Empty where the operation's emails are deleted.
        self.module: Mapping[str, Any] = content.modules.get(Channel.EMAIL, {})
        self._template = EmailTemplate(self.module) if content.liquid else None

    @property
    def is_personal(self) -> bool:
        """Whether it reads differently for different recipients."""
        return self._template is not None

    def said_in(self, row: MessageRow) -> Mapping[str, Any]:
        """The module as one email's recipient reads it; what comes out unusable for them is shown as it was asked for.

        Nothing was sent in that case.
        """
        if self._template is None:
            return self.module
        values = msgspec.json.decode(row.variables, type=dict[str, str]) if row.variables else {}
        try:
            return self._template.fill(values, row.created_at)
        except Unrenderable:
            return {"text": "", **self.module}

    @property
    def weight(self) -> int:
        """Characters that a list shows of it for each email."""
        return sum(len(self.module.get(field, "")) for field in ("subject", "html", "text"))


def email(row: MessageRow, letter: Letter, base: str, *, files: bool) -> Email:
    """An email with its content; *files*: with the bytes of its attachments."""
    operation_id = ids.operation_id(row.place.operation_uid)
    related = RelatedResource(name="OPERATION", id=operation_id, uri=f"{base}/Emails/Operations/{operation_id}")
    deleted = row.deleted_at is not None
    return Email(
        id=ids.message_id(*row.place, ids.EMAIL),
        from_=_from(row, letter.module),
        to=[] if deleted else [EmailAddress(address=row.address, name=row.name or UNSET)],
        status=STATUSES[row.state],
        related=[related],
        tags=shown_tags(row.tags, row.variables, row.created_at),
        scheduled_for=maybe_instant(row.scheduled_for),
        created_at=instant(row.created_at),
        updated_at=instant(row.updated_at),
        deleted_at=maybe_instant(row.deleted_at),
        ambiguous=True if row.ambiguous else UNSET,
        content=UNSET if deleted else _content(letter.said_in(row), files=files),
    )


def _from(row: MessageRow, module: Mapping[str, Any]) -> EmailAddress:
    """Complete once a sender is bound, or where only one is possible; until then without an address."""
    name = module.get("fromName", UNSET)
    mailbox = msgspec.json.decode(row.origin).get("mailbox", "")
    pool_id: str | UnsetType = UNSET
    if row.pool_uid is not None and row.pool_kind == "pool":
        pool_id = ids.encode(ids.POOL, row.pool_uid)
    address = mailbox or (row.sender.address if row.sender else "")
    return EmailAddress(address=address, name=name, sender_pool_id=pool_id)


def _content(module: Mapping[str, Any], *, files: bool) -> EmailContent:
    attachments = module.get("attachments", UNSET)
    if not files and attachments is not UNSET:
        attachments = [{name: value for name, value in one.items() if name != "content"} for one in attachments]
    return EmailContent(subject=module["subject"], html=module["html"], text=module["text"], attachments=attachments)


def email_operation(row: OperationRow, estimate: str | UnsetType | None = UNSET) -> EmailOperation:
    """An operation with its eleven counters."""
    return EmailOperation(
        id=ids.operation_id(row.uid),
        status=OperationState(row.state).name,
        stats=EmailOperationStats(
            total=row.total,
            recipients=row.recipients,
            attempts=row.attempts,
            scheduled=row.scheduled,
            queued=row.queued,
            sent=row.sent,
            delivered=row.delivered,
            opened=row.read,
            undelivered=row.undelivered,
            failed=row.failed,
            canceled=row.canceled,
        ),
        created_at=instant(row.created_at),
        updated_at=instant(row.updated_at),
        estimated_completion=estimate if row.paused_at is None else None,
        paused=paused(row),
    )
