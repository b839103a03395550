"""Retain: remove what ended long enough ago, in small pieces that delay nobody.

A round takes what is old enough from its accounts, looks for what else belongs to it, and removes it, oldest first.
It reads beside the writer, commits little at a time, and then rests for a multiple of what that took. It may end
anywhere: the next one goes on.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import structlog

from sendpool.domain.retention import Span, lived_through
from sendpool.pipeline.engine import Engine
from sendpool.pipeline.settle import Changes
from sendpool.store import retention as store
from sendpool.store.database import Script
from sendpool.store.notices import old_notices, remove_notices
from sendpool.store.queue import next_due
from sendpool.store.retention import Keys
from sendpool.store.uptime import latest_spans, write_span
from sendpool.store.walks import Place

T = TypeVar("T")

log = structlog.get_logger()

DAY = 86_400.0
#: Seconds between looks at the clock, and between rounds; a short retention makes both shorter.
BEAT, EVERY = 60.0, 3600.0
#: Rows that one look beside the writer reads; keys of messages, and other rows, that one commit removes.
WINDOW, PIECE = 5_000, 500
#: Operations that one round takes, at most.
MOST = 100_000
#: How many times as long as a commit, and a look beside the writer, took nothing is done after it.
REST, GLANCE = 9.0, 2.0
#: Spans of uptime that are kept, at most.
SPANS = 1_000
#: Microseconds for which receipts are kept that never find their segment. Those that match do so within seconds.
PARKED = 3 * 86_400_000_000


class Lifetime:
    """The time that servers on this database have lived through, written down once a minute."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        #: (key, span), newest first.
        self._spans: list[tuple[int, Span]] = []
        #: Monotonic seconds of the last look; None: there was none in this process.
        self._seen: float | None = None

    async def beat(self, keep: int) -> None:
        """Note that time has passed; spans that are not needed for *keep* microseconds are forgotten."""
        clock = self._engine.clock
        now, at = clock.wall(), clock.monotonic()
        if self._seen is None:
            self._spans = await self._engine.database.read(latest_spans(SPANS))
        passed = None if self._seen is None else int((at - self._seen) * 1e6)
        key, span = self._spans[0] if self._spans else (0, Span(now, now))
        if self._spans and span.goes_on(now, passed):
            spans = [(key, span._replace(ended_at=now)), *self._spans[1:]]
        else:
            if self._spans:
                # An outage, or a clock that was set: nobody can tell, so this time makes nothing old.
                log.info("the clock is not where it was left", seconds=(now - span.ended_at) / 1e6)
            spans = [(key + 1, Span(now, now)), *self._spans]
        needed = [n for n in range(len(spans[:SPANS])) if lived_through([one for _, one in spans[:n]], keep) is None]
        left = len(needed)
        self._spans, self._seen = spans[:left], at
        await self._engine.settle(partial(_write_span, *spans[0], spans[left - 1][0] - 1))

    def is_due(self, at: float) -> bool:
        """Whether it is time to note again that time has passed."""
        return self._seen is None or at - self._seen >= BEAT

    def old(self, keep: int) -> int | None:
        """The moment (microseconds since 1970) since which *keep* microseconds were lived through, or None."""
        return lived_through([span for _, span in self._spans], keep)


def _write_span(key: int, span: Span, forget: int, changes: Changes) -> Script[None]:
    yield from write_span(key, span, forget)


