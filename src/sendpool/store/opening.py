"""Open a database, whichever kind it is."""

from __future__ import annotations

from pathlib import Path

from sendpool.store.database import Database, Where
from sendpool.store.migrate import migrate, migrate_postgres
from sendpool.store.postgres import Postgres, plain_errors
from sendpool.store.sqlite import Owner, Sqlite


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
