"""A database that does not answer: nobody waits long, nothing is lost, and everything goes on when it is back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TypeVar

import pytest
from tests.pipeline.carriers import Carrier
from tests.pipeline.stores import Watched
from tests.pipeline.worlds import Line, everyone, virtually, world

from sendpool.pipeline.engine import LAST_WAITS, PATIENCE, Engine
from sendpool.pipeline.waiter import StoreUnavailable
from sendpool.store.database import FateUnknown, Work

T = TypeVar("T")
NUMBER = "+12030000001"


class Slow:
    """Lets the next commit happen only after *seconds*, or never."""

    def __init__(self, store: Watched, seconds: float) -> None:
        self._write = store.write
        self._seconds = seconds
        self.began = asyncio.Event()

    async def write(self, work: Work[T], *, brief: bool = False) -> T:
        seconds, self._seconds = self._seconds, 0.0
        if seconds:
            self.began.set()
        await asyncio.sleep(seconds)
        return await self._write(work, brief=brief)


async def refused_within(seconds: float, sending: object) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(StoreUnavailable, match="does not answer"):
        await sending  # type: ignore[misc]
    assert loop.time() - began <= seconds


@virtually
async def test_while_a_commit_has_no_answer_everybody_else_is_refused_at_once(fresh: Path) -> None:
    async with world(fresh, a=Line(Carrier(), {NUMBER: None})) as w:
        w.store.write = (slow := Slow(w.store, 60.0)).write  # type: ignore[method-assign]
        first = asyncio.create_task(w.send(*everyone(1)))
        await slow.began.wait()
        second = asyncio.create_task(w.send(*everyone(1, 1)))

        await refused_within(PATIENCE + 0.1, first)
        await refused_within(0.1, second)
        for _ in range(5):
            await refused_within(0.01, w.send(*everyone(1, 2)))
            await refused_within(0.01, w.engine.settle(lambda changes: iter(())))  # type: ignore[arg-type,return-value]
            await asyncio.sleep(5)

        await asyncio.sleep(40)
        await w.send(*everyone(3, 10))
        # The first was stored all the same: its client knows that it does not know. The second was not.
        await w.until_states(DELIVERED=4)


@virtually
async def test_server_that_is_to_stop_does_not_wait_for_ever(fresh: Path) -> None:
    async with world(fresh, a=Line(Carrier(), {NUMBER: None})) as w:
        store = Slow(w.store, 1e9)
        engine = Engine(w.store, w.engine.metrics, w.engine.clock)
        engine.database = store  # type: ignore[assignment]
        engine.start()
        engine.sweep(lambda changes: iter(()))  # type: ignore[arg-type,return-value]
        await store.began.wait()
        began = w.now

        await engine.stop()

        assert w.now - began <= (LAST_WAITS + 1) * PATIENCE


@pytest.mark.parametrize("committed", [True, False])
@virtually
async def test_attempts_of_a_commit_of_which_nobody_knows_what_became_are_of_unknown_fate(
    fresh: Path, committed: bool
) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: None})) as w:
        # Nobody else is to have the failure that is meant for the engine.
        for loop in (w.replier, w.sweeper, w.health, w.capability):
            await loop.stop()
        write = w.store.write
        carrier.link(up=False)
        await w.send(*everyone(3))
        lost = False

        async def losing(work: Work[T], *, brief: bool = False) -> T:
            nonlocal lost
            begins = any(getattr(batch, "claims", ()) for batch in getattr(work, "args", ()))
            if lost or not begins or not w.engine.planner.scenes._numbers:
                return await write(work, brief=brief)
            lost = True
            if committed:
                raise FateUnknown("nobody knows", await write(work))
            result: list[T] = []
            w.store.failures = 1
            with pytest.raises(Exception, match="disk I/O"):
                await write(lambda: noting(work, result))
            raise FateUnknown("nobody knows", result[0])

        def noting(work: Work[T], result: list[T]):  # type: ignore[no-untyped-def]
            result.append((yield from work() if callable(work) else work))
            return result[0]

        w.store.write = losing  # type: ignore[method-assign]
        carrier.link(up=True)
        await w.until(lambda: lost)
        if committed:
            await w.until_states(SENT=3)
            rows = await w.rows("SELECT DISTINCT state, code FROM attempt")
            assert rows == [(3, "commit")]
            assert carrier.sent == []
        else:
            await w.until_states(DELIVERED=3)
