"""The server's callback endpoints on a real socket, for tests of connectors whose carriers report by HTTP."""

from __future__ import annotations

import asyncio

from aiohttp import web

from sendpool.connectors.base import CallbackRequest, TakesCallbacks


class Callbacks:
    """Answers `/callbacks/<connection name>/...` as the server would mount it."""

    def __init__(self) -> None:
        self._connectors: dict[str, TakesCallbacks] = {}
        self._server: asyncio.Server | None = None
        self._web: web.Server | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """The server's public URL, from `listen` on."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def port(self) -> int:
        """Where it listens, from `listen` on."""
        return self._port

    def mount(self, name: str, connector: TakesCallbacks) -> None:
        """Let a connection of this name hear what it is told, in place of one before it."""
        self._connectors[name] = connector

    async def listen(self) -> None:
        """Begin, at the same port as before."""
        self._web = web.Server(self._answer, access_log=None)
        self._server = await asyncio.get_running_loop().create_server(self._web, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Hang up and listen no more."""
        assert self._server is not None
        assert self._web is not None
        self._server.close()
        await self._web.shutdown(1.0)

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        _, _, name, suffix = request.path.split("/", 3)
        connector = self._connectors.get(name)
        for route in connector.routes() if connector else ():
            if (route.method, route.path) == (request.method, f"/{suffix}"):
                asked = CallbackRequest(str(request.url), request.headers, await request.read())
                answer = await route.handle(asked)
                return web.Response(status=answer.status, body=answer.body, content_type=answer.media_type)
        return web.Response(status=404)
