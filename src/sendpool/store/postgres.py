"""The shared store: PostgreSQL through asyncpg, one connection that writes and a few that read.

Writes of one process go over one connection, so that the result and the receipt of a message stay in order. Several
processes may write one database; where two of them get in each other's way, one transaction is run again whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any, TypeVar

import asyncpg

from sendpool.store.database import DatabaseAway, DatabaseInUse, FateUnknown, Script, Work
from sendpool.store.feed_end import open_feed
from sendpool.store.migrate import migrate_postgres
from sendpool.store.postgres_run import BROKEN, CONFLICTS, run
from sendpool.store.sessions import server_settings

T = TypeVar("T")

#: Statements that a connection keeps prepared.
_PREPARED = 1024
#: The session lock by which a process has a database to itself, or shares it with others that take it shared.
_OWNING = int.from_bytes(b"sendpool", "big") >> 2
#: Seconds for a connection to be made, and for one statement.
_CONNECT, _STATEMENT = 10.0, 60.0
#: Seconds that a transaction waits for a connection, and a read in all once the server was seen not to answer.
_PATIENCE = 1.0
#: Seconds that a read may take, and those after which a write that goes on says that the server is slow.
_READ, _SLOW = 30.0, 3.0
#: Seconds between two questions what became of a commit.
_ASK_AGAIN = 0.2
#: Milliseconds without an acknowledgement after which the way to the server counts as broken.
_UNACKNOWLEDGED = 5_000
#: Runs of a transaction that others get in the way of; the pause before each (seconds) is random, and at most this.
_TRIES, _PAUSE = 8, 0.02
_OPTIONS: dict[str, Any] = {
    "statement_cache_size": _PREPARED,
    "server_settings": server_settings("sendpool"),
    "timeout": _CONNECT,
    "command_timeout": _STATEMENT,
}


class Postgres:
    """A `Database` on a PostgreSQL server."""

    def __init__(self, url: str, readers: asyncpg.Pool, *, shared: bool = False) -> None:
        """Take over an open pool; `connect` makes it."""
        self.url = url
        self.shared = shared
        self._readers = readers
        self._writer: Any = None
        self._connecting: asyncio.Task[Any] | None = None
        self._writing = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        #: The server did not answer when it was last asked.
        self._absent = False
        self._closing = False

    @classmethod
    async def connect(cls, url: str, *, readers: int = 4, shared: bool = False) -> Postgres:
        """Open the database that an URL names ("postgresql://user@host/name"), with its schema brought up to date.

        *shared*: with other processes that say the same; else alone. Raises `DatabaseInUse` when others are in the way,
        `SchemaTooNew` when a newer sendpool made it, and `OSError` or `asyncpg.PostgresError` when the server is not
        there or does not let us in.
        """
        database = cls(url, await open_readers(url, readers), shared=shared)
        try:
            database._writer = await database._connect()
            await migrate_postgres(url)
            await database.write(lambda: open_feed(shared=shared))
        except BaseException:
            await database.close()
            raise
        return database

    # ------------------------------------------------------------ connections

    async def _connect(self) -> Any:
        """A connection that writes. It holds the owner's lock, so that nobody writes who does not know of others."""
        connection = await asyncpg.connect(self.url, **_OPTIONS)
        _notice_silence(connection)
        how = "_shared" if self.shared else ""
        if not await connection.fetchval(f"SELECT pg_try_advisory_lock{how}($1)", _OWNING):
            await connection.close()
            raise DatabaseInUse(
                "another sendpool process uses this database"
                + (" and does not share it; stop that one first" if self.shared else "; stop that one, or name another")
            )
        return connection

    async def _own(self) -> Any:
        """The connection that writes, a new one where the old is gone. Nobody waits long for it: it is made beside."""
        if self._writer is not None and not self._writer.is_closed():
            return self._writer
        if self._connecting is None:
            self._connecting = asyncio.get_running_loop().create_task(self._connect())
        connecting = self._connecting
        await asyncio.wait([connecting], timeout=_PATIENCE)
        if not connecting.done():
            raise TimeoutError("no connection yet")
        if self._connecting is connecting:
            self._connecting = None
        self._writer = connecting.result()
        return self._writer

    # ------------------------------------------------------------ write

    async def write(self, work: Work[T], *, brief: bool = False) -> T:
        """Run a script in one durable transaction; an exception rolls it back and is raised here.

        Where another transaction got in its way it is run again, if *work* makes it anew. Where the connection breaks
        just when it is committed, the server is asked what became of it, for as long as it takes. Whoever stops waiting
        undoes nothing.
        """
        task = asyncio.get_running_loop().create_task(self._write(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _write(self, work: Work[T]) -> T:
        async with self._writing, self._watched():
            tries = _TRIES if callable(work) else 1
            while True:
                tries -= 1
                try:
                    return await self._transact(work() if callable(work) else work)
                except CONFLICTS:
                    if not tries:
                        raise
                await asyncio.sleep(random.uniform(0, _PAUSE))

    @contextlib.asynccontextmanager
    async def _watched(self) -> AsyncIterator[None]:
        """Have readers expect little while a write gets no answer."""
        slow = asyncio.get_running_loop().call_later(_SLOW, setattr, self, "_absent", True)
        try:
            yield
        finally:
            slow.cancel()

    async def _transact(self, script: Script[T]) -> T:
        async with self._present():
            connection = await self._own()
        transaction = connection.transaction()
        try:
            async with self._present():
                await transaction.start()
                # At the beginning: who looks for transactions that may write sees this one from then on.
                number = await connection.fetchval("SELECT pg_current_xact_id()::text")
                result = await run(connection, script, shared=self.shared)
        except BaseException:
            await _undo(connection, transaction)
            raise
        try:
            await transaction.commit()
        except BROKEN as error:
            connection.terminate()
            if not await self._was_committed(number, result):
                raise DatabaseAway(f"the database went away: {error}") from error
        except BaseException:
            connection.terminate()
            raise
        return result

    async def _was_committed(self, number: str, result: Any) -> bool:
        """What became of a transaction whose commit nobody answered; asks until the server is there to say so.

        Raises `FateUnknown` where it does not know any more, and where this process is to end.
        """
        while not self._closing:
            try:
                async with self._present():
                    connection = await self._own()
                    status = await connection.fetchval("SELECT pg_xact_status($1::text::xid8)", number)
            except (DatabaseAway, DatabaseInUse):
                status = "in progress"
            except asyncpg.PostgresError as error:
                # A number that it has not given yet: this server is another one, or was set back.
                raise FateUnknown(f"the database has another past: {error}", result) from error
            if status is None:
                raise FateUnknown("the database does not know any more what it committed", result)
            if status != "in progress":
                return bool(status == "committed")
            # The server may not have noticed yet that its old client has gone.
            await asyncio.sleep(_ASK_AGAIN)
        raise FateUnknown("the database did not say what it committed before this process was to end", result)

    # ------------------------------------------------------------ read

    async def read(self, script: Script[T], *, one: bool = False) -> T:
        """Run a script that only reads, on its own snapshot, beside the writer; *one*: as `Database` says."""
        async with (
            self._present(),
            asyncio.timeout(_PATIENCE if self._absent else _READ),
            self._readers.acquire() as connection,
            contextlib.nullcontext() if one else connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            # Nothing can be locked here, and nothing need be.
            return await run(connection, _single(script) if one else script)

    @contextlib.asynccontextmanager
    async def _present(self) -> AsyncIterator[None]:
        """Note whether the server answers; raises `DatabaseAway` where it does not."""
        try:
            yield
        except BROKEN as error:
            self._absent = True
            raise DatabaseAway(f"the database does not answer: {error}") from error
        else:
            self._absent = False

    async def close(self) -> None:
        """Wait for running scripts, then close and let another process own the database."""
        self._closing = True
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        if self._writer is not None:
            await self._writer.close()
        await self._readers.close()


async def open_readers(url: str, most: int) -> asyncpg.Pool:
    """Up to so many connections that read, each made when it is needed."""
    return await asyncpg.create_pool(url, min_size=0, max_size=most, reset=_as_it_is, **_OPTIONS)


def _single(script: Script[T]) -> Script[T]:
    """A script that asks one statement. Raises `ValueError` before a second one, which would see another moment."""
    try:
        script.send((yield script.send(None)))
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    finally:
        script.close()
    raise ValueError("a script that was said to ask one statement asks a second one")


async def _as_it_is(_: Any) -> None:
    """Whoever reads changes nothing of its session, so there is nothing to be undone for the next one."""


def _notice_silence(connection: Any) -> None:
    """Break a connection over which nothing comes back, long before TCP gives up by itself."""
    transport = connection._transport
    plain = transport.get_extra_info("socket")
    if plain is not None and plain.family != socket.AF_UNIX and hasattr(socket, "TCP_USER_TIMEOUT"):
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED)


async def _undo(connection: Any, transaction: Any) -> None:
    """Roll back; a connection that cannot even do that is given up."""
    try:
        await transaction.rollback()
    except Exception:  # noqa: BLE001 - what made it fail is raised, not this
        connection.terminate()


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Raise OSError in words for whatever keeps us from a PostgreSQL server."""
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, DatabaseAway, TimeoutError) as error:
        why = str(error) or "it did not answer in time"
        raise OSError(f"the PostgreSQL server does not let us in: {why}; look at server.database") from error
