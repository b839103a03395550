"""Checkpoints beside the writer: what commits have left in SQLite's log is copied into the database by another thread.

SQLite copies by itself, in the commit that makes the log too long: 64 MB and two fsyncs, for which everybody waits
whose request that commit carries (100 ms, measured). Here the copying goes on beside the commits (a passive checkpoint
stops nobody); the log begins anew only once all of it is copied, so that the little that came meanwhile is left to the
writer itself, between two commits. sqlite.org/wal.html §3.2; docs/adr/0027.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable

import structlog

log = structlog.get_logger()

#: Rows that have been changed since the last look at the log, when the next is worth it: some 2,000 pages, as a rule.
WORTH = 20_000
#: Seconds from one look to the next, at least.
EVERY = 0.5
#: Pages (4 KiB) of the log from which on it is to begin anew.
LONG = 16_000


def checkpoint(connection: sqlite3.Connection) -> int:
    """Copy what goes without stopping anybody. Brings the pages in the log, of which a few may be left to copy."""
    _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return int(pages)


class Checkpoints:
    """A thread that keeps the log of one database short. Nothing waits for it but `close`."""

    def __init__(self, connection: sqlite3.Connection, finish: Callable[[], None]) -> None:
        """*finish* has the writer copy the rest, between two commits; *connection* is closed in the end."""
        self._connection = connection
        self._finish = finish
        self._committed, self._closing = threading.Event(), threading.Event()
        #: Rows changed in all, by the latest commit, and by the one before the latest look.
        self._changed = self._seen = 0
        self._failed = False
        self._thread = threading.Thread(target=self._run, name="sqlite-checkpoints", daemon=True)
        self._thread.start()

    def committed(self, changed: int) -> None:
        """There is more in the log; *changed*: rows that the writer has changed in all. For the writer's thread."""
        self._changed = changed
        if changed - self._seen >= WORTH and not self._committed.is_set():
            self._committed.set()

    def close(self) -> None:
        """Look no more."""
        self._closing.set()
        self._committed.set()
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        while True:
            self._committed.wait()
            if self._closing.wait(EVERY):
                return
            self._committed.clear()
            # What `close` has set just now is cleared with it: what it sets first still tells.
            if self._closing.is_set():
                return
            self._seen = self._changed
            self._look()

    def _look(self) -> None:
        try:
            if checkpoint(self._connection) > LONG:
                # What has come during the first time is less, and so is what the second leaves.
                checkpoint(self._connection)
                self._finish()
            self._failed = False
        except sqlite3.Error as error:
            # A full disk, say. Nothing is lost: the log keeps it, and the next look tries again.
            self._committed.set()
            if not self._failed:
                self._failed = True
                log.warning("the log of the database cannot be copied into it", error=str(error))
