"""Company: callers whom one commit has answered ask again at about the same time, and the next one waits for them.

A hundred callers that each wait for an answer would else take turns: half of them are answered by one commit, which
makes what carriers have said meanwhile wait for the next, and that keeps the other half waiting. One commit for all
costs a tenth less of everything. PostgreSQL has the same rule (postgresql.org/docs, commit_delay and commit_siblings).
"""

from __future__ import annotations

import asyncio

#: Requests that one commit answers, from which on the next waits for as many. With fewer there is time for all of them.
MANY = 16
#: Seconds that it waits at most.
AT_MOST = 0.010


class Company:
    """Knows how many are expected. Lives on the event loop."""

    def __init__(self) -> None:
        self._expected = 0
        self._there: asyncio.Future[None] | None = None

    def answered(self, requests: int, started: int) -> None:
        """A commit has answered so many requests and started so many attempts.

        Where it has started more than came, its work is another than theirs: a campaign does not wait for them.
        """
        self._expected = requests if requests >= MANY and started <= 2 * requests else 0

    def came(self, waiting: int) -> None:
        """So many wait for the next commit by now."""
        if self._there is not None and waiting >= self._expected and not self._there.done():
            self._there.set_result(None)

    async def gather(self, waiting: int) -> None:
        """Return once as many wait as are expected, or when it is time."""
        if waiting >= self._expected:
            return
        loop = asyncio.get_running_loop()
        self._there = loop.create_future()
        timer = loop.call_later(AT_MOST, self.came, self._expected)
        try:
            await self._there
        finally:
            timer.cancel()
            self._there = None
