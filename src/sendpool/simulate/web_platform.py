"""What simulated platforms share that are spoken to by HTTP: a port that can close, answers that can be held."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Coroutine, Sequence
from math import inf
from types import TracebackType
from typing import Any, Protocol, Self

from aiohttp import web

from sendpool.simulate.poster import Poster
from sendpool.simulate.script import Drop, Outage


class WebScript(Protocol):
    """What a script says about the platform's socket."""

    @property
    def host(self) -> str:
        """The address to listen on."""

    @property
    def port(self) -> int:
        """The port; 0 takes a free one."""

    @property
    def faults(self) -> Sequence[Any]:
        """What goes wrong; here only drops and outages count."""


class WebPlatform(ABC):
    """A platform on a real socket that speaks to a webhook."""

    def __init__(self, script: WebScript, webhook: Poster) -> None:
        self._host = script.host
        self._web_faults = script.faults
        #: The port it listens on, once started; the same after an outage.
        self.port = script.port
        #: The largest number of requests to send that were unanswered at one time.
        self.most_unanswered = 0
        #: Connections that were made, and those that were broken.
        self.connections_made = 0
        self.drops = 0
        self._poster = webhook
        self._drops_left = Counter({n: f.times for n, f in enumerate(script.faults) if isinstance(f, Drop)})
        self._unanswered = 0
        self._released = asyncio.Event()
        self._released.set()
        self._server: asyncio.Server | None = None
        self._web: web.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._started_at = 0.0

    @abstractmethod
    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer any request."""

    @abstractmethod
    def _forget_deliveries(self) -> None:
        """Deliver nothing more."""

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        await self.stop()

    async def start(self) -> None:
        """Listen. The script's times count from now. Raises `OSError` if the port is taken."""
        self._started_at = asyncio.get_running_loop().time()
        # Cancelled with the client gone: an answer that is kept back must not wait for ever.
        self._web = web.Server(self._answer, handler_cancellation=True, access_log=None)
        await self._listen()
        for outage in (fault for fault in self._web_faults if isinstance(fault, Outage)):
            self._spawn(self._follow(outage))

    async def stop(self) -> None:
        """Close the port and every connection, and say nothing more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._forget_deliveries()
        await self.begin_outage()
        await self._poster.stop()
        if self._web is not None:
            await self._web.shutdown(1.0)

    @property
    def url(self) -> str:
        """What goes into `base_url`."""
        return f"http://{self._host}:{self.port}"

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return asyncio.get_running_loop().time() - self._started_at

    @property
    def unacknowledged(self) -> int:
        """Events that the webhook has not acknowledged."""
        return self._poster.waiting

    def hold_answers(self) -> None:
        """Take messages from now on, but answer none until `release_answers`."""
        self._released.clear()

    def release_answers(self) -> None:
        """Answer what is held, and from now on as the script says."""
        self._released.set()

    def cut_connections(self) -> None:
        """Break every connection without a word; the port stays open."""
        for connection in self._web.connections if self._web is not None else ():
            if connection.transport is not None:
                self.drops += 1
                connection.transport.abort()

    async def begin_outage(self) -> None:
        """Close the port, break every connection and fall silent."""
        self._poster.fall_silent()
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut_connections()

    async def end_outage(self) -> None:
        """Listen again on the same port, and tell what has waited. Raises `OSError` if somebody else took it."""
        self._poster.speak_again()
        if self._server is None:
            await self._listen()

    async def _reply(
        self, request: web.BaseRequest, response: web.Response, requests: int, after: float, *, answered: bool
    ) -> web.StreamResponse:
        """Answer late, never, or on a connection that then breaks; *requests* to send were made up to now."""
        self._unanswered += 1
        self.most_unanswered = max(self.most_unanswered, self._unanswered)
        try:
            drop = self._drop_now(requests)
            await asyncio.sleep(after)
            await self._released.wait()
            if not answered:
                await asyncio.Event().wait()
        finally:
            self._unanswered -= 1
        if drop is not None:
            self.drops += 1
            if not drop.answered and request.transport is not None:
                request.transport.abort()
            response.force_close()
        return response

    def _drop_now(self, requests: int) -> Drop | None:
        for n, fault in enumerate(self._web_faults):
            if not isinstance(fault, Drop) or not fault.befalls("", "", "", self.elapsed):
                continue
            if requests % fault.after == 0 and self._drops_left[n] > 0:
                self._drops_left[n] -= 1
                return fault
        return None

    def _connected(self) -> asyncio.BaseProtocol:
        assert self._web is not None
        self.connections_made += 1
        return self._web()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connected, self._host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _follow(self, outage: Outage) -> None:
        await asyncio.sleep(max(outage.since - self.elapsed, 0))
        await self.begin_outage()
        if outage.until < inf:
            await asyncio.sleep(max(outage.until - self.elapsed, 0))
            await self.end_outage()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
