"""A lane of a sink: events in their order, in batches, one after the other."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import accumulate, chain, islice

from sendpool.domain.delivery import BATCH, BATCH_BYTES
from sendpool.pipeline.notify.tell import ToldEvent

#: Events that wait in a lane, and above which the sink reads no further.
ROOM = 1_000
#: Hands a batch over for good: returns when it was taken, or is kept as a run.
Deliver = Callable[[int, Sequence[ToldEvent]], Awaitable[None]]


class Lane:
    """Waiting events of one lane, and the batch that is on its way."""

    def __init__(self, number: int, deliver: Deliver, batch: int = BATCH) -> None:
        """*batch*: events of a request at most."""
        self._number = number
        self._deliver = deliver
        self._most = batch
        self._waiting: deque[ToldEvent] = deque()
        #: So many of them do not wait for others to go with.
        self._ripe = 0
        self._under_way: Sequence[ToldEvent] = ()
        self._goes = asyncio.Event()
        self._left = asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether nothing more may be put in."""
        return len(self._waiting) >= ROOM

    async def room(self) -> None:
        """Wait until more may be put in."""
        while self.full:
            self._left.clear()
            await self._left.wait()

    def put(self, events: Iterable[ToldEvent]) -> None:
        """Put events at the end; a full batch of them goes."""
        self._waiting.extend(events)
        if len(self._waiting) >= self._most:
            self._goes.set()

    def go(self) -> None:
        """Hand over what waits, full batch or not."""
        self._ripe = len(self._waiting)
        if self._ripe:
            self._goes.set()

    @property
    def oldest(self) -> int | None:
        """The position of the first event that was not taken yet; None: there is none."""
        if self._under_way:
            return self._under_way[0].position
        return self._waiting[0].position if self._waiting else None

    def first_since(self, at: int) -> int | None:
        """The position of the first event that happened then or later (microseconds since 1970)."""
        events = chain(self._under_way, self._waiting)
        return next((event.position for event in events if event.at >= at), None)

    def drop(self, last: int) -> None:
        """Forget what waits up to a position: it is kept as a run."""
        while self._waiting and self._waiting[0].position <= last:
            self._waiting.popleft()
        self._ripe = min(self._ripe, len(self._waiting))
        self._left.set()

    async def run(self) -> None:
        """Hand over what comes, for ever."""
        while True:
            while not self._ripe and len(self._waiting) < self._most:
                self._goes.clear()
                await self._goes.wait()
            self._under_way = self._take()
            self._left.set()
            await self._deliver(self._number, self._under_way)
            self._under_way = ()

    def _take(self) -> Sequence[ToldEvent]:
        batch = list(islice(self._waiting, self._most))
        ends = accumulate([len(event.body) for event in batch])
        fits = max(1, bisect_right(list(ends), BATCH_BYTES))
        for _ in range(min(fits, len(batch))):
            self._waiting.popleft()
        self._ripe = max(0, self._ripe - fits)
        return batch[:fits]
