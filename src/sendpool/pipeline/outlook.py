"""When operations will be complete: read off what sending and the fair clocks keep in memory, without counting rows."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from sendpool.domain.fairness import flow_of
from sendpool.domain.outlook import Queued, Shared, seconds, share
from sendpool.domain.sender import Channel, Sender
from sendpool.pipeline.engine import Engine

#: Seconds for which what a pool can do is remembered.
REMEMBERED = 1.0
#: Operations that wait in a pool beyond which nobody is told when one of them will be complete.
MOST_FLOWS = 500


class _Capacity(NamedTuple):
    """What a pool can do, and until when that is remembered."""

    until: float
    paces: dict[int, float]
    capped: list[Shared]


class Outlook:
    """Estimates for one engine. Lives on the event loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._capacities: dict[int, _Capacity] = {}
        self._sharing: tuple[float, Counter[int]] = (-1.0, Counter())

    def completion(self, one: Queued) -> int | None:
        """When the last message of an operation will have left (microseconds since 1970); None: nobody knows."""
        engine, now = self._engine, self._engine.clock.wall()
        clock = engine.acceptor.fair_clock(one.pool_id)
        if len(clock) > MOST_FLOWS:
            return None
        if one.scheduled and (one.scheduled_for is None or one.scheduled_for <= now):
            return None  # Some are due later, by their own clocks.
        flow, weight = flow_of(one.id, one.total, one.category, one.priority)
        to_come = engine.expander.to_come(one.pool_id)
        known = own = clock.waiting(flow) + to_come.get(one.id, 0.0)
        if flow == one.id:
            # After a restart no flow is known; a message has at least one segment.
            own = max(own, float(one.queued + one.scheduled))
        elif one.scheduled:
            own += one.scheduled
        segments = clock.before(flow, weight, own, to_come) + max(0.0, self._unknown(one.pool_id) - (own - known))
        wait = self._seconds(one.pool_id, segments)
        start = max(now, one.scheduled_for or 0) if one.scheduled else now
        return None if wait is None else start + int(wait * 1e6)

    def _unknown(self, pool_id: int) -> float:
        """Rows of earlier runs, of whose flows nothing is known: they go first."""
        book, clock = self._engine.book, self._engine.acceptor.fair_clock(pool_id)
        rows = sum(book.waiting(queue_id) for queue_id in book.of_pool(pool_id))
        return rows - clock.waiting_in_all()

    def _seconds(self, pool_id: int, segments: float) -> float | None:
        now = self._engine.clock.monotonic()
        capacity = self._capacities.get(pool_id)
        if capacity is None or capacity.until <= now:
            capacity = self._capacities[pool_id] = self._capacity(pool_id, now)
        return seconds(segments, capacity.paces, capacity.capped)

    def _capacity(self, pool_id: int, now: float) -> _Capacity:
        if len(self._capacities) > 1000:
            self._capacities.clear()
        paces: dict[int, float] = {}
        for channel in self._channels(pool_id):
            for sender, _ in self._engine.roster.members(pool_id, channel):
                pace = self._pace(sender, now)
                if pace > 0:
                    paces[sender.id] = pace / max(1, self._pools_of(sender.id, now))
        shared, capped = self._shared(paces, now)
        return _Capacity(now + REMEMBERED, share(paces, shared), capped)

    def _channels(self, pool_id: int) -> list[Channel]:
        """Those on which something waits, else all that the pool has."""
        waiting = [channel for pool, channel, _ in self._engine.book.pools() if pool == pool_id]
        return waiting or list(self._engine.roster.channels(pool_id))

    def _pace(self, sender: Sender, now: float) -> float:
        """Segments a second of a sender that may send: none for one that is cut off, stopped, paused or drained."""
        sending = self._engine.sending
        gate, link = sending.gates.get(sender.id), sending.links.get(sender.connection_id)
        if gate is None or link is None or not link.up or link.draining or sender.drained:
            return 0.0
        if gate.flights.stopped or link.closure.closed or gate.capped_until > now:
            return 0.0
        return gate.bucket.rate(now)

    def _pools_of(self, sender_id: int, now: float) -> int:
        """Pools in which something waits for a sender, which shares itself among them."""
        at, counts = self._sharing
        if at <= now:
            counts = Counter(
                sender.id
                for pool_id, channel, _ in self._engine.book.pools()
                for sender, _ in self._engine.roster.members(pool_id, channel)
            )
            self._sharing = (now + REMEMBERED, counts)
        return counts[sender_id]

    def _shared(self, paces: dict[int, float], now: float) -> tuple[list[Shared], list[Shared]]:
        """Limits of pace that these senders share, and those of their days."""
        sending, wall = self._engine.sending, self._engine.clock.wall()
        buckets: dict[int, tuple[set[int], float]] = {}
        days: dict[int, tuple[set[int], float]] = {}
        for sender_id in paces:
            gate = sending.gates[sender_id]
            link = sending.links[gate.sender.connection_id]
            bounds = gate.bounds
            for bucket in (link.bucket, *(bounds.scopes.values() if bounds else ())):
                buckets.setdefault(id(bucket), (set(), bucket.rate(now)))[0].add(sender_id)
            for day in bounds.days if bounds else ():
                days.setdefault(id(day), (set(), float(day.seen_left(wall))))[0].add(sender_id)
        shared = [Shared(frozenset(senders), mps=rate) for senders, rate in buckets.values()]
        return shared, [Shared(frozenset(senders), left=left) for senders, left in days.values()]
