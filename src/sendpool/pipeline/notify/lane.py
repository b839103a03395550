"""A lane of a sink: events in their order, in batches, one after the other."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import accumulate, chain, islice

from sendpool.domain.delivery import BATCH, BATCH_BYTES, LINGER
from sendpool.pipeline.notify.tell import ToldEvent

#: Events that wait in a lane, and above which the sink reads no further.
ROOM = 1_000
#: Hands a batch over for good: returns when it was taken, or is kept as a run.
Deliver = Callable[[int, Sequence[ToldEvent]], Awaitable[None]]


class Lane:
    """Waiting events of one lane, and the batch that is on its way."""

    def __init__(self, number: int, deliver: Deliver, clock: Callable[[], float], batch: int = BATCH) -> None:
        """*batch*: events of a request at most."""
        self._number = number
        self._deliver = deliver
        self._clock = clock
        self._most = batch
        self._waiting: deque[ToldEvent] = deque()
        self._under_way: Sequence[ToldEvent] = ()
        self._came = asyncio.Event()
        self._left = asyncio.Event()
        self._last_at = -LINGER

    async def room(self) -> None:
        """Wait until more may be put in."""
        while len(self._waiting) >= ROOM:
            self._left.clear()
            await self._left.wait()

    def put(self, events: Iterable[ToldEvent]) -> None:
        """Put events at the end."""
        self._waiting.extend(events)
        self._came.set()

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
        self._left.set()

    async def run(self) -> None:
        """Hand over what comes, for ever."""
        while True:
            await self._gather()
            if not self._waiting:
                continue
            self._under_way = self._take()
            self._left.set()
            await self._deliver(self._number, self._under_way)
            self._under_way = ()
            self._last_at = self._clock()

    async def _gather(self) -> None:
        """Wait for a full batch, or until the last one is long enough ago: a quiet lane hands over at once."""
        while not self._waiting:
            self._came.clear()
            await self._came.wait()
        left = self._last_at + LINGER - self._clock()
        while left > 0 and 0 < len(self._waiting) < self._most:
            self._came.clear()
            try:
                async with asyncio.timeout(left):
                    await self._came.wait()
            except TimeoutError:
                return
            left = self._last_at + LINGER - self._clock()

    def _take(self) -> Sequence[ToldEvent]:
        batch = list(islice(self._waiting, self._most))
        ends = accumulate([len(event.body) for event in batch])
        fits = max(1, bisect_right(list(ends), BATCH_BYTES))
        for _ in range(min(fits, len(batch))):
            self._waiting.popleft()
        return batch[:fits]
