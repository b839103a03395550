"""A silent channel: taken back before the next one's turn, so that the person gets the message once."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.pipeline.carriers import Carrier, receipt
from tests.pipeline.rcs_carriers import AGENT, SMS, RcsCarrier, between
from tests.pipeline.worlds import World, everyone, virtually

from sendpool.connectors.base import ReceiptState, Submission
from sendpool.domain.message import Category
from sendpool.domain.policy import EXPIRY_MARGIN, OTP_BUDGETS
from sendpool.domain.sender import Channel
from sendpool.domain.states import MessageState
from sendpool.pipeline.revoke import DELIVERED_WITHIN, RACE
from sendpool.pipeline.settle import LATE_RECEIPT

OTP = Category.OTP
#: When the agent's attempt is asked back, seconds after it began.
ASKED_BACK_AT = OTP_BUDGETS[Channel.RCS] + EXPIRY_MARGIN[Channel.RCS]
#: Whatever a commit, a look-up and a wake-up may take.
SOON = 0.5
TAKEN_BACK = [(AGENT, "REVOKED"), (SMS, "DELIVERED")]


def silent() -> RcsCarrier:
    """A platform that takes everything and says nothing."""
    rcs = RcsCarrier()
    rcs.report = lambda submission, part: ()
    return rcs


def delivered(rcs: RcsCarrier, submission: Submission) -> None:
    """The platform says after all that it has delivered."""
    rcs.say([receipt(rcs.name_of(submission, 1), ReceiptState.DELIVERED)])


async def until_asked_back(one: World, rcs: RcsCarrier, within: float = 60.0) -> None:
    await one.until(lambda: rcs.revoked, within)


@virtually
async def test_silent_otp_is_taken_back_and_goes_by_sms_within_its_budget_and_twelve_seconds(fresh: Path) -> None:
    rcs, sms = silent(), Carrier()
    async with between(fresh, rcs, sms) as one:
        began = one.now
        operation = await one.send(*everyone(20), category=OTP)
        await one.until_states(DELIVERED=20)

        assert one.now - began < OTP_BUDGETS[Channel.RCS] + 12.0
        assert sms.sent[0].at - rcs.sent[0].at >= ASKED_BACK_AT + RACE
        assert sorted(rcs.revoked) == sorted(rcs.name_of(sent.submission, 1) for sent in rcs.sent)
        assert all(sent.submission.validity == OTP_BUDGETS[Channel.RCS] for sent in rcs.sent)
        for i in range(20):
            assert await one.attempts(operation.operation_id + i) == TAKEN_BACK


@virtually
async def test_delivery_that_races_the_revocation_wins(fresh: Path) -> None:
    rcs, sms = silent(), Carrier()
    async with between(fresh, rcs, sms) as one:
        operation = await one.send(*everyone(1), category=OTP)
        await until_asked_back(one, rcs)
        await asyncio.sleep(RACE - 1)
        delivered(rcs, rcs.sent[0].submission)
        await asyncio.sleep(120)

        assert await one.attempts(operation.operation_id) == [(AGENT, "DELIVERED")]
        assert await one.states() == {"DELIVERED": 1}
        assert not sms.sent


@virtually
async def test_what_came_too_late_to_be_taken_back_is_waited_for(fresh: Path) -> None:
    rcs, sms = silent(), Carrier()
    rcs.takes_back = False
    async with between(fresh, rcs, sms) as one:
        operation = await one.send(*everyone(1), category=OTP)
        await until_asked_back(one, rcs)
        await asyncio.sleep(DELIVERED_WITHIN - 2)
        assert not sms.sent
        delivered(rcs, rcs.sent[0].submission)
        await asyncio.sleep(120)

        assert await one.attempts(operation.operation_id) == [(AGENT, "DELIVERED")]
        assert not sms.sent
        assert len(rcs.revoked) == 1


@virtually
async def test_what_is_not_delivered_after_all_goes_by_sms_when_the_wait_is_over(fresh: Path) -> None:
    rcs, sms = silent(), Carrier()
    rcs.takes_back = False
    async with between(fresh, rcs, sms) as one:
        operation = await one.send(*everyone(1), category=OTP)
        await one.until_states(DELIVERED=1, within=120)

        waited = sms.sent[0].at - rcs.sent[0].at - ASKED_BACK_AT
        assert DELIVERED_WITHIN <= waited < DELIVERED_WITHIN + SOON * 3
        assert [sender for sender, _ in await one.attempts(operation.operation_id)] == [AGENT, SMS]


@virtually
async def test_carrier_that_cannot_be_asked_costs_only_the_race(fresh: Path) -> None:
    rcs, sms = silent(), Carrier()
    rcs.takes_back = None
    async with between(fresh, rcs, sms) as one:
        await one.send(*everyone(1), category=OTP)
        await one.until_states(DELIVERED=1)

        assert sms.sent[0].at - rcs.sent[0].at < ASKED_BACK_AT + RACE + SOON * 3


@virtually
async def test_late_double_delivery_is_recorded_on_its_attempt_and_as_an_event(fresh: Path) -> None:
    rcs, sms = silent(), Carrier()
    async with between(fresh, rcs, sms) as one:
        operation = await one.send(*everyone(1), category=OTP)
        key = operation.operation_id
        await one.until_states(DELIVERED=1)
        assert await one.attempts(key) == TAKEN_BACK
        before = await one.events(key)
        delivered(rcs, rcs.sent[0].submission)
        await asyncio.sleep(1)

        assert await one.attempts(key) == [(AGENT, "DELIVERED"), (SMS, "DELIVERED")]
        assert await one.states() == {"DELIVERED": 1}
        assert (await one.events(key))[len(before) :] == [1 * 16 + LATE_RECEIPT]
        assert 2 * 16 + MessageState.DELIVERED in before


@virtually
async def test_sms_that_follows_a_late_rcs_delivery_is_the_late_one(fresh: Path) -> None:
    rcs, sms = silent(), Carrier(report_after=20.0)
    async with between(fresh, rcs, sms) as one:
        operation = await one.send(*everyone(1), category=OTP)
        key = operation.operation_id
        await one.until(lambda: sms.sent)
        await asyncio.sleep(1)
        delivered(rcs, rcs.sent[0].submission)
        await one.until_states(DELIVERED=1)
        await asyncio.sleep(30)

        assert await one.attempts(key) == [(AGENT, "DELIVERED"), (SMS, "DELIVERED")]
        assert (await one.events(key))[-1] == 2 * 16 + LATE_RECEIPT


@virtually
async def test_transactional_message_is_not_timed_unless_its_pool_says_so(fresh: Path) -> None:
    rcs, sms = silent(), Carrier()
    async with between(fresh, rcs, sms) as one:
        await one.send(*everyone(1))
        await asyncio.sleep(3600)

        assert await one.states() == {"SENT": 1}
        assert not rcs.revoked
        assert not sms.sent


@virtually
async def test_timed_wait_goes_on_after_a_crash(fresh: Path, tmp_path: Path) -> None:
    rcs, sms = silent(), Carrier()
    async with between(fresh, rcs, sms) as one:
        operation = await one.send(*everyone(5), category=OTP)
        await one.until_states(SENT=5)
        await asyncio.sleep(10)
        left = await one.copy(tmp_path / "crashed.db")
        began = rcs.sent[0].at

    again, sms = silent(), Carrier()
    async with between(left, again, sms) as one:
        await one.until_states(DELIVERED=5)
        assert abs(sms.sent[0].at - began - ASKED_BACK_AT - RACE) < SOON
        assert not again.sent
        assert len(again.revoked) == 5
        assert await one.attempts(operation.operation_id) == TAKEN_BACK


@virtually
async def test_wait_that_ended_while_the_server_was_down_still_takes_back_first(fresh: Path, tmp_path: Path) -> None:
    rcs, sms = silent(), Carrier()
    async with between(fresh, rcs, sms) as one:
        operation = await one.send(*everyone(1), category=OTP)
        await one.until_states(SENT=1)
        left = await one.copy(tmp_path / "crashed.db")
    await asyncio.sleep(100)

    again, sms = silent(), Carrier()
    async with between(left, again, sms) as one:
        await one.until_states(DELIVERED=1)
        assert len(again.revoked) == 1
        assert await one.attempts(operation.operation_id) == TAKEN_BACK


@virtually
async def test_question_that_a_crash_cut_off_is_asked_again(fresh: Path, tmp_path: Path) -> None:
    rcs, sms = silent(), Carrier()
    async with between(fresh, rcs, sms) as one:
        operation = await one.send(*everyone(1), category=OTP)
        await until_asked_back(one, rcs)
        left = await one.copy(tmp_path / "crashed.db")

    again, sms = silent(), Carrier()
    async with between(left, again, sms) as one:
        await one.until_states(DELIVERED=1)
        assert len(again.revoked) == 1
        assert await one.attempts(operation.operation_id) == TAKEN_BACK
