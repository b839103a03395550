"""Reading beside the server: who stops waiting for a read leaves the connection to it until it has ended."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from sendpool.store.database import Query, Script
from sendpool.store.reading import open_reader


class Slow:
    """A read that goes on only once it is told to."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.found: list[int] = []

    def script(self) -> Script[None]:
        yield Query("SELECT 1")
        self.begun.set()
        assert self.go_on.wait(30)
        self.found.append((yield Query("SELECT count(*) FROM account"))[0][0])


def number() -> Script[int]:
    rows = yield Query("SELECT 2")
    return int(rows[0][0])


async def given_up(reading: asyncio.Task[None], slow: Slow) -> None:
    """Wait for a read no longer than until it has begun."""
    assert await asyncio.to_thread(slow.begun.wait, 30)
    reading.cancel()
    await asyncio.wait([reading])
    assert reading.cancelled()


async def test_the_next_read_begins_when_one_that_nobody_waits_for_has_ended(migrated: Path) -> None:
    slow = Slow()
    async with open_reader(migrated) as reader:
        await given_up(asyncio.create_task(reader.read(slow.script())), slow)
        following = asyncio.create_task(reader.read(number()))
        asyncio.get_running_loop().call_later(0.1, slow.go_on.set)

        assert await following == 2
        assert len(slow.found) == 1


async def test_a_file_is_closed_when_a_read_that_nobody_waits_for_has_ended(migrated: Path) -> None:
    slow = Slow()
    async with open_reader(migrated) as reader:
        await given_up(asyncio.create_task(reader.read(slow.script())), slow)
        asyncio.get_running_loop().call_later(0.1, slow.go_on.set)

    assert len(slow.found) == 1
