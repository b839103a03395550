"""What housekeeping looks for."""

from __future__ import annotations

from sendpool.store import counters, messages, receipts, upkeep
from sendpool.store.database import Database, Query, Script
from sendpool.store.queue import QueueKey, enqueue, insert_queues
from sendpool.store.walks import Place
from sendpool.testing.store_rows import AT, FAR, accept, operation, start


async def test_operations_over_their_deadline_are_found_most_overdue_first(database: Database) -> None:
    late = [(100, FAR - 5, 0), (200, FAR - 9, 2), (300, FAR, 0)]
    for first, deadline, unexpanded in late:
        new = operation(first, 3, unexpanded=unexpanded)._replace(deadline=deadline)
        await database.write(messages.insert_operations([new]))
    await database.write(counters.count({}, AT))

    assert await database.read(upkeep.overdue_operations(FAR, 10)) == [(200, 3, 2), (100, 3, 0)]
    assert await database.read(upkeep.overdue_operations(FAR, 1)) == [(200, 3, 2)]
    assert await database.read(upkeep.overdue_operations(FAR - 9, 10)) == []


async def test_a_completed_operation_is_never_overdue(database: Database) -> None:
    await database.write(accept(100, 1))
    await database.write(counters.add_up({100: {"queued": -1, "sent": 1}}, AT))

    assert await database.read(upkeep.overdue_operations(FAR + 1, 10)) == []


async def test_only_an_operations_own_queued_messages_are_found(database: Database) -> None:
    def deliver() -> Script[None]:
        yield Query("UPDATE message SET state = 4 WHERE id = 101")

    await database.write(accept(100, 4))
    await database.write(accept(104, 2))
    await database.write(deliver())

    assert await database.read(upkeep.queued_messages(100, 4, 10)) == [100, 102, 103]
    assert await database.read(upkeep.queued_messages(100, 4, 2)) == [100, 102]


async def test_a_parked_receipt_is_found_once_its_segment_is_there(database: Database) -> None:
    await database.write(accept(100, 1))
    await database.write(start([100]))
    await database.write(
        receipts.park([receipts.ParkedRow(*who, 2, None, "", AT) for who in ((3, "x"), (3, "y"), (4, "x"))])
    )
    assert await database.read(upkeep.parked_that_match(10)) == []

    await database.write(receipts.insert_segments([(3, "x", 100, 1, 1)]))

    assert [row[1:3] for row in await database.read(upkeep.parked_that_match(10))] == [[3, "x"]]


async def test_rows_of_queues_are_found_up_to_a_limit(database: Database) -> None:
    await database.write(accept(100, 5))
    await database.write(enqueue([(2, 0, 900, 1, AT), (3, 0, 901, 1, AT)]))

    found = await database.read(upkeep.rows_in([1, 3], 10))
    assert sorted(found) == [*((1, 10 * n, 100 + n) for n in range(5)), (3, 0, 901)]
    assert len(await database.read(upkeep.rows_in([1, 2, 3], 3))) == 3


async def test_the_age_of_a_queue_is_that_of_its_head(database: Database) -> None:
    await database.write(insert_queues([(1, QueueKey(7, "SMS", "")), (2, QueueKey(8, "SMS", ""))]))
    await database.write(enqueue([(1, 5, 1, 1, AT + 9), (1, 9, 2, 1, AT), (2, 1, 3, 1, AT + 4)]))

    assert sorted(await database.read(upkeep.oldest_due([1, 2, 3]))) == [(1, AT + 9), (2, AT + 4)]


async def test_rows_past_their_time_are_found_in_their_queue(database: Database) -> None:
    await database.write(accept(100, 2))

    found, place = await database.read(upkeep.lingering_rows(Place(), AT + 100 * 86_400_000_000, 100))

    assert [(row.message_id, row.open) for row in sorted(found)] == [(100, True), (101, True)]
    assert place is None
