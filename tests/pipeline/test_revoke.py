"""A silent channel: taken back before the next one's turn, so that the person gets the message once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.pipeline.carriers import Carrier, receipt
from tests.pipeline.rcs_carriers import AGENT, SMS, RcsCarrier, between
from tests.pipeline.worlds import World, everyone, virtually

from sendpool.connectors.base import CarrierId, ReceiptState, Submission, Uncertain
from sendpool.domain.event_types import LATE_RECEIPT
from sendpool.domain.message import Category
from sendpool.domain.policy import EXPIRY_MARGIN, OTP_BUDGETS
from sendpool.domain.request import PoolOrigin
from sendpool.domain.routing import LOST_EVENT
from sendpool.domain.sender import Channel
from sendpool.domain.states import MessageState
from sendpool.pipeline.launch import ASSUMED_VALIDITY
from sendpool.pipeline.revoke import DELIVERED_WITHIN, RACE

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


@virtually
async def test_too_late_said_to_a_repeated_question_may_mean_that_it_was_taken_back_at_the_first(
    fresh: Path, tmp_path: Path
) -> None:
    rcs, sms = silent(), Carrier()
    async with between(fresh, rcs, sms) as one:
        operation = await one.send(*everyone(1), category=OTP)
        await until_asked_back(one, rcs)
        left = await one.copy(tmp_path / "crashed.db")

    again, sms = silent(), Carrier()
    again.takes_back = False
    async with between(left, again, sms) as one:
        await until_asked_back(one, again)
        asked_at = one.now
        await one.until_states(DELIVERED=1)
        assert one.now - asked_at < RACE + 3 * SOON < DELIVERED_WITHIN
        assert await one.attempts(operation.operation_id) == [(AGENT, "ACCEPTED"), (SMS, "DELIVERED")]


@virtually
@pytest.mark.parametrize("settings", [{}, {"duplicates": "tolerate"}, {"openOutcome": "failover"}])
async def test_what_nobody_knows_to_be_taken_back_says_that_its_fate_is_unknown(
    settings: dict[str, Any], fresh: Path, tmp_path: Path
) -> None:
    rcs, sms = silent(), Carrier()
    async with between(fresh, rcs, sms) as one:
        timed = await one.make_pool([one.sender(AGENT).uid, one.sender(SMS).uid], fallbackAfter=10.0, **settings)
        await one.send(*everyone(1), origin=PoolOrigin(timed))
        await until_asked_back(one, rcs)
        left = await one.copy(tmp_path / "crashed.db")

    again, sms = silent(), Carrier()
    again.takes_back = False
    async with between(left, again, sms) as one:
        await one.until(lambda: again.revoked)
        await asyncio.sleep(RACE - 1)
        assert await one.rows("SELECT state, ambiguous FROM message") == [(MessageState.SENT, 1)]
        assert await one.rows("SELECT marks & 2 FROM attempt") == [(2,)]
        await asyncio.sleep(600)

        assert await one.states() == ({"DELIVERED": 1} if settings else {"SENT": 1})
        assert len(sms.sent) == bool(settings)
        assert await one.rows("SELECT ambiguous FROM message") == [(int(not settings),)]
        if not settings:
            again.say([receipt(str(again.revoked[0]), ReceiptState.DELIVERED)])
            await one.until_states(DELIVERED=1)
            assert await one.rows("SELECT ambiguous FROM message") == [(0,)]


# ---------------------------------------------------------------- fate unknown


def unanswered(rcs: RcsCarrier, after: float = 21.0) -> RcsCarrier:
    """A platform of which no try to post brings an answer, as the connector says when it has given up."""
    rcs.answer = lambda submission, part: Uncertain("no answer")
    rcs.answer_after = after
    return rcs


@virtually
async def test_otp_of_unknown_fate_is_taken_back_and_goes_by_sms_within_its_budget_and_twelve_seconds(
    fresh: Path,
) -> None:
    rcs, sms = unanswered(silent()), Carrier()
    async with between(fresh, rcs, sms) as one:
        # As many as may be on their way before the first is accepted; others would leave by SMS at their time.
        began = one.now
        operation = await one.send(*everyone(10), category=OTP)
        await one.until_states(DELIVERED=10, within=120)

        assert one.now - began < OTP_BUDGETS[Channel.RCS] + 12.0
        assert sorted(rcs.revoked) == sorted(rcs.name_of(sent.submission, 1) for sent in rcs.sent)
        assert len(rcs.sent) == 10
        for i in range(10):
            assert await one.attempts(operation.operation_id + i) == TAKEN_BACK


@virtually
async def test_doubt_that_began_early_waits_for_proof_no_longer_than_its_grace(fresh: Path) -> None:
    rcs, sms = unanswered(silent(), after=3.0), Carrier()
    async with between(fresh, rcs, sms) as one:
        await one.send(*everyone(1), category=OTP)
        await one.until(lambda: len(rcs.sent) == 2)

        # No double while there is time: the platform drops what has the same name.
        assert rcs.sent[1].at - rcs.sent[0].at < 3.0 + 10.0 + SOON * 3
        assert rcs.sent[1].submission.public_id == rcs.sent[0].submission.public_id
        await one.until_states(DELIVERED=1, within=60)
        assert set(rcs.revoked) == {rcs.name_of(rcs.sent[0].submission, 1)}


@virtually
async def test_repeat_that_is_accepted_has_the_receipt_of_both(fresh: Path) -> None:
    rcs, sms = unanswered(silent(), after=3.0), Carrier()
    async with between(fresh, rcs, sms) as one:
        operation = await one.send(*everyone(1), category=OTP)
        await one.until_states(SENT=1)
        rcs.answer = lambda submission, part: CarrierId(rcs.name_of(submission, part))
        await one.until(lambda: len(rcs.sent) == 2)
        await asyncio.sleep(4)
        delivered(rcs, rcs.sent[0].submission)
        await one.until_states(DELIVERED=1)

        assert await one.attempts(operation.operation_id) == [(AGENT, "AMBIGUOUS"), (AGENT, "DELIVERED")]
        await asyncio.sleep(120)
        assert not sms.sent


@virtually
async def test_pool_that_times_its_channels_times_unknown_fates_too(fresh: Path) -> None:
    rcs, sms = unanswered(silent(), after=4.0), Carrier()
    async with between(fresh, rcs, sms) as one:
        members = [one.sender(AGENT).uid, one.sender(SMS).uid]
        timed = await one.make_pool(members, fallbackAfter=10.0)
        operation = await one.send(*everyone(1), origin=PoolOrigin(timed))
        await one.until_states(DELIVERED=1, within=60)

        assert 10.0 <= sms.sent[0].at - rcs.sent[0].at < 10.0 + 12.0
        assert len(rcs.sent) == len(rcs.revoked) == 1
        assert await one.attempts(operation.operation_id) == TAKEN_BACK


@virtually
async def test_proof_that_comes_while_it_is_taken_back_wins(fresh: Path) -> None:
    rcs, sms = unanswered(silent()), Carrier()
    async with between(fresh, rcs, sms) as one:
        operation = await one.send(*everyone(1), category=OTP)
        await until_asked_back(one, rcs)
        delivered(rcs, rcs.sent[0].submission)
        await asyncio.sleep(120)

        assert await one.attempts(operation.operation_id) == [(AGENT, "DELIVERED")]
        assert not sms.sent


@virtually
async def test_receipt_finds_an_attempt_whose_answer_a_crash_cut_off(fresh: Path, tmp_path: Path) -> None:
    rcs, sms = unanswered(silent(), after=300.0), Carrier()
    async with between(fresh, rcs, sms) as one:
        operation = await one.send(*everyone(2))
        await one.until(lambda: len(rcs.sent) == 2)
        left = await one.copy(tmp_path / "crashed.db")
        submissions = [sent.submission for sent in rcs.sent]

    again = silent()
    async with between(left, again, Carrier()) as one:
        assert await one.states() == {"SENT": 2}
        for submission in submissions:
            delivered(again, submission)
        await one.until_states(DELIVERED=2)

        assert await one.attempts(operation.operation_id) == [(AGENT, "DELIVERED")]
        assert not again.sent


@virtually
async def test_otp_whose_answer_a_crash_cut_off_is_taken_back_first(fresh: Path, tmp_path: Path) -> None:
    rcs, sms = unanswered(silent(), after=300.0), Carrier()
    async with between(fresh, rcs, sms) as one:
        operation = await one.send(*everyone(1), category=OTP)
        await one.until(lambda: rcs.sent)
        left = await one.copy(tmp_path / "crashed.db")
    await asyncio.sleep(30)

    again, sms = silent(), Carrier()
    async with between(left, again, sms) as one:
        await one.until_states(DELIVERED=1)
        assert again.revoked == [rcs.name_of(rcs.sent[0].submission, 1)]
        assert await one.attempts(operation.operation_id) == TAKEN_BACK


# ---------------------------------------------------------------- the platform's own time


@virtually
async def test_event_that_is_lost_after_the_platforms_own_time_is_asked_for(fresh: Path) -> None:
    rcs, sms = silent(), Carrier()
    rcs.reaches = lambda _: None  # So it goes out with a short time of its own, as SMS waits behind it.
    async with between(fresh, rcs, sms) as one:
        operation = await one.send(*everyone(1))
        await one.until_states(DELIVERED=1, within=300)

        assert rcs.sent[0].submission.validity == ASSUMED_VALIDITY
        waited = sms.sent[0].at - rcs.sent[0].at - ASSUMED_VALIDITY - LOST_EVENT - RACE
        assert 0 <= waited < SOON * 3
        assert await one.attempts(operation.operation_id) == TAKEN_BACK


@virtually
async def test_unknown_fate_with_a_time_of_its_own_is_taken_back_after_it(fresh: Path) -> None:
    rcs, sms = unanswered(silent(), after=20.0), Carrier()
    rcs.reaches = lambda _: None
    async with between(fresh, rcs, sms) as one:
        operation = await one.send(*everyone(1))
        await one.until_states(DELIVERED=1, within=300)

        assert sms.sent[0].at - rcs.sent[0].at >= ASSUMED_VALIDITY + LOST_EVENT + RACE
        assert await one.attempts(operation.operation_id) == TAKEN_BACK


@virtually
async def test_platform_that_says_its_time_is_over_is_not_asked_again(fresh: Path) -> None:
    rcs, sms = silent(), Carrier()
    rcs.reaches = lambda _: None
    async with between(fresh, rcs, sms) as one:
        await one.send(*everyone(1))
        await one.until(lambda: rcs.sent)
        await asyncio.sleep(ASSUMED_VALIDITY)
        rcs.say([receipt(rcs.name_of(rcs.sent[0].submission, 1), ReceiptState.EXPIRED)])
        await one.until_states(DELIVERED=1, within=5)
        await asyncio.sleep(LOST_EVENT + RACE + 5)

        assert not rcs.revoked
        assert len(sms.sent) == 1
