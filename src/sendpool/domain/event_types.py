"""The catalogue of event types: what each tells of, and the JSON Schema of its data (contract behaviour §14).

The ten types of the contract keep its names and schema versions; what only Sendpool tells has a namespace of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from sendpool.domain.states import MessageState, OperationState

PREFIX = "com.twilio.comms-api."
OURS = "sendpool."
#: Where the schemas of the contract's types are said to be.
SCHEMAS = "https://events-schemas.twilio.com/"
#: What asks a sink whether it is there.
TEST_EVENT = "com.twilio.eventstreams.test-event"

#: An operation's event numbers start here, above any of a message (63 attempts * 16 + 15).
OPERATION_EVENT = 1024
#: A notice's: what is told of a sender, a connection or a receipt that belongs to nobody.
NOTICE_EVENT = 2048
#: The number, within an attempt's sixteen, of the event that it ended without ending its message; and of the event
#: that a receipt came after its message had ended.
ATTEMPT_ENDED, LATE_RECEIPT = 12, 13


class EventKind(NamedTuple):
    """A type of event."""

    name: str
    #: Of its data: "CommsApi.MessageSent", and the version.
    schema_id: str
    version: int
    description: str
    #: The fields of its data: "operation", "message", "inbound" or "notice".
    about: str

    @property
    def schema(self) -> str:
        """The URI by which an event names the schema of its data."""
        return f"{SCHEMAS}{self.schema_id}/{self.version}"


def _contract(name: str, schema: str, version: int, description: str, about: str = "message") -> EventKind:
    return EventKind(PREFIX + name, f"CommsApi.{schema}", version, description, about)


def _ours(name: str, schema: str, description: str, about: str = "message") -> EventKind:
    return EventKind(OURS + name, f"Sendpool.{schema}", 1, description, about)


#: By the ordinal within an attempt's sixteen.
OF_MESSAGES: Mapping[int, EventKind] = MappingProxyType(
    {
        int(MessageState.QUEUED): _contract("message.queued", "MessageQueued", 3, "A message waits to be sent"),
        int(MessageState.SENT): _contract("message.sent", "MessageSent", 4, "A carrier took an attempt of a message"),
        int(MessageState.DELIVERED): _contract("message.delivered", "MessageDelivered", 4, "A message was delivered"),
        int(MessageState.READ): _contract("message.read", "MessageRead", 4, "A message was read"),
        int(MessageState.UNDELIVERED): _contract(
            "message.undelivered", "MessageUndelivered", 4, "A message ended without being delivered"
        ),
        int(MessageState.FAILED): _contract("message.failed", "MessageFailed", 4, "A message ended without being sent"),
        int(MessageState.INBOUND): _contract(
            "message.inbound-received", "MessageInbound", 2, "A sender received a message", "inbound"
        ),
        int(MessageState.SCHEDULED): _ours(
            "message.scheduled", "MessageScheduled", "A message waits for the time that it was asked for"
        ),
        int(MessageState.CANCELED): _ours("message.canceled", "MessageCanceled", "A message was taken back"),
        ATTEMPT_ENDED: _ours("attempt.ended", "AttemptEnded", "An attempt ended without ending its message"),
        LATE_RECEIPT: _ours("receipt.late", "ReceiptLate", "A receipt came after its message had ended"),
    }
)
#: By the number less `OPERATION_EVENT`.
OF_OPERATIONS: Mapping[int, EventKind] = MappingProxyType(
    {
        int(OperationState.SCHEDULED): _contract(
            "operation.scheduled", "OperationScheduled", 2, "An operation waits for its time", "operation"
        ),
        int(OperationState.PROCESSING): _contract(
            "operation.processing", "OperationProcessing", 2, "Messages of an operation are being sent", "operation"
        ),
        int(OperationState.COMPLETED): _contract(
            "operation.completed", "OperationCompleted", 2, "Nothing of an operation waits any more", "operation"
        ),
        int(OperationState.CANCELED): _ours(
            "operation.canceled", "OperationCanceled", "An operation was taken back", "operation"
        ),
    }
)
#: By name.
NOTICES: Mapping[str, EventKind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            _ours("sender.health-changed", "SenderHealthChanged", "A sender gets more or less to send", "notice"),
            _ours("receipts.broken", "ReceiptsBroken", "The receipts of a sender do not come any more", "notice"),
            _ours("receipts.mended", "ReceiptsMended", "The receipts of a sender come again", "notice"),
            _ours("operation.paused", "OperationPaused", "Carriers refuse what an operation says; it waits", "notice"),
            _ours("connection.up", "ConnectionUp", "A connection can send", "notice"),
            _ours("connection.down", "ConnectionDown", "A connection cannot send", "notice"),
            _ours("connection.refused", "ConnectionRefused", "A carrier refuses or takes an account again", "notice"),
            _ours("throughput.throttled", "ThroughputThrottled", "A carrier asked for a pause", "notice"),
            _ours("receipt.unmatched", "ReceiptUnmatched", "Receipts belong to no message that we know", "notice"),
        )
    }
)
#: Every type, by name.
KINDS: Mapping[str, EventKind] = MappingProxyType(
    {kind.name: kind for kind in (*OF_OPERATIONS.values(), *OF_MESSAGES.values(), *NOTICES.values())}
)


def kind_of(number: int, notice: str = "") -> EventKind:
    """The type of the event that a row's number stands for; of a notice, the one with that name. Raises KeyError."""
    if number < OPERATION_EVENT:
        return OF_MESSAGES[number % 16]
    return OF_OPERATIONS[number - OPERATION_EVENT] if number < NOTICE_EVENT else NOTICES[notice]


