"""The connections to the relay that rest between messages, so that several messages share one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from sendpool.connectors.smtp.session import Session


class Pool:
    """Gives out connections, one to each message, and takes them back. How many there are its users decide."""

    def __init__(self, dial: Callable[[], Awaitable[Session]], *, keep: float, messages: int) -> None:
        """*dial* opens a connection; one rests at most *keep* seconds, and carries at most so many messages."""
        self._dial = dial
        self._keep = keep
        self._messages = messages
        #: The last one in comes out first: what is not needed grows old and goes.
        self._resting: deque[tuple[Session, asyncio.TimerHandle]] = deque()
        self._leaving: set[asyncio.Task[None]] = set()

    async def take(self, *, fresh: bool = False) -> Session:
        """A connection that is ready; *fresh*: one that has carried nothing yet. Raises `LinkDown`."""
        while self._resting and not fresh:
            session, timer = self._resting.pop()
            timer.cancel()
            if await session.ready():
                return session
            await session.quit()
        return await self._dial()

    async def give(self, session: Session) -> None:
        """Take one back."""
        most = min(self._messages, session.offers.messages or self._messages)
        if not session.usable or session.carried >= most:
            await session.quit()
            return
        timer = asyncio.get_running_loop().call_later(self._keep, self._expire, session)
        self._resting.append((session, timer))

    async def check(self) -> None:
        """See that the relay is there: by a connection that rests, else by a new one. Raises `LinkDown`."""
        session = await self.take()
        try:
            lives = await session.alive()
        finally:
            await self.give(session)
        if not lives:
            await self.give(await self._dial())

    async def close(self) -> None:
        """Take leave from all that rest."""
        while self._resting:
            session, timer = self._resting.pop()
            timer.cancel()
            await session.quit()
        if self._leaving:
            await asyncio.wait(self._leaving)

    def _expire(self, session: Session) -> None:
        self._resting = deque(one for one in self._resting if one[0] is not session)
        task = asyncio.get_running_loop().create_task(session.quit())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
