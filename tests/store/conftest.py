"""A real store for each test: a migrated file of its own."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sendpool.store.migrate import migrate
from sendpool.store.sqlite import Sqlite


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "sendpool.db"
    migrate(path)
    return path


@pytest.fixture
async def database(migrated: Path, tmp_path: Path) -> AsyncIterator[Sqlite]:
    path = tmp_path / "sendpool.db"
    shutil.copyfile(migrated, path)
    opened = Sqlite(path)
    yield opened
    await opened.close()
