"""The process that hands events over, beside the one that sends: it gets what that leaves of the processors.

The server starts it (`NotifierProcess`) and tells it on its standard input where the database is; it reads events
from there, and says on its standard output how far sinks have come, which the server makes durable and acknowledges.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import msgspec
import structlog
import uvloop

from sendpool import logs
from sendpool.collecting import calm_the_collector
from sendpool.connectors.guard import GuardedClient
from sendpool.connectors.sinks import NotInstalled, SinkConnector, Target
from sendpool.connectors.webhook import Webhooks
from sendpool.domain.delivery import SinkType
from sendpool.pipeline.clock import Clock
from sendpool.pipeline.notify.notifier import Notifier
from sendpool.pipeline.notify.priority import LinuxScheduler, keep_yielding
from sendpool.pipeline.notify.tell import ToldEvent
from sendpool.pipeline.notify.words import LONGEST_LINE, Order, Report
from sendpool.store.deliveries import Progress
from sendpool.store.reading import open_reader
from sendpool.store.sinks import WantedEvents
from sendpool.tracing import TRACING

log = structlog.get_logger()

#: By the sid of a sink: events by "taken" and "refused".
Counts = defaultdict[str, Counter[str]]

#: Seconds for a connection to a sink.
_CONNECT = 3.0
#: Seconds to close what is open once the server has gone.
_LAST = 5.0
#: Seconds between reports of what was counted.
_TELL = 1.0


class _Lines:
    """Lines of JSON to and from the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._number = 0
        self.counts: Counts = defaultdict(Counter)
        #: Sids of sinks that take nothing now, and those of the last report.
        self.down: Callable[[], frozenset[str]] = frozenset
        self._told: frozenset[str] = frozenset()

    async def save(self, progress: Progress) -> None:
        """Have progress made durable; returns when it is."""
        self._number += 1
        done = self._waiting[self._number] = asyncio.get_running_loop().create_future()
        counts, self.counts = self.counts, defaultdict(Counter)
        self._told = self.down()
        shown = {sid: dict(outcomes) for sid, outcomes in counts.items()}
        report = Report(number=self._number, progress=progress, counts=shown, down=self._told)
        self._writer.write(msgspec.json.encode(report) + b"\n")
        await self._writer.drain()
        await done

    async def keep_telling(self) -> None:
        """Report what has been counted, also where nothing is to be saved, as while a sink takes nothing."""
        while True:
            await asyncio.sleep(_TELL)
            if self.counts or self.down() != self._told:
                await self.save(Progress())

    async def listen(self) -> None:
        """Take acknowledgements until the server has gone."""
        while line := await self._reader.readline():
            done = self._waiting.pop(int(line), None)
            if done is not None and not done.done():
                done.set_result(None)


class _Handover:
    """Hands batches to sinks, each by its type, and counts."""

    def __init__(
        self, connectors: Mapping[str, SinkConnector], counts: Callable[[], defaultdict[str, Counter[str]]]
    ) -> None:
        self._connectors = connectors
        self._counts = counts

    async def __call__(self, sink: WantedEvents, batch: Sequence[ToldEvent]) -> str | None:
        """None: the sink took the batch."""
        target = Target(sink.sid, sink.configuration, sink.token, sink.secrets)
        batch_id = f"{sink.sid}.{batch[0].position}.{batch[-1].position}"
        trace = TRACING.batch("deliver")
        why = await self._connectors[sink.type].hand_over(target, [event.body for event in batch], batch_id)
        trace.ends("" if why is None else "refused", events=len(batch))
        self._counts()[sink.sid]["taken" if why is None else "refused"] += len(batch)
        return why


def _connectors(allowed: Sequence[str]) -> dict[str, SinkConnector]:
    """What hands over, by type of sink."""
    webhooks = Webhooks(GuardedClient(allowed, connect_timeout=_CONNECT), time.time)
    return {SinkType.WEBHOOK.value: webhooks, SinkType.NATS.value: _nats(allowed)}


def _nats(allowed: Sequence[str]) -> SinkConnector:
    if find_spec("nats") is None:
        return NotInstalled(SinkType.NATS.value)
    from sendpool.connectors.jetstream import JetStreams  # what it needs is an extra

    return JetStreams(allowed, connect_timeout=_CONNECT)


async def _main() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LONGEST_LINE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, os.fdopen(os.dup(1), "wb"))
    writer = asyncio.StreamWriter(transport, protocol, None, loop)
    order = msgspec.json.decode(await reader.readline(), type=Order)
    logs.configure(order.log_level, json=order.log_json, secrets=())
    TRACING.configure(os.environ)
    lines = _Lines(reader, writer)
    listening = loop.create_task(lines.listen())
    listening.add_done_callback(lambda _: _end_soon())
    connectors = _connectors(order.allow_private_networks)
    handover = _Handover(connectors, lambda: lines.counts)
    clock = Clock(time.monotonic, lambda: time.time_ns() // 1000)
    async with open_reader(Path(order.database) if order.file else order.database) as database:
        notifier = Notifier(database.read, lines.save, handover, base64.b64decode(order.key), clock)
        lines.down = lambda: notifier.down
        calm_the_collector()
        running = loop.create_task(notifier.run())
        beside = [loop.create_task(lines.keep_telling())]
        if order.file:
            # On a shared database this process alone tells what all servers send: it would fall behind for good.
            beside.append(loop.create_task(keep_yielding(LinuxScheduler(), listening.cancel)))
        await asyncio.wait([listening])
        for task in (*beside, running):
            task.cancel()
        await asyncio.wait([running])
    for connector in connectors.values():
        await connector.close()


def _end_soon() -> None:
    """The server has gone, and with it all that could be kept: a database that does not answer holds up nobody."""
    last = threading.Timer(_LAST, os._exit, (0,))
    last.daemon = True
    last.start()


def main() -> None:
    """Run until the server has gone."""
    # A Ctrl-C in the terminal is for the server, which ends this process in its turn. Not by a session of its own:
    # Linux shares processors among those first (sched(7), autogroup), and the idle class would mean nothing.
    os.setpgrp()
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main())


if __name__ == "__main__":
    main()
