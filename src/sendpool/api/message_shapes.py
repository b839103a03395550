"""Messages, attempts and operations as clients see them."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from sendpool.api.content_shapes import shown_content, shown_tags
from sendpool.api.schemas import (
    Addressee,
    AttemptError,
    AttemptSender,
    Message,
    MessageAddressee,
    MessageAttempt,
    MessageMetadata,
    MessageOperation,
    MessageOperationStats,
    OperationPause,
    Party,
    RelatedResource,
    instant,
    maybe_instant,
)
from sendpool.domain import ids
from sendpool.domain.failures import FailureClass, api_code, by_rule, of_class
from sendpool.domain.message import at_step, space_at_step
from sendpool.domain.sender import AddressSpace, Channel
from sendpool.domain.states import AttemptState, MessageState, OperationState, attempt_on_the_wire
from sendpool.store.history import AttemptRow, FoundMessage, MessageRow, SenderName
from sendpool.store.operations import OperationRow

#: Bits of an attempt's `marks`.
_TAKEN, _ONCE_AMBIGUOUS = 1, 2
#: The wire code of an attempt whose fate is or was unknown, and of one that failed without saying why.
_AMBIGUOUS_CODE, UNEXPLAINED_CODE = 30410, 30008

#: The content of a deleted message.
_NOTHING = "{}"

_SPACE = {space[0]: space.value for space in AddressSpace}
#: The address space that a channel's own addresses are seen in, and the channel of a space where none is known.
_SPACE_OF = {Channel.SMS: "PHONE", Channel.RCS: "PHONE", Channel.WHATSAPP: "WHATSAPP", Channel.EMAIL: "EMAIL"}
_CHANNEL_OF = {"P": "SMS", "W": "WHATSAPP", "E": "EMAIL"}


def _sender(name: SenderName, pool_id: str | UnsetType = UNSET) -> Party:
    return Party(
        address=name.address, channel=name.channel, sender_id=ids.encode(ids.SENDER, name.uid), sender_pool_id=pool_id
    )


def recipient(address: str, space: str, step: int = 0) -> Addressee:
    """Whom a step of the plan goes to, by the letter of the address space."""
    return Addressee(address=at_step(address, step), channel=_SPACE[space_at_step(space, step)])


def _to(row: MessageRow) -> MessageAddressee:
    """Whom the present step goes to, and by which profile the person was named."""
    profile_id, store_id = row.profile.split(" ") if row.profile else (UNSET, UNSET)
    return MessageAddressee(
        address=at_step(row.address, row.step),
        channel=_SPACE[space_at_step(row.space, row.step)],
        profile_id=profile_id,
        memory_store_id=store_id,
    )


def _from(row: MessageRow) -> Party:
    """Complete once a sender is bound, or where only one is possible; until then the pool."""
    pool_id = UNSET if row.pool_uid is None else ids.encode(ids.POOL, row.pool_uid)
    if row.sender is None:
        return Party(sender_pool_id=pool_id)
    return _sender(row.sender, pool_id if row.pool_kind == "pool" else UNSET)


def _inbound_parties(row: MessageRow) -> tuple[Party, MessageAddressee]:
    """Who wrote, and to which of our addresses.

    `senderId` names our sender that received it: the contract's shape wants one beside an address, and strict
    clients refuse the whole page without it.
    """
    channel = row.sender.channel if row.sender else _CHANNEL_OF[row.space]
    sender_id = ids.encode(ids.SENDER, row.sender.uid) if row.sender else UNSET
    ours = msgspec.json.decode(row.origin).get("to", "")
    return (
        Party(address=row.address, channel=channel, sender_id=sender_id),
        MessageAddressee(address=ours, channel=_SPACE_OF[Channel(channel)]),
    )


def message_metadata(row: MessageRow, base: str) -> MessageMetadata:
    """A message as lists show it; *base* is the absolute URL of this version."""
    related, told = [], {}
    if row.kind == "inbound":
        writer, receiver = _inbound_parties(row)
        told = msgspec.json.decode(row.origin)
        if (session := told.get("session")) is not None:
            related = [RelatedResource(name="SESSION", id=session, uri=f"{base}/Messages?sessionId={session}")]
    else:
        writer, receiver = _from(row), _to(row)
    operation_id = ids.operation_id(row.place.operation_uid)
    operation = RelatedResource(name="OPERATION", id=operation_id, uri=f"{base}/Messages/Operations/{operation_id}")
    return MessageMetadata(
        id=ids.message_id(*row.place),
        from_=writer,
        to=[receiver],
        status=MessageState(row.state).name,
        related=[operation, *related],
        tags=shown_tags(row.tags, row.variables, row.created_at),
        scheduled_for=maybe_instant(row.scheduled_for),
        created_at=instant(row.created_at),
        updated_at=instant(row.updated_at),
        deleted_at=maybe_instant(row.deleted_at),
        ambiguous=True if row.ambiguous else UNSET,
        postback=told.get("postback", UNSET) if row.deleted_at is None else UNSET,
    )


def message(found: FoundMessage, base: str, origin: str) -> Message:
    """A message as a fetch shows it; *origin* is the absolute URL that the versions lie below."""
    metadata = message_metadata(found.row, base)
    attempts = [_attempt(found.row, attempt, base, origin) for attempt in found.attempts]
    fields = {name: getattr(metadata, name) for name in metadata.__struct_fields__}
    content = found.content if found.row.deleted_at is None else _NOTHING
    shown = shown_content(content, found.row.variables, found.row.created_at)
    return Message(**fields, attempts=attempts, content=shown)


def _attempt(row: MessageRow, attempt: AttemptRow, base: str, origin: str) -> MessageAttempt:
    sid = ids.attempt_id(*row.place, attempt.n)
    sender_id = ids.encode(ids.SENDER, attempt.sender.uid)
    started = instant(attempt.started_at)
    status = attempt_on_the_wire(AttemptState(attempt.state), submitted=bool(attempt.marks & _TAKEN))
    return MessageAttempt(
        id=sid,
        from_=AttemptSender(address=attempt.sender.address, channel=attempt.sender.channel, sender_id=sender_id),
        to=[recipient(row.address, row.space, attempt.step)],
        status=status,
        channel=attempt.sender.channel,
        sender_id=sender_id,
        attempted_at=started,
        created_at=started,
        updated_at=instant(attempt.updated_at),
        info_url=f"{base}/Messages/Seek/{sid}",
        error=_error(attempt, status, origin),
    )


def _error(attempt: AttemptRow, status: str, origin: str) -> AttemptError | UnsetType:
    """Why it failed. An attempt that was ever ambiguous says so for good: that is its history."""
    if attempt.marks & _ONCE_AMBIGUOUS or attempt.state == AttemptState.AMBIGUOUS:
        code = _AMBIGUOUS_CODE
    elif status in ("FAILED", "UNDELIVERED"):
        code = _wire_code(attempt)
    else:
        return UNSET
    carrier = f" The carrier's code: {attempt.code}." if attempt.code else ""
    return AttemptError(
        code=code, message=f"{api_code(code).meaning}{carrier}", info_url=f"{origin}/docs/errors/{code}"
    )


def _wire_code(attempt: AttemptRow) -> int:
    """The `error.code` that the rule which decided names, or the class where that rule is gone from the table."""
    found = by_rule(attempt.rule) if attempt.rule else None
    if (found is None or not found.known) and attempt.failure is not None:
        found = of_class(FailureClass(attempt.failure))
    return (found.wire_code if found else None) or UNEXPLAINED_CODE


def paused(row: OperationRow) -> OperationPause | UnsetType:
    """Why an operation is paused, where it is."""
    if row.paused_at is None:
        return UNSET
    figures = {"refused": row.paused_filtered or 0, "answers": row.paused_answers or 0}
    return OperationPause(
        since=instant(row.paused_at), code=row.paused_code or "", rule=row.paused_rule or "", **figures
    )


def message_operation(row: OperationRow, estimate: str | UnsetType | None = UNSET) -> MessageOperation:
    """An operation with its twelve counters."""
    return MessageOperation(
        id=ids.operation_id(row.uid),
        status=OperationState(row.state).name,
        stats=MessageOperationStats(
            total=row.total,
            recipients=row.recipients,
            attempts=row.attempts,
            scheduled=row.scheduled,
            queued=row.queued,
            sent=row.sent,
            delivered=row.delivered,
            read=row.read,
            undelivered=row.undelivered,
            unaddressable=row.unaddressable,
            failed=row.failed,
            canceled=row.canceled,
        ),
        created_at=instant(row.created_at),
        updated_at=instant(row.updated_at),
        estimated_completion=estimate if row.paused_at is None else None,
        paused=paused(row),
    )
