"""HTTP connections whose answers leave in one write: head and body of an answer come from uvicorn one after the other.

A write is a call of the system and wakes the client; with small answers the two cost more than what is in them.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: Bytes above which nothing waits any more: whoever writes a lot has to learn that the client does not keep up.
MOST = 65_536


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

    def close(self) -> None:
        """Write what is held, then hang up."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._held:
            held, self._held, self._size = self._held, [], 0
            if not self._transport.is_closing():
                self._transport.write(held[0] if len(held) == 1 else b"".join(held))


class GatheringProtocol(HttpToolsProtocol):
    """uvicorn's HTTP over such transports."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody has connected."""
        super().connection_made(cast(asyncio.Transport, Gathering(transport, self.loop)))
