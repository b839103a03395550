"""What people send, on both databases: parts until they are joined, sessions, and replies that are owed."""

from __future__ import annotations

import asyncio

from sendpool.domain.reassembly import Gathered
from sendpool.domain.sessions import Session
from sendpool.store.database import Database, Query, Script
from sendpool.store.inbound import (
    Late,
    Long,
    OwedReply,
    Talk,
    forget_parts,
    forget_sessions,
    late_parts,
    load_sessions,
    lock_parts,
    owe_replies,
    owed_replies,
    reply_sent,
    write_parts,
    write_sessions,
)

LONG, OTHER = Long(1, "+447700900001", "62442", 7, 3), Long(1, "+447700900002", "62442", 7, 2)
ANN, BOB = Talk(1, "P", "+447700900001", 1), Talk(1, "P", "+447700900002", 0)


def _connection() -> Script[None]:
    yield Query(
        "INSERT INTO connection (id, account_id, name, type, active, created_at, updated_at)"
        " VALUES (1, 5, 'a', 'smpp', 1, 0, 0)"
    )


def _add(long: Long, number: int, text: str, now: int) -> Script[dict[int, str]]:
    there = (yield from lock_parts([long], now))[long]
    parts = {**there.parts, number: text}
    yield from write_parts([(long, Gathered(parts))], now)
    return parts


async def test_parts_are_kept_by_text_until_they_are_forgotten(database: Database) -> None:
    await database.write(_connection())
    await database.write(_add(LONG, 1, "one \ud83d", 10))
    await database.write(_add(LONG, 2, "\ude00 two", 20))
    await database.write(_add(OTHER, 1, "another", 30))

    there = await database.write(lock_parts([LONG, OTHER, LONG], 40))
    assert there == {LONG: Gathered({1: "one \ud83d", 2: "\ude00 two"}), OTHER: Gathered({1: "another"})}
    assert await database.read(late_parts(20, 10)) == []
    assert await database.read(late_parts(21, 10)) == [Late(LONG, 5)]

    await database.write(write_parts([(LONG, there[LONG].sealed())], 50))
    assert [one.long for one in await database.read(late_parts(1_000, 10))] == [OTHER]
    assert (await database.write(lock_parts([LONG], 60)))[LONG].joined
    assert await database.write(forget_parts(50, 10)) == 0
    assert await database.write(forget_parts(51, 10)) == 1
    assert await database.write(lock_parts([LONG], 70)) == {LONG: Gathered()}


async def test_parts_that_come_at_the_same_moment_know_of_each_other(database: Database) -> None:
    seen = await asyncio.gather(*(database.write(_add(LONG, number, f"{number}", 10)) for number in (1, 2, 3)))

    assert max(len(parts) for parts in seen) == 3


async def test_the_last_session_of_each_talk_is_kept(database: Database) -> None:
    first, second = Session(b"a" * 16, 10, 20, 0), Session(b"b" * 16, 30, 40, 35)
    await database.write(write_sessions([(ANN, first), (BOB, first)]))
    await database.write(write_sessions([(ANN, second)]))

    assert await database.write(load_sessions([ANN, BOB, ANN._replace(account_id=2)])) == {ANN: second, BOB: first}
    assert await database.write(forget_sessions(20, 10)) == 0
    assert await database.write(forget_sessions(21, 10)) == 1
    assert await database.write(load_sessions([ANN, BOB])) == {ANN: second}


async def test_a_reply_is_owed_once_until_it_is_sent(database: Database) -> None:
    owed = [OwedReply(key, 1, 2, "P", "+447700900001", "Bye – é", 10) for key in (7, 5)]
    await database.write(owe_replies(owed))
    await database.write(owe_replies(owed[:1]))

    assert await database.read(owed_replies(10)) == owed[::-1]
    assert await database.read(owed_replies(1)) == owed[1:]
    await database.write(reply_sent([5, 9]))
    assert await database.read(owed_replies(10)) == owed[:1]
    await database.write(reply_sent([7]))
    assert await database.read(owed_replies(10)) == []
    await database.write(reply_sent([]))
