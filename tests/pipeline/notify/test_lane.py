"""Lanes hand over full batches as they come, and what is less when they are told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tests.pipeline.worlds import virtually

from sendpool.domain.delivery import BATCH, LINGER
from sendpool.domain.event_types import OF_MESSAGES
from sendpool.pipeline.clock import Clock
from sendpool.pipeline.notify.delivery import Delivery
from sendpool.pipeline.notify.lane import ROOM, Lane
from sendpool.pipeline.notify.tell import ToldEvent
from sendpool.store.deliveries import Progress
from sendpool.store.sinks import WantedEvents

MOST = 10
KIND = OF_MESSAGES[1]
SINK = WantedEvents(
    id=1,
    sid="DG1",
    account_id=1,
    account_sid="AC1",
    type="webhook",
    status="active",
    configuration={},
    token="",
    secrets=(),
    position=0,
    types=frozenset({KIND.name}),
    test_id="",
)


def events(first: int, count: int, lane: int = 0) -> list[ToldEvent]:
    return [ToldEvent(position, 1, KIND, lane, 0, None, b"{}") for position in range(first, first + count)]


class Taken:
    """What a lane has handed over, batch by batch."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.positions: list[int] = []
        #: Set while the sink takes what it is given.
        self.takes = asyncio.Event()
        self.takes.set()

    async def deliver(self, lane: int, batch: Sequence[ToldEvent]) -> None:
        await self.takes.wait()
        self.batches.append(len(batch))
        self.positions += [event.position for event in batch]


@asynccontextmanager
async def a_lane() -> AsyncIterator[tuple[Lane, Taken]]:
    taken = Taken()
    lane = Lane(0, taken.deliver, MOST)
    running = asyncio.create_task(lane.run())
    yield lane, taken
    running.cancel()
    await asyncio.wait([running])


@virtually
async def test_full_batches_go_and_the_rest_waits_until_it_is_told_to_go() -> None:
    async with a_lane() as (lane, taken):
        lane.put(events(1, 2 * MOST + 3))
        await asyncio.sleep(60)
        assert taken.batches == [MOST, MOST]
        lane.go()
        await asyncio.sleep(1)
        assert taken.batches == [MOST, MOST, 3]
        assert taken.positions == list(range(1, 24))
        assert lane.oldest is None


@virtually
async def test_what_is_told_to_go_while_a_batch_is_under_way_goes_after_it_with_what_has_come_since() -> None:
    async with a_lane() as (lane, taken):
        taken.takes.clear()
        lane.put(events(1, MOST))
        await asyncio.sleep(1)
        lane.put(events(11, 2))
        lane.go()
        lane.put(events(13, 2))
        taken.takes.set()
        await asyncio.sleep(1)
        assert taken.batches == [MOST, 4]


@virtually
async def test_what_was_dropped_is_not_told_to_go() -> None:
    async with a_lane() as (lane, taken):
        taken.takes.clear()
        lane.put(events(1, MOST))
        await asyncio.sleep(1)
        lane.put(events(11, 3))
        lane.go()
        lane.drop(13)
        taken.takes.set()
        await asyncio.sleep(1)
        assert taken.batches == [MOST]
        lane.put(events(14, 1))
        await asyncio.sleep(60)
        assert taken.batches == [MOST]
        lane.go()
        await asyncio.sleep(1)
        assert taken.batches == [MOST, 1]


@virtually
async def test_room_comes_back_as_batches_leave() -> None:
    async with a_lane() as (lane, taken):
        taken.takes.clear()
        lane.put(events(1, ROOM + MOST))
        await asyncio.sleep(1)
        waiting = asyncio.create_task(lane.room())
        await asyncio.sleep(1)
        assert lane.full
        assert not waiting.done()
        taken.takes.set()
        await asyncio.wait_for(waiting, 1)


class Place:
    """A sink that takes every batch; where it hangs, it never answers to the first."""

    def __init__(self, *, hangs: bool = False) -> None:
        self.seen: list[int] = []
        self._hangs = hangs

    async def hand_over(self, sink: WantedEvents, batch: Sequence[ToldEvent]) -> str | None:
        if self._hangs:
            self._hangs = False
            await asyncio.Event().wait()
        self.seen += [event.position for event in batch]
        return None


async def save(progress: Progress) -> None:
    raise AssertionError(f"nothing is to be saved: {progress}")


@asynccontextmanager
async def a_delivery(sink: Place) -> AsyncIterator[Delivery]:
    clock = Clock(asyncio.get_running_loop().time, lambda: 0)
    delivery = Delivery(SINK, sink.hand_over, save, clock)
    delivery.start()
    yield delivery
    await delivery.stop()


@virtually
async def test_a_lane_that_has_no_room_keeps_nothing_of_the_others_back() -> None:
    sink = Place(hangs=True)
    async with a_delivery(sink) as delivery:
        await delivery.put(events(1, BATCH + ROOM), BATCH + ROOM, more=True)
        await asyncio.sleep(0)
        await delivery.put(events(2_001, 3, lane=1), 2_003, more=True)
        assert sink.seen == []
        putting = asyncio.create_task(delivery.put(events(2_004, 1), 2_004, more=True))
        await asyncio.sleep(1)
        assert sink.seen == [2_001, 2_002, 2_003]
        assert not putting.done()
        assert delivery.position == 0
        putting.cancel()


@virtually
async def test_while_there_is_more_to_read_what_fills_no_batch_waits_only_for_a_moment() -> None:
    sink = Place()
    async with a_delivery(sink) as delivery:
        await delivery.put(events(1, 1), 1, more=True)
        for position in range(2, 100):
            await asyncio.sleep(LINGER / 10)
            await delivery.put(events(position, 1), position, more=True)
            assert position - len(sink.seen) <= 11
