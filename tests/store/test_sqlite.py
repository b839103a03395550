"""What is SQLite's own: the owner's lock, pragmas, readers beside the writer, and what a crash leaves."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sendpool.store import sqlite
from sendpool.store.database import DatabaseInUse, Query, Script, Unit
from sendpool.store.revisions import SchemaTooNew
from sendpool.store.sqlite import Owner, Sqlite, connect, transact
from sendpool.store.sqlite_run import run

HOLDER = """
import sys
from pathlib import Path
from sendpool.store.sqlite import Owner
owner = Owner(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def event(subject: int) -> Script[None]:
    yield Query("INSERT INTO event (subject_id, number, created_at) VALUES (?, 1030, 1)", (subject,))


def subjects() -> Script[list[int]]:
    rows = yield Query("SELECT subject_id FROM event ORDER BY position")
    return [row[0] for row in rows]


# ---------------------------------------------------------------- one owner


@pytest.fixture
def holder(tmp_path: Path) -> subprocess.Popen[str]:
    """Another process that owns `tmp_path / "sendpool.db"`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "sendpool.db")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


async def test_a_second_process_is_refused_and_told_what_to_do(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    path = tmp_path / "sendpool.db"

    with pytest.raises(DatabaseInUse, match="in use by another sendpool process") as caught:
        Sqlite(path)

    assert str(path) in str(caught.value)
    assert "stop that one, or name another database" in str(caught.value)
    assert not path.exists(), "nothing is touched before the lock is held"
    holder.communicate("")


async def test_a_killed_owner_leaves_no_lock_behind(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    holder.kill()
    holder.communicate()

    await Sqlite(tmp_path / "sendpool.db").close()


async def test_closing_lets_another_own_the_file(sqlite: Sqlite) -> None:
    with pytest.raises(DatabaseInUse):
        Owner(sqlite.path)

    await sqlite.close()

    Owner(sqlite.path).release()
    await (again := Sqlite(sqlite.path)).close()
    assert again.path == sqlite.path


async def test_a_file_that_cannot_be_opened_is_not_locked_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "sendpool.db"
    path.write_bytes(b"this is no database, but a text that is longer than its header is" * 20)

    with pytest.raises(Exception, match="not a database"):
        Sqlite(path)

    Owner(path).release()


async def test_a_newer_schema_is_refused_and_the_lock_given_back(migrated: Path, tmp_path: Path) -> None:
    path = tmp_path / "sendpool.db"
    shutil.copyfile(migrated, path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()

    with pytest.raises(SchemaTooNew, match="schema 9999"):
        Sqlite(path)

    Owner(path).release()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no_such_folder"):
        Sqlite(tmp_path / "no_such_folder" / "sendpool.db")


# ---------------------------------------------------------------- connections


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("temp_store", 2), ("query_only", 0)],
)
async def test_a_commit_of_the_writer_is_on_the_disk(sqlite: Sqlite, pragma: str, value: object) -> None:
    def script() -> Script[object]:
        rows = yield Query(f"PRAGMA {pragma}")
        return rows[0][0]

    assert await sqlite.write(script()) == value


async def test_readers_cannot_write(sqlite: Sqlite) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await sqlite.read(event(1))

    assert await sqlite.read(subjects()) == []


def test_an_old_sqlite_is_refused_with_the_version_it_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sqlite, "MINIMUM_VERSION", (99, 1, 0))

    with pytest.raises(RuntimeError, match=r"needs 99\.1\.0 or newer"):
        connect(tmp_path / "sendpool.db")


async def test_a_reader_keeps_its_snapshot_while_the_writer_goes_on(sqlite: Sqlite) -> None:
    looked, written = threading.Event(), threading.Event()

    def patient() -> Script[tuple[list[int], list[int]]]:
        before = yield from subjects()
        looked.set()
        assert written.wait(10)
        return before, (yield from subjects())

    await sqlite.write(event(1))
    reading = asyncio.ensure_future(sqlite.read(patient()))
    await asyncio.to_thread(looked.wait, 10)
    await sqlite.write(event(2))
    written.set()

    assert await reading == ([1], [1])
    assert await sqlite.read(subjects()) == [1, 2]


async def test_readers_are_not_held_up_by_an_open_write(sqlite: Sqlite) -> None:
    begun, finish = threading.Event(), threading.Event()

    def slow() -> Script[None]:
        yield from event(1)
        begun.set()
        assert finish.wait(10)

    writing = asyncio.ensure_future(sqlite.write(slow()))
    await asyncio.to_thread(begun.wait, 10)
    seen = await sqlite.read(subjects())
    finish.set()
    await writing

    assert seen == []
    assert await sqlite.read(subjects()) == [1]


async def test_closing_waits_for_what_was_asked_before(sqlite: Sqlite) -> None:
    writes = [asyncio.ensure_future(sqlite.write(event(n))) for n in range(20)]
    await asyncio.sleep(0)

    await sqlite.close()

    await asyncio.gather(*writes)
    again = Sqlite(sqlite.path)
    assert await again.read(subjects()) == list(range(20))
    await again.close()


async def test_nobody_waits_for_ever_on_a_closed_database(sqlite: Sqlite) -> None:
    await sqlite.close()

    async with asyncio.timeout(5):
        with pytest.raises(RuntimeError, match="closed"):
            await sqlite.write(event(1))
        with pytest.raises(RuntimeError, match="closed"):
            await sqlite.read(subjects())


async def test_a_fault_of_the_disk_in_a_unit_fails_the_whole_commit(sqlite: Sqlite) -> None:
    def faulty() -> Script[None]:
        yield from event(2)
        raise sqlite3.OperationalError("disk I/O error")

    def whole() -> Script[None]:
        yield from event(1)
        yield Unit(faulty)

    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
        await sqlite.write(whole())

    assert await sqlite.read(subjects()) == []


async def test_a_full_disk_fails_one_commit_and_not_the_next(sqlite: Sqlite) -> None:
    def limit(pages: int) -> Script[None]:
        yield Query(f"PRAGMA max_page_count = {pages}")

    def much() -> Script[None]:
        for n in range(5000):
            yield from event(n)

    run(sqlite._writer.connection, limit(1))
    with pytest.raises(sqlite3.OperationalError, match="full"):
        await sqlite.write(much())
    run(sqlite._writer.connection, limit(1 << 30))
    await sqlite.write(event(7))

    assert await sqlite.read(subjects()) == [7]


# ---------------------------------------------------------------- crashes


def copy_files(source: Path, target: Path, *, cut: int = 0) -> None:
    """The database and its log as a crash would leave them now; *cut* takes octets off the log's end."""
    shutil.copyfile(source, target)
    log = Path(f"{source}-wal")
    if log.exists():
        Path(f"{target}-wal").write_bytes(log.read_bytes()[: log.stat().st_size - cut])


@pytest.fixture(scope="session")
def cut_short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("crashes")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(1, 400), min_size=1, max_size=6), at=st.integers(0, 7), within=st.integers(0, 400))
def test_after_a_crash_at_any_point_every_acknowledged_write_is_there_and_no_other(
    migrated: Path, cut_short: Path, sizes: list[int], at: int, within: int
) -> None:
    path, left = cut_short / "live.db", cut_short / "left.db"
    for stale in cut_short.iterdir():
        stale.unlink()
    shutil.copyfile(migrated, path)
    connection = connect(path)
    # Small, so that a transaction spills into the log long before it commits.
    connection.execute("PRAGMA cache_size=3")
    acknowledged: list[int] = []

    def batch(first: int, size: int, crash: Callable[[], None]) -> Script[None]:
        for n in range(size):
            if n == within % size:
                crash()
            yield from event(first + n)

    first = 0
    for number, size in enumerate(sizes):
        wanted = list(acknowledged)
        crash = partial(copy_files, path, left) if number == at % len(sizes) else _nothing
        transact(connection, batch(first, size, crash))
        acknowledged += range(first, first + size)
        first += size
        if number == at % len(sizes):
            assert _reopened(left) == wanted
    copy_files(path, left)
    connection.close()

    assert _reopened(left) == acknowledged


