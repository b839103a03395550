"""Where the rows that are due later begin, on a database that keeps what has gone in the way (PostgreSQL).

They leave in the order of their times, so that none of more than some seconds ago is left, but for what came in late
or was left to another transaction. A look from the very first one, beside the writer, finds it: a row may be found
late, and none is missed (docs/adr/0019).
"""

from __future__ import annotations

from sendpool.pipeline.clock import Clock
from sendpool.store.database import Database
from sendpool.store.queue import EVER, next_due

#: Microseconds for which what is due is looked for where it was, though it seems to be gone.
LATE = 5_000_000
#: Seconds between two looks from the very first row, and what the pause is at least, in terms of what a look took.
EVERY, PAUSE = 1.0, 20


class DueMark:
    """The mark of one process. Lives on the event loop."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        #: Rows are looked for from this time on (microseconds since 1970).
        self.first = EVER
        self._look_at = clock.monotonic()

    async def next(self) -> int | None:
        """When the earliest row becomes due, or None; moves the mark on."""
        began = self._clock.monotonic()
        looks = began >= self._look_at
        due = await self._database.read(next_due(EVER if looks else self.first), one=True)
        if not self._database.shared:
            return due
        if looks:
            ended = self._clock.monotonic()
            self._look_at = ended + max(EVERY, PAUSE * (ended - began))
        now = self._clock.wall()
        self.first = min(now if due is None else due, now) - LATE
        return due
