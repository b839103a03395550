"""One request and its reply: what every endpoint shares, on bare ASGI so that it costs next to nothing."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import NamedTuple

import structlog
from starlette.types import Message, Receive, Scope, Send

from sendpool.api.auth import Caller
from sendpool.api.bodies import ClientGone, check_type, read_body
from sendpool.api.forwarded import origin_of
from sendpool.api.problems import (
    INTERNAL,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    TOO_MANY,
    UNAUTHENTICATED,
    UNAVAILABLE,
    error_body,
)
from sendpool.api.services import Services
from sendpool.domain.request import Problem, Refused
from sendpool.pipeline.backlog import RETRY_AFTER, QueueFull
from sendpool.pipeline.waiter import StoreUnavailable
from sendpool.store.database import DatabaseAway

log = structlog.get_logger()

Headers = tuple[tuple[bytes, bytes], ...]

JSON = b"application/json"
#: Where a scope holds the caller that a gate before this one has let in, so that no header has to say so.
CALLER = "sendpool.caller"
_CHALLENGE: Headers = ((b"www-authenticate", b'Basic realm="sendpool", charset="UTF-8"'),)
#: Seconds; a failed commit is tried again sooner.
_RETRY: Headers = ((b"retry-after", b"1"),)


class Reply(NamedTuple):
    """A whole answer. `headers` are those beyond the content's type and length."""

    status: int
    body: bytes
    headers: Headers = ()
    content_type: bytes = JSON


class TooOften(Exception):
    """An account asks more often than it may. `wait`: seconds until its next turn."""

    def __init__(self, wait: float) -> None:
        super().__init__(wait)
        self.wait = wait


class Streaming(NamedTuple):
    """An answer that goes on until the client hangs up."""

    status: int
    chunks: AsyncGenerator[bytes, None]
    content_type: bytes


class Request:
    """A request of a known account. `version` is that of its path ("v1", "preview"), `actor` the sid it came with."""

    __slots__ = ("_whole", "account_id", "actor", "headers", "receive", "scope", "services", "version")

    def __init__(
        self,
        services: Services,
        version: str,
        caller: Caller,
        scope: Scope,
        headers: dict[bytes, bytes],
        receive: Receive,
        whole: bytes | None = None,
    ) -> None:
        """*whole*: the body, where it is there already."""
        self.services = services
        self.version = version
        self.account_id, self.actor = caller
        self.scope = scope
        self.headers = headers
        #: Reads the body on, event by event (ASGI).
        self.receive = receive
        self._whole = whole

    @property
    def origin(self) -> str:
        """The absolute URL that the versions lie below."""
        return origin_of(self.scope, self.headers, self.services.public_url, self.services.trusted_proxies)

    @property
    def base(self) -> str:
        """The absolute URL of this version of the API, without a slash at its end."""
        return f"{self.origin}/{self.version}"

    def path(self, name: str) -> str:
        """A part of the path, decoded."""
        value: str = self.scope["path_params"][name]
        return value

    async def body(self, limit: int | None = None) -> bytes:
        """The JSON text of the body, of *limit* bytes at most where the path has a limit of its own.

        Raises Refused with 413 or 415, and ClientGone.
        """
        most = self.services.max_body if limit is None else min(limit, self.services.max_body)
        if self._whole is not None and len(self._whole) <= most:
            check_type(self.headers)
            return self._whole
        return await read_body(self.headers, self.receive, most)


Handler = Callable[[Request], Awaitable[Reply | Streaming]]


def refusal(refused: Refused, headers: Headers = ()) -> Reply:
    """The answer that says why a request is not carried out."""
    if refused.status == 413:
        # What is left of the body is not worth reading.
        headers = (*headers, (b"connection", b"close"))
    return Reply(refused.status, error_body(refused.problems, refused.status), headers)


