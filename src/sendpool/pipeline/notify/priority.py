"""How the process that hands events over lets the one that sends go first, and for how long it does.

Stepped back, it gets only what nobody else wants of the processors, so that a burst is sent as if there were no sink
and its events come seconds later. Where that lasts it steps forward, to a small share that nobody can take from it.
Only on a database of one server: where several share one, it tells what all of them send.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import structlog

log = structlog.get_logger()

#: Seconds over which it is looked at while stepped back, which is how long it may go without, and while forward.
PATIENCE, LOOK = 60.0, 2.0
#: Share of that time waited for a processor, above which it steps forward, and below which it steps back.
STARVED, CONTENT = 0.5, 0.25
#: Niceness while forward.
_FORWARD = 10
_TASKS = Path("/proc/self/task")


class Scheduler(Protocol):
    """What the operating system does for us."""

    def waited(self) -> float:
        """Seconds that we have waited for a processor so far."""

    def step_back(self) -> None:
        """From now on only what nobody else wants."""

    def step_forward(self) -> None:
        """A small share again. Raises `PermissionError` where only a new process gets that."""


class LinuxScheduler:
    """SCHED_IDLE and SCHED_OTHER of sched(7). Elsewhere niceness is all there is, and nothing is ever waited for."""

    def __init__(self) -> None:
        os.nice(_FORWARD)

    def waited(self) -> float:
        """From /proc, where the kernel tells."""
        waited = 0
        for task in self._tasks():
            with contextlib.suppress(OSError, IndexError):
                waited += int((_TASKS / str(task) / "schedstat").read_text().split()[1])
        return waited / 1e9

    def step_back(self) -> None:
        """Threads that begin later inherit it."""
        if hasattr(os, "SCHED_IDLE"):
            self._policy(os.SCHED_IDLE)

    def step_forward(self) -> None:
        """Raises `PermissionError` mostly where we are not root."""
        if hasattr(os, "SCHED_OTHER"):
            self._policy(os.SCHED_OTHER)

    def _policy(self, policy: int) -> None:
        for task in self._tasks():
            with contextlib.suppress(ProcessLookupError):
                os.sched_setscheduler(task, policy, os.sched_param(0))

    def _tasks(self) -> list[int]:
        return [int(task.name) for task in _TASKS.iterdir()] if _TASKS.exists() else []


async def keep_yielding(scheduler: Scheduler, end: Callable[[], object]) -> None:
    """Step back and forward as it is due, for ever. *end* is called where only a new process can step forward."""
    while True:
        await _until(scheduler, LOOK, lambda share: share < CONTENT)
        scheduler.step_back()
        await _until(scheduler, PATIENCE, lambda share: share > STARVED)
        log.info("events wait for a processor", seconds=PATIENCE)
        try:
            scheduler.step_forward()
        except PermissionError:
            end()
            return


async def _until(scheduler: Scheduler, seconds: float, due: Callable[[float], bool]) -> None:
    """Return after the first stretch of so many seconds whose share of waiting is such."""
    while True:
        before = scheduler.waited()
        await asyncio.sleep(seconds)
        if due((scheduler.waited() - before) / seconds):
            return