# ---------------------------------------------------------------- schemas

_TEXT = {"type": "string"}
_PARTY = {
    "type": "object",
    "properties": {"id": _TEXT, "address": _TEXT, "channel": _TEXT},
    "additionalProperties": False,
}
_TAGS = {"type": "object", "additionalProperties": _TEXT}
_OPERATION = {"operation_id": _TEXT}
_MESSAGE = {
    **_OPERATION,
    "message_id": _TEXT,
    "account_sid": {"type": "string", "maxLength": 64},
    "downstream_id": {"type": "string", "pattern": "^SM[0-9a-f]{32}$"},
    "attempt": {"type": "string", "pattern": "^[1-9][0-9]?$"},
    "error_code": {"type": "string", "pattern": "^[0-9]+$"},
    "from": _PARTY,
    "to": _PARTY,
    "tags": _TAGS,
}
_INBOUND = {
    **{name: _MESSAGE[name] for name in ("operation_id", "message_id", "account_sid", "downstream_id")},
    **{name: _MESSAGE[name] for name in ("from", "to", "tags")},
    "session_id": _TEXT,
    "postback": _TEXT,
    "error_code": _MESSAGE["error_code"],
}
_NOTICE = {
    "account_sid": _MESSAGE["account_sid"],
    "subject": _TEXT,
    "state": _TEXT,
    "reason": _TEXT,
    "country": _TEXT,
    "count": _TEXT,
}
_FIELDS: Mapping[str, tuple[Mapping[str, Any], tuple[str, ...], bool]] = {
    "operation": (_OPERATION, ("operation_id",), False),
    "message": (_MESSAGE, ("operation_id", "message_id", "account_sid", "to", "tags"), False),
    "inbound": (_INBOUND, ("operation_id", "message_id", "to"), True),
    "notice": (_NOTICE, ("account_sid", "subject"), True),
}


def schema_of(kind: EventKind) -> dict[str, Any]:
    """The JSON Schema of the data of a type."""
    fields, required, more = _FIELDS[kind.about]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": kind.schema,
        "title": kind.description,
        "type": "object",
        "properties": dict(fields),
        "required": list(required),
        "additionalProperties": more,
    }
