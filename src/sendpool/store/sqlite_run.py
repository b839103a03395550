"""Run scripts on a connection to SQLite: a `Bulk` is one statement over multi-row VALUES, and rows of hot statements
come back as one JSON value, since each step of a cursor gives up the interpreter lock and has to wait to get it back.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, TypeVar

import msgspec
from sqlalchemy.dialects import sqlite as dialects
from sqlalchemy.sql import ClauseElement

from sendpool.store.database import Bulk, Lock, Query, Row, Rows, Script, Shared, Statement, Unit

T = TypeVar("T")

_DIALECT = dialects.dialect(paramstyle="qmark")

#: Rows of one multi-row VALUES, where there are so many; what is left goes in one. Each number of rows is a statement
#: to be prepared, so of the larger ones there are few.
_BLOCKS = (512, 256, 128, 64, 48, 32)


@lru_cache
def _decoder(row: type) -> Callable[[bytes | str], Rows]:
    return msgspec.json.Decoder(list[row]).decode  # type: ignore[valid-type]


@lru_cache(maxsize=1024)
def _selecting(columns: tuple[str, ...], sql: str) -> str:
    names = [f"c{i}" for i in range(len(columns))]
    inner = ", ".join(f"{column} AS {name}" for column, name in zip(columns, names, strict=True))
    return f"SELECT json_group_array(json_array({', '.join(names)})) FROM (SELECT {inner} {sql})"


@lru_cache(maxsize=1024)
def _with_values(sql: str, names: tuple[tuple[str, str], ...], count: int) -> str:
    row = f"({','.join('?' * len(names))})"
    return f"WITH v({', '.join([name for name, _ in names])}) AS (VALUES {','.join([row] * count)}) {sql}"


def _blocks(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    start, end = 0, len(rows)
    for size in _BLOCKS:
        while end - start >= size:
            yield rows[start : start + size]
            start += size
    if start < end:
        yield rows[start:]


def _run_query(connection: sqlite3.Connection, query: Query) -> Rows | int:
    if query.columns:
        found = connection.execute(_selecting(tuple(query.columns), query.sql), query.args).fetchone()
        return _decoder(query.row)(found[0])
    cursor = connection.execute(query.sql, query.args)
    return cursor.fetchall() if cursor.description else cursor.rowcount


def _run_bulk(connection: sqlite3.Connection, bulk: Bulk) -> Rows | int:
    names = tuple(bulk.names)
    sql = _selecting(tuple(bulk.columns), bulk.sql) if bulk.columns else bulk.sql
    found: Rows = []
    # A statement that begins with WITH reports no rowcount, hence total_changes.
    before = connection.total_changes
    for block in _blocks(bulk.rows):
        cursor = connection.execute(_with_values(sql, names, len(block)), list(chain.from_iterable(block)))
        if bulk.columns:
            found += _decoder(bulk.row)(cursor.fetchone()[0])
    return found if bulk.columns else connection.total_changes - before


def _run_core(connection: sqlite3.Connection, statement: ClauseElement) -> Rows | int:
    compiled = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    names = compiled.positiontup or ()  # type: ignore[attr-defined]
    params = compiled.params  # Made anew at each access.
    cursor = connection.execute(str(compiled), [params[name] for name in names])
    return cursor.fetchall() if cursor.description else cursor.rowcount


def _run_unit(connection: sqlite3.Connection, unit: Unit) -> Any:
    """Run a cold change under a savepoint; an exception undoes only it and is handed back as a value."""
    connection.execute("SAVEPOINT unit")
    try:
        result = run(connection, unit.script())
    except sqlite3.OperationalError:
        raise  # The disk or the file, not this unit: the whole commit fails.
    except Exception as error:  # noqa: BLE001 - it is handed to whoever waits for the unit
        connection.execute("ROLLBACK TO unit")
        connection.execute("RELEASE unit")
        return error
    connection.execute("RELEASE unit")
    return result


def _run_statement(connection: sqlite3.Connection, statement: Statement) -> Any:
    if isinstance(statement, Bulk):
        return _run_bulk(connection, statement)
    if isinstance(statement, Query):
        return _run_query(connection, statement)
    if isinstance(statement, Unit):
        return _run_unit(connection, statement)
    if isinstance(statement, Lock):
        return None
    if isinstance(statement, Shared):
        return False
    return _run_core(connection, statement)


def run(connection: sqlite3.Connection, script: Script[T]) -> T:
    """Drive a script to its end on this connection, in whatever transaction is open."""
    brought: Any = None
    try:
        while True:
            brought = _run_statement(connection, script.send(brought))
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    finally:
        script.close()
