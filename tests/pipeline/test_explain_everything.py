"""Promise I10 under trouble: whatever carriers do, every message is explained at any moment, and its explanation agrees
with its state.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from tests.pipeline.carriers import Carrier, refused
from tests.pipeline.rcs_carriers import AGENT, RcsCarrier, no_rcs
from tests.pipeline.worlds import Line, World, everyone, world

from sendpool.connectors.base import CarrierId, Outcome, ReceiptState, Submission, Throttled, Unavailable, Uncertain
from sendpool.domain.explanation import Explanation, StepOutcome
from sendpool.domain.message import CATEGORIES
from sendpool.domain.request import Accepted
from sendpool.domain.schedule import Moment
from sendpool.domain.sender import Channel
from sendpool.domain.states import AttemptState, MessageState
from sendpool.pipeline.cancel import Wish, cancel
from sendpool.pipeline.explain import explain_message
from sendpool.store.history import MessagePlace
from sendpool.testing.clock import run_virtually
from sendpool.testing.explanations import complete

#: Refusals of every kind: passing, of the sender, of the recipient, throttled, without a known meaning.
CODES = ("0x08", "0x0a", "0x0b", "0x14", "0x45", "0x64", "0x0400")
PEOPLE = 25


class Moody(Carrier):
    """A carrier that does anything a carrier may do, by a seed."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__(window=20)
        self._dice = dice
        self.answer = self._any_answer
        self.report = self._any_report

    def _any_answer(self, submission: Submission, part: int) -> Outcome | None:
        kind = self._dice.random()
        if kind < 0.55:
            return CarrierId(self.name_of(submission, part))
        if kind < 0.75:
            return refused(self._dice.choice(CODES))
        if kind < 0.85:
            scope = self._dice.choice(["sender", "connection", "pair"])
            return Throttled(scope, self._dice.choice([None, 2.0]), "0x58")
        return Uncertain("timeout") if kind < 0.95 else Unavailable("link down")

    def _any_report(self, submission: Submission, part: int) -> tuple[ReceiptState, ...]:
        del submission, part
        kind = self._dice.random()
        if kind < 0.6:
            return (ReceiptState.DELIVERED,)
        return (ReceiptState.UNDELIVERED,) if kind < 0.8 else ()


def agrees(found: Explanation) -> None:
    """The steps of an explanation fit the state of its message. Raises AssertionError."""
    state = MessageState[found.status]
    outcomes = [step.outcome for step in found.plan if step.outcome is not StepOutcome.LEFT_OUT]
    waits = {StepOutcome.WAITING, StepOutcome.SENDING}
    if state in (MessageState.DELIVERED, MessageState.READ):
        assert StepOutcome.DELIVERED in outcomes, found
    if state in (MessageState.FAILED, MessageState.UNDELIVERED, MessageState.CANCELED):
        assert not waits & set(outcomes), found
        assert StepOutcome.DELIVERED not in outcomes, found
    if state in (MessageState.SCHEDULED, MessageState.QUEUED):
        assert waits & set(outcomes), found
    begun = [one for one in found.attempts if one.state != AttemptState.WITHDRAWN.name]
    if begun and not waits & set(outcomes):
        assert any(one.verdict.value == "taken" for one in found.candidates), found


async def look(one: World, sent: list[Accepted], seen: set[str]) -> None:
    for operation in sent:
        for index in range(PEOPLE):
            found = await explain_message(one.engine, one.account_id, MessagePlace(operation.uid, index))
            assert found is not None
            complete(found)
            agrees(found)
            seen.update(candidate.reason for candidate in found.candidates)
            seen.update(step.reason for step in found.plan)
            seen.update(f"{attempt.state} {attempt.next}" for attempt in found.attempts)


async def _everything_is_explained(path: Path, seed: int) -> None:
    dice = random.Random(seed)
    rcs = RcsCarrier()
    rcs.reaches = lambda number: int(number[-1]) % 3 > 0
    if dice.random() < 0.3:
        rcs.answer = no_rcs
    if dice.random() < 0.3:
        rcs.report = lambda submission, part: ()
    moods = [Moody(dice) for _ in range(3)]
    lines = {
        "rcs": Line(rcs, {AGENT: 20.0}, Channel.RCS),
        **{f"sms-{i}": Line(mood, {f"+1203445891{i}": 10.0}, mps=15.0) for i, mood in enumerate(moods)},
    }
    seen: set[str] = set()
    async with world(path, False, **lines) as one:
        sent = [await one.send(*everyone(PEOPLE, first=100 * i), category=each) for i, each in enumerate(CATEGORIES)]
        at = Moment(one.engine.clock.wall() + 20_000_000)
        sent.append(await one.send(*everyone(PEOPLE, first=500), send_at=at, validity=60))
        sent.append(await one.send(*everyone(PEOPLE, first=600), send_at=Moment(at.at + 10**10)))
        for turn in range(8):
            dice.choice(moods).link(up=turn % 2 == 0)
            await asyncio.sleep(dice.choice([0.1, 1.0, 7.0, 20.0]))
            if turn == 2:
                for operation in (sent[dice.randrange(4)], sent[4]):
                    await cancel(one.engine, Wish(one.account_id, operation.uid))
            await look(one, sent, seen)
        for mood in moods:
            mood.link(up=True)
        await asyncio.sleep(1_200)
        await look(one, sent, seen)
    # A run in which little happened would show little.
    assert {"tried", "down", "REJECTED failover", "WITHDRAWN later", "AMBIGUOUS wait", "canceled"} <= seen, seen
    assert len(seen) >= 30, seen


@pytest.mark.parametrize("seed", range(4))
def test_every_message_is_explained_at_any_moment_whatever_carriers_do(fresh: Path, seed: int) -> None:
    run_virtually(_everything_is_explained(fresh, seed))
