"""What is going on, second by second: read once for everybody who looks, made once for each account.

One task follows the feed of events while anybody looks, and nobody pays when nobody does. A viewer costs a write of
what is there already.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator

import msgspec
import structlog

from sendpool.api.exchange import Reply, Request, Streaming
from sendpool.api.problems import TOO_MANY
from sendpool.api.services import Services
from sendpool.console.tally import WAITS, Tally
from sendpool.domain.request import Problem, Refused
from sendpool.store.database import DatabaseAway
from sendpool.store.feed import newest_position
from sendpool.store.pulse import PulseRow, Waiting, load_waiting, pulse_page

log = structlog.get_logger()

#: Seconds between two looks; every how many of them what waits is counted again.
TICK, _COUNT_EVERY = 1.0, 2
#: Events of one statement; statements of one look. Who first looks sees so many of the latest events.
_PAGE, _PAGES, _AT_FIRST = 1_000, 10, 5_000
#: Events behind which figures begin again from the latest, and say so.
_TOO_FAR = 100_000
#: Viewers of an account at one time.
MOST_VIEWERS = 20

_encode = msgspec.json.Encoder().encode


class Live:
    """Follows the feed while somebody looks."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._tallies: defaultdict[int, Tally] = defaultdict(Tally)
        self._viewers: Counter[int] = Counter()
        self._waiting: dict[int, Waiting] = {}
        self._position = 0
        self._began_at = 0
        self._ticks = 0
        #: What each account's viewers are told next, by the tick.
        self._frames: dict[int, bytes] = {}
        self._ticked = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    async def stream(self, request: Request) -> Reply | Streaming:
        """Server-sent events, one a second."""
        if self._viewers[request.account_id] >= MOST_VIEWERS:
            message = f"{MOST_VIEWERS} windows show this account live already, which is the most; close one"
            raise Refused(Problem(TOO_MANY, message), status=429)
        return Streaming(200, self._frames_for(request.account_id), b"text/event-stream")

    async def _frames_for(self, account_id: int) -> AsyncGenerator[bytes, None]:
        self._viewers[account_id] += 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._follow())
        try:
            yield b"retry: 2000\n\n"
            # The server has no time for viewers once it ends.
            while self._services.ready():
                async with self._ticked:
                    await self._ticked.wait()
                yield self._frame(account_id)
        finally:
            self._viewers[account_id] -= 1
            if not self._viewers[account_id]:
                del self._viewers[account_id]

    def _frame(self, account_id: int) -> bytes:
        if account_id not in self._frames:
            self._frames[account_id] = b"data: %b\n\n" % _encode(self._shown(account_id))
        return self._frames[account_id]

    def _shown(self, account_id: int) -> dict[str, object]:
        now = self._services.now()
        waiting = self._waiting.get(account_id, Waiting(0, 0, None, 0))
        return {
            **self._tallies[account_id].shown(now // 1_000_000),
            "at": now // 1000,
            "since": self._began_at // 1000,
            "waitBounds": WAITS,
            "queued": waiting.queued,
            "scheduled": waiting.scheduled,
            "operations": waiting.operations,
            "oldest": None if waiting.oldest is None else max(0, now - waiting.oldest) // 1000,
        }

    async def _follow(self) -> None:
        """Look every second until nobody does any more."""
        self._position = 0
        while self._viewers and self._services.ready():
            try:
                await self._look()
            except DatabaseAway:
                log.info("console waits for the database")
            self._frames = {}
            async with self._ticked:
                self._ticked.notify_all()
            await asyncio.sleep(TICK)
        self._tallies.clear()
        async with self._ticked:
            self._ticked.notify_all()

    async def _look(self) -> None:
        read = self._services.database.read
        if self._ticks % _COUNT_EVERY == 0:
            self._waiting = await read(load_waiting())
            newest = await read(newest_position())
            if self._position == 0 or newest - self._position > _TOO_FAR:
                self._position, self._began_at = max(0, newest - _AT_FIRST), self._services.now()
                self._tallies.clear()
        self._ticks += 1
        for _ in range(_PAGES):
            rows = await read(pulse_page(self._position, _PAGE))
            self._count(rows)
            if len(rows) < _PAGE:
                return

    def _count(self, rows: list[PulseRow]) -> None:
        by_account: defaultdict[int, list[PulseRow]] = defaultdict(list)
        for row in rows:
            by_account[row.account_id].append(row)
        for account_id, own in by_account.items():
            if account_id:
                self._tallies[account_id].add(own)
        if rows:
            self._position = rows[-1].position
