"""`sendpool audit` beside a busy server: no false alarm, however often, and the truth about what was damaged."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from sendpool.admin.audit import Report, Sizes, audit
from sendpool.config.places import database_of
from sendpool.simulate.script import Refuse
from sendpool.store.reading import open_reader
from sendpool.testing.postgres_server import PostgresServer, postgres_server

if TYPE_CHECKING:
    from tests.journeys.conftest import Rig, Server

SENDERS = [("+12034458910", 150.0), ("+12034458911", 150.0)]
OTHERS = [("+12034458912", 150.0)]
#: Looks while the server works; some of a few rows at a time, so that much moves between them.
LOOKS = 8


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """Where the server keeps everything; empty: in its own folder."""
    return "" if request.param == "sqlite" else str(request.getfixturevalue("postgres").url())


async def busy(rig: Rig, url: str) -> Server:
    """A server with two carriers, one of which refuses every fifth message."""
    first = await rig.centre(Refuse(share=0.2), receipt_delay="0.05-0.4", answer_delay="0.01-0.1")
    second = await rig.centre(receipt_delay="0.05-0.4")
    server = await rig.server(start=False)
    server.url = url or server.url
    server.write(
        rig.smpp("first", first.port, SENDERS),
        rig.smpp("second", second.port, OTHERS),
        server='secret_key = "of a test"',
    )
    await server.start()
    return server


async def look(server: Server, sizes: Sizes) -> Report:
    async with open_reader(database_of(server.url)) as reader:
        return await audit(reader, lambda: time.time_ns() // 1000, sizes)


async def test_an_audit_of_a_busy_server_finds_nothing_wrong(rig: Rig, url: str) -> None:
    server = await busy(rig, url)
    pool = await server.pool()
    # More than may be rows at once: the rest waits in chunks.
    operations = [await server.send(pool, rig.phones(4_000)), await server.send(pool, rig.phones(300, 6_000))]

    seen = []
    for turn in range(LOOKS):
        operations.append(await server.send(pool, rig.phones(20, 7_000 + 20 * turn)))
        report = await look(server, Sizes(messages=600, rows=300, again=100) if turn % 4 == 1 else Sizes())
        assert report.sound, report.findings
        seen.append(report.messages)

    assert seen[0]["queued"] > 3_000
    assert seen[-1]["accepted"] == 4_300 + 20 * LOOKS
    assert len({counts["delivered"] for counts in seen}) > LOOKS / 2, "the server worked meanwhile"
    report = await rig.command(server, "audit")
    assert report["sound"]
    assert sum(report["messages"].values()) == 2 * report["messages"]["accepted"]

    await server.kill()
    report = await rig.command(server, "audit")
    assert report["sound"], report["findings"]
    assert report["messages"]["accepted"] == seen[-1]["accepted"]


async def test_an_audit_of_a_damaged_database_says_so_and_exits_1(rig: Rig) -> None:
    server = await rig.server(rig.sandbox([("SMS", "+12034458910", 0.1)]))
    operation = await server.send(await server.pool(), rig.phones(4))
    await server.kill()
    with closing(sqlite3.connect(server.database)) as database:
        database.execute("DELETE FROM outq WHERE message_id = (SELECT max(message_id) FROM outq)")
        database.commit()

    said = (await rig.run(server, "audit", status=1)).stdout

    assert "4 messages accepted in 1 operations; " in said
    assert "WRONG: a message under way has no open attempt and waits nowhere: nobody will ever send it (1)" in said
    assert said.endswith("Something is wrong.\n")
    await server.start()
    messages = [one["id"] for one in await server.messages(operation)]
    assert sum(name in said for name in messages) == 1
