"""Small requests of hot routes, from the connection straight to their endpoint: no routing, no events, no ASGI.

A connection that asks for anything else, or in any unusual way, is passed on as it stands, with what it has said; who
takes it serves all of HTTP. So there is nothing here that could be understood in two ways, and no refusal.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from email.utils import formatdate
from functools import partial
from typing import cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from sendpool.api.exchange import Reply
from sendpool.api.quick_head import Head, Quick, read_head

#: Bytes of what comes before a body up to which a request may be quick.
HEAD = 16 * 1024
#: Bytes that may wait behind a request that is being answered before we read no more.
AHEAD = 64 * 1024
#: Seconds for which a connection is kept after an answer, and while a request does not go on.
KEPT, PATIENCE = 5.0, 60.0
#: Seconds between looks at what to keep.
_LOOK = 1.0

_END = b"\r\n\r\n"


class Hot:
    """An ASGI application with hot routes: endpoints by the path of their `POST`."""

    def __init__(self, app: ASGIApp, routes: Mapping[bytes, Quick]) -> None:
        self._app = app
        self.routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve it as it is, routes or not."""
        await self._app(scope, receive, send)


#: Takes over a connection, with the bytes that have come and are not answered.
PassOn = Callable[[asyncio.Transport, bytes], None]


class QuickServer:
    """The connections of one listener that have asked for nothing but small requests of hot routes."""

    def __init__(self, routes: Mapping[bytes, Quick], pass_on: PassOn) -> None:
        #: Endpoints by the whole first line of a request.
        self.endpoints = {b"POST %b HTTP/1.1\r\n" % path: endpoint for path, endpoint in routes.items()}
        self.pass_on = pass_on
        self.connections: set[QuickConnection] = set()
        #: Whether connections are closed once they are answered.
        self.closing = False
        self._second, self._date = 0, b""
        self._sweeping: asyncio.TimerHandle | None = None

    def connection(self) -> QuickConnection:
        """What serves a connection."""
        return QuickConnection(self)

    def start(self) -> None:
        """Begin to look for connections that say nothing."""
        self._sweeping = asyncio.get_running_loop().call_later(_LOOK, self._sweep)

    async def close(self, seconds: float) -> None:
        """Close what asks for nothing, wait for so long for what is being answered, and close that too."""
        self.closing = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        for connection in list(self.connections):
            connection.end()
        if self.connections:
            await asyncio.wait([one.ended for one in self.connections], timeout=seconds)
        for connection in list(self.connections):
            connection.abort()

    def may_be_hot(self, begun: bytes) -> bool:
        """Whether what has come of a request may go on as one of a hot route."""
        return len(begun) <= HEAD and any(line.startswith(begun[: len(line)]) for line in self.endpoints)

    def date(self) -> bytes:
        """The header that says what time it is."""
        second = int(time.time())
        if second != self._second:
            self._second, self._date = second, b"date: %b\r\n" % formatdate(second, usegmt=True).encode()
        return self._date

    def _sweep(self) -> None:
        now = time.monotonic()
        for connection in list(self.connections):
            if connection.is_idle(now):
                connection.end()
        self.start()


class QuickConnection(asyncio.Protocol):
    """One connection of a `QuickServer`: one request after the other."""

    def __init__(self, server: QuickServer) -> None:
        self._server = server
        self._raw = b""
        #: The head that was read last, as it came and as it was read: clients write the same one again and again.
        self._last: tuple[bytes, Head] | None = None
        #: Whether a request is being answered, and by what if it is a task.
        self._busy = False
        self._task: asyncio.Task[None] | None = None
        self._since, self._answered = time.monotonic(), False
        self._full = False
        #: Done when it has closed, or has been passed on.
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody has connected."""
        self._transport = cast(asyncio.Transport, transport)
        self._server.connections.add(self)
        if self._server.closing:
            self.end()

    def connection_lost(self, error: Exception | None) -> None:
        """The client has gone; what it has asked for goes on."""
        self._leave()

    def pause_writing(self) -> None:
        """The client does not read its answers."""
        self._full = True

    def resume_writing(self) -> None:
        """It does again."""
        self._full = False
        self._look_again()

    def data_received(self, data: bytes) -> None:
        """More of a request has come."""
        self._raw = self._raw + data if self._raw else data
        self._since = time.monotonic()
        if not (self._busy or self._full):
            self._look()
        elif len(self._raw) > AHEAD:
            self._transport.pause_reading()

    def goes_on(self) -> None:
        """It has been answered before, by somebody else."""
        self._answered = True

    def is_idle(self, now: float) -> bool:
        """Whether it has said nothing for too long (monotonic seconds)."""
        return not self._busy and now - self._since > (KEPT if self._answered and not self._raw else PATIENCE)

    def end(self) -> None:
        """Close it, once it has its answer."""
        if not self._busy:
            self._transport.close()

    def abort(self) -> None:
        """Close it at once."""
        self._transport.abort()

    def _look(self) -> None:
        """Begin the next request, if it is whole."""
        raw = self._raw
        end = raw.find(_END) + len(_END)
        if end < len(_END):
            if not self._server.may_be_hot(raw):
                self._pass_on()
            return
        head = self._head(raw[:end])
        if head is None:
            self._pass_on()
        elif len(raw) >= end + head.length:
            self._raw = raw[end + head.length :]
            body = raw[end : end + head.length]
            self._busy = True
            if not head.endpoint.at_once(head.scope, head.headers, body, partial(self._reply, head)):
                self._task = asyncio.get_running_loop().create_task(self._answer(head, body))

    def _head(self, head: bytes) -> Head | None:
        if self._last is not None and self._last[0] == head:
            return self._last[1]
        endpoint = self._server.endpoints.get(head[: head.index(b"\n") + 1])
        found = None if endpoint is None else read_head(head, endpoint, self._transport)
        self._last = None if found is None else (head, found)
        return found

    async def _answer(self, head: Head, body: bytes) -> None:
        self._reply(head, await head.endpoint.quickly(head.scope, head.headers, body))

    def _reply(self, head: Head, reply: Reply | None) -> None:
        self._busy, self._task, self._since, self._answered = False, None, time.monotonic(), True
        if reply is None or self._transport.is_closing():
            return
        stays = head.keep_alive and not self._server.closing
        asked_to_close = (b"connection", b"close") in reply.headers
        self._write(reply, says_close=not (stays or asked_to_close))
        if not stays or asked_to_close:
            self._transport.close()
        else:
            self._look_again()

    def _write(self, reply: Reply, *, says_close: bool) -> None:
        """An answer in one piece: each write is a call of the system, and wakes the client."""
        parts = [STATUS_LINE[reply.status], self._server.date(), b"content-type: ", reply.content_type]
        parts.append(b"\r\ncontent-length: %d\r\n" % len(reply.body))
        for name, value in reply.headers:
            parts += (name, b": ", value, b"\r\n")
        if says_close:
            parts.append(b"connection: close\r\n")
        parts += (b"\r\n", reply.body)
        self._transport.write(b"".join(parts))

    def _look_again(self) -> None:
        if self._raw and not (self._busy or self._full) and not self._transport.is_closing():
            self._transport.resume_reading()
            self._look()

    def _pass_on(self) -> None:
        raw, self._raw = self._raw, b""
        self._leave()
        self._server.pass_on(self._transport, raw)

    def _leave(self) -> None:
        self._server.connections.discard(self)
        if not self.ended.done():
            self.ended.set_result(None)
