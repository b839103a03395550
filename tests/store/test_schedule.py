"""What was accepted for later begins in its time."""

from __future__ import annotations

from sendpool.domain.states import MessageState
from sendpool.store import queue, schedule
from sendpool.store.database import Database, Query, Script
from sendpool.testing.store_rows import AT, accept


async def test_scheduled_messages_begin_when_they_are_due_earliest_first(database: Database) -> None:
    await database.write(accept(100, 2))

    def later() -> Script[None]:
        yield Query(f"UPDATE message SET state = {MessageState.SCHEDULED:d}")
        yield from queue.remove([(1, 0, 100), (1, 10, 101)])
        yield from schedule.schedule_messages([(AT + 2, 100, 1, None, 1), (AT + 1, 101, 1, None, 1)])

    await database.write(later())
    due = await database.read(schedule.due_scheduled(AT + 5, 10))
    assert [one.message_id for one in due] == [101, 100]
    assert await database.read(schedule.still_waiting([100, 101, 102])) == dict.fromkeys(
        (100, 101), MessageState.SCHEDULED
    )

    await database.write(schedule.begin_operations([100], AT))
    assert await database.read(schedule.still_waiting([100])) == {100: MessageState.SCHEDULED}
