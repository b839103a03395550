"""The shared store: PostgreSQL through asyncpg, one connection that writes and a few that read.

The same scripts as on SQLite: their `?` become numbered parameters with types, and a `Bulk` is one statement over
arrays. Writes of one process go over one connection, so that the result and the receipt of a message stay in order.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import asyncpg
from sqlalchemy.dialects.postgresql import asyncpg as dialects
from sqlalchemy.sql import ClauseElement

from sendpool.store.database import Bulk, DatabaseAway, DatabaseInUse, Query, Rows, Script, Statement, Unit
from sendpool.store.migrate import migrate_postgres

T = TypeVar("T")

_DIALECT = dialects.dialect()  # type: ignore[no-untyped-call]
#: Statements that a connection keeps prepared.
_PREPARED = 1024
#: What the server is told of a parameter whose type the statement alone does not give away.
_CASTS = {int: "bigint", str: "text", bytes: "bytea", float: "double precision", bool: "boolean"}
#: Faults of the server or of the way to it, not of the statement: the whole commit fails.
_BROKEN = (
    OSError,  # TimeoutError is one.
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
)


@lru_cache(maxsize=2048)
def _numbered(sql: str, kinds: tuple[type, ...]) -> str:
    """The text with `$1::bigint` and so on for each `?`."""
    parts = sql.split("?")
    if len(parts) != len(kinds) + 1:
        raise ValueError(f"{len(parts) - 1} parameters in the statement, {len(kinds)} given")
    written = [parts[0]]
    for number, (kind, part) in enumerate(zip(kinds, parts[1:], strict=True), 1):
        cast = _CASTS.get(kind)
        written += [f"${number}::{cast}" if cast else f"${number}", part]
    return "".join(written)


@lru_cache(maxsize=2048)
def _over_arrays(sql: str, names: tuple[tuple[str, str], ...], columns: tuple[str, ...]) -> str:
    arrays = ", ".join(f"${i}::{kind}[]" for i, (_, kind) in enumerate(names, 1))
    select = f"SELECT {', '.join(columns)} " if columns else ""
    return f"WITH v({', '.join(name for name, _ in names)}) AS (SELECT * FROM unnest({arrays})) {select}{sql}"


def _changed(status: str) -> int:
    """The number of rows in what the server says it has done ("UPDATE 5", "INSERT 0 5")."""
    count = status.rpartition(" ")[2]
    return int(count) if count.isdigit() else -1


def _as_rows(records: Sequence[Any], row: type) -> Rows:
    return [list(record) for record in records] if row is list else [row(*record) for record in records]


async def _run_query(connection: Any, query: Query) -> Rows | int:
    # An enum is an integer to the server, but not to the driver's codec of it.
    args = [int(arg) if isinstance(arg, int) and type(arg) is not bool else arg for arg in query.args]
    kinds = tuple(type(arg) for arg in args)
    if query.columns:
        sql = _numbered(f"SELECT {', '.join(query.columns)} {query.sql}", kinds)
        return _as_rows(await connection.fetch(sql, *args), query.row)
    sql = _numbered(query.sql, kinds)
    if query.sql.lstrip()[:6].upper() in ("SELECT", "WITH R") or " RETURNING " in query.sql:
        return [tuple(record) for record in await connection.fetch(sql, *args)]
    return _changed(await connection.execute(sql, *args))


async def _run_bulk(connection: Any, bulk: Bulk) -> Rows | int:
    sql = _over_arrays(bulk.sql, tuple(bulk.names), tuple(bulk.columns))
    arrays = [list(column) for column in zip(*bulk.rows, strict=True)] if bulk.rows else [[] for _ in bulk.names]
    if bulk.columns:
        return _as_rows(await connection.fetch(sql, *arrays), bulk.row)
    return _changed(await connection.execute(sql, *arrays))


async def _run_core(connection: Any, statement: ClauseElement) -> Rows | int:
    compiled = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    params = compiled.params  # Made anew at each access.
    args = [params[name] for name in compiled.positiontup or ()]  # type: ignore[attr-defined]
    if getattr(compiled, "effective_returning", None) or getattr(statement, "is_select", False):
        return [tuple(record) for record in await connection.fetch(str(compiled), *args)]
    return _changed(await connection.execute(str(compiled), *args))


async def _run_unit(connection: Any, unit: Unit) -> Any:
    """Run a cold change under a savepoint; an exception undoes only it and is handed back as a value."""
    try:
        async with connection.transaction():
            return await run(connection, unit.script())
    except _BROKEN:
        raise
    except Exception as error:  # noqa: BLE001 - it is handed to whoever waits for the unit
        return error


async def _run_statement(connection: Any, statement: Statement) -> Any:
    if isinstance(statement, Bulk):
        return await _run_bulk(connection, statement)
    if isinstance(statement, Query):
        return await _run_query(connection, statement)
    if isinstance(statement, Unit):
        return await _run_unit(connection, statement)
    return await _run_core(connection, statement)


async def run(connection: Any, script: Script[T]) -> T:
    """Drive a script to its end on this connection, in whatever transaction is open."""
    brought: Any = None
    try:
        while True:
            brought = await _run_statement(connection, script.send(brought))
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    finally:
        script.close()


#: The session lock that makes one process the owner of a database, until several may share it.
_OWNING = int.from_bytes(b"sendpool", "big") >> 2
#: Seconds for a connection to be made, for one statement, and for the server to say what became of a commit.
_CONNECT, _STATEMENT, _VERDICT = 10.0, 60.0, 15.0
#: A transaction that somebody forgot holds up the clean-up of every busy table.
_SETTINGS = {"application_name": "sendpool", "idle_in_transaction_session_timeout": "60000"}
_OPTIONS: dict[str, Any] = {
    "statement_cache_size": _PREPARED,
    "server_settings": _SETTINGS,
    "timeout": _CONNECT,
    "command_timeout": _STATEMENT,
}


class Postgres:
    """A `Database` on a PostgreSQL server, owned by this process."""

    def __init__(self, url: str, readers: asyncpg.Pool) -> None:
        """Take over an open pool; `connect` makes it."""
        self.url = url
        self._readers = readers
        self._writer: Any = None
        self._writing = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()

    @classmethod
    async def connect(cls, url: str, *, readers: int = 4) -> Postgres:
        """Own the database that an URL names ("postgresql://user@host/name"), with its schema brought up to date.

        Raises `DatabaseInUse` when another process owns it, `SchemaTooNew` when a newer sendpool made it, and `OSError`
        or `asyncpg.PostgresError` when the server is not there or does not let us in.
        """
        database = cls(url, await open_readers(url, readers))
        try:
            await database._own()
            await migrate_postgres(url)
        except BaseException:
            await database.close()
            raise
        return database

    async def _own(self) -> Any:
        """The connection that writes. It holds the owner's lock, so a new one is made only where the old is gone."""
        if self._writer is None or self._writer.is_closed():
            connection = await asyncpg.connect(self.url, **_OPTIONS)
            if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _OWNING):
                await connection.close()
                raise DatabaseInUse("another sendpool process uses this database; stop that one, or name another")
            self._writer = connection
        return self._writer

    async def write(self, script: Script[T]) -> T:
        """Run a script in one durable transaction; an exception rolls it back and is raised here.

        Where the connection breaks just when it is committed, the server is asked what became of it. Whoever stops
        waiting undoes nothing.
        """
        task = asyncio.get_running_loop().create_task(self._write(script))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _write(self, script: Script[T]) -> T:
        async with self._writing:
            with _away():
                connection = await self._own()
            transaction = connection.transaction()
            try:
                with _away():
                    await transaction.start()
                    result = await run(connection, script)
                    number = await connection.fetchval("SELECT pg_current_xact_id()::text")
            except BaseException:
                await _undo(connection, transaction)
                raise
            with _away():
                await self._commit(connection, transaction, number)
            return result

    async def _commit(self, connection: Any, transaction: Any, number: str) -> None:
        try:
            await transaction.commit()
        except BaseException as error:
            connection.terminate()
            if not isinstance(error, _BROKEN) or not await self._was_committed(number):
                raise

    async def _was_committed(self, number: str) -> bool:
        """What became of a transaction whose commit nobody answered. Raises where the server does not say in time."""
        async with asyncio.timeout(_VERDICT):
            while True:
                try:
                    status = await (await self._own()).fetchval("SELECT pg_xact_status($1::text::xid8)", number)
                except (*_BROKEN, DatabaseInUse):
                    status = "in progress"  # The server may not have noticed yet that its old client has gone.
                if status != "in progress":
                    return bool(status == "committed")
                await asyncio.sleep(0.2)

    async def read(self, script: Script[T]) -> T:
        """Run a script that only reads, on its own snapshot, beside the writer."""
        with _away():
            async with (
                self._readers.acquire() as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                return await run(connection, script)

    async def close(self) -> None:
        """Wait for running scripts, then close and let another process own the database."""
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._writer is not None:
            await self._writer.close()
        await self._readers.close()


async def open_readers(url: str, most: int) -> asyncpg.Pool:
    """Up to so many connections that read, each made when it is needed."""
    return await asyncpg.create_pool(url, min_size=0, max_size=most, **_OPTIONS)


@contextlib.contextmanager
def _away() -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise DatabaseAway(f"the database does not answer: {error}") from error


async def _undo(connection: Any, transaction: Any) -> None:
    """Roll back; a connection that cannot even do that is given up."""
    try:
        await transaction.rollback()
    except Exception:  # noqa: BLE001 - what made it fail is raised, not this
        connection.terminate()
