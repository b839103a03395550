"""The paths of the console: its files, the session, the API behind it, and what only the console asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from sendpool.admin.context import Context
from sendpool.api.app import ROUTES
from sendpool.api.exchange import Handler, Reply, Resource, respond
from sendpool.api.monitoring import readable
from sendpool.api.services import Services
from sendpool.console.commands import Commands
from sendpool.console.files import assets
from sendpool.console.gate import Gate
from sendpool.console.live import Live
from sendpool.console.searching import search
from sendpool.console.sessions import Sessions
from sendpool.console.signing_in import SigningIn

#: The API of this version stands below `/console/api`, as it stands at its own place.
_VERSION = "v1"


def console_routes(
    services: Services, context: Callable[[], Context], changed: Callable[[], Awaitable[None]]
) -> list[BaseRoute]:
    """Everything below `/console`. *context* and *changed* are what commands need."""
    sessions = Sessions(services.key, services.accounts, services.now)
    commands, live = Commands(context, changed), Live(services)
    own: Mapping[str, Mapping[str, Handler]] = {
        "/console/api/Live": {"GET": live.stream},
        "/console/api/Search": {"POST": search},
        "/console/api/SendersNow": {"GET": commands.senders},
        "/console/api/ConnectionsNow": {"GET": commands.connections},
        "/console/api/SinksNow": {"GET": commands.sinks},
        "/console/api/OptedOut": {"GET": commands.opted_out},
        "/console/api/Replay": {"POST": commands.replay},
        "/console/api/Act/{action}": {"POST": commands.act},
    }
    routes: list[BaseRoute] = [Route("/console", _Slash())]
    routes += [Route(path, readable(answer)) for path, answer in assets().items()]
    routes.append(Route("/console/session", SigningIn(services, sessions)))
    routes += [Route(path, Gate(sessions, _Own(services, path, handlers))) for path, handlers in own.items()]
    for path, handlers in ROUTES.items():
        resource = Resource(services, _VERSION, path, handlers)
        routes.append(Route(f"/console/api/{_VERSION}{path}", Gate(sessions, resource)))
    return routes


class _Own(Resource):
    """A resource of the console, counted under its own path."""

    def __init__(self, services: Services, path: str, handlers: Mapping[str, Handler]) -> None:
        super().__init__(services, "console", path.removeprefix("/console"), handlers)


class _Slash:
    """Leads from /console to /console/, which relative paths of the page need."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer any method alike: the browser comes again."""
        del receive
        path = f"{scope.get('root_path', '').rstrip('/')}/console/"
        await respond(scope, send, Reply(307, b"", ((b"location", path.encode()),)))
