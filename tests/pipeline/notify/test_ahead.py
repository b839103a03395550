"""Pages that are read ahead are the pages that would be read, whoever asks for which of them, and when."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendpool.pipeline.notify import ahead
from sendpool.pipeline.notify.ahead import Page, ReadAhead
from sendpool.store.database import DatabaseAway, Script
from sendpool.store.feed import FeedRow

PAGE = 5


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "PAGE", PAGE)


class Feed:
    """A feed of which events may be removed, and that may be away."""

    def __init__(self, *positions: int) -> None:
        self.positions = sorted(positions)
        self.away = False
        self.reads = 0

    async def read(self, script: Script[Any], *, one: bool = False) -> Any:
        """What `feed_page` asks for."""
        assert one
        query = script.send(None)
        script.close()
        after, upto, limit = query.args
        await asyncio.sleep(0)
        self.reads += 1
        if self.away:
            raise DatabaseAway("away")
        return self.rows(after, upto)[:limit]

    def rows(self, after: int, upto: int) -> list[FeedRow]:
        return [FeedRow(p, 1, 2, None, 0, *[None] * 6) for p in self.positions if after < p <= upto]


def told(page: Page) -> list[int]:
    return [row.position for row in page.rows]


async def walk(reader: ReadAhead, after: int, upto: int) -> list[int]:
    """What a sink is told that reads up to a position."""
    found: list[int] = []
    while after < upto:
        page = await reader.page(after, upto)
        found += told(page)
        assert page.last > after
        after = page.last
    return found


async def test_the_next_page_is_being_read_while_one_is_told() -> None:
    feed = Feed(*range(1, 14))
    reader = ReadAhead(feed.read)

    assert told(await reader.page(0, 13)) == [1, 2, 3, 4, 5]
    while feed.reads < 2:
        await asyncio.sleep(0)
    assert told(await reader.page(5, 20)) == [6, 7, 8, 9, 10]
    assert told(await reader.page(10, 20)) == [11, 12, 13]
    assert feed.reads == 3


async def test_events_that_have_come_since_are_not_passed_by_where_those_before_were_removed() -> None:
    feed = Feed(*range(1, 12))
    reader = ReadAhead(feed.read)
    await reader.page(0, 9)
    feed.positions = [10, 11]

    page = await reader.page(5, 11)

    assert page == Page([], 9)
    assert told(await reader.page(9, 11)) == [10, 11]


async def test_a_page_that_goes_less_far_is_read_anew() -> None:
    feed = Feed(*range(1, 14))
    reader = ReadAhead(feed.read)
    await reader.page(0, 13)

    assert told(await reader.page(5, 7)) == [6, 7]


async def test_a_database_that_was_away_is_asked_again() -> None:
    feed = Feed(*range(1, 14))
    reader = ReadAhead(feed.read)
    await reader.page(0, 13)
    feed.away = True
    with pytest.raises(DatabaseAway):
        await reader.page(5, 13)
    feed.away = False

    assert told(await reader.page(5, 13)) == [6, 7, 8, 9, 10]
    await reader.stop()


@given(
    st.sets(st.integers(1, 80), min_size=1),
    st.lists(st.tuples(st.integers(0, 80), st.integers(1, 80)), min_size=1, max_size=8),
)
def test_sinks_that_have_come_differently_far_are_told_all_of_theirs(
    positions: set[int], sinks: list[tuple[int, int]]
) -> None:
    async def all_of_them() -> None:
        feed = Feed(*positions)
        reader = ReadAhead(feed.read)
        found = await asyncio.gather(*(walk(reader, after, upto) for after, upto in sinks))
        assert found == [[row.position for row in feed.rows(after, upto)] for after, upto in sinks]
        await reader.stop()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(all_of_them())
