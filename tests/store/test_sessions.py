"""Sessions whose clients stand still: the server does not end all of them by itself, so another session does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import pytest

from sendpool.store.postgres_run import run
from sendpool.store.sessions import IDLE, end_silent_sessions, server_settings

#: Seconds after which a session of these tests counts as silent.
SILENT = 0.3


class Sessions:
    """Makes sessions, and is one that looks at the others."""

    def __init__(self, url: str, stack: AsyncExitStack) -> None:
        self._url = url
        self._stack = stack
        self._own: Any = None

    async def open(self, name: str, **settings: str) -> Any:
        made = await asyncpg.connect(self._url, server_settings={**server_settings(name), **settings})
        self._stack.callback(made.terminate)
        return made

    async def end_silent(self) -> int:
        self._own = self._own or await self.open("sendpool node")
        return await run(self._own, end_silent_sessions(SILENT))

    async def until_silent(self, session: Any) -> Any:
        """Wait until the server has heard nothing of it for long enough; brings what it shows of it."""
        self._own = self._own or await self.open("sendpool node")
        pid = session.get_server_pid()
        while True:
            shown = await self._own.fetchrow(
                "SELECT state, wait_event_type, clock_timestamp() - state_change > $2 * interval '1 second' AS silent"
                " FROM pg_stat_activity WHERE pid = $1",
                pid,
                SILENT,
            )
            if shown is None or shown["silent"]:
                return shown
            await asyncio.sleep(0.02)


@pytest.fixture
async def sessions(postgres_url: str) -> AsyncIterator[Sessions]:
    async with AsyncExitStack() as stack:
        made = Sessions(postgres_url, stack)
        owner = await made.open("owner")
        await owner.execute("CREATE TABLE thing (number int); INSERT INTO thing VALUES (1)")
        yield made


async def _lock_and_stop_within_a_statement(session: Any) -> None:
    """As a process that is stopped, or cut off, after the first part of a statement and before the second."""
    await session.execute("BEGIN")
    await session.fetch("SELECT number FROM thing FOR UPDATE")
    await session.prepare("SELECT number FROM thing WHERE number = $1")


async def _free(session: Any) -> bool:
    return bool(await session.fetch("SELECT number FROM thing FOR UPDATE SKIP LOCKED"))


async def test_a_client_that_stands_still_within_a_statement_is_ended_by_another_one_alone(sessions: Sessions) -> None:
    # What the server itself can be asked to do does not count there, which is why anybody else has to.
    limits = {"idle_in_transaction_session_timeout": "50", "statement_timeout": "50"}
    stuck, other = await sessions.open("sendpool", **limits), await sessions.open("sendpool")
    await _lock_and_stop_within_a_statement(stuck)
    shown = await sessions.until_silent(stuck)
    assert (shown["state"], shown["wait_event_type"]) == ("active", "Client")
    assert not await _free(other)

    assert await sessions.end_silent() == 1

    async with asyncio.timeout(5):
        while not await _free(other):
            await asyncio.sleep(0.01)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)):
        await stuck.execute("COMMIT")


async def test_who_works_or_is_no_session_of_ours_or_has_nothing_locked_is_left_alone(sessions: Sessions) -> None:
    foreign, reading, quiet, busy = [await sessions.open(one) for one in ("psql", "sendpool", "sendpool", "sendpool")]
    await _lock_and_stop_within_a_statement(foreign)
    await reading.execute("BEGIN")
    await reading.prepare("SELECT number FROM thing WHERE number = $1")
    await quiet.execute("SELECT 1")
    working = asyncio.create_task(busy.execute("BEGIN; SELECT pg_current_xact_id(); SELECT pg_sleep(20)"))
    for one in (foreign, reading, quiet, busy):
        assert await sessions.until_silent(one) is not None

    assert await sessions.end_silent() == 0

    for one in (reading, quiet, foreign):
        assert await one.fetchval("SELECT 1") == 1
    assert not working.done()
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)


async def test_the_server_is_asked_to_end_who_forgets_a_transaction(sessions: Sessions) -> None:
    forgetful = await sessions.open("sendpool")

    shown = await forgetful.fetchval(
        "SELECT setting FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout'"
    )

    assert int(shown) == IDLE * 1000