def test_a_torn_end_of_the_log_costs_only_the_commit_that_was_never_answered(migrated: Path, tmp_path: Path) -> None:
    path, left = tmp_path / "live.db", tmp_path / "left.db"
    shutil.copyfile(migrated, path)
    connection = connect(path)
    transact(connection, event(1))
    answered = Path(f"{path}-wal").stat().st_size
    transact(connection, event(2))
    written = Path(f"{path}-wal").stat().st_size

    for cut in (1, 100, 4096, written - answered - 1):
        copy_files(path, left, cut=cut)
        assert _reopened(left) == [1], cut
    connection.close()


def _nothing() -> None:
    """Do not crash."""


def _reopened(path: Path) -> list[int]:
    connection = connect(path)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return run(connection, subjects())
    finally:
        connection.close()
        for name in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
            name.unlink(missing_ok=True)


# ---------------------------------------------------------------- brief transactions


def who_runs_it(subject: int) -> Script[int]:
    yield from event(subject)
    return threading.get_ident()


async def test_statements_of_a_brief_transaction_run_where_it_is_asked_for(sqlite: Sqlite) -> None:
    here = threading.get_ident()
    assert await sqlite.write(who_runs_it(1), brief=True) == here
    assert await sqlite.write(who_runs_it(2)) != here
    assert await sqlite.read(subjects()) == [1, 2]


