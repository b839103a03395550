"""Bring a database's schema to this version, and say which version it has."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path

import asyncpg
import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.pool import NullPool

_SCRIPTS = Path(__file__).with_name("migrations")


class SchemaTooNew(Exception):
    """The database was written by a newer sendpool; this one does not know its schema."""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config


def newest_revision() -> str:
    """The revision of this version's schema."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


def _unknown(what: object, revision: str) -> SchemaTooNew:
    return SchemaTooNew(f"{what} has schema {revision}, which this version of sendpool does not know; run a newer one")


def migrate(path: Path) -> tuple[str | None, str]:
    """Run what is missing on an SQLite file, made where there is none. Returns the revisions before and after.

    Raises `SchemaTooNew` when the file's revision is not one of ours.
    """
    config = _config()
    scripts = ScriptDirectory.from_config(config)
    head = scripts.get_current_head()
    assert head is not None
    _make_private(path)
    engine = sqlalchemy.create_engine(f"sqlite:///{path}", poolclass=NullPool, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            before = MigrationContext.configure(connection).get_current_revision()
            known = {script.revision for script in scripts.walk_revisions()}
            if before is not None and before not in known:
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


def _as_sql(before: str | None) -> str:
    """The statements that lead from a revision to the newest one on PostgreSQL, without a transaction of their own."""
    text = io.StringIO()
    config = Config(output_buffer=text)
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    command.upgrade(config, f"{before or 'base'}:head", sql=True)
    return "\n".join(line for line in text.getvalue().splitlines() if line not in ("BEGIN;", "COMMIT;"))


async def migrate_postgres(url: str) -> tuple[str | None, str]:
    """Run what is missing on a PostgreSQL database. Returns the revisions before and after.

    Raises `SchemaTooNew` when its revision is not one of ours, and what asyncpg raises when it is not there.
    """
    scripts, head = ScriptDirectory.from_config(_config()), newest_revision()
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _MIGRATING)
            made = await connection.fetchval("SELECT to_regclass('alembic_version') IS NOT NULL")
            before = await connection.fetchval("SELECT version_num FROM alembic_version") if made else None
            if before is not None and before not in {script.revision for script in scripts.walk_revisions()}:
                raise _unknown("the database", before)
            if before != head:
                await connection.execute(_as_sql(before))
        return before, head
    finally:
        await connection.close()
