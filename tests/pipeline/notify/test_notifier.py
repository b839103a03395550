"""Nothing is missed, whatever sinks do; one sink's trouble is nobody else's; a message's events keep their order."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tests.pipeline.carriers import Carrier
from tests.pipeline.notify.sinks import Place, Sinks, until
from tests.pipeline.worlds import Line, World, everyone, virtually, world

from sendpool.domain.event_types import PREFIX
from sendpool.store.database import Query, Script
from sendpool.store.deliveries import Run, dead_runs, replay, sink_states

SENDER = "+12030000001"
#: Of each delivered message: queued, sent, delivered; of each operation: processing, completed.
EACH, OF_OPERATION = 3, 2


@asynccontextmanager
async def sending(fresh: Path) -> AsyncIterator[tuple[World, Sinks]]:
    async with world(fresh, False, a=Line(Carrier(), {SENDER: 1_000})) as w:
        # Nothing here needs it, and it looks every second of hours.
        await w.sweeper.stop()
        sinks = Sinks(w.store, w.engine.clock)
        yield w, sinks
        await sinks.crash()


def _count() -> Script[int]:
    rows = yield Query("SELECT count(*) FROM event")
    return int(rows[0][0])


@virtually
async def test_every_event_reaches_every_sink_once_in_the_order_of_its_message(fresh: Path) -> None:
    async with sending(fresh) as (w, sinks):
        first, second = await sinks.add(), await sinks.add(types=[f"{PREFIX}message.delivered"])
        sinks.start()
        await w.send(*everyone(400))
        await until(lambda: len(first.seen) == 400 * EACH + OF_OPERATION and len(second.seen) == 400, 60)
        await asyncio.sleep(5)

    assert set(first.seen.values()) == set(second.seen.values()) == {1}
    assert {event["type"] for event in second.order} == {f"{PREFIX}message.delivered"}
    assert in_order(first.order)


async def is_active(sinks: Sinks, place: Place) -> bool:
    return await sinks.status(place) == "active"


def has(place: Place, events: int) -> bool:
    return len(place.seen) == events


def in_order(events: list[dict[str, Any]]) -> bool:
    """Whether the events of each message came in their order."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for event in events:
        subject, _, number = event["id"].rpartition(".")
        numbers[subject].append(int(number))
    return all(found == sorted(found) for found in numbers.values())


@virtually
async def test_a_sink_that_fails_every_tenth_time_and_stalls_misses_nothing(fresh: Path) -> None:
    async with sending(fresh) as (w, sinks):
        place = await sinks.add()
        place.answer = lambda n: "it answered 500" if n % 10 == 3 else None
        place.takes = lambda n: 5.0 if n % 100 == 50 else 0.01
        sinks.start()
        for _ in range(20):
            await w.send(*everyone(100))
        await until(lambda: len(place.seen) == 20 * (100 * EACH + OF_OPERATION), 600)

    assert set(place.seen.values()) == {1}


@virtually
async def test_a_sink_that_is_down_for_an_hour_catches_up_and_starves_nobody(fresh: Path) -> None:
    async with sending(fresh) as (w, sinks):
        down, up = await sinks.add(), await sinks.add()
        loop = asyncio.get_running_loop()
        down.answer = lambda n: None if loop.time() > 3_700 else "no connection"
        sinks.start(look=1)
        wanted = 0
        for _ in range(30):
            await w.send(*everyone(200))
            wanted += 200 * EACH + OF_OPERATION
            await until(partial(has, up, wanted), 10)
            await asyncio.sleep(120)
        offered = down.offers
        await until(lambda: len(down.seen) == wanted, 120)

    # Probes: a few a minute.
    assert offered < 400
    assert set(down.seen.values()) == {1}
    assert in_order(down.order)


