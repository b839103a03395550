"""Expand: chunks of large operations become rows shortly before their turn, so that queues stay small.

Each operation has its own allowance: a global cap would let one dead carrier hold up every pool (design §2). Where only
some senders may take what fills it, the others get chunks of theirs beyond it (`docs/adr/0020`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from sendpool.domain.fairness import turn_of
from sendpool.domain.message import LETTER_CHANNEL, STEP_LETTER, at_step
from sendpool.domain.sender import Channel
from sendpool.pipeline.accept import Acceptor
from sendpool.pipeline.acceptance import Acceptance
from sendpool.pipeline.book import ANYONE
from sendpool.pipeline.claim import Claimed
from sendpool.pipeline.expanding import Class, Expanding, Group, groups_of, waiting_for
from sendpool.pipeline.roster import Roster
from sendpool.store.chunks import Chunk, Expansion, Placed, Run, read_mix
from sendpool.store.queue import DueRow

#: Rows due of one operation under which its next chunk follows, at least.
ENOUGH_DUE = 2_000
#: Seconds of its pool's throughput that may be due instead, up to `MOST_DUE` rows. Of senders that take the same, as
#: much of their own throughput is due of what they take, also beyond that, up to `MOST_DUE` rows in all.
SECONDS_DUE = 2.0
MOST_DUE = 20_000
#: Chunks in one commit, and in one for which somebody waits.
CHUNKS_A_COMMIT, CHUNKS_IN_SHORT = 3, 1
#: Commits for which somebody waits between two that make rows of a chunk: who comes while one does not meet another.
APART = 3


class Gone(NamedTuple):
    """A message that has left the channel on which it began."""

    operation_id: int
    #: Of that channel.
    letter: str
    #: Its addresses, as its row has them.
    address: str


class Expander:
    """Decides which chunk is next. Lives on the event loop."""

    def __init__(self, acceptor: Acceptor) -> None:
        self._acceptor = acceptor
        #: Segments that may be on their way from a pool on a channel.
        self.window: Callable[[int, Channel], int] = lambda _pool_id, _channel: 0
        self._operations: dict[int, Expanding] = {}
        #: Commits since the last one that made rows of a chunk.
        self._since = APART
        #: Who takes what of operations of a pool, by the roster beside them.
        self._groups: dict[tuple[int, frozenset[Class]], tuple[Group, ...]] = {}
        self._grouped: Roster | None = None

    def load(self, operation_id: int, pool_id: int, chunks: Sequence[Chunk], priority: str = "normal") -> None:
        """Know an operation of an earlier run that has chunks left."""
        self._operations[operation_id] = Expanding(operation_id, pool_id, chunks, priority)

    def accepted(self, acceptance: Acceptance) -> None:
        """An operation was stored in chunks."""
        if acceptance.chunks:
            operation = acceptance.operation
            chunks = [
                Chunk(one.first_id, one.recipients, one.due, read_mix(one.mix, one.letters, one.recipients, one.cost))
                for one in acceptance.chunks
            ]
            self.load(operation.id, operation.pool_id, chunks, operation.priority)

    def waiting_on(self, pool_id: int, letter: str) -> int:
        """Segments in chunks of a pool whose time has come, of messages that begin with the channel *letter*."""
        return sum(
            one.cost
            for operation in self._operations.values()
            if operation.pool_id == pool_id and letter in operation.letters
            for chunk in operation.chunks
            for one in chunk.mix
            if one.letter == letter
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
                operation.release(due)

    def next(self, *, short: bool = False) -> list[Expansion]:
        """The chunks that the next commit should expand: those of the operation with the fewest rows due first.

        *short*: somebody waits for that commit.
        """
        most = CHUNKS_IN_SHORT if short else CHUNKS_A_COMMIT
        found: list[Expansion] = []
        can_wait = self._busy_pools() if short and self._since < APART else ()
        for operation in sorted(self._operations.values(), key=lambda one: one.due):
            if (operation.paused or operation.pool_id in can_wait) and not operation.hurry:
                continue
            # Rows for the next seconds can be made when nobody waits for it.
            enough = ENOUGH_DUE if short else self._enough(operation.pool_id) if operation.chunks else 0
            while len(found) < most and (place := self._next_of(operation, enough)) is not None:
                found.append(self._expansion(operation, operation.take(place)))
        self._since = 0 if found else self._since + 1
        return found

    def _busy_pools(self) -> set[int]:
        """The pools that have enough rows for the next commits."""
        due: Counter[int] = Counter()
        for operation in self._operations.values():
            due[operation.pool_id] += operation.due
        return {pool_id for pool_id, rows in due.items() if rows >= ENOUGH_DUE}

    def _next_of(self, operation: Expanding, enough: float) -> int | None:
        """The place of the chunk that should become rows now."""
        if not operation.chunks:
            return None
        if operation.due < enough or operation.hurry:
            return 0
        if not operation.mixed or operation.due >= MOST_DUE:
            return None
        return operation.first_for(self._groups_of(operation), SECONDS_DUE)

    def _groups_of(self, operation: Expanding) -> tuple[Group, ...]:
        roster = self._acceptor.roster
        if self._grouped is not roster:
            self._groups.clear()
            self._grouped = roster
        key = (operation.pool_id, operation.classes)
        found = self._groups.get(key)
        if found is None:
            found = self._groups[key] = groups_of(roster, *key)
        return found

    def _enough(self, pool_id: int) -> float:
        roster = self._acceptor.roster
        mps = sum(roster.throughput(pool_id, channel) for channel in STEP_LETTER)
        return min(max(ENOUGH_DUE, SECONDS_DUE * mps), MOST_DUE)

    def _expansion(self, operation: Expanding, chunk: Chunk) -> Expansion:
        runs = {letter: self._run(operation, letter, chunk) for letter in {one.letter: None for one in chunk.mix}}
        key = (operation.operation_id, chunk.first_id, chunk.messages, chunk.mix, runs)
        if all(run.queue_id for run in runs.values()):
            return Expansion(*key)
        steps = {letter: run.step for letter, run in runs.items()}
        return Expansion(*key, partial(self._place, operation, steps, self._lags(operation.pool_id, chunk, runs)))

    def _run(self, operation: Expanding, letter: str, chunk: Chunk) -> Run:
        """Where rows of a chunk stand on a channel: behind those that the operation has there."""
        messages = sum(one.messages for one in chunk.mix if one.letter == letter)
        cost = sum(one.cost for one in chunk.mix if one.letter == letter)
        place = operation.pool_id, LETTER_CHANNEL[letter]
        ranks = self._acceptor.fair_clock(*place).admit(
            operation.operation_id, cost / messages, messages, operation.weight
        )
        turn = turn_of(self._acceptor.roster.throughput(*place), self.window(*place), cost / messages)
        return Run(self._acceptor.common_queue(operation.pool_id, letter) or 0, *ranks, turn)

    def _lags(self, pool_id: int, chunk: Chunk, runs: Mapping[str, Run]) -> dict[int, int]:
        """By how much the lanes are behind that rows of a chunk may go to."""
        acceptor = self._acceptor
        lags = {}
        for letter in [letter for letter, run in runs.items() if not run.queue_id]:
            channel = LETTER_CHANNEL[letter]
            lanes = [acceptor.book.number(pool_id, channel, one.lane) for one in chunk.mix if one.letter == letter]
            for queue_id in {*lanes, *(queue_id for queue_id, _ in acceptor.book.lanes_of(pool_id, channel))}:
                lags[queue_id] = acceptor.lag(pool_id, channel, queue_id)
        return lags

    def _place(
        self,
        operation: Expanding,
        steps: Mapping[str, int],
        lags: Mapping[int, int],
        letter: str,
        address: str,
        rank: int,
    ) -> tuple[int, int]:
        """The queue of a row and its rank there. Runs in the commit."""
        queue_id = self._acceptor.queue(operation.pool_id, letter, address)
        lag = lags.get(queue_id, 0)
        return queue_id, operation.in_lanes.rank(letter, queue_id, rank, lag, steps[letter])

    def to_come(self, pool_id: int, channel: Channel) -> dict[Hashable, float]:
        """Segments on a channel in chunks of a pool's operations, those whose time has not come included."""
        letter = STEP_LETTER[channel]
        return {
            key: float(operation.to_come[letter])
            for key, operation in self._operations.items()
            if operation.pool_id == pool_id and letter in operation.letters
        }

    def waiting(self, pool_id: int) -> int:
        """Messages of a pool that are to be sent as soon as it is their turn, and are no rows yet."""
        return sum(
            chunk.messages
            for operation in self._operations.values()
            if operation.pool_id == pool_id
            for chunk in operation.chunks
        )

    def expanded(self, expansion: Expansion, rows: int, queued: Mapping[int, Placed]) -> None:
        """A chunk became rows; *queued* says what went where, if that hung on their addresses."""
        operation = self._operations.get(expansion.operation_id)
        if operation is not None:
            if not rows:
                operation.vanished(expansion.messages, expansion.mix)
            if not operation.chunks and not operation.held:
                del self._operations[expansion.operation_id]
        for queue_id, placed in queued.items():
            self._acceptor.book.add(queue_id, placed.rows)
            key = self._acceptor.book.keys[queue_id]
            self._acceptor.fair_clock(key.pool_id, Channel(key.channel)).begins(queue_id, placed.lowest)
        for queue_id in expansion.queues:
            # Which of them got rows is not worth a look: a claim that finds none says so.
            self._acceptor.book.add(queue_id, rows)

    def failed(self, expansions: Iterable[Expansion]) -> None:
        """The commit failed: their chunks are still to do."""
        for one in reversed(list(expansions)):
            operation = self._operations.get(one.operation_id)
            if operation is not None:
                operation.put_back(Chunk(one.first_id, one.messages, 0, one.mix))

    def claimed(self, claimed: Claimed) -> None:
        """Rows were started: their operations may need the next chunk."""
        if self._operations:
            self.went([started.row for started in claimed.started])
            self.went(claimed.unsent)

    def went(self, rows: Iterable[DueRow]) -> None:
        """These rows are due no more. Who has been tried was so already before."""
        for row in rows:
            operation = self._operations.get(row.operation_id)
            if operation is not None and not row.attempts:
                operation.due -= 1
                if not row.step and operation.mixed:
                    operation.left(self._class(operation, row.plan[0], row.address))

    def moved(self, messages: Iterable[Gone]) -> None:
        """These messages wait no more where they began, but elsewhere."""
        for one in messages:
            operation = self._operations.get(one.operation_id)
            if operation is not None and operation.mixed:
                operation.left(self._class(operation, one.letter, one.address))

    def _class(self, operation: Expanding, letter: str, address: str) -> Class:
        lanes = self._acceptor.roster.lanes(operation.pool_id, LETTER_CHANNEL[letter])
        found = (letter, lanes.class_of(at_step(address, 0)))
        # Rules may have come since it was accepted.
        return found if found in operation.classes else (letter, ANYONE)

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

    def mixed_queues(self) -> list[int]:
        """Where rows wait of operations that not everybody takes all of: how many do says who has too little."""
        book = self._acceptor.book
        mixed = {one.pool_id for one in self._operations.values() if one.mixed}
        return [queue_id for pool_id in mixed for queue_id in book.of_pool(pool_id)]

    def bound(self, waiting: Mapping[int, int]) -> None:
        """No more is due of any class than *waiting* rows in the queues where it may wait (`mixed_queues`)."""
        book, roster = self._acceptor.book, self._acceptor.roster
        for operation in self._operations.values():
            if operation.mixed:
                queues = [(book.keys[key], waiting.get(key, 0)) for key in book.of_pool(operation.pool_id)]
                for one in operation.classes:
                    most = waiting_for(one, roster.lanes(operation.pool_id, LETTER_CHANNEL[one[0]]), queues)
                    operation.due_of[one] = min(operation.due_of[one], most)

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
