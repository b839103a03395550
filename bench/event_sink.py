"""A webhook that costs next to nothing: answers, and keeps each body that it took as a line of a file.

`event_sink.py FILE FAIL_SHARE STALL_SHARE SEED` prints "listening on PORT"; every request is answered with 200, but a
share of them with 500, and a share of them only after six seconds, which is more than a sink has.
"""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path
from typing import BinaryIO, cast

import uvloop

_STALL = 6.0
_OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
_BAD = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n"


class Webhook(asyncio.Protocol):
    """One connection: requests with a Content-Length, one after the other."""

    def __init__(self, taken: BinaryIO, fail: float, stall: float, chance: random.Random) -> None:
        self._taken = taken
        self._fail = fail
        self._stall = stall
        self._chance = chance
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody came."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Take what has come whole."""
        self._buffer += data
        while True:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._buffer[:end]).lower()
            start = head.find(b"content-length:") + len(b"content-length:")
            length = int(head[start:].split(b"\r\n", 1)[0])
            if len(self._buffer) < end + 4 + length:
                return
            body = bytes(self._buffer[end + 4 : end + 4 + length])
            del self._buffer[: end + 4 + length]
            self._answer(body)

    def _answer(self, body: bytes) -> None:
        assert self._transport is not None
        drawn = self._chance.random()
        if drawn < self._fail:
            self._transport.write(_BAD)
            return
        self._taken.write(body + b"\n")
        if drawn < self._fail + self._stall:
            asyncio.get_running_loop().call_later(_STALL, self._transport.write, _OK)
        else:
            self._transport.write(_OK)


async def main(file: Path, fail: float, stall: float, seed: int) -> None:
    """Serve until the process ends."""
    chance = random.Random(seed)
    with file.open("ab", buffering=0) as taken:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Webhook(taken, fail, stall, chance), "127.0.0.1", 0)
        print(f"listening on {server.sockets[0].getsockname()[1]}", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])))
