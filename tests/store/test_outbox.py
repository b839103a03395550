"""Events: each is written once, in the order of commits, with the change that it tells of or not at all."""

from __future__ import annotations

import pytest

from sendpool.domain.events import OPERATION_EVENT
from sendpool.store import messages
from sendpool.store.database import Database, Query, Script
from sendpool.store.outbox import list_events, write_events
from sendpool.testing.store_rig import ask
from sendpool.testing.store_rows import AT, operation

EVENTS = "SELECT subject_id, number, error_code, created_at FROM event ORDER BY position"


async def test_events_keep_the_order_in_which_they_were_committed(database: Database) -> None:
    await database.write(write_events([(5, 2, None, 10), (4, 2, None, 11)]))
    await database.write(write_events([(3, 19, 30410, 12)]))

    assert await ask(database, EVENTS) == [(5, 2, None, 10), (4, 2, None, 11), (3, 19, 30410, 12)]


async def test_an_event_is_written_once_whoever_writes_it_again(database: Database) -> None:
    await database.write(write_events([(5, 2, None, 10), (5, 2, 30008, 11)]))
    await database.write(write_events([(5, 2, None, 12), (5, 3, None, 12)]))

    assert await ask(database, EVENTS) == [(5, 2, None, 10), (5, 3, None, 12)]


async def test_no_events_are_no_statement(database: Database) -> None:
    await database.write(write_events([]))

    assert await ask(database, EVENTS) == []


async def test_a_commit_that_fails_takes_its_events_with_it(database: Database) -> None:
    def script() -> Script[None]:
        yield from write_events([(5, 2, None, 10)])
        raise LookupError

    with pytest.raises(LookupError):
        await database.write(script())

    assert await ask(database, EVENTS) == []


def test_numbers_of_operations_are_above_those_of_any_attempt() -> None:
    assert OPERATION_EVENT > 63 * 16 + 15


async def test_events_of_accounts_are_listed_with_what_is_told_of_them(database: Database) -> None:
    def account() -> Script[None]:
        yield Query("INSERT INTO account (id, sid, name, auth_token, created_at) VALUES (1, 'AC1', '', '', 0)")
        yield from messages.insert_operations([operation(100, 1)])
        yield from messages.insert_messages([messages.NewMessage(100, 100, "+4477100", "P", "S", 1, AT)])

    await database.write(account())
    rows = await database.read(list_events(0, 10))

    assert [(row.message_id, row.number, row.account_sid) for row in rows] == [
        (None, OPERATION_EVENT + 2, "AC1"),
        (100, 2, "AC1"),
    ]
    assert await database.read(list_events(rows[-1].position, 10)) == []
