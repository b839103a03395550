"""Sinks without sockets, in virtual time, fed from a real store."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from sendpool.domain.event_types import KINDS, OF_MESSAGES, OF_OPERATIONS
from sendpool.domain.signing import spell_secret
from sendpool.pipeline.clock import Clock
from sendpool.pipeline.notify.notifier import Notifier
from sendpool.pipeline.notify.tell import ToldEvent
from sendpool.store.database import Database
from sendpool.store.deliveries import Progress, save_progress
from sendpool.store.sinks import NewSink, WantedEvents, create_sink, find_sink
from sendpool.store.subscriptions import SubscribedType, create_subscription

KEY = b"k" * 32
ALL = tuple(kind.name for kind in (*OF_MESSAGES.values(), *OF_OPERATIONS.values()))


class Place:
    """A sink: takes batches, or says why not."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.order: list[dict[str, Any]] = []
        self.offers = 0
        #: Says to the n-th offer why it is not taken; None: it is.
        self.answer: Callable[[int], str | None] = lambda n: None
        #: Seconds that the n-th offer takes.
        self.takes: Callable[[int], float] = lambda n: 0.01

    async def take(self, batch: Sequence[ToldEvent]) -> str | None:
        self.offers += 1
        n = self.offers
        why = self.answer(n)
        await asyncio.sleep(self.takes(n))
        if why is None:
            events = [msgspec.json.decode(event.body) for event in batch]
            self.order += events
            self.seen.update(event["id"] for event in events)
        return why


class Sinks:
    """Places by the sid of their sinks, and a notifier that serves them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self.clock = clock
        self.places: dict[str, Place] = {}
        self._notifier: Notifier | None = None
        self._running: asyncio.Task[None] | None = None

    async def add(self, account_id: int = 1, *, types: Sequence[str] = ALL, batch: bool = True) -> Place:
        """One more sink, subscribed to these types."""
        sid = f"DG{secrets.token_hex(16)}"
        where = {"destination": "http://x/", "method": "POST", "batch_events": batch}
        new = NewSink(sid, "", "webhook", where, spell_secret(b"s" * 32))
        now = self.clock.wall()
        row = await self.database.write(create_sink(account_id, new, KEY, now))
        wanted = [SubscribedType(name, KINDS[name].version) for name in types]
        subscription = f"DF{secrets.token_hex(16)}"
        await self.database.write(create_subscription(account_id, subscription, row.id, "", wanted, now))
        self.places[sid] = Place()
        return self.places[sid]

    def start(self, look: float = 0.05) -> None:
        """*look*: seconds between looks for new events; tests of hours look rarely."""
        self._notifier = Notifier(self.database.read, self._save, self._hand_over, KEY, self.clock, look=look)
        self._running = asyncio.get_running_loop().create_task(self._notifier.run())

    async def crash(self) -> None:
        """End without saving how far sinks have come."""
        assert self._running is not None
        self._running.cancel()
        await asyncio.wait([self._running])

    async def status(self, place: Place, account_id: int = 1) -> str:
        sid = next(sid for sid, one in self.places.items() if one is place)
        row = await self.database.read(find_sink(account_id, sid, KEY))
        assert row is not None
        return row.status

    async def _save(self, progress: Progress) -> None:
        await self.database.write(save_progress(progress, self.clock.wall()))

    async def _hand_over(self, sink: WantedEvents, batch: Sequence[ToldEvent]) -> str | None:
        return await self.places[sink.sid].take(batch)


async def until(condition: Callable[[], bool | Awaitable[bool]], within: float) -> None:
    """Wait in virtual time."""
    end = asyncio.get_running_loop().time() + within
    while True:
        found = condition()
        if found if isinstance(found, bool) else await found:
            return
        assert asyncio.get_running_loop().time() < end, "not in time"
        await asyncio.sleep(0.1)
