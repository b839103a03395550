"""Types of events: what the contract knows has its name and schema, what is ours a name of our own."""

from __future__ import annotations

import jsonschema_rs
import pytest

from sendpool.domain.event_types import (
    ATTEMPT_ENDED,
    KINDS,
    LATE_RECEIPT,
    NOTICE_EVENT,
    OPERATION_EVENT,
    EventKind,
    kind_of,
    schema_of,
)
from sendpool.domain.states import MessageState, OperationState, event_number


@pytest.mark.parametrize(
    ("number", "name", "schema"),
    [
        (OPERATION_EVENT + OperationState.SCHEDULED, "operation.scheduled", "OperationScheduled/2"),
        (OPERATION_EVENT + OperationState.PROCESSING, "operation.processing", "OperationProcessing/2"),
        (OPERATION_EVENT + OperationState.COMPLETED, "operation.completed", "OperationCompleted/2"),
        (MessageState.QUEUED, "message.queued", "MessageQueued/3"),
        (event_number(1, MessageState.SENT), "message.sent", "MessageSent/4"),
        (event_number(2, MessageState.FAILED), "message.failed", "MessageFailed/4"),
        (event_number(1, MessageState.DELIVERED), "message.delivered", "MessageDelivered/4"),
        (event_number(63, MessageState.UNDELIVERED), "message.undelivered", "MessageUndelivered/4"),
        (event_number(1, MessageState.READ), "message.read", "MessageRead/4"),
        (MessageState.INBOUND, "message.inbound-received", "MessageInbound/2"),
    ],
)
def test_the_ten_types_of_the_contract(number: int, name: str, schema: str) -> None:
    found = kind_of(number)

    assert found.name == f"com.twilio.comms-api.{name}"
    assert found.schema == f"https://events-schemas.twilio.com/CommsApi.{schema}"


def test_what_the_contract_does_not_know_is_ours_by_name() -> None:
    ours = [
        MessageState.SCHEDULED,
        16 + MessageState.CANCELED,
        16 + ATTEMPT_ENDED,
        32 + LATE_RECEIPT,
        OPERATION_EVENT + OperationState.CANCELED,
    ]

    assert all(kind_of(number).name.startswith("sendpool.") for number in ours)
    assert len({kind_of(number).name for number in ours}) == len(ours)


def test_a_number_that_no_event_has_is_no_type() -> None:
    for number in (0, 15, 16 + 11, OPERATION_EVENT + 9):
        with pytest.raises(KeyError):
            kind_of(number)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_type_has_a_schema_that_is_one(kind: EventKind) -> None:
    schema = schema_of(kind)

    jsonschema_rs.validator_for(schema)
    assert schema["$id"] == kind.schema
    assert kind.version >= 1


def test_a_notice_is_told_by_its_name() -> None:
    assert kind_of(NOTICE_EVENT, "sendpool.connection.down").about == "notice"
    with pytest.raises(KeyError):
        kind_of(NOTICE_EVENT, "sendpool.connection.sideways")
