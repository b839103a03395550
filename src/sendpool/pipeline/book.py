"""The queues there are, and which of them may hold rows: hints in memory, refuted by the next claim."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from threading import Lock

from sendpool.domain.sender import Channel
from sendpool.pipeline.heads import Heads
from sendpool.store.queue import QueueClash, QueueKey, queue_number

#: The lane of rows that any sender of the pool may take.
ANYONE = ""
#: The lane of rows for which nobody has asked yet whether their phone has the channel; no sender claims it.
ASKING = "?"


def is_one_senders(lane: str) -> bool:
    """Whether a lane is that of one sender, whose key it names."""
    return lane.isdigit()


class QueueBook:
    """Numbers for queues, and how many rows each is thought to hold.

    The counts are hints: they may be too high (a claim then finds fewer rows and says so) and, after trouble, too
    low (the sweep looks for rows in queues that are thought empty).
    """

    def __init__(self) -> None:
        self._ids: dict[QueueKey, int] = {}
        self.keys: dict[int, QueueKey] = {}
        self._waiting: dict[int, int] = {}
        self._by_pool: dict[tuple[int, str], set[int]] = defaultdict(set)
        self._unsaved: list[tuple[int, QueueKey]] = []
        #: Says whether a channel of a pool wants to be asked ahead.
        self.asks: Callable[[int, Channel], bool] = lambda _pool_id, _channel: False
        #: Where each begins.
        self.heads = Heads()
        #: Set while rows wait for an answer.
        self.asking = asyncio.Event()
        #: Decisions number lanes on the writer's thread while requests number queues on the loop.
        self._numbering = Lock()

    def load(self, queues: Iterable[tuple[int, QueueKey]]) -> None:
        """Know the queues of an earlier run, or of other processes; `add` says how many rows each holds."""
        with self._numbering:
            for queue_id, key in queues:
                self._ids[key] = queue_id
                self.keys[queue_id] = key

    def forget(self, queue_ids: Iterable[int]) -> None:
        """These queues are no more: their pool has been removed."""
        gone = list(queue_ids)
        self.heads.forget(gone)
        with self._numbering:
            for queue_id in gone:
                self.empty(queue_id)
                key = self.keys.pop(queue_id, None)
                if key is not None:
                    del self._ids[key]

    def number(self, pool_id: int, channel: Channel, lane: str = ANYONE) -> int:
        """The number of a queue, new or known: every process gives it the same. Raises `QueueClash`."""
        key = QueueKey(pool_id, channel.value, lane)
        return self._ids.get(key) or self._new(key)

    def _new(self, key: QueueKey) -> int:
        with self._numbering:
            queue_id = self._ids.get(key)
            if queue_id is None:
                queue_id = queue_number(key)
                if queue_id in self.keys:
                    raise QueueClash(key, self.keys[queue_id])
                self.keys[queue_id] = key
                self._ids[key] = queue_id
                self._unsaved.append((queue_id, key))
        return queue_id

    def unsaved(self) -> list[tuple[int, QueueKey]]:
        """New queues, to be written before the first row that names them; hands them over once."""
        with self._numbering:
            rows, self._unsaved = self._unsaved, []
        return rows

    def unsave(self, rows: Iterable[tuple[int, QueueKey]]) -> None:
        """The commit that was to write these queues failed: hand them over again."""
        with self._numbering:
            self._unsaved = [*rows, *self._unsaved]

    def add(self, queue_id: int, rows: int) -> None:
        """Rows went into a queue (or came out: a negative number)."""
        count = max(0, self._waiting.get(queue_id, 0) + rows)
        if count and queue_id in self.keys:
            self._waiting[queue_id] = count
            key = self.keys[queue_id]
            if key.lane == ASKING:
                self.asking.set()
            else:
                self._by_pool[key.pool_id, key.channel].add(queue_id)
        else:
            self.empty(queue_id)

    def took(self, queue_id: int, rows: int, *, emptied: bool, looked: int = 1) -> None:
        """A claim took rows out. One that found as many as it asked for leaves the queue open to another look.

        *looked*: how many rows it saw. Where other processes put rows in too, whose counts are not told, twice as many
        are thought to be left: a process that goes by what it has counted would claim one with each commit.
        """
        if emptied:
            self.empty(queue_id)
        else:
            least = max(1, 2 * looked) if self.heads.on else 1
            self.add(queue_id, max(-rows, least - self.waiting(queue_id)))

    def empty(self, queue_id: int) -> None:
        """A claim found fewer rows than it asked for."""
        self._waiting.pop(queue_id, None)
        key = self.keys.get(queue_id)
        if key is None:
            return
        waiting = self._by_pool.get((key.pool_id, key.channel))
        if waiting is not None:
            waiting.discard(queue_id)
            if not waiting:
                del self._by_pool[key.pool_id, key.channel]

    def waiting(self, queue_id: int) -> int:
        """How many rows a queue is thought to hold."""
        return self._waiting.get(queue_id, 0)

    def waiting_on(self, pool_id: int, channel: Channel) -> int:
        """How many rows of a pool are thought to wait on a channel, asked about or not."""
        return sum(
            rows
            for queue_id, rows in list(self._waiting.items())
            if (key := self.keys[queue_id]).pool_id == pool_id and key.channel == channel
        )

    def lanes_of(self, pool_id: int, channel: Channel) -> list[tuple[int, str]]:
        """(queue, lane) where rows of a pool are thought to wait on a channel for its senders."""
        # A copy in one go: the writer's thread asks too.
        waiting = list(self._by_pool.get((pool_id, channel.value), ()))
        return [(queue_id, self.keys[queue_id].lane) for queue_id in waiting]

    def of_pool(self, pool_id: int) -> list[int]:
        """Queues of a pool that are thought to hold rows."""
        return [queue_id for queue_id in list(self._waiting) if self.keys[queue_id].pool_id == pool_id]

    def busy(self) -> list[int]:
        """Queues that are thought to hold rows."""
        return list(self._waiting)

    def total(self) -> int:
        """How many rows are thought to be due in all."""
        return sum(self._waiting.values())

    def pools(self) -> list[tuple[int, Channel, list[QueueKey]]]:
        """(pool, channel, queues) where rows are thought to wait."""
        return [
            (pool_id, Channel(channel), [self.keys[queue_id] for queue_id in waiting])
            for (pool_id, channel), waiting in self._by_pool.items()
        ]

    def asked(self) -> list[int]:
        """Queues whose rows wait for an answer."""
        return [queue_id for queue_id in self._waiting if self.keys[queue_id].lane == ASKING]

    def quiet(self) -> list[int]:
        """Queues thought to be empty: what the sweep checks."""
        # A copy: the writer's thread may be numbering a lane just now.
        return [queue_id for queue_id in list(self.keys) if queue_id not in self._waiting]

    def lanes(self) -> list[tuple[int, QueueKey]]:
        """Queues of single senders that are thought to hold rows."""
        lanes = ((queue_id, self.keys[queue_id]) for queue_id in self._waiting)
        return [(queue_id, key) for queue_id, key in lanes if is_one_senders(key.lane)]
