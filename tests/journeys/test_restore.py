"""A copy that was made while the server worked, restored later: it is whole, and nothing in it is sent blindly."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sendpool.testing.postgres_server import PostgresServer, binaries, postgres_server

if TYPE_CHECKING:
    from tests.journeys.conftest import Rig, Server

    from sendpool.simulate.centre import MessageCentre

SENDERS = [("+12034458910", 60.0), ("+12034458911", 60.0)]
KEY = 'secret_key = "the key of a journey"'
NUMBER, CHUNKED = 300, 3_000
#: Submits that the carrier may have in hand.
WINDOW = 50


def by_backup(source: Path, target: Path) -> None:
    """As `sqlite3 sendpool.db ".backup copy.db"` does."""
    with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(target)) as copy:
        live.backup(copy, pages=20)


def by_files(source: Path, target: Path) -> None:
    """As programs do that follow the log: what is held open keeps the log from beginning anew; file first, then log."""
    with closing(sqlite3.connect(source, isolation_level=None)) as holder:
        holder.execute("BEGIN")
        holder.execute("SELECT count(*) FROM sqlite_master").fetchone()
        shutil.copyfile(source, target)
        shutil.copyfile(f"{source}-wal", f"{target}-wal")
        holder.execute("COMMIT")


def put_back(copy: Path, place: Path) -> None:
    """Restore a copy: what is left of the lost database goes first."""
    for suffix in ("", "-wal", "-shm"):
        Path(f"{place}{suffix}").unlink(missing_ok=True)
        if Path(f"{copy}{suffix}").exists():
            shutil.copyfile(f"{copy}{suffix}", f"{place}{suffix}")


def tool(postgres: PostgresServer, name: str, *words: str) -> None:
    """Run a program that comes with PostgreSQL."""
    done = subprocess.run([str(binaries() / name), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


async def working(rig: Rig, url: str = "") -> tuple[Server, MessageCentre]:
    """A server that has been given much and is at it; some of it waits in chunks."""
    centre = await rig.centre(answer_delay="0.02-0.1", receipt_delay="0.05-0.3")
    server = await rig.server(start=False)
    server.url = url or server.url
    server.write(rig.smpp("carrier", centre.port, SENDERS), server=KEY)
    await server.start()
    pool = await server.pool()
    await server.send(pool, rig.phones(NUMBER))
    await server.send(pool, rig.phones(CHUNKED, 1_000))
    await rig.until(lambda: len(centre.submits) >= 60, what="some are at the carrier")
    return server, centre


async def go_on(rig: Rig, server: Server, centre: MessageCentre) -> None:
    """The server works for a while after the copy, and then it is lost."""
    before = len(centre.submits)
    await rig.until(lambda: len(centre.submits) >= before + 100, what="more is at the carrier")
    await server.kill()


async def check(rig: Rig, server: Server, centre: MessageCentre) -> None:
    """The copy is whole, says what would be sent once more, and sends nothing once more after it was marked."""
    report = await rig.command(server, "audit")
    assert report["sound"], report["findings"]
    waiting = report["messages"]["queued"]
    # Those that a carrier had in hand at the copy are in doubt by themselves.
    said = (await rig.run(server, "restored")).stdout
    assert "messages are due in it" in said
    assert (await rig.command(server, "audit"))["messages"] == report["messages"]

    marked = (await rig.run(server, "restored", "--mark")).stdout
    again = (await rig.run(server, "restored", "--mark")).stdout
    at_the_carrier = len(centre.submits)
    await server.start()
    await server.send(await server.pool(), rig.phones(20, 9_000))
    fresh = set(rig.phones(20, 9_000))
    await rig.until(lambda: len(fresh & {one.destination for one in centre.submits}) == 20, what="new ones are sent")

    assert 0 < int(marked.splitlines()[1].split()[0]) <= waiting
    assert again.splitlines()[1].startswith("0 messages are in doubt")
    assert Counter(one.destination for one in centre.submits).most_common(1)[0][1] == 1
    assert len(centre.submits) == at_the_carrier + 20
    report = await rig.command(server, "audit")
    assert report["sound"], report["findings"]
    # A receipt that was on its way may have settled one that the carrier had in hand.
    assert waiting - WINDOW <= report["messages"]["unknown"] <= waiting
    assert report["messages"]["queued"] == 0
    assert [one["action"] for one in await rig.command(server, "log", "--limit", "500")].count("database.restored") == 2


@pytest.mark.parametrize("copy", [by_backup, by_files])
async def test_copy_of_a_busy_file_is_restored(rig: Rig, tmp_path: Path, copy: Callable[[Path, Path], None]) -> None:
    server, centre = await working(rig)
    await asyncio.to_thread(copy, server.database, tmp_path / "copy.db")
    await go_on(rig, server, centre)

    put_back(tmp_path / "copy.db", server.database)

    await check(rig, server, centre)


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    if not (binaries() / "pg_dump").exists():
        pytest.skip("this PostgreSQL comes without pg_dump")
    with postgres_server() as server:
        yield server


async def test_dump_of_a_busy_postgresql_is_restored(rig: Rig, tmp_path: Path, postgres: PostgresServer) -> None:
    server, centre = await working(rig, postgres.url())
    dump = tmp_path / "sendpool.dump"
    await asyncio.to_thread(tool, postgres, "pg_dump", "-Fc", "-f", str(dump), postgres.url())
    await go_on(rig, server, centre)

    await asyncio.to_thread(tool, postgres, "createdb", "-h", str(postgres.folder), "-U", "sendpool", "restored")
    await asyncio.to_thread(tool, postgres, "pg_restore", "-d", postgres.url("restored"), str(dump))
    server.url = postgres.url("restored")
    server.write(rig.smpp("carrier", centre.port, SENDERS), server=KEY)

    await check(rig, server, centre)


async def test_nothing_is_marked_while_a_server_runs(rig: Rig) -> None:
    server = await rig.server(rig.sandbox([("SMS", "+12034458910", 10)]))

    refused = await rig.run(server, "restored", "--mark", status=1)

    assert "is in use by another sendpool process" in refused.stderr
