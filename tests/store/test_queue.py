"""Queues: rank order whatever the order of arrival, and rows that come back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sendpool.store import queue
from sendpool.store.database import Database, Query, Script
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


async def test_the_lowest_rank_of_each_pool_seeds_its_clock(database: Database) -> None:
    keys = [QueueKey(7, "SMS", ""), QueueKey(7, "SMS", "5"), QueueKey(8, "SMS", ""), QueueKey(9, "SMS", "")]
    await database.write(queue.insert_queues(list(enumerate(keys, 1))))
    rows = [(1, 70, 1), (1, 0, 9), (2, 60, 2), (3, 90, 3), (3, 80, 4)]
    await database.write(queue.enqueue([(*row, 1, AT) for row in rows]))

    assert dict(await database.read(queue.lowest_ranks())) == {7: 60, 8: 80}


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
