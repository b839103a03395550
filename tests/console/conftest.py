"""The console on a real store and engine, called in the process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.api.conftest import OTHER_SID, OTHER_TOKEN, SID, TOKEN, Answer, Client, World, running

from sendpool.admin.context import Context
from sendpool.api.app import create_app
from sendpool.console.app import console_routes
from sendpool.pipeline.sight import LiveSight
from sendpool.store.migrate import migrate


class Browser(NamedTuple):
    """A client with a cookie and a token, as a page has them."""

    client: Client
    cookie: str
    token: str

    async def ask(self, method: str, path: str, value: Any = None, **headers: str) -> Answer:
        sent = {"cookie": self.cookie, "x-sendpool-token": self.token, **headers}
        if value is None:
            return await self.client.request(method, path, headers=sent)
        return await self.client.post(path, value, method=method, headers=sent)


class Site(NamedTuple):
    """A server with its console."""

    world: World
    #: Without credentials of its own.
    client: Client
    changes: list[str]

    async def sign_in(self, sid: str = SID, secret: str = TOKEN) -> Browser:
        answer = await self.client.post("/console/session", {"sid": sid, "secret": secret})
        assert answer.status == 200, answer.body
        return Browser(self.client, answer.headers["set-cookie"].partition(";")[0], answer.json["token"])

    async def sign_in_other(self) -> Browser:
        return await self.sign_in(OTHER_SID, OTHER_TOKEN)


@pytest.fixture(scope="session")
def migrated_console(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("console") / "sendpool.db"
    migrate(path)
    return path


@pytest.fixture
async def site(migrated_console: Path, tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(migrated_console, tmp_path) as site:
        yield site


@pytest.fixture(scope="module")
async def still_site(migrated_console: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """One that no test changes."""
    async with running_site(migrated_console, tmp_path_factory.mktemp("still")) as site:
        yield site


@asynccontextmanager
async def running_site(migrated: Path, folder: Path) -> AsyncIterator[Site]:
    async with running(migrated, folder) as world:
        changes: list[str] = []
        engine, services = world.engine, world.services

        def context() -> Context:
            live = (engine.roster, LiveSight(engine.sending, engine.clock))
            return Context(services.now(), services.key, live=lambda: live, learn=engine.consent.learn)

        async def changed() -> None:
            changes.append("changed")

        app = create_app(services, console_routes(services, context, changed))
        # The first account's own client goes by the API, as programs do.
        whole = World(Client(app), engine, services, world.accounts)
        yield Site(whole, Client(app, None), changes)