async def respond(scope: Scope, send: Send, reply: Reply) -> None:
    """Send a reply; a HEAD request gets everything but the body."""
    await send(
        {
            "type": "http.response.start",
            "status": reply.status,
            "headers": [
                (b"content-type", reply.content_type),
                (b"content-length", str(len(reply.body)).encode()),
                *reply.headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else reply.body})


async def _stream(receive: Receive, send: Send, reply: Streaming) -> None:
    """Send what comes until the client hangs up."""
    headers = [(b"content-type", reply.content_type), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    gone = asyncio.ensure_future(_hung_up(receive))
    try:
        while not gone.done():
            chunk = asyncio.ensure_future(anext(reply.chunks))
            await asyncio.wait([chunk, gone], return_when=asyncio.FIRST_COMPLETED)
            if not chunk.done():
                chunk.cancel()
                await asyncio.wait([chunk])
                return
            await send({"type": "http.response.body", "body": chunk.result(), "more_body": True})
    finally:
        gone.cancel()
        await reply.chunks.aclose()


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class Resource:
    """The endpoint of one path: authenticates, picks the method's handler, and turns what it raises into an answer."""

    def __init__(self, services: Services, version: str, template: str, handlers: Mapping[str, Handler]) -> None:
        self._services = services
        self._version = version
        self._template = f"/{version}{template}"
        self._handlers = dict(handlers)
        if "GET" in self._handlers:
            self._handlers["HEAD"] = self._handlers["GET"]
        self._allow: Headers = ((b"allow", ", ".join(self._handlers).encode()),)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        began = time.perf_counter()
        reply = await self._reply(scope, dict(scope["headers"]), receive)
        if reply is None:
            return
        if isinstance(reply, Streaming):
            await _stream(receive, send, reply)
        else:
            await respond(scope, send, reply)
        method = scope["method"] if reply.status != 405 else "other"
        self._services.observe(method, self._template, reply.status, time.perf_counter() - began)

    async def quickly(self, scope: Scope, headers: dict[bytes, bytes], body: bytes) -> Reply | None:
        """The answer to a request that is there as a whole, by a method that answers at once; None: nobody waits."""
        began = time.perf_counter()

        async def receive() -> Message:
            return {"type": "http.request", "body": body}

        reply = await self._reply(scope, headers, receive, body)
        assert not isinstance(reply, Streaming)
        if reply is not None:
            self._services.observe(scope["method"], self._template, reply.status, time.perf_counter() - began)
        return reply

    async def _reply(
        self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, whole: bytes | None = None
    ) -> Reply | Streaming | None:
        method = scope["method"]
        handler = self._handlers.get(method)
        if handler is None:
            allowed = ", ".join(self._handlers)
            problem = Problem(METHOD_NOT_ALLOWED, f"this path does not take this method; it takes {allowed}")
            return refusal(Refused(problem, status=405), self._allow)
        caller = scope.get(CALLER) or self._services.accounts.authenticate(headers.get(b"authorization"))
        if caller is None:
            return refusal(_unauthenticated(), _CHALLENGE)
        try:
            if wait := self._services.rates.wait(caller.account_id):
                raise TooOften(wait)
            return await handler(Request(self._services, self._version, caller, scope, headers, receive, whole))
        except ClientGone:
            return None
        except Exception as error:  # noqa: BLE001 - whatever it is, somebody waits for an answer
            return self._said_of(error, method)

    def _said_of(self, error: Exception, method: str) -> Reply:
        """The answer to a request of this *method* that was not carried out."""
        if isinstance(error, Refused):
            return refusal(error)
        if isinstance(error, StoreUnavailable | DatabaseAway):
            problem = Problem(UNAVAILABLE, "the server cannot take this now; try again in a moment")
            return refusal(Refused(problem, status=503), _RETRY)
        if isinstance(error, TooOften):
            return too_many("this account asks more often than it may", error.wait)
        if isinstance(error, QueueFull):
            return too_many(str(error), RETRY_AFTER)
        log.error("request failed", method=method, route=self._template, exc_info=error)
        return refusal(Refused(Problem(INTERNAL, "the server failed; its log says why"), status=500))


def _unauthenticated() -> Refused:
    message = "authenticate with HTTP Basic: the account SID and its auth token, or an API key and its secret"
    return Refused(Problem(UNAUTHENTICATED, message), status=401)


def too_many(why: str, wait: float) -> Reply:
    """The 429 that says to come again in *wait* seconds."""
    seconds = max(1, math.ceil(wait))
    problem = Problem(TOO_MANY, f"{why}; wait for the seconds in Retry-After, then go on")
    return refusal(Refused(problem, status=429), ((b"retry-after", str(seconds).encode()),))


async def nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a path that does not exist."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1000})
        return
    await respond(scope, send, refusal(Refused(Problem(NOT_FOUND, "there is nothing at this path"), status=404)))
