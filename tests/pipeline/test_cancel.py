"""Cancel: what has not left never does, what has goes on, and each is counted and told once."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.pipeline.carriers import Carrier, receipt, refused
from tests.pipeline.worlds import EPOCH, Line, World, everyone, virtually, world

from sendpool.connectors.base import Outcome, ReceiptState, Submission
from sendpool.domain.failures import classify
from sendpool.domain.message import Content
from sendpool.domain.request import Accepted, PoolOrigin, Recipient, SendRequest
from sendpool.domain.schedule import Moment
from sendpool.domain.states import MessageState
from sendpool.pipeline import draft
from sendpool.pipeline.cancel import Cancellation, Wish, cancel
from sendpool.pipeline.waiter import StoreUnavailable

NUMBER, OTHER = "+12030000001", "+12030000002"
DONE, UNKNOWN, TOO_LATE = Cancellation.DONE, Cancellation.UNKNOWN, Cancellation.TOO_LATE
PROCESSING, COMPLETED, CANCELED = 1026, 1027, 1028
FAST = 100_000


async def cancel_all(w: World, operation: Accepted) -> Cancellation:
    """Cancel an operation."""
    return (await cancel(w.engine, Wish(w.account_id, operation.uid)))[0]


async def cancel_one(w: World, operation: Accepted, position: int = 0) -> tuple[Cancellation, MessageState | None]:
    """Cancel one message."""
    return await cancel(w.engine, Wish(w.account_id, operation.uid, position))


async def told(w: World, operation: Accepted) -> list[int]:
    """The numbers of an operation's own events, whose key its first message shares."""
    return [number for number in await w.events(operation.operation_id) if number > 1024]


async def of_message(w: World, message_id: int) -> list[int]:
    """The numbers of a message's events."""
    return [number for number in await w.events(message_id) if number < 1024]


def reject(carrier: Carrier) -> None:
    """Say of the first text that it was rejected after it had been accepted, which another sender may change."""
    found = classify("smpp.stat", "REJECTD")
    told = receipt(carrier.name_of(carrier.sent[0].submission, 1), ReceiptState.UNDELIVERED)
    carrier.say([told._replace(failure=found.failure, code="REJECTD", rule=found.rule)])


async def state_of(w: World, operation: Accepted) -> int:
    """The state of an operation."""
    state: int = (await w.rows("SELECT state FROM operation WHERE id = ?", operation.operation_id))[0][0]
    return state


def later(w: World, seconds: float) -> Moment:
    """So many seconds from now."""
    return Moment(EPOCH + int((w.now + seconds) * 1e6))


@virtually
async def test_a_scheduled_operation_that_is_canceled_never_goes_out(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        operation = await w.send(*everyone(20), send_at=later(w, 10))
        await asyncio.sleep(5)

        assert await cancel_all(w, operation) is DONE
        assert await w.states(operation) == {"CANCELED": 20}
        assert await w.rows("SELECT count(*) FROM later") == [(0,)]
        await asyncio.sleep(20)

        assert carrier.sent == []
        assert await told(w, operation) == [1025, CANCELED]
        assert await w.events(operation.operation_id + 1) == [8]


@virtually
async def test_chunks_become_canceled_messages(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draft, "AT_ONCE", 10)
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: FAST})) as w:
        operation = await w.send(*everyone(1_500), send_at=later(w, 10))
        assert await cancel_all(w, operation) is DONE

        assert await w.states(operation) == {"CANCELED": 1_500}
        assert await w.rows("SELECT count(*) FROM chunk") == [(0,)]
        assert await w.rows("SELECT count(DISTINCT address), min(scheduled_for) FROM message") == [
            (1_500, EPOCH + 10_000_000)
        ]
        assert await told(w, operation) == [1025, CANCELED]
        await asyncio.sleep(15)
        assert carrier.sent == []


