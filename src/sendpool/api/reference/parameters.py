"""The parameters of paths, queries and headers, each told once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from sendpool.api import fields
from sendpool.api.query import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE
from sendpool.api.streams.feed import DEFAULT_LIMIT, LONGEST_WAIT, MOST_EVENTS
from sendpool.api.streams.shapes import SinkSid, SubscriptionSid

#: Names of parameters that usually come together.
CREATED = ("startDate", "endDate")
PAGE = ("pageToken", "pageSize")
FILTERS = ("messageChannel", "messageStatus")


class Parameter(NamedTuple):
    """One parameter; `place` is path, query or header."""

    name: str
    place: str
    schema: Mapping[str, Any]
    description: str = ""
    deprecated: bool = False
    ours: bool = False


def schema_of(kind: Any) -> dict[str, Any]:
    """The JSON Schema of a kind of value in `api.fields`."""
    found = msgspec.json.schema(kind)
    return {name: value for name, value in found.items() if name != "$schema"}


def _either_case(kind: Any) -> dict[str, Any]:
    values = schema_of(kind)["enum"]
    return {"type": "string", "enum": [*values, *map(str.lower, values)]}


_INSTANT = {"type": "string", "format": "date-time"}
_TEXT = {"type": "string"}


def _in_query(name: str, schema: Mapping[str, Any], description: str = "", **more: bool) -> Parameter:
    return Parameter(name, "query", schema, description, **more)


PARAMETERS: Mapping[str, Parameter] = {
    "Idempotency-Key": Parameter(
        "Idempotency-Key",
        "header",
        {"type": "string", "minLength": 1, "maxLength": 255},
        "The same key and body again within 24 hours bring the same answer and send nothing twice; "
        "another body under it is a 409.",
        ours=True,
    ),
    "operationId": _in_query("operationId", schema_of(fields.OperationId), "Only what this operation made."),
    "operation_id": _in_query(
        "operation_id", schema_of(fields.OperationId), "Another spelling of operationId.", deprecated=True
    ),
    "emailOperation_id": _in_query(
        "operation_id", schema_of(fields.OperationId), "Another spelling of operationId.", deprecated=True, ours=True
    ),
    "sessionId": _in_query(
        "sessionId",
        _TEXT,
        "Only what people wrote in this session, which lasts until its person is silent for 24 hours.",
    ),
    "profile": _in_query("profile", schema_of(fields.ProfileId), "Only messages to this profile."),
    "startDate": _in_query("startDate", _INSTANT, "Only what was created at or after this instant (RFC 3339)."),
    "endDate": _in_query("endDate", _INSTANT, "Only what was created before this instant; later than startDate."),
    "messageChannel": _in_query("channel", _either_case(fields.MessageChannel), "The channel of the message's sender."),
    "messageStatus": _in_query("status", {**_TEXT, "examples": ["QUEUED"]}, "A message's status, in any case."),
    "emailStatus": _in_query("status", {**_TEXT, "examples": ["OPENED"]}, "An email's status, in any case."),
    "operationStatus": _in_query("status", {**_TEXT, "examples": ["COMPLETED"]}, "An operation's status, in any case."),
    "senderChannel": _in_query("channel", _either_case(fields.SenderChannel)),
    "senderStatus": _in_query("status", _either_case(fields.SenderStatus)),
    "tags": _in_query(
        "tags", {**_TEXT, "examples": ["key_1:value;key_2:value;"]}, "key:value pairs, all of which must be there."
    ),
    "ambiguous": _in_query(
        "ambiguous",
        {"type": "string", "enum": ["true", "false"]},
        "Only messages of which it is not known whether the carrier took them; or only the others.",
        ours=True,
    ),
    "pageToken": _in_query("pageToken", _TEXT, "`pagination.next` (or `self`) of an earlier page, same filters."),
    "PageSize": _in_query("PageSize", {"type": "integer", "minimum": 1, "maximum": 1_000, "default": 50}),
    "Page": _in_query("Page", {"type": "integer", "minimum": 0, "maximum": 999_999_999}, "The first is 0."),
    "sinkStatus": _in_query("Status", {**_TEXT, "examples": ["active"]}, "Only sinks that stand so."),
    "InUse": _in_query("InUse", {"type": "boolean"}, "Only sinks that a subscription names, or only the others."),
    "SinkSid": _in_query("SinkSid", schema_of(SinkSid), "Only subscriptions of this sink."),
    "SchemaId": _in_query("SchemaId", _TEXT, "Only types with this schema."),
    "after": _in_query("after", {"type": "integer", "minimum": 0}, "Only events after this position."),
    "limit": _in_query("limit", {"type": "integer", "minimum": 0, "maximum": MOST_EVENTS, "default": DEFAULT_LIMIT}),
    "wait": _in_query(
        "wait",
        {"type": "integer", "minimum": 0, "maximum": LONGEST_WAIT, "default": 0},
        "Seconds to wait for the first event, where there is none yet.",
    ),
    "eventTypes": _in_query("type", _TEXT, "Only these types, with commas between."),
    "Last-Event-ID": Parameter(
        "Last-Event-ID", "header", {"type": "string", "maxLength": 18}, "Goes on after it, as `after` does."
    ),
    "pageSize": _in_query(
        "pageSize", {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": DEFAULT_PAGE_SIZE}
    ),
}

#: By their names in `api.app.ROUTES`.
PATH_PARAMETERS: Mapping[str, Parameter] = {
    "message_id": Parameter("messageId", "path", schema_of(fields.MessageId)),
    "operation_id": Parameter("operationId", "path", schema_of(fields.OperationId)),
    "sender_id": Parameter("senderId", "path", schema_of(fields.SenderId)),
    "pool_id": Parameter("senderPoolId", "path", schema_of(fields.PoolId)),
    "content_sid": Parameter("contentSid", "path", {"type": "string", "pattern": "^HX[0-9a-f]{32}$"}),
    "email_id": Parameter("emailId", "path", schema_of(fields.EmailId)),
    "message_sid": Parameter("messageSid", "path", schema_of(fields.AttemptId), "The id of an attempt."),
    "code": Parameter("code", "path", {"type": "integer", "minimum": 1}, "An `error.code`."),
    "sink_sid": Parameter("Sid", "path", schema_of(SinkSid)),
    "subscription_sid": Parameter("SubscriptionSid", "path", schema_of(SubscriptionSid)),
    "type": Parameter("Type", "path", {"type": "string", "maxLength": 100}, "The name of a type of event."),
    "schema_id": Parameter("Id", "path", {"type": "string", "maxLength": 100}, "The id of a schema."),
    "version": Parameter("SchemaVersion", "path", {"type": "integer", "minimum": 1}),
    "connection": Parameter("connection", "path", _TEXT, "The name of the connection."),
    "rest": Parameter("rest", "path", _TEXT, "What the connector names; see its README."),
}
