"""Where queues begin, on a database that keeps what was claimed in the way (PostgreSQL): a mark for each, in memory.

Claims move the marks on; what comes in below is noted, told by other processes, or found by a look beside the claims,
about once a second: the net below both. Where what is gone lies thick, a look takes long and comes the more rarely.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter

from sendpool.domain.low_water import BOTTOM, MOST_STRAYS, LowWater, Passed, Place
from sendpool.store.database import Database
from sendpool.store.queue import QueueRow, rows_below

#: Seconds between looks below the marks; and the pause after one, at least, in terms of what it took.
EVERY, PAUSE = 1.0, 20


class Heads:
    """The marks of one process. Where it is not `on`, nothing that is gone lies in the way, and there are none."""

    def __init__(self) -> None:
        self.on = False
        #: Something may be below a mark that nobody has named: look soon.
        self.wanted = False
        self._marks: dict[int, LowWater] = {}
        #: Ranks of the first rows that were seen in queues whose head this process only looks at.
        self._seen: dict[int, int] = {}
        self._turned_at = self._next_at = 0.0

    def of(self, queue_id: int) -> LowWater | None:
        """The mark of a queue that is claimed from."""
        return self._marks.setdefault(queue_id, LowWater()) if self.on else None

    def entered(self, rows: Sequence[QueueRow]) -> None:
        """The transaction under way puts these rows into queues; it may be undone."""
        if not self._marks:
            return
        for queue_id, some in groupby(rows, itemgetter(0)):
            mark = self._marks.get(queue_id)
            if mark is not None:
                mark.entered([(row[1], row[2]) for row in some])

    def entered_from(self, queue_ids: Iterable[int], rank: int) -> None:
        """The same of rows of this rank and higher ones."""
        for mark in filter(None, map(self._marks.get, queue_ids)):
            mark.lower(rank)

    def told(self, queue_id: int, rank: int | None) -> None:
        """Another process has put rows of this rank or higher ones into a queue; None: it does not say of which."""
        mark = self._marks.get(queue_id)
        if mark is not None and (rank is None or not mark.told(rank)):
            self.wanted = True

    def committed(self, passed: Iterable[tuple[int, Passed | None]]) -> None:
        """Claims from these queues are durable."""
        for queue_id, how_far in passed:
            mark = self._marks.get(queue_id)
            if mark is not None:
                mark.committed(how_far)

    def first_of(self, queue_id: int) -> int:
        """The lowest rank at which a queue is thought to have a row."""
        mark = self._marks.get(queue_id)
        return BOTTOM if mark is None else mark.first

    def first(self) -> Mapping[int, int]:
        """The same of every queue that is claimed from here."""
        return {queue_id: mark.first for queue_id, mark in self._marks.items()}

    def seen(self) -> Mapping[int, int]:
        """The same, with what was seen of the others: enough for whoever wants to know how far a pool has come."""
        return {**self._seen, **self.first()}

    def saw(self, ranks: Mapping[int, int]) -> None:
        """The first rows of queues were seen at these ranks."""
        if self.on:
            self._seen.update(ranks)

    def forget(self, queue_ids: Iterable[int]) -> None:
        """These queues are no more."""
        for queue_id in queue_ids:
            self._marks.pop(queue_id, None)
            self._seen.pop(queue_id, None)

    async def look(self, database: Database, clock: Callable[[], float]) -> Mapping[int, Sequence[Place]]:
        """Look below the marks, where it is time. Brings what was found there, by queue; it is in reach from now on."""
        began = clock()
        if began - self._turned_at >= EVERY:
            self._turned_at, self.wanted = began, True
            for mark in self._marks.values():
                mark.turn()
        marks = [(queue_id, mark.rank) for queue_id, mark in self._marks.items() if mark.rank > BOTTOM]
        if not (marks and self.wanted and began >= self._next_at):
            return {}
        self.wanted = False
        found = await database.read(rows_below(marks, MOST_STRAYS + 1), one=True)
        self._next_at = clock() + PAUSE * (clock() - began)
        for queue_id, places in found.items():
            if queue_id in self._marks:
                self._marks[queue_id].seen_below(places, more=len(places) > MOST_STRAYS)
        return found
