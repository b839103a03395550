"""What is old goes, on both databases: each statement means the same on each."""

from __future__ import annotations

from sendpool.store import cancel, counters, retention
from sendpool.store.database import Database, Query, Script
from sendpool.store.receipts import insert_segments
from sendpool.store.walks import Place
from sendpool.testing.invariants import contradictions
from sendpool.testing.store_rig import ask
from sendpool.testing.store_rows import AT, accept

OLD = AT + 100 * 86_400_000_000
WINDOW = 100


async def test_an_ended_operation_is_found_taken_and_removed(database: Database) -> None:
    await database.write(accept(100, 3))
    await database.write(accept(200, 1))
    await database.write(cancel.cancel_messages(100, 102, AT))

    def ended() -> Script[None]:
        yield from counters.add_up({100: {"queued": -3, "canceled": 3}}, AT)
        yield Query("UPDATE operation SET updated_at = ? WHERE id = 100", (AT,))

    await database.write(ended())
    found, place = await database.read(retention.ended_operations(Place(), OLD, WINDOW))
    assert (found, place) == ([retention.Keys(100, 102)], None)

    assert await database.write(retention.take_from_accounts(found, OLD)) == found
    assert await database.read(retention.taken_operations(10)) == found
    removed = await database.write(retention.remove_messages(found[0]))
    gone = await database.write(retention.remove_operations(found[0]))

    assert (removed.messages, gone.operations) == (3, 1)
    assert await ask(database, "SELECT id FROM message") == [(200,)]
    assert await ask(database, "SELECT id FROM operation") == [(200,)]


async def test_walks_find_what_no_index_leads_to(database: Database) -> None:
    await database.write(accept(100, 3))
    rows = [(1, f"id-{n}", 100 + n, 1, 1) for n in range(3)]

    def write() -> Script[None]:
        yield from insert_segments(rows)
        yield Query("INSERT INTO inbound_seen (connection_id, carrier_id, seen_at) VALUES (1, 'a', ?)", (AT,))

    await database.write(write())
    first, place = await database.read(retention.segments_between(Place(), retention.Keys(100, 101), 2))
    assert place is not None
    rest, end = await database.read(retention.segments_between(place, retention.Keys(100, 101), 5))
    assert ([row[1] for row in [*first, *rest]], end) == (["id-0", "id-1"], None)
    assert await database.write(retention.remove_segments([*first, *rest])) == 2

    arrivals, _ = await database.read(retention.arrivals_before(Place(), OLD, WINDOW))
    assert await database.write(retention.remove_arrivals(arrivals, OLD)) == 1


async def test_small_things_go_when_they_are_old(database: Database) -> None:
    await database.write(accept(100, 1))

    assert await database.read(retention.oldest_creation()) == AT
    for script in (
        retention.parked_before(OLD, WINDOW),
        retention.pool_operations_before(OLD, WINDOW),
        retention.scenes_before(AT, WINDOW),
        retention.dead_pools(AT, OLD, WINDOW),
    ):
        assert await database.read(script) == []
    assert await database.write(retention.remove_pools([7])) == []
    assert await database.write(retention.remove_by_key("receipt", [1])) == 0
    assert not await database.read(contradictions())
