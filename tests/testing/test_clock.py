"""Virtual time jumps over waits, and over nothing else."""

from __future__ import annotations

import asyncio
import time

import pytest

from sendpool.testing import clock
from sendpool.testing.clock import Stuck, run_virtually


def test_an_hour_of_sleep_takes_no_time() -> None:
    async def sleep_an_hour() -> float:
        loop = asyncio.get_running_loop()
        before = loop.time()
        await asyncio.sleep(3600)
        return loop.time() - before

    started = time.monotonic()

    assert run_virtually(sleep_an_hour()) == pytest.approx(3600)
    assert time.monotonic() - started < 5


def test_timers_fire_in_order_at_their_own_time() -> None:
    async def fire() -> list[tuple[str, float]]:
        loop = asyncio.get_running_loop()
        fired: list[tuple[str, float]] = []
        loop.call_later(2.0, lambda: fired.append(("second", loop.time())))
        loop.call_later(0.5, lambda: fired.append(("first", loop.time())))
        await asyncio.sleep(10)
        return fired

    assert run_virtually(fire()) == [("first", 0.5), ("second", 2.0)]


def test_timeouts_count_virtual_seconds() -> None:
    async def wait_in_vain() -> float:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 60)
        return asyncio.get_running_loop().time()

    assert run_virtually(wait_in_vain()) == pytest.approx(60)


def test_sockets_between_two_ends_on_the_loop_work() -> None:
    async def echo() -> bytes:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(30)
            writer.write(await reader.readexactly(4))
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"ping")
        echoed = await reader.readexactly(4)
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        return echoed

    assert run_virtually(echo()) == b"ping"


def test_a_thread_is_waited_for_and_no_timer_overtakes_it() -> None:
    async def work_beside_a_timer() -> tuple[str, float]:
        loop = asyncio.get_running_loop()
        timer = loop.create_task(asyncio.sleep(100))
        await loop.run_in_executor(None, time.sleep, 0.05)
        at = loop.time()
        timer.cancel()
        return ("done", at)

    assert run_virtually(work_beside_a_timer()) == ("done", 0.0)


def test_waiting_for_nothing_is_reported_instead_of_hanging(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "PATIENCE", 0.05)

    async def wait_for_ever() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Stuck, match="no timer is set"):
        run_virtually(wait_for_ever())
