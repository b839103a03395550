"""Queues: rank order whatever the order of arrival, and rows that come back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sendpool.domain.low_water import Begun, LowWater, Passed
from sendpool.store import queue
from sendpool.store.database import Database, Query, Script
from sendpool.store.postgres import Postgres
from sendpool.store.queue import QueueKey
from sendpool.store.sqlite import connect, transact
from sendpool.testing.store_rig import ask
from sendpool.testing.store_rows import AT, accept


class Step(NamedTuple):
    """Enqueue these (rank, message), then take some from the head."""

    rows: list[tuple[int, int]]
    take: int
    #: True: all up to the last; False: every second one of them.
    whole: bool


def _clear() -> Script[None]:
    yield Query("DELETE FROM outq")


@pytest.fixture(scope="module")
def connection(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    path = tmp_path_factory.mktemp("queue") / "sendpool.db"
    shutil.copyfile(migrated, path)
    opened = connect(path)
    transact(opened, accept(1000, 400))
    yield opened
    opened.close()


steps = st.lists(
    st.builds(
        Step,
        st.lists(st.tuples(st.integers(-5, 1 << 40), st.integers(1000, 1399)), max_size=30),
        st.integers(0, 20),
        st.booleans(),
    ),
    max_size=6,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
def test_a_queue_is_a_sorted_list_whatever_comes_and_goes(connection: object, steps: list[Step]) -> None:
    transact(connection, _clear())  # type: ignore[arg-type]
    model: set[tuple[int, int]] = set()

    for step in steps:
        added = [row for row in dict.fromkeys(step.rows) if row not in model]
        model.update(added)
        transact(connection, queue.enqueue([(1, rank, key, 1, AT) for rank, key in added]))  # type: ignore[arg-type]
        head = transact(connection, queue.head(1, step.take))  # type: ignore[arg-type]
        found = [(row.rank, row.message_id) for row in head]
        assert found == sorted(model)[: step.take]
        if step.whole and found:
            transact(connection, queue.remove_head(1, head))  # type: ignore[arg-type]
            model -= set(found)
        else:
            transact(connection, queue.remove([(1, *row) for row in found[::2]]))  # type: ignore[arg-type]
            model -= set(found[::2])


async def test_a_queue_is_named_once_by_however_many(database: Database) -> None:
    rows = [(1, QueueKey(7, "SMS", "")), (2, QueueKey(7, "SMS", "5"))]
    await database.write(queue.insert_queues(rows))

    await database.write(queue.insert_queues(rows))

    assert sorted(await database.read(queue.all_queues())) == rows


@pytest.mark.parametrize("clash", [(1, QueueKey(8, "RCS", "")), (3, QueueKey(7, "SMS", ""))])
async def test_two_queues_never_share_a_number_nor_one_has_two(database: Database, clash: tuple[int, QueueKey]) -> None:
    await database.write(queue.insert_queues([(1, QueueKey(7, "SMS", ""))]))

    with pytest.raises(queue.QueueClash, match="report this"):
        await database.write(queue.insert_queues([(2, QueueKey(7, "SMS", "5")), clash]))

    assert await database.read(queue.all_queues()) == [(1, QueueKey(7, "SMS", ""))]


def test_the_number_of_a_queue_is_the_same_everywhere() -> None:
    numbers = {key: queue.queue_number(key) for key in (QueueKey(7, "SMS", ""), QueueKey(7, "SMS", "5"))}

    assert list(numbers.values()) == [5470565209277292965, 7221352664858201251]
    assert all(0 < number < 2**63 for number in numbers.values())


async def test_a_head_row_brings_what_sending_needs(database: Database) -> None:
    await database.write(accept(100, 1))

    row = (await database.read(queue.head(1, 5)))[0]

    assert (row.queue_id, row.rank, row.message_id, row.cost, row.due) == (1, 0, 100, 1, AT)
    assert (row.operation_id, row.state, row.address, row.attempts, row.step) == (100, 2, "+4477100", 0, 0)
    asked = (await database.read(queue.head_addresses(1, 5)))[0]
    assert (asked.rank, asked.message_id, asked.address, asked.plan) == (0, 100, "+4477100", "S")


async def test_waiting_rows_are_counted_by_queue_and_empty_ones_left_out(database: Database) -> None:
    await database.write(accept(100, 4))
    await database.write(queue.enqueue([(2, 1, 100, 1, AT)]))

    assert await database.read(queue.count_waiting([1, 2, 3])) == {1: 4, 2: 1}
    assert await database.read(queue.count_waiting([1, 2, 3], most=2)) == {1: 2, 2: 1}


async def test_the_lowest_rank_of_each_queue_seeds_the_clock_of_its_pool(database: Database) -> None:
    keys = [QueueKey(7, "SMS", ""), QueueKey(7, "SMS", "5"), QueueKey(8, "SMS", ""), QueueKey(9, "SMS", "")]
    await database.write(queue.insert_queues(list(enumerate(keys, 1))))
    rows = [(1, 70, 1), (1, 0, 9), (2, 60, 2), (3, 90, 3), (3, 80, 4)]
    await database.write(queue.enqueue([(*row, 1, AT) for row in rows]))

    assert await database.read(queue.lowest_ranks([1, 2, 3, 4])) == {1: 70, 2: 60, 3: 80}
    assert await database.read(queue.lowest_ranks([1, 2, 3], {1: 71, 3: 81})) == {2: 60, 3: 90}


async def test_a_lane_shows_only_the_rows_that_have_waited_too_long(database: Database) -> None:
    await database.write(accept(100, 4))
    await database.write(queue.remove([(1, 10 * n, 100 + n) for n in range(4)]))
    await database.write(queue.enqueue([(1, 40 - n, 100 + n, 1, AT + n) for n in range(4)]))

    found = await database.read(queue.overdue_in_lane(1, AT + 3, 2))

    assert [row.message_id for row in found] == [102, 101]


async def test_a_step_is_taken_by_the_messages_named(database: Database) -> None:
    await database.write(accept(100, 3))

    await database.write(queue.take_step([(100, 1, "n"), (102, 2, "")]))

    assert await ask(database, "SELECT step FROM message ORDER BY id") == [(1,), (0,), (2,)]


def _entries(index: str) -> Script[int]:
    """How many entries of an index this transaction has been given so far."""
    rows = yield Query("SELECT pg_stat_get_xact_tuples_returned(CAST(? AS text)::regclass)", (index,))
    return int(rows[0][0])


def _claim(mark: LowWater, took: list[int]) -> Script[None]:
    """Claim ten rows and note which entries of the index that took, and how many of them."""
    before = yield from _entries("outq_pkey")
    rows = yield from queue.head(1, 10, mark.begin(10))
    took.append((yield from _entries("outq_pkey")) - before)
    yield from queue.remove_head(1, rows)
    mark.committed(Passed((rows[-1].rank, rows[-1].message_id)))


async def test_a_claim_steps_over_nothing_that_was_claimed_before_and_a_held_snapshot_keeps(
    postgres_url: str,
) -> None:
    database = await Postgres.connect(postgres_url, readers=1, shared=True)
    forgotten = await asyncpg.connect(postgres_url)
    marked: list[int] = []
    unmarked: list[int] = []
    try:
        await database.write(accept(100, 2_000))
        await forgotten.execute("ANALYZE outq, message")
        async with forgotten.transaction(isolation="repeatable_read", readonly=True):
            await forgotten.fetchval("SELECT count(*) FROM outq")
            mark = LowWater()
            for _ in range(30):
                await database.write(_claim(mark, marked))
            await database.write(_claim(LowWater(), unmarked))
    finally:
        await forgotten.close()
        await database.close()

    assert max(marked) <= 12
    assert unmarked[0] >= 300


async def test_a_head_begins_at_its_mark_with_the_strays_below_it(database: Database) -> None:
    await database.write(accept(100, 10))

    async def seen(limit: int, begun: Begun) -> list[int]:
        return [row.message_id for row in await database.read(queue.head(1, limit, begun))]

    assert await seen(4, Begun(70, [(20, 102), (25, 102), (50, 105)])) == [102, 105, 107, 108]
    assert await seen(1, Begun(70, [(20, 102)])) == [102]
    assert await seen(9, Begun(70, [])) == [107, 108, 109]


async def test_rows_below_a_mark_are_found_queue_by_queue(postgres_url: str) -> None:
    database = await Postgres.connect(postgres_url, readers=1, shared=True)
    try:
        await database.write(accept(100, 4))
        await database.write(queue.enqueue([(2, 7, 100, 1, AT), (3, 7, 100, 1, AT)]))

        found = await database.read(queue.rows_below([(1, 30), (2, 8), (3, 7)], 2))
    finally:
        await database.close()

    assert found == {1: [(0, 100), (10, 101)], 2: [(7, 100)]}
