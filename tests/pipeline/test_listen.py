"""A path of receipts that dies, end to end: real store and engine, virtual time."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.pipeline.carriers import Carrier
from tests.pipeline.rcs_carriers import AGENT, RcsCarrier, between
from tests.pipeline.worlds import World, everyone, virtually

from sendpool.connectors.base import ReceiptState
from sendpool.domain.hearing import Hearing
from sendpool.domain.message import Category
from sendpool.pipeline.listen import BROKEN, MENDED, Listener
from sendpool.store.hearing import HearingRow

RATE = 2
BROKEN_NOW = "SELECT broken_at, updated_at FROM sender_hearing WHERE broken_at IS NOT NULL"


async def traffic(there: World, seconds: int, first: int) -> None:
    """One-time passwords, so many each second."""
    for second in range(seconds):
        await there.send(*everyone(RATE, first=first + RATE * second), category=Category.OTP)
        await asyncio.sleep(1.0)


@virtually
async def test_a_dead_path_of_receipts_does_not_send_everything_twice(fresh: Path) -> None:
    rcs, sms = RcsCarrier(), Carrier()
    async with between(fresh, rcs, sms) as there:
        await traffic(there, 60, 0)
        assert not sms.sent

        rcs.report = lambda submission, part: ()
        await traffic(there, 150, 1_000)
        doubled = len(sms.sent)
        assert 0 < doubled < 45 * RATE, "only what had its time before it was noticed"
        told = await there.rows("SELECT type FROM notice WHERE type LIKE 'sendpool.receipts%' ORDER BY id")
        assert told == [(BROKEN,)]
        assert there.engine.listener.says_nothing(there.sender(AGENT).id, 0)
        said = await there.rows("SELECT count(*) FROM attempt WHERE next = 'wait/deaf'")
        assert said[0][0] > 75 * RATE

        rcs.report = lambda submission, part: (ReceiptState.DELIVERED,)
        await traffic(there, 60, 3_000)
        await asyncio.sleep(60)
        told = await there.rows("SELECT type FROM notice WHERE type LIKE 'sendpool.receipts%' ORDER BY id")
        assert told == [(BROKEN,), (MENDED,)]
        assert len(sms.sent) == doubled, "nor does it follow when receipts come again"

        # One message that is not delivered has its time as ever.
        rcs.report = lambda submission, part: ()
        await there.send(*everyone(1, first=9_000), category=Category.OTP)
        await there.until(lambda: len(sms.sent) == doubled + 1, within=60)


@virtually
async def test_a_restart_still_knows_that_receipts_are_broken(fresh: Path) -> None:
    rcs, sms = RcsCarrier(), Carrier()
    async with between(fresh, rcs, sms) as there:
        await traffic(there, 60, 0)
        kept = await there.rows("SELECT usual_at, broken_at FROM sender_hearing")
        assert len(kept) == 1
        assert kept[0][0] is not None
        assert kept[0][1] is None
        rcs.report = lambda submission, part: ()
        await traffic(there, 90, 1_000)
        assert there.engine.listener.broken == 1
        since = await there.rows(BROKEN_NOW)
        assert len(since) == 1

    rcs, sms = RcsCarrier(), Carrier()
    rcs.report = lambda submission, part: ()
    async with between(fresh, rcs, sms) as there:
        assert there.engine.listener.says_nothing(there.sender(AGENT).id, there.engine.clock.wall())
        await traffic(there, 45, 3_000)
        assert not sms.sent
        # It is as it was, so nothing was written.
        assert await there.rows(BROKEN_NOW) == since

        rcs.report = lambda submission, part: (ReceiptState.DELIVERED,)
        await traffic(there, 90, 5_000)
        assert await there.rows("SELECT count(*) FROM sender_hearing WHERE mended_at > broken_at") == [(1,)]


def test_what_another_node_hears_is_known_and_what_this_one_hears_is_not_overwritten() -> None:
    here = Listener(lambda: 0)
    here.hearings[1] = Hearing(100.0)
    rows = [HearingRow(sender_id, 50_000_000, 60_000_000, None) for sender_id in (1, 2)]

    here.recall(rows, lambda sender_id: sender_id == 1)

    assert not here.says_nothing(1, 70_000_000)
    assert here.says_nothing(2, 70_000_000)
    assert here.broken == 0
    assert here.unkept() == {1: Hearing(100.0)}
    # The sender comes to this node, which goes on from there.
    here.recall(rows, lambda _: True)
    assert here.says_nothing(2, 70_000_000)
    assert here.broken == 1
