"""Base of connectors whose carrier takes one message a request."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Sequence
from typing import cast

import structlog

from sendpool.connectors.base import AttemptKey, CarrierId, Inbox, Outcome, Submission, Unavailable, Uncertain

log = structlog.get_logger(__name__)


class OneByOne(ABC):
    """Turns `send` into `submit`.

    At most *window* calls of `send` run at a time; the others wait in order. Outcomes of one turn of the event loop
    go to the inbox together. A carrier of this kind takes a message whole, so each wanted part has the same outcome.
    """

    def __init__(self, window: int) -> None:
        """*window*: how many messages may be unanswered."""
        self._window = window
        self._inbox: Inbox | None = None
        self._link: tuple[bool, str] = (False, "not connected yet")
        self._closing = False
        self._waiting: deque[Submission] = deque()
        self._lanes: set[asyncio.Task[None]] = set()
        self._answers: list[tuple[AttemptKey, int, Outcome]] = []

    @abstractmethod
    async def send(self, submission: Submission) -> Outcome:
        """Hand one message to the carrier and say what became of it; bounded by the connector's response timer.

        Must not repeat what may have arrived, unless the carrier drops repeats. What it raises counts as `Uncertain`.
        """

    @property
    def is_up(self) -> bool:
        """Whether messages may leave."""
        return self._link[0]

    async def submit(self, batch: Sequence[Submission]) -> None:
        """Start as many as the window allows and queue the others; outcomes come to the inbox."""
        up, detail = self._link
        if not up:
            self._answer(batch, Unavailable(detail))
            return
        self._waiting.extend(batch)
        loop = asyncio.get_running_loop()
        for _ in range(min(self._window - len(self._lanes), len(self._waiting))):
            self._lanes.add(loop.create_task(self._work_off()))

    def say_link(self, *, up: bool, detail: str) -> None:
        """Tell the inbox about the link, once per change. What waits when it goes down has never left us."""
        if self._link == (up, detail) or (self._closing and up):
            return
        self._link = (up, detail)
        if not up:
            self._answer(self._waiting, Unavailable(detail))
            self._waiting.clear()
        if self._inbox is not None:
            self._inbox.link(up=up, window=self._window if up else 0, detail=detail)

    def outcome(self, attempt: AttemptKey, part: int, outcome: Outcome) -> None:
        """Say what became of a part, with all others of this turn of the loop."""
        if not self._answers:
            asyncio.get_running_loop().call_soon(self._say_outcomes)
        self._answers.append((attempt, part, outcome))

    async def finish(self, patience: float) -> None:
        """Send nothing more, and wait up to *patience* seconds for what is on its way; the rest is `Uncertain`."""
        self._closing = True
        self.say_link(up=False, detail="closed")
        if self._lanes:
            _, late = await asyncio.wait(self._lanes, timeout=patience)
            for lane in late:
                lane.cancel()
            await asyncio.gather(*late)
        self._say_outcomes()

    async def _work_off(self) -> None:
        try:
            while self._waiting:
                submission = self._waiting.popleft()
                self._answer((submission,), await self._outcome_of(submission))
        finally:
            # Not by a done callback, which runs later: a batch that came in between would wait for a lane that is gone.
            self._lanes.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _outcome_of(self, submission: Submission) -> Outcome:
        try:
            return await self.send(submission)
        except asyncio.CancelledError:
            return Uncertain("no answer before the connection was closed")
        except Exception as error:  # a fault of ours must not lose the message's outcome
            log.exception("connector.fault", error=type(error).__name__)
            return Uncertain(f"{type(error).__name__} in the connector")

    def _answer(self, submissions: Iterable[Submission], outcome: Outcome) -> None:
        for submission in submissions:
            if submission.segments > 1 and isinstance(outcome, CarrierId):
                outcome = outcome._replace(whole=True)
            for part in range(1, submission.segments + 1):
                if submission.parts >> part - 1 & 1:
                    self.outcome(submission.attempt, part, outcome)

    def _say_outcomes(self) -> None:
        answers, self._answers = self._answers, []
        if answers and self._inbox is not None:
            self._inbox.outcomes(answers)
