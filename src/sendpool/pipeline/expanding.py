"""An operation whose recipients are not all rows yet: its chunks, what of it is due, and for which senders that is."""

from __future__ import annotations

from bisect import insort
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sendpool.domain.fairness import PRIORITIES, LaneRanks
from sendpool.domain.message import LETTER_CHANNEL
from sendpool.pipeline.book import ASKING, is_one_senders
from sendpool.pipeline.lanes import Lanes
from sendpool.pipeline.roster import Roster
from sendpool.store.chunks import Chunk, Share
from sendpool.store.queue import QueueKey

#: What the same senders take: the letter of a channel, and the lane of a country or of anybody.
Class = tuple[str, str]


class Group(NamedTuple):
    """Senders of a pool that take the same classes of an operation."""

    classes: frozenset[Class]
    #: Segments a second of them together.
    mps: float

    def takes_of(self, chunk: Chunk) -> bool:
        """Whether they take anything of a chunk."""
        return any(class_of(one) in self.classes for one in chunk.mix)


class Expanding:
    """An operation with chunks left, and how many of its rows are due."""

    def __init__(self, operation_id: int, pool_id: int, chunks: Iterable[Chunk], priority: str) -> None:
        self.operation_id = operation_id
        self.pool_id = pool_id
        #: In order.
        self.chunks: deque[Chunk] = deque()
        #: Those whose time has not come, by that time, earliest first.
        self.held: dict[int, list[Chunk]] = {}
        for chunk in chunks:
            if chunk.due > 0:
                self.held.setdefault(chunk.due, []).append(chunk)
            else:
                self.chunks.append(chunk)
        everything = (*self.chunks, *(chunk for held in self.held.values() for chunk in held))
        #: Segments by first letters of the plans, of what is in chunks.
        self.to_come: Counter[str] = Counter()
        for chunk in everything:
            self.to_come.update(segments_of(chunk.mix))
        self.letters = frozenset(self.to_come)
        self.classes = frozenset(class_of(one) for chunk in everything for one in chunk.mix)
        #: Whether there may be senders that take some of it only.
        self.mixed = len(self.classes) > 1
        #: In how many of `chunks` each class is.
        self._ready = Counter(class_of(one) for chunk in self.chunks for one in chunk.mix)
        self.due = 0
        #: The same by class: messages that wait where they began.
        self.due_of: Counter[Class] = Counter()
        #: Of its flow in the pool.
        self.weight = PRIORITIES[priority]
        #: Where it stands in lanes that lag. The writer's thread has it.
        self.in_lanes = LaneRanks()
        #: True: its time is over, so the rest becomes rows at once and ends.
        self.hurry = False
        #: True: what it says is refused, and somebody has to let it go on.
        self.paused = False

    def take(self, place: int = 0) -> Chunk:
        """A chunk, to become rows: the next one, or another."""
        chunk = self.chunks[place]
        del self.chunks[place]
        self.due += chunk.messages
        self.due_of.update(messages_of(chunk.mix))
        self._ready.subtract(map(class_of, chunk.mix))
        self.to_come.subtract(segments_of(chunk.mix))
        return chunk

    def put_back(self, chunk: Chunk) -> None:
        """It did not."""
        insort(self.chunks, chunk, key=lambda one: one.first_id)
        self.vanished(chunk.messages, chunk.mix)
        self._ready.update(map(class_of, chunk.mix))
        self.to_come.update(segments_of(chunk.mix))

    def vanished(self, messages: int, mix: Sequence[Share]) -> None:
        """What was taken has become no rows."""
        self.due -= messages
        self.due_of.subtract(messages_of(mix))

    def left(self, one: Class) -> None:
        """A message of a class waits no more where it began. Some were due before it was known, and never counted."""
        self.due_of[one] = max(0, self.due_of[one] - 1)

    def release(self, due: int) -> None:
        """The time of these chunks has come."""
        released = self.held.pop(due, ())
        self.chunks += released
        self._ready.update(class_of(one) for chunk in released for one in chunk.mix)

    def first_for(self, groups: Iterable[Group], seconds: float) -> int | None:
        """The place of the first chunk with something for senders of whose throughput less than *seconds* is due."""
        for group in groups:
            due = sum(max(0, self.due_of[one]) for one in group.classes)
            if due < seconds * group.mps and any(self._ready[one] > 0 for one in group.classes):
                return next(place for place, chunk in enumerate(self.chunks) if group.takes_of(chunk))
        return None


def class_of(share: Share) -> Class:
    """The class of a part of a chunk."""
    return share.letter, share.lane


def messages_of(mix: Sequence[Share]) -> Counter[Class]:
    """Messages by class."""
    found: Counter[Class] = Counter()
    for one in mix:
        found[class_of(one)] += one.messages
    return found


def segments_of(mix: Sequence[Share]) -> Counter[str]:
    """Segments by first letters of the plans."""
    found: Counter[str] = Counter()
    for one in mix:
        found[one.letter] += one.cost
    return found


def groups_of(roster: Roster, pool_id: int, classes: Iterable[Class]) -> tuple[Group, ...]:
    """The senders of a pool by the set of these classes that they take; who takes none is in no group."""
    paces: dict[frozenset[Class], float] = {}
    by_letter: dict[str, list[Class]] = {}
    for one in classes:
        by_letter.setdefault(one[0], []).append(one)
    for letter, own in by_letter.items():
        channel = LETTER_CHANNEL[letter]
        lanes = roster.lanes(pool_id, channel)
        takers = [(one, lanes.takers(one[1])) for one in own]
        for sender, _ in roster.members(pool_id, channel):
            taken = frozenset(one for one, some in takers if some is None or sender.id in some)
            if taken and not sender.drained:
                paces[taken] = paces.get(taken, 0.0) + sender.mps
    return tuple(Group(*one) for one in paces.items())


def waiting_for(one: Class, lanes: Lanes, queues: Iterable[tuple[QueueKey, int]]) -> int:
    """The most rows of a class that there can be in *queues* of its pool, which hold so many rows each."""
    channel, takers = LETTER_CHANNEL[one[0]], lanes.takers(one[1])
    return sum(
        rows
        for key, rows in queues
        if key.channel == channel and (key.lane in (one[1], ASKING) or _is_ones(key.lane, takers))
    )


def _is_ones(lane: str, takers: frozenset[int] | None) -> bool:
    """Whether a lane is that of one of these senders."""
    return is_one_senders(lane) and (takers is None or int(lane) in takers)
