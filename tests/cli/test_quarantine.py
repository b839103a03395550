"""What `sendpool quarantine` does, without a server."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.cli.conftest import Run

from sendpool.domain.quarantine import Entry, Place
from sendpool.store.quarantine import write_entries
from sendpool.store.sqlite import Sqlite

ANN, BOB, EVE = "+447700900001", "+447700900002", "Eve@example.com"
#: Microseconds since 1970: 2100, so that nothing is over.
AT = 4_102_444_800_000_000


def fill(path: Path) -> None:
    """An account with two connections, one held number, and two suspected addresses."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for name in ("good", "bad"):
            connection.execute(
                "INSERT INTO connection (account_id, name, type, created_at, updated_at, active)"
                " VALUES (1, ?, 'smpp', 1, 1, 1)",
                (name,),
            )
    entries = [
        Entry(Place(1, ANN, "SMS"), 2, "smpp.map/1", AT, AT + 30, 1, "smpp.map/1", AT + 10),
        Entry(Place(1, BOB, "SMS"), 2, "smpp.map/1", AT - 10, AT + 20),
        Entry(Place(1, EVE.lower(), "EMAIL"), 1, "smtp/5.1.1", AT - 5, AT + 20),
    ]

    async def write() -> None:
        database = Sqlite(path, readers=1)
        await database.write(write_entries(entries))
        await database.close()

    asyncio.run(write())


def test_it_is_listed_masked_and_taken_back(run: Run, tmp_path: Path) -> None:
    run("accounts", "create", "Sales")
    assert run("quarantine", "list").out == "Nobody is in quarantine.\n"
    fill(tmp_path / "sendpool.db")

    (held,) = json.loads(run("quarantine", "list", "--json").out)
    assert (held["address"], held["channel"], held["status"]) == ("+4477…001", "SMS", "quarantined")
    assert [one["connection"] for one in held["saidBy"]] == ["bad", "good"]
    table = run("quarantine", "list", "--suspected").out
    assert "+4477…002" in table
    assert "@example.com" in table
    assert ANN not in table
    assert EVE.lower() not in table
    full = json.loads(run("quarantine", "list", "--suspected", "--full", "--json").out)
    assert {one["address"] for one in full} == {ANN, BOB, EVE.lower()}

    assert run("quarantine", "remove").status == 1
    assert run("quarantine", "remove", "--connection", "none").status == 1
    assert run("quarantine", "remove", "--since", "yesterday").status == 1
    assert run("quarantine", "remove", EVE).out == "1 removed\n"
    assert run("quarantine", "remove", "--connection", "bad", "--since", "2099-12-31T23:59:59Z").out == "2 removed\n"
    assert json.loads(run("quarantine", "list", "--suspected", "--json").out) == []
    log = run("log", "--json").out
    assert "quarantine.removed" in log
    assert BOB not in log
