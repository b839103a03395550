"""The proxy: passes octets, cuts, stalls like a pulled cable, and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from sendpool.testing.proxy import Proxy, threaded_proxy


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    """A server that says everything back; its port."""
    writers: list[asyncio.StreamWriter] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        while octets := await reader.read(100):
            writer.write(octets)

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    for writer in writers:
        writer.transport.abort()


async def said(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, octets: bytes) -> bytes:
    writer.write(octets)
    return await reader.readexactly(len(octets))


async def test_it_passes_octets_both_ways(echo: int) -> None:
    async with Proxy(port=echo) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)

        assert await said(reader, writer, b"hello" * 50_000) == b"hello" * 50_000
        writer.transport.abort()


async def test_a_cut_is_heard_at_once_and_a_new_connection_works(echo: int) -> None:
    async with Proxy(port=echo) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        await said(reader, writer, b"hello")

        await proxy.cut()

        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.transport.abort()
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        assert await said(reader, writer, b"again") == b"again"
        writer.transport.abort()


async def test_a_stalled_one_says_nothing_until_it_goes_on(echo: int) -> None:
    async with Proxy(port=echo) as proxy:
        old = await asyncio.open_connection("127.0.0.1", proxy.port)
        await said(*old, b"hello")

        proxy.stall()
        new = await asyncio.open_connection("127.0.0.1", proxy.port)
        for _, writer in (old, new):
            writer.write(b"later")
        for reader, _ in (old, new):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.readexactly(5), 0.1)
        proxy.resume()

        for reader, writer in (old, new):
            assert await asyncio.wait_for(reader.readexactly(5), 10) == b"later"
            writer.transport.abort()


async def test_when_one_end_hangs_up_the_other_hears_of_it(echo: int) -> None:
    async with Proxy(port=echo) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        await said(reader, writer, b"hello")

        writer.write_eof()

        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.transport.abort()


async def test_nobody_there_is_a_cut(echo: int) -> None:
    del echo
    async with Proxy(port=1) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)

        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.transport.abort()


async def test_it_runs_beside_programs_without_a_loop(echo: int) -> None:
    with threaded_proxy(port=echo) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        assert await said(reader, writer, b"hello") == b"hello"

        proxy.stall()
        proxy.resume()
        await asyncio.to_thread(proxy.cut)

        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.transport.abort()
