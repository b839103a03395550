"""Find: ask carriers now and then which senders their connections have, and have what is new taken over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import structlog

from sendpool.connectors.base import FindsSenders, SenderSettings
from sendpool.pipeline.engine import Engine
from sendpool.pipeline.links import Link

log = structlog.get_logger()

#: Seconds until a carrier is asked again that has answered, and one that has not. Meta allows 200 such calls an hour.
ASK_AGAIN, ASK_SOON = 600.0, 60.0
#: Seconds between looks at which connections there are.
LOOK_AGAIN = 1.0

#: Takes over the senders of the connection of this key.
TakeOver = Callable[[int, Sequence[SenderSettings]], Awaitable[None]]


class Finder:
    """Asks the connections that this process has, one after another."""

    def __init__(self, engine: Engine, take_over: TakeOver, finds: Callable[[int], bool]) -> None:
        """*finds* tells whether the connection of a key looks for senders by its settings."""
        self._engine = engine
        self._take_over = take_over
        self._finds = finds
        #: By connection: its link, when to ask it again, and what it said last.
        self._asked: dict[int, tuple[Link, float, Sequence[SenderSettings] | None]] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="find senders")

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
                    log.error("senders not taken over", connection=link.name, error=str(error), exc_info=error)
            await asyncio.sleep(LOOK_AGAIN)

    async def look(self, link: Link) -> None:
        """Ask a connection if it is time, and have taken over what has changed."""
        connector, now = link.connector, self._engine.clock.monotonic()
        if not link.up or not isinstance(connector, FindsSenders) or not self._finds(link.connection_id):
            return
        asked, due, known = self._asked.get(link.connection_id, (None, now, None))
        if asked is link and now < due:
            return
        found = await connector.inventory()
        wait = ASK_SOON if found is None else ASK_AGAIN
        self._asked[link.connection_id] = (link, now + wait, known)
        if found is not None and found != known:
            await self._take_over(link.connection_id, found)
            self._asked[link.connection_id] = (link, now + wait, found)
