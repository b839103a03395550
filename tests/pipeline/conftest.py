from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.pipeline.ledgers import Ledger

from sendpool.domain.sender import Channel
from sendpool.store.migrate import migrate
from sendpool.store.sqlite import Sqlite


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "sendpool.db"
    migrate(path)
    return path


@pytest.fixture
def fresh(migrated: Path, tmp_path: Path) -> Path:
    """A migrated, empty file."""
    path = tmp_path / "sendpool.db"
    shutil.copyfile(migrated, path)
    return path


@pytest.fixture
async def database(fresh: Path) -> AsyncIterator[Sqlite]:
    opened = Sqlite(fresh)
    yield opened
    await opened.close()


@pytest.fixture
def ledger(fresh: Path) -> Iterator[Ledger]:
    """Two senders on one connection, one on another."""
    opened = Ledger(fresh, {Channel.SMS: [(1, 1), (2, 1), (3, 2)]})
    yield opened
    opened.close()
