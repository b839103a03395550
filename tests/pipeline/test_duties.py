"""What one node does for all runs while it is the keeper, whatever order the news of that come in."""

from __future__ import annotations

import asyncio

import pytest

from sendpool.pipeline.duties import Duties


class Recorder:
    """A loop that notes what it is told; stopping takes a while, as it does where something is under way."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.may_stop = asyncio.Event()
        self.may_stop.set()

    def start(self) -> None:
        self.done.append("start")

    async def stop(self) -> None:
        await self.may_stop.wait()
        self.done.append("stop")


class Broken(Recorder):
    """A loop that does neither."""

    def start(self) -> None:
        raise RuntimeError("no start")

    async def stop(self) -> None:
        raise RuntimeError("no stop")


async def _settle(duties: Duties) -> None:
    while duties._turning is not None and not duties._turning.done():
        await asyncio.sleep(0)


@pytest.mark.parametrize("told", [[True], [True, True], [False, True], [True, False, True], [False], [True, False]])
async def test_it_ends_as_it_was_told_last(told: list[bool]) -> None:
    loop = Recorder()
    duties = Duties([loop])

    for keeps in told:
        duties.keep(keeps)
    await _settle(duties)

    assert loop.done.count("start") - loop.done.count("stop") == int(told[-1])


async def test_what_is_still_ending_is_not_begun_before_it_has_ended() -> None:
    loop = Recorder()
    duties = Duties([loop])
    duties.keep(True)
    await _settle(duties)
    loop.may_stop.clear()

    duties.keep(False)
    await asyncio.sleep(0)
    duties.keep(True)
    await asyncio.sleep(0)
    assert loop.done == ["start"]
    loop.may_stop.set()
    await _settle(duties)

    assert loop.done == ["start", "stop", "start"]


async def test_a_duty_that_fails_keeps_the_others_from_nothing() -> None:
    loop = Recorder()
    duties = Duties([Broken(), loop])
    duties.keep(True)
    await _settle(duties)

    await duties.stop()

    assert loop.done == ["start", "stop"]
