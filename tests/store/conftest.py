"""A real store for each test: a migrated file of its own."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import asyncpg
import pytest

from sendpool.store.database import Database
from sendpool.store.migrate import migrate, migrate_postgres
from sendpool.store.postgres import Postgres
from sendpool.store.sqlite import Sqlite
from sendpool.testing.postgres_server import PostgresServer, postgres_server


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "sendpool.db"
    migrate(path)
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


_TEMPLATE = "migrated"
_numbers = count(1)


async def empty_database(postgres: PostgresServer) -> str:
    """Make a database with the schema of this version on the server; returns its URL."""
    connection = await asyncpg.connect(postgres.url())
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", _TEMPLATE):
            await connection.execute(f"CREATE DATABASE {_TEMPLATE}")
            await migrate_postgres(postgres.url(_TEMPLATE))
        name = f"test{next(_numbers)}"
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
    finally:
        await connection.close()
    return postgres.url(name)


@pytest.fixture
async def postgres_url(postgres: PostgresServer) -> str:
    """A database of its own."""
    return await empty_database(postgres)


@pytest.fixture
async def sqlite(migrated: Path, tmp_path: Path) -> AsyncIterator[Sqlite]:
    """An empty SQLite database."""
    path = tmp_path / "sendpool.db"
    shutil.copyfile(migrated, path)
    opened = Sqlite(path)
    yield opened
    await opened.close()


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, migrated: Path, tmp_path: Path) -> AsyncIterator[Database]:
    """Each of the databases, empty."""
    if request.param == "sqlite":
        path = tmp_path / "sendpool.db"
        shutil.copyfile(migrated, path)
        opened: Database = Sqlite(path)
    else:
        opened = await Postgres.connect(
            await empty_database(request.getfixturevalue("postgres")), readers=1, shared=True
        )
    yield opened
    await opened.close()
