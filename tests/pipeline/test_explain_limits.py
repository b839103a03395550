"""Which limit keeps a message waiting is told, by a real run that meets it."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

from tests.pipeline.carriers import Carrier
from tests.pipeline.test_explain import explained, verdicts, waiting
from tests.pipeline.worlds import EPOCH, LONG_TEXT, Line, World, everyone, virtually, world

from sendpool.connectors.base import CarrierId, Outcome, Submission, Throttled
from sendpool.domain.explanation import Explanation
from sendpool.domain.limits import WINDOW, Limits
from sendpool.domain.request import Accepted
from sendpool.domain.scopes import ScopeSettings

S1, S2 = "+12034458910", "+12034458911"
HOUR = 3_600.0


def until(found: Explanation, address: str = S1) -> float:
    """When a sender goes on, in virtual seconds."""
    (one,) = [one for one in found.candidates if one.address == address]
    assert isinstance(one.until, str)
    return datetime.fromisoformat(one.until).timestamp() - EPOCH / 1e6


async def second_of_two(w: World, text: str = "Hello") -> Accepted:
    """Send to two, of whom one has to wait."""
    sent = await w.send(*everyone(2), text=text)
    await w.until_states(DELIVERED=1, QUEUED=1)
    return sent


@virtually
async def test_the_limit_of_a_day(fresh: Path) -> None:
    async with world(fresh, a=Line(Carrier(), {S1: None}, sender_limits={S1: Limits(daily=1)})) as w:
        found = await explained(w, await second_of_two(w), 1)

        assert verdicts(found) == {S1: ("waited", "daily_limit")}
        # It is 08:00 in UTC when virtual time begins.
        assert abs(until(found) - 16 * HOUR) < 2


@virtually
async def test_what_is_left_of_a_day_may_be_too_little_for_a_long_message(fresh: Path) -> None:
    async with world(fresh, a=Line(Carrier(), {S1: None}, sender_limits={S1: Limits(daily=5)})) as w:
        found = await explained(w, await second_of_two(w, LONG_TEXT), 1)

        assert verdicts(found) == {S1: ("waited", "daily_limit")}


@virtually
async def test_the_limit_of_new_recipients(fresh: Path) -> None:
    async with world(fresh, a=Line(Carrier(), {S1: None}, sender_limits={S1: Limits(recipients=1)})) as w:
        found = await explained(w, await second_of_two(w), 1)

        assert verdicts(found) == {S1: ("waited", "recipient_limit")}
        assert WINDOW / 1e6 <= until(found) < WINDOW / 1e6 + 60


@virtually
async def test_the_pace_to_one_recipient(fresh: Path) -> None:
    limits = {S1: Limits(pair_seconds=100.0, pair_burst=1)}
    async with world(fresh, a=Line(Carrier(), {S1: None}, sender_limits=limits)) as w:
        await w.until(lambda: w.now > 150, within=200)
        began = w.now
        sent = await w.send(*everyone(1) * 2)
        await w.until_states(DELIVERED=1, QUEUED=1)
        found = await explained(w, sent, 1)

        assert verdicts(found) == {S1: ("waited", "pair_limit")}
        assert abs(until(found) - began - 100) < 1


@virtually
async def test_a_limit_that_is_shared(fresh: Path) -> None:
    scopes = (ScopeSettings(name="campaign", mps=0.05, burst=1.0),)
    async with world(fresh, True, scopes, a=Line(Carrier(), {S1: None}, scopes=("campaign",))) as w:
        await w.until(lambda: w.now > 30)
        began = w.now
        found = await explained(w, await second_of_two(w), 1)

        assert verdicts(found) == {S1: ("waited", "scope_full")}
        assert "(campaign)" in found.candidates[0].text
        assert waiting(found).text.startswith("It waits for the shared limit of 1 sender")
        assert abs(until(found) - began - 20) < 1


@virtually
async def test_the_pause_that_a_carrier_has_asked_for(fresh: Path) -> None:
    carrier = Carrier()

    def throttle(submission: Submission, part: int) -> Outcome:
        return Throttled("sender", 30.0, "0x58") if w.now < 1 else CarrierId(carrier.name_of(submission, part))

    carrier.answer = throttle
    async with world(fresh, a=Line(carrier, {S1: None})) as w:
        sent = await w.send(*everyone(1))
        await w.until(lambda: carrier.sent)
        await asyncio.sleep(2)
        found = await explained(w, sent)

        assert verdicts(found) == {S1: ("waited", "paused")}
        assert waiting(found).text.startswith("It waits for the end of the carrier's pause of 1 sender")
        assert 29 < until(found) < 32


@virtually
async def test_each_sender_says_the_limit_of_its_own(fresh: Path) -> None:
    limits = {S1: Limits(recipients=1), S2: Limits(daily=1)}
    async with world(fresh, a=Line(Carrier(), {S1: None, S2: None}, sender_limits=limits)) as w:
        sent = await w.send(*everyone(3))
        await w.until_states(DELIVERED=2, QUEUED=1)
        found = await explained(w, sent, 2)

        assert verdicts(found) == {S1: ("waited", "recipient_limit"), S2: ("waited", "daily_limit")}
