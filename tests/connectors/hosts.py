"""A web server of the tests' own."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

from aiohttp import web


class Host(ABC):
    """Listens on a free port of this machine; what it answers is up to its kind."""

    def __init__(self) -> None:
        self.url = ""
        self._server: asyncio.Server | None = None
        self._web = web.Server(self._answer, access_log=None)

    async def start(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(self._web, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._web.shutdown(1.0)

    @abstractmethod
    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """What a request gets."""
