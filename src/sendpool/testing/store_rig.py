"""What the store suite is given, and what its checks have in common."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

from sendpool.store.database import Database, Query, Script
from sendpool.testing.invariants import contradictions


class Rig(Protocol):
    """What a database's author provides."""

    async def open(self) -> Database:
        """Open the rig's one database, brought to the schema of this version: the same one each time."""


Check = Callable[[Rig], Awaitable[None]]


@contextlib.asynccontextmanager
async def opened(rig: Rig) -> AsyncIterator[Database]:
    """The rig's database for the length of a block, at the end of which nothing in it may contradict itself."""
    database = await rig.open()
    try:
        yield database
        found = await database.read(contradictions())
        assert not found, found
    finally:
        await database.close()


async def ask(database: Database, sql: str, *args: Any) -> list[Any]:
    """What a statement brings, as tuples."""

    def script() -> Script[list[Any]]:
        rows: list[Any] = yield Query(sql, args)
        return rows

    return [tuple(row) for row in await database.read(script())]
