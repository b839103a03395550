"""Counters: whatever several processes count in whatever order, what is read is always the sum."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sendpool.store.counters import add_to, count, fold
from sendpool.store.database import Database
from sendpool.store.operations import fetch_operation
from sendpool.store.postgres import Postgres
from sendpool.testing.store_rig import ask
from sendpool.testing.store_rows import AT, accept

FIRST, TOTAL = 100, 30
STEPS = (
    ("queued", "sent"),
    ("queued", "failed"),
    ("queued", "canceled"),
    ("sent", "delivered"),
    ("sent", "undelivered"),
)


@pytest.fixture
async def nodes(postgres_url: str) -> AsyncIterator[list[Postgres]]:
    opened = [await Postgres.connect(postgres_url, readers=1, shared=True) for _ in range(3)]
    yield opened
    for one in opened:
        await one.close()


async def shown(database: Database) -> tuple[int, Counter[str]]:
    """State and counters of the operation as a client reads them."""
    uid = (await ask(database, "SELECT uid FROM operation"))[0][0]
    row = await database.read(fetch_operation(1, uid))
    assert row is not None
    names = ("queued", "sent", "delivered", "failed", "undelivered", "canceled")
    return row.state, +Counter({name: getattr(row, name) for name in names})


@pytest.mark.parametrize(("writers", "seed"), [(1, 1), (2, 2), (3, 3), (3, 4)])
async def test_counters_are_exact_after_every_batch_however_many_count_and_fold(
    nodes: list[Postgres], writers: int, seed: int
) -> None:
    chance = random.Random(seed)
    await nodes[0].write(lambda: accept(FIRST, TOTAL))
    model = Counter({"queued": TOTAL})

    while model["queued"] or model["sent"]:
        batches: list[Any] = []
        for node in nodes[:writers]:
            delta: Counter[str] = Counter()
            for _ in range(chance.randint(1, 4)):
                was, becomes = chance.choice(STEPS)
                if model[was]:
                    model[was] -= 1
                    model[becomes] += 1
                    delta.update({was: -1, becomes: 1})
            if delta:
                batches.append(node.write(lambda delta=delta: count({FIRST: delta}, AT)))  # type: ignore[misc]
        if chance.random() < 0.5:
            batches += [node.write(lambda: fold(AT, chance.randint(1, 5))) for node in nodes[:writers]]
        chance.shuffle(batches)
        await asyncio.gather(*batches)
        state, counted = await shown(chance.choice(nodes))
        assert counted == +model
        assert (state > 2) == (not model["queued"])

    while await nodes[0].write(lambda: fold(AT, 3)):
        assert (await shown(nodes[1]))[1] == +model
    assert await ask(nodes[0], "SELECT count(*) FROM operation_delta") == [(0,)]
    ended = await ask(nodes[0], "SELECT count(*) FROM event WHERE subject_id = ? AND number > 1024 + 2", FIRST)
    assert ended == [(1,)]
    row = await ask(nodes[0], "SELECT queued, sent, delivered FROM operation")
    assert row == [(0, 0, model["delivered"])]


async def test_an_operation_is_completed_once_though_several_fold_at_once(nodes: list[Postgres]) -> None:
    await nodes[0].write(lambda: accept(FIRST, 12))
    for n in range(12):
        await nodes[n % 3].write(lambda: count({FIRST: {"queued": -1, "sent": 1}}, AT))
    assert await ask(nodes[0], "SELECT state FROM operation") == [(2,)]

    await asyncio.gather(*(node.write(lambda: fold(AT, 2)) for node in nodes for _ in range(4)))
    while await nodes[0].write(lambda: fold(AT, 100)):
        pass

    assert await ask(nodes[0], "SELECT state, sent FROM operation") == [(3, 12)]
    assert await ask(nodes[0], "SELECT count(*) FROM event WHERE number = 1027") == [(1,)]


async def test_where_one_process_writes_nothing_is_left_to_fold(sqlite: Database) -> None:
    await sqlite.write(accept(FIRST, 2))
    await sqlite.write(count({FIRST: {"queued": -2, "failed": 2}}, AT))

    assert await ask(sqlite, "SELECT state, failed FROM operation") == [(3, 2)]
    assert await ask(sqlite, "SELECT count(*) FROM operation_delta") == [(0,)]


@pytest.mark.parametrize("seed", range(4))
async def test_operations_in_a_row_that_change_alike_are_counted_as_each_by_itself(sqlite: Database, seed: int) -> None:
    chance = random.Random(seed)
    # Of one message each, in runs with gaps between them; and a large one, whose messages' keys are no operations.
    totals = {key: 1 for key in range(100, 160) if key % 13} | {160: 30}
    for key, total in totals.items():
        await sqlite.write(accept(key, total))
    model = {key: Counter({"queued": total}) for key, total in totals.items()}

    while any(+(counters & Counter({"queued": 99, "sent": 99})) for counters in model.values()):
        deltas: dict[int, dict[str, int]] = {}
        first, last = sorted(chance.sample(range(95, 165), 2))
        was, becomes = chance.choice(STEPS)
        for key in chance.sample(keys := [key for key in totals if first <= key <= last], len(keys)):
            number = min(model[key][was], chance.choice((1, 1, 1, totals[key])))
            if number and chance.random() > 0.05:
                deltas[key] = {was: -number, becomes: number}
                model[key].update(deltas[key])
        await sqlite.write(count(deltas, AT))

        names = ("queued", "sent", "delivered", "failed", "undelivered", "canceled")
        rows = await ask(sqlite, f"SELECT id, state, {', '.join(names)} FROM operation")
        assert {key: +Counter(dict(zip(names, numbers, strict=True))) for key, _, *numbers in rows} == {
            key: +counters for key, counters in model.items()
        }
        ended = {key: 4 if model[key]["canceled"] == totals[key] else 3 for key in totals if not model[key]["queued"]}
        assert {key: state for key, state, *_ in rows if state > 2} == ended
        told = await ask(sqlite, "SELECT subject_id, number FROM event WHERE number > 1026")
        assert sorted(told) == sorted((key, 1024 + state) for key, state in ended.items())


def test_what_several_stages_count_is_one_delta() -> None:
    tally: dict[int, dict[str, int]] = {}

    add_to(tally, {1: {"queued": -1, "sent": 1}, 2: {"sent": -1}})
    add_to(tally, {1: {"sent": -1, "delivered": 1}})

    assert tally == {1: {"queued": -1, "sent": 0, "delivered": 1}, 2: {"sent": -1}}
