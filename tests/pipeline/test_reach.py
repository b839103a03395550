"""Who is not on a channel is known for a while, whatever the channel: the next message does not try it."""

from __future__ import annotations

from pathlib import Path

from tests.pipeline.carriers import Carrier
from tests.pipeline.worlds import Line, World, everyone, virtually, world

from sendpool.connectors.base import CarrierId, Outcome, Receipt, ReceiptState, Rejected, Submission
from sendpool.domain.failures import classify
from sendpool.domain.request import PoolOrigin, SenderOrigin
from sendpool.domain.sender import Channel
from sendpool.pipeline.explain import explain_message
from sendpool.store.history import MessagePlace

ONE, TWO, TEXT = "+12034458910", "+12034458911", "+12034458912"
ANN, BOB = everyone(2)
HOUR = 3_600.0


def refusing(code: str, *about: str) -> Carrier:
    """A WhatsApp that refuses these recipients with a code."""
    carrier = Carrier()
    found = classify("whatsapp", code)

    def answer(submission: Submission, part: int) -> Outcome:
        if submission.recipient in about:
            return Rejected(found.failure, code, found.scope, found.rule)
        return CarrierId(carrier.name_of(submission, part))

    carrier.answer = answer
    return carrier


def lines(whatsapp: Carrier) -> dict[str, Line]:
    return {
        "whatsapp": Line(whatsapp, {ONE: None}, Channel.WHATSAPP),
        "sms": Line(Carrier(), {TEXT: None}),
    }


async def reaching(there: World) -> PoolOrigin:
    """A pool that tries WhatsApp before SMS."""
    uids = [one.uid for one in there.engine.roster.senders.values()]
    return PoolOrigin(await there.make_pool(uids, reach=["WHATSAPP", "SMS"]))


@virtually
async def test_who_is_not_on_whatsapp_is_not_tried_there_for_a_day(tmp_path: Path) -> None:
    whatsapp = refusing("131026", BOB)
    async with world(tmp_path / "a.db", **lines(whatsapp)) as there:
        origin = await reaching(there)
        await there.send(BOB, origin=origin)
        await there.until_states(DELIVERED=1)
        second = await there.send(ANN, BOB, origin=origin)
        await there.until_states(DELIVERED=3)

        assert [sent.submission.recipient for sent in whatsapp.sent] == [BOB, ANN]
        found = await explain_message(there.engine, there.account_id, MessagePlace(second.uid, 1))
        assert found is not None
        steps = [(step.channel, step.outcome, step.reason) for step in found.plan[:2]]
        assert steps == [("WHATSAPP", "passed", "unreachable"), ("SMS", "delivered", "delivered")]
        there.engine.reach._clock = lambda: there.now + 23 * HOUR
        assert not there.engine.sending.reaches(there.sender(ONE).id, BOB)
        there.engine.reach._clock = lambda: there.now + 24 * HOUR + 1
        assert there.engine.sending.reaches(there.sender(ONE).id, BOB)


@virtually
async def test_a_receipt_says_so_as_well_and_a_message_with_no_other_channel_ends(tmp_path: Path) -> None:
    whatsapp = Carrier()
    whatsapp.report = lambda submission, part: ()
    found = classify("whatsapp", "131026")
    async with world(tmp_path / "a.db", whatsapp=Line(whatsapp, {ONE: None}, Channel.WHATSAPP)) as there:
        await there.send(BOB, space="W")
        await there.until_states(SENT=1)
        name = whatsapp.name_of(whatsapp.sent[0].submission, 1)
        whatsapp.say([Receipt(name, ReceiptState.UNDELIVERED, found.failure, "131026", found.rule)])
        await there.until_states(UNDELIVERED=1)

        last = await there.send(BOB, space="W")
        await there.until_states(operation=last, FAILED=1)
        assert len(whatsapp.sent) == 1
        story = await explain_message(there.engine, there.account_id, MessagePlace(last.uid, 0))
        assert story is not None
        assert (story.plan[0].outcome, story.plan[0].reason) == ("passed", "unreachable")
        assert await there.rows("SELECT error_code FROM message WHERE operation_id = ?", last.operation_id) == [
            (63003,)
        ]


@virtually
async def test_another_sender_that_may_reach_it_is_tried_and_a_code_about_one_message_is_no_reason(
    tmp_path: Path,
) -> None:
    one, two = refusing("131026", BOB), refusing("130472", ANN)
    both = {"one": Line(one, {ONE: None}, Channel.WHATSAPP), "two": Line(two, {TWO: None}, Channel.WHATSAPP)}
    async with world(tmp_path / "a.db", **both) as there:
        for line, who in ((ONE, BOB), (TWO, ANN)):
            operation = await there.send(who, space="W", origin=SenderOrigin(there.sender(line).uid))
            await there.until_states(operation=operation, FAILED=1)
        assert not there.engine.sending.reaches(there.sender(ONE).id, BOB)
        assert there.engine.sending.reaches(there.sender(TWO).id, ANN)
        last = await there.send(ANN, space="W", origin=SenderOrigin(there.sender(TWO).uid))
        await there.until_states(operation=last, FAILED=1)
        assert len(two.sent) == 2
        for _ in range(8):
            await there.send(BOB, space="W")
            await there.until(lambda: not there.engine.book.total())
        assert BOB in {sent.submission.recipient for sent in two.sent}
