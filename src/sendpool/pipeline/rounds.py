"""Rounds: something is looked after for each connection that this process has, one after another, again and again."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from contextlib import suppress

import structlog

from sendpool.pipeline.engine import Engine
from sendpool.pipeline.links import Link

log = structlog.get_logger()


class Rounds(ABC):
    """A loop over the connections; trouble with one is told, and holds up no other."""

    #: Seconds between two rounds; the loop's name, and what the log says of trouble.
    every: float
    name: str
    trouble: str

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    async def look(self, link: Link) -> None:
        """Look after one connection."""

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name=self.name)

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        while True:
            for link in list(self._engine.sending.links.values()):
                try:
                    await self.look(link)
                except Exception as error:
                    log.error(self.trouble, connection=link.name, error=str(error), exc_info=error)
            await asyncio.sleep(self.every)
