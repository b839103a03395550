"""Codes of carriers on their way into the table: counted per batch, told once, bounded."""

from __future__ import annotations

from pathlib import Path

from tests.pipeline.carriers import Carrier, refused
from tests.pipeline.worlds import Line, everyone, virtually, world

from sendpool.connectors.base import ReceiptState
from sendpool.metrics import Metrics
from sendpool.pipeline.codes import LONGEST, MOST, OTHER, CodeBook
from sendpool.store.codes import Code, list_codes

SENDER = "+12034458910"


@virtually
async def test_an_unknown_code_acts_once_as_transient_elsewhere_and_is_listed(tmp_path: Path) -> None:
    one, two = Carrier(), Carrier()
    one.answer = lambda submission, part: refused("0x4ff")
    lines = {"one": Line(one, {SENDER: None}), "two": Line(two, {"+12034458911": 1.0})}
    async with world(tmp_path / "a.db", **lines) as there:
        await there.send(*everyone(8))
        await there.until_states(DELIVERED=8)
        taken = len(one.sent)
        assert len({sent.submission.attempt.message_id for sent in one.sent}) == taken  # Never twice the same.

        (seen,) = await there.store.read(list_codes(unclassified=True))
        assert (seen.code.place, seen.code.code, seen.code.rule, seen.times) == ("submit", "0x4ff", "smpp/?", taken)
        shown = there.engine.metrics.render().decode()
        assert 'sendpool_unclassified_codes_total{connection="one",place="submit"} 1.0' in shown


@virtually
async def test_a_restart_knows_what_was_told(tmp_path: Path) -> None:
    carrier = Carrier()
    carrier.answer = lambda submission, part: refused("0x4ff")
    async with world(tmp_path / "a.db", one=Line(carrier, {SENDER: None})) as there:
        await there.send(*everyone(1))
        await there.until_states(FAILED=1)
        copied = await there.copy(tmp_path / "b.db")
    again = Carrier()
    again.answer = carrier.answer
    async with world(copied, one=Line(again, {SENDER: None})) as there:
        await there.send(*everyone(1))
        await there.until_states(FAILED=2)

        assert "sendpool_unclassified_codes_total{" not in there.engine.metrics.render().decode()


@virtually
async def test_codes_of_receipts_are_counted_too(tmp_path: Path) -> None:
    carrier = Carrier()
    carrier.report = lambda submission, part: (ReceiptState.UNDELIVERED,)
    async with world(tmp_path / "a.db", one=Line(carrier, {SENDER: None})) as there:
        await there.send(*everyone(3))
        await there.until_states(UNDELIVERED=3)

        (seen,) = await there.store.read(list_codes())
        assert (seen.code.place, seen.code.code, seen.code.failure, seen.times) == (
            "receipt",
            "UNDELIV",
            "RECIPIENT",
            3,
        )


def code(text: str, rule: str = "smpp/?") -> Code:
    return Code(1, "submit", text, "TRANSIENT", rule)


def test_alarm_is_raised_once_for_each_unknown_code_also_over_a_restart() -> None:
    metrics = Metrics()
    book = CodeBook(metrics, lambda _: "one")
    book.load([(1, "submit", "known before")])
    for _ in range(3):
        book.note({code("a"): 2, code("b"): 1, code("known before"): 1, code("0x0a", "smpp/0x0a"): 1})

    assert 'sendpool_unclassified_codes_total{connection="one",place="submit"} 2.0' in metrics.render().decode()


def test_codes_without_end_are_counted_together() -> None:
    book = CodeBook(Metrics(), lambda _: "one")
    noted = book.note({code(f"{n}"): 1 for n in range(MOST + 10)})

    assert len(noted) == MOST + 1
    assert noted[code(OTHER)] == 10


def test_only_the_beginning_of_a_long_code_is_kept() -> None:
    (kept,) = CodeBook(Metrics(), lambda _: "one").note({code("0" * 1000): 1})

    assert kept.code == "0" * LONGEST
