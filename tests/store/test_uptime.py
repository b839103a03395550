"""When a server ran on this database."""

from __future__ import annotations

from sendpool.domain.retention import Span
from sendpool.store import uptime
from sendpool.store.database import Database


async def test_the_times_in_which_a_server_ran_are_remembered(database: Database) -> None:
    await database.write(uptime.write_span(1, Span(1, 2), 0))
    await database.write(uptime.write_span(2, Span(3, 4), 0))
    await database.write(uptime.write_span(2, Span(3, 9), 1))

    assert await database.read(uptime.latest_spans(5)) == [(2, Span(3, 9))]
