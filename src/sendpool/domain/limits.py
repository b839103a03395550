"""Limits that last longer than a bucket: segments a day, different recipients in 24 hours, messages to one recipient.

Days and recipients are counted by the wall clock (microseconds since 1970) and survive a restart: what was taken is
noted in a `Tally`, which the same commit writes that starts the attempts. Pairs are arithmetic in monotonic seconds, as
buckets are. Pure: nothing here reads a clock.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from math import inf
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

SECOND = 1_000_000
#: What the recipient limit looks back on.
WINDOW = 24 * 3600 * SECOND
#: A departure this near the end of a day counts in the next one too, and a contact this much longer: the write may be
#: late, and the carrier's clock may be off by as much. It may under-use a limit, and never exceeds it.
GUARD = 5 * SECOND
#: A WhatsApp number may send one message in so many seconds to one user, and so many borrowed from later (Meta's pair
#: rate limit).
PAIR_SECONDS, PAIR_BURST = 6.0, 45
#: Pairs remembered before those without information are looked for.
_MANY_PAIRS = 1024


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The lasting limits of a sender, a connection or a named scope."""

    #: Segments in one calendar day of `zone`; None: no limit.
    daily: int | None = None
    #: An IANA time zone.
    zone: str = "UTC"
    #: Recipients that may be contacted for the first time in 24 hours; None: no limit.
    recipients: int | None = None
    #: Seconds between two messages of one sender to one recipient, in the long run; None: no limit.
    pair_seconds: float | None = None
    #: Messages to one recipient that may follow each other at once, borrowed from later.
    pair_burst: int = 1


#: A recipient as tallies keep it: nobody learns an address from it.
Digest = str


@lru_cache(maxsize=4096)
def digest(recipient: str) -> Digest:
    """What stands for a recipient's address."""
    return blake2b(recipient.encode(), digest_size=16).hexdigest()


class Contact(NamedTuple):
    """The first contact of a recipient in 24 hours, as it counts for a scope."""

    scope: str
    recipient: Digest
    #: When it left.
    at: int


class Tally:
    """What was taken and is not durable yet."""

    __slots__ = ("contacts", "segments", "stale")

    def __init__(self) -> None:
        #: Segments by (scope, start of the day).
        self.segments: Counter[tuple[str, int]] = Counter()
        self.contacts: list[Contact] = []
        #: True: a commit failed, so that what is in memory may be more than what was taken. Read again first.
        self.stale = False

    def __bool__(self) -> bool:
        return bool(self.segments or self.contacts)

    def clear(self) -> None:
        """It is written, or was for nothing."""
        self.segments, self.contacts = Counter(), []


