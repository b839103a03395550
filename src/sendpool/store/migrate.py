"""Bring a database's schema to this version, and say which version it has."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import random
from pathlib import Path

import asyncpg
import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy.pool import NullPool

from sendpool.store.revisions import SchemaTooNew, known_revisions, newest_revision

_SCRIPTS = Path(__file__).with_name("migrations")


class MigrationBlocked(OSError):
    """Others hold locks on tables that a migration has to change, and did not give them up."""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config


def _unknown(what: object, revision: str) -> SchemaTooNew:
    return SchemaTooNew(f"{what} has schema {revision}, which this version of sendpool does not know; run a newer one")


def migrate(path: Path) -> tuple[str | None, str]:
    """Run what is missing on an SQLite file, made where there is none. Returns the revisions before and after.

    Raises `SchemaTooNew` when the file's revision is not one of ours.
    """
    config, head = _config(), newest_revision()
    _make_private(path)
    engine = sqlalchemy.create_engine(f"sqlite:///{path}", poolclass=NullPool, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            before = MigrationContext.configure(connection).get_current_revision()
            if before is not None and before not in known_revisions():
                raise _unknown(path, before)
            if before != head:
                config.attributes["connection"] = connection
                # The driver begins no transaction for DDL by itself, and a start that is cut short must leave nothing.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                command.upgrade(config, "head")
                connection.exec_driver_sql("COMMIT")
            return before, head
    finally:
        engine.dispose()


def _make_private(path: Path) -> None:
    """Make a file that is not there: it will hold texts and numbers, which only its user may read.

    SQLite gives the files beside it the same mode. Whoever wants another one for a file that exists keeps it.
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


#: The advisory lock that nodes which start at the same time take in turn ("sendpool" as eight bytes).
_MIGRATING = int.from_bytes(b"sendpool", "big") >> 1


def _as_sql(before: str | None, upto: str = "head") -> str:
    """The statements that lead from one revision to another on PostgreSQL, without a transaction of their own."""
    text = io.StringIO()
    config = Config(output_buffer=text)
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    command.upgrade(config, f"{before or 'base'}:{upto}", sql=True)
    return "\n".join(line for line in text.getvalue().splitlines() if line not in ("BEGIN;", "COMMIT;"))


#: How long a migration may wait for a lock on a table: so long wait the statements of the version before, which come
#: after it in the line.
LOCK_TIMEOUT = 1.0
#: How often it begins anew after that, and the pause before, in seconds, during which they catch up.
_TRIES, _PAUSE = 30, (1.0, 2.0)


async def migrate_postgres(url: str) -> tuple[str | None, str]:
    """Run what is missing on a PostgreSQL database. Returns the revisions before and after.

    Others may use it meanwhile: each wait for a lock is at most `LOCK_TIMEOUT` long, after which all of it begins anew.

    Raises `SchemaTooNew` when its revision is not one of ours, `MigrationBlocked` when others hold a lock all the time,
    and what asyncpg raises when it is not there.
    """
    connection = await asyncpg.connect(url)
    try:
        for left in reversed(range(_TRIES)):
            try:
                return await _migrate_once(connection)
            except asyncpg.LockNotAvailableError:
                if left:
                    await asyncio.sleep(random.uniform(*_PAUSE))
    finally:
        await connection.close()
    raise MigrationBlocked(
        f"the schema of the database could not be changed in {_TRIES} tries, for others hold locks on its tables; end"
        " transactions that have been open for long (pg_stat_activity shows them), then start again"
    )


async def _migrate_once(connection: asyncpg.Connection[asyncpg.Record]) -> tuple[str | None, str]:
    """Run all that is missing in one transaction, which waits only for other migrations as long as they take."""
    head = newest_revision()
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _MIGRATING)
        made = await connection.fetchval("SELECT to_regclass('alembic_version') IS NOT NULL")
        before = await connection.fetchval("SELECT version_num FROM alembic_version") if made else None
        if before is not None and before not in known_revisions():
            raise _unknown("the database", before)
        if before != head:
            await connection.execute(f"SET LOCAL lock_timeout = {int(1_000 * LOCK_TIMEOUT)}")
            await connection.execute(_as_sql(before))
    return before, head
