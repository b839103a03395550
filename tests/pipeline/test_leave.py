"""A channel that does not get to a message in its time is left for the next one, without an attempt."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from tests.pipeline.carriers import Carrier
from tests.pipeline.rcs_carriers import AGENT, SMS, RcsCarrier, between
from tests.pipeline.worlds import Line, World, everyone, virtually, world

from sendpool.domain.limits import Limits
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


def to_five_a_day(path: Path, rcs: RcsCarrier, sms: Carrier) -> AbstractAsyncContextManager[World]:
    """A world with an agent that may send to five people a day, and a number."""
    limits = {AGENT: Limits(recipients=5)}
    return world(path, rcs=Line(rcs, {AGENT: 1000.0}, Channel.RCS, sender_limits=limits), sms=Line(sms, {SMS: 1000.0}))


async def the_five(one: World) -> None:
    """The agent has sent to five people."""
    await one.send(*everyone(5, first=50))
    await one.until_states(DELIVERED=5)


@virtually
async def test_what_a_limit_holds_leaves_the_channel_in_its_time_as_what_waits_does(fresh: Path) -> None:
    rcs, sms = RcsCarrier(), Carrier()
    async with to_five_a_day(fresh, rcs, sms) as one:
        await the_five(one)
        began = one.now
        operation = await one.send(*everyone(5), category=Category.OTP)
        await one.until(lambda: one.now > began + 2)
        assert await one.rows("SELECT count(*) FROM later WHERE held = 'recipient_limit'") == [(5,)]
        await one.until_states(operation=operation, DELIVERED=5)

        assert BUDGET <= one.now - began < BUDGET + 3.0
        assert await one.attempts(operation.operation_id) == [(SMS, "DELIVERED")]
        assert len(rcs.sent) == 5


@virtually
async def test_one_whose_next_channel_is_away_is_asked_about_again_and_goes_when_it_comes_back(fresh: Path) -> None:
    rcs, sms = RcsCarrier(), Carrier()
    sms.up = False
    async with to_five_a_day(fresh, rcs, sms) as one:
        await the_five(one)
        operation = await one.send(*everyone(5), category=Category.OTP)
        await asyncio.sleep(120)
        assert await one.states(operation) == {"QUEUED": 5}
        began = one.now
        sms.link(up=True)
        await one.until_states(operation=operation, DELIVERED=5)

        assert one.now - began < 10
        assert len(rcs.sent) == 5


@virtually
async def test_where_no_time_is_set_what_a_limit_holds_waits_for_the_limit(fresh: Path) -> None:
    rcs, sms = RcsCarrier(), Carrier()
    async with to_five_a_day(fresh, rcs, sms) as one:
        await the_five(one)
        operation = await one.send(*everyone(5))
        await asyncio.sleep(600)

        assert await one.states(operation) == {"QUEUED": 5}
        ((hours,),) = await one.rows(
            "SELECT DISTINCT (due - since) / 3600000000 FROM later WHERE held = 'recipient_limit'"
        )
        assert hours in (23, 24)
        assert not sms.sent