class Retention:
    """Removes what ended more than so many days ago."""

    def __init__(self, engine: Engine, days: float) -> None:
        self._engine = engine
        self.days = days
        self.lifetime = Lifetime(engine)
        self._keep = int(days * DAY * 1e6)
        self._task: asyncio.Task[None] | None = None
        self._removed: Counter[str] = Counter()
        self._told_at = engine.clock.monotonic()

    def start(self) -> None:
        """Begin the rounds."""
        # Another node may have kept the time meanwhile: what this one remembers would be counted twice.
        self.lifetime = Lifetime(self._engine)
        self._task = asyncio.get_running_loop().create_task(self._run(), name="retention")

    async def stop(self) -> None:
        """End the rounds."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        monotonic = self._engine.clock.monotonic
        every = min(EVERY, self.days * DAY / 24)
        following = monotonic()
        while True:
            try:
                if monotonic() < following:
                    await self.lifetime.beat(self._keep)
                else:
                    more = await self.once()
                    following = monotonic() + (0.0 if more else every)
            except Exception as error:  # noqa: BLE001 - the next round may do better
                log.error("retention failed", error=str(error))
            self._tell()
            await asyncio.sleep(min(BEAT, every))

    async def once(self) -> bool:
        """One round. True: there was more than one round takes."""
        await self.lifetime.beat(self._keep)
        old = self.lifetime.old(self._keep)
        if old is None:
            return False
        due = await self._engine.database.read(next_due())
        if due is not None and due < old:
            return False  # Rows that should have been promoted long ago: first the sweep, which may end their messages.
        taken = await self._take(old)
        runs = merged(taken)
        if runs:
            await self._remove_segments(runs)
            for run in runs:
                await self._remove(run)
        await self._remove_small(old)
        return len(taken) >= MOST

    # ------------------------------------------------------------ operations

    async def _take(self, old: int) -> list[Keys]:
        taken = await self._read(store.taken_operations(MOST))
        place: Place | None = Place()
        while place is not None and len(taken) < MOST:
            found, place = await self._read(store.ended_operations(place, old, WINDOW))
            for piece in pieces(found):
                taken += await self._write(partial(store.take_from_accounts, piece, old))
        return taken

    async def _remove_segments(self, runs: Sequence[Keys]) -> None:
        spread, place = Keys(runs[0].first, runs[-1].last), Place()
        firsts = [run.first for run in runs]
        while True:
            found, following = await self._read(store.segments_between(place, spread, WINDOW))
            rows = [row for row in found if row[2] >> 6 <= runs[bisect_right(firsts, row[2] >> 6) - 1].last]
            for piece in pieces(rows):
                self._count(segments=await self._write(partial(store.remove_segments, piece)))
            if following is None:
                return
            place = following

    async def _remove(self, run: Keys) -> None:
        for keys in split(run):
            self._count(**(await self._write(partial(store.remove_messages, keys)))._asdict())
        for keys in split(run):
            self._count(**(await self._write(partial(store.remove_operations, keys)))._asdict())

    # ------------------------------------------------------------ what is small

    async def _remove_small(self, old: int) -> None:
        while spread := await self._read(old_notices(old, PIECE)):
            self._count(notices=await self._write(partial(remove_notices, *spread)))
        await self._remove_oldest("receipt", "receipts", self._engine.clock.wall() - PARKED, store.parked_before)
        await self._remove_oldest("pool_operation", "pool_operations", old, store.pool_operations_before)
        place: Place | None = Place()
        while place is not None:
            rows, place = await self._read(store.arrivals_before(place, old, WINDOW))
            for piece in pieces(rows):
                self._count(arrivals=await self._write(partial(store.remove_arrivals, piece, old)))
        oldest = await self._read(store.oldest_creation())
        if oldest is not None:
            await self._remove_scenes(oldest)
            await self._remove_pools(oldest, old)

    async def _remove_oldest(
        self, table: str, what: str, old: int, oldest: Callable[[int, int], Script[list[int]]]
    ) -> None:
        while rows := await self._read(oldest(old, PIECE)):
            self._count(**{what: await self._write(partial(store.remove_by_key, table, rows))})

    async def _remove_scenes(self, oldest: int) -> None:
        while numbers := await self._read(store.scenes_before(oldest, PIECE)):
            self._count(scenes=await self._write(partial(store.remove_by_key, "scene", numbers)))
            self._engine.planner.scenes.forget(numbers)

    async def _remove_pools(self, oldest: int, old: int) -> None:
        dead = await self._read(store.dead_pools(oldest, old, PIECE))
        if dead:
            # As a change, so that the pools are gone from memory too.
            queues = await self._engine.change(partial(store.remove_pools, dead))
            self._engine.book.forget(queues)

    # ------------------------------------------------------------ pace and figures

    async def _read(self, script: Script[T]) -> T:
        """Look at something beside the writer, then rest."""
        monotonic = self._engine.clock.monotonic
        began = monotonic()
        brought = await self._engine.database.read(script)
        await asyncio.sleep(GLANCE * (monotonic() - began))
        return brought

    async def _write(self, script: Callable[[], Script[T]]) -> T:
        """Run a small script in the next commit, then rest."""
        brought: list[T] = []

        def stage(changes: Changes) -> Script[None]:
            brought.append((yield from script()))

        monotonic = self._engine.clock.monotonic
        began = monotonic()
        await self._engine.settle(stage)
        await asyncio.sleep(REST * (monotonic() - began))
        if self.lifetime.is_due(monotonic()):
            await self.lifetime.beat(self._keep)
        return brought[-1]

    def _count(self, **rows: int) -> None:
        for what, number in rows.items():
            if number:
                self._removed[what] += number
                self._engine.metrics.removed(what).inc(number)

    def _tell(self) -> None:
        """Say once a day what went."""
        now = self._engine.clock.monotonic()
        if now - self._told_at >= DAY:
            self._told_at = now
            if self._removed:
                log.info("removed what ended long ago", days=self.days, **self._removed)
                self._removed.clear()


def merged(runs: Iterable[Keys]) -> list[Keys]:
    """Runs in order, neighbours in one."""
    found: list[Keys] = []
    for run in sorted(runs):
        if found and run.first <= found[-1].last + 1:
            found[-1] = Keys(found[-1].first, max(found[-1].last, run.last))
        else:
            found.append(run)
    return found


def split(run: Keys) -> Iterator[Keys]:
    """A run in pieces that one commit removes."""
    for first in range(run.first, run.last + 1, PIECE):
        yield Keys(first, min(first + PIECE - 1, run.last))


def pieces(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Rows in pieces that one commit removes."""
    for start in range(0, len(rows), PIECE):
        yield rows[start : start + PIECE]
