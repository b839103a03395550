"""Carriers that do what a test tells them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from sendpool.connectors.base import CarrierId, Inbox, Outcome, Receipt, ReceiptState, Rejected, Submission
from sendpool.domain.failures import classify


class Sent(NamedTuple):
    """A submission and when it was handed over, in virtual seconds."""

    at: float
    submission: Submission

    @property
    def key(self) -> tuple[int, int]:
        return self.submission.attempt.message_id, self.submission.attempt.n


Answer = Callable[[Submission, int], Outcome | None]
Report = Callable[[Submission, int], Sequence[ReceiptState]]


def refused(code: str) -> Rejected:
    """A refusal with an SMPP command_status, as the SMPP connector would report it."""
    found = classify("smpp", code)
    return Rejected(found.failure, code, found.scope, found.rule)


class Carrier:
    """A connector whose answers and receipts are a test's to choose. By default it takes and delivers everything."""

    def __init__(self, *, window: int = 1000, answer_after: float = 0.02, report_after: float = 0.1) -> None:
        self.window = window
        self.answer_after = answer_after
        self.report_after = report_after
        #: None: no answer at all.
        self.answer: Answer = lambda submission, part: CarrierId(self.name_of(submission, part))
        self.report: Report = lambda submission, part: (ReceiptState.DELIVERED,)
        self.sent: list[Sent] = []
        self.inbox: Inbox | None = None
        self.up = True
        self._closed = False
        #: Batches that wait for their answer.
        self._owed = 0
        self._reports: set[asyncio.Task[None]] = set()

    @staticmethod
    def name_of(submission: Submission, part: int) -> str:
        """The id that this carrier gives a part."""
        return f"{submission.attempt.message_id}.{submission.attempt.n}.{part}"

    async def open(self, inbox: Inbox) -> None:
        """Be up at once, unless told otherwise."""
        self.inbox = inbox
        self.link(up=self.up)

    def link(self, *, up: bool) -> None:
        """Bring the link up or down."""
        self.up = up
        assert self.inbox is not None
        self.inbox.link(up=up, window=self.window if up else 0, detail="as the test says")

    async def submit(self, batch: Sequence[Submission]) -> None:
        """Take note; the answers come after a while."""
        loop = asyncio.get_running_loop()
        self.sent += [Sent(loop.time(), submission) for submission in batch]
        self._owed += 1
        loop.call_later(self.answer_after, self._answer_all, batch)

    async def close(self) -> None:
        """Answer what was submitted, say everything that is owed, then be down."""
        while self._owed:
            await asyncio.sleep(0.01)
        self._closed = True
        while self._reports:
            await asyncio.wait(self._reports)
        self.link(up=False)

    def hush(self) -> None:
        """Owe nobody anything any more."""
        for task in self._reports:
            task.cancel()

    def _answer_all(self, batch: Sequence[Submission]) -> None:
        self._owed -= 1
        self._answer(batch)

    def _answer(self, batch: Sequence[Submission]) -> None:
        assert self.inbox is not None
        answered = []
        taken = []
        for submission in batch:
            for part in range(1, submission.segments + 1):
                if not submission.parts >> part - 1 & 1:
                    continue
                outcome = self.answer(submission, part)
                if outcome is not None:
                    answered.append((submission.attempt, part, outcome))
                if isinstance(outcome, CarrierId):
                    taken.append((submission, part, outcome.id))
        if answered:
            self.inbox.outcomes(answered)
        if taken:
            asyncio.get_running_loop().call_later(self.report_after, self._report, taken)

    def _report(self, taken: Sequence[tuple[Submission, int, str]]) -> None:
        receipts = [receipt(name, state) for s, part, name in taken for state in self.report(s, part)]
        if receipts and not self._closed:
            self.say(receipts)

    def say(self, receipts: Sequence[Receipt]) -> None:
        """Send receipts; like a carrier, again and again until they are stored."""
        task = asyncio.get_running_loop().create_task(self._say(receipts))
        self._reports.add(task)
        task.add_done_callback(self._reports.discard)

    async def _say(self, receipts: Sequence[Receipt]) -> None:
        assert self.inbox is not None
        while True:
            try:
                return await self.inbox.receipts(receipts)
            except Exception:  # noqa: BLE001 - whatever it is, the carrier asks again
                await asyncio.sleep(0.5)

    def times(self, sender: str | None = None) -> list[float]:
        """When each segment left, of one sender or of all."""
        return [
            sent.at
            for sent in self.sent
            if sender in (None, sent.submission.sender)
            for _ in range(sent.submission.parts.bit_count())
        ]


def receipt(carrier_id: str, state: ReceiptState) -> Receipt:
    """A receipt, with what a carrier would say of a failure."""
    if state in (ReceiptState.UNDELIVERED, ReceiptState.EXPIRED, ReceiptState.REVOKED):
        stat = {ReceiptState.UNDELIVERED: "UNDELIV", ReceiptState.EXPIRED: "EXPIRED"}.get(state, "DELETED")
        found = classify("smpp.stat", stat)
        return Receipt(carrier_id, state, found.failure, stat, found.rule)
    return Receipt(carrier_id, state, None, "")
