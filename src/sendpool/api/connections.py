"""HTTP connections as uvicorn serves them, but for what costs more than it is worth where answers are small.

Head and body of an answer leave in one write, since each write is a call of the system and wakes the client. And a
small request of a hot route goes straight to its endpoint, without the detours of ASGI: no routing, no events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any, Protocol, cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from sendpool.api.exchange import Reply

#: Bytes above which nothing waits any more: whoever writes a lot has to learn that the client does not keep up.
MOST = 65_536
#: Bytes of a body up to which a request may be quick.
SMALL = 16 * 1024


class Gathering:
    """A transport that holds what is written until the event loop has done what is ready, and writes it at once."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        """Everything else is the transport's own."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write soon."""
        if not self._held:
            self._loop.call_soon(self._flush)
        self._held.append(data)
        self._size += len(data)
        if self._size > MOST:
            self._flush()

    def write_now(self, data: bytes) -> None:
        """Write what is held and this."""
        self._flush()
        if not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """Write what is held, then hang up."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._held:
            held, self._held, self._size = self._held, [], 0
            if not self._transport.is_closing():
                self._transport.write(held[0] if len(held) == 1 else b"".join(held))


class Quick(Protocol):
    """An endpoint that can be asked without ASGI."""

    def quickly(self, scope: dict[str, Any], headers: dict[bytes, bytes], body: bytes) -> Awaitable[Reply | None]:
        """The answer to a whole request; None: nobody is left to be answered."""


class Hot:
    """An ASGI application with hot routes: endpoints by the path of their `POST`."""

    def __init__(self, app: ASGIApp, routes: Mapping[bytes, Quick]) -> None:
        self._app = app
        self.routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve it as it is, routes or not."""
        await self._app(scope, receive, send)


class _Whole:
    """A small request of a hot route: takes in its body, and answers when that is whole.

    To uvicorn's protocol it is what its own cycles are, and the event on which those wait.
    """

    __slots__ = (
        "_begun",
        "_headers",
        "_protocol",
        "_scope",
        "body",
        "disconnected",
        "endpoint",
        "keep_alive",
        "more_body",
        "response_complete",
    )

    def __init__(
        self, protocol: SendpoolProtocol, endpoint: Quick, headers: dict[bytes, bytes], *, keep_alive: bool
    ) -> None:
        self._protocol = protocol
        # The protocol's own is that of the next request once that comes.
        self._scope = cast(dict[str, Any], protocol.scope)
        self._headers = headers
        self._begun = False
        self.endpoint = endpoint
        self.keep_alive = keep_alive
        self.body = b""
        self.more_body = True
        self.disconnected = False
        self.response_complete = False

    @property
    def message_event(self) -> _Whole:
        """What is set when something has come."""
        return self

    def set(self) -> None:
        """More has come, or all, or the client has gone."""
        if not (self.more_body or self._begun):
            self._begun = True
            self._protocol.begin(self)

    async def run_asgi(self, endpoint: Quick) -> None:
        """Answer; uvicorn starts it as it starts its own."""
        protocol = self._protocol
        reply = await endpoint.quickly(self._scope, self._headers, self.body)
        if protocol.flow.write_paused and not self.disconnected:
            await protocol.flow.drain()
        if reply is None or self.disconnected:
            return
        protocol.answer(self, reply)


class SendpoolProtocol(HttpToolsProtocol):
    """One connection."""

    #: The lines of an answer that all have in common (the date), and the headers that they were made of.
    _common: tuple[Any, bytes] = (None, b"")

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody has connected."""
        super().connection_made(cast(asyncio.Transport, Gathering(transport, self.loop)))
        app: object = self.app
        self._hot: Mapping[bytes, Quick] = app.routes if isinstance(app, Hot) else {}

    def on_headers_complete(self) -> None:
        """A request's head is there."""
        endpoint = self._hot.get(self.url)
        headers = dict(self.headers) if endpoint is not None else {}
        if endpoint is None or not self._may_be_quick(headers):
            super().on_headers_complete()
            return
        self.scope["method"], self.scope["path"], self.scope["query_string"] = "POST", self.url.decode(), b""
        self.cycle = cast(Any, _Whole(self, endpoint, headers, keep_alive=self.parser.should_keep_alive()))

    def _may_be_quick(self, headers: Mapping[bytes, bytes]) -> bool:
        length = headers.get(b"content-length", b"")
        return (
            0 < len(length) < 6
            and length.isdigit()
            and int(length) <= SMALL
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            and not self.expect_100_continue
            and b"transfer-encoding" not in headers
            and not self.parser.should_upgrade()
            and self._has_answered()
        )

    def _has_answered(self) -> bool:
        """Whether nothing before it still waits for its answer."""
        before: Any = self.cycle
        return before is None or bool(before.response_complete)

    def begin(self, whole: _Whole) -> None:
        """A request is whole."""
        self._start_asgi_task(cast(Any, whole), cast(Any, whole.endpoint))

    def answer(self, whole: _Whole, reply: Reply) -> None:
        """Write an answer in one piece."""
        hangs_up = (b"connection", b"close") in reply.headers
        parts = [STATUS_LINE[reply.status], self._common_lines()]
        parts += [b"content-type: ", reply.content_type, b"\r\ncontent-length: %d\r\n" % len(reply.body)]
        for name, value in reply.headers:
            parts += (name, b": ", value, b"\r\n")
        if not (whole.keep_alive or hangs_up):
            parts.append(b"connection: close\r\n")
        parts += (b"\r\n", reply.body)
        cast(Gathering, self.transport).write_now(b"".join(parts))
        whole.response_complete = True
        if hangs_up or not whole.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def _common_lines(self) -> bytes:
        headers, lines = self._common
        if headers is not self.server_state.default_headers:
            headers = self.server_state.default_headers
            lines = b"".join([b"%b: %b\r\n" % one for one in headers])
            SendpoolProtocol._common = (headers, lines)
        return lines
