"""Batches whose time to leave has not come: handed over by timers, or taken back when the server is to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from sendpool.connectors.base import Submission
from sendpool.pipeline.links import Link

Batch = Sequence[Submission]


class Departures:
    """One timer per batch. Lives on the event loop."""

    def __init__(self, leave: Callable[[Link, Batch], None]) -> None:
        self._leave = leave
        self._waiting: dict[int, tuple[asyncio.TimerHandle, Link, Batch]] = {}
        self._number = 0

    def later(self, seconds: float, link: Link, batch: Batch) -> None:
        """Hand over a batch after so many seconds."""
        self._number += 1
        timer = asyncio.get_running_loop().call_later(seconds, self._depart, self._number)
        self._waiting[self._number] = (timer, link, batch)

    def recall(self, link: Link | None = None) -> list[tuple[Link, Batch]]:
        """Take back everything that has not left; with *link*, what was to leave by it."""
        taken = [key for key, waiting in self._waiting.items() if link is None or waiting[1] is link]
        found = []
        for key in taken:
            timer, by, batch = self._waiting.pop(key)
            timer.cancel()
            found.append((by, batch))
        return found

    def _depart(self, number: int) -> None:
        _, link, batch = self._waiting.pop(number)
        self._leave(link, batch)
