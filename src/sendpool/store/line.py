"""A node's own line to a PostgreSQL server, beside the writer: it carries leases, and what other nodes tell.

A renewal must neither wait behind a long commit nor for ever: everything here is short and has an end, and a connection
that does not answer is given up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import asyncpg

from sendpool.store.database import DatabaseAway, Script
from sendpool.store.postgres_run import run
from sendpool.store.sessions import server_settings
from sendpool.store.signals import CHANNEL

T = TypeVar("T")

_AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)  # TimeoutError is an OSError.


class Line:
    """One connection, made when it is needed and again when it is gone."""

    def __init__(self, url: str, heard: Callable[[str | None], None], within: float) -> None:
        """*heard* is called with what is told, and with None when something may have been missed.

        *within* are the seconds that a script may take where nothing else is said, connecting included.
        """
        self._url = url
        self._heard = heard
        self._within = within
        self._connection: Any = None
        self._busy = asyncio.Lock()
        self._was_connected = False

    async def run(self, script: Script[T], within: float | None = None) -> T:
        """Run a script in a transaction. Raises `DatabaseAway` where that did not work *within* its seconds."""
        within = self._within if within is None else within
        async with self._busy:
            try:
                async with asyncio.timeout(within):
                    connection = await self._connected(within)
                    async with connection.transaction():
                        return await run(connection, script)
            except _AWAY as error:
                self._give_up()
                raise DatabaseAway(f"the database does not answer: {error or type(error).__name__}") from error
            except asyncio.CancelledError:
                self._give_up()
                raise

    async def _connected(self, within: float) -> Any:
        if self._connection is None or self._connection.is_closed():
            settings = server_settings("sendpool node")
            self._connection = await asyncpg.connect(self._url, timeout=within, server_settings=settings)
            await self._connection.add_listener(CHANNEL, self._told)
            if self._was_connected:
                self._heard(None)
            self._was_connected = True
        return self._connection

    def _told(self, _connection: Any, _pid: int, _channel: str, text: str) -> None:
        self._heard(text)

    def _give_up(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def close(self) -> None:
        """Hang up."""
        async with self._busy:
            connection, self._connection = self._connection, None
            if connection is not None:
                try:
                    await connection.close(timeout=self._within)
                except _AWAY:
                    connection.terminate()
