from __future__ import annotations

import random
from typing import Any

from sqlalchemy import insert
from tests.store.test_history import START, add_operation, uid_at

from sendpool.domain import ids
from sendpool.domain.states import AttemptState, MessageState
from sendpool.store.database import Database
from sendpool.store.history import MessagePlace
from sendpool.store.lookups import ErrorPlace, ErrorRow, attempt_exists, list_errors
from sendpool.store.messages import insert_errors
from sendpool.store.tables import attempt

CHANCE = random.Random(1)
FAILED = {"state": int(MessageState.FAILED), "error_code": 30005}


async def filled(database: Database, account_id: int = 1, kind: str = "message") -> bytes:
    """Ten messages of which every third failed, and two recipients without one; a neighbour on either side."""
    uid = uid_at(START, CHANCE)
    for key in (90, 110):
        await database.write(add_operation(key, uid_at(START + key, CHANCE), START, messages=[FAILED] * 10))
    rows = [FAILED if i % 3 == 0 else {} for i in range(10)]
    await database.write(add_operation(100, uid, START, messages=rows, account_id=account_id, kind=kind))
    missing = [(100, position, "+15550000001", "W", 21703, "nobody", START) for position in (3, 700)]
    await database.write(insert_errors([*missing, (110, 5, "+15550000001", "W", 21703, "nobody", START)]))
    return uid


async def walked(database: Database, uid: bytes, size: int) -> list[ErrorRow]:
    found: list[ErrorRow] = []
    while True:
        page = await database.read(list_errors(1, uid, size, found[-1].place if found else None))
        assert page is not None
        assert len(page) <= size
        if not page:
            return found
        found += page


async def test_errors_are_recipients_in_their_order_and_then_failed_messages(database: Database) -> None:
    uid = await filled(database)

    for size in (1, 2, 3, 5, 100):
        places = [row.place for row in await walked(database, uid, size)]
        assert places == [ErrorPlace(False, 3), ErrorPlace(False, 700), *(ErrorPlace(True, i) for i in (0, 3, 6, 9))]


async def test_operations_of_others_and_of_emails_have_no_errors_here(database: Database) -> None:
    foreign = await filled(database, account_id=2)

    assert await database.read(list_errors(1, foreign, 10, None)) is None
    own = await database.read(list_errors(2, foreign, 10, None))
    assert own is not None
    assert len(own) == 6


async def test_emails_are_not_sought(database: Database) -> None:
    uid = await filled(database, kind="email")
    await database.write(tried(100, 1))

    assert await database.read(list_errors(1, uid, 10, None)) is None
    assert not await database.read(attempt_exists(1, MessagePlace(uid, 0), 1))


def tried(message_id: int, n: int, **values: Any) -> Any:
    row = {"id": message_id * 64 + n, "sender_id": 1, "connection_id": 1, "channel": "SMS", "segments": 1}
    times = {"reference": 0, "marks": 0, "started_at": START, "updated_at": START}
    yield insert(attempt).values(**row, **times, state=int(AttemptState.ACCEPTED), **values)


async def test_only_attempts_that_were_made_exist_and_only_for_their_account(database: Database) -> None:
    uid = await filled(database)
    await database.write(tried(102, 1))
    # The next operation's first message has the key that an eleventh message of this one would have.
    await database.write(tried(110, 1))

    async def exists(account_id: int, index: int, n: int) -> bool:
        return await database.read(attempt_exists(account_id, MessagePlace(uid, index), n))

    assert await exists(1, 2, 1)
    assert not await exists(2, 2, 1)
    assert not await exists(1, 2, 2)
    assert not await exists(1, 2, 0)
    assert not await exists(1, 10, 1)
    assert not await exists(1, ids.MAX_MESSAGES, 1)
