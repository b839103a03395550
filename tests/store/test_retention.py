"""Removal touches what it removes, and no more: a walk beside the writer is cheap, one inside a commit is not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from sendpool.store import retention
from sendpool.store.database import Bulk, Query, Script
from sendpool.store.migrate import migrate
from sendpool.store.queue import QueueKey, insert_queues
from sendpool.store.receipts import insert_segments
from sendpool.store.retention import Keys
from sendpool.store.sqlite import Sqlite
from sendpool.store.walks import Place

AT = 1_800_000_000_000_000


@pytest.fixture
async def database(tmp_path: Path) -> Any:
    migrate(tmp_path / "sendpool.db")
    opened = Sqlite(tmp_path / "sendpool.db")
    yield opened
    await opened.close()


def many_ids() -> Script[None]:
    yield from insert_segments([(3, f"{n:03}", n, 1, 1) for n in range(100, 400)])
    yield Bulk(
        "INSERT INTO inbound_seen (connection_id, carrier_id, seen_at) SELECT * FROM v",
        (("connection_id", "bigint"), ("carrier_id", "text"), ("at", "bigint")),
        [(3, f"{n:03}", n) for n in range(100, 400)],
    )
    yield from insert_queues([(1, QueueKey(7, "SMS", ""))])


async def test_a_walk_passes_each_row_once_and_ends(database: Sqlite) -> None:
    await database.write(many_ids())
    place: Place | None = Place()
    found: list[Any] = []
    looks = 0
    while place is not None:
        script = retention.segments_between(place, Keys(150, 249), 7)
        rows, place = await database.read(script)
        found += rows
        looks += 1

    assert [row[2] >> 6 for row in found] == list(range(150, 250))
    assert looks == 300 // 7 + 1


async def test_what_lies_between_the_first_and_last_that_go_stays(database: Sqlite) -> None:
    await database.write(many_ids())
    rows, _ = await database.read(retention.segments_between(Place(), Keys(100, 399), 1_000))

    assert await database.write(retention.remove_segments(rows[10:200:2])) == 95

    left, _ = await database.read(retention.segments_between(Place(), Keys(100, 399), 1_000))
    assert left == [row for n, row in enumerate(rows) if not 10 <= n < 200 or n % 2]


async def test_no_removal_walks_a_table_in_a_commit(database: Sqlite) -> None:
    await database.write(many_ids())
    statements: list[str] = []
    writer = database._writer.connection
    writer.set_trace_callback(statements.append)

    def everything() -> Script[None]:
        rows = [[3, "100", 6_401, 1], [3, "120", 7_681, 1]]
        yield from retention.take_from_accounts([Keys(1, 1), Keys(2, 5)], AT)
        yield from retention.remove_messages(Keys(1, 500))
        yield from retention.remove_operations(Keys(1, 500))
        yield from retention.remove_segments(rows)
        yield from retention.remove_arrivals([row[:2] for row in rows], AT)
        for table in ("receipt", "pool_operation", "scene"):
            yield from retention.remove_by_key(table, [1, 2])

    await database.write(everything())
    writer.set_trace_callback(None)
    changes = [sql for sql in statements if re.search(r"\b(DELETE|UPDATE)\b", sql)]
    assert len(changes) == 15

    def plans() -> Script[list[str]]:
        found = []
        for sql in changes:
            rows = yield Query(f"EXPLAIN QUERY PLAN {sql}")
            found += [row[3] for row in rows]
        return found

    small = "inquiry|inbound_seen|receipt|pool_operation|scene|chunk|operation_\\w+"
    tables = f"operation|message|attempt|event|segment|{small}"
    steps = [step for step in await database.write(plans()) if re.match(rf"(SCAN|SEARCH) ({tables})\b", step)]
    assert len(steps) >= 13
    assert [step for step in steps if step.startswith("SCAN")] == []
    # By connection alone would be all of a carrier's ids.
    assert all("carrier_id" in step for step in steps if re.search("segment|inbound_seen", step))
