"""A connector without a carrier: it takes every message and reports it delivered, unless the recipient is magic.

Answers come one turn of the event loop after the submit and receipts a little later, as they would from a
carrier. It keeps what it owes in memory: a crash forgets it, `close` hands it over at once.
"""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Iterator, Sequence

from sendpool.connectors.base import (
    AttemptKey,
    CarrierId,
    ConnectionSettings,
    Inbox,
    Outcome,
    Receipt,
    Rejected,
    Submission,
    Throttled,
    Unavailable,
    Uncertain,
)
from sendpool.connectors.sandbox.magic import Answer, Treatment, When, treatment
from sendpool.connectors.sandbox.timetable import Timetable
from sendpool.domain.failures import classify

#: Segments that may be in flight, where the connection names no `window`.
DEFAULT_WINDOW = 1000
#: Seconds from a submit to its receipt, where the connection names no `delay`.
DEFAULT_DELAY = 0.2
#: The longest `delay` that `check` lets through: recipients that are not magic are delivered within a second.
LONGEST_DELAY = 0.9
#: Messages whose first sight is remembered (magic recipient 0006).
REMEMBERED = 10_000
#: Seconds until receipts that could not be stored are reported again.
REPEAT_AFTER = 1.0
#: Seconds that a throttle answer asks to wait.
RETRY_AFTER = 0.5

Answered = tuple[AttemptKey, int, Outcome]


