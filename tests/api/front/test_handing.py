"""A connection that is handed over goes on as if nothing had happened."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from sendpool.api.front.handing import Giver, Taker, pair


class Handed:
    """What has been handed over."""

    def __init__(self) -> None:
        self.came: asyncio.Queue[tuple[socket.socket, bytes]] = asyncio.Queue()

    def __call__(self, connection: socket.socket, begun: bytes) -> None:
        self.came.put_nowait((connection, begun))

    async def next(self) -> tuple[socket.socket, bytes]:
        return await asyncio.wait_for(self.came.get(), 10)


class GivesAtOnce(asyncio.Protocol):
    """Hands its connection over once *enough* bytes have come."""

    def __init__(self, giver: Giver, enough: int, answer: bytes = b"") -> None:
        self._giver = giver
        self._enough = enough
        self._answer = answer
        self._raw = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._raw += data
        if len(self._raw) >= self._enough:
            if self._answer:
                self._transport.write(self._answer)
            self._giver.give(self._transport, self._raw)


@pytest.fixture
async def ends() -> AsyncIterator[tuple[Giver, Handed]]:
    ours, theirs = pair()
    handed = Handed()
    taker = Taker(ours, handed)
    yield Giver(theirs), handed
    taker.close()
    theirs.close()


async def listen(giver: Giver, enough: int, answer: bytes = b"") -> asyncio.Server:
    return await asyncio.get_running_loop().create_server(lambda: GivesAtOnce(giver, enough, answer), "127.0.0.1", 0)


@pytest.mark.parametrize("size", [1, 64 * 1024, 200_000])
async def test_everything_that_came_goes_along_and_the_connection_goes_on(
    size: int, ends: tuple[Giver, Handed]
) -> None:
    giver, handed = ends
    server = await listen(giver, size)
    said = bytes(number % 251 for number in range(size))
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(said)

    connection, begun = await handed.next()
    writer.write(b"and more")
    there, back = await asyncio.open_connection(sock=connection)

    assert begun == said
    assert await asyncio.wait_for(there.readexactly(8), 10) == b"and more"
    back.write(b"answer")
    assert await asyncio.wait_for(reader.readexactly(6), 10) == b"answer"
    for one in (back, writer):
        one.close()
        await one.wait_closed()
    server.close()


async def test_a_client_gets_what_it_was_answered_before_the_connection_was_handed_over(
    ends: tuple[Giver, Handed],
) -> None:
    giver, handed = ends
    answer = b"x" * 8_000_000
    server = await listen(giver, 1, answer)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), limit=1024)
    writer.write(b"?")
    # Nothing is handed over while the client has not read it.
    for _ in range(5):
        await asyncio.sleep(0.02)
        assert handed.came.empty()

    assert await asyncio.wait_for(reader.readexactly(len(answer)), 10) == answer
    connection, begun = await handed.next()

    assert begun == b"?"
    connection.close()
    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()
    await writer.wait_closed()
    server.close()


async def test_many_at_once_all_arrive(ends: tuple[Giver, Handed]) -> None:
    giver, handed = ends
    server = await listen(giver, 5)
    opened = [await asyncio.open_connection(*server.sockets[0].getsockname()) for _ in range(300)]
    for number, (_, writer) in enumerate(opened):
        writer.write(b"%05d" % number)

    came = [await handed.next() for _ in opened]

    assert sorted(begun for _, begun in came) == [b"%05d" % number for number in range(300)]
    for connection, _ in came:
        connection.close()
    for _, writer in opened:
        writer.close()
        await writer.wait_closed()
    server.close()
