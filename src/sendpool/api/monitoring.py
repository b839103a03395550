"""What operators and their tools ask: is it alive, is it ready, and its figures."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from sendpool.api.auth import bears
from sendpool.api.exchange import Headers, Reply, refusal, respond
from sendpool.api.problems import METHOD_NOT_ALLOWED, UNAUTHENTICATED
from sendpool.api.services import Services
from sendpool.domain.request import Problem, Refused
from sendpool.metrics import CONTENT_TYPE

_ALLOW: Headers = ((b"allow", b"GET, HEAD"),)
_CHALLENGE: Headers = ((b"www-authenticate", b'Bearer realm="metrics"'),)


def readable(answer: Callable[[Scope], Reply]) -> ASGIApp:
    """An endpoint that only answers GET and HEAD, to anybody."""

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        reply = answer(scope) if scope["method"] in ("GET", "HEAD") else _not_allowed()
        await respond(scope, send, reply)

    return _Endpoint(endpoint)


class _Endpoint:
    """An ASGI app that Starlette does not take for a function of a request."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def _not_allowed() -> Reply:
    problem = Problem(METHOD_NOT_ALLOWED, "this path does not take this method; it takes GET, HEAD")
    return refusal(Refused(problem, status=405), _ALLOW)


def health(_: Scope) -> Reply:
    """Alive: the process answers."""
    return Reply(200, b'{"status":"ok"}')


def readiness(services: Services) -> Callable[[Scope], Reply]:
    """Ready: migrated, listening and the inventory stored. Connections may still be down."""

    def answer(_: Scope) -> Reply:
        return Reply(200, b'{"status":"ready"}') if services.ready() else Reply(503, b'{"status":"starting"}')

    return answer


def figures(services: Services) -> Callable[[Scope], Reply]:
    """The Prometheus text; for those who know the token, where there is one."""

    def answer(scope: Scope) -> Reply:
        token = services.metrics_token
        if token is not None and not bears(dict(scope["headers"]).get(b"authorization"), token):
            problem = Problem(UNAUTHENTICATED, "give the metrics token as a Bearer token")
            return refusal(Refused(problem, status=401), _CHALLENGE)
        return Reply(200, services.metrics(), (), CONTENT_TYPE.encode())

    return answer
