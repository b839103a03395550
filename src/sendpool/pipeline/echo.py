"""Echo: carriers that answer at once are waited for, so that one commit holds all that they say.

A commit that starts as much as the windows hold is followed by one that can start nothing. Where the answers are there
within milliseconds, receipts that wait for them need no commit of their own: one for each window instead of two.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from sendpool.pipeline.links import Link

#: Seconds that what carriers have said waits for their answers, at most.
AT_MOST = 0.030
#: Commits that do not wait after one that has waited in vain, after the first and at most; four times as many after
#: each: carriers further away answer later than that.
IN_VAIN, IN_VAIN_AT_MOST = 4, 256


class Echo:
    """Knows what is on its way, and whether waiting for its answers has been worth it. Lives on the event loop."""

    def __init__(self, links: Mapping[int, Link], clock: Callable[[], float]) -> None:
        """*clock* gives monotonic seconds."""
        self._links = links
        self._clock = clock
        #: Commits that are not to wait, and how many there are after the next wait in vain.
        self._passed_by, self._in_vain = 0, IN_VAIN

    async def gather(self, woken: asyncio.Event, may_wait: Callable[[], bool]) -> None:
        """Return once most is answered, when the next commit *may* not *wait* any more, or when it is time.

        *woken* is set whenever something has come for that commit.
        """
        if not (may_wait() and self._is_out()):
            return
        if self._passed_by:
            self._passed_by -= 1
            return
        try:
            async with asyncio.timeout(AT_MOST):
                while may_wait() and self._is_out():
                    woken.clear()
                    await woken.wait()
        except TimeoutError:
            self._passed_by = self._in_vain
            self._in_vain = min(4 * self._in_vain, IN_VAIN_AT_MOST)
        else:
            self._in_vain = IN_VAIN

    def _is_out(self) -> bool:
        """Whether each connection that has anything on its way has more than half of its window there."""
        now = self._clock()
        busy = [link for link in self._links.values() if link.in_flight]
        return bool(busy) and all(2 * link.room(now) < link.window for link in busy)
