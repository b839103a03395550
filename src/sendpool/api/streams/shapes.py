"""The shapes of Event Streams: snake_case, and times to the second, as the hosted API's clients read them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec

from sendpool.domain.delivery import SECRET_FIELDS
from sendpool.domain.event_types import KINDS, EventKind
from sendpool.store.sinks import SinkRow
from sendpool.store.subscriptions import SubscribedType, SubscriptionRow

#: When the types and schemas were made known: the day of the contract's document.
_KNOWN_SINCE = "2026-11-26T00:00:00Z"

encode = msgspec.json.Encoder().encode

SinkSid = Annotated[str, msgspec.Meta(pattern="^DG[0-9a-fA-F]{32}$")]
SubscriptionSid = Annotated[str, msgspec.Meta(pattern="^DF[0-9a-fA-F]{32}$")]


class StreamShape(msgspec.Struct, frozen=True, kw_only=True):
    """Anything that Event Streams answers."""


class Meta(StreamShape, frozen=True, kw_only=True):
    """Where a page stands in its list."""

    page: int
    page_size: int
    first_page_url: str
    previous_page_url: str | None
    url: str
    next_page_url: str | None
    key: str


class Sink(StreamShape, frozen=True, kw_only=True):
    """A place that events are handed to."""

    sid: SinkSid
    description: str
    sink_type: str
    sink_configuration: dict[str, Any]
    status: Literal["initialized", "validating", "active", "failed"]
    date_created: str
    date_updated: str
    url: str
    links: dict[str, str]


class Sinks(StreamShape, frozen=True, kw_only=True):
    """A page of sinks."""

    sinks: list[Sink]
    meta: Meta


class SinkSecret(StreamShape, frozen=True, kw_only=True):
    """What signs the events of a sink as Standard Webhooks have it."""

    sid: SinkSid
    #: "whsec_" and base64.
    secret: str


class Outcome(StreamShape, frozen=True, kw_only=True):
    """What became of a test."""

    result: str


class Subscription(StreamShape, frozen=True, kw_only=True):
    """What a sink gets."""

    sid: SubscriptionSid
    account_sid: str
    sink_sid: SinkSid
    description: str
    date_created: str
    date_updated: str
    url: str
    links: dict[str, str]


class Subscriptions(StreamShape, frozen=True, kw_only=True):
    """A page of subscriptions."""

    subscriptions: list[Subscription]
    meta: Meta


class SubscribedEvent(StreamShape, frozen=True, kw_only=True):
    """A type that a subscription asks for."""

    account_sid: str
    subscription_sid: SubscriptionSid
    type: str
    schema_version: int
    url: str


class SubscribedEvents(StreamShape, frozen=True, kw_only=True):
    """A page of them."""

    types: list[SubscribedEvent]
    meta: Meta


class EventType(StreamShape, frozen=True, kw_only=True):
    """A type of event."""

    type: str
    schema_id: str
    description: str
    status: Literal["available"]
    documentation_url: str | None
    date_created: str
    date_updated: str
    url: str
    links: dict[str, str]


class EventTypes(StreamShape, frozen=True, kw_only=True):
    """A page of types."""

    types: list[EventType]
    meta: Meta


class EventSchema(StreamShape, frozen=True, kw_only=True):
    """The schema of the data of a type."""

    id: str
    latest_version: int
    latest_version_date_created: str
    url: str
    links: dict[str, str]


class SchemaVersion(StreamShape, frozen=True, kw_only=True):
    """One version of a schema; `raw` is where the JSON Schema itself is."""

    id: str
    schema_version: int
    date_created: str
    url: str
    raw: str


class SchemaVersions(StreamShape, frozen=True, kw_only=True):
    """A page of versions."""

    schema_versions: list[SchemaVersion]
    meta: Meta


def _second(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def shown_sink(row: SinkRow, base: str) -> Sink:
    """A sink as it is answered."""
    url = f"{base}/Sinks/{row.sid}"
    return Sink(
        sid=row.sid,
        description=row.description,
        sink_type=row.type,
        sink_configuration={name: value for name, value in row.configuration.items() if name not in SECRET_FIELDS},
        status=row.status,  # type: ignore[arg-type]
        date_created=_second(row.created_at),
        date_updated=_second(row.updated_at),
        url=url,
        links={"sink_test": f"{url}/Test", "sink_validate": f"{url}/Validate"},
    )


def shown_subscription(row: SubscriptionRow, account_sid: str, base: str) -> Subscription:
    """A subscription as it is answered."""
    url = f"{base}/Subscriptions/{row.sid}"
    return Subscription(
        sid=row.sid,
        account_sid=account_sid,
        sink_sid=row.sink_sid,
        description=row.description,
        date_created=_second(row.created_at),
        date_updated=_second(row.updated_at),
        url=url,
        links={"subscribed_events": f"{url}/SubscribedEvents"},
    )


def shown_type(one: SubscribedType, row: SubscriptionRow, account_sid: str, base: str) -> SubscribedEvent:
    """A type that is subscribed to as it is answered."""
    return SubscribedEvent(
        account_sid=account_sid,
        subscription_sid=row.sid,
        type=one.type,
        schema_version=one.schema_version,
        url=f"{base}/Subscriptions/{row.sid}/SubscribedEvents/{one.type}",
    )


def shown_kind(kind: EventKind, base: str) -> EventType:
    """A type of event as it is answered."""
    return EventType(
        type=kind.name,
        schema_id=kind.schema_id,
        description=kind.description,
        status="available",
        documentation_url=None,
        date_created=_KNOWN_SINCE,
        date_updated=_KNOWN_SINCE,
        url=f"{base}/Types/{kind.name}",
        links={"schema": f"{base}/Schemas/{kind.schema_id}/Versions"},
    )


def shown_schema(kind: EventKind, base: str) -> EventSchema:
    """A schema as it is answered."""
    url = f"{base}/Schemas/{kind.schema_id}"
    return EventSchema(
        id=kind.schema_id,
        latest_version=kind.version,
        latest_version_date_created=_KNOWN_SINCE,
        url=url,
        links={"versions": f"{url}/Versions"},
    )


def shown_version(kind: EventKind, base: str, origin: str) -> SchemaVersion:
    """The version of a schema that is told in, as it is answered."""
    return SchemaVersion(
        id=kind.schema_id,
        schema_version=kind.version,
        date_created=_KNOWN_SINCE,
        url=f"{base}/Schemas/{kind.schema_id}/Versions/{kind.version}",
        raw=f"{origin}/schemas/{kind.schema_id}/{kind.version}",
    )


#: By the id of its schema; each type has one of its own.
BY_SCHEMA = {kind.schema_id: kind for kind in KINDS.values()}


class PulledEvent(StreamShape, frozen=True, kw_only=True):
    """An event (CloudEvents 1.0)."""

    specversion: Literal["1.0"]
    id: str
    source: str
    type: str
    datacontenttype: str
    dataschema: str
    time: str
    data: dict[str, Any]


class EventPage(StreamShape, frozen=True, kw_only=True):
    """Events after a position; `gap`: some after it had been removed for their age."""

    events: list[PulledEvent]
    after: str
    gap: bool
