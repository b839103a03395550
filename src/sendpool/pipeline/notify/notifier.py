"""The notifier: looks for new events and for changed sinks, and gives each sink what it wants.

It reads the database and never writes: what has become of events is handed to whoever owns the writer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import TypeVar

import msgspec
import structlog

from sendpool.domain.delivery import SinkStatus
from sendpool.domain.event_types import TEST_EVENT, EventKind
from sendpool.pipeline.clock import Clock
from sendpool.pipeline.notify.ahead import Read, ReadAhead
from sendpool.pipeline.notify.delivery import Delivery, Handover, Save
from sendpool.pipeline.notify.pace import Pace
from sendpool.pipeline.notify.runs import AT_ONCE, offer_run
from sendpool.pipeline.notify.tell import Teller, ToldEvent
from sendpool.store.database import DatabaseAway, Script
from sendpool.store.deliveries import Progress, due_runs, sinks_with_due_runs
from sendpool.store.feed import newest_position
from sendpool.store.sinks import WantedEvents, sinks_version, wanted_events

T = TypeVar("T")

log = structlog.get_logger()

#: Seconds between looks for new events, after trouble, and between savings of positions.
LOOK, TROUBLE, SAVE = 0.05, 1.0, 0.5
#: Pages that are kept for sinks that have come as far.
_KEPT = 8

_TEST = EventKind(TEST_EVENT, "EventStreams.TestSink", 1, "Asks a sink whether it is there", "notice")


class Notifier:
    """Every sink's delivery."""

    def __init__(
        self, read: Read, save: Save, handover: Handover, key: bytes, clock: Clock, *, look: float = LOOK
    ) -> None:
        """*key* opens what is stored encrypted; *look*: seconds between looks for new events."""
        self._read = read
        self._save = save
        self._handover = handover
        self._key = key
        self._clock = clock
        self._pause = look
        self._ahead = ReadAhead(read)
        self._teller = Teller()
        self._telling = asyncio.Lock()
        #: By position, the newest then, and the types that sinks wanted.
        self._pages: OrderedDict[tuple[int, int, frozenset[str]], tuple[Sequence[ToldEvent], int]] = OrderedDict()
        self._types: frozenset[str] = frozenset()
        self._deliveries: dict[int, Delivery] = {}
        self._version: tuple[int, ...] | None = None
        #: Events up to this position may be read; of newer ones the pace decides.
        self._newest = 0
        self._pace = Pace()
        self._came = asyncio.Event()
        self._tasks: dict[int, list[asyncio.Task[None]]] = {}
        self._tested: set[str] = set()
        #: Set where a sink has runs to be offered again.
        self._due: dict[int, asyncio.Event] = {}

    async def run(self) -> None:
        """Look, for ever."""
        saving = asyncio.create_task(self._keep_saving())
        try:
            while True:
                with _through_trouble("looking for events"):
                    await self._look()
                await asyncio.sleep(self._pause)
        finally:
            saving.cancel()
            await self.stop()
            await self._ahead.stop()

    @property
    def down(self) -> frozenset[str]:
        """Sids of sinks that take nothing now."""
        return frozenset(delivery.sink.sid for delivery in self._deliveries.values() if delivery.down)

    async def stop(self) -> None:
        """End every delivery, and save how far they have come."""
        for sink_id in list(self._deliveries):
            await self._end(sink_id)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)

    async def _look(self) -> None:
        version, newest, due = await self._read(_glance(self._clock.wall()))
        if version != self._version:
            await self._reload()
            self._version = version
        if self._pace.lets_go(newest, self._clock.monotonic()):
            self._newest = newest
            came, self._came = self._came, asyncio.Event()
            came.set()
        for sink_id in due:
            if sink_id in self._due:
                self._due[sink_id].set()

    async def _reload(self) -> None:
        sinks: list[WantedEvents] = await self._read(wanted_events(self._key, self._clock.wall()))
        self._types = frozenset().union(*(sink.types for sink in sinks))
        for sink_id in self._deliveries.keys() - {sink.id for sink in sinks}:
            await self._end(sink_id)
        for sink in sinks:
            known = self._deliveries.get(sink.id)
            if known is not None:
                known.sink = sink
            else:
                self._begin(sink)
            if sink.status == SinkStatus.VALIDATING and sink.test_id and sink.test_id not in self._tested:
                self._tested.add(sink.test_id)
                self._tasks[sink.id].append(asyncio.create_task(self._test(sink)))

    def _begin(self, sink: WantedEvents) -> None:
        delivery = self._deliveries[sink.id] = Delivery(sink, self._handover, self._save, self._clock)
        delivery.start()
        self._due[sink.id] = asyncio.Event()
        self._tasks[sink.id] = [asyncio.create_task(self._pump(delivery)), asyncio.create_task(self._rerun(delivery))]

    async def _end(self, sink_id: int) -> None:
        tasks, delivery = self._tasks.pop(sink_id), self._deliveries.pop(sink_id)
        del self._due[sink_id]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await delivery.stop()

    # ------------------------------------------------------------ one sink

    async def _pump(self, delivery: Delivery) -> None:
        """Give a sink the events after what it has been given."""
        while True:
            if delivery.read >= self._newest:
                await self._came.wait()
            read = False
            with _through_trouble("reading events"):
                page, last = await self._page(delivery.read, self._newest)
                await delivery.put(page, last, more=last < self._newest)
                read = True
            if not read:
                delivery.go()
                await asyncio.sleep(TROUBLE)

    async def _page(self, after: int, newest: int) -> tuple[Sequence[ToldEvent], int]:
        async with self._telling:
            types = self._types
            found = self._pages.get((after, newest, types))
            if found is None:
                found = self._pages[after, newest, types] = await self._told(after, newest, types)
                if len(self._pages) > _KEPT:
                    self._pages.popitem(last=False)
        return found

    async def _told(
        self, after: int, upto: int, types: frozenset[str] | None = None
    ) -> tuple[Sequence[ToldEvent], int]:
        rows, last = await self._ahead.page(after, upto)
        unknown = self._teller.unknown(rows)
        notices = await self._read(self._teller.learn(unknown)) if any(unknown) else {}
        # Not within the snapshot: whoever holds one for long keeps the server's log from being used anew.
        return self._teller.spell(rows, notices, types), last

    async def _rerun(self, delivery: Delivery) -> None:
        """Offer again what a sink did not take."""
        due = self._due[delivery.sink.id]
        while True:
            await due.wait()
            with _through_trouble("offering events again"):
                for run in await self._read(due_runs(delivery.sink.id, self._clock.wall(), AT_ONCE)):
                    await offer_run(run, delivery, self._reread, self._save, self._clock)
            due.clear()

    async def _reread(self, after: int, upto: int) -> tuple[Sequence[ToldEvent], int]:
        async with self._telling:
            return await self._told(after, upto)

    async def _test(self, sink: WantedEvents) -> None:
        now = self._clock.wall()
        body = {
            "specversion": "1.0",
            "id": f"test-{sink.test_id}",
            "source": f"urn:sendpool:{sink.account_sid}",
            "type": _TEST.name,
            "datacontenttype": "application/json",
            "dataschema": _TEST.schema,
            "data": {"test_id": sink.test_id},
        }
        event = ToldEvent(0, sink.account_id, _TEST, 0, now, None, msgspec.json.encode(body))
        why = await self._handover(sink, [event])
        log.info("test event", sink=sink.sid, outcome=why or "taken")

    # ------------------------------------------------------------ progress

    async def _keep_saving(self) -> None:
        while True:
            await asyncio.sleep(SAVE)
            with _through_trouble("saving positions"):
                await self.save_positions()

    async def save_positions(self) -> None:
        """Make durable how far each sink has come."""
        positions: dict[int, int] = {}
        statuses: dict[int, str] = {}
        for delivery in self._deliveries.values():
            progress = delivery.progress()
            if progress is not None:
                positions.update(progress.positions)
                statuses.update(progress.statuses)
        if positions or statuses:
            await self._save(Progress(positions=positions, statuses=statuses))


def _glance(now: int) -> Script[tuple[tuple[int, ...], int, list[int]]]:
    version = yield from sinks_version()
    return version, (yield from newest_position()), (yield from sinks_with_due_runs(now))


@contextlib.contextmanager
def _through_trouble(what: str) -> Iterator[None]:
    """Go on whatever happens: the next look may fare better."""
    try:
        yield
    except (DatabaseAway, OSError) as error:
        log.warning("notifier waits", what=what, why=str(error))
    except Exception:  # a fault of ours must not end deliveries
        log.exception("notifier fault", what=what)
