"""Begun: attempts that were begun and have no result. Their journal (`store.begun`) is kept short, and what a crash
leaves behind is rescued by it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sendpool.domain import ids
from sendpool.domain.failures import FailureClass
from sendpool.domain.states import AttemptState
from sendpool.failpoints import reach
from sendpool.pipeline.clock import Clock
from sendpool.pipeline.settle import Changes, Result, settle_results
from sendpool.store.begun import BegunAttempt, forget_entries, newest_entry, next_entries, started_attempts
from sendpool.store.database import Database, Script
from sendpool.store.receipts import WHOLE, insert_segments

#: Seconds between two looks, and what the pause is at least, in terms of what a look took.
EVERY, PAUSE = 1.0, 20
#: Attempts that one commit rescues.
AT_ONCE = 1_000
CRASHED = "crash"
#: (type of connection, public id of an attempt) to the carrier's id, or "".
Name = Callable[[str, str], str]


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


def rescue(changes: Changes, name: Name, connections: Sequence[int] | None = None, before: int = 0) -> Script[int]:
    """Attempts begun before a crash and without a result: their bytes may have left, so they are AMBIGUOUS.

    With *connections*, only theirs, begun by earlier owners than that of epoch *before*.

    *name* gives the carrier ids of those that we have named, by type of connection and public id: their receipts are
    still to find them.
    """
    begun = yield from started_attempts(AT_ONCE, connections, before)
    doubt = (AttemptState.AMBIGUOUS, FailureClass.AMBIGUOUS, CRASHED)
    named = [(one, name(one.kind, _public_id(one))) for one in begun]
    yield from insert_segments([(one.connection_id, key, one.message_id, one.n, WHOLE) for one, key in named if key])
    yield from settle_results([Result(one.message_id, one.n, *doubt, carrier_id=key) for one, key in named], changes)
    if begun:
        reach("rescue.applied")
    return len(begun)


def _public_id(begun: BegunAttempt) -> str:
    return ids.attempt_id(bytes.fromhex(begun.uid), begun.message_id - begun.operation_id, begun.n)
