"""Checkpoints beside the writer: the log of an SQLite database stays short, and no commit pays for that."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest

from sendpool.store import checkpoints
from sendpool.store.checkpoints import WORTH, Checkpoints, checkpoint
from sendpool.store.database import Query, Script
from sendpool.store.sqlite import Sqlite, connect
from sendpool.testing.store_rig import ask

PAGES = 60


def _fill(name: str) -> Script[None]:
    """Some ten pages of a log."""
    yield Query(
        "INSERT INTO number_block (name, next) VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET next = number_block.next",
        (name + "x" * 40_000,),
    )


async def test_the_log_begins_anew_while_commits_go_on(sqlite: Sqlite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "EVERY", 0.01)
    monkeypatch.setattr(checkpoints, "WORTH", 3)
    monkeypatch.setattr(checkpoints, "LONG", PAGES)
    longest = began_anew = 0
    for number in range(2_000):
        await sqlite.write(_fill(f"{number} "))
        await asyncio.sleep(0.002)
        pages = _pages(sqlite.path)
        began_anew += pages < longest
        longest = pages if pages < longest else max(longest, pages)
        if began_anew == 3:
            break
    assert began_anew == 3
    kept = await ask(sqlite, "SELECT count(*) FROM number_block WHERE length(name) > 40000")
    assert kept == [(number + 1,)]


def _pages(path: Path) -> int:
    """Pages in the log, by its index in shared memory (sqlite.org/walformat.html §2.1: mxFrame)."""
    header = Path(f"{path}-shm").read_bytes()[:48]
    return int.from_bytes(header[16:20], "little")


async def test_a_short_log_is_left_alone_and_a_long_one_is_left_to_the_writer_in_the_end(
    sqlite: Sqlite, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    beside = Checkpoints(connect(sqlite.path), lambda: asked.append(True))
    try:
        await sqlite.write(_fill("a"))
        beside._look()
        assert not asked
        monkeypatch.setattr(checkpoints, "LONG", 5)
        await sqlite.write(_fill("b"))
        beside._look()
        assert asked == [True]
    finally:
        beside.close()


async def test_a_failure_is_said_once_and_tried_again(sqlite: Sqlite, capsys: pytest.CaptureFixture[str]) -> None:
    gone = connect(sqlite.path)
    beside = Checkpoints(gone, lambda: None)
    gone.close()

    beside._look()
    beside._look()

    assert beside._committed.is_set(), "the next look comes by itself"
    assert capsys.readouterr().out.count("cannot be copied") == 1
    beside.close()


def test_a_checkpoint_brings_the_pages_in_the_log(tmp_path: Path) -> None:
    connection = connect(tmp_path / "some.db")
    connection.execute("CREATE TABLE t (x)")
    before = checkpoint(connection)
    connection.execute("INSERT INTO t VALUES (zeroblob(40000))")
    assert checkpoint(connection) >= 10 > before
    connection.close()
    with pytest.raises(sqlite3.Error):
        checkpoint(connection)


async def test_a_few_rows_are_not_worth_a_look(sqlite: Sqlite, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    monkeypatch.setattr(checkpoints, "EVERY", 0.0)

    def look(_: sqlite3.Connection) -> int:
        looks.append(1)
        return 0

    monkeypatch.setattr(checkpoints, "checkpoint", look)
    beside = Checkpoints(connect(sqlite.path), lambda: None)
    try:
        beside.committed(WORTH - 1)
        assert not beside._committed.is_set()
        beside.committed(WORTH)
        while not looks:
            await asyncio.sleep(0.001)
        beside.committed(2 * WORTH - 1)
        assert not beside._committed.is_set()
    finally:
        beside.close()
    assert looks == [1]


def test_closing_just_when_a_look_is_due_ends_the_thread(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.touch()
    beside = Checkpoints(connect(path), lambda: None)
    closer = threading.Thread(target=beside.close, daemon=True)
    told = threading.Event()

    class Committed(threading.Event):
        """Says when it was set by whoever closes."""

        def set(self) -> None:
            super().set()
            if threading.current_thread() is closer:
                told.set()

    class Closing(threading.Event):
        """It is time for a look, and in the same moment somebody closes."""

        def wait(self, timeout: float | None = None) -> bool:
            closer.start()
            assert told.wait(10)
            return False

    waits, beside._committed, beside._closing = beside._committed, Committed(), Closing()
    waits.set()
    beside._thread.join(10)
    assert not beside._thread.is_alive()
    closer.join(10)
    assert not closer.is_alive()
