"""The feed's end: a reader that goes page by page misses nothing, whoever commits late."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from sendpool.store.database import Database, Query, Script
from sendpool.store.feed import feed_page, newest_position
from sendpool.store.feed_end import Sighting, advance, is_behind
from sendpool.store.outbox import write_events
from sendpool.store.postgres import Postgres
from sendpool.testing.store_rig import ask


@pytest.fixture
async def nodes(postgres_url: str) -> AsyncIterator[list[Postgres]]:
    opened = [await Postgres.connect(postgres_url, readers=2, shared=True) for _ in range(4)]
    yield opened
    for one in opened:
        await one.close()


def told(subject: int, pause: float = 0.0) -> Script[None]:
    """An event whose commit comes some time after its position was drawn."""
    yield from write_events([(subject, 1, None, 1)])
    if pause:
        yield Query("SELECT pg_sleep(?)", (pause,))


async def page(database: Database, after: int = 0) -> list[int]:
    return [row.subject_id for row in await database.read(feed_page(after, 1000))]


async def test_an_event_that_is_committed_late_holds_up_those_behind_it(nodes: list[Postgres]) -> None:
    late = asyncio.create_task(nodes[0].write(lambda: told(1, 0.8)))
    await asyncio.sleep(0.2)
    await nodes[1].write(lambda: told(2))

    sighting = await nodes[2].write(lambda: advance(None))
    assert sighting is not None
    assert await page(nodes[3]) == []
    assert await nodes[3].read(newest_position()) == 0
    assert await nodes[3].read(is_behind())
    await late

    assert await nodes[2].write(lambda: advance(sighting)) is None
    assert await page(nodes[3]) == [1, 2]
    assert not await nodes[3].read(is_behind())


async def test_a_writer_that_never_ends_holds_up_only_what_came_after_it_began(nodes: list[Postgres]) -> None:
    await nodes[1].write(lambda: told(1))
    await nodes[2].write(lambda: advance(None))
    long = asyncio.create_task(nodes[0].write(lambda: told(2, 1.0)))
    await asyncio.sleep(0.2)
    await nodes[1].write(lambda: told(3))

    sighting: Sighting | None = None
    for _ in range(3):
        sighting = await nodes[2].write(lambda seen=sighting: advance(seen))  # type: ignore[misc]
        assert await page(nodes[3]) == [1]
    await long
    await nodes[2].write(lambda: advance(sighting))
    assert await page(nodes[3]) == [1, 2, 3]


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_reader_that_goes_page_by_page_misses_nothing(nodes: list[Postgres], seed: int) -> None:
    chance = random.Random(seed)
    done = asyncio.Event()

    async def writing(node: Postgres, first: int) -> None:
        for subject in range(first, first + 40):
            pause = chance.choice((0.0, 0.0, 0.01, 0.05))
            await node.write(lambda subject=subject, pause=pause: told(subject, pause))  # type: ignore[misc]

    async def keeping() -> None:
        sighting: Sighting | None = None
        while not done.is_set() or await nodes[3].read(is_behind()):
            sighting = await nodes[3].write(lambda seen=sighting: advance(seen))  # type: ignore[misc]
            await asyncio.sleep(0.005)

    async def reading() -> list[int]:
        found: list[int] = []
        after = 0
        while len(found) < 120:
            rows = await nodes[3].read(feed_page(after, 7))
            found += [row.subject_id for row in rows]
            after = rows[-1].position if rows else after
            await asyncio.sleep(0.002)
        return found

    keeper, reader = asyncio.create_task(keeping()), asyncio.create_task(reading())
    await asyncio.gather(*(writing(node, 1000 * i) for i, node in enumerate(nodes[:3])))
    done.set()
    found = await asyncio.wait_for(reader, 20)
    await keeper

    assert sorted(found) == [1000 * i + n for i in range(3) for n in range(40)]


async def test_alone_every_event_is_seen_at_once(nodes: list[Postgres], sqlite: Database) -> None:
    for node in nodes:
        await node.write(told(id(node)))
    url = nodes[0].url
    for node in nodes:
        await node.close()

    alone = await Postgres.connect(url)
    await alone.write(told(7))
    assert (await page(alone))[-1] == 7
    await alone.close()
    await sqlite.write(told(8))
    assert await page(sqlite) == [8]
    assert await ask(sqlite, "SELECT count(*) FROM feed") == [(0,)]
