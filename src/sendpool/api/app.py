"""The route table: every path that is served, on both versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from sendpool.api import (
    emails,
    lookups,
    messages,
    monitoring,
    pools,
    reference,
    rehearsing,
    resolving,
    searching,
    senders,
    templates,
)
from sendpool.api.addresses import possible_lengths
from sendpool.api.callbacks import PATH, Callbacks
from sendpool.api.exchange import Handler, Resource, nowhere
from sendpool.api.quick import Hot
from sendpool.api.services import Services
from sendpool.api.short import ShortMessages
from sendpool.api.streams import feed, sinks, subscriptions, types

VERSIONS = ("v1", "preview")

#: The hot path.
_HOT = "/Messages"
#: Paths below the version; fixed names stand before ids.
_COMMS: Mapping[str, Mapping[str, Handler]] = {
    "/Messages": {"POST": messages.post_messages, "GET": messages.get_messages},
    "/Messages/Operations": {"GET": messages.get_operations},
    "/Messages/Operations/{operation_id}": {"GET": messages.get_operation},
    "/Messages/Operations/{operation_id}/Cancel": {"POST": messages.cancel_operation},
    "/Messages/Operations/{operation_id}/Resume": {"POST": messages.resume_operation},
    "/Messages/Operations/{operation_id}/Errors": {"GET": lookups.get_errors},
    "/Messages/Seek/{message_sid}": {"GET": lookups.seek_message},
    "/Messages/{message_id}": {"GET": messages.get_message, "DELETE": messages.delete_message},
    "/Messages/{message_id}/Cancel": {"POST": messages.cancel_message},
    "/Messages/{message_id}/Explanation": {"GET": messages.explain_message},
    "/Messages/{message_id}/Receipts": {"GET": lookups.get_receipts},
    "/Emails": {"POST": emails.post_emails, "GET": emails.get_emails},
    "/Emails/Operations": {"GET": emails.get_operations},
    "/Emails/Operations/{operation_id}": {"GET": emails.get_operation},
    "/Emails/Operations/{operation_id}/Cancel": {"POST": emails.cancel_operation},
    "/Emails/Operations/{operation_id}/Resume": {"POST": emails.resume_operation},
    "/Emails/Search": {"POST": emails.search_emails},
    "/Emails/{email_id}": {"GET": emails.get_email, "DELETE": emails.delete_email},
    "/Emails/{email_id}/Cancel": {"POST": emails.cancel_email},
    "/Senders": {"GET": senders.get_senders},
    "/Senders/Search": {"POST": searching.search_senders},
    "/Senders/Resolve": {"POST": resolving.resolve_senders},
    "/Senders/{sender_id}": {"GET": senders.get_sender},
    "/Content": {"POST": templates.post_template, "GET": templates.get_templates},
    "/Content/{content_sid}": {
        "GET": templates.get_template,
        "PUT": templates.put_template,
        "DELETE": templates.delete_template,
    },
    "/Events": {"GET": feed.get_events},
    "/SenderPools": {"POST": pools.post_pool, "GET": pools.get_pools},
    "/SenderPools/Operations": {"GET": pools.get_operations},
    "/SenderPools/Operations/{operation_id}": {"GET": pools.get_operation},
    "/SenderPools/{pool_id}": {"GET": pools.get_pool, "PATCH": pools.patch_pool, "DELETE": pools.delete_pool},
    "/SenderPools/{pool_id}/Rehearsal": {"POST": rehearsing.rehearse},
    "/SenderPools/{pool_id}/Senders": {"GET": pools.get_members, "POST": pools.post_members},
    "/SenderPools/{pool_id}/Senders/{sender_id}": {"DELETE": pools.delete_member},
    "/SenderPools/{pool_id}/Senders/Operations/{operation_id}": {"GET": pools.get_member_operation},
}

#: Event Streams: bodies are forms.
STREAMS: Mapping[str, Mapping[str, Handler]] = {
    "/Sinks": {"POST": sinks.post_sink, "GET": sinks.get_sinks},
    "/Sinks/{sink_sid}": {"GET": sinks.get_sink, "POST": sinks.post_to_sink, "DELETE": sinks.delete_sink},
    "/Sinks/{sink_sid}/Test": {"POST": sinks.test_sink},
    "/Sinks/{sink_sid}/Validate": {"POST": sinks.validate_sink},
    "/Sinks/{sink_sid}/Secret": {"POST": sinks.rotate_secret},
    "/Subscriptions": {"POST": subscriptions.post_subscription, "GET": subscriptions.get_subscriptions},
    "/Subscriptions/{subscription_sid}": {
        "GET": subscriptions.get_subscription,
        "POST": subscriptions.post_to_subscription,
        "DELETE": subscriptions.delete_subscription,
    },
    "/Subscriptions/{subscription_sid}/SubscribedEvents": {
        "GET": subscriptions.get_subscribed,
        "POST": subscriptions.post_subscribed,
    },
    "/Subscriptions/{subscription_sid}/SubscribedEvents/{type}": {
        "GET": subscriptions.get_subscribed_type,
        "POST": subscriptions.post_to_subscribed_type,
        "DELETE": subscriptions.delete_subscribed_type,
    },
    "/Types": {"GET": types.get_types},
    "/Types/{type}": {"GET": types.get_type},
    "/Schemas/{schema_id}": {"GET": types.get_schema},
    "/Schemas/{schema_id}/Versions": {"GET": types.get_versions},
    "/Schemas/{schema_id}/Versions/{version}": {"GET": types.get_version},
}

ROUTES = {**_COMMS, **STREAMS}


class _Below:
    """An app whose paths may also begin with a prefix: that of the public URL, where a proxy leaves it on."""

    def __init__(self, prefix: str, app: ASGIApp) -> None:
        self._prefix = prefix
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path", "").startswith(f"{self._prefix}/"):
            scope = {**scope, "root_path": self._prefix}
        await self._app(scope, receive, send)


def create_app(services: Services, further: Sequence[BaseRoute] = ()) -> Hot:
    """The API as an ASGI app, with *further* routes of others. No middleware: what a request needs is in `Resource`."""
    versions = VERSIONS if services.public else ()
    routes: list[BaseRoute] = [
        Route(f"/{version}{path}", Resource(services, version, path, ROUTES[path]))
        for version in versions
        for path in ROUTES
    ]
    routes += [
        Route("/healthz", monitoring.readable(monitoring.health)),
        Route("/readyz", monitoring.readable(monitoring.readiness(services))),
        Route("/metrics", monitoring.readable(monitoring.figures(services))),
        Route(PATH, Callbacks(services)),
    ]
    if services.public:
        routes.append(Route(types.RAW_PATH, types.raw_schema))
        routes += [Route(path, monitoring.readable(answer)) for path, answer in reference.pages().items()]
        routes += further
    router = Router(routes, redirect_slashes=False, default=nowhere)
    prefix = urlsplit(services.public_url or "").path.rstrip("/")
    return Hot(_Below(prefix, router) if prefix else router, hot_routes(services))


def hot_routes(services: Services) -> dict[bytes, ShortMessages]:
    """The endpoints that are worth a way of their own, by path."""
    possible_lengths()  # Now, not in the middle of the first request.
    versions = VERSIONS if services.public else ()
    return {f"/{version}{_HOT}".encode(): ShortMessages(services, version, _HOT, ROUTES[_HOT]) for version in versions}
