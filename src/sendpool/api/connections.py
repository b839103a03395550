"""HTTP connections as uvicorn serves them, but that an answer leaves in one write.

Each write is a call of the system and wakes the client, which costs more than it is worth where answers are small.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: Bytes above which nothing waits any more: whoever writes a lot has to learn that the client does not keep up.
MOST = 65_536


class Gathering:
    """A transport that holds what is written until the event loop has done what is ready, and writes it at once."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        """Everything else is the transport's own."""
        return getattr(self.transport, name)

    def write(self, data: bytes) -> None:
        """Write soon."""
        if not self._held:
            self._loop.call_soon(self.flush)
        self._held.append(data)
        self._size += len(data)
        if self._size > MOST:
            self.flush()

    def close(self) -> None:
        """Write what is held, then hang up."""
        self.flush()
        self.transport.close()

    def flush(self) -> None:
        """Write what is held."""
        if self._held:
            held, self._held, self._size = self._held, [], 0
            if not self.transport.is_closing():
                self.transport.write(held[0] if len(held) == 1 else b"".join(held))


class UsualConnection(HttpToolsProtocol):
    """One connection, of which something has come already; where that can be, it is given back between requests."""

    def __init__(self, begun: bytes, give_back: Callable[[asyncio.Transport], None] | None, **server: Any) -> None:
        super().__init__(**server)
        self._begun = begun
        self._give_back = give_back
        #: Whether the parser has read one request to its end and nothing of the next.
        self._between = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """It is ours now."""
        super().connection_made(cast(asyncio.Transport, Gathering(transport, self.loop)))
        begun, self._begun = self._begun, b""
        self.data_received(begun)

    def on_message_begin(self) -> None:
        """A request begins."""
        self._between = False
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """A request is whole."""
        self._between = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """A request is answered."""
        super().on_response_complete()
        if self._give_back is None or self.pipeline or not self._between:
            return
        if self.transport.is_closing() or self.flow.write_paused:
            return
        self._unset_keepalive_if_required()
        self.connections.discard(self)
        # It and we would hold each other, and collections are rare.
        self.parser = cast(Any, None)
        gathering = cast(Gathering, self.transport)
        gathering.flush()
        self._give_back(gathering.transport)
