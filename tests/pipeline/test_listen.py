"""A path of receipts that dies, end to end: real store and engine, virtual time."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.pipeline.carriers import Carrier
from tests.pipeline.rcs_carriers import AGENT, RcsCarrier, between
from tests.pipeline.worlds import World, everyone, virtually

from sendpool.connectors.base import ReceiptState
from sendpool.domain.message import Category
from sendpool.pipeline.listen import BROKEN, MENDED

RATE = 4


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
        await traffic(there, 300, 1_000)
        doubled = len(sms.sent)
        assert 0 < doubled < 0.15 * 300 * RATE, "only what had its time before it was noticed"
        told = await there.rows("SELECT type FROM notice WHERE type LIKE 'sendpool.receipts%' ORDER BY id")
        assert told == [(BROKEN,)]
        assert there.engine.listener.says_nothing(there.sender(AGENT).id, 0)
        said = await there.rows("SELECT count(*) FROM attempt WHERE next = 'wait/deaf'")
        assert said[0][0] > 200 * RATE

        rcs.report = lambda submission, part: (ReceiptState.DELIVERED,)
        await traffic(there, 90, 3_000)
        await asyncio.sleep(60)
        told = await there.rows("SELECT type FROM notice WHERE type LIKE 'sendpool.receipts%' ORDER BY id")
        assert told == [(BROKEN,), (MENDED,)]
        assert len(sms.sent) == doubled, "nor does it follow when receipts come again"

        # One message that is not delivered has its time as ever.
        rcs.report = lambda submission, part: ()
        await there.send(*everyone(1, first=9_000), category=Category.OTP)
        await there.until(lambda: len(sms.sent) == doubled + 1, within=60)
