"""A real store and a real command socket in the process."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sendpool.admin.context import Context
from sendpool.admin.server import CommandServer
from sendpool.metrics import Metrics
from sendpool.pipeline.engine import Engine
from sendpool.store.accounts import ensure_first_account
from sendpool.store.migrate import migrate
from sendpool.store.sqlite import Sqlite

KEY = b"k" * 32
SID = "AC" + "1" * 32


class Desk:
    """A server that takes commands, and how often it was told that one had changed something."""

    def __init__(self, database: Sqlite, engine: Engine) -> None:
        self.database = database
        self.engine = engine
        self.changes = 0
        self.path = Path(f"{database.path}.sock")
        self.server = CommandServer(self.path, database, engine.change, self.context, self._changed)

    def context(self) -> Context:
        return Context(self.engine.clock.wall(), KEY)

    async def _changed(self) -> None:
        self.changes += 1


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "sendpool.db"
    migrate(path)
    return path


@pytest.fixture
async def desk(migrated: Path, tmp_path: Path) -> AsyncIterator[Desk]:
    path = tmp_path / "sendpool.db"
    shutil.copyfile(migrated, path)
    database = Sqlite(path)
    await database.write(ensure_first_account(SID, "first-token", KEY, 1))
    engine = Engine(database, Metrics())
    engine.start()
    made = Desk(database, engine)
    await made.server.open()
    yield made
    await made.server.close()
    await engine.stop()
    await database.close()
