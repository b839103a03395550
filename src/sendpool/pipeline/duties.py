"""What one process does for all: loops that run only while it is the keeper."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

import structlog

log = structlog.get_logger()


class Loop(Protocol):
    """Something that runs beside the engine until it is stopped, and may be started again."""

    def start(self) -> None:
        """Begin."""

    async def stop(self) -> None:
        """End."""


class Duties:
    """Starts and stops such loops as the lease for it comes and goes; lives on the event loop."""

    def __init__(self, loops: Sequence[Loop]) -> None:
        self._loops = loops
        self._wanted = self._running = False
        self._turning: asyncio.Task[None] | None = None

    def keep(self, keeps: bool) -> None:
        """Run them, or do not. Told twice the same, nothing happens."""
        self._wanted = keeps
        if self._turning is None or self._turning.done():
            self._turning = asyncio.get_running_loop().create_task(self._turn(), name="duties")

    async def _turn(self) -> None:
        while self._running != self._wanted:
            self._running = self._wanted
            for loop in self._loops:
                try:
                    if self._running:
                        loop.start()
                    else:
                        await loop.stop()
                except Exception as error:
                    log.error("a duty of the keeper failed", error=str(error), exc_info=error)

    async def stop(self) -> None:
        """End them for good."""
        self.keep(False)
        if self._turning is not None:
            await self._turning
