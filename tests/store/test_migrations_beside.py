"""Migrations beside a running older version: its statements work before, meanwhile and afterwards."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from contextlib import closing
from itertools import count
from pathlib import Path

import asyncpg
import pytest
import sqlalchemy
from alembic import command

from sendpool.store import migrate as module
from sendpool.store.migrate import MigrationBlocked, migrate, migrate_postgres
from sendpool.store.revisions import newest_revision
from sendpool.store.schema import metadata
from sendpool.testing.postgres_server import PostgresServer

#: Every version from which a database may come while nodes of that version run: since nodes replace each other.
OLD = [f"{number:04}" for number in range(6, int(newest_revision()))]
#: Tables of a version, and the columns of each with their types.
Columns = dict[str, list[tuple[str, str]]]
_numbers = count(1)


# ---------------------------------------------------------------- what an older version writes


def value(kind: str, number: int) -> str:
    """A value of this type that no row of another number has."""
    kind = kind.upper()
    if kind == "BYTEA":
        return f"'\\x{number:02x}'"
    if kind == "BLOB":
        return f"x'{number:02x}'"
    return f"'{number}'" if kind in ("TEXT", "JSON") else str(number)


def statements(columns: Columns, number: int) -> list[str]:
    """What the version with these columns may do to each of its tables: add a row, change it, read it."""
    done = []
    for table in (table.name for table in metadata.sorted_tables if table.name in columns):
        names = [f'"{name}"' for name, _ in columns[table]]
        values = [value(kind, number) for _, kind in columns[table]]
        done += [
            f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(values)})",
            f"UPDATE {table} SET {', '.join(f'{name} = {name}' for name in names)}",
            f"SELECT {', '.join(names)} FROM {table}",
        ]
    return done


def sqlite_columns(database: sqlite3.Connection) -> Columns:
    tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'alembic_version'")
    return {
        table: [(row[1], row[2]) for row in database.execute(f"PRAGMA table_info({table})")] for (table,) in [*tables]
    }


async def postgres_columns(database: asyncpg.Connection[asyncpg.Record]) -> Columns:
    rows = await database.fetch(
        "SELECT table_name, column_name, data_type FROM information_schema.columns JOIN information_schema.tables"
        " USING (table_schema, table_name) WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
        " AND table_name <> 'alembic_version' ORDER BY ordinal_position"
    )
    columns: Columns = {}
    for table, name, kind in rows:
        columns.setdefault(table, []).append((name, kind))
    return columns


def to_sqlite(path: Path, revision: str) -> None:
    """A database of an older version."""
    config = module._config()
    engine = sqlalchemy.create_engine(f"sqlite:///{path}", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


async def new_postgres(postgres: PostgresServer, revision: str) -> str:
    """The URL of a database of an older version."""
    name = f"older{next(_numbers)}"
    for url, sql in ((postgres.url(), f"CREATE DATABASE {name}"), (postgres.url(name), module._as_sql(None, revision))):
        connection = await asyncpg.connect(url)
        await connection.execute(sql)
        await connection.close()
    return postgres.url(name)


@pytest.mark.parametrize("revision", OLD)
def test_what_an_older_version_does_works_after_the_newest_migration_on_sqlite(revision: str, tmp_path: Path) -> None:
    path = tmp_path / "older.db"
    to_sqlite(path, revision)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        columns = sqlite_columns(database)
        assert columns.keys() >= {"operation", "message", "attempt", "outq", "event"}
        for sql in statements(columns, 1):
            database.execute(sql).fetchall()

    migrate(path)

    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for sql in statements(columns, 2):
            rows = database.execute(sql).fetchall()
            assert len(rows) == 2 * sql.startswith("SELECT"), sql


@pytest.mark.parametrize("revision", OLD[-2:])
async def test_what_an_older_version_does_works_after_the_newest_migration_on_postgresql(
    revision: str, postgres: PostgresServer
) -> None:
    url = await new_postgres(postgres, revision)
    # Its connection stays open all the time, with its statements prepared, as that of a running node.
    database = await asyncpg.connect(url)
    try:
        columns = await postgres_columns(database)
        assert columns.keys() >= {"operation", "message", "attempt", "outq", "event"}
        for sql in statements(columns, 1):
            await database.fetch(sql)

        assert await migrate_postgres(url) == (revision, newest_revision())

        for sql in statements(columns, 2):
            rows = await database.fetch(sql)
            assert len(rows) == 2 * sql.startswith("SELECT"), sql
    finally:
        # Left open it would keep the event loop from closing.
        await database.close()


# ---------------------------------------------------------------- what a migration takes over


UNDER_WAY = [
    "INSERT INTO attempt (id, sender_id, connection_id, channel, state, segments, reference, marks, started_at,"
    f" updated_at) VALUES ({key * 64 + 1}, 1, 1, 'SMS', {state}, 1, 0, 0, 0, 0)"
    for key, state in enumerate((1, 2, 1, 3))
]
NOTED = "SELECT attempts FROM begun"


def test_attempts_without_a_result_are_noted_by_the_migration_on_sqlite(tmp_path: Path) -> None:
    path = tmp_path / "older.db"
    to_sqlite(path, "0025")
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for sql in UNDER_WAY:
            database.execute(sql)

    migrate(path)

    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        assert [json.loads(row[0]) for row in database.execute(NOTED)] == [[1, 129]]


async def test_attempts_without_a_result_are_noted_by_the_migration_on_postgresql(postgres: PostgresServer) -> None:
    url = await new_postgres(postgres, "0025")
    database = await asyncpg.connect(url)
    for sql in UNDER_WAY:
        await database.execute(sql)

    await migrate_postgres(url)

    noted = [json.loads(row[0]) for row in await database.fetch(NOTED)]
    await database.close()
    assert noted == [[1, 129]]


# ---------------------------------------------------------------- while it runs


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOCK_TIMEOUT", 0.1)
    monkeypatch.setattr(module, "_PAUSE", (0.1, 0.2))


async def waits(database: asyncpg.Connection[asyncpg.Record], wanted: int = 1) -> None:
    """Return when a statement waits for the lock on a table."""
    sql = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation'"
    while await database.fetchval(sql) < wanted:
        await asyncio.sleep(0.01)


@pytest.mark.usefixtures("hurried")
async def test_a_migration_that_has_to_wait_lets_the_others_statements_pass(postgres: PostgresServer) -> None:
    url = await new_postgres(postgres, "0013")
    long, other, watch = [await asyncpg.connect(url) for _ in range(3)]
    reading = long.transaction()
    await reading.start()
    await long.fetch("SELECT * FROM operation")  # Somebody who looks around, and stays.

    migrating = asyncio.create_task(migrate_postgres(url))
    longest = 0.0
    for number in range(1, 4):
        await asyncio.wait_for(waits(watch), 10.0)
        began = time.monotonic()
        await other.fetch("SELECT * FROM operation")
        await other.execute("INSERT INTO number_block (name, next) VALUES ($1, 1)", str(number))
        longest = max(longest, time.monotonic() - began)
    assert not migrating.done()
    await reading.rollback()

    assert await asyncio.wait_for(migrating, 20.0) == ("0013", newest_revision())
    # A tenth of a second, and whatever a busy machine adds; the migration waits for as long as the reader stays.
    assert longest < 2.0
    for one in (long, other, watch):
        await one.close()


@pytest.mark.usefixtures("hurried")
async def test_a_migration_that_never_gets_its_lock_says_so_and_leaves_all_as_it_was(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TRIES", 2)
    url = await new_postgres(postgres, "0013")
    long = await asyncpg.connect(url)
    reading = long.transaction()
    await reading.start()
    await long.fetch("SELECT * FROM operation")

    with pytest.raises(MigrationBlocked, match="in 2 tries, for others hold locks"):
        await migrate_postgres(url)

    assert await long.fetchval("SELECT version_num FROM alembic_version") == "0013"
    await reading.rollback()
    assert await migrate_postgres(url) == ("0013", newest_revision())
    await long.close()


async def test_tables_that_change_all_the_time_have_settings_of_their_own(postgres: PostgresServer) -> None:
    url = await new_postgres(postgres, "head")
    database = await asyncpg.connect(url)
    rows = await database.fetch("SELECT relname, array_to_string(reloptions, ',') AS options FROM pg_class")
    options = {name: text or "" for name, text in rows}
    await database.close()

    for table in ("outq", "attempt", "message", "event", "segment", "undelivered", "scope_contact"):
        assert "autovacuum_vacuum_scale_factor=0.01" in options[table], table
    for table in ("scope_day", "scope_learned", "lease", "feed", "operation_delta"):
        assert "autovacuum_vacuum_scale_factor=0," in options[table], table
        assert "fillfactor" in options[table], table
