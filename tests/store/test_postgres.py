"""What is PostgreSQL's alone: several writers, transactions that are run again, and commits that nobody answered."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import asyncpg
import pytest
from asyncpg.transaction import Transaction

from sendpool.store.database import (
    SHARED,
    Database,
    DatabaseAway,
    DatabaseInUse,
    FateUnknown,
    Lock,
    Query,
    Script,
    Unit,
)
from sendpool.store.feed import feed_page
from sendpool.store.postgres import Postgres
from sendpool.store.runs import ACCEPTED
from sendpool.testing.postgres_server import PostgresServer
from sendpool.testing.store_rig import ask
from sendpool.testing.store_rows import AT, accept, start


@pytest.fixture
async def pair(postgres_url: str) -> AsyncIterator[tuple[Postgres, Postgres]]:
    """Two processes on one database."""
    both = (await Postgres.connect(postgres_url, shared=True), await Postgres.connect(postgres_url, shared=True))
    yield both
    for one in both:
        await one.close()


def add(name: str, number: int = 1) -> Script[int]:
    rows = yield Query(
        "INSERT INTO number_block (name, next) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET next = number_block.next"
        " + excluded.next RETURNING next",
        (name, number),
    )
    return int(rows[0][0])


async def value(database: Database, name: str) -> int:
    rows = await ask(database, "SELECT next FROM number_block WHERE name = ?", name)
    return int(rows[0][0]) if rows else 0


async def test_two_that_deadlock_both_succeed_since_one_is_run_again(pair: tuple[Postgres, Postgres]) -> None:
    ran = 0
    for name in "ab":
        await pair[0].write(add(name))

    def crossing(first: str, second: str) -> Script[None]:
        nonlocal ran
        ran += 1
        yield from add(first)
        yield Query("SELECT pg_sleep(0.2)")
        yield from add(second)

    await asyncio.gather(
        pair[0].write(lambda: crossing("a", "b")),
        pair[1].write(lambda: crossing("b", "a")),
    )

    assert (await value(pair[0], "a"), await value(pair[0], "b")) == (3, 3)
    assert ran == 3


def in_the_way(tries: list[int], times: int) -> Callable[[], Script[int]]:
    def script() -> Script[int]:
        tries.append(1)
        reached = yield from add("a")
        if len(tries) <= times:
            raise asyncpg.SerializationError("another one was first")
        return reached

    return script


async def test_what_another_process_got_in_the_way_of_is_run_again_from_the_start(
    pair: tuple[Postgres, Postgres],
) -> None:
    tries: list[int] = []

    assert await pair[0].write(in_the_way(tries, 3)) == 1

    assert len(tries) == 4
    assert await value(pair[0], "a") == 1


async def test_what_is_always_in_the_way_fails_after_some_tries(pair: tuple[Postgres, Postgres]) -> None:
    tries: list[int] = []

    with pytest.raises(asyncpg.SerializationError):
        await pair[0].write(in_the_way(tries, 1000))

    assert 2 < len(tries) < 20
    assert await value(pair[0], "a") == 0


async def test_a_script_that_cannot_be_made_anew_is_run_once(pair: tuple[Postgres, Postgres]) -> None:
    tries: list[int] = []

    with pytest.raises(asyncpg.SerializationError):
        await pair[0].write(in_the_way(tries, 1)())

    assert len(tries) == 1


async def test_a_conflict_within_a_unit_is_the_whole_transactions(pair: tuple[Postgres, Postgres]) -> None:
    tries: list[int] = []

    def script() -> Script[Any]:
        yield from add("b")
        return (yield Unit(in_the_way(tries, 1)))

    assert await pair[0].write(script) == 1
    assert await value(pair[0], "b") == 1


async def test_locks_and_marks_are_for_those_who_share(postgres_url: str, pair: tuple[Postgres, Postgres]) -> None:
    await pair[0].write(add("a"))
    held = asyncio.Event()

    def taken() -> Script[list[Any]]:
        rows: list[Any] = yield Query(
            "SELECT name FROM number_block WHERE name = 'a' /*shared FOR UPDATE SKIP LOCKED*/"
        )
        assert (yield SHARED)
        return rows

    def waiting() -> Script[int]:
        yield Lock(Query("SELECT 1 FROM number_block WHERE name = 'a' FOR UPDATE"))
        held.set()
        yield Query("SELECT pg_sleep(0.3)")
        return (yield from add("a"))

    holding = asyncio.create_task(pair[0].write(waiting))
    await held.wait()
    assert await pair[1].write(taken) == []
    assert await pair[1].write(lambda: add("a")) == 3
    assert await holding == 2
    assert await pair[1].write(taken) == [("a",)]


async def test_a_database_is_had_alone_or_shared_by_all(postgres_url: str) -> None:
    alone = await Postgres.connect(postgres_url)
    for shared in (True, False):
        with pytest.raises(DatabaseInUse, match="another sendpool process uses this database"):
            await Postgres.connect(postgres_url, shared=shared)
    await alone.close()

    first = await Postgres.connect(postgres_url, shared=True)
    second = await Postgres.connect(postgres_url, shared=True)
    with pytest.raises(DatabaseInUse):
        await Postgres.connect(postgres_url)
    await first.close()
    await second.close()


# ---------------------------------------------------------------- commits that nobody answered


def lose_the_answer(monkeypatch: pytest.MonkeyPatch, before: Callable[[], None] | None, *, done: bool) -> None:
    """The next commit is carried out, or not; its answer is lost."""
    commit = Transaction.commit
    lost = False

    async def losing(self: Transaction) -> None:
        nonlocal lost
        if lost:
            await commit(self)
            return
        lost = True
        if done:
            await commit(self)
        if before is not None:
            before()
        raise ConnectionResetError("the line is cut")

    monkeypatch.setattr(Transaction, "commit", losing)


async def test_a_commit_whose_answer_was_lost_counts_as_what_it_was(
    pair: tuple[Postgres, Postgres], monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_the_answer(monkeypatch, None, done=True)
    assert await pair[0].write(lambda: add("a")) == 1

    monkeypatch.undo()
    lose_the_answer(monkeypatch, None, done=False)
    with pytest.raises(DatabaseAway):
        await pair[0].write(lambda: add("a"))

    assert await pair[0].write(lambda: add("a")) == 2


async def test_the_verdict_on_a_commit_is_waited_for_until_the_server_is_back(
    postgres: PostgresServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = await Postgres.connect(postgres_url, shared=True)
    lose_the_answer(monkeypatch, lambda: postgres.stop(signal.SIGINT), done=True)
    try:
        writing = asyncio.create_task(database.write(lambda: add("a")))
        await asyncio.sleep(1.0)
        assert not writing.done()
        began = asyncio.get_running_loop().time()
        with pytest.raises(DatabaseAway):
            await value(database, "a")
        assert asyncio.get_running_loop().time() - began < 2.0
    finally:
        postgres.start()

    assert await writing == 1
    assert await value(database, "a") == 1
    await database.close()


async def test_a_process_that_ends_before_the_verdict_says_that_it_does_not_know(
    postgres: PostgresServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = await Postgres.connect(postgres_url, shared=True)
    lose_the_answer(monkeypatch, lambda: postgres.stop(signal.SIGINT), done=True)
    try:
        writing = asyncio.create_task(database.write(lambda: add("a")))
        await asyncio.sleep(0.3)
        await asyncio.wait_for(database.close(), 10.0)

        with pytest.raises(FateUnknown) as caught:
            await writing
        assert caught.value.result == 1
    finally:
        postgres.start()


async def test_a_server_with_another_past_knows_nothing_of_the_commit(pair: tuple[Postgres, Postgres]) -> None:
    rows = await ask(pair[0], "SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
    ahead, forgotten = int(rows[0][0]) + 1_000_000, 1 << 40

    with pytest.raises(FateUnknown, match="another past"):
        await pair[0]._was_committed(str(ahead), None)
    with pytest.raises(FateUnknown, match="does not know"):
        await pair[0]._was_committed(str(forgotten), None)


async def test_what_was_planned_while_a_table_was_small_never_reads_all_of_it(postgres_url: str) -> None:
    """Plans are kept; nobody has counted the rows that came since. Autovacuum may be a minute away."""
    database = await Postgres.connect(postgres_url, shared=True, readers=1)
    try:
        await _move_each(database, range(100, 120))
        keys = range(1_000, 5_000)
        before = await _sequential(database)
        await _move_each(database, keys, at_once=400)
        assert await _sequential(database) == before
    finally:
        await database.close()


async def _move_each(database: Database, keys: range, at_once: int = 1) -> None:
    await database.write(accept(keys[0], len(keys)))
    await database.write(start(keys))
    for first in range(keys[0], keys[-1] + 1, at_once):
        await database.write(partial(ACCEPTED.carry_out, range(first, first + at_once), AT))
        await database.read(feed_page(first, 100))


async def _sequential(database: Database) -> list[Any]:
    """The rows of hot tables that were read one after the other; sessions that write say so when they are idle."""
    await database.write(lambda: _plain("SELECT pg_stat_force_next_flush()"))
    tables = "('message', 'attempt', 'event')"
    return await ask(database, f"SELECT relname, seq_tup_read FROM pg_stat_user_tables WHERE relname IN {tables}")


def _plain(sql: str) -> Script[None]:
    yield Query(sql)


async def test_a_script_that_is_a_snapshot_by_its_one_statement_asks_no_second(postgres_url: str) -> None:
    database = await Postgres.connect(postgres_url, readers=1)

    def asks(statements: int) -> Script[int]:
        found = 0
        for _ in range(statements):
            rows = yield Query("SELECT count(*) + 1 FROM message")
            found += rows[0][0]
        return found

    assert [await database.read(asks(n), one=True) for n in (0, 1)] == [0, 1]
    with pytest.raises(ValueError, match="one statement asks a second"):
        await database.read(asks(2), one=True)
    assert await database.read(asks(2)) == 2
    await database.close()
