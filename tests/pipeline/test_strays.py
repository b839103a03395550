"""Receipts whose id was lost with a link: told by their addresses if that leaves no doubt, else kept and told of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tests.pipeline.carriers import Carrier, Sent, receipt
from tests.pipeline.worlds import LONG_TEXT, Line, World, everyone, virtually, world

from sendpool.connectors.base import CarrierId, Outcome, Receipt, ReceiptState, Submission, Uncertain
from sendpool.domain.failures import FailureClass
from sendpool.domain.message import Category

SENDER = "+12030000001"
Answer = Callable[[Submission, int], Outcome | None]


def cut_off() -> Carrier:
    """A carrier that takes everything and whose answers are lost; what it reports is a test's to say."""
    carrier = Carrier()
    carrier.answer = lambda submission, part: Uncertain("the link was lost")
    return carrier


def about(w: World, sent: Sent, carrier_id: str = "lost", state: ReceiptState = ReceiptState.DELIVERED) -> Receipt:
    """The receipt of a text whose id nobody knows, as a carrier in another zone writes it."""
    local = datetime.fromtimestamp(w.engine.clock.wall() / 1e6 - (w.now - sent.at), UTC)
    numbers = (sent.submission.sender.removeprefix("+"), sent.submission.recipient.removeprefix("+"))
    submitted = local.strftime("%y%m%d%H%M")
    return receipt(carrier_id, state)._replace(about=tuple(text.encode() for text in (*numbers, submitted)))


@virtually
async def test_a_receipt_of_an_unknown_id_settles_the_only_attempt_that_it_may_be_about(fresh: Path) -> None:
    carrier = cut_off()
    async with world(fresh, a=Line(carrier, {SENDER: 10})) as w:
        operation = await w.send(*everyone(3))
        await w.until_states(SENT=3)
        carrier.say([about(w, carrier.sent[0]), about(w, carrier.sent[1], "other", ReceiptState.UNDELIVERED)])

        await w.until_states(DELIVERED=1, UNDELIVERED=1, SENT=1, within=20)

        assert await w.rows("SELECT count(*) FROM receipt") == [(0,)]
        assert await w.rows("SELECT sum(ambiguous) FROM message") == [(1,)]
        assert await w.rows("SELECT count(*) FROM attempt WHERE (marks & 2) <> 0") == [(3,)]
        assert await w.events(operation.operation_id) == [1026, 2, 19, 1027, 20]


@virtually
async def test_a_failure_that_a_lost_id_brought_is_a_failure_like_any_other(fresh: Path) -> None:
    carrier, other = cut_off(), Carrier()
    other.up = False
    async with world(fresh, a=Line(carrier, {SENDER: 10}), b=Line(other, {"+12030000002": 1})) as w:
        await w.send(*everyone(1))
        await w.until_states(SENT=1)
        other.link(up=True)
        blocked = about(w, carrier.sent[0])._replace(
            state=ReceiptState.UNDELIVERED, failure=FailureClass.SENDER, code="blocked", rule="class/SENDER"
        )
        carrier.say([blocked])

        await w.until_states(DELIVERED=1, within=20)
        assert len(other.sent) == 1


@virtually
async def test_two_attempts_that_it_may_be_about_are_left_in_doubt(fresh: Path) -> None:
    carrier = cut_off()
    async with world(fresh, a=Line(carrier, {SENDER: 10})) as w:
        for _ in range(2):
            await w.send(*everyone(1))
        await w.until_states(SENT=2)
        carrier.say([about(w, carrier.sent[0])])
        await asyncio.sleep(30)

        assert await w.states() == {"SENT": 2}
        assert await w.rows("SELECT carrier_id FROM receipt") == [("lost",)]


@virtually
async def test_a_receipt_that_came_before_its_answer_is_not_given_to_another_attempt(fresh: Path) -> None:
    carrier = cut_off()
    async with world(fresh, a=Line(carrier, {SENDER: 10})) as w:
        first = await w.send(*everyone(1))
        await w.until_states(SENT=1)
        # The second one's answer takes its time; its receipt is there long before.
        carrier.answer, carrier.answer_after = (lambda submission, part: CarrierId("slow")), 25.0
        carrier.report = lambda submission, part: ()
        second = await w.send(*everyone(1))
        await w.until(lambda: len(carrier.sent) == 2)
        carrier.say([about(w, carrier.sent[1], "slow")])

        await w.until_states(DELIVERED=1, SENT=1)

        assert await w.states(first) == {"SENT": 1}
        assert await w.states(second) == {"DELIVERED": 1}


@virtually
async def test_a_long_text_is_delivered_when_all_its_lost_parts_are(fresh: Path) -> None:
    carrier = cut_off()
    carrier.answer = lambda submission, part: CarrierId("known") if part == 2 else Uncertain("the link was lost")
    carrier.report = lambda submission, part: ()
    async with world(fresh, a=Line(carrier, {SENDER: 10})) as w:
        await w.send(*everyone(1), text=LONG_TEXT)
        await w.until_states(SENT=1)
        sent = carrier.sent[0]
        carrier.say([about(w, sent, "last")])
        carrier.say([receipt("known", ReceiptState.DELIVERED)])
        await asyncio.sleep(30)
        assert await w.states() == {"SENT": 1}, "one part has not been heard of"
        carrier.say([about(w, sent, "first")])

        await w.until_states(DELIVERED=1, within=30)


@virtually
async def test_a_superseded_attempt_whose_receipt_comes_after_all_is_told_of(fresh: Path) -> None:
    carrier = cut_off()
    async with world(fresh, a=Line(carrier, {SENDER: 10})) as w:
        operation = await w.send(*everyone(1), category=Category.OTP)
        await w.until_states(SENT=1)
        first = carrier.sent[0]
        carrier.answer = lambda submission, part: CarrierId("second")
        await w.until(lambda: len(carrier.sent) == 2)
        await w.until_states(DELIVERED=1)
        carrier.say([about(w, first)])

        await w.until(lambda: w.now > first.at + 60, within=90)

        assert await w.attempts(operation.operation_id) == [(SENDER, "DELIVERED"), (SENDER, "DELIVERED")]


@virtually
async def test_a_receipt_that_belongs_to_nobody_is_kept_counted_and_told_of_once(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {SENDER: 10})) as w:
        await w.send(*everyone(1))
        await w.until_states(DELIVERED=1)
        await asyncio.sleep(6)
        carrier.say([receipt("somebody else's", ReceiptState.DELIVERED)])
        await asyncio.sleep(150)

        assert await w.rows("SELECT carrier_id FROM receipt") == [("somebody else's",)]
        assert await w.rows("SELECT type, subject, data FROM notice") == [
            ("sendpool.receipt.unmatched", "a", '{"count":"1"}')
        ]
        figures = w.engine.metrics.render().decode()
        assert "sendpool_receipts_unmatched_total 1.0" in figures
