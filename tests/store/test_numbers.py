"""Blocks of keys: none is given twice, whoever asks, and none that a row has."""

from __future__ import annotations

from sendpool.store.database import Database
from sendpool.store.messages import insert_operations
from sendpool.store.numbers import BLOCK, first_block, take_block
from sendpool.testing.store_rows import operation


async def test_blocks_follow_each_other(database: Database) -> None:
    firsts = [await database.write(first_block()), *[await database.write(take_block()) for _ in range(3)]]

    assert firsts == [1, 1 + BLOCK, 1 + 2 * BLOCK, 1 + 3 * BLOCK]


async def test_a_process_that_starts_goes_on_behind_the_others_and_behind_every_row(database: Database) -> None:
    await database.write(first_block())
    assert await database.write(first_block()) == 1 + BLOCK

    await database.write(insert_operations([operation(10 * BLOCK, 3)]))

    assert await database.write(first_block()) == 10 * BLOCK + 3
    assert await database.write(take_block()) == 11 * BLOCK + 3
