"""Run scripts on a connection to PostgreSQL: their `?` become numbered parameters with types, a `Bulk` one statement
over arrays.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeVar

import asyncpg
from sqlalchemy.dialects.postgresql import asyncpg as dialects
from sqlalchemy.sql import ClauseElement

from sendpool.store.database import Bulk, Lock, Query, Rows, Script, Shared, Statement, Unit

T = TypeVar("T")

_DIALECT = dialects.dialect()  # type: ignore[no-untyped-call]
#: What the server is told of a parameter whose type the statement alone does not give away.
_CASTS = {int: "bigint", str: "text", bytes: "bytea", float: "double precision", bool: "boolean"}
#: Faults of the server or of the way to it, not of the statement: the whole commit fails.
BROKEN = (
    OSError,  # TimeoutError is one.
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
)
#: Another transaction was in the way (40001, 40P01): the whole commit is run again.
CONFLICTS = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
#: Rows of a `Bulk` from which columns of one value are looked for: each such set of columns is a statement of its own.
_WORTH_LOOKING, _NONE = 32, frozenset[int]()
_FOR_SHARED = re.compile(r"/\*shared (.*?)\*/")


@lru_cache(maxsize=2048)
def _numbered(sql: str, kinds: tuple[type, ...], shared: bool) -> str:
    """The text with `$1::bigint` and so on for each `?`."""
    parts = (_FOR_SHARED.sub(r"\1", sql) if shared else sql).split("?")
    if len(parts) != len(kinds) + 1:
        raise ValueError(f"{len(parts) - 1} parameters in the statement, {len(kinds)} given")
    written = [parts[0]]
    for number, (kind, part) in enumerate(zip(kinds, parts[1:], strict=True), 1):
        cast = _CASTS.get(kind)
        written += [f"${number}::{cast}" if cast else f"${number}", part]
    return "".join(written)


@lru_cache(maxsize=2048)
def _over_arrays(
    sql: str, names: tuple[tuple[str, str], ...], columns: tuple[str, ...], same: frozenset[int], shared: bool
) -> str:
    """The statement over one array for each column of `v`, or over one value, where its place is among the *same*."""
    if shared:
        sql = _FOR_SHARED.sub(r"\1", sql)
    kinds = [kind for _, kind in names]
    arrays = [i for i in range(len(kinds)) if i not in same]
    values = ", ".join(f"${i + 1}::{kind}" if i in same else f"u{i}" for i, kind in enumerate(kinds))
    unnested = ", ".join(f"${i + 1}::{kinds[i]}[]" for i in arrays)
    table = f"unnest({unnested}) AS u({', '.join(f'u{i}' for i in arrays)})"
    select = f"SELECT {', '.join(columns)} " if columns else ""
    return f"WITH v({', '.join(name for name, _ in names)}) AS (SELECT {values} FROM {table}) {select}{sql}"


def _same(columns: Sequence[Sequence[Any]]) -> frozenset[int]:
    """Places of the columns that hold one value, all but one of them, where there are rows enough to look for them.

    An array costs both sides some 0.5 us an element, and in most batches half of the columns have nothing to say.
    """
    count = len(columns[0])
    if count < _WORTH_LOOKING:
        return _NONE
    same = [i for i, one in enumerate(columns) if one[0] == one[-1] and one.count(one[0]) == count]
    return frozenset(same[1:] if len(same) == len(columns) else same)


def _changed(status: str) -> int:
    """The number of rows in what the server says it has done ("UPDATE 5", "INSERT 0 5")."""
    count = status.rpartition(" ")[2]
    return int(count) if count.isdigit() else -1


def _as_rows(records: Sequence[Any], row: type) -> Rows:
    return [list(record) for record in records] if row is list else [row(*record) for record in records]


async def _run_query(connection: Any, query: Query, *, shared: bool) -> Rows | int:
    # An enum is an integer to the server, but not to the driver's codec of it.
    args = [int(arg) if isinstance(arg, int) and type(arg) is not bool else arg for arg in query.args]
    kinds = tuple(type(arg) for arg in args)
    if query.columns:
        sql = _numbered(f"SELECT {', '.join(query.columns)} {query.sql}", kinds, shared)
        return _as_rows(await connection.fetch(sql, *args), query.row)
    sql = _numbered(query.sql, kinds, shared)
    if query.sql.lstrip()[:6].upper() in ("SELECT", "WITH R") or " RETURNING " in query.sql:
        return [tuple(record) for record in await connection.fetch(sql, *args)]
    return _changed(await connection.execute(sql, *args))


async def _run_bulk(connection: Any, bulk: Bulk, *, shared: bool) -> Rows | int:
    arrays: list[Sequence[Any]] = [*zip(*bulk.rows, strict=True)] if bulk.rows else [()] * len(bulk.names)
    same = _same(arrays) if bulk.alike else _NONE
    sql = _over_arrays(bulk.sql, tuple(bulk.names), tuple(bulk.columns), same, shared)
    values = [one[0] if i in same else one for i, one in enumerate(arrays)]
    if bulk.columns:
        return _as_rows(await connection.fetch(sql, *values), bulk.row)
    return _changed(await connection.execute(sql, *values))


async def _run_core(connection: Any, statement: ClauseElement) -> Rows | int:
    compiled = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    params = compiled.params  # Made anew at each access.
    args = [params[name] for name in compiled.positiontup or ()]  # type: ignore[attr-defined]
    if getattr(compiled, "effective_returning", None) or getattr(statement, "is_select", False):
        return [tuple(record) for record in await connection.fetch(str(compiled), *args)]
    return _changed(await connection.execute(str(compiled), *args))


async def _run_unit(connection: Any, unit: Unit, *, shared: bool) -> Any:
    """Run a cold change under a savepoint; an exception undoes only it and is handed back as a value."""
    try:
        async with connection.transaction():
            return await run(connection, unit.script(), shared=shared)
    except (*BROKEN, *CONFLICTS):
        raise
    except Exception as error:  # noqa: BLE001 - it is handed to whoever waits for the unit
        return error


async def _run_statement(connection: Any, statement: Statement, *, shared: bool) -> Any:
    if isinstance(statement, Bulk):
        return await _run_bulk(connection, statement, shared=shared)
    if isinstance(statement, Query):
        return await _run_query(connection, statement, shared=shared)
    if isinstance(statement, Unit):
        return await _run_unit(connection, statement, shared=shared)
    if isinstance(statement, Shared):
        return shared
    if isinstance(statement, Lock):
        return await _run_statement(connection, statement.statement, shared=shared) if shared else None
    return await _run_core(connection, statement)


async def run(connection: Any, script: Script[T], *, shared: bool = False) -> T:
    """Drive a script to its end on this connection, in whatever transaction is open."""
    brought: Any = None
    try:
        while True:
            brought = await _run_statement(connection, script.send(brought), shared=shared)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    finally:
        script.close()
