"""Nothing is sent where carriers have said twice that nobody is; one carrier's word alone silences nobody."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.pipeline.carriers import Answer, Carrier, refused
from tests.pipeline.worlds import Line, World, everyone, virtually, world

from sendpool.connectors.base import CarrierId, Outcome, Receipt, ReceiptState, Rejected, Submission
from sendpool.domain.failures import classify
from sendpool.domain.message import Category
from sendpool.domain.quarantine import Place
from sendpool.domain.request import SenderOrigin
from sendpool.domain.sender import Channel
from sendpool.pipeline.explain import explain_message
from sendpool.store.history import MessagePlace
from sendpool.store.quarantine import Wanted, list_entries, remove_entries

ONE, TWO = "+12034458910", "+12034458911"
AGENT = "agent@rbm.goog"
ANN, BOB = everyone(2)
DAY = 86_400.0


def no_such_number(submission: Submission, part: int) -> Outcome:
    found = classify("twilio", "30005")
    return Rejected(found.failure, "30005", found.scope, found.rule)


def saying(provider: str, code: str, *about: str) -> Answer:
    """Refuse those recipients (all, where none is named) with a code; take the others."""
    found = classify(provider, code)

    def answer(submission: Submission, part: int) -> Outcome:
        if about and submission.recipient not in about:
            return CarrierId(Carrier.name_of(submission, part))
        return Rejected(found.failure, code, found.scope, found.rule)

    return answer


async def entries(there: World, *, held: bool = False) -> list[Place]:
    rows = await there.store.read(list_entries(Wanted(there.account_id), 100, held=held))
    return [row.place for row in rows]


async def by(there: World, address: str, *recipients: str) -> None:
    """Send by one sender, and wait until all of it has ended or is delivered."""
    operation = await there.send(*recipients, origin=SenderOrigin(there.sender(address).uid))
    async with asyncio.timeout(20):
        while (await there.states(operation)).keys() & {"QUEUED", "SENT", "SCHEDULED"}:
            await asyncio.sleep(0.05)


def two_lines() -> dict[str, Line]:
    return {"one": Line(Carrier(), {ONE: None}), "two": Line(Carrier(), {TWO: None})}


@virtually
async def test_two_connections_that_say_so_end_it_and_everybody_else_goes_on(tmp_path: Path) -> None:
    lines = two_lines()
    one, two = lines["one"].carrier, lines["two"].carrier
    one.answer = two.answer = saying("twilio", "30005", BOB)
    async with world(tmp_path / "a.db", **lines) as there:
        await by(there, ONE, BOB)
        await by(there, ONE, BOB)
        assert (await entries(there), await entries(there, held=True)) == ([Place(1, BOB, "SMS")], [])
        await by(there, TWO, BOB)
        assert await entries(there, held=True) == [Place(1, BOB, "SMS")]

        one.answer = two.answer = saying("twilio", "30005", "nobody")
        last = await there.send(ANN, BOB)
        await there.until_states(operation=last, DELIVERED=1, FAILED=1)
        assert len(one.sent) + len(two.sent) == 4
        sql = "SELECT error_code FROM message WHERE operation_id = ? AND error_code IS NOT NULL"
        assert await there.rows(sql, last.operation_id) == [(30005,)]
        found = await explain_message(there.engine, there.account_id, MessagePlace(last.uid, 1))
        assert found is not None
        assert (found.plan[0].outcome, found.plan[0].reason) == ("passed", "in_quarantine")
        assert "said twice" in found.text


@virtually
async def test_one_connection_has_to_say_so_again_a_day_later(tmp_path: Path) -> None:
    lines = two_lines()
    lines["one"].carrier.answer = saying("twilio", "30005")
    async with world(tmp_path / "a.db", **lines) as there:
        await by(there, ONE, BOB)
        there.ahead += DAY - 60
        await by(there, ONE, BOB)
        assert await entries(there, held=True) == []
        there.ahead += 120
        await by(there, ONE, BOB)
        assert await entries(there, held=True) == [Place(1, BOB, "SMS")]

        there.ahead += 30 * DAY
        lines["one"].carrier.answer = saying("twilio", "30005", "nobody")
        again = await there.send(BOB)
        await there.until_states(operation=again, DELIVERED=1)
        await asyncio.sleep(10)
        assert await entries(there) == []


@virtually
async def test_a_code_that_may_mean_no_route_needs_another_connection_however_late(tmp_path: Path) -> None:
    lines = two_lines()
    lines["one"].carrier.answer = lambda submission, part: refused("0x0b")
    async with world(tmp_path / "a.db", **lines) as there:
        for _ in range(3):
            await by(there, ONE, BOB)
            there.ahead += 2 * DAY
        assert (len(await entries(there)), await entries(there, held=True)) == (1, [])

        lines["two"].carrier.answer = lambda submission, part: refused("0x0b")
        await by(there, TWO, BOB)
        assert await entries(there, held=True) == [Place(1, BOB, "SMS")]


@virtually
async def test_a_delivery_clears_who_is_suspected(tmp_path: Path) -> None:
    lines = two_lines()
    lines["one"].carrier.answer = saying("twilio", "30005")
    async with world(tmp_path / "a.db", **lines) as there:
        await by(there, ONE, ANN, BOB)
        assert len(await entries(there)) == 2
        await by(there, TWO, BOB)
        await asyncio.sleep(10)
        assert await entries(there) == [Place(1, ANN, "SMS")]
        assert await there.rows("SELECT count(*) FROM quarantine_trial") == [(0,)]

        await by(there, ONE, BOB)
        assert await entries(there, held=True) == []


@virtually
async def test_a_receipt_counts_as_a_refusal_does(tmp_path: Path) -> None:
    lines = two_lines()
    found = classify("smpp.map", "1")
    async with world(tmp_path / "a.db", **lines) as there:
        for line, sender in ((lines["one"], ONE), (lines["two"], TWO)):
            carrier = line.carrier
            carrier.report = lambda submission, part: ()
            operation = await there.send(BOB, origin=SenderOrigin(there.sender(sender).uid))
            await there.until_states(operation=operation, SENT=1)
            name = carrier.name_of(carrier.sent[-1].submission, 1)
            carrier.say([Receipt(name, ReceiptState.UNDELIVERED, found.failure, "1", found.rule)])
            await there.until_states(operation=operation, UNDELIVERED=1)
        assert await entries(there, held=True) == [Place(1, BOB, "SMS")]


def rcs_first() -> dict[str, Line]:
    return {
        "one": Line(Carrier(), {ONE: None}),
        "two": Line(Carrier(), {TWO: None}),
        "rcs": Line(Carrier(), {AGENT: None}, Channel.RCS),
    }


@virtually
async def test_other_channels_of_the_number_stay_and_the_message_falls_back(tmp_path: Path) -> None:
    lines = rcs_first()
    async with world(tmp_path / "a.db", **lines) as there:
        there.lines["rcs"].carrier.answer = saying("twilio", "30005")
        await there.send(BOB)
        await there.until_states(DELIVERED=1)
        there.ahead += DAY
        await there.send(BOB)
        await there.until_states(DELIVERED=2)
        assert await entries(there, held=True) == [Place(1, BOB, "RCS")]

        third = await there.send(BOB)
        await there.until_states(DELIVERED=3)
        assert len(lines["rcs"].carrier.sent) == 2
        found = await explain_message(there.engine, there.account_id, MessagePlace(third.uid, 0))
        assert found is not None
        steps = [(step.channel, step.outcome, step.reason) for step in found.plan]
        assert steps == [("RCS", "passed", "in_quarantine"), ("SMS", "delivered", "delivered")]


@virtually
async def test_a_number_that_is_invalid_is_so_on_every_channel(tmp_path: Path) -> None:
    lines = rcs_first()
    lines["one"].carrier.answer = lines["two"].carrier.answer = saying("twilio", "21211")
    async with world(tmp_path / "a.db", **lines) as there:
        await by(there, ONE, BOB)
        await by(there, TWO, BOB)
        last = await there.send(BOB)
        await there.until_states(operation=last, FAILED=1)
        assert not lines["rcs"].carrier.sent


@virtually
async def test_it_is_known_after_a_restart_and_removed_by_connection(tmp_path: Path) -> None:
    lines = two_lines()
    lines["one"].carrier.answer = lines["two"].carrier.answer = saying("twilio", "30005")
    async with world(tmp_path / "a.db", **lines) as there:
        await by(there, ONE, BOB)
        await by(there, TWO, BOB)
        copied = await there.copy(tmp_path / "b.db")
    async with world(copied, **two_lines()) as there:
        await by(there, ONE, BOB)
        assert not there.lines["one"].carrier.sent
        key = there.sender(TWO).connection_id
        wanted = Wanted(there.account_id, connection_id=key)
        assert await there.engine.change(lambda: remove_entries(wanted)) == 1
        await by(there, ONE, BOB)
        assert len(there.lines["one"].carrier.sent) == 1


@virtually
async def test_a_store_that_is_full_keeps_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sendpool.pipeline.quarantine.MOST", 1)
    lines = two_lines()
    lines["one"].carrier.answer = lines["two"].carrier.answer = saying("twilio", "30005")
    async with world(tmp_path / "a.db", **lines) as there:
        await by(there, ONE, ANN)
        await by(there, ONE, BOB)
        await by(there, TWO, ANN)
        assert await entries(there) == await entries(there, held=True) == [Place(1, ANN, "SMS")]


@virtually
async def test_who_is_suspected_is_still_sent_one_time_passwords(tmp_path: Path) -> None:
    lines = two_lines()
    lines["one"].carrier.answer = saying("twilio", "30005")
    async with world(tmp_path / "a.db", **lines) as there:
        await by(there, ONE, BOB)
        two = lines["two"].carrier
        origin = SenderOrigin(there.sender(TWO).uid)
        operation = await there.send(BOB, origin=origin, category=Category.OTP)
        await there.until_states(operation=operation, DELIVERED=1)
        assert len(two.sent) == 1
