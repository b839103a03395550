"""Read ahead: the page of the feed that comes next is read while the one before it is told and handed over."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from typing import Any, NamedTuple, Protocol

from sendpool.pipeline.notify.runs import PAGE
from sendpool.store.database import Script
from sendpool.store.feed import FeedRow, feed_page

#: Pages that are read ahead, for sinks that have come less far than others.
_MOST = 4


class Read(Protocol):
    """Runs a script on a snapshot of the database."""

    async def __call__(self, script: Script[Any], *, one: bool = False) -> Any:
        """What it brings; *one*: it asks a single statement. Raises `DatabaseAway`."""


class Page(NamedTuple):
    """The events between two positions, or the first `PAGE` of them."""

    rows: list[FeedRow]
    #: The last position that was looked at.
    last: int


class _Ahead(NamedTuple):
    upto: int
    page: asyncio.Task[Page]


class ReadAhead:
    """Reads pages; behind each one that is full the next is read already."""

    def __init__(self, read: Read) -> None:
        self._read = read
        #: By the position that they begin after.
        self._ahead: OrderedDict[int, _Ahead] = OrderedDict()

    async def page(self, after: int, upto: int) -> Page:
        """The events after a position, up to another one at most. Raises `DatabaseAway`."""
        found = self._ahead.pop(after, None)
        if found is not None and found.upto <= upto:
            page = await found.page
        else:
            await _give_up(found)
            page = await self._page(after, upto)
        if len(page.rows) == PAGE and page.last < upto and page.last not in self._ahead:
            await self._begin(page.last, upto)
        return page

    async def _begin(self, after: int, upto: int) -> None:
        task = asyncio.create_task(self._page(after, upto), name="read ahead")
        self._ahead[after] = _Ahead(upto, task)
        # It is asked for before the page in front of it is told, for which the loop stands still.
        await asyncio.sleep(0)
        if len(self._ahead) > _MOST:
            await _give_up(self._ahead.popitem(last=False)[1])

    async def _page(self, after: int, upto: int) -> Page:
        rows: list[FeedRow] = await self._read(feed_page(after, PAGE, upto), one=True)
        return Page(rows, rows[-1].position if rows else upto)

    async def stop(self) -> None:
        """End what is being read."""
        while self._ahead:
            await _give_up(self._ahead.popitem()[1])


async def _give_up(ahead: _Ahead | None) -> None:
    if ahead is not None:
        ahead.page.cancel()
        await asyncio.wait([ahead.page])
        with contextlib.suppress(asyncio.CancelledError, Exception):
            ahead.page.result()
