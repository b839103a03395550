"""What the sandbox still owes, by the moment at which it is due; it reads no clock."""

from __future__ import annotations

import heapq
import math
from typing import Generic, TypeVar

T = TypeVar("T")

#: Seconds that share one wake-up: at 10,000 messages a second, 200 receipts are then handed over together.
TICK = 0.02


class Timetable(Generic[T]):
    """Items by due time, in ticks: one wake-up serves all of a tick, however many there are."""

    def __init__(self) -> None:
        self._items: dict[int, list[T]] = {}
        self._ticks: list[int] = []

    def add(self, at: float, item: T) -> bool:
        """Put *item* down for *at* (seconds). True: it is now the first to be due, so wake up earlier."""
        tick = math.ceil(at / TICK)
        items = self._items.get(tick)
        if items is not None:
            items.append(item)
            return False
        self._items[tick] = [item]
        heapq.heappush(self._ticks, tick)
        return self._ticks[0] == tick

    def next_at(self) -> float | None:
        """When the next item is due (seconds), or None when nothing is owed."""
        return self._ticks[0] * TICK if self._ticks else None

    def take(self, now: float) -> list[T]:
        """Remove and return what is due at *now*, in the order of ticks; pass `math.inf` for everything."""
        due: list[T] = []
        # Half a tick of tolerance: an alarm may ring a rounding error before the moment it was set for.
        while self._ticks and self._ticks[0] * TICK <= now + TICK / 2:
            due += self._items.pop(heapq.heappop(self._ticks))
        return due
