"""A channel that does not get to a message in its time is left for the next one, without an attempt."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.pipeline.carriers import Carrier
from tests.pipeline.rcs_carriers import AGENT, SMS, RcsCarrier, between
from tests.pipeline.worlds import everyone, virtually

from sendpool.domain.message import Category
from sendpool.domain.policy import OTP_BUDGETS
from sendpool.domain.sender import Channel

BUDGET = OTP_BUDGETS[Channel.RCS]


@virtually
async def test_otp_that_waits_for_a_dead_rcs_connection_goes_by_sms_in_its_time(fresh: Path) -> None:
    rcs, sms = RcsCarrier(), Carrier()
    rcs.up = False
    async with between(fresh, rcs, sms) as one:
        began = one.now
        operation = await one.send(*everyone(50), category=Category.OTP)
        await one.until_states(DELIVERED=50)

        assert BUDGET <= one.now - began < BUDGET + 3.0
        for i in range(50):
            assert await one.attempts(operation.operation_id + i) == [(SMS, "DELIVERED")]
        assert not rcs.sent


@virtually
async def test_transactional_messages_wait_for_the_connection_to_come_back(fresh: Path) -> None:
    rcs, sms = RcsCarrier(), Carrier()
    rcs.up = False
    async with between(fresh, rcs, sms) as one:
        patient = await one.send(*everyone(20))
        urgent = await one.send(*everyone(5, first=100), category=Category.OTP)
        await one.until_states(operation=urgent, DELIVERED=5)
        await asyncio.sleep(300)
        assert await one.states(patient) == {"QUEUED": 20}
        rcs.link(up=True)
        await one.until_states(DELIVERED=25)

        assert await one.attempts(patient.operation_id) == [(AGENT, "DELIVERED")]
        assert len(sms.sent) == 5


@virtually
async def test_where_no_channel_is_left_the_message_stays(fresh: Path) -> None:
    rcs, sms = RcsCarrier(), Carrier()
    sms.up = False
    rcs.reaches = lambda _: False
    async with between(fresh, rcs, sms) as one:
        await one.send(*everyone(3), category=Category.OTP)
        await asyncio.sleep(120)
        assert await one.states() == {"QUEUED": 3}
        sms.link(up=True)
        await one.until_states(DELIVERED=3)
