"""Read a database beside the server that owns it, or while none runs: never writes, owns nothing, migrates nothing."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sendpool.store.database import DatabaseAway, Query, Script, Where
from sendpool.store.revisions import newest_revision
from sendpool.store.sqlite_run import run

T = TypeVar("T")


class WrongSchema(Exception):
    """The database is not of this version's schema."""


class Reader(Protocol):
    """Runs scripts that only read, each on its own snapshot."""

    async def read(self, script: Script[T], *, one: bool = False) -> T:
        """What a script brings; *one*: it asks a single statement. Raises `DatabaseAway`."""


class _SqliteReader:
    """A connection with a thread of its own, which ends what it has begun though nobody waits for it any more: nothing
    else touches the connection before.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._thread = ThreadPoolExecutor(1, "sqlite-reader")

    async def read(self, script: Script[T], *, one: bool = False) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._snapshot, script)

    async def close(self) -> None:
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)
        self._connection.close()

    def _snapshot(self, script: Script[T]) -> T:
        try:
            self._connection.execute("BEGIN")
            try:
                return run(self._connection, script)
            finally:
                self._connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise DatabaseAway(f"the database cannot be read: {error}") from error


@contextlib.asynccontextmanager
async def open_reader(where: Where) -> AsyncIterator[Reader]:
    """A reader of a database for the length of a block.

    Raises `WrongSchema`, or `OSError` where it is not there or cannot be read.
    """
    if isinstance(where, Path):
        reader = _SqliteReader(_connect(where))
        try:
            await _check(reader)
            yield reader
        finally:
            await reader.close()
        return
    # Not at the top: whoever reads a file starts without all that talks to a server.
    from asyncpg import UndefinedTableError

    from sendpool.store.postgres import Postgres, open_readers, plain_errors

    with plain_errors():
        database = Postgres(where, await open_readers(where, 2))
    try:
        with plain_errors():
            await _check(database, UndefinedTableError)
        yield database
    finally:
        await database.close()


def _connect(path: Path) -> sqlite3.Connection:
    connection: sqlite3.Connection | None = None
    try:
        # Not `immutable`: the server's log is read as well.
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA busy_timeout=5000")
        connection.execute("PRAGMA temp_store=MEMORY")
        connection.execute("SELECT 1 FROM sqlite_master")
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        raise OSError(f"{path} cannot be read: {error}") from error
    return connection


async def _check(reader: Reader, *missing: type[Exception]) -> None:
    """Raise `WrongSchema` unless the schema is ours; *missing*: what a database without any raises, beside ours."""
    unmade: tuple[type[Exception], ...] = (DatabaseAway, *missing)

    def script() -> Script[str]:
        rows = yield Query("SELECT version_num FROM alembic_version")
        return str(rows[0][0]) if rows else "none"

    try:
        found: Any = await reader.read(script())
    except unmade:
        found = "none"
    if found != newest_revision():
        raise WrongSchema(
            f"the database has schema {found}, this version of sendpool reads {newest_revision()}; use the version that"
            " the server has, or start it once"
        )
