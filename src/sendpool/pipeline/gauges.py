"""Show how things stand every few seconds: what waits and how long, what is in doubt, what holds the database up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sendpool.domain import ids
from sendpool.store.deliveries import SinkLag, sink_lags
from sendpool.store.horizon import held_horizon
from sendpool.store.upkeep import Doubts, count_doubts, oldest_due

if TYPE_CHECKING:
    from sendpool.pipeline.engine import Engine

#: Pools that are shown by name: those with most waiting. A series for each of thousands would be too many.
NAMED_POOLS = 20
#: What pools without a name, which stand for a sender or an account, are together; and those that are not among the
#: first.
DIRECT, OTHER = "direct", "other"


class Gauges:
    """Sets what no event sets. Reads beside the writer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        #: Labels of pools that were shown last.
        self._pools: set[str] = set()
        #: Connections and named scopes whose pace was shown last.
        self._paces: set[str] = set()
        #: Sinks that were shown last.
        self._sinks: set[str] = set()

    async def show(self) -> None:
        """Look once. Raises `DatabaseAway`."""
        engine, metrics = self._engine, self._engine.metrics
        await self._show_queues()
        for link in engine.sending.links.values():
            metrics.in_flight(link.name).set(link.in_flight)
        self._show_paces()
        await self._show_sinks()
        doubts: Doubts = await engine.database.read(count_doubts())
        oldest = doubts.oldest_receipt
        age = 0.0 if oldest is None else (engine.clock.wall() - oldest) / 1e6
        metrics.doubts(doubts.ambiguous, doubts.receipts, max(0.0, age))
        held = await held_horizon(engine.database)
        if held is not None:
            metrics.held(held.transactions, held.seconds)

    def _show_paces(self) -> None:
        """What connections and named scopes with a pace of their own allow now; senders would be too many."""
        sending, now = self._engine.sending, self._engine.clock.monotonic()
        buckets = {link.name: link.bucket for link in sending.links.values()}
        buckets |= {f"scope:{name}": bucket for name, bucket in sending.limiter.scopes.items()}
        paces = {name: bucket.rate(now) for name, bucket in buckets.items() if bucket.mps is not None}
        for name in self._paces - paces.keys():
            self._engine.metrics.throughput.forget(name)
        for name, pace in paces.items():
            self._engine.metrics.throughput(name).set(pace)
        self._paces = set(paces)

    async def _show_sinks(self) -> None:
        """How far sinks are behind; one that is gone, or has no subscription left, is not shown any more."""
        metrics, now = self._engine.metrics, self._engine.clock.wall()
        lags: list[SinkLag] = await self._engine.database.read(sink_lags())
        for sid in self._sinks - {lag.sid for lag in lags}:
            for gauge in (metrics.sink_down, metrics.sink_dead, metrics.sink_age):
                gauge.forget(sid)
            for outcome in ("taken", "refused"):
                metrics.events.forget(sid, outcome)
        for lag in lags:
            metrics.sink_down(lag.sid)  # There, though it has never been down.
            metrics.sink_dead(lag.sid).set(lag.dead)
            metrics.sink_age(lag.sid).set(0.0 if lag.oldest is None else max(0.0, (now - lag.oldest) / 1e6))
        self._sinks = {lag.sid for lag in lags}

    async def _show_queues(self) -> None:
        engine = self._engine
        waiting = [queue_id for queue_id in list(engine.book.keys) if engine.book.waiting(queue_id)]
        due = dict(await engine.database.read(oldest_due(waiting, engine.book.heads.first()))) if waiting else {}
        now = engine.clock.wall()
        depths: Counter[int] = Counter()
        ages: dict[int, float] = {}
        for queue_id in waiting:
            key = engine.book.keys.get(queue_id)
            if key is not None:
                depths[key.pool_id] += engine.book.waiting(queue_id)
                age = max(0.0, (now - due.get(queue_id, now)) / 1e6)
                ages[key.pool_id] = max(age, ages.get(key.pool_id, 0.0))
        engine.metrics.queue(engine.book.total(), max(ages.values(), default=0.0))
        self._show_pools(depths, ages)

    def _show_pools(self, depths: Counter[int], ages: Mapping[int, float]) -> None:
        metrics = self._engine.metrics
        shown: Counter[str] = Counter()
        oldest: dict[str, float] = {}
        named = 0
        for pool_id, depth in depths.most_common():
            label = self._label(pool_id)
            if label != DIRECT:
                named += 1
                label = label if named <= NAMED_POOLS else OTHER
            shown[label] += depth
            oldest[label] = max(ages[pool_id], oldest.get(label, 0.0))
        for label in self._pools - shown.keys():
            metrics.pool_depth.forget(label)
            metrics.pool_age.forget(label)
        for label, depth in shown.items():
            metrics.pool_depth(label).set(depth)
            metrics.pool_age(label).set(oldest[label])
        self._pools = set(shown)

    def _label(self, pool_id: int) -> str:
        pool = self._engine.roster.pools.get(pool_id)
        return DIRECT if pool is None or pool.hidden else ids.encode(ids.POOL, pool.uid)
