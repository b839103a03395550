"""A road to a PostgreSQL server's socket that can be cut: nothing goes through, and nobody is told.

That is what a network looks like that fails: connections stay open, and no answer comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

_PORT = 5432


class Road:
    """Forwards bytes between clients and a server while it is open."""

    def __init__(self, url: str, folder: Path) -> None:
        """*url* is the server's, by way of a socket; *folder* gets ours."""
        parts = urlsplit(url)
        query = parse_qs(parts.query)
        self._target = f"{query['host'][0]}/.s.PGSQL.{query['port'][0]}"
        self._folder = folder
        self.url = f"{parts.scheme}://{parts.netloc}{parts.path}?host={folder}&port={_PORT}"
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    def cut(self) -> None:
        """Let nothing through from now on."""
        self._open.clear()

    def mend(self) -> None:
        """Let everything through again, what has waited included."""
        self._open.set()

    async def start(self) -> None:
        """Take clients."""
        self._server = await asyncio.start_unix_server(self._serve, f"{self._folder}/.s.PGSQL.{_PORT}")

    async def stop(self) -> None:
        """Drop everybody."""
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await self._open.wait()
                back, forth = await asyncio.open_unix_connection(self._target)
                try:
                    async with asyncio.TaskGroup() as group:
                        group.create_task(self._carry(reader, forth))
                        group.create_task(self._carry(back, writer))
                finally:
                    forth.close()
        except* ConnectionError:
            pass
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            await self._open.wait()
            sink.write(data)
            await sink.drain()
        await self._open.wait()
        raise ConnectionResetError  # One end has hung up: so does the other.


@contextlib.asynccontextmanager
async def road_to(url: str) -> AsyncIterator[Road]:
    """A road for the length of a block."""
    with tempfile.TemporaryDirectory(prefix="road-", dir="/tmp") as folder:
        road = Road(url, Path(folder))
        await road.start()
        try:
            yield road
        finally:
            road.mend()
            await road.stop()
