"""Both databases pass the suite that every database must pass."""

from __future__ import annotations

import shutil
from inspect import iscoroutinefunction
from pathlib import Path

import pytest

from sendpool.store.postgres import Postgres
from sendpool.store.sqlite import Sqlite
from sendpool.testing import store_rows
from sendpool.testing import store_suite as suite


class SqliteRig:
    """A file that is opened again and again."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def open(self) -> Sqlite:
        return Sqlite(self._path)


class PostgresRig:
    """A database of a server that is opened again and again."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def open(self) -> Postgres:
        return await Postgres.connect(self._url, readers=2)


@pytest.mark.parametrize("check", suite.CHECKS, ids=lambda check: check.__name__)
async def test_sqlite_passes_the_store_suite(check: suite.Check, migrated: Path, tmp_path: Path) -> None:
    path = tmp_path / "sendpool.db"
    shutil.copyfile(migrated, path)

    await check(SqliteRig(path))


@pytest.mark.parametrize("check", suite.CHECKS, ids=lambda check: check.__name__)
async def test_postgresql_passes_the_store_suite(check: suite.Check, postgres_url: str) -> None:
    await check(PostgresRig(postgres_url))


def test_every_check_of_the_suite_is_run() -> None:
    written = {
        name
        for module in (suite, store_rows)
        for name, value in vars(module).items()
        if iscoroutinefunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    }

    assert written == {check.__name__ for check in suite.CHECKS}
