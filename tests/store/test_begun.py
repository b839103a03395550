"""The journal of attempts without a result, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Column, Table
from sqlalchemy.sql.visitors import iterate
from tests.store.test_audit import sound

from sendpool.domain.states import AttemptState
from sendpool.store import begun, runs
from sendpool.store.attempts import AttemptChange, change_attempts
from sendpool.store.begun import (
    NewAttempt,
    begun_without_note,
    forget_entries,
    in_flight_by,
    newest_entry,
    next_entries,
    note_begun,
    start_attempts,
    started_attempts,
)
from sendpool.store.database import Database, Query, Script
from sendpool.store.leases import add_leases, note_settled, release_lease, take_lease
from sendpool.store.postgres import Postgres
from sendpool.store.schema import metadata
from sendpool.store.strays import doubts
from sendpool.testing.store_rows import AT, accept, start

STARTED, WITHDRAWN = AttemptState.STARTED, AttemptState.WITHDRAWN


@pytest.fixture
async def shared(postgres_url: str) -> AsyncIterator[Postgres]:
    opened = await Postgres.connect(postgres_url, readers=1, shared=True)
    yield opened
    await opened.close()


async def over(database: Database) -> list[int]:
    """What a look over the whole journal finds to be forgotten."""
    upto, after = await database.read(newest_entry()), 0
    found: list[int] = []
    while after < upto:
        some, after = await database.read(next_entries(after, upto))
        found += some
    return found


async def begin(database: Database, *keys: int) -> int:
    """Start the first attempts of these messages in one commit; brings the row that notes them."""
    await database.write(start(list(keys)))
    return await database.read(newest_entry())


async def test_a_row_stays_until_the_last_of_its_attempts_has_a_result(database: Database) -> None:
    await database.write(accept(100, 6))
    first, second = await begin(database, 100, 101, 102), await begin(database, 103)
    assert await over(database) == []

    await database.write(runs.ACCEPTED.carry_out([100, 102], AT))
    assert await over(database) == []
    assert [one.message_id for one in await database.read(started_attempts(10))] == [101, 103]
    await database.write(runs.ACCEPTED.carry_out([103], AT))
    assert await over(database) == [second]
    await database.write(runs.ACCEPTED.carry_out([101], AT))
    assert await over(database) == [first, second]

    await database.write(forget_entries([first]))
    assert await over(database) == [second]
    assert await database.read(started_attempts(10)) == []


async def test_an_attempt_whose_number_is_used_again_is_noted_again(database: Database) -> None:
    await database.write(accept(100, 1))
    first = await begin(database, 100)
    withdrawn = AttemptChange(100, 1, STARTED, WITHDRAWN, 0, "THROTTLED", "0x58", "", None, "later")
    await database.write(change_attempts([withdrawn], AT))
    assert await over(database) == [first]
    await database.write(forget_entries([first]))

    second = await begin(database, 100)

    assert second > 0
    assert await over(database) == []
    assert [one.message_id for one in await database.read(started_attempts(10))] == [100]


async def test_the_journal_is_looked_over_in_pieces(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(begun, "_ROWS", 3)
    monkeypatch.setattr(begun, "_ATTEMPTS", 4)
    monkeypatch.setattr(begun, "_AT_ONCE", 5)
    await database.write(accept(100, 40))
    rows = [await begin(database, *range(first, first + 2)) for first in range(100, 120, 2)]
    large = await begin(database, *range(120, 130))

    assert [one.message_id for one in await database.read(started_attempts(100))] == list(range(100, 130))
    assert [one.message_id for one in await database.read(started_attempts(7))] == list(range(100, 107))
    assert await database.read(in_flight_by("connection_id")) == {3: 30}
    await database.write(runs.ACCEPTED.carry_out([*range(100, 104), *range(110, 130)], AT))
    assert await over(database) == [*rows[:2], *rows[5:], large]


async def test_what_is_begun_later_is_not_looked_at(database: Database) -> None:
    await database.write(accept(100, 2))
    first = await begin(database, 100)
    await begin(database, 101)
    await database.write(runs.ACCEPTED.carry_out([100, 101], AT))

    assert await database.read(next_entries(0, first)) == ([first], first)
    assert await database.read(next_entries(first, first)) == ([], first)


async def test_attempts_that_are_gone_hold_nothing_up(database: Database) -> None:
    await database.write(note_begun([77 * 64 + 1]))
    await database.write(note_begun([]))

    assert await over(database) == [await database.read(newest_entry())]
    assert await database.read(started_attempts(10)) == []


async def test_a_lease_knows_whether_its_last_owner_noted_what_it_started(shared: Postgres) -> None:
    database = shared
    await database.write(add_leases(["connection:3"]))

    async def taken() -> tuple[int, bool]:
        one = await database.write(take_lease(1, "connection:3", 60_000_000))
        assert one is not None
        return one.epoch, one.journaled

    async def over_to_the_next(epoch: int) -> None:
        assert await database.write(release_lease(1, "connection:3", epoch, {}))

    # Nobody has had it. The first one settles and notes; the second is of a version that knows nothing of it.
    epoch, journaled = await taken()
    assert journaled
    await database.write(note_settled("connection:3", epoch))
    await over_to_the_next(epoch)
    epoch, journaled = await taken()
    assert journaled
    await over_to_the_next(epoch)
    epoch, journaled = await taken()
    assert not journaled
    # Who loses it before all is settled leaves the same to the next.
    await over_to_the_next(epoch)
    epoch, journaled = await taken()
    assert not journaled
    await database.write(note_settled("connection:3", epoch - 1))
    await over_to_the_next(epoch)
    assert not (await taken())[1]


async def test_what_was_begun_without_a_note_is_found_by_its_owner(database: Database) -> None:
    rows = {100: (1, 4), 101: (1, 5), 102: (2, 4), 103: (1, 4)}
    await database.write(accept(100, 4))
    begun_by = [NewAttempt(key, 1, 7, link, "SMS", 1, 0, None, AT, 0, epoch) for key, (link, epoch) in rows.items()]
    await database.write(start_attempts(begun_by))
    await database.write(forget_entries([await database.read(newest_entry())]))
    await database.write(runs.ACCEPTED.carry_out([103], AT))
    assert await database.read(started_attempts(10)) == []

    found = await database.read(begun_without_note([1], 5))
    await database.write(note_begun(found))

    assert [one.message_id for one in await database.read(started_attempts(10))] == [100]
    assert sorted(await database.read(begun_without_note([1, 2], 6))) == [key * 64 + 1 for key in (100, 101, 102)]


async def test_receipts_of_unknown_ids_may_be_about_what_has_no_result_or_is_in_doubt(database: Database) -> None:
    await database.write(sound())
    await database.write(start([100, 101]))

    async def about(connection: int, since: int = 0, limit: int = 10) -> list[tuple[int, int]]:
        found = await database.read(doubts([connection], since, limit))
        return [(one.message_id, one.state) for one in found]

    assert sorted(await about(3)) == [(100, STARTED), (101, STARTED), (109, AttemptState.AMBIGUOUS)]
    assert len(await about(3, limit=1)) == 2
    assert await about(4) == []
    assert await about(3, since=AT) == []


# ---------------------------------------------------------------- why there is no index


def indexed(table: Table) -> set[str]:
    """Columns that the table's key and indexes are made of, or whose values decide what is in one."""
    names = {column.name for column in table.primary_key}
    for index in table.indexes:
        names |= {column.name for column in index.columns}
        condition = index.dialect_options["postgresql"]["where"]
        if condition is not None:
            names |= {part.name for part in iterate(condition) if isinstance(part, Column)}
    return names


@pytest.mark.parametrize("table", ["attempt", "message"])
def test_no_index_is_on_what_changes_as_a_message_goes_its_usual_way(table: str) -> None:
    changing = {"state", "marks", "attempts", "updated_at", "parts_delivered", "parts_failed"}

    assert not indexed(metadata.tables[table]) & changing


async def test_postgresql_updates_the_usual_way_in_place(shared: Postgres) -> None:
    keys = list(range(100, 400))

    def usual() -> Script[dict[str, tuple[int, int]]]:
        yield from start(keys)
        yield from runs.ACCEPTED.carry_out(keys, AT)
        rows = yield Query("SELECT relname, n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables")
        return {name: (updated, in_place) for name, updated, in_place in rows}

    await shared.write(accept(100, 300))
    done = await shared.write(usual())

    for table in ("attempt", "message"):
        updated, in_place = done[table]
        assert updated == 300
        assert in_place >= 0.9 * updated
