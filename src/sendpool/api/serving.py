"""Serve an application by HTTP: small requests of its hot routes quickly, everything else by uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator

import uvicorn

from sendpool.api.connections import UsualConnection
from sendpool.api.quick import Hot, QuickServer


class _Usual(uvicorn.Server):
    """uvicorn for connections that others have taken, and without its signal handlers: ours drain the pipeline too."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield

    def connection(self, begun: bytes, give_back: Callable[[asyncio.Transport], None] | None = None) -> UsualConnection:
        """What serves a connection that has begun like this."""
        server = {"config": self.config, "server_state": self.server_state, "app_state": self.lifespan.state}
        return UsualConnection(begun, give_back, **server)


class HttpServer:
    """One application on one listener."""

    def __init__(self, app: Hot, grace: float) -> None:
        """*grace* is seconds that open requests have to end when it is stopped."""
        self._grace = grace
        self._usual = _Usual(_config(app, grace))
        self._quick = QuickServer(app.routes, self._take)
        self._listening: asyncio.AbstractServer | None = None
        self._adopting: set[asyncio.Task[object]] = set()
        #: Ends when it does.
        self.serving: asyncio.Task[None]

    async def start(self, listener: socket.socket | None = None) -> None:
        """Serve whoever connects to *listener*, and what is to be adopted; both may come when this returns."""
        loop = asyncio.get_running_loop()
        self.serving = loop.create_task(self._usual.serve(sockets=[]), name="http")
        while not self._usual.started:
            if self.serving.done():
                self.serving.result()
                raise RuntimeError("the HTTP server ended before it was ready")
            await asyncio.sleep(0.005)
        if listener is not None:
            self._quick.start()
            self._listening = await loop.create_server(self._quick.connection, sock=listener)

    def adopt(self, connection: socket.socket, begun: bytes) -> None:
        """Serve a connection that another process has taken, on which this has come."""
        if self._usual.should_exit:
            connection.close()
            return
        loop = asyncio.get_running_loop()
        task = loop.create_task(
            loop.connect_accepted_socket(lambda: self._usual.connection(begun), connection), name="adopt"
        )
        self._adopting.add(task)
        task.add_done_callback(self._adopting.discard)

    async def stop(self) -> None:
        """Take no new connection, answer what was asked, and close."""
        if self._listening is not None:
            self._listening.close()
        self._usual.should_exit = True
        await asyncio.gather(self._quick.close(self._grace), asyncio.wait([self.serving], timeout=self._grace))

    def _take(self, transport: asyncio.Transport, begun: bytes) -> None:
        """Serve a connection that asks for more than what is quick."""
        connection = self._usual.connection(begun, self._give_back)
        transport.set_protocol(connection)
        connection.connection_made(transport)

    def _give_back(self, transport: asyncio.Transport) -> None:
        """It has its answer: what it asks for next may be quick."""
        connection = self._quick.connection()
        transport.set_protocol(connection)
        connection.connection_made(transport)
        connection.goes_on()


def _config(app: Hot, grace: float) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        date_header=True,
        lifespan="off",
        loop="none",
        ws="none",
        timeout_graceful_shutdown=round(grace),
    )
