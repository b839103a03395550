"""Find: ask carriers now and then which senders their connections have, and have what is new taken over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import structlog

from sendpool.connectors.base import FindsSenders, SenderSettings
from sendpool.pipeline.engine import Engine
from sendpool.pipeline.links import Link
from sendpool.pipeline.rounds import Rounds

log = structlog.get_logger()

#: Seconds until a carrier is asked again that has answered, and one that has not. Meta allows 200 such calls an hour.
ASK_AGAIN, ASK_SOON = 600.0, 60.0
#: Seconds between looks at which connections there are.
LOOK_AGAIN = 1.0

#: Takes over the senders of the connection of this key.
TakeOver = Callable[[int, Sequence[SenderSettings]], Awaitable[None]]


class Finder(Rounds):
    """Asks the connections that this process has for their senders."""

    every, name, trouble = LOOK_AGAIN, "find senders", "senders not taken over"

    def __init__(self, engine: Engine, take_over: TakeOver, finds: Callable[[int], bool]) -> None:
        """*finds* tells whether the connection of a key looks for senders by its settings."""
        super().__init__(engine)
        self._take_over = take_over
        self._finds = finds
        #: By connection: its link, when to ask it again, and what it said last.
        self._asked: dict[int, tuple[Link, float, Sequence[SenderSettings] | None]] = {}

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
