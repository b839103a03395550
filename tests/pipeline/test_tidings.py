"""What a connection goes through is told, once, and never for what is as it should be."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.pipeline.carriers import Carrier, refused
from tests.pipeline.worlds import Line, World, everyone, virtually, world

from sendpool.connectors.base import Throttled
from sendpool.domain.closure import FIRST_PAUSE

NUMBER = "+12030000001"


async def told(w: World) -> list[tuple[Any, ...]]:
    return await w.rows("SELECT type, subject, data FROM notice ORDER BY id")


@virtually
async def test_a_link_that_breaks_and_comes_back_is_told_and_a_normal_start_and_end_are_not(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        await w.send(*everyone(1))
        await w.until_states(DELIVERED=1)
        assert await told(w) == []
        assert carrier.inbox is not None
        for up in (False, False, True, True, False):
            carrier.inbox.link(up=up, window=10 * up, detail="cut" if not up else "bound")
        await asyncio.sleep(1)
        found = await told(w)

    assert [(name, subject) for name, subject, _ in found] == [
        ("sendpool.connection.down", "a"),
        ("sendpool.connection.up", "a"),
        ("sendpool.connection.down", "a"),
    ]
    assert found[0][2] == '{"reason":"cut"}'


@virtually
async def test_a_carrier_that_asks_for_pauses_is_told_once_a_minute(fresh: Path) -> None:
    carrier = Carrier()
    asked = 0

    def answer(submission: Any, part: int) -> Any:
        nonlocal asked
        asked += 1
        return Throttled("sender", 1.0, "0x58") if asked <= 20 else usual(submission, part)

    usual, carrier.answer = carrier.answer, answer
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        await w.send(*everyone(5))
        await asyncio.sleep(50)
        found = await told(w)

    assert asked > 1
    assert found == [("sendpool.throughput.throttled", "a", '{"scope":"sender","seconds":"1"}')]


@virtually
async def test_an_account_that_is_refused_is_told_once_and_again_when_it_may_send(fresh: Path) -> None:
    bad, good = Carrier(), Carrier()
    usual = bad.answer
    bad.answer = lambda submission, part: refused("0x67")
    async with world(fresh, a=Line(bad, {NUMBER: 100}), b=Line(good, {"+12030000002": 100})) as w:
        metric = w.engine.metrics.link_refused("a")
        await w.send(*everyone(100))
        await w.until_states(DELIVERED=100)
        assert await told(w) == [("sendpool.connection.refused", "a", '{"state":"closed","reason":"account"}')]
        assert metric._value.get() == 1

        bad.answer = usual
        await asyncio.sleep(FIRST_PAUSE)
        await w.send(*everyone(100, first=1_000))
        await w.until_states(DELIVERED=200)
        await asyncio.sleep(1)

        assert (await told(w))[1:] == [("sendpool.connection.refused", "a", '{"state":"open"}')]
        assert metric._value.get() == 0
