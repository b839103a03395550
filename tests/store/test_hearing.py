"""What is heard of senders is kept."""

from __future__ import annotations

from sendpool.store.database import Database
from sendpool.store.hearing import REMEMBERED, HearingRow, load_hearings, write_hearings
from sendpool.testing.store_rows import AT


async def test_what_is_heard_takes_the_place_of_what_was_and_goes_when_it_is_long_past(database: Database) -> None:
    await database.write(write_hearings([HearingRow(1, AT, None, None), HearingRow(2, AT, AT, None)], AT))
    await database.write(write_hearings([HearingRow(3, AT, AT, AT + 1)], AT))
    await database.write(write_hearings([HearingRow(1, AT, AT + 5, None)], AT + 1))

    assert sorted(await database.read(load_hearings())) == [
        (1, AT, AT + 5, None),
        (2, AT, AT, None),
        (3, AT, AT, AT + 1),
    ]

    await database.write(write_hearings([HearingRow(4, AT, None, None)], AT + REMEMBERED + 1))
    assert sorted(row.sender_id for row in await database.read(load_hearings())) == [1, 2, 4], "who is broken stays"
