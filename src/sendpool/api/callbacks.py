"""Where carriers report by HTTP: each connector's own endpoints, below /callbacks/<connection>.

They carry no account's credentials: the connector checks the carrier's signature itself.
"""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from sendpool.api.bodies import ClientGone, read_any_body
from sendpool.api.exchange import Reply, refusal, respond
from sendpool.api.forwarded import origin_of
from sendpool.api.problems import METHOD_NOT_ALLOWED, NOT_FOUND
from sendpool.api.services import Services
from sendpool.connectors.base import CallbackRequest
from sendpool.domain.request import Problem, Refused

PATH = "/callbacks/{connection}/{rest:path}"
#: Bytes of a report's body; WhatsApp's batches have up to 3 MB, those of others are far smaller.
MAX_REPORT = 3 * 1024 * 1024


class Callbacks:
    """The ASGI app of all callback endpoints."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand one report to its connector, and its answer to the carrier."""
        try:
            reply = await self._reply(scope, receive)
        except Refused as refused:
            reply = refusal(refused)
        except ClientGone:
            return
        await respond(scope, send, reply)

    async def _reply(self, scope: Scope, receive: Receive) -> Reply:
        parameters = scope["path_params"]
        routes = self._services.callbacks(parameters["connection"])
        at_path = [route for route in routes if route.path == f"/{parameters['rest']}"]
        if not at_path:
            raise Refused(Problem(NOT_FOUND, "no connection takes reports at this path"), status=404)
        route = next((route for route in at_path if route.method == scope["method"]), None)
        if route is None:
            problem = Problem(METHOD_NOT_ALLOWED, "this path does not take this method")
            allowed = ", ".join(sorted({route.method for route in at_path}))
            return refusal(Refused(problem, status=405), ((b"allow", allowed.encode()),))
        headers: dict[bytes, bytes] = dict(scope["headers"])
        body = await read_any_body(headers, receive, MAX_REPORT)
        services = self._services
        origin = origin_of(scope, headers, services.public_url, services.trusted_proxies)
        query = scope["query_string"].decode("latin-1")
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        url = f"{origin}{path}" + (f"?{query}" if query else "")
        texts = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers.items()}
        answer = await route.handle(CallbackRequest(url, texts, body))
        return Reply(answer.status, answer.body, (), answer.media_type.encode())
