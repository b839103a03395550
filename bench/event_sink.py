"""A webhook that costs next to nothing: answers, and keeps each body that it took as a line of a file.

`event_sink.py FILE FAIL_SHARE STALL_SHARE SEED [WORD]` prints "listening on PORT"; every request is answered with 200,
but a share of them with 500, and a share of them only after six seconds, which is more than a sink has. With a WORD a
line only says how often the request (its head and body) has that word.
"""

from __future__ import annotations

import asyncio
import os
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

    def __init__(self, taken: BinaryIO, fail: float, stall: float, chance: random.Random, word: bytes = b"") -> None:
        self._taken = taken
        self._word = word
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
            _, told, rest = bytes(self._buffer[:end]).lower().partition(b"content-length:")
            length = int(rest.split(b"\r\n", 1)[0]) if told else 0
            if len(self._buffer) < end + 4 + length:
                return
            whole = bytes(self._buffer[: end + 4 + length])
            del self._buffer[: end + 4 + length]
            self._answer(b"%d" % whole.count(self._word) if self._word else whole[end + 4 :])

    def _answer(self, line: bytes) -> None:
        assert self._transport is not None
        drawn = self._chance.random()
        if drawn < self._fail:
            self._transport.write(_BAD)
            return
        self._taken.write(line + b"\n")
        if drawn < self._fail + self._stall:
            asyncio.get_running_loop().call_later(_STALL, self._transport.write, _OK)
        else:
            self._transport.write(_OK)


async def main(file: Path, fail: float, stall: float, seed: int, word: bytes) -> None:
    """Serve until the process ends, with what others leave of the processors: a sink has a machine of its own."""
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    chance = random.Random(seed)
    with file.open("ab", buffering=0) as taken:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Webhook(taken, fail, stall, chance, word), "127.0.0.1", 0)
        print(f"listening on {server.sockets[0].getsockname()[1]}", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        chances = float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
        runner.run(main(Path(sys.argv[1]), *chances, sys.argv[5].encode() if sys.argv[5:] else b""))