class Day:
    """At most so many segments in each calendar day."""

    __slots__ = ("_begins", "_ends", "_tally", "_used", "_zone", "limit", "scope")

    def __init__(self, scope: str, limit: int, zone: str, tally: Tally) -> None:
        """*scope* is its key in tallies. Raises `ZoneInfoNotFoundError` for a zone that does not exist."""
        self.scope = scope
        self.limit = limit
        self._zone = ZoneInfo(zone)
        self._tally = tally
        #: By the start of the day.
        self._used: Counter[int] = Counter()
        self._begins = self._ends = 0

    def begins(self, at: int) -> int:
        """The start of the day in which *at* lies."""
        self._turn(at)
        return self._begins

    def resets_at(self, at: int) -> int:
        """The end of the day in which *at* lies."""
        self._turn(at)
        return self._ends

    def _turn(self, at: int) -> None:
        if self._begins <= at < self._ends:
            return
        local = datetime.fromtimestamp(at // SECOND, self._zone)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        self._begins = int(midnight.timestamp()) * SECOND
        self._ends = int((midnight + timedelta(days=1)).replace(fold=0).timestamp()) * SECOND
        # A clock that was set back finds its day as it left it.
        kept = {day: used for day, used in self._used.items() if abs(day - self._begins) <= 2 * WINDOW}
        self._used = Counter(kept)

    def left(self, at: int) -> int:
        """Segments that may still depart at *at*."""
        self._turn(at)
        used = self._used[self._begins]
        if at >= self._ends - GUARD:
            used = max(used, self._used[self._ends])
        return max(0, self.limit - used)

    def seen_left(self, at: int) -> int:
        """The same as `left`, more or less, for those who may only look."""
        return max(0, self.limit - self._used[self._begins]) if self._begins <= at < self._ends else self.limit

    def take(self, cost: int, at: int) -> None:
        """Count *cost* segments that depart at *at*."""
        self._turn(at)
        self._count(self._begins, cost)
        if at >= self._ends - GUARD:
            self._count(self._ends, cost)

    def give_back(self, cost: int, at: int) -> None:
        """*cost* segments that were taken for a departure at *at* did not get through: they were too fast."""
        self._turn(at)
        self._count(self._begins, -min(cost, self._used[self._begins]))
        if at >= self._ends - GUARD:
            self._count(self._ends, -min(cost, self._used[self._ends]))

    def _count(self, day: int, cost: int) -> None:
        self._used[day] += cost
        self._tally.segments[self.scope, day] += cost

    def load(self, used: dict[int, int]) -> None:
        """Know what was taken, by the start of the day."""
        self._used = Counter(used)

    def used(self, at: int) -> int:
        """Segments taken in the day of *at*."""
        self._turn(at)
        return self._used[self._begins]


class Recipients:
    """At most so many recipients contacted for the first time in any 24 hours; who was, costs nothing more."""

    __slots__ = ("_ends", "_head", "_order", "_promised", "_tally", "limit", "scope")

    def __init__(self, scope: str, limit: int, tally: Tally) -> None:
        self.scope = scope
        self.limit = limit
        self._tally = tally
        #: When the contact of a recipient stops counting.
        self._ends: dict[Digest, int] = {}
        #: The same in order of time, from `_head` on.
        self._order: list[tuple[int, Digest]] = []
        self._head = 0
        #: Contacts to come for which a time was promised.
        self._promised = 0

    def counted(self, at: int) -> int:
        """Contacts that count at *at*."""
        self._forget(at)
        return len(self._ends)

    def left(self, at: int) -> int:
        """Recipients that may still be contacted for the first time at *at*."""
        return max(0, self.limit - self.counted(at))

    def knows(self, recipient: Digest, at: int) -> bool:
        """Whether a message to this recipient costs nothing at *at*."""
        return self._ends.get(recipient, 0) > at

    def seen_full(self, recipient: Digest, at: int) -> int | None:
        """Until when a message to this recipient has no place, for those who may only look; None: it has one."""
        # One call each that copies: the writer's thread counts meanwhile.
        ends = sorted(end for end in list(self._ends.values()) if end > at)
        if len(ends) < self.limit or self.knows(recipient, at):
            return None
        return ends[len(ends) - self.limit] if self.limit else at + WINDOW

    def take(self, recipient: Digest, at: int) -> None:
        """Count a message that departs at *at*."""
        if not self.knows(recipient, at):
            self._forget(at)
            self._count(recipient, at)
            self._tally.contacts.append(Contact(self.scope, recipient, at))

    def next_promise(self, at: int) -> int:
        """When the next of those who wait may be contacted: for each another contact has to stop counting.

        So a million that wait for a thousand places are not all looked at when the first place is free.
        """
        self._forget(at)
        taken = len(self._order) - self._head
        if not taken:
            return at
        rounds, place = divmod(self._promised, taken)
        return self._order[self._head + place][0] + rounds * (WINDOW + GUARD)

    def promise(self) -> None:
        """Somebody waits for the time that `next_promise` gave."""
        self._promised += 1

    def load(self, contacts: list[tuple[int, Digest]]) -> None:
        """Know who was contacted: (when, recipient)."""
        self._ends, self._order, self._head, self._promised = {}, [], 0, 0
        for at, recipient in sorted(contacts):
            self._count(recipient, at)

    def _count(self, recipient: Digest, at: int) -> None:
        ends = at + WINDOW + GUARD
        if self._order and ends < self._order[-1][0]:
            # The clock was set back: it counts as long as the latest one, which may only under-use the limit.
            ends = self._order[-1][0]
        self._ends[recipient] = ends
        self._order.append((ends, recipient))

    def _forget(self, at: int) -> None:
        order, head = self._order, self._head
        while head < len(order) and order[head][0] <= at:
            ends, recipient = order[head]
            if self._ends.get(recipient) == ends:
                del self._ends[recipient]
            head += 1
        self._promised = max(0, self._promised - (head - self._head))
        self._head = head
        if head > _MANY_PAIRS and head > len(order) // 2:
            self._order, self._head = order[head:], 0


class Pairs:
    """One sender's pace to each recipient: a segment in *seconds*, after *burst* at once; GCRA in monotonic seconds."""

    __slots__ = ("_burst", "_full", "_known_since", "_look_at", "_promised", "_seconds")

    def __init__(self, seconds: float, burst: int, now: float) -> None:
        """Nobody knows what left before *now*, so that every recipient's bucket starts empty."""
        self._seconds = seconds
        self._burst = burst
        #: When the buckets of those that are not in `_full` are full again.
        self._known_since = now + burst * seconds
        self._full: dict[str, float] = {}
        self._promised: dict[str, float] = {}
        self._look_at = _MANY_PAIRS

    def free_at(self, recipient: str, cost: int, now: float) -> float:
        """The earliest departure of *cost* segments to this recipient, at or after *now*."""
        full = self._full.get(recipient, self._known_since)
        return max(now, full - max(0, self._burst - cost) * self._seconds)

    def take(self, recipient: str, cost: int, depart: float) -> None:
        """Take *cost* segments that depart at *depart*."""
        if len(self._full) >= self._look_at:
            self._forget(depart)
        self._full[recipient] = max(self._full.get(recipient, self._known_since), depart) + cost * self._seconds

    def pause(self, recipient: str, now: float, seconds: float) -> None:
        """The carrier has said that it is too fast for this recipient: nothing for so long, then no burst."""
        resumed = now + seconds + max(0, self._burst - 1) * self._seconds
        self._full[recipient] = max(self._full.get(recipient, -inf), resumed)

    def next_promise(self, recipient: str, cost: int, now: float) -> float:
        """When the next message that waits may leave: behind those that wait already."""
        free = self.free_at(recipient, cost, now)
        latest = self._promised.get(recipient, -inf)
        return free if latest <= now else max(free, latest + cost * self._seconds)

    def promise(self, recipient: str, when: float) -> None:
        """A message waits until *when*, which `next_promise` gave."""
        self._promised[recipient] = when

    def _forget(self, now: float) -> None:
        self._full = {key: full for key, full in self._full.items() if full > now or self._known_since > now}
        self._promised = {key: at for key, at in self._promised.items() if at > now}
        self._look_at = max(_MANY_PAIRS, 2 * len(self._full))
