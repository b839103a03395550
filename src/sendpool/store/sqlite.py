"""The embedded store: SQLite in WAL mode with `synchronous=FULL`, one writer thread and a few reader threads.

One hop to a thread per transaction, never per statement; of a brief one only the commit, which waits for the disk, is
left to the writer's thread (docs/adr/0028).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from sendpool.store.checkpoints import Checkpoints, checkpoint
from sendpool.store.database import DatabaseInUse, Script, Work
from sendpool.store.migrate import migrate
from sendpool.store.sqlite_run import run

T = TypeVar("T")

#: UPDATE ... FROM needs 3.33, RETURNING 3.35; Debian 12 ships 3.40.
MINIMUM_VERSION = (3, 35, 0)
#: Seconds that a transaction waits for another program that writes the file, a shell of somebody's, and between looks.
_PATIENCE, _LOOK_AGAIN = 5.0, 0.01


class Owner:
    """The lock on `<database>.lock` that makes one process the owner of an SQLite file."""

    def __init__(self, path: Path) -> None:
        self._file = open(f"{path}.lock", "a+")  # noqa: SIM115 - held for the life of the process
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise DatabaseInUse(
                f"{path} is in use by another sendpool process (it holds {path}.lock); stop that one, or name"
                " another database"
            ) from error
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    def release(self) -> None:
        """Let another process own the file."""
        self._file.close()


def connect(path: Path, *, read_only: bool = False, patient: bool = True) -> sqlite3.Connection:
    """A connection with our pragmas; transactions are begun and committed by hand.

    One that is not *patient* waits for nobody, and says at once that another program is writing.
    """
    if sqlite3.sqlite_version_info < MINIMUM_VERSION:
        wanted = ".".join(map(str, MINIMUM_VERSION))
        raise RuntimeError(f"SQLite {sqlite3.sqlite_version} is too old; sendpool needs {wanted} or newer")
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=1024)
    try:
        _prepare(connection, read_only=read_only)
        if not patient:
            connection.execute("PRAGMA busy_timeout=0")
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, *, read_only: bool) -> None:
    connection.execute("PRAGMA busy_timeout=5000")
    # As PostgreSQL has it by a migration.
    connection.create_function("clock_us", 0, lambda: time.time_ns() // 1000)
    connection.execute("PRAGMA temp_store=MEMORY")
    if read_only:
        connection.execute("PRAGMA query_only=ON")
        return
    connection.execute("PRAGMA journal_mode=WAL")
    # FULL: a commit is on the disk before it is answered (promise I1).
    connection.execute("PRAGMA synchronous=FULL")
    # What is redacted or removed is overwritten, not only unlinked; some builds of SQLite leave that off.
    connection.execute("PRAGMA secure_delete=ON")
    connection.execute("PRAGMA cache_size=-65536")
    # Should the checkpoints beside the commits not get on: an endless log would fill the disk.
    connection.execute("PRAGMA wal_autocheckpoint=64000")


def _begun(connection: sqlite3.Connection) -> bool:
    """Begin a transaction that may write. False: another program is writing the file just now."""
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True


def _begin(connection: sqlite3.Connection) -> None:
    until = time.monotonic() + _PATIENCE
    while not _begun(connection):
        if time.monotonic() > until:
            raise sqlite3.OperationalError("database is locked: another program is writing it")
        time.sleep(_LOOK_AGAIN)


@contextlib.contextmanager
def _undone_by_errors(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _apply(connection: sqlite3.Connection, script: Script[T]) -> T:
    """Run a script in the transaction that was begun; an exception rolls it back."""
    with _undone_by_errors(connection):
        return run(connection, script)


def _commit(connection: sqlite3.Connection) -> None:
    with _undone_by_errors(connection):
        connection.execute("COMMIT")


def transact(connection: sqlite3.Connection, script: Script[T]) -> T:
    """Run a script in one durable transaction; an exception rolls it back."""
    _begin(connection)
    result = _apply(connection, script)
    _commit(connection)
    return result


def snapshot(connection: sqlite3.Connection, script: Script[T]) -> T:
    """Run a script that only reads, on the database as it is now."""
    connection.execute("BEGIN")
    try:
        return run(connection, script)
    finally:
        connection.execute("COMMIT")


_Job = Callable[[], None]


class _Thread:
    """A thread with one connection that runs what it is given, in order."""

    def __init__(self, name: str, connection: sqlite3.Connection, jobs: queue.SimpleQueue[_Job | None]) -> None:
        self.connection = connection
        self._jobs = jobs
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def join(self) -> None:
        self._thread.join()
        self.connection.close()


def _nothing() -> None:
    """Nobody wants to know."""


def _settle(
    ended: Callable[[], None], future: asyncio.Future[T], result: T | None, error: BaseException | None
) -> None:
    ended()
    if future.done():
        return  # Whoever waited was cancelled; the transaction stands all the same.
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)  # type: ignore[arg-type]


class Sqlite:
    """A `Database` in one file, owned by this process."""

    shared = False

    def __init__(self, path: Path, *, readers: int = 2) -> None:
        """Own *path*, bring its schema up to date and open it.

        Raises `DatabaseInUse` when another process owns it, `SchemaTooNew` when a newer sendpool wrote it.
        """
        self.path = path
        self._closed = False
        self._owner = Owner(path)
        try:
            migrate(path)
        except BaseException:
            self._owner.release()
            raise
        self._writes: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        #: Transactions that were given to the writer and have not ended; known on the loop.
        self._under_way = 0
        #: Something is left of the log for the writer to copy, between two commits.
        self._rest = False
        self._reads: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._writer = _Thread("sqlite-writer", connect(path, patient=False), self._writes)
        self._checkpoints = Checkpoints(connect(path), self._finish_checkpoint)
        self._readers = [
            _Thread(f"sqlite-reader-{i}", connect(path, read_only=True), self._reads) for i in range(readers)
        ]
        self._idle: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        for reader in self._readers:
            self._idle.put(reader.connection)

    async def write(self, work: Work[T], *, brief: bool = False) -> T:
        """Run a script in one durable transaction; an exception rolls it back and is raised here.

        The statements of a *brief* one run at once on the loop, where the writer has nothing else to do: cheaper than
        two threads that take the interpreter's lock from each other.
        """
        connection = self._writer.connection
        script = work() if callable(work) else work
        if brief and not (self._closed or self._under_way) and _begun(connection):
            applied = _apply(connection, script)

            def commit() -> T:
                _commit(connection)
                self._committed(connection)
                return applied

        else:

            def commit() -> T:
                result = transact(connection, script)
                self._committed(connection)
                return result

        self._under_way += 1
        return await self._hop(self._writes, commit, self._ended)

    def _ended(self) -> None:
        self._under_way -= 1

    def _committed(self, connection: sqlite3.Connection) -> None:
        """See to the log. On the writer's thread."""
        self._checkpoints.committed(connection.total_changes)
        if self._rest:
            self._rest = False
            # What keeps it from being done will keep the next look too, which says so.
            with contextlib.suppress(sqlite3.Error):
                checkpoint(connection)

    def _finish_checkpoint(self) -> None:
        """Copy what is left of the log, behind the next commit."""
        self._rest = True

    async def read(self, script: Script[T], *, one: bool = False) -> T:
        """Run a script that only reads, on its own snapshot, beside the writer."""

        def work() -> T:
            connection = self._idle.get()
            try:
                return snapshot(connection, script)
            finally:
                self._idle.put(connection)

        return await self._hop(self._reads, work)

    async def _hop(
        self, jobs: queue.SimpleQueue[_Job | None], work: Callable[[], T], ended: Callable[[], None] = _nothing
    ) -> T:
        """Have a thread do it; *ended* is called on the loop, also where nobody waits any more."""
        if self._closed:
            raise RuntimeError(f"{self.path} is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def job() -> None:
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001 - it is raised where the script was asked for
                loop.call_soon_threadsafe(_settle, ended, future, None, error)
            else:
                loop.call_soon_threadsafe(_settle, ended, future, result, None)

        jobs.put(job)
        return await future

    async def close(self) -> None:
        """Wait for running scripts, then close and let another process own the file."""
        self._closed = True
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._checkpoints.close()
        for _ in self._readers:
            self._reads.put(None)
        self._writes.put(None)
        for thread in (*self._readers, self._writer):
            thread.join()
        self._owner.release()
