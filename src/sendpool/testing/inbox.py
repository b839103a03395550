"""An `Inbox` that keeps all it is told, and can be slow or fail, as a database would."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from sendpool.connectors.base import AttemptKey, Heard, Inbound, OptedOut, Outcome, Receipt, Uncertain


class Link(NamedTuple):
    """What a connector said about its link."""

    up: bool
    window: int
    detail: str


class NotStored(Exception):
    """The recording inbox was asked to fail."""


class RecordingInbox:
    """Records outcomes, receipts, inbound texts and link changes in the order they came."""

    def __init__(self) -> None:
        self.outcome_list: list[tuple[AttemptKey, int, Outcome]] = []
        #: Receipts whose storing has resolved; `offered` also has those that wait or failed.
        self.stored: list[Receipt] = []
        self.offered: list[Receipt] = []
        self.texts: list[Inbound] = []
        self.offered_texts: list[Inbound] = []
        self.opt_outs: list[OptedOut] = []
        self.heard_list: list[Heard] = []
        self.links: list[Link] = []
        self.paces: list[float] = []
        #: Storing fails so many times before it works again.
        self.failures = 0
        self._stores = asyncio.Event()
        self._stores.set()
        self._changed = asyncio.Event()

    def outcomes(self, items: Sequence[tuple[AttemptKey, int, Outcome]]) -> None:
        """Record outcomes."""
        self.outcome_list += items
        self._changed.set()

    async def receipts(self, items: Sequence[Receipt]) -> None:
        """Record receipts; resolves when `resume` allows it. Raises `NotStored` while `failures` are left."""
        self.offered += items
        await self._store()
        self.stored += items
        self._changed.set()

    async def inbound(self, items: Sequence[Inbound]) -> None:
        """Record inbound texts, as `receipts` does."""
        self.offered_texts += items
        await self._store()
        self.texts += items
        self._changed.set()

    async def opted_out(self, items: Sequence[OptedOut]) -> None:
        """Record who has opted out, as `receipts` does."""
        await self._store()
        self.opt_outs += items
        self._changed.set()

    async def heard(self, items: Sequence[Heard]) -> None:
        """Record whom the carrier told of."""
        self.heard_list += items
        self._changed.set()

    def pace(self, share: float) -> None:
        """Record how fast to go on."""
        self.paces.append(share)
        self._changed.set()

    def link(self, *, up: bool, window: int, detail: str = "") -> None:
        """Record a change of the link."""
        self.links.append(Link(up, window, detail))
        self._changed.set()

    def hold(self) -> None:
        """From now on nothing is stored; it waits for `resume`."""
        self._stores.clear()

    def resume(self) -> None:
        """Store what waits, and again at once what comes."""
        self._stores.set()

    @property
    def is_up(self) -> bool:
        """Whether the connector called its link up, last time it said something."""
        return bool(self.links) and self.links[-1].up

    @property
    def window(self) -> int:
        """Segments that may be in flight by the connector's last word."""
        return self.links[-1].window if self.links else 0

    def outcomes_of(self, attempt: AttemptKey, part: int = 1) -> list[Outcome]:
        """Every outcome of one part, in order."""
        return [outcome for key, n, outcome in self.outcome_list if (key, n) == (attempt, part)]

    def final_counts(self) -> Counter[tuple[AttemptKey, int]]:
        """How many outcomes each part has; an `Uncertain` that a later one settled is not counted."""
        last_certain = {(key, part) for key, part, outcome in self.outcome_list if not isinstance(outcome, Uncertain)}
        return Counter(
            (key, part)
            for key, part, outcome in self.outcome_list
            if not (isinstance(outcome, Uncertain) and (key, part) in last_certain)
        )

    async def wait_for(self, condition: Callable[[RecordingInbox], bool], within: float = 5.0) -> None:
        """Wait until *condition* holds; it is asked again after each thing recorded.

        Raises:
            TimeoutError: if it does not hold within *within* seconds.
        """
        async with asyncio.timeout(within):
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()

    async def _store(self) -> None:
        self._changed.set()
        await self._stores.wait()
        if self.failures > 0:
            self.failures -= 1
            raise NotStored("asked to fail")