async def test_a_brief_transaction_waits_its_turn_behind_one_that_is_under_way(sqlite: Sqlite) -> None:
    began, go_on = threading.Event(), threading.Event()

    def slow() -> Script[None]:
        yield from event(1)
        began.set()
        assert go_on.wait(10)

    first = asyncio.create_task(sqlite.write(slow()))
    await asyncio.to_thread(began.wait, 10)
    second = asyncio.create_task(sqlite.write(who_runs_it(2), brief=True))
    await asyncio.sleep(0)
    third = asyncio.create_task(sqlite.write(event(3)))
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(first, third)
    assert await second != threading.get_ident()
    assert await sqlite.read(subjects()) == [1, 2, 3]
    assert await sqlite.write(who_runs_it(4), brief=True) == threading.get_ident()


async def test_a_brief_transaction_that_fails_leaves_nothing(sqlite: Sqlite) -> None:
    def failing() -> Script[None]:
        yield from event(1)
        raise ValueError("not this one")

    with pytest.raises(ValueError, match="not this one"):
        await sqlite.write(failing(), brief=True)
    await sqlite.write(event(2), brief=True)
    assert await sqlite.read(subjects()) == [2]


async def test_whoever_stops_waiting_for_a_brief_transaction_undoes_nothing(sqlite: Sqlite) -> None:
    waits = asyncio.create_task(sqlite.write(event(1), brief=True))
    await asyncio.sleep(0)
    waits.cancel()
    await asyncio.gather(waits, return_exceptions=True)
    assert await sqlite.write(who_runs_it(2)) != threading.get_ident()
    assert await sqlite.write(who_runs_it(3), brief=True) == threading.get_ident()
    assert await sqlite.read(subjects()) == [1, 2, 3]


async def test_the_loop_does_not_stand_still_while_another_program_writes_the_file(
    sqlite: Sqlite, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(sqlite3.connect(sqlite.path, isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        waits = asyncio.create_task(sqlite.write(who_runs_it(1), brief=True))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waits.done()
        shell.execute("ROLLBACK")
        assert await waits != threading.get_ident()

        monkeypatch.setattr("sendpool.store.sqlite._PATIENCE", 0.05)
        shell.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="another program is writing it"):
            await sqlite.write(event(2), brief=True)
        shell.execute("ROLLBACK")
    await sqlite.write(event(3), brief=True)
    assert await sqlite.read(subjects()) == [1, 3]
