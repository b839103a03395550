"""Sweep: what no other stage is woken for. Each round looks, and puts into the next commit what it found (`upkeep`):
what became due, what one sender has kept waiting, what is over its deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial

import structlog

from sendpool.connectors.registry import carrier_name
from sendpool.domain.sender import Channel
from sendpool.pipeline.begun import BegunKeeper, Name, forget, rescue
from sendpool.pipeline.due import DueMark
from sendpool.pipeline.engine import Engine
from sendpool.pipeline.expand import MOST_DUE
from sendpool.pipeline.gauges import Gauges
from sendpool.pipeline.keep import Keeper
from sendpool.pipeline.lanes import Lanes
from sendpool.pipeline.leave import timed_queues
from sendpool.pipeline.replan import Sooner, stuck_lanes
from sendpool.pipeline.settle import Changes
from sendpool.pipeline.strays import StrayKeeper
from sendpool.pipeline.upkeep import (
    AT_ONCE,
    Step,
    as_keeper,
    begin,
    end_lingering,
    end_orphans,
    end_overdue,
    forget_old_counts,
    forget_old_keys,
    keep_learned,
    leave_lanes,
    leave_stuck,
    leave_timed,
    look_at_held,
    match_again,
    promote,
)
from sendpool.store.chunks import chunks_of, expanding_operations, rows_due
from sendpool.store.codes import known_codes
from sendpool.store.database import Script
from sendpool.store.limits import load_learned
from sendpool.store.numbers import first_block
from sendpool.store.queue import (
    all_queues,
    count_waiting,
    lowest_ranks,
)
from sendpool.store.schedule import (
    due_scheduled,
)
from sendpool.store.upkeep import (
    lingering_rows,
    waiting_by_account,
)
from sendpool.store.walks import Place

log = structlog.get_logger()

#: Seconds between rounds; rows that are not due yet wake the sweep earlier.
EVERY = 1.0
SHORTEST_PAUSE = 0.02
#: Rounds between the rarer looks.
RARELY = 5
#: What the pause after counting the backlog or walking on through it is, at least, in terms of what that took.
COUNTING_PAUSE = 20
#: Seconds after which receipts of attempts made before are matched by the store, which knows what is closed. Less than
#: the hour after which a message may be.
FORGET_AWAITED = 1_800.0


def _nothing(changes: Changes) -> Script[None]:
    yield from ()


class Sweeper:
    """Runs the rounds. Everything it does goes through the engine's next batch."""

    def __init__(self, engine: Engine, name: Name = carrier_name) -> None:
        """*name* tells the carrier ids of attempts as `rescue` wants them."""
        self._engine = engine
        self._name = name
        self._gauges = Gauges(engine)
        self._keeper = Keeper(engine)
        self._task: asyncio.Task[None] | None = None
        self._round = 0
        #: Where the walk through all queue rows stands.
        self._place = Place()
        self._strays = StrayKeeper(engine)
        self._begun = BegunKeeper(engine.database, engine.clock)
        self._due = DueMark(engine.database, engine.clock)
        self._forgot_at = engine.clock.monotonic()
        #: Monotonic seconds before which the backlog is not counted again, and the walk does not go on.
        self._count_at = self._walk_at = 0.0
        #: Look for operations to expand, at all queues, and at who has opted out, in the next round.
        self._adopting = self._looking = self._relearning = False

    async def recover(self) -> None:
        """Before anything is sent: know the queues and open operations of an earlier run, settle what it left."""
        engine = self._engine
        engine.acceptor.numbers.add(await engine.database.write(first_block))
        await self._count_backlog()
        engine.book.load(await engine.database.read(all_queues()))
        if engine.book.keys:
            for queue_id, rows in (await engine.database.read(count_waiting(list(engine.book.keys)))).items():
                engine.book.add(queue_id, rows)
        engine.limiter.learned = await engine.database.read(load_learned())
        engine.codes.load(await engine.database.read(known_codes()))
        await engine.consent.load(engine.database)
        await engine.quarantine.load(engine.database)
        # A new message starts level with what waits, not before all of it.
        await self._catch_up()
        await engine.flagging.look(engine.database)
        if engine.fence.shared:
            return  # What others left is settled when their leases are taken, and expanded by the keeper.
        # Where others write too, what is started may be under way at one of them: the end of its lease tells.
        while not engine.database.shared and (
            rescued := await engine.database.write(lambda: engine.committing.settled(partial(rescue, name=self._name)))
        ):
            log.warning("attempts of unknown fate found after an unclean end", attempts=rescued)
        await self._adopt()

    async def _adopt(self) -> None:
        """Know the operations that have chunks left."""
        engine = self._engine
        for key, pool_id, *_, priority in await engine.database.read(expanding_operations()):
            if not engine.expander.knows(key):
                engine.expander.load(key, pool_id, await engine.database.read(chunks_of(key)), priority)

    def keep(self, keeps: bool) -> None:
        """Do from now on what is to be done once for all (there may be more of it); or do it no more."""
        self._adopting = keeps
        if keeps:
            self._engine.soon.set()
        else:
            self._engine.expander.forget_all()

    def learn_consent(self) -> None:
        """Somebody has opted out at another process."""
        self._relearning = True
        self._engine.soon.set()

    def look(self) -> None:
        """Other processes have put rows into queues."""
        self._looking = True
        self._engine.soon.set()

    def start(self) -> None:
        """Begin the rounds."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="sweep")
        self._keeper.start()

    async def stop(self) -> None:
        """End the rounds."""
        await self._keeper.stop()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                await self.once()
                due = await self._next_due()
            except Exception as error:  # noqa: BLE001 - the next round may do better
                log.error("sweep failed", error=str(error))
                due = None
            wait = EVERY if due is None else (due - self._engine.clock.wall()) / 1e6
            await self._pause(min(EVERY, wait))

    async def _next_due(self) -> int | None:
        times = (await self._due.next(), self._engine.expander.next_release())
        return min((due for due in times if due is not None), default=None)

    async def _pause(self, seconds: float) -> None:
        """Wait so long, or until something is accepted that is due before that."""
        await asyncio.sleep(SHORTEST_PAUSE)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._engine.soon.wait(), max(0.0, seconds - SHORTEST_PAUSE))
        self._engine.soon.clear()

    async def once(self) -> None:
        """One round."""
        engine = self._engine
        if engine.fence.shared and (engine.fence.company or self._looking):
            self._looking = False
            await self._look_at_others()
        await self._look_below()
        if engine.fence.shared and (self._relearning or self._round % RARELY == 0):
            self._relearning = False
            await engine.consent.refresh(engine.database, engine.clock.wall())
            await engine.quarantine.refresh(engine.database)
        if self._round % RARELY == 0 and engine.consent.crowded:
            await engine.consent.load(engine.database, lambda: engine.settle(_nothing))
        if self._round % RARELY == 0 and engine.quarantine.crowded:
            await engine.quarantine.load(engine.database)
        if engine.flagging.paused or self._round % RARELY == 0:
            await engine.flagging.look(engine.database)
        steps = await self._steps_for_all() if engine.fence.keeper else []
        limiter = engine.limiter
        if limiter.release:
            limiter.release = False
            steps.insert(0, look_at_held)
        if limiter.unsaved:
            steps.append(partial(keep_learned, learned=limiter.take_unsaved()))
        lanes = self._lanes()
        if lanes:
            steps.append(partial(leave_lanes, engine=engine, lanes=lanes))
        if self._round % RARELY == 0:
            await self._look_at_queues()
            await self._look_at_mixed()
            self._forget_awaited()
        if self._round % RARELY == 0 or engine.backlog.refused:
            await self._count_backlog()
        self._round += 1
        engine.sweep(*steps)

    async def _steps_for_all(self) -> list[Step]:
        """What one process does for all. Each step asks in its commit whether that is still this one."""
        engine = self._engine
        if self._adopting:
            self._adopting = False
            await self._adopt()
        await self._begin()
        steps: list[Step] = [partial(promote, engine=engine, first=self._due.first)]
        over = await self._begun.over()
        if over:
            steps.append(partial(forget, entries=over))
        stuck = stuck_lanes(engine.book, engine.roster)
        if stuck:
            steps.append(partial(leave_stuck, engine=engine, queue_ids=stuck))
        timed = timed_queues(engine.book.busy(), engine.book, engine.roster)
        if timed:
            steps.append(partial(leave_timed, engine=engine, queues=timed))
        engine.expander.hurry_orphans()
        orphans = self._orphans()
        if orphans:
            steps.append(partial(end_orphans, queue_ids=orphans))
        if self._round % RARELY == 0:
            steps += [match_again, partial(end_overdue, engine=engine), forget_old_keys, forget_old_counts]
            steps += await engine.quarantine.tidy(engine.database)
            await self._look_at_rows()
            await self._strays.look()
        epoch = engine.fence.has_epoch()
        return [partial(as_keeper, step, engine.fence, epoch) for step in steps] if engine.fence.shared else steps

    async def _look_at_others(self) -> None:
        """What other processes have queued, claimed and expanded; the net below what they tell."""
        engine = self._engine
        engine.book.load(await engine.database.read(all_queues(), one=True))
        quiet = engine.book.quiet()
        asked = count_waiting(quiet, first=engine.book.heads.first())
        counts = await engine.database.read(asked, one=True) if quiet else {}
        for queue_id, rows in counts.items():
            engine.book.add(queue_id, rows)
        await self._catch_up()
        if engine.fence.keeper and (operations := engine.expander.operations()):
            engine.expander.count(await engine.database.read(rows_due(operations), one=True))
        await self._look_at_mixed()
        engine.wake()

    async def _look_at_mixed(self) -> None:
        """How much is due for whom of operations that not everybody takes all of."""
        engine = self._engine
        if queues := engine.expander.mixed_queues():
            found = await engine.database.read(count_waiting(queues, MOST_DUE, engine.book.heads.first()))
            engine.expander.bound(found)
            engine.wake()

    async def _look_below(self) -> None:
        """Rows below the marks, which only a look finds."""
        engine = self._engine
        found = await engine.book.heads.look(engine.database, engine.clock.monotonic)
        for queue_id, places in found.items():
            engine.book.add(queue_id, max(0, len(places) - engine.book.waiting(queue_id)))
        if found:
            engine.wake()

    async def _catch_up(self) -> None:
        """Fair clocks stand no lower than what waits first: other processes claim too."""
        book = self._engine.book
        ranks = await self._engine.database.read(lowest_ranks(list(book.keys), book.heads.seen()), one=True)
        book.heads.saw(ranks)
        self._engine.acceptor.level(ranks)

    async def _begin(self) -> None:
        """Queue what was scheduled and is due now."""
        engine = self._engine
        now = engine.clock.wall()
        due = await engine.database.read(due_scheduled(now, AT_ONCE, self._due.first), one=True)
        chunks = engine.expander.held_until(now)
        if due or chunks:
            # Ranks are given here: fair clocks belong to the event loop.
            await engine.settle(partial(begin, rows=engine.acceptor.begin(due), due=due, chunks=chunks))
            engine.expander.release(chunks)
            engine.wake()

    def _lanes(self) -> list[tuple[int, float]]:
        """Lanes whose rows somebody else may get to first, with their grace: none for a sender that is gone, stopped or
        cut off. Another one begins each round, since a round looks at so many rows only.
        """
        engine = self._engine
        sooner = Sooner(engine.committing.bench(engine.clock.wall()))
        found = []
        for queue_id, key in engine.book.lanes():
            channel, sender_id = Channel(key.channel), int(key.lane)
            named = engine.roster.senders.get(sender_id)
            if engine.fence.leaves_to(named.connection_id if named else 0):
                continue
            lanes = engine.roster.lanes(key.pool_id, channel)
            grace = self._grace(lanes, sender_id)
            full = grace > 0 and not engine.sending.has_room(sender_id)
            if not grace or full or sooner.than(sender_id, key.pool_id, channel, engine.book.waiting(queue_id)):
                found.append((queue_id, grace))
        turn = self._round % len(found) if found else 0
        return found[turn:] + found[:turn]

    def _grace(self, lanes: Lanes, sender_id: int) -> float:
        """Seconds that rows wait for this sender."""
        grace = lanes.choice.grace
        there = sender_id in lanes.tier_of
        return (
            grace if there and self._engine.sending.free_at(sender_id) <= self._engine.clock.monotonic() + grace else 0
        )

    def _orphans(self) -> list[int]:
        roster = self._engine.roster
        return [
            self._engine.book.number(pool_id, channel, key.lane)
            for pool_id, channel, keys in self._engine.book.pools()
            if (pool := roster.pools.get(pool_id)) is not None and pool.deleted
            if not roster.members(pool_id, channel)
            for key in keys
        ]

    async def _look_at_rows(self) -> None:
        """Walk through the rows in queues, some at a time, and take out what is not to be sent any more."""
        engine, clock = self._engine, self._engine.clock.monotonic
        now, began = engine.clock.wall(), clock()
        if began < self._walk_at:
            return
        rows, place = await engine.database.read(lingering_rows(self._place, now, AT_ONCE))
        self._place = place or Place()
        self._walk_at = clock() + COUNTING_PAUSE * (clock() - began)
        if rows:
            await engine.settle(partial(end_lingering, rows=rows))
            for row in rows:
                engine.book.add(row.queue_id, -1)

    def _forget_awaited(self) -> None:
        engine = self._engine
        if engine.clock.monotonic() - self._forgot_at >= FORGET_AWAITED:
            self._forgot_at = engine.clock.monotonic()
            for link in engine.sending.links.values():
                link.forget_awaited()

    async def _count_backlog(self) -> None:
        """Count what waits of each account; the longer that takes, the more rarely."""
        engine, clock = self._engine, self._engine.clock.monotonic
        began = clock()
        if began < self._count_at:
            return
        mark = engine.backlog.mark()
        waiting = await engine.database.read(waiting_by_account())
        engine.backlog.counted(waiting, mark)
        engine.metrics.waiting(sum(waiting.values()))
        self._count_at = clock() + COUNTING_PAUSE * (clock() - began)

    async def _look_at_queues(self) -> None:
        """The net behind the hints in memory, and how things stand for who watches them."""
        engine = self._engine
        engine.sending.forget()
        quiet = engine.book.quiet()
        # A lane that no sender claims is refuted by no claim either.
        left = [queue_id for queue_id, grace in self._lanes() if not grace]
        first = engine.book.heads.first()
        counts = await engine.database.read(count_waiting(quiet, first=first)) if quiet else {}
        held = await engine.database.read(count_waiting(left, most=1, first=first)) if left else {}
        for queue_id in quiet:
            # What has come in since they were asked about is known, and may be among what was counted.
            if not engine.book.waiting(queue_id):
                engine.book.add(queue_id, counts.get(queue_id, 0))
        for queue_id in left:
            if queue_id not in held:
                engine.book.empty(queue_id)
        await self._gauges.show()
