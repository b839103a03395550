"""The server's side of the process that hands events over: start it, and make durable what it reports."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from sendpool.metrics import Metrics
from sendpool.pipeline.engine import Engine
from sendpool.pipeline.notify.words import LONGEST_LINE, Order, Report
from sendpool.pipeline.settle import Changes
from sendpool.store.database import Script
from sendpool.store.deliveries import Progress, save_progress
from sendpool.store.sinks import in_use

log = structlog.get_logger()

#: Seconds between looks whether there is a sink at all, and before the process is started again after it ended by
#: itself.
_LOOK, _AGAIN = 0.5, 2.0


class NotifierProcess:
    """Keeps the notifier's process running while there is a sink, and makes durable what it reports."""

    def __init__(self, engine: Engine, metrics: Metrics, order: Order) -> None:
        self._engine = engine
        self._metrics = metrics
        self._order = order
        self._task: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None
        #: Sinks that took nothing by the last report.
        self._down: frozenset[str] = frozenset()

    def start(self) -> None:
        """Begin to look for sinks."""
        self._task = asyncio.get_running_loop().create_task(self._keep(), name="notifier")

    async def stop(self) -> None:
        """End the process. What it has handed over and not reported is handed over once more by the next."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _keep(self) -> None:
        while True:
            if await self._wanted():
                await self._run()
                log.warning("notifier ended; it is started again", seconds=_AGAIN)
                await asyncio.sleep(_AGAIN)
            await asyncio.sleep(_LOOK)

    async def _wanted(self) -> bool:
        try:
            return await self._engine.database.read(in_use())
        except Exception as error:  # noqa: BLE001 - the next look may fare better
            log.debug("notifier waits", why=str(error))
            return False

    async def _run(self) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "sendpool.notifying",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LONGEST_LINE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(msgspec.json.encode(self._order) + b"\n")
            await process.stdin.drain()
            while line := await process.stdout.readline():
                await self._take(msgspec.json.decode(line, type=Report))
                process.stdin.write(b"%d\n" % msgspec.json.decode(line, type=Report).number)
                await process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            process.stdin.close()
            self._show_down(frozenset())
            await _end(process)

    async def _take(self, report: Report) -> None:
        """Make progress durable, however long the database is away."""
        self._count(report)
        while report.progress != Progress():
            try:
                await self._engine.settle(_saving(report.progress))
                return
            except Exception as error:  # noqa: BLE001 - whatever the database says, it is asked again
                log.debug("notifier waits", why=str(error))
                await asyncio.sleep(_LOOK)

    def _count(self, report: Report) -> None:
        for sid, counts in report.counts.items():
            for outcome, number in counts.items():
                self._metrics.events(sid, outcome).inc(number)
        self._show_down(report.down)

    def _show_down(self, down: frozenset[str]) -> None:
        for sid in down ^ self._down:
            self._metrics.sink_down(sid).set(sid in down)
        self._down = down


def _saving(progress: Progress) -> Callable[[Changes], Script[Any]]:
    def stage(changes: Changes) -> Script[None]:
        yield from save_progress(progress, changes.now)

    return stage


async def _end(process: asyncio.subprocess.Process) -> None:
    """Wait for a process whose input was closed; one that hangs is killed."""
    try:
        async with asyncio.timeout(3):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
