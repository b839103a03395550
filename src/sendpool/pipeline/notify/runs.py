"""Offer again what a sink did not take: runs of events, read once more from the feed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from random import random

import msgspec

from sendpool.domain.delivery import BATCH, GIVE_UP_AFTER, pause
from sendpool.pipeline.clock import Clock
from sendpool.pipeline.notify.delivery import Delivery, Save
from sendpool.pipeline.notify.tell import ToldEvent
from sendpool.store.deliveries import Progress, Run

#: Runs of a sink that are looked at in one go, and events that are read at once.
AT_ONCE, PAGE = 20, 1_000
#: The told events after one position up to another, at most `PAGE`, and the last position that was looked at.
ReadPage = Callable[[int, int], Awaitable[tuple[Sequence[ToldEvent], int]]]


def wanted(run: Run, delivery: Delivery, events: Sequence[ToldEvent]) -> Iterator[ToldEvent]:
    """Those of a page that the run is about."""
    sink, only = delivery.sink, run.only or {}
    types = frozenset(only.get("types") or sink.types)
    operation = only.get("operation")
    for event in events:
        mine = event.account_id == sink.account_id and event.kind.name in types
        if mine and run.lane in (None, event.lane) and operation in (None, event.operation_id):
            yield event


async def offer_run(run: Run, delivery: Delivery, read: ReadPage, save: Save, clock: Clock) -> None:
    """Offer a run to its sink, batch by batch; what was taken is taken off it."""
    after = run.first - 1
    while after < run.last:
        page, last = await read(after, run.last)
        events = list(wanted(run, delivery, page))
        for start in range(0, len(events), BATCH):
            batch = events[start : start + BATCH]
            why = await delivery.offer(batch)
            if why is not None:
                left = msgspec.structs.replace(run, first=batch[0].position)
                await save(Progress(runs=[not_taken(left, why, clock.wall())]))
                return
        after = max(last, after + 1) if page or last > after else run.last
    await save(Progress(done=[run.id]))


def not_taken(run: Run, why: str, now: int) -> Run:
    """The run after one more failure: to be offered again, or given up."""
    tries = run.tries + 1
    dead = now - run.since >= GIVE_UP_AFTER * 1e6
    next_at = now + int(pause(tries, random()) * 1e6)
    return msgspec.structs.replace(run, tries=tries, next_at=next_at, error=why, dead=dead)
