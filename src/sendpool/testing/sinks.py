"""A webhook for tests: takes events, or fails as it is told."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple, Self

from aiohttp import web


class Taken(NamedTuple):
    """A request that a sink got."""

    url: str
    headers: dict[str, str]
    body: bytes

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events in it."""
        found: list[dict[str, Any]] = json.loads(self.body)
        return found


class SinkServer:
    """A webhook on a real socket."""

    def __init__(self) -> None:
        #: Requests that were answered with 200.
        self.taken: list[Taken] = []
        #: How often each event came, by its id, in requests that were answered with 200.
        self.seen: Counter[str] = Counter()
        #: Says what to answer to the n-th request: a status, or a number of seconds to wait before a 200.
        self.answer: Callable[[int], int | float] = lambda n: 200
        self.requests = 0
        self._runner: web.AppRunner | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/events"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await self.listen()
        return self

    async def listen(self) -> None:
        """Listen, at the same port as before."""
        assert self._runner is not None
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def __aexit__(self, *reason: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        self.requests += 1
        answer = self.answer(self.requests)
        body = await request.read()
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            answer = 200
        if answer == 200:
            one = Taken(str(request.url), {key.lower(): value for key, value in request.headers.items()}, body)
            self.taken.append(one)
            self.seen.update(event["id"] for event in one.events)
        return web.Response(status=answer)

    def events(self) -> list[dict[str, Any]]:
        """Every event that was taken, in the order in which they came."""
        return [event for one in self.taken for event in one.events]
