"""Receipts in sets: every one keeps its place, whatever the number, and none is lost on the way."""

from __future__ import annotations

import pytest

from sendpool.store import receipts
from sendpool.store.database import Database
from sendpool.store.receipts import ParkedRow
from sendpool.testing.store_rig import ask
from sendpool.testing.store_rows import AT, accept, start


@pytest.mark.parametrize("number", [1, 511, 512, 513, 1500])
async def test_each_receipt_is_matched_at_its_place(database: Database, number: int) -> None:
    keys = list(range(1000, 1000 + number))
    await database.write(accept(1000, number))
    await database.write(start(keys))
    await database.write(receipts.insert_segments([(3, f"id-{key}", key, 1, 1) for key in keys]))
    asked = [f"id-{key}" for key in reversed(keys)]

    found = await database.read(receipts.match(3, ["unknown", *asked]))

    assert [one.place for one in found] == list(range(1, number + 1))
    assert [one.message_id for one in found] == keys[::-1]


async def test_one_id_asked_twice_is_matched_twice(database: Database) -> None:
    await database.write(accept(100, 1))
    await database.write(start([100]))
    await database.write(receipts.insert_segments([(3, "x", 100, 1, 1)]))

    found = await database.read(receipts.match(3, ["x", "y", "x"]))

    assert [one.place for one in found] == [0, 2]


async def test_ids_belong_to_their_connection_and_are_compared_exactly(database: Database) -> None:
    await database.write(accept(100, 2))
    await database.write(start([100, 101]))
    await database.write(receipts.insert_segments([(3, "0a", 100, 1, 1), (3, "0A", 101, 1, 1)]))

    assert [one.message_id for one in await database.read(receipts.match(3, ["0A", "0a", "a", "0a "]))] == [101, 100]
    assert await database.read(receipts.match(4, ["0a"])) == []


async def test_each_part_of_a_long_text_has_its_own_id(database: Database) -> None:
    await database.write(accept(100, 1))
    await database.write(start([100]))
    await database.write(receipts.insert_segments([(3, f"p{part}", 100, 1, part) for part in (1, 2, 3)]))
    await database.write(receipts.mark_parts([(100, 1, 0b101, 0b010)]))

    found = await database.read(receipts.match(3, ["p3", "p1"]))

    assert [(one.part, one.parts_delivered, one.parts_failed) for one in found] == [(3, 5, 2), (1, 5, 2)]


async def test_a_parked_receipt_comes_back_as_it_was(database: Database) -> None:
    about = ("12034458910", "447700900123", "2611261630")
    row = ParkedRow(3, "x", 4, "TRANSIENT", "034", AT, "smpp.map/34", *about)
    await database.write(receipts.park([row, ParkedRow(4, "x", 2, None, "", AT)]))

    waiting = await database.read(receipts.parked_for([(3, "x")]))

    assert [one[1:] for one in waiting] == [[3, "x", 4, "TRANSIENT", "034", "smpp.map/34", *about]]
    await database.write(receipts.unpark([waiting[0][0]]))
    assert await ask(database, "SELECT connection_id FROM receipt") == [(4,)]
    assert await database.read(receipts.any_parked())


async def test_thousands_of_parked_receipts_are_found_by_their_ids(database: Database) -> None:
    await database.write(receipts.park([ParkedRow(3, f"id-{n}", 2, None, "", AT) for n in range(3000)]))

    waiting = await database.read(receipts.parked_for([(3, f"id-{n}") for n in range(0, 3000, 2)]))

    assert sorted(row[2] for row in waiting) == sorted(f"id-{n}" for n in range(0, 3000, 2))
    await database.write(receipts.unpark([row[0] for row in waiting]))
    assert await ask(database, "SELECT count(*) FROM receipt") == [(1500,)]
