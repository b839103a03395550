"""What the routes of Event Streams and of the feed are for."""

from __future__ import annotations

from collections.abc import Mapping

from sendpool.api.reference.documented import GONE, Documented
from sendpool.api.reference.stream_requests import NEW_NATS_SINK, NEW_SINK, NEW_SUBSCRIPTION
from sendpool.api.streams import shapes

_PAGE = ("PageSize", "Page")


def _stream(name: str, summary: str, answer: type[shapes.StreamShape] | str, **more: object) -> Documented:
    return Documented(name, "Events", summary, answer, ours=True, **more)  # type: ignore[arg-type]


STREAMS: Mapping[str, Documented] = {
    "POST /Sinks": _stream(
        "createSink",
        "Make a sink",
        shapes.Sink,
        body="SinkInput",
        form=True,
        status=201,
        examples={"webhook": NEW_SINK, "nats": NEW_NATS_SINK},
    ),
    "GET /Sinks": _stream("listSinks", "List sinks", shapes.Sinks, parameters=("sinkStatus", "InUse", *_PAGE)),
    "GET /Sinks/{sink_sid}": _stream("fetchSink", "Fetch a sink", shapes.Sink),
    "POST /Sinks/{sink_sid}": _stream("updateSink", "Describe a sink anew", shapes.Sink, body="SinkChange", form=True),
    "DELETE /Sinks/{sink_sid}": _stream("deleteSink", "Delete a sink that no subscription names", GONE),
    "POST /Sinks/{sink_sid}/Test": _stream("testSink", "Send a test event", shapes.Outcome, status=201),
    "POST /Sinks/{sink_sid}/Validate": _stream(
        "validateSink", "Say which test event came", shapes.Outcome, body="SinkTestId", form=True, status=201
    ),
    "POST /Sinks/{sink_sid}/Secret": _stream(
        "rotateSinkSecret",
        "Give a sink another secret",
        shapes.SinkSecret,
        description="It is shown this once. For a day events are signed with the secret before as well.",
        status=201,
    ),
    "POST /Subscriptions": _stream(
        "createSubscription",
        "Subscribe a sink to types of events",
        shapes.Subscription,
        body="SubscriptionInput",
        form=True,
        status=201,
        examples={"delivered": NEW_SUBSCRIPTION},
    ),
    "GET /Subscriptions": _stream(
        "listSubscriptions", "List subscriptions", shapes.Subscriptions, parameters=("SinkSid", *_PAGE)
    ),
    "GET /Subscriptions/{subscription_sid}": _stream("fetchSubscription", "Fetch a subscription", shapes.Subscription),
    "POST /Subscriptions/{subscription_sid}": _stream(
        "updateSubscription", "Change a subscription", shapes.Subscription, body="SubscriptionChange", form=True
    ),
    "DELETE /Subscriptions/{subscription_sid}": _stream("deleteSubscription", "End a subscription", GONE),
    "GET /Subscriptions/{subscription_sid}/SubscribedEvents": _stream(
        "listSubscribedEvents", "List the types of a subscription", shapes.SubscribedEvents, parameters=_PAGE
    ),
    "POST /Subscriptions/{subscription_sid}/SubscribedEvents": _stream(
        "createSubscribedEvent",
        "Add a type to a subscription",
        shapes.SubscribedEvent,
        body="SubscribedEventInput",
        form=True,
        status=201,
    ),
    "GET /Subscriptions/{subscription_sid}/SubscribedEvents/{type}": _stream(
        "fetchSubscribedEvent", "Fetch a type of a subscription", shapes.SubscribedEvent
    ),
    "POST /Subscriptions/{subscription_sid}/SubscribedEvents/{type}": _stream(
        "updateSubscribedEvent",
        "Ask for another version of a type's schema",
        shapes.SubscribedEvent,
        body="SubscribedEventChange",
        form=True,
    ),
    "DELETE /Subscriptions/{subscription_sid}/SubscribedEvents/{type}": _stream(
        "deleteSubscribedEvent", "Take a type out of a subscription", GONE
    ),
    "GET /Events": _stream(
        "listEvents",
        "Pull events, the oldest first",
        shapes.EventPage,
        description="`after` of the answer goes into the next request. With `Accept: text/event-stream` the answer goes"
        " on for ever, as server-sent events.",
        parameters=("after", "limit", "wait", "eventTypes", "Last-Event-ID"),
    ),
    "GET /Types": _stream("listEventTypes", "List types of events", shapes.EventTypes, parameters=("SchemaId", *_PAGE)),
    "GET /Types/{type}": _stream("fetchEventType", "Fetch a type of event", shapes.EventType),
    "GET /Schemas/{schema_id}": _stream("fetchEventSchema", "Fetch a schema of events", shapes.EventSchema),
    "GET /Schemas/{schema_id}/Versions": _stream(
        "listSchemaVersions", "List the versions of a schema", shapes.SchemaVersions, parameters=_PAGE
    ),
    "GET /Schemas/{schema_id}/Versions/{version}": _stream(
        "fetchSchemaVersion", "Fetch a version of a schema", shapes.SchemaVersion
    ),
}
