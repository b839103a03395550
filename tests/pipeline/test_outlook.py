"""`estimatedCompletion` against what then happens: within 10 % and a second, where nothing changes meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.pipeline.carriers import Carrier
from tests.pipeline.worlds import EPOCH, LONG_TEXT, Line, World, everyone, virtually, world

from sendpool.domain.limits import Limits
from sendpool.domain.request import Accepted
from sendpool.domain.scopes import ScopeSettings
from sendpool.pipeline.outlook import Outlook

S1, S2, S3 = "+12034458910", "+12034458911", "+12034458912"


def estimate(w: World, accepted: Accepted) -> float:
    """Virtual seconds at which an operation that was just accepted will be complete."""
    assert accepted.queued is not None
    at = Outlook(w.engine).completion(accepted.queued)
    assert at is not None
    return (at - EPOCH) / 1e6


def is_near(actual: float, began: float) -> object:
    """Within 10 % of what it took, and a second."""
    return pytest.approx(actual, abs=0.1 * (actual - began) + 1.0)


async def last_of(w: World, carrier: Carrier, accepted: Accepted, messages: int) -> float:
    """When the last message of an operation left."""
    first = accepted.operation_id
    mine = range(first, first + messages)
    await w.until(lambda: sum(s.submission.attempt.message_id in mine for s in carrier.sent) >= messages, within=300)
    return max(s.at for s in carrier.sent if s.submission.attempt.message_id in mine)


@virtually
async def test_campaign_alone_takes_its_segments_at_the_pools_pace(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, False, a=Line(carrier, {S1: 20.0, S2: 30.0})) as w:
        await w.until(lambda: w.now > 1)
        sent = await w.send(*everyone(1_500), text=LONG_TEXT)
        began, said = w.now, estimate(w, sent)

        assert said == is_near(await last_of(w, carrier, sent, 1_500), began)


@virtually
async def test_campaign_beside_others_waits_for_its_turns(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, False, a=Line(carrier, {S1: 100.0})) as w:
        await w.send(*everyone(3_000))
        await w.until(lambda: w.now > 2)
        short = await w.send(*everyone(400, first=5_000))
        one = await w.send("+447700900999")
        began = w.now
        said, said_of_one = estimate(w, short), estimate(w, one)

        assert said_of_one == is_near(await last_of(w, carrier, one, 1), began)
        assert said == is_near(await last_of(w, carrier, short, 400), began)


@virtually
async def test_shared_scope_and_senders_that_are_away_are_reckoned_with(fresh: Path) -> None:
    a, b = Carrier(), Carrier()
    b.up = False
    campaign = ScopeSettings(name="campaign", mps=15.0)
    async with world(
        fresh, False, (campaign,), a=Line(a, {S1: 40.0, S2: 40.0}, scopes=("campaign",)), b=Line(b, {S3: 500.0})
    ) as w:
        await w.until(lambda: w.now > 1)
        sent = await w.send(*everyone(300))
        began, said = w.now, estimate(w, sent)

        assert said == is_near(await last_of(w, a, sent, 300), began)


@virtually
async def test_nobody_knows_where_nobody_sends_or_the_day_ends_before(fresh: Path) -> None:
    carrier = Carrier()
    carrier.up = False
    limits = {S1: Limits(daily=100)}
    async with world(fresh, False, a=Line(carrier, {S1: 40.0}, sender_limits=limits)) as w:
        sent = await w.send(*everyone(50))
        assert sent.queued is not None
        assert Outlook(w.engine).completion(sent.queued) is None
        carrier.link(up=True)
        assert Outlook(w.engine).completion(sent.queued) is not None
        more = await w.send(*everyone(200, first=1_000))
        assert more.queued is not None
        assert Outlook(w.engine).completion(more.queued) is None


@virtually
async def test_after_a_restart_what_waits_is_still_reckoned_with(fresh: Path, tmp_path: Path) -> None:
    async with world(fresh, False, a=Line(Carrier(), {S1: 50.0})) as w:
        sent = await w.send(*everyone(450))
        await w.until(lambda: w.now > 2)
        copied = await w.copy(tmp_path / "copied.db")

    carrier = Carrier()
    async with world(copied, False, a=Line(carrier, {S1: 50.0})) as w:
        [(queued,)] = await w.rows("SELECT queued FROM operation WHERE id = ?", sent.operation_id)
        assert sent.queued is not None
        at = Outlook(w.engine).completion(sent.queued._replace(queued=queued))
        assert at is not None
        began = w.now
        await w.until(lambda: len(carrier.sent) >= queued - 10)
        last = max(one.at for one in carrier.sent)

        assert (at - EPOCH) / 1e6 == is_near(last, began)
