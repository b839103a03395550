"""An operation whose content carriers refuse as spam pauses: what is left waits for somebody to decide."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.pipeline.carriers import Carrier
from tests.pipeline.worlds import Line, World, everyone, virtually, world

from sendpool.connectors.base import CarrierId, Outcome, Receipt, ReceiptState, Rejected, Submission
from sendpool.domain.failures import classify
from sendpool.domain.request import Accepted
from sendpool.pipeline.cancel import Cancellation, Wish, cancel
from sendpool.pipeline.explain import explain_message
from sendpool.store.history import MessagePlace
from sendpool.store.operations import OperationRow, fetch_operation
from sendpool.store.pauses import release_operation

ONE = "+12034458910"
#: At 10 a second a commit settles one answer or so, and most waits when the operation pauses.
SLOW = {ONE: 10.0}


def filtering(every: int = 1) -> Carrier:
    """A carrier that refuses each so manieth message as spam."""
    carrier = Carrier()
    found = classify("twilio", "30007")

    def answer(submission: Submission, part: int) -> Outcome:
        if len(carrier.sent) % every == 0:
            return Rejected(found.failure, "30007", found.scope, found.rule)
        return CarrierId(carrier.name_of(submission, part))

    carrier.answer = answer
    return carrier


def taking(submission: Submission, part: int) -> Outcome:
    return CarrierId(Carrier.name_of(submission, part))


async def operation(there: World, accepted: Accepted) -> OperationRow:
    row = await there.store.read(fetch_operation(there.account_id, accepted.uid))
    assert row is not None
    return row


async def paused(there: World, accepted: Accepted) -> OperationRow:
    async with asyncio.timeout(60):
        while (row := await operation(there, accepted)).paused_at is None:
            await asyncio.sleep(0.05)
    return row


async def resume(there: World, accepted: Accepted) -> None:
    now = there.engine.clock.wall()
    await there.engine.change(lambda: release_operation(there.account_id, accepted.uid, now))


@virtually
async def test_what_is_left_waits_and_goes_on_when_told(tmp_path: Path) -> None:
    carrier = filtering()
    async with world(tmp_path / "a.db", one=Line(carrier, SLOW)) as there:
        campaign = await there.send(*everyone(60))
        row = await paused(there, campaign)
        assert (row.paused_code, row.paused_rule) == ("30007", "twilio/30007")
        assert row.paused_filtered is not None
        assert 3 <= row.paused_filtered <= 5
        await asyncio.sleep(20)
        sent = len(carrier.sent)
        assert sent <= 8

        carrier.answer = taking
        other = await there.send(*everyone(3, first=100))
        await there.until_states(operation=other, DELIVERED=3)
        assert len(carrier.sent) == sent + 3
        found = await explain_message(there.engine, there.account_id, MessagePlace(campaign.uid, 59))
        assert found is not None
        assert (found.plan[0].outcome, found.plan[0].reason) == ("waiting", "operation_paused")
        assert found.waiting.reason == "operation_paused"  # type: ignore[union-attr]
        assert [row[0] for row in await there.rows("SELECT type FROM notice")] == ["sendpool.operation.paused"]

        await resume(there, campaign)
        await there.until_states(operation=campaign, DELIVERED=60 - sent, FAILED=sent)
        assert (await operation(there, campaign)).paused_at is None


@virtually
async def test_two_in_a_hundred_are_no_reason(tmp_path: Path) -> None:
    async with world(tmp_path / "a.db", one=Line(filtering(50), {ONE: 50.0})) as there:
        campaign = await there.send(*everyone(300))
        await there.until_states(operation=campaign, DELIVERED=294, FAILED=6)
        assert await there.rows("SELECT count(*) FROM operation_pause") == [(0,)]


@virtually
async def test_receipts_count_as_answers_do_and_chunks_wait_too(tmp_path: Path) -> None:
    carrier = Carrier()
    found = classify("twilio", "30007")
    carrier.report = lambda submission, part: ()
    async with world(tmp_path / "a.db", one=Line(carrier, {ONE: 100.0})) as there:
        campaign = await there.send(*everyone(5_000))
        await there.until(lambda: len(carrier.sent) >= 5)
        for sent in carrier.sent[:3]:
            name = carrier.name_of(sent.submission, 1)
            carrier.say([Receipt(name, ReceiptState.UNDELIVERED, found.failure, "30007", found.rule)])
        row = await paused(there, campaign)
        await asyncio.sleep(5)
        left = len(carrier.sent)
        await asyncio.sleep(60)
        assert len(carrier.sent) == left < 1_000
        assert row.total == 5_000

        outcome, _ = await cancel(there.engine, Wish(there.account_id, campaign.uid))
        assert outcome is Cancellation.DONE
        states = await there.states(campaign)
        assert states == {"CANCELED": 5_000 - left, "UNDELIVERED": 3, "SENT": left - 3}
        await asyncio.sleep(10)
        assert (await operation(there, campaign)).paused_at is None
        assert not there.engine.flagging.paused


@virtually
async def test_a_pause_outlives_a_restart_and_ends_with_the_validity(tmp_path: Path) -> None:
    carrier = filtering()
    async with world(tmp_path / "a.db", one=Line(carrier, SLOW)) as there:
        campaign = await there.send(*everyone(60), validity=600)
        await paused(there, campaign)
        await asyncio.sleep(5)
        sent = len(carrier.sent)
        copied = await there.copy(tmp_path / "b.db")
    again = Carrier()
    async with world(copied, one=Line(again, SLOW)) as there:
        await asyncio.sleep(60)
        assert not again.sent
        there.ahead += 700
        await there.until_states(operation=campaign, FAILED=60)
        assert sent < 10
        codes = await there.rows("SELECT error_code, count(*) FROM message GROUP BY 1 ORDER BY 1")
        assert codes == [(30007, sent), (30036, 60 - sent)]


@virtually
async def test_it_pauses_again_where_nothing_has_changed(tmp_path: Path) -> None:
    carrier = filtering()
    async with world(tmp_path / "a.db", one=Line(carrier, SLOW)) as there:
        campaign = await there.send(*everyone(60))
        first = await paused(there, campaign)
        await asyncio.sleep(3)
        await resume(there, campaign)
        await asyncio.sleep(5)
        second = await paused(there, campaign)
        assert second.paused_at != first.paused_at
        assert len(carrier.sent) < 20
        await cancel(there.engine, Wish(there.account_id, campaign.uid))