@virtually
async def test_one_batch_that_is_never_taken_holds_up_no_other(fresh: Path) -> None:
    async with sending(fresh) as (w, sinks):
        place = await sinks.add(batch=False)
        taken = place.take

        async def choosy(batch: Any) -> str | None:
            return "it answered 422" if batch[0].position == 5 else await taken(batch)

        place.take = choosy  # type: ignore[method-assign]
        sinks.start(look=10)
        await w.send(*everyone(100))
        await until(lambda: len(place.seen) == 100 * EACH + OF_OPERATION - 1, 60)
        (state,) = await w.store.read(sink_states())
        assert (state.waiting, state.dead, state.error) == (1, 0, "it answered 422")

        await asyncio.sleep(5 * 3600)
        (state,) = await w.store.read(sink_states())
        assert (state.waiting, state.dead) == (0, 1)

        place.take = taken  # type: ignore[method-assign]
        (dead,) = await w.store.read(dead_runs(None, 10))
        now = w.engine.clock.wall()
        again = Run(sink_id=dead.sink_id, lane=dead.lane, first=dead.first, last=dead.last, since=now, next_at=now)
        await w.store.write(replay(again))
        await until(lambda: len(place.seen) == 100 * EACH + OF_OPERATION, 30)


@virtually
async def test_what_a_dead_sink_did_not_take_in_four_hours_is_given_up_and_can_be_replayed(fresh: Path) -> None:
    async with sending(fresh) as (w, sinks):
        place = await sinks.add()
        place.answer = lambda n: "no connection"
        sinks.start(look=10)
        await w.send(*everyone(300))
        await until(lambda: place.offers > 5, 60)
        await asyncio.sleep(4 * 3600 + 120)
        total = await w.store.read(_count())
        (state,) = await w.store.read(sink_states())
        assert (state.status, state.behind, state.dead) == ("failed", 0, total)

        place.answer = lambda n: None
        await w.send(*everyone(10))
        await until(lambda: len(place.seen) == 10 * EACH + OF_OPERATION, 120)
        await until(partial(is_active, sinks, place), 5)

        now = w.engine.clock.wall()
        await w.store.write(replay(Run(sink_id=1, first=1, last=total, since=now, next_at=now)))
        await until(lambda: len(place.seen) == 310 * EACH + 2 * OF_OPERATION, 60)
        await asyncio.sleep(2)
        (state,) = await w.store.read(sink_states())

    assert (state.waiting, state.dead) == (0, 0)
    assert set(place.seen.values()) == {1}


@virtually
async def test_after_a_crash_nothing_is_missing_and_what_comes_twice_has_the_same_id(fresh: Path) -> None:
    async with sending(fresh) as (w, sinks):
        place = await sinks.add()
        place.takes = lambda n: 0.3
        wanted = 0
        for _ in range(5):
            sinks.start()
            await w.send(*everyone(100))
            wanted += 100 * EACH + OF_OPERATION
            await asyncio.sleep(1.7)
            await sinks.crash()
        sinks.start()
        await until(lambda: len(place.seen) == wanted, 60)

    assert len(place.seen) == wanted


@virtually
async def test_a_subscription_gets_what_happens_from_its_first_moment_on_and_nothing_of_others(fresh: Path) -> None:
    async with sending(fresh) as (w, sinks):
        other = await sinks.add(account_id=2)
        sinks.start()
        await w.send(*everyone(5))
        await w.until_states(DELIVERED=5)
        place = await sinks.add()
        await w.send(*everyone(5))
        await until(lambda: len(place.seen) == 5 * EACH + OF_OPERATION, 10)
        await asyncio.sleep(2)

    assert len(place.seen) == 5 * EACH + OF_OPERATION
    assert not other.seen


@virtually
async def test_an_event_at_a_quiet_time_is_handed_over_at_once(fresh: Path) -> None:
    async with sending(fresh) as (w, sinks):
        place = await sinks.add(types=[f"{PREFIX}message.queued"])
        sinks.start()
        await asyncio.sleep(3)
        began = w.now
        await w.send(*everyone(1))
        await until(lambda: len(place.seen) == 1, 5)

    assert w.now - began < 0.5


@virtually
async def test_the_last_events_of_a_rush_do_not_wait_for_more_and_those_before_go_together(fresh: Path) -> None:
    async with sending(fresh) as (w, sinks):
        place = await sinks.add(types=[f"{PREFIX}message.queued"])
        sinks.start()
        await asyncio.sleep(3)
        for _ in range(100):
            await w.send(*everyone(1))
            await asyncio.sleep(0.02)
        sent, offers = w.now, place.offers
        await until(lambda: has(place, 100), 5)

    assert w.now - sent <= 0.21
    # A hundred would be one for each; eight lanes may hand over ten times in two seconds.
    assert offers <= 85
