"""Messages on which nobody reports are asked for: at their time, ever more rarely, never faster than is allowed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.pipeline.carriers import Carrier, receipt
from tests.pipeline.worlds import Line, World, everyone, virtually, world

from sendpool.connectors.base import Outcome, Receipt, ReceiptState, Submission, Uncertain
from sendpool.pipeline.inquire import EVERY, MOST_ASKED, Inquirer

ASK_AFTER = 60.0


class Answering(Carrier):
    """A carrier that reports nothing, but can be asked."""

    def __init__(self) -> None:
        super().__init__()
        self.report = lambda submission, part: ()
        self.ask_after = ASK_AFTER
        #: What it says of a message that is known to it; None: still open.
        self.state: ReceiptState | None = ReceiptState.DELIVERED
        self.answers = True
        self.asked: list[tuple[float, list[str]]] = []

    async def fates(self, carrier_ids: Sequence[str]) -> Mapping[str, Receipt | None]:
        self.asked.append((asyncio.get_running_loop().time(), list(carrier_ids)))
        if not self.answers:
            return {}
        return {one: None if self.state is None else receipt(one, self.state) for one in carrier_ids}


@asynccontextmanager
async def asking(path: Path, carrier: Carrier) -> AsyncIterator[World]:
    async with world(path, a=Line(carrier, {"+12034458910": 1000.0})) as one:
        inquirer = Inquirer(one.engine)
        inquirer.start()
        try:
            yield one
        finally:
            await inquirer.stop()


async def waiting(one: World) -> int:
    return int((await one.rows("SELECT count(*) FROM inquiry"))[0][0])


@virtually
async def test_what_nobody_reports_is_asked_for_and_settled(fresh: Path) -> None:
    carrier = Answering()
    async with asking(fresh, carrier) as one:
        began = one.now
        await one.send(*everyone(3))
        await one.until_states(DELIVERED=3, within=120)

        assert ASK_AFTER <= one.now - began < ASK_AFTER + 2 * EVERY
        ((_, ids),) = carrier.asked
        assert len(ids) == 3
        await asyncio.sleep(2 * EVERY)
        assert await waiting(one) == 0


@virtually
async def test_what_was_reported_is_forgotten_unasked(fresh: Path) -> None:
    carrier = Answering()
    carrier.report = lambda submission, part: (ReceiptState.DELIVERED,)
    async with asking(fresh, carrier) as one:
        await one.send(*everyone(200))
        await one.until_states(DELIVERED=200)
        assert await waiting(one) == 200
        await asyncio.sleep(ASK_AFTER + 2 * EVERY)

        assert carrier.asked == []
        assert await waiting(one) == 0


@virtually
async def test_what_is_still_open_is_asked_for_ever_more_rarely(fresh: Path) -> None:
    carrier = Answering()
    carrier.state = None
    async with asking(fresh, carrier) as one:
        began = one.now
        await one.send(*everyone(1))
        await asyncio.sleep(1300)

        assert [round((at - began) / 60) for at, _ in carrier.asked] == [1, 5, 21]
        assert await one.states() == {"SENT": 1}


@virtually
async def test_a_carrier_that_does_not_answer_is_asked_again_soon(fresh: Path) -> None:
    carrier = Answering()
    carrier.answers = False
    async with asking(fresh, carrier) as one:
        await one.send(*everyone(1))
        await asyncio.sleep(ASK_AFTER + 3 * EVERY)
        assert len(carrier.asked) >= 2
        carrier.answers = True
        await one.until_states(DELIVERED=1)


@virtually
async def test_it_is_never_asked_faster_than_is_allowed(fresh: Path) -> None:
    carrier = Answering()
    async with asking(fresh, carrier) as one:
        await one.send(*everyone(5 * MOST_ASKED))
        await one.until_states(DELIVERED=5 * MOST_ASKED, within=300)

        assert [len(ids) for _, ids in carrier.asked] == [MOST_ASKED] * 5
        assert all(
            later - at > EVERY - 0.01 for (at, _), (later, _) in zip(carrier.asked, carrier.asked[1:], strict=False)
        )


@virtually
async def test_many_that_were_reported_are_forgotten_in_one_look(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sendpool.pipeline.inquire.MOST_READ", 50)
    carrier, number = Answering(), 180
    carrier.report = lambda submission, part: (ReceiptState.DELIVERED,)
    async with asking(fresh, carrier) as one:
        await one.send(*everyone(number))
        await one.until_states(DELIVERED=number)
        await asyncio.sleep(ASK_AFTER + EVERY + 1)

        assert await waiting(one) == 0


@virtually
async def test_more_than_may_be_asked_for_lose_a_question_not_their_turn(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sendpool.pipeline.inquire.OVERDUE", 4 * EVERY)
    carrier, number = Answering(), 10 * MOST_ASKED
    carrier.state = None
    async with asking(fresh, carrier) as one:
        await one.send(*everyone(number))
        await asyncio.sleep(ASK_AFTER + 8 * EVERY)

        asked = sum(len(ids) for _, ids in carrier.asked)
        assert 4 * MOST_ASKED <= asked <= 6 * MOST_ASKED
        assert await one.rows("SELECT asked, count(*) FROM inquiry GROUP BY asked") == [(1, number)]


@virtually
async def test_a_link_that_is_down_and_attempts_of_unknown_fate_are_not_asked_about(fresh: Path) -> None:
    carrier = Answering()

    def doubtful(_: Submission, __: int) -> Outcome:
        return Uncertain("no answer")

    async with asking(fresh, carrier) as one:
        await one.send(*everyone(1))
        await one.until_states(SENT=1)
        carrier.answer = doubtful
        await one.send(*everyone(1, first=1))
        await one.until_states(SENT=2)
        carrier.link(up=False)
        await asyncio.sleep(ASK_AFTER + 2 * EVERY)
        assert carrier.asked == []
        carrier.link(up=True)
        await one.until_states(SENT=1, DELIVERED=1)

        assert [len(ids) for _, ids in carrier.asked] == [1]