@virtually
async def test_of_an_operation_under_way_what_has_left_goes_on(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, False, a=Line(carrier, {NUMBER: 100})) as w:
        operation = await w.send(*everyone(6_000))
        await asyncio.sleep(5)
        assert await cancel_all(w, operation) is DONE
        await asyncio.sleep(5)

        states = await w.states(operation)
        assert states["DELIVERED"] == len(carrier.sent)
        assert states["CANCELED"] == 6_000 - len(carrier.sent) >= 5_400
        assert await told(w, operation) == [PROCESSING, COMPLETED]
        assert await w.rows("SELECT count(*) FROM outq") == [(0,)]


@virtually
async def test_a_message_that_waits_is_canceled_and_its_neighbours_are_not(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        carrier.link(up=False)
        operation = await w.send(*everyone(3))

        assert await cancel_one(w, operation, 1) == (DONE, MessageState.CANCELED)
        assert await cancel_one(w, operation, 1) == (DONE, MessageState.CANCELED), "asked again"
        carrier.link(up=True)
        await w.until_states(DELIVERED=2, CANCELED=1)

        assert {sent.submission.attempt.message_id for sent in carrier.sent} == {
            operation.operation_id,
            operation.operation_id + 2,
        }
        assert await w.events(operation.operation_id + 1) == [2, 8]
        assert await told(w, operation) == [PROCESSING, COMPLETED]


@virtually
async def test_an_operation_whose_messages_are_canceled_one_by_one_is_canceled(fresh: Path) -> None:
    async with world(fresh, a=Line(Carrier(), {NUMBER: 100})) as w:
        operation = await w.send(*everyone(2), send_at=later(w, 60))
        await cancel_one(w, operation, 0)
        assert await told(w, operation) == [1025]
        await cancel_one(w, operation, 1)

        assert await told(w, operation) == [1025, CANCELED]
        assert await state_of(w, operation) == 4


@pytest.mark.parametrize("number", [20, 60], ids=["rows", "chunks"])
@virtually
async def test_an_operation_of_which_some_texts_cannot_be_made_is_canceled_too(
    fresh: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(draft, "AT_ONCE", 30)
    async with world(fresh, a=Line(Carrier(), {NUMBER: 100})) as w:
        request = SendRequest(
            account_id=w.account_id,
            origin=PoolOrigin(w.pool),
            # An empty name makes an empty text, which fails that recipient only.
            recipients=[
                Recipient(one, "P", {"name": "x" if n % 10 == 0 else ""}) for n, one in enumerate(everyone(number))
            ],
            content=Content(text="{{ name }}", liquid=True),
            send_at=later(w, 60),
        )
        operation = await w.engine.intake.accept(request)
        assert await w.states(operation) == {"SCHEDULED": number // 10, "FAILED": number - number // 10}

        assert await cancel_all(w, operation) is DONE
        assert await w.states(operation) == {"CANCELED": number // 10, "FAILED": number - number // 10}
        assert await told(w, operation) == [1025, CANCELED]


@virtually
async def test_what_a_carrier_has_or_is_getting_is_too_late(fresh: Path) -> None:
    carrier = Carrier(answer_after=5, report_after=5)
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        operation = await w.send(*everyone(1))
        await w.until(lambda: bool(carrier.sent))

        assert await cancel_one(w, operation) == (TOO_LATE, MessageState.QUEUED)
        await w.until_states(SENT=1)
        assert await cancel_one(w, operation) == (TOO_LATE, MessageState.SENT)
        await w.until_states(DELIVERED=1)
        assert await cancel_one(w, operation) == (TOO_LATE, MessageState.DELIVERED)
        assert await cancel_all(w, operation) is DONE
        assert await w.states() == {"DELIVERED": 1}
        assert await told(w, operation) == [PROCESSING, COMPLETED]


@pytest.mark.parametrize("sent", [False, True], ids=["refused", "undelivered"])
@virtually
async def test_a_message_between_two_attempts_is_canceled(fresh: Path, *, sent: bool) -> None:
    first, second = Carrier(), Carrier()
    async with world(fresh, a=Line(first, {NUMBER: 100}), b=Line(second, {OTHER: 100})) as w:
        second.link(up=False)
        if sent:
            first.report = lambda submission, part: ()
        else:
            first.answer = lambda submission, part: refused("0x0A")
        operation = await w.send(*everyone(1))
        await w.until(lambda: bool(first.sent))
        if sent:
            await w.until_states(SENT=1)
            reject(first)
        await asyncio.sleep(1)
        assert await w.states() == {"SENT" if sent else "QUEUED": 1}

        assert await cancel_one(w, operation) == (DONE, MessageState.CANCELED)
        second.link(up=True)
        await asyncio.sleep(30)

        assert second.sent == []
        assert (await of_message(w, operation.operation_id))[-1] == 16 + 8
        assert await w.states() == {"CANCELED": 1}


@virtually
async def test_a_receipt_that_comes_after_the_end_is_evidence_and_changes_nothing(fresh: Path) -> None:
    first, second = Carrier(), Carrier()
    async with world(fresh, a=Line(first, {NUMBER: 100}), b=Line(second, {OTHER: 100})) as w:
        second.link(up=False)
        first.report = lambda submission, part: ()
        operation = await w.send(*everyone(1))
        await w.until_states(SENT=1)
        reject(first)
        await asyncio.sleep(1)
        assert await cancel_one(w, operation) == (DONE, MessageState.CANCELED)
        first.say([receipt(first.name_of(first.sent[0].submission, 1), ReceiptState.DELIVERED)])
        await asyncio.sleep(1)

        assert await w.states() == {"CANCELED": 1}
        assert await w.attempts(operation.operation_id) == [(NUMBER, "DELIVERED")]
        assert (await of_message(w, operation.operation_id))[-1] == 16 + 13


@virtually
async def test_in_one_commit_with_a_claim_a_message_is_canceled_or_sent_but_not_both(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 50})) as w:
        operations = []
        canceled: Counter[Any] = Counter()
        for n in range(60):
            operations.append(await w.send(*everyone(1, first=n)))
            # At every distance from the claim, in its very commit too.
            await asyncio.sleep((n % 7) * 0.004)
            canceled[(await cancel_one(w, operations[-1]))[0]] += 1
        together = [cancel_one(w, operation) for operation in operations]
        await asyncio.gather(*(w.send(*everyone(1, first=1_000 + n)) for n in range(20)), *together)
        await w.until_states(DELIVERED=80 - canceled[DONE], CANCELED=canceled[DONE])

        assert canceled[DONE] + canceled[TOO_LATE] == 60
        assert min(canceled.values()) >= 5
        gone = {key for (key,) in await w.rows(f"SELECT id FROM message WHERE state = {MessageState.CANCELED:d}")}
        assert gone.isdisjoint(sent.submission.attempt.message_id for sent in carrier.sent)


@virtually
async def test_cancel_races_with_refusals_and_receipts_and_every_message_ends_once(fresh: Path) -> None:
    first, second = Carrier(report_after=0.05), Carrier(report_after=0.05)
    take = first.answer

    def answer(submission: Submission, part: int) -> Outcome | None:
        return refused("0x0A") if submission.attempt.message_id % 3 == 0 else take(submission, part)

    first.answer = answer
    first.report = lambda s, _: (ReceiptState.UNDELIVERED if s.attempt.message_id % 3 == 1 else ReceiptState.DELIVERED,)
    async with world(fresh, a=Line(first, {NUMBER: 200}), b=Line(second, {OTHER: 20})) as w:
        operation = await w.send(*everyone(120))
        for n in range(119, -1, -1):
            await cancel_one(w, operation, n)
            await asyncio.sleep(0.005)
        await asyncio.sleep(20)

        states = await w.states(operation)
        assert states["QUEUED"] == states["SENT"] == 0
        assert min(states["CANCELED"], states["DELIVERED"]) >= 10
        assert await told(w, operation) == [PROCESSING, COMPLETED]


@virtually
async def test_canceled_rows_do_not_hold_up_the_rest_of_an_operation(fresh: Path) -> None:
    carrier = Carrier(answer_after=0.2, report_after=0.3)
    async with world(fresh, False, a=Line(carrier, {NUMBER: 500})) as w:
        carrier.link(up=False)
        operation = await w.send(*everyone(5_000))
        await asyncio.sleep(1)
        rows = (await w.rows("SELECT count(*) FROM message"))[0][0]
        assert rows < 5_000
        await asyncio.gather(*(cancel_one(w, operation, n) for n in range(rows)))
        carrier.link(up=True)

        # What became rows meanwhile is sent; the rest follows it.
        await w.until_states(operation=operation, DELIVERED=5_000 - rows, CANCELED=rows, within=60)


@virtually
async def test_nothing_of_another_account_or_kind_is_canceled(fresh: Path) -> None:
    async with world(fresh, a=Line(Carrier(), {NUMBER: 100})) as w:
        operation = await w.send(*everyone(1), send_at=later(w, 60))
        wishes = [
            Wish(w.account_id + 1, operation.uid),
            Wish(w.account_id + 1, operation.uid, 0),
            Wish(w.account_id, bytes(16)),
            Wish(w.account_id, operation.uid, 1),
            Wish(w.account_id, operation.uid, 0, kind="email"),
        ]

        assert [await cancel(w.engine, wish) for wish in wishes] == [(UNKNOWN, None)] * len(wishes)
        assert await w.states() == {"SCHEDULED": 1}


@virtually
async def test_a_cancel_that_is_answered_outlives_a_crash(fresh: Path, tmp_path: Path) -> None:
    async with world(fresh, a=Line(Carrier(), {NUMBER: 100})) as w:
        operation = await w.send(*everyone(5), send_at=later(w, 5))
        await cancel_all(w, operation)
        left = await w.copy(tmp_path / "left.db")
    carrier = Carrier()
    async with world(left, a=Line(carrier, {NUMBER: 100})) as w:
        await asyncio.sleep(20)

        assert carrier.sent == []
        assert await w.states() == {"CANCELED": 5}


@pytest.mark.parametrize("seed", range(4))
@virtually
async def test_whatever_is_scheduled_sent_and_canceled_every_commit_adds_up(
    fresh: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(draft, "AT_ONCE", 10)
    monkeypatch.setattr(draft, "CHUNK", 7)
    chance = random.Random(seed)
    first, second = Carrier(), Carrier()
    take = first.answer
    first.answer = lambda s, part: refused("0x0A") if chance.random() < 0.2 else take(s, part)
    first.report = lambda s, part: (chance.choice([ReceiptState.DELIVERED, ReceiptState.UNDELIVERED]),)
    async with world(fresh, a=Line(first, {NUMBER: 60}), b=Line(second, {OTHER: 20})) as w:
        operations: list[tuple[Accepted, int]] = []
        for step in range(60):
            # A commit that failed stored nothing of it.
            with contextlib.suppress(StoreUnavailable):
                await _do_something(w, chance, operations, first=100 * step)
            await asyncio.sleep(chance.uniform(0, 0.4))
        second.link(up=True)
        await asyncio.sleep(60)

        left = {name for name, number in (await w.states()).items() if number}
        assert left <= {"DELIVERED", "UNDELIVERED", "FAILED", "CANCELED"}
        assert await w.rows("SELECT count(*) FROM operation WHERE state NOT IN (3, 4)") == [(0,)]
        for table in ("chunk", "outq", "later"):
            assert await w.rows(f"SELECT count(*) FROM {table}") == [(0,)]


async def _do_something(w: World, chance: random.Random, operations: list[tuple[Accepted, int]], first: int) -> None:
    """Send now or later, cancel one or all, let a commit fail, or lose a connection."""
    doing = chance.random()
    if doing < 0.5 or not operations:
        number = chance.choice([1, 3, 12, 30])
        send_at = later(w, chance.uniform(-1, 8)) if chance.random() < 0.7 else None
        operations.append((await w.send(*everyone(number, first=first), send_at=send_at), number))
    elif doing < 0.6:
        await cancel_all(w, chance.choice(operations)[0])
    elif doing < 0.9:
        operation, number = chance.choice(operations)
        await cancel_one(w, operation, chance.randrange(number))
    elif doing < 0.95:
        w.store.failures = 1
    else:
        carrier = w.lines["b"].carrier
        carrier.link(up=not carrier.up)
