"""Notices: each with its event, and removed with it."""

from __future__ import annotations

from sendpool.domain.event_types import NOTICE_EVENT
from sendpool.store.database import Database, Query, Script
from sendpool.store.notices import Notice, old_notices, remove_notices, write_notices


def _events() -> Script[list[tuple[int, int]]]:
    rows = yield Query("SELECT subject_id, number FROM event ORDER BY position")
    return [tuple(row) for row in rows]


def _down(name: str, at: int) -> Notice:
    return Notice(1, "sendpool.connection.down", name, {"reason": "no route"}, at)


async def test_a_notice_has_one_event(database: Database) -> None:
    await database.write(write_notices([_down("a", 10), _down("b", 20)]))

    assert await database.read(_events()) == [(-1, NOTICE_EVENT), (-2, NOTICE_EVENT)]


async def test_old_notices_go_with_their_events_and_the_last_position_stays(database: Database) -> None:
    await database.write(write_notices([_down("a", 10), _down("b", 20), _down("c", 30)]))

    assert await database.read(old_notices(5, 100)) is None
    assert await database.read(old_notices(25, 100)) == (1, 2)
    assert await database.write(remove_notices(1, 2)) == 2
    assert await database.read(_events()) == [(-3, NOTICE_EVENT)]
    assert await database.write(remove_notices(3, 3)) == 1
    assert await database.read(_events()) == [(-3, NOTICE_EVENT)]