class SandboxConnector:
    """Every channel, no carrier. See the README for the magic recipients.

    Options of its connection: `delay`, seconds from a submit to its receipt (default 0.2, at most 0.9).
    """

    def __init__(self, settings: ConnectionSettings) -> None:
        self._window = settings.window or DEFAULT_WINDOW
        self._delay = float(settings.options.get("delay", DEFAULT_DELAY))
        self._inbox: Inbox | None = None
        self._open = False
        self._answers: list[Answered] = []
        self._timetable: Timetable[Answered | Receipt] = Timetable()
        self._alarm: asyncio.TimerHandle | None = None
        self._reports: set[asyncio.Task[None]] = set()
        self._seen: dict[int, None] = {}
        # Carrier ids must differ from those of an earlier run: stored messages still carry them.
        self._run = secrets.token_hex(6)
        self._taken = 0

    @classmethod
    def check(cls, settings: ConnectionSettings) -> None:
        """Check the options of *settings*. Raises `ValueError` that begins with the key."""
        for name in sorted(settings.options.keys() - {"delay"}):
            raise ValueError(f"key '{name}': not a setting here; known are delay")
        delay = settings.options.get("delay", DEFAULT_DELAY)
        if isinstance(delay, bool) or not isinstance(delay, int | float) or not 0 <= delay <= LONGEST_DELAY:
            raise ValueError(f"key 'delay': expected seconds from 0 to {LONGEST_DELAY}, got {delay!r}")

    async def open(self, inbox: Inbox) -> None:
        """Be up at once."""
        self._inbox, self._open = inbox, True
        inbox.link(up=True, window=self._window, detail="the sandbox is always there")

    async def submit(self, batch: Sequence[Submission]) -> None:
        """Decide what becomes of each part; the answers come on the next turn of the loop. Never raises."""
        loop = asyncio.get_running_loop()
        if not self._answers:
            loop.call_soon(self._answer)
        if not self._open:
            closed = Unavailable("the sandbox connection is closed")
            self._answers += [(s.attempt, part, closed) for s in batch for part in _parts(s)]
            return
        now = loop.time()
        for submission in batch:
            self._treat(submission, self._treatment(submission), now)

    async def close(self) -> None:
        """Hand over every answer and receipt still owed, the late ones early rather than never."""
        self._open = False
        self._answer()
        self._say(self._timetable.take(math.inf))
        while self._reports:
            await asyncio.wait(self._reports)
        self._set_alarm()
        if self._inbox is not None:
            self._inbox.link(up=False, window=0, detail="closed")

    def _treatment(self, submission: Submission) -> Treatment:
        chosen = treatment(submission.recipient, submission.channel)
        if chosen.when is When.ALWAYS:
            return chosen
        if chosen.when is When.FIRST_ATTEMPT:
            holds = submission.attempt.n == 1
        else:
            holds = self._first_sight(submission.attempt.message_id)
        return chosen if holds else Treatment()

    def _first_sight(self, message_id: int) -> bool:
        if message_id in self._seen:
            return False
        self._seen[message_id] = None
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return True

    def _treat(self, submission: Submission, chosen: Treatment, now: float) -> None:
        refusal = _refusal(chosen)
        if refusal is not None:
            self._answers += [(submission.attempt, part, refusal) for part in _parts(submission)]
        if chosen.answer not in (Answer.TAKEN, Answer.UNCERTAIN) or chosen.answered_after is None:
            return
        for part in _parts(submission):
            self._take(submission.attempt, part, chosen, now)

    def _take(self, attempt: AttemptKey, part: int, chosen: Treatment, now: float) -> None:
        """Give one part a carrier id, now or after a while, and put its receipts down."""
        self._taken += 1
        carrier_id = f"{self._run}-{self._taken:x}"
        answered: Answered = (attempt, part, CarrierId(carrier_id))
        after = chosen.answered_after or 0.0
        if after:
            self._owe(now + after, answered)
        else:
            self._answers.append(answered)
        for word in chosen.words:
            found = classify("sandbox", word.code) if word.code else None
            at = now if word.early else now + after + self._delay + word.after
            failure, rule = (found.failure, found.rule) if found else (None, "")
            self._owe(at, Receipt(carrier_id, word.state, failure, word.code, rule))

    def _answer(self) -> None:
        answers, self._answers = self._answers, []
        if answers and self._inbox is not None:
            self._inbox.outcomes(answers)

    def _owe(self, at: float, due: Answered | Receipt) -> None:
        if self._timetable.add(at, due):
            self._set_alarm()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        next_at = self._timetable.next_at()
        self._alarm = None if next_at is None else asyncio.get_running_loop().call_at(next_at, self._ring)

    def _ring(self) -> None:
        self._say(self._timetable.take(asyncio.get_running_loop().time()))
        self._set_alarm()

    def _say(self, due: Sequence[Answered | Receipt]) -> None:
        if self._inbox is None or not due:
            return
        receipts = [item for item in due if isinstance(item, Receipt)]
        answers = [item for item in due if not isinstance(item, Receipt)]
        if answers:
            self._inbox.outcomes(answers)
        if receipts:
            report = asyncio.get_running_loop().create_task(self._report(self._inbox, receipts))
            self._reports.add(report)
            report.add_done_callback(self._reports.discard)

    async def _report(self, inbox: Inbox, receipts: Sequence[Receipt]) -> None:
        try:
            await inbox.receipts(receipts)
        except Exception:  # noqa: BLE001  # whatever the store raises, it means "not stored"
            # What was not stored is said again, as a carrier repeats what was not acknowledged.
            if self._open:
                at = asyncio.get_running_loop().time() + REPEAT_AFTER
                for receipt in receipts:
                    self._owe(at, receipt)


def _refusal(chosen: Treatment) -> Outcome | None:
    """The answer that is not a carrier id, or None when the submit is taken."""
    if chosen.answer is Answer.REFUSED:
        found = classify("sandbox", chosen.code)
        return Rejected(found.failure, chosen.code, found.scope, found.rule)
    if chosen.answer is Answer.THROTTLED:
        return Throttled("sender", RETRY_AFTER, chosen.code)
    if chosen.answer is Answer.UNCERTAIN:
        return Uncertain("the sandbox was asked to keep silent")
    return None


def _parts(submission: Submission) -> Iterator[int]:
    """The parts that are wanted, from 1."""
    wanted = submission.parts
    return (part for part in range(1, submission.segments + 1) if wanted >> (part - 1) & 1)
