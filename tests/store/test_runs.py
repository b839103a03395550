"""Runs of keys: the usual fate of many messages in a few statements, or of none."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendpool.store import runs
from sendpool.store.database import Database, Script, Unit
from sendpool.store.runs import ACCEPTED, DELIVERED, WORTH_A_STATEMENT, Move, Unusual
from sendpool.testing.store_rig import ask
from sendpool.testing.store_rows import AT, accept, start


@given(st.sets(st.integers(0, 200)))
def test_every_key_is_in_exactly_one_run_or_in_the_rest(keys: set[int]) -> None:
    long, rest = runs.runs(sorted(keys))

    covered = [key for first, last in long for key in range(first, last + 1)] + rest
    assert sorted(covered) == sorted(keys)
    assert all(last - first + 1 >= WORTH_A_STATEMENT for first, last in long)
    assert rest == sorted(rest)


def carried(move: Move, keys: list[int]) -> Script[Exception | None]:
    outcome: Exception | None = yield Unit(partial(move.carry_out, keys, AT + 1))
    return outcome


@pytest.mark.parametrize("keys", [[100], [100, 102, 104], list(range(100, 140)), [*range(100, 120), 125, 130]])
async def test_all_of_a_set_are_moved_with_their_events(database: Database, keys: list[int]) -> None:
    await database.write(accept(100, 40))
    await database.write(start(keys))

    assert await database.write(carried(ACCEPTED, keys)) is None
    assert await database.write(carried(DELIVERED, keys[:1])) is None

    moved = await ask(database, "SELECT id, state, attempts FROM message WHERE state <> 2 ORDER BY id")
    assert moved == [(keys[0], 4, 1), *((key, 3, 1) for key in keys[1:])]
    attempts = await ask(database, "SELECT id >> 6, state, marks FROM attempt ORDER BY id")
    assert attempts == [(keys[0], 4, 1), *((key, 2, 1) for key in keys[1:])]
    events = await ask(database, "SELECT subject_id, number FROM event WHERE number BETWEEN 16 AND 1000 ORDER BY 1, 2")
    assert events == [(keys[0], 19), (keys[0], 20), *((key, 19) for key in keys[1:])]


@pytest.mark.parametrize(
    "odd",
    [
        "UPDATE message SET state = 4 WHERE id = 110",
        "UPDATE message SET ambiguous = 1 WHERE id = 110",
        "UPDATE message SET attempts = 1 WHERE id = 110",
        "UPDATE attempt SET state = 10 WHERE id = 110 * 64 + 1",
        "DELETE FROM attempt WHERE id = 110 * 64 + 1",
        "DELETE FROM message WHERE id = 110",
        "INSERT INTO event (subject_id, number, created_at) VALUES (110, 19, 1)",
    ],
)
@pytest.mark.parametrize("keys", [list(range(100, 120)), [100, 110, 119]])
async def test_one_that_stands_otherwise_stops_the_whole_set(database: Database, odd: str, keys: list[int]) -> None:
    await database.write(accept(100, 20))
    await database.write(start(keys))
    await database.write(_plain(odd))
    before = await ask(database, "SELECT id, state, attempts FROM message ORDER BY id")

    outcome = await database.write(carried(ACCEPTED, keys))

    assert isinstance(outcome, Exception)
    assert isinstance(outcome, Unusual) or "event" in odd
    assert await ask(database, "SELECT id, state, attempts FROM message ORDER BY id") == before
    assert await ask(database, "SELECT count(*) FROM attempt WHERE state = 2") == [(0,)]


async def test_later_attempts_between_the_keys_of_a_run_are_left_alone(database: Database) -> None:
    await database.write(accept(100, 20))
    await database.write(start(list(range(100, 120))))
    await database.write(start([105], n=2))

    assert await database.write(carried(ACCEPTED, list(range(100, 120)))) is None

    assert await ask(database, "SELECT state FROM attempt WHERE id = 105 * 64 + 2") == [(1,)]


def _plain(sql: str) -> Script[None]:
    from sendpool.store.database import Query

    yield Query(sql)
