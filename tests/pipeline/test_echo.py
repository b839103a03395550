"""Echo: what carriers say waits for their answers where these come at once, for a moment and not for nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.pipeline.carriers import Carrier
from tests.pipeline.worlds import Line, everyone, virtually, world

from sendpool.pipeline.echo import AT_MOST, Echo
from sendpool.pipeline.links import Link
from sendpool.testing.clock import run_virtually

WINDOW = 10
NUMBER = "+12030000001"


def line(in_flight: int) -> Any:
    """A connection with so much on its way."""
    one = SimpleNamespace(window=WINDOW, in_flight=in_flight)
    one.room = lambda _now: WINDOW - one.in_flight
    return one


def echo(*lines: Any) -> Echo:
    links = cast(Mapping[int, Link], dict(enumerate(lines)))
    return Echo(links, asyncio.get_running_loop().time)


def always() -> bool:
    return True


async def seconds_of(one: Echo, woken: asyncio.Event | None = None) -> float:
    """How long it waits."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await one.gather(woken or asyncio.Event(), always)
    return loop.time() - began


def test_the_commit_waits_until_most_is_answered() -> None:
    async def scene() -> None:
        one, woken = line(WINDOW), asyncio.Event()
        waits = asyncio.create_task(echo(one).gather(woken, always))
        await asyncio.sleep(AT_MOST / 4)
        one.in_flight = WINDOW // 2 + 1
        woken.set()
        await asyncio.sleep(AT_MOST / 4)
        assert not waits.done()
        one.in_flight = WINDOW // 2
        woken.set()
        await asyncio.wait_for(waits, AT_MOST / 8)

    run_virtually(scene())


def test_whoever_comes_meanwhile_and_waits_for_an_answer_ends_the_wait() -> None:
    async def scene() -> None:
        woken, came = asyncio.Event(), asyncio.Event()
        waits = asyncio.create_task(echo(line(WINDOW)).gather(woken, lambda: not came.is_set()))
        await asyncio.sleep(AT_MOST / 4)
        came.set()
        woken.set()
        await asyncio.wait_for(waits, AT_MOST / 8)

    run_virtually(scene())


@pytest.mark.parametrize(
    "lines",
    [[], [0], [WINDOW // 2], [WINDOW, 1]],
    ids=["no connection", "nothing is on its way", "half is answered", "another could go on"],
)
def test_nothing_is_waited_for(lines: list[int]) -> None:
    async def scene() -> None:
        assert await seconds_of(echo(*map(line, lines))) == 0

    run_virtually(scene())


def test_connections_with_nothing_on_their_way_do_not_matter() -> None:
    async def scene() -> None:
        assert await seconds_of(echo(line(WINDOW), line(0))) == pytest.approx(AT_MOST)

    run_virtually(scene())


def test_a_carrier_that_answers_late_is_seldom_waited_for() -> None:
    async def scene() -> None:
        far = line(WINDOW)
        one = echo(far)
        assert [await commits_between_waits(one) for _ in range(6)] == [0, 4, 16, 64, 256, 256]

        # It has come nearer: what there is to come is learnt anew.
        await commits_between_waits(one)
        for _ in range(256):
            assert await seconds_of(one) == 0
        woken = asyncio.Event()
        waits = asyncio.create_task(one.gather(woken, always))
        await asyncio.sleep(AT_MOST / 4)
        far.in_flight = 0
        woken.set()
        await waits
        far.in_flight = WINDOW
        assert [await commits_between_waits(one) for _ in range(2)] == [0, 4]

    run_virtually(scene())


async def commits_between_waits(one: Echo) -> int:
    """How many commits do not wait before one waits in vain."""
    passed_by = 0
    while not (seconds := await seconds_of(one)):
        passed_by += 1
    assert seconds == pytest.approx(AT_MOST)
    return passed_by


@virtually
async def test_a_window_that_is_answered_at_once_takes_one_commit(fresh: Path) -> None:
    windows = 12
    # The receipts of each window come while the next one is on its way.
    carrier = Carrier(window=50, answer_after=0.006, report_after=0.003)
    async with world(fresh, a=Line(carrier, {NUMBER: 1_000_000})) as w:
        before = w.store.commits
        await w.send(*everyone(50 * windows))
        await w.until_states(DELIVERED=50 * windows)

        # Where none waits it is three for each: of answers, of receipts, and of what follows from either.
        assert w.store.commits - before <= 2 * windows
