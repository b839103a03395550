"""Expand: chunks of large operations become rows shortly before their turn, so that queues stay small.

Each operation has its own allowance: a global cap would let one dead carrier hold up every pool (design §2).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import partial

from sendpool.domain.fairness import PRIORITIES
from sendpool.domain.message import LETTER_CHANNEL, STEP_LETTER
from sendpool.pipeline.accept import Acceptance, Acceptor
from sendpool.pipeline.claim import Claimed
from sendpool.store.chunks import Expansion

#: Rows due of one operation under which its next chunk follows, at least.
ENOUGH_DUE = 2_000
#: Seconds of its pool's throughput that may be due instead, up to `MOST_DUE` rows.
SECONDS_DUE = 2.0
MOST_DUE = 20_000
#: Chunks in one commit: more, and a request that waits for it waits too long.
CHUNKS_A_COMMIT = 3


class Expanding:
    """An operation with chunks left, and how many of its rows are due."""

    def __init__(
        self, operation_id: int, pool_id: int, letters: Iterable[str], chunks: Iterable[tuple[int, int, int, int]]
    ) -> None:
        self.operation_id = operation_id
        self.pool_id = pool_id
        #: First letters of the plans in its chunks.
        self.letters = frozenset(letters)
        #: (first message, count, segments) in order.
        self.chunks: deque[tuple[int, int, int]] = deque()
        #: The same of those whose time has not come, by that time, earliest first.
        self.held: dict[int, list[tuple[int, int, int]]] = {}
        for first, count, cost, due in chunks:
            if due > 0:
                self.held.setdefault(due, []).append((first, count, cost))
            else:
                self.chunks.append((first, count, cost))
        self.due = 0
        #: Of its flow in the pool.
        self.weight = 1.0
        #: True: its time is over, so the rest becomes rows at once and ends.
        self.hurry = False
        #: True: what it says is refused, and somebody has to let it go on.
        self.paused = False


class Expander:
    """Decides which chunk is next. Lives on the event loop."""

    def __init__(self, acceptor: Acceptor) -> None:
        self._acceptor = acceptor
        self._operations: dict[int, Expanding] = {}

    def load(
        self,
        operation_id: int,
        pool_id: int,
        letters: str,
        chunks: Sequence[tuple[int, int, int, int]],
        priority: str = "normal",
    ) -> None:
        """Know an operation of an earlier run that has chunks left: (first message, count, segments, due)."""
        made = self._operations[operation_id] = Expanding(operation_id, pool_id, letters, chunks)
        made.weight = PRIORITIES[priority]

    def accepted(self, acceptance: Acceptance) -> None:
        """An operation was stored in chunks."""
        if acceptance.chunks:
            operation = acceptance.operation
            chunks = [
                (chunk.first_id, chunk.recipients, cost, chunk.due)
                for chunk, cost in zip(acceptance.chunks, acceptance.chunk_costs, strict=True)
            ]
            made = Expanding(operation.id, operation.pool_id, acceptance.letters, chunks)
            made.weight = PRIORITIES[operation.priority]
            self._operations[operation.id] = made

    def waiting_on(self, pool_id: int, letter: str) -> int:
        """Segments in chunks of a pool whose time has come, where messages may begin with the channel *letter*."""
        return sum(
            cost
            for operation in self._operations.values()
            if operation.pool_id == pool_id and letter in operation.letters
            for _, _, cost in operation.chunks
        )

    def next_release(self) -> int | None:
        """When the earliest chunks whose time has not come are due."""
        return min((min(one.held) for one in self._operations.values() if one.held), default=None)

    def held_until(self, now: int) -> list[tuple[int, int]]:
        """(operation, due) of chunks whose time has come: to be released, first in the store, then here."""
        return [(key, due) for key, one in self._operations.items() for due in one.held if due <= now]

    def release(self, keys: Iterable[tuple[int, int]]) -> None:
        """Let these chunks become rows as soon as it is their turn."""
        for operation_id, due in keys:
            operation = self._operations.get(operation_id)
            if operation is not None:
                operation.chunks += operation.held.pop(due, ())

    def next(self) -> list[Expansion]:
        """The chunks that the next commit should expand: those of the operation with the fewest rows due first."""
        found: list[Expansion] = []
        for operation in sorted(self._operations.values(), key=lambda one: one.due):
            if operation.paused and not operation.hurry:
                continue
            enough = self._enough(operation.pool_id) if operation.chunks else 0
            while operation.chunks and len(found) < CHUNKS_A_COMMIT and (operation.due < enough or operation.hurry):
                found.append(self._expansion(operation))
        return found

    def _enough(self, pool_id: int) -> float:
        roster = self._acceptor.roster
        mps = sum(sender.mps for channel in STEP_LETTER for sender, _ in roster.members(pool_id, channel))
        return min(max(ENOUGH_DUE, SECONDS_DUE * mps), MOST_DUE)

    def _expansion(self, operation: Expanding) -> Expansion:
        first, count, cost = operation.chunks.popleft()
        operation.due += count
        clock = self._acceptor.fair_clock(operation.pool_id)
        start, step = clock.admit(operation.operation_id, cost / count, count, operation.weight)
        key = (operation.operation_id, first, count, cost, start, step)
        common = {letter: self._acceptor.common_queue(operation.pool_id, letter) for letter in operation.letters}
        queues = {letter: queue for letter, queue in common.items() if queue is not None}
        if len(queues) == len(common):
            return Expansion(*key, queues)
        return Expansion(*key, {}, partial(self._acceptor.queue, operation.pool_id))

    def to_come(self, pool_id: int) -> dict[Hashable, float]:
        """Segments in chunks of a pool's operations, those whose time has not come included."""
        return {
            key: float(
                sum(cost for *_, cost in one.chunks) + sum(cost for held in one.held.values() for *_, cost in held)
            )
            for key, one in self._operations.items()
            if one.pool_id == pool_id
        }

    def waiting(self, pool_id: int) -> int:
        """Messages of a pool that are to be sent as soon as it is their turn, and are no rows yet."""
        return sum(count for one in self._operations.values() if one.pool_id == pool_id for _, count, _ in one.chunks)

    def expanded(self, expansion: Expansion, rows: int, queued: Mapping[int, int]) -> None:
        """A chunk became rows; *queued* says how many went where, if that hung on their addresses."""
        operation = self._operations.get(expansion.operation_id)
        if operation is not None:
            operation.due -= expansion.messages - rows
            if not operation.chunks and not operation.held:
                del self._operations[expansion.operation_id]
        for queue_id, number in queued.items():
            self._acceptor.book.add(queue_id, number)
        for queue_id in expansion.queues.values():
            # Which of them got rows is not worth a look: a claim that finds none says so.
            self._acceptor.book.add(queue_id, rows)

    def failed(self, expansions: Iterable[Expansion]) -> None:
        """The commit failed: their chunks are still to do."""
        for one in reversed(list(expansions)):
            operation = self._operations.get(one.operation_id)
            if operation is not None:
                operation.chunks.appendleft((one.first_id, one.messages, one.cost))
                operation.due -= one.messages

    def claimed(self, claimed: Claimed) -> None:
        """Rows were started: their operations may need the next chunk."""
        if self._operations:
            counts = Counter(started.row.operation_id for started in claimed.started)
            counts.update(row.operation_id for row in claimed.unsent)
            self.gone(counts)

    def gone(self, rows_of: Mapping[int, int]) -> None:
        """So many rows of these operations are due no more."""
        for operation_id, rows in rows_of.items():
            if operation_id in self._operations:
                self._operations[operation_id].due -= rows

    def forget_all(self) -> None:
        """Another process expands from now on."""
        self._operations.clear()

    def knows(self, operation_id: int) -> bool:
        """Whether it has this operation."""
        return operation_id in self._operations

    def count(self, due: Mapping[int, int]) -> None:
        """So many rows of operations are due by the store's word: other processes claim them too."""
        for operation_id, rows in due.items():
            if operation_id in self._operations:
                self._operations[operation_id].due = rows

    def operations(self) -> list[int]:
        """The operations that it has."""
        return list(self._operations)

    def forget(self, operation_id: int) -> None:
        """Nothing of this operation is to become a row any more."""
        self._operations.pop(operation_id, None)

    def pause(self, operation_id: int) -> None:
        """Make no further rows of this operation until it goes on or its time is over."""
        if operation_id in self._operations:
            self._operations[operation_id].paused = True

    def unpause(self, operation_id: int) -> None:
        """It goes on."""
        if operation_id in self._operations:
            self._operations[operation_id].paused = False

    def hurry(self, operation_ids: Iterable[int]) -> None:
        """Expand the rest of these at once: their time is over and every message has to end by name."""
        for operation_id in operation_ids:
            if operation_id in self._operations:
                self._operations[operation_id].hurry = True

    def hurry_orphans(self) -> None:
        """The same for those whose pool is deleted and has nobody left to send them."""
        roster = self._acceptor.roster
        for operation in self._operations.values():
            pool = roster.pools.get(operation.pool_id)
            channels = [LETTER_CHANNEL[letter] for letter in operation.letters]
            if pool is not None and pool.deleted and not any(roster.members(pool.id, one) for one in channels):
                operation.hurry = True
