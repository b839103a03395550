"""When operations will be complete: read off what sending and the fair clocks keep in memory, without counting rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import NamedTuple

from sendpool.domain.fairness import SMALL_OPERATION, flow_of
from sendpool.domain.outlook import Queued, Shared, seconds, share
from sendpool.domain.request import Accepted, SendRequest
from sendpool.domain.sender import Channel, Sender
from sendpool.pipeline.engine import Engine
from sendpool.pipeline.waiter import TellEach
from sendpool.store.idempotency import Key

#: Seconds for which what a pool can do is remembered.
REMEMBERED = 1.0
#: Seconds for which it is remembered how long a small operation waits.
REMEMBERED_SMALL = 0.05
#: Operations that wait in a pool beyond which nobody is told when one of them will be complete.
MOST_FLOWS = 500


class _Capacity(NamedTuple):
    """What a pool can do on a channel, and until when that is remembered."""

    until: float
    paces: dict[int, float]
    capped: list[Shared]


class _Told:
    """Somebody who is told what has become of requests."""

    __slots__ = ("_knows", "_outlook", "_tell")

    def __init__(self, tell: Callable[[Sequence[Accepted] | Exception], None], outlook: Outlook) -> None:
        self._tell = tell
        self._outlook = outlook
        self._knows = False

    def done(self) -> bool:
        """Whether he knows."""
        return self._knows

    def set_result(self, accepted: Sequence[Accepted], /) -> None:
        """They are durable."""
        self._knows = True
        try:
            fate: Sequence[Accepted] | Exception = self._outlook.estimated_alike(accepted)
        except Exception as error:  # noqa: BLE001 - it concerns these alone, not the commit that brought them
            fate = error
        self._tell(fate)

    def set_exception(self, error: Exception, /) -> None:
        """They are not."""
        self._knows = True
        self._tell(error)


class Outlook:
    """Estimates for one engine. Lives on the event loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._capacities: dict[tuple[int, Channel], _Capacity] = {}
        self._sharing: tuple[float, Counter[int]] = (-1.0, Counter())
        #: By pool and flow, which all small ones of a category share: until when, and how long they wait.
        self._small: dict[tuple[int, Hashable], tuple[float, int | None]] = {}

    async def accept(self, request: SendRequest, key: Key | None = None) -> Accepted:
        """Store a request, as the engine does, and say when it will be complete."""
        return self.estimated(await self._engine.intake.accept(request, key))

    def estimated(self, accepted: Accepted) -> Accepted:
        """The same with when it will be complete."""
        assert accepted.queued is not None
        return Accepted(accepted.uid, accepted.operation_id, None, self.completion(accepted.queued))

    def estimated_alike(self, accepted: Sequence[Accepted]) -> list[Accepted]:
        """The same of several that wait alike: as the first of them does."""
        first = accepted[0]
        assert first.queued is not None
        complete = self.completion(first.queued)
        return [Accepted(one.uid, one.operation_id, None, complete) for one in accepted]

    def accept_each(self, requests: Sequence[SendRequest], tell: TellEach) -> None:
        """Store requests as `accept` does, without a task that waits for them; *tell* is told their fates.

        Only for immediate ones (`Intake.is_immediate`).
        """
        self._engine.intake.accept_each(requests, lambda first, end: _Told(partial(tell, first, end), self))

    def completion(self, one: Queued) -> int | None:
        """When the last message of an operation will have left (microseconds since 1970); None: nobody knows."""
        if one.total > SMALL_OPERATION or one.scheduled:
            return self._completion(one)
        flow, _ = flow_of(one.id, one.total, one.category, one.priority)
        now, wall = self._engine.clock.monotonic(), self._engine.clock.wall()
        until, wait = self._small.get((one.pool_id, flow), (-1.0, None))
        if until <= now:
            found = self._completion(one)
            wait = None if found is None else found - wall
            if len(self._small) > MOST_FLOWS:
                self._small.clear()
            self._small[one.pool_id, flow] = (now + REMEMBERED_SMALL, wait)
        return None if wait is None else wall + wait

    def _completion(self, one: Queued) -> int | None:
        engine, now = self._engine, self._engine.clock.wall()
        clocks = engine.acceptor.fair_clocks(one.pool_id)
        if sum(len(clock) for clock in clocks.values()) > MOST_FLOWS:
            return None
        if one.scheduled and (one.scheduled_for is None or one.scheduled_for <= now):
            return None  # Some are due later, by their own clocks.
        flow, weight = flow_of(one.id, one.total, one.category, one.priority)
        waits = [self._wait(one.pool_id, flow, weight, *of_channel) for of_channel in self._own(one, flow)]
        if not waits or None in waits:
            return None
        start = max(now, one.scheduled_for or 0) if one.scheduled else now
        return start + int(max(wait for wait in waits if wait is not None) * 1e6)

    def _own(self, one: Queued, flow: Hashable) -> list[tuple[Channel, float, float]]:
        """(channel, segments of an operation's flow, how many of them no fair clock knows of) where there are any."""
        known = {}
        for channel in self._engine.roster.channels(one.pool_id):
            to_come = self._engine.expander.to_come(one.pool_id, channel).get(one.id, 0.0)
            own = self._engine.acceptor.fair_clock(one.pool_id, channel).waiting(flow) + to_come
            if own > 0:
                known[channel] = own
        # After a restart no flow is known; a message has at least one segment.
        rows = one.queued + one.scheduled - sum(known.values()) if flow == one.id else one.scheduled
        missing = dict.fromkeys(self._channels(one.pool_id)[:1], float(rows)) if rows > 0 else {}
        return [
            (channel, known.get(channel, 0.0) + missing.get(channel, 0.0), missing.get(channel, 0.0))
            for channel in {**known, **missing}
        ]

    def _wait(
        self, pool_id: int, flow: Hashable, weight: float, channel: Channel, own: float, missing: float
    ) -> float | None:
        """Seconds until *own* segments of a flow have left on a channel; None: nobody knows."""
        clock = self._engine.acceptor.fair_clock(pool_id, channel)
        segments = clock.before(flow, weight, own, self._engine.expander.to_come(pool_id, channel))
        # Rows of earlier runs, of whose flows nothing is known: they go first.
        unknown = self._engine.book.waiting_on(pool_id, channel) - clock.waiting_in_all()
        return self._seconds(pool_id, channel, segments + max(0.0, unknown - missing))

    def _seconds(self, pool_id: int, channel: Channel, segments: float) -> float | None:
        now = self._engine.clock.monotonic()
        capacity = self._capacities.get((pool_id, channel))
        if capacity is None or capacity.until <= now:
            capacity = self._capacities[pool_id, channel] = self._capacity(pool_id, channel, now)
        return seconds(segments, capacity.paces, capacity.capped)

    def _capacity(self, pool_id: int, channel: Channel, now: float) -> _Capacity:
        if len(self._capacities) > 1000:
            self._capacities.clear()
        paces: dict[int, float] = {}
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
