"""Deliver the events of one sink: read on as there is room, hand over by lanes, keep what is not taken as runs.

Nothing is written for an event that is taken: a sink's position says how far it has come, and only runs that it did
not take have rows. After a crash events after the position are handed over again, with the same ids.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from random import random
from typing import Protocol

import structlog

from sendpool.domain.delivery import (
    BATCH,
    GIVE_UP_AFTER,
    IN_PLACE,
    LANES,
    LINGER,
    Circuit,
    SinkStatus,
    pause,
    pause_in_place,
)
from sendpool.pipeline.clock import Clock
from sendpool.pipeline.notify.lane import Lane
from sendpool.pipeline.notify.tell import ToldEvent
from sendpool.store.deliveries import Progress, Run
from sendpool.store.sinks import WantedEvents

log = structlog.get_logger()

#: Makes progress durable; returns when it is.
Save = Callable[[Progress], Awaitable[None]]


class Handover(Protocol):
    """Hands a batch to a sink, once."""

    async def __call__(self, sink: WantedEvents, batch: Sequence[ToldEvent]) -> str | None:
        """None: the sink took it. Else why not, in words without secrets."""


class Delivery:
    """One sink."""

    def __init__(self, sink: WantedEvents, handover: Handover, save: Save, clock: Clock) -> None:
        self.sink = sink
        self._handover = handover
        self._save = save
        self._clock = clock
        batch = BATCH if sink.configuration.get("batch_events", True) else 1
        self._lanes = [Lane(number, self._deliver, batch) for number in range(LANES)]
        self._circuit = Circuit()
        self._probing = asyncio.Lock()
        #: Whether it has taken anything; and why the last was not taken.
        self._took = False
        self._why = ""
        #: Every event up to here has been put into a lane, or is of no interest.
        self.read = sink.position
        self._saved = sink.position
        #: When lanes were last told to hand over what they have (monotonic seconds).
        self._went = -LINGER
        #: Everything up to here was given up.
        self._given_up = 0
        self._status = sink.status
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to hand over."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(lane.run(), name=f"lane-{self.sink.sid}") for lane in self._lanes]

    async def stop(self) -> None:
        """End; what is under way may be handed over again by the next run."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def put(self, page: Sequence[ToldEvent], last: int, *, more: bool = False) -> None:
        """Put the events of a page into their lanes: those that the sink wants. *last*: the page's last position.

        Where there is *more* to read, batches that are not full wait for it a little.
        """
        account, types, read = self.sink.account_id, self.sink.types, self.read
        if page and page[0].position <= read:
            page = [event for event in page if event.position > read]
        wanted = [event for event in page if event.account_id == account and event.kind.name in types]
        by_lane: list[list[ToldEvent]] = [[] for _ in self._lanes]
        for event in wanted:
            by_lane[event.lane].append(event)
        filled = [(lane, events) for lane, events in zip(self._lanes, by_lane, strict=True) if events]
        if any(lane.full for lane, _ in filled):
            self.go()
        for lane, _ in filled:
            await lane.room()
        # All at once: a page that is cut short would be put in again from its beginning.
        for lane, events in filled:
            lane.put(events)
        self.read = max(self.read, last)
        if not more or self._clock.monotonic() >= self._went + LINGER:
            self.go()

    def go(self) -> None:
        """Hand over what waits in lanes, full batches or not."""
        self._went = self._clock.monotonic()
        for lane in self._lanes:
            lane.go()

    @property
    def position(self) -> int:
        """Everything up to here was taken, or is kept as a run."""
        oldest = [lane.oldest for lane in self._lanes]
        return min((position - 1 for position in oldest if position is not None), default=self.read)

    @property
    def down(self) -> bool:
        """Whether the sink takes nothing, so that only probes go out."""
        return self._circuit.open

    def progress(self) -> Progress | None:
        """What has changed since the last call; None: nothing."""
        position, status = self.position, self._status_now()
        if position == self._saved and status == self._status:
            return None
        positions = {} if position == self._saved else {self.sink.id: position}
        statuses = {} if status == self._status else {self.sink.id: status}
        self._saved, self._status = position, status
        return Progress(positions=positions, statuses=statuses)

    def _status_now(self) -> str:
        since = self._circuit.failing_since
        if since is not None and self._clock.monotonic() - since >= GIVE_UP_AFTER:
            return SinkStatus.FAILED.value
        waits = self._status in (SinkStatus.INITIALIZED.value, SinkStatus.FAILED.value)
        return SinkStatus.ACTIVE.value if waits and self._took and since is None else self._status

    # ------------------------------------------------------------ one batch

    async def _deliver(self, lane: int, batch: Sequence[ToldEvent]) -> None:
        """Hand a batch over; where it is not taken in its place, keep it as a run and let the lane go on."""
        tries, first_try = 0, self._clock.wall()
        while batch[-1].position > self._given_up:
            why = await self.offer(batch)
            if why is None:
                return
            tries += 1
            if self._too_old(batch[-1].at):
                await self._give_up()
                continue
            if tries >= IN_PLACE and not self._circuit.open:
                await self._keep(lane, batch, tries, first_try, why)
                return
            await asyncio.sleep(pause_in_place(tries, random()))

    async def offer(self, batch: Sequence[ToldEvent]) -> str | None:
        """Offer a batch once; None: it was taken. While the sink is down one at a time waits for its probe."""
        if not self._circuit.open:
            return await self._try(batch)
        given_up = self._given_up
        async with self._probing:
            if self._given_up > given_up:
                return "it was given up meanwhile"
            await asyncio.sleep(self._circuit.wait(self._clock.monotonic()))
            return await self._try(batch)

    async def _try(self, batch: Sequence[ToldEvent]) -> str | None:
        why = await self._handover(self.sink, batch)
        was_open = self._circuit.open
        if why is None:
            self._circuit.worked()
            self._took = True
        else:
            self._why = why
            self._circuit.failed(self._clock.monotonic(), random())
        if was_open != self._circuit.open:
            self._say(why)
        return why

    def _say(self, why: str | None) -> None:
        if why is None:
            log.info("sink is back", sink=self.sink.sid)
        else:
            log.warning("sink is down", sink=self.sink.sid, why=why)

    async def _keep(self, lane: int, batch: Sequence[ToldEvent], tries: int, since: int, why: str) -> None:
        next_at = self._clock.wall() + int(pause(tries, random()) * 1e6)
        run = Run(
            sink_id=self.sink.id,
            lane=lane,
            first=batch[0].position,
            last=batch[-1].position,
            tries=tries,
            since=since,
            next_at=next_at,
            error=why,
        )
        await self._save(Progress(runs=[run]))

    # ------------------------------------------------------------ giving up

    def _too_old(self, at: int) -> bool:
        return self._circuit.open and self._clock.wall() - at >= GIVE_UP_AFTER * 1e6

    async def _give_up(self) -> None:
        """Nothing was taken for four hours: what is as old, and has been read, is kept as given up."""
        first, last = max(self.position, self._given_up) + 1, self._last_too_old()
        if last < first:
            return
        now = self._clock.wall()
        run = Run(sink_id=self.sink.id, first=first, last=last, since=now, next_at=now, error=self._why, dead=True)
        await self._save(Progress(runs=[run]))
        self._given_up = last
        for lane in self._lanes:
            lane.drop(last)

    def _last_too_old(self) -> int:
        """The last position up to which everything in the lanes is too old."""
        limit = self._clock.wall() - int(GIVE_UP_AFTER * 1e6)
        young = [position for lane in self._lanes if (position := lane.first_since(limit)) is not None]
        return min(young) - 1 if young else self.read
