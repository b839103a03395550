"""Which numbers are heard, and who wrote to them last, on both databases."""

from __future__ import annotations

from sendpool.domain.retention import Span
from sendpool.domain.sessions import Session
from sendpool.domain.window import Heard
from sendpool.store.database import Database
from sendpool.store.inbound import Talk, write_sessions
from sendpool.store.uptime import write_span
from sendpool.store.window import Writer, latest_uptime, load_heard, load_writers, write_heard

ANN, BOB = Writer(1, "W", "+447700900001"), Writer(1, "W", "+447700900002")


async def test_what_is_heard_takes_the_place_of_what_was(database: Database) -> None:
    await database.write(write_heard({1: Heard(10, 20), 2: Heard(30, 40, 35)}))
    await database.write(write_heard({1: Heard(10, 50, 50)}))

    assert await database.read(load_heard([1, 2, 3, 1])) == {1: Heard(10, 50, 50), 2: Heard(30, 40, 35)}
    assert await database.write(load_heard([2], lock=True)) == {2: Heard(30, 40, 35)}


async def test_who_wrote_last_is_found_by_account_address_and_sender(database: Database) -> None:
    talks = [
        (Talk(*ANN, 7), 10),
        (Talk(*ANN, 8), 20),
        (Talk(2, "W", ANN.address, 7), 30),
        (Talk(1, "P", *BOB[2:], 7), 40),
    ]
    await database.write(write_sessions([(talk, Session(b"u" * 16, 1, at)) for talk, at in talks]))

    assert await database.read(load_writers([ANN, BOB, ANN])) == {(ANN, 7): 10, (ANN, 8): 20}


async def test_the_latest_time_in_which_a_server_ran(database: Database) -> None:
    assert await database.read(latest_uptime()) is None
    await database.write(write_span(1, Span(10, 20), 0))
    await database.write(write_span(2, Span(30, 40), 0))

    assert await database.read(latest_uptime()) == Span(30, 40)
