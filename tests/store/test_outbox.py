"""Events: each is written once, in the order of commits, with the change that it tells of or not at all."""

from __future__ import annotations

import pytest

from sendpool.domain.event_types import OPERATION_EVENT
from sendpool.store.database import Database, Script
from sendpool.store.outbox import write_events
from sendpool.testing.store_rig import ask

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
