"""Keep: what one process does for all that write one database. Folds counters, and moves the end of the feed.

Any number of processes may do it at once without harm; one is enough.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from sendpool.pipeline.settle import Changes
from sendpool.store.counters import fold
from sendpool.store.database import Script
from sendpool.store.feed_end import Sighting, advance, is_behind

if TYPE_CHECKING:
    from sendpool.pipeline.engine import Engine

log = structlog.get_logger()

#: Seconds between two looks, and after one that failed.
EVERY, AFTER_FAILURE = 0.2, 1.0
#: Deltas that one commit folds.
AT_ONCE = 2_000


class Keeper:
    """Looks several times a second, and commits only where something waits."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sighting: Sighting | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look, where others write too."""
        if self._engine.database.shared:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="keeper")

    async def stop(self) -> None:
        """End it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        failed = False
        while True:
            await asyncio.sleep(AFTER_FAILURE if failed else EVERY)
            try:
                if self._engine.fence.keeper:
                    await self.once()
                failed = False
            except Exception as error:  # noqa: BLE001 - the next look may do better
                if not failed:
                    log.warning("keeper failed", error=str(error))
                failed = True

    async def once(self) -> None:
        """One look, and a commit where it is worth one."""
        if await self._engine.database.read(is_behind(), one=True):
            await self._engine.settle(self._keep)

    def _keep(self, changes: Changes) -> Script[None]:
        yield from fold(changes.now, AT_ONCE)
        self._sighting = yield from advance(self._sighting)
