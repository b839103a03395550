"""A TCP proxy to break connections with: between a server and its database, or its carrier.

It passes octets on, until it is told to cut (both ends hear of it) or to stall (nobody hears anything, as when a cable
is pulled: octets that come are kept, connections that are made are never answered).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Self, TypeVar

T = TypeVar("T")

_CHUNK = 65_536


class Proxy:
    """Listens on a port of its own and connects to *host* and *port*, or to the socket at *path*."""

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, path: str = "", listen: int = 0) -> None:
        """*listen* is the port to listen on; 0 takes a free one."""
        self._target = (host, port, path)
        self.port = listen
        self._server: asyncio.Server | None = None
        self._passing = asyncio.Event()
        self._passing.set()
        self._links: dict[asyncio.Task[None], tuple[asyncio.StreamWriter, ...]] = {}
        #: Connections that were made to it.
        self.connections = 0

    async def __aenter__(self) -> Self:
        """Begin to listen."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Cut everything and listen no more."""
        await self.stop()

    async def start(self) -> None:
        """Listen (again)."""
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections from now on, and cut those that there are."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await self.cut()

    async def cut(self) -> None:
        """Cut every connection: both ends are reset."""
        tasks = list(self._links)
        for writers in list(self._links.values()):
            for writer in writers:
                writer.transport.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def stall(self) -> None:
        """Pass nothing on any more, in either direction, and say so to nobody."""
        self._passing.clear()

    def resume(self) -> None:
        """Pass on what came meanwhile, and everything from now on."""
        self._passing.set()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._links[task] = (writer,)
        try:
            await self._link(task, reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # Either end has gone, or was cut off; the other one goes too.
        finally:
            for one in self._links.pop(task):
                one.transport.abort()

    async def _link(self, task: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._passing.wait()
        host, port, path = self._target
        opening = asyncio.open_unix_connection(path) if path else asyncio.open_connection(host, port)
        there, back = await opening
        self._links[task] = (writer, back)
        hear = self.listener()
        await asyncio.gather(self._pass(reader, back, hear, True), self._pass(there, writer, hear, False))

    def listener(self) -> Callable[[bool, bytes], None]:
        """For one connection: what is told of octets before they go on, with whether they go to the target."""
        return _deaf

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        hear: Callable[[bool, bytes], None],
        forth: bool,
    ) -> None:
        while octets := await reader.read(_CHUNK):
            await self._passing.wait()
            hear(forth, octets)
            writer.write(octets)
            await writer.drain()
        await self._passing.wait()
        # One end has hung up: the other one hears of it, after what was still on its way.
        writer.close()


def _deaf(forth: bool, octets: bytes) -> None:
    pass


class ThreadedProxy:
    """The same for programs without an event loop."""

    def __init__(self, make: Callable[[], Proxy]) -> None:
        """*make* makes the proxy, in the loop that it will live in."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._proxy = self._run(_made(make))

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._proxy.port

    def cut(self) -> None:
        """As `Proxy.cut`."""
        self._run(self._proxy.cut())

    def stall(self) -> None:
        """As `Proxy.stall`."""
        self._loop.call_soon_threadsafe(self._proxy.stall)

    def resume(self) -> None:
        """As `Proxy.resume`."""
        self._loop.call_soon_threadsafe(self._proxy.resume)

    def close(self) -> None:
        """Cut everything and end."""
        self._run(self._proxy.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)


async def _made(make: Callable[[], Proxy]) -> Proxy:
    proxy = make()
    await proxy.start()
    return proxy


@contextlib.contextmanager
def threaded_proxy(**target: Any) -> Iterator[ThreadedProxy]:
    """A proxy in a thread of its own for the length of a block; *target* as `Proxy` takes it."""
    proxy = ThreadedProxy(lambda: Proxy(**target))
    try:
        yield proxy
    finally:
        proxy.close()
