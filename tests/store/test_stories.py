"""What is kept of one message, for its explanation, on both databases."""

from __future__ import annotations

from sendpool.domain.states import AttemptState
from sendpool.store import queue
from sendpool.store.database import Database
from sendpool.store.history import MessagePlace
from sendpool.store.stories import Spot, fetch_story
from sendpool.testing.store_rows import AT, accept, start

UID = (100).to_bytes(16, "big")


async def test_a_story_says_where_the_message_stands_and_whose_it_is(database: Database) -> None:
    await database.write(accept(100, 3))

    found = await database.read(fetch_story(MessagePlace(UID, 2), 1))

    assert found is not None
    assert (found.message.id, found.message.plan, found.attempts) == (102, "S", [])
    assert found.spot == Spot("SMS", "", AT, 2)
    assert await database.read(fetch_story(MessagePlace(UID, 2), 2)) is None
    assert await database.read(fetch_story(MessagePlace(UID, 3), None)) is None


async def test_what_was_withdrawn_stays_although_its_number_is_taken_over(database: Database) -> None:
    await database.write(accept(100, 1))
    await database.write(start([100]))
    await database.write(queue.note_withdrawn([(100, f"0w1.7.{AT // 1_000_000 - 5}.throttled")]))
    await database.write(queue.take_step([(100, 0, "n")]))

    found = await database.read(fetch_story(MessagePlace(UID, 0), None))

    assert found is not None
    assert [(one.n, one.sender_id, AttemptState(one.state).name, one.code) for one in found.attempts] == [
        (1, 7, "WITHDRAWN", "throttled"),
        (1, 5, "STARTED", None),
    ]
    assert found.message.passed is not None
    assert found.message.passed.endswith(" 0n")
    assert found.spot is None


async def test_rows_that_are_not_due_yet_are_found(database: Database) -> None:
    await database.write(accept(100, 1))
    await database.write(queue.remove([(1, 0, 100)]))
    await database.write(queue.postpone([(AT + 9, 100, 1, 5, 1), (AT + 5, 100, 0, 1, 1), (AT + 1, 200, 1, 5, 1)]))

    found = await database.read(fetch_story(MessagePlace(UID, 0), None))

    assert found is not None
    assert found.later == [(AT + 5, 0, None), (AT + 9, 1, "")]
