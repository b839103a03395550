"""What outcomes and receipts count for health, and that neither costs the database anything."""

from __future__ import annotations

from pathlib import Path

from tests.pipeline.carriers import Carrier, refused
from tests.pipeline.worlds import LONG_TEXT, Line, World, everyone, virtually, world

from sendpool.connectors.base import ReceiptState, Uncertain
from sendpool.domain.vitals import Figures, Route
from sendpool.pipeline.pulse import SAMPLE, Pulse

SENDER = "+12034458910"


def figures(there: World, country: str = "GB", patience: float = 0.0) -> Figures:
    vitals = there.engine.sending.pulse.counting.of(Route(there.sender(SENDER).id, country))
    return vitals.figures(there.now + 20.0, patience, 1_000_000)


@virtually
async def test_messages_with_their_receipts_are_counted_by_country(tmp_path: Path) -> None:
    async with world(tmp_path / "a.db", one=Line(Carrier(), {SENDER: None})) as there:
        await there.send(*everyone(40), "+4915112345678")
        await there.until_states(DELIVERED=41)

        assert figures(there)[:4] == (40, 0, 40, 0)
        assert figures(there, "DE")[:4] == (1, 0, 1, 0)


@virtually
async def test_receipts_that_do_not_come_are_lost(tmp_path: Path) -> None:
    carrier = Carrier()
    carrier.report = lambda submission, part: (
        (ReceiptState.DELIVERED,) if submission.attempt.message_id % 4 else (ReceiptState.PROGRESS,)
    )
    async with world(tmp_path / "a.db", one=Line(carrier, {SENDER: None})) as there:
        await there.send(*everyone(40))
        await there.until_states(DELIVERED=30, SENT=10)

        assert figures(there)[:4] == (40, 0, 40, 10)
        assert len(there.engine.sending.links[there.sender(SENDER).connection_id].watched) == 10


@virtually
async def test_a_bad_list_of_recipients_indicts_nobody(tmp_path: Path) -> None:
    carrier = Carrier()
    answer = carrier.answer
    carrier.answer = lambda submission, part: (
        refused("0x0b") if submission.attempt.message_id % 2 else answer(submission, part)
    )
    async with world(tmp_path / "a.db", one=Line(carrier, {SENDER: None})) as there:
        await there.send(*everyone(40))
        await there.until_states(DELIVERED=20, FAILED=20)

        assert figures(there)[:4] == (20, 0, 20, 0)


@virtually
async def test_faults_of_the_route_count_whenever_they_are_told(tmp_path: Path) -> None:
    carrier = Carrier()
    answer = carrier.answer
    carrier.answer = lambda submission, part: (
        refused("0x0a") if submission.attempt.message_id % 4 == 1 else answer(submission, part)
    )
    async with world(tmp_path / "a.db", one=Line(carrier, {SENDER: None})) as there:
        await there.send(*everyone(16))
        await there.until_states(DELIVERED=12, FAILED=4)

        assert figures(there)[:4] == (16, 4, 12, 0)


@virtually
async def test_long_message_counts_once(tmp_path: Path) -> None:
    async with world(tmp_path / "a.db", one=Line(Carrier(), {SENDER: None})) as there:
        await there.send(*everyone(5), text=LONG_TEXT)
        await there.until_states(DELIVERED=5)

        assert figures(there)[:4] == (5, 0, 5, 0)


@virtually
async def test_unknown_fate_is_no_fault_but_a_receipt_less(tmp_path: Path) -> None:
    carrier = Carrier()
    carrier.answer = lambda submission, part: Uncertain("no answer")
    async with world(tmp_path / "a.db", one=Line(carrier, {SENDER: None})) as there:
        await there.send(*everyone(5))
        await there.until_states(SENT=5)

        assert figures(there)[:4] == (5, 0, 5, 5)


def test_a_large_batch_is_looked_at_by_sample() -> None:
    for outcomes in (1, SAMPLE - 1, SAMPLE, 1_000, 100_000):
        step = Pulse.step(outcomes)
        assert outcomes / step <= SAMPLE
        assert step == 1 or outcomes / step >= SAMPLE / 2
