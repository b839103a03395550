"""The forms of Event Streams. What has a structure is JSON text in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sendpool.api.reference.requests import Schema, an_array, an_object

_TEXT = {"type": "string", "minLength": 1, "maxLength": 1_000}
_DESCRIPTION = {**_TEXT, "description": "For people."}
_SINK = {"type": "string", "pattern": "^DG[0-9a-fA-F]{32}$"}
_VERSION = {"type": "integer", "minimum": 1, "description": "Of the type's schema; left out: the latest."}

FORMS: Mapping[str, Schema] = {
    "SinkInput": an_object(
        ("Description", "SinkConfiguration", "SinkType"),
        Description=_DESCRIPTION,
        SinkConfiguration={
            "type": "string",
            "description": 'JSON: {"destination": URL, "method": "POST" or "GET", "batch_events": true or false} of a'
            ' webhook; {"servers": [URL], "subject": "sendpool.{type}", "token" or "user" and "password"} of nats.'
            " `token` and `password` are not shown again.",
        },
        SinkType={"type": "string", "enum": ["webhook", "nats"]},
    ),
    "SinkChange": an_object(("Description",), Description=_DESCRIPTION),
    "SinkTestId": an_object(("TestId",), TestId={**_TEXT, "description": "The `test_id` that the sink got."}),
    "SubscriptionInput": an_object(
        ("Description", "SinkSid", "Types"),
        Description=_DESCRIPTION,
        SinkSid=_SINK,
        Types=an_array(
            {"type": "string", "description": 'JSON: {"type": name, "schema_version": number}.'}, 1, most=1_000
        ),
    ),
    "SubscriptionChange": an_object(Description=_TEXT, SinkSid=_SINK),
    "SubscribedEventInput": an_object(("Type",), Type=_TEXT, SchemaVersion=_VERSION),
    "SubscribedEventChange": an_object(SchemaVersion=_VERSION),
}

#: For examples.
NEW_SINK: Mapping[str, Any] = {
    "Description": "events of the shop",
    "SinkConfiguration": '{"destination": "https://shop.example/events", "method": "POST", "batch_events": true}',
    "SinkType": "webhook",
}
NEW_NATS_SINK: Mapping[str, Any] = {
    "Description": "events of the shop, into its stream",
    "SinkConfiguration": '{"servers": ["tls://nats.example.com:4222"], "subject": "sendpool.{type}", "token": "..."}',
    "SinkType": "nats",
}
NEW_SUBSCRIPTION: Mapping[str, Any] = {
    "Description": "what was delivered",
    "SinkSid": "DG" + "0" * 32,
    "Types": ['{"type": "com.twilio.comms-api.message.delivered", "schema_version": 4}'],
}
