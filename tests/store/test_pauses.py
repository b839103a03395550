"""Pauses of operations, on both databases."""

from __future__ import annotations

from sendpool.domain.states import MessageState
from sendpool.store.accounts import ensure_first_account
from sendpool.store.cancel import cancel_messages
from sendpool.store.counters import add_up
from sendpool.store.database import Database
from sendpool.store.limits import release_held
from sendpool.store.pauses import (
    Pause,
    give_back,
    hold_rows,
    list_paused,
    pause_operation,
    paused_operations,
    release_operation,
)
from sendpool.testing.store_rig import ask
from sendpool.testing.store_rows import AT, accept, operation


async def test_an_operation_pauses_once_and_goes_on(database: Database) -> None:
    await database.write(ensure_first_account("ACtest", "token", b"k" * 32, AT))
    await database.write(accept(100, 3))
    uid = operation(100, 3).uid
    pause = Pause(100, 50, 3, 40, "30007", "twilio/30007")

    assert await database.write(pause_operation(pause)) == (1, uid, "message")
    assert await database.write(pause_operation(pause)) is None
    assert await database.read(paused_operations()) == [(100, 3)]
    (row,) = await database.read(list_paused(1))
    assert (row.uid, row.account_sid, row.queued, row.pause) == (uid, "ACtest", 3, pause)
    assert await database.read(list_paused(2)) == []

    assert await database.write(release_operation(2, uid, 60)) is None
    assert await database.write(release_operation(1, uid, 60, "email")) is None
    assert await database.write(release_operation(1, uid, 60)) == 100
    assert await database.read(paused_operations()) == []
    again = pause._replace(at=70, filtered=9)
    assert await database.write(pause_operation(again)) == (1, uid, "message")
    assert [one.pause for one in await database.read(list_paused(None))] == [again]


async def test_what_has_nothing_left_is_not_paused(database: Database) -> None:
    await database.write(accept(100, 2))
    await database.write(cancel_messages(100, 101, AT))
    canceled = {"queued": -2, "canceled": 2}
    await database.write(add_up({100: canceled}, AT))

    assert await ask(database, "SELECT state FROM message WHERE id = 100") == [(int(MessageState.CANCELED),)]
    assert await database.write(pause_operation(Pause(100, 50, 3, 40, "", ""))) is None


async def test_rows_are_held_until_they_are_given_back(database: Database) -> None:
    await database.write(hold_rows([(900, 100, 7, 1), (900, 101, 7, 2), (900, 102, 7, 1)]))

    await database.write(release_held(10))
    assert await ask(database, "SELECT count(*) FROM later WHERE due = 900") == [(3,)]
    await database.write(give_back([(100, 2)], 20))
    found = await ask(database, "SELECT message_id, due, held, rank FROM later ORDER BY message_id")
    assert found == [(100, 20, None, None), (101, 20, None, None), (102, 900, "operation_paused", None)]
