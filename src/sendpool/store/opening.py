"""Open a database, whichever kind it is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import asyncpg

from sendpool.store.database import Database, DatabaseAway
from sendpool.store.migrate import migrate, migrate_postgres
from sendpool.store.postgres import Postgres
from sendpool.store.sqlite import Owner, Sqlite

#: A file of SQLite, or the URL of a PostgreSQL server.
Where = Path | str


async def open_database(where: Where, *, shared: bool = False) -> Database:
    """Own a database, with its schema brought up to date; *shared*: beside other processes, on PostgreSQL only.

    Raises `DatabaseInUse`, `SchemaTooNew`, or `OSError` where it cannot be reached.
    """
    if isinstance(where, Path):
        return Sqlite(where)
    with plain_errors():
        return await Postgres.connect(where, shared=shared)


async def migrate_database(where: Where) -> tuple[str | None, str]:
    """Bring the schema of a database up to date; returns the revisions before and after.

    Raises as `open_database` does. A PostgreSQL database may be in use meanwhile.
    """
    if isinstance(where, str):
        with plain_errors():
            return await migrate_postgres(where)
    owner = Owner(where)
    try:
        return migrate(where)
    finally:
        owner.release()


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Raise OSError in words for whatever keeps us from a PostgreSQL server."""
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, DatabaseAway, TimeoutError) as error:
        why = str(error) or "it did not answer in time"
        raise OSError(f"the PostgreSQL server does not let us in: {why}; look at server.database") from error
