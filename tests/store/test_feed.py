"""The feed on both databases: events in order, with what is told of their subjects."""

from __future__ import annotations

from typing import Any

import msgspec

from sendpool.pipeline.notify.tell import Teller
from sendpool.store import messages
from sendpool.store.database import Database, Query, Script
from sendpool.store.feed import feed_page, newest_position, oldest_position
from sendpool.store.feed_end import advance
from sendpool.store.notices import Notice, write_notices
from sendpool.store.postgres import Postgres
from sendpool.testing.store_rows import AT, operation


def two_accounts() -> Script[None]:
    for key in (1, 2):
        sql = "INSERT INTO account (id, sid, name, auth_token, created_at) VALUES (?, ?, '', '', 0)"
        yield Query(sql, (key, f"AC{key}"))
    yield from messages.insert_operations([operation(100, 1)])
    yield from messages.insert_messages([messages.NewMessage(100, 100, "+4477100", "P", "S", 1, AT)])
    yield from write_notices([Notice(2, "sendpool.connection.up", "carrier-a", {"reason": "bound"}, 7)])


def told(after: int, limit: int) -> Script[list[Any]]:
    rows = yield from feed_page(after, limit)
    return (yield from Teller().tell(rows))


async def test_events_of_accounts_are_told_with_their_subjects(database: Database) -> None:
    await database.write(two_accounts())
    if isinstance(database, Postgres):
        # Where several processes write, the feed ends where its keeper says so.
        assert await database.read(told(0, 10)) == []
        await database.write(lambda: advance(None))

    events = await database.read(told(0, 10))

    assert [(one.account_id, one.kind.name.rpartition(".")[2]) for one in events] == [
        (1, "processing"),
        (1, "queued"),
        (2, "up"),
    ]
    assert msgspec.json.decode(events[1].body)["data"]["to"] == {"address": "+4477100", "channel": "PHONE"}
    assert msgspec.json.decode(events[2].body)["data"]["subject"] == "carrier-a"
    assert await database.read(told(events[-1].position, 10)) == []
    assert await database.read(oldest_position()) == events[0].position
    assert await database.read(newest_position()) == events[-1].position


async def test_what_was_removed_is_not_told(database: Database) -> None:
    await database.write(two_accounts())

    def remove() -> Script[None]:
        yield Query("DELETE FROM message")
        yield Query("DELETE FROM notice")
        yield Query("UPDATE operation SET account_id = 0")

    await database.write(remove())
    assert await database.read(told(0, 10)) == []
