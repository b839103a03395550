"""What customers are told: the types of events, and each as a CloudEvent (contract behaviour §14)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from sendpool.domain.states import MessageState, OperationState

_PREFIX = "com.twilio.comms-api."
_SCHEMAS = "https://events-schemas.twilio.com/CommsApi."

#: An operation's event numbers start here, above any of a message (63 attempts * 16 + 15).
OPERATION_EVENT = 1024
#: The number, within an attempt's sixteen, of the event that it ended without ending its message; and of the event
#: that a receipt came after its message had ended.
ATTEMPT_ENDED, LATE_RECEIPT = 12, 13

#: Type and schema of what the contract knows, by the ordinal within an attempt's sixteen.
_OF_MESSAGES = {
    int(MessageState.QUEUED): ("message.queued", "MessageQueued/3"),
    int(MessageState.SENT): ("message.sent", "MessageSent/4"),
    int(MessageState.DELIVERED): ("message.delivered", "MessageDelivered/4"),
    int(MessageState.READ): ("message.read", "MessageRead/4"),
    int(MessageState.UNDELIVERED): ("message.undelivered", "MessageUndelivered/4"),
    int(MessageState.FAILED): ("message.failed", "MessageFailed/4"),
    int(MessageState.INBOUND): ("message.inbound-received", "MessageInbound/2"),
}
_OF_OPERATIONS = {
    int(OperationState.SCHEDULED): ("operation.scheduled", "OperationScheduled/2"),
    int(OperationState.PROCESSING): ("operation.processing", "OperationProcessing/2"),
    int(OperationState.COMPLETED): ("operation.completed", "OperationCompleted/2"),
}
#: What is only ours.
_OURS = {
    int(MessageState.SCHEDULED): "sendpool.message.scheduled",
    int(MessageState.CANCELED): "sendpool.message.canceled",
    ATTEMPT_ENDED: "sendpool.attempt.ended",
    LATE_RECEIPT: "sendpool.receipt.late",
}
_OPERATION_CANCELED = "sendpool.operation.canceled"


class EventType(NamedTuple):
    """The name of a type, and where its schema is; None: it is ours, and has none yet."""

    name: str
    schema: str | None


def type_of(number: int) -> EventType:
    """The type of the event that a row's number stands for. Raises KeyError for a number that no event has."""
    if number >= OPERATION_EVENT:
        known = _OF_OPERATIONS.get(number - OPERATION_EVENT)
        if known is None and number - OPERATION_EVENT == OperationState.CANCELED:
            return EventType(_OPERATION_CANCELED, None)
    else:
        known = _OF_MESSAGES.get(number % 16)
    if known is None:
        return EventType(_OURS[number % 16], None)
    name, schema = known
    return EventType(_PREFIX + name, _SCHEMAS + schema)


class CloudEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event as it is handed over (CloudEvents 1.0, JSON)."""

    specversion: str
    #: The same each time that it is told.
    id: str
    source: str
    type: str
    datacontenttype: str
    #: RFC 3339 in UTC.
    time: str
    data: Mapping[str, Any]
    dataschema: str | None = None


def cloud_event(subject: str, number: int, account_sid: str, time: str, data: Mapping[str, Any]) -> CloudEvent:
    """The event that *number* is of a *subject* (public id of a message or an operation). Raises KeyError."""
    kind = type_of(number)
    return CloudEvent(
        specversion="1.0",
        id=f"{subject}.{number}",
        source=f"urn:sendpool:{account_sid}",
        type=kind.name,
        datacontenttype="application/json",
        time=time,
        data={name: value for name, value in data.items() if value is not None},
        dataschema=kind.schema,
    )
