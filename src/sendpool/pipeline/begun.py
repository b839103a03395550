"""Begun: keeps the journal of attempts without a result short (`store.begun`)."""

from __future__ import annotations

from collections.abc import Sequence

from sendpool.pipeline.clock import Clock
from sendpool.pipeline.settle import Changes
from sendpool.store.begun import forget_entries, newest_entry, next_entries
from sendpool.store.database import Database, Script

#: Seconds between two looks, and what the pause is at least, in terms of what a look took.
EVERY, PAUSE = 1.0, 20


class BegunKeeper:
    """Looks for rows that are over, beside the writer. A row that a look finds is a look old: its attempts have their
    results by then as a rule, so that each is looked at once.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        #: The newest row at the last look, and when to look again.
        self._newest = 0
        self._next_at = clock.monotonic()

    async def over(self) -> list[int]:
        """Rows that may be forgotten; none until it is time for another look."""
        began = self._clock.monotonic()
        if began < self._next_at:
            return []
        upto, self._newest = self._newest, await self._database.read(newest_entry(), one=True)
        found: list[int] = []
        after = 0
        while after < upto:
            over, after = await self._database.read(next_entries(after, upto))
            found += over
        ended = self._clock.monotonic()
        self._next_at = ended + max(EVERY, PAUSE * (ended - began))
        return found


def forget(changes: Changes, entries: Sequence[int]) -> Script[None]:
    """Rows that are over go."""
    yield from forget_entries(entries)
