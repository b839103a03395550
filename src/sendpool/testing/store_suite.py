"""The suite that every database must pass, without a test framework: hand each check a rig, it raises or returns.

    from sendpool.testing import store_suite as suite

    @pytest.mark.parametrize("check", suite.CHECKS, ids=lambda check: check.__name__)
    async def test_suite(check):
        await check(MyRig(...))

Each check opens the database of its rig, which must be empty, and closes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import func, insert, select, update

from sendpool.store import receipts
from sendpool.store.database import Bulk, Query, Script, Unit
from sendpool.store.outbox import write_events
from sendpool.store.tables import account
from sendpool.testing import store_rows
from sendpool.testing.store_rig import Check, Rig, ask, opened

__all__ = ["CHECKS", "Check", "Rig"]

_LARGEST = (1 << 63) - 1


class Refused(Exception):
    """What a script raises here to be undone."""


async def _raises(kind: type[BaseException], awaitable: Awaitable[Any]) -> None:
    try:
        await awaitable
    except kind:
        return
    raise AssertionError(f"{kind.__name__} was not raised")


def _event(subject: int, number: int = 1030) -> Script[None]:
    yield from write_events([(subject, number, None, 1)])


# ---------------------------------------------------------------- transactions


async def what_is_written_is_read_and_survives_reopening(rig: Rig) -> None:
    """`write` brings the script's result once it is durable; a database opened anew has it."""
    async with opened(rig) as database:

        def script() -> Script[str]:
            yield from _event(1)
            return "done"

        assert await database.write(script()) == "done"
        assert await ask(database, "SELECT subject_id, number FROM event") == [(1, 1030)]
    async with opened(rig) as database:
        assert await ask(database, "SELECT subject_id, number FROM event") == [(1, 1030)]


async def an_exception_undoes_everything_and_is_raised(rig: Rig) -> None:
    """Whether a script raises or one of its statements fails, nothing of it stays and the writer goes on."""

    def raising() -> Script[None]:
        yield from _event(1)
        raise Refused

    def failing() -> Script[None]:
        yield from _event(2)
        yield Query("INSERT INTO no_such_table VALUES (1)")

    async with opened(rig) as database:
        await _raises(Refused, database.write(raising()))
        await _raises(Exception, database.write(failing()))
        await database.write(_event(3))
        assert await ask(database, "SELECT subject_id FROM event") == [(3,)]


async def writes_wait_for_each_other(rig: Rig) -> None:
    """A hundred scripts that read, then write what they read and one more: none is lost."""

    def more() -> Script[None]:
        rows = yield Query("SELECT count(*) FROM event")
        yield from _event(rows[0][0])

    async with opened(rig) as database:
        await asyncio.gather(*(database.write(more()) for _ in range(100)))
        assert await ask(database, "SELECT count(*), max(subject_id) FROM event") == [(100, 99)]


async def a_read_sees_one_snapshot(rig: Rig) -> None:
    """Two statements of one read agree, whatever is written meanwhile."""

    def twice() -> Script[tuple[int, int]]:
        first = yield Query("SELECT count(*) FROM event")
        second = yield select(func.count()).select_from(account)
        third = yield Query("SELECT count(*) FROM event")
        assert second[0][0] == 0
        return first[0][0], third[0][0]

    async with opened(rig) as database:
        writes = [asyncio.ensure_future(database.write(_event(n))) for n in range(60)]
        counts = await asyncio.gather(*(database.read(twice()) for _ in range(60)))
        await asyncio.gather(*writes)
        assert all(first == second for first, second in counts), counts
        assert await database.read(twice()) == (60, 60)


async def whoever_stops_waiting_undoes_nothing(rig: Rig) -> None:
    """A write whose waiter was cancelled happens wholly, or not at all; the database stays usable."""
    async with opened(rig) as database:
        waiter = asyncio.ensure_future(database.write(_event(1)))
        await asyncio.sleep(0)
        waiter.cancel()
        await asyncio.gather(waiter, return_exceptions=True)
        await database.write(_event(2))
        assert (2,) in await ask(database, "SELECT subject_id FROM event")


