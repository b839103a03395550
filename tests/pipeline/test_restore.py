"""What waits in a restored copy is put in doubt, wherever it waits; what is not due, or nobody could send, is not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.pipeline.carriers import Carrier, refused
from tests.pipeline.worlds import EPOCH, Line, everyone, virtually, world

from sendpool.domain.schedule import Moment
from sendpool.pipeline.restore import Restorer
from sendpool.store.database import Query, Script
from sendpool.store.restoring import describe_copy
from sendpool.store.sqlite import Sqlite, connect, transact
from sendpool.testing.invariants import contradictions

A, B = "+12030000001", "+12030000002"
HOUR = 3_600_000_000


async def mark(path: Path, now: int) -> tuple[int, int]:
    """As `sendpool restored --mark`; nothing may contradict itself afterwards."""
    database = Sqlite(path)
    try:
        found = await Restorer(database, now).run()
        assert await database.read(contradictions()) == []
    finally:
        await database.close()
    return found


def rows(path: Path, sql: str) -> list[tuple[int, ...]]:
    def script() -> Script[list[tuple[int, ...]]]:
        found: list[tuple[int, ...]] = yield Query(sql)
        return [tuple(row) for row in found]

    connection = connect(path)
    try:
        return transact(connection, script())
    finally:
        connection.close()


@virtually
async def left_behind(path: Path, copy: Path) -> None:
    """Copies a database in which 3 messages are due again soon, 5 are due, 3,000 are in chunks, and of those that are
    scheduled 2 and 1,500 in chunks are due in an hour, 2 in a week.
    """
    carrier = Carrier()
    async with world(path, False, a=Line(carrier, {A: 100, B: 100})) as w:
        carrier.answer = lambda submission, part: refused("0x08")
        await w.send(*everyone(3))
        await w.until(lambda: len(carrier.sent) >= 3)
        carrier.link(up=False)
        await w.send(*everyone(5, first=100))
        await w.send(*everyone(3_000, first=1_000))
        for after, first, number in ((HOUR, 10_000, 2), (HOUR, 20_000, 1_500), (7 * 24 * HOUR, 30_000, 2)):
            await w.send(*everyone(number, first=first), send_at=Moment(w.engine.clock.wall() + after))
        await w.copy(copy)
        await w.stop()
        w.store.found.clear()


@pytest.fixture
def copy(fresh: Path, tmp_path: Path) -> Path:
    left_behind(fresh, tmp_path / "copy.db")
    return tmp_path / "copy.db"


def describe(path: Path, now: int) -> tuple[int, int]:
    connection = connect(path)
    try:
        found = transact(connection, describe_copy(now))
        return found.rows, found.unexpanded
    finally:
        connection.close()


def test_everything_that_is_due_by_now_is_in_doubt_and_nothing_else(copy: Path) -> None:
    now = EPOCH + 2 * HOUR
    in_rows, in_chunks = describe(copy, now)
    waiting = in_rows + in_chunks

    assert asyncio.run(mark(copy, now)) == (waiting, 0)

    assert waiting >= 5 + 3_000 + 2 + 1_500
    assert describe(copy, now) == (0, 0)
    # Begun and without a result: the next start finds them as after a crash.
    assert rows(copy, "SELECT count(*) FROM attempt WHERE state = 1")[0][0] >= waiting
    assert rows(copy, "SELECT state, count(*) FROM message WHERE state = 1 GROUP BY state") == [(1, 2)]
    assert rows(copy, "SELECT count(*) FROM outq") == [(0,)]
    assert asyncio.run(mark(copy, now)) == (0, 0)


@virtually
async def go_on(path: Path) -> None:
    """A start on what was marked: all of it is in doubt, and nothing of it is sent."""
    carrier = Carrier()
    async with world(path, False, a=Line(carrier, {A: 100, B: 100})) as w:
        await asyncio.sleep(10)
        assert not carrier.sent
        states = await w.states()
        assert states["QUEUED"] == 0
        assert (await w.rows("SELECT count(*) FROM message WHERE ambiguous <> 0"))[0][0] == states["SENT"]
        assert await w.store.inner.read(contradictions()) == []


def test_a_start_on_a_marked_copy_sends_nothing_of_it(copy: Path) -> None:
    asyncio.run(mark(copy, EPOCH + HOUR // 2))

    go_on(copy)


def test_what_no_sender_could_have_sent_waits_on(copy: Path) -> None:
    connection = connect(copy)
    try:
        transact(connection, _gone())
    finally:
        connection.close()

    doubtful, left = asyncio.run(mark(copy, EPOCH + HOUR // 2))

    assert doubtful <= 3, "those in the lane of one sender"
    assert left >= 3_005
    assert describe(copy, EPOCH) == (left, 0)


def _gone() -> Script[None]:
    yield Query("UPDATE sender SET active = 0")


def test_chunks_of_an_earlier_version_are_read_for_their_channels(copy: Path) -> None:
    connection = connect(copy)
    try:
        transact(connection, _older())
    finally:
        connection.close()

    assert asyncio.run(mark(copy, EPOCH + 2 * HOUR))[0] >= 4_500


def _older() -> Script[None]:
    yield Query("UPDATE chunk SET cost = NULL, letters = NULL")
