"""Company: a commit waits for the callers whom the one before has answered, for a moment and not for nothing."""

from __future__ import annotations

import asyncio
from itertools import count
from pathlib import Path

import pytest
from tests.pipeline.carriers import Carrier
from tests.pipeline.worlds import Line, virtually, world

from sendpool.pipeline.company import AT_MOST, MANY, Company
from sendpool.testing.clock import run_virtually

NUMBER = "+12030000001"


def test_the_next_commit_waits_until_as_many_are_there_as_were_answered() -> None:
    async def scene() -> None:
        company = Company()
        company.answered(MANY, MANY)
        waits = asyncio.create_task(company.gather(0))
        await asyncio.sleep(AT_MOST / 2)
        company.came(MANY - 1)
        await asyncio.sleep(AT_MOST / 4)
        assert not waits.done()
        company.came(MANY)
        await asyncio.wait_for(waits, AT_MOST / 8)

    run_virtually(scene())


@pytest.mark.parametrize("there", [0, MANY - 1])
def test_whoever_does_not_come_is_not_waited_for_long(there: int) -> None:
    async def scene() -> None:
        company = Company()
        company.answered(MANY, 0)
        await asyncio.wait_for(company.gather(there), AT_MOST * 1.01)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(company.gather(there), AT_MOST * 0.9)
        # Who gave up left nothing behind.
        company.came(MANY)
        await asyncio.wait_for(company.gather(there), AT_MOST * 1.01)

    run_virtually(scene())


@pytest.mark.parametrize(
    ("answered", "started", "there"),
    [(0, 0, 0), (MANY - 1, 0, 0), (MANY, 2 * MANY + 1, 0), (MANY, 0, MANY), (MANY, 0, 5 * MANY)],
    ids=["nobody", "few", "beside a campaign", "all are there", "more are there"],
)
def test_nobody_is_waited_for(answered: int, started: int, there: int) -> None:
    async def scene() -> None:
        company = Company()
        company.answered(answered, started)
        await asyncio.wait_for(company.gather(there), AT_MOST / 100)

    run_virtually(scene())


@virtually
async def test_callers_who_come_one_after_another_share_a_commit_with_what_carriers_said(fresh: Path) -> None:
    callers, rounds = 32, 8
    carrier = Carrier()
    phones = count(12065550000)
    async with world(fresh, a=Line(carrier, {NUMBER: 1_000_000})) as w:

        async def call(number: int) -> None:
            for _ in range(rounds):
                await w.send(f"+{next(phones)}")
                # A front takes one answer after the other.
                await asyncio.sleep(0.0001 * number)

        await w.send(f"+{next(phones)}")
        before = w.store.commits
        await asyncio.gather(*map(call, range(callers)))

        # Where no commit waits, what a carrier says at once is one of its own in each round, and so are the first ones.
        assert w.store.commits - before <= rounds + 4
        await w.until_states(DELIVERED=callers * rounds + 1)