async def a_unit_that_raises_undoes_only_itself(rig: Rig) -> None:
    """Units bring their results or their exceptions; what is around a failed one stays, in nested ones too."""

    def good(subject: int) -> Script[int]:
        yield from _event(subject)
        return subject

    def bad(subject: int) -> Script[None]:
        yield from _event(subject)
        raise Refused

    def nested() -> Script[Any]:
        yield from _event(20)
        return (yield Unit(partial(bad, 21)))

    def twice_the_same() -> Script[None]:
        yield Query("INSERT INTO event (subject_id, number, created_at) VALUES (10, 1030, 1)")

    def whole() -> Script[list[Any]]:
        units = [Unit(partial(good, 10)), Unit(partial(bad, 11)), Unit(twice_the_same), Unit(nested)]
        brought = []
        for unit in units:
            brought.append((yield unit))
        yield from _event(30)
        return brought

    async with opened(rig) as database:
        first, second, third, fourth = await database.write(whole())
        assert first == 10
        assert isinstance(second, Refused)
        assert isinstance(third, Exception)
        assert isinstance(fourth, Refused)
        assert await ask(database, "SELECT subject_id FROM event ORDER BY 1") == [(10,), (20,), (30,)]


# ---------------------------------------------------------------- statements


class _Row(msgspec.Struct, array_like=True):
    id: int
    text: str | None


async def values_come_back_as_they_went(rig: Rig) -> None:
    """Text of any kind, no value and the largest integers, as rows, as named columns and as structs."""
    texts = ['"quoted" \\ and\nbroken', "Grüße, 你好, 🎉 ", "'; DROP TABLE event; --", "", None, "\u2028\x7f"]
    rows = [receipts.ParkedRow(n, f"c{n}", 1, text, str(text), _LARGEST - n) for n, text in enumerate(texts)]
    wanted = [(text, _LARGEST - n) for n, text in enumerate(texts)]

    def script() -> Script[tuple[Any, Any]]:
        named = yield Query("FROM receipt ORDER BY connection_id", (), ("failure", "received_at"))
        structs = yield Query("FROM receipt ORDER BY connection_id", (), ("received_at", "failure"), _Row)
        return named, structs

    async with opened(rig) as database:
        await database.write(receipts.park(rows))
        assert await ask(database, "SELECT failure, received_at FROM receipt ORDER BY connection_id") == wanted
        named, structs = await database.read(script())
        assert [tuple(row) for row in named] == wanted
        assert [(one.text, one.id) for one in structs] == wanted


async def a_bulk_of_any_size_is_one_statement(rig: Rig) -> None:
    """Rows go in and come out whatever their number; a write brings how many rows it changed."""
    names = (("subject", "bigint"), ("number", "int"))

    def script(size: int) -> Script[tuple[Any, Any, Any]]:
        rows = [(subject, 1030) for subject in range(size)]
        added = yield Bulk(
            "INSERT INTO event (subject_id, number, created_at) SELECT subject, number, 1 FROM v", names, rows
        )
        changed = yield Bulk(
            "UPDATE event SET error_code = 9 FROM v WHERE event.subject_id = v.subject AND v.subject < 5", names, rows
        )
        found = yield Bulk("FROM v JOIN event e ON e.subject_id = v.subject", names, rows, ("e.subject_id",))
        yield Query("DELETE FROM event")
        return added, changed, sorted(row[0] for row in found)

    async with opened(rig) as database:
        for size in (0, 1, 2, 3, 7, 8, 31, 127, 511, 512, 513, 1024, 1700):
            added, changed, found = await database.write(script(size))
            assert (added, changed, found) == (size, min(size, 5), list(range(size))), size


async def core_statements_run(rig: Rig) -> None:
    """SQLAlchemy Core: RETURNING, IN over a list, a changed-row count."""
    values = {"name": "", "auth_token": "", "created_at": 1}

    def script() -> Script[tuple[Any, Any, Any]]:
        made = yield insert(account).values(sid="AC1", **values).returning(account.c.id)
        yield insert(account).values([{"sid": "AC2", **values}, {"sid": "AC3", **values}])
        changed = yield update(account).where(account.c.sid.in_(["AC2", "AC3", "AC4"])).values(name="x")
        found = yield select(account.c.sid).where(account.c.id == made[0][0])
        return made, changed, found

    async with opened(rig) as database:
        made, changed, found = await database.write(script())
        assert len(made) == 1
        assert changed == 2
        assert [tuple(row) for row in found] == [("AC1",)]


CHECKS: tuple[Check, ...] = (
    what_is_written_is_read_and_survives_reopening,
    an_exception_undoes_everything_and_is_raised,
    writes_wait_for_each_other,
    a_read_sees_one_snapshot,
    whoever_stops_waiting_undoes_nothing,
    a_unit_that_raises_undoes_only_itself,
    values_come_back_as_they_went,
    a_bulk_of_any_size_is_one_statement,
    core_statements_run,
    *store_rows.CHECKS,
)
