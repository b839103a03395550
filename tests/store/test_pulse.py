"""What the console's overview reads, on both databases."""

from __future__ import annotations

from sendpool.domain.event_types import OPERATION_EVENT
from sendpool.domain.states import MessageState
from sendpool.store.database import Database, Script
from sendpool.store.feed_end import advance
from sendpool.store.outbox import write_events
from sendpool.store.postgres import Postgres
from sendpool.store.pulse import load_waiting, pulse_page
from sendpool.testing.store_rows import AT, accept, start

SENT = int(MessageState.SENT)


async def _visible(database: Database) -> None:
    if isinstance(database, Postgres):
        await database.write(lambda: advance(None))


def tried_twice() -> Script[None]:
    yield from accept(100, 2)
    yield from start([100], 1, sender=5)
    yield from start([100], 2, sender=6)
    yield from write_events([(100, 32 + SENT, 30410, AT + 7)])


async def test_an_event_names_who_made_the_attempt_and_who_the_one_before(database: Database) -> None:
    await database.write(tried_twice())
    await _visible(database)

    rows = await database.read(pulse_page(0, 100))

    last = rows[-1]
    assert (last.number, last.at, last.account_id, last.sender_id, last.earlier_id) == (32 + SENT, AT + 7, 1, 6, 5)
    assert last.error_code == 30410
    of_messages = [row for row in rows if row.number < 16]
    assert {(row.sender_id, row.earlier_id, row.account_id) for row in of_messages} == {(None, None, 1)}
    of_operations = [row for row in rows if row.number >= OPERATION_EVENT]
    assert {(row.account_id, row.accepted_at) for row in of_operations} == {(0, 0)}
    assert [row.position for row in rows] == sorted(row.position for row in rows)


async def test_pages_follow_each_other_without_a_gap(database: Database) -> None:
    await database.write(tried_twice())
    await _visible(database)
    whole = await database.read(pulse_page(0, 100))

    first = await database.read(pulse_page(0, 2))
    rest = await database.read(pulse_page(first[-1].position, 100))

    assert [row.position for row in (*first, *rest)] == [row.position for row in whole]
    assert await database.read(pulse_page(whole[-1].position, 100)) == []


async def test_what_waits_is_counted_by_account(database: Database) -> None:
    assert await database.read(load_waiting()) == {}
    await database.write(accept(100, 3))

    found = await database.read(load_waiting())

    assert list(found) == [1]
    assert (found[1].queued, found[1].scheduled, found[1].operations) == (3, 0, 1)
    assert found[1].oldest is not None
