"""A database that somebody has damaged by hand: the audit says what is wrong, of what, and nothing of a sound one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from sendpool.admin.audit import Finding, Report, Sizes, audit
from sendpool.domain import ids
from sendpool.domain.states import AttemptState, MessageState
from sendpool.store import counters, messages, queue, receipts, runs
from sendpool.store.attempts import AttemptChange, change_attempts
from sendpool.store.audit_rules import OVERDUE, RULES, Rule
from sendpool.store.database import Database, Query, Script
from sendpool.store.key_set import KeySet
from sendpool.store.messages import MessageChange
from sendpool.store.migrate import migrate
from sendpool.store.outbox import write_events
from sendpool.store.reading import WrongSchema, open_reader
from sendpool.testing.invariants import contradictions
from sendpool.testing.store_rows import AT, FAR, accept, operation, start

_MINUTE = 60_000_000
#: A server ran for a week up to a day after everything's time was over.
NOW = FAR + 1_440 * _MINUTE
A, M = AttemptState, MessageState


def message(key: int, first: int = 100) -> str:
    return ids.message_id(first.to_bytes(16, "big"), key - first)


def attempt(key: int, n: int = 1, first: int = 100) -> str:
    return ids.attempt_id(first.to_bytes(16, "big"), key - first, n)


OPERATION = ids.operation_id((100).to_bytes(16, "big"))


def sound() -> Script[None]:
    """Operation 100: messages that wait (100 to 103, 104 of them later), are at a carrier (105 to 107), have arrived
    (108), are of unknown fate (109). Operation 200: scheduled and in a chunk.
    """
    yield Query(
        "INSERT INTO sender_pool (id, uid, account_id, kind, name, tags, settings, created_at, updated_at)"
        " VALUES (7, ?, 1, 'pool', 'a', '{}', '{}', 1, 1)",
        (b"p" * 16,),
    )
    yield Query(
        "INSERT INTO connection (id, account_id, name, type, active, created_at, updated_at)"
        " VALUES (3, 1, 'carrier-a', 'smpp', 1, 1, 1)"
    )
    yield Query(
        "INSERT INTO sender (id, uid, account_id, connection_id, channel, address, active, tags, mps, options,"
        " created_at, updated_at) VALUES (5, ?, 1, 3, 'SMS', '+1', 1, '{}', 1, '{}', 1, 1)",
        (b"s" * 16,),
    )
    yield Query("INSERT INTO pool_member (pool_id, sender_id, weight, tier, created_at) VALUES (7, 5, 1, 1, 1)")
    yield from accept(100, 10)
    # Nothing is old: what is overdue is made so by the tests.
    yield Query("UPDATE operation SET deadline = ? WHERE id = 100", (NOW + FAR,))
    yield from queue.remove([(1, 40, 104)])
    yield from queue.postpone([(NOW + _MINUTE, 104, 1, 40, 1)])
    yield from start(range(105, 110))
    yield from receipts.insert_segments([(3, str(key), key, 1, 1) for key in range(105, 109)])
    yield from runs.ACCEPTED.carry_out(list(range(105, 109)), AT)
    yield from runs.DELIVERED.carry_out([108], AT)
    doubt = AttemptChange(109, 1, int(A.STARTED), A.AMBIGUOUS, 2, "AMBIGUOUS", "unknown")
    yield from change_attempts([doubt], AT)
    yield from messages.change_messages([MessageChange(109, int(M.QUEUED), int(M.SENT), 5, 1, 0, 1)], AT)
    yield from write_events([(109, 16 + int(M.SENT), 30410, AT)])
    yield from counters.add_up({100: {"attempts": 5, "queued": -5, "sent": 4, "delivered": 1}}, AT)
    chunked = operation(200, 3, unexpanded=3)._replace(deadline=NOW + FAR)
    yield from messages.insert_operations([chunked])
    yield Query("INSERT INTO chunk (operation_id, first_id, count, body, due) VALUES (200, 200, 3, '[]', 0)")
    yield Query(
        "INSERT INTO lease (scope, node_id, until, taken_at, epoch, debts) VALUES ('connection:3', 1, ?, ?, 1, '{}')",
        (NOW + 15_000_000, NOW - 60 * _MINUTE),
    )
    yield Query("INSERT INTO uptime (id, began_at, ended_at) VALUES (1, ?, ?)", (AT - 10_000 * _MINUTE, NOW))


def script(*statements: str) -> Script[None]:
    for statement in statements:
        yield Query(statement)


SMALL = Sizes(messages=4, rows=3, again=2, named=2)


async def look(database: Database, sizes: Sizes = SMALL) -> Report:
    return await audit(database, lambda: NOW, sizes)


def wrong(report: Report) -> dict[str, Finding]:
    return {finding.name: finding for finding in report.findings if finding.wrong}


async def test_a_sound_database_adds_up_and_what_is_in_doubt_is_stated(database: Database) -> None:
    await database.write(sound())
    assert await database.read(contradictions()) == []

    report = await look(database)

    assert report.sound
    assert report.messages == {
        "accepted": 13,
        "scheduled": 0,
        "queued": 8,
        "sent": 3,
        "unknown": 1,
        "delivered": 1,
        "read": 0,
        "undelivered": 0,
        "failed": 0,
        "canceled": 0,
    }
    assert (report.operations, report.waiting) == (2, 5)
    (doubt,) = report.findings
    assert (doubt.name, doubt.wrong, doubt.count, doubt.examples) == ("ambiguous", False, 1, [message(109)])
    assert await look(database, Sizes()) == report


async def test_an_empty_database_is_sound(database: Database) -> None:
    report = await look(database)

    assert report.sound
    assert report.messages["accepted"] == 0
    assert not report.findings


_OLD = NOW - 61 * _MINUTE

#: The finding's name, what damages the database, how many there are, their ids.
DAMAGES: dict[str, tuple[list[str], int, list[str]]] = {
    "counters": (["UPDATE operation SET sent = sent - 1, delivered = delivered + 1 WHERE id = 100"], 1, [OPERATION]),
    "total": (["UPDATE operation SET total = 11 WHERE id = 100"], 1, [OPERATION]),
    "attempts": (["UPDATE operation SET attempts = 4 WHERE id = 100"], 1, [OPERATION]),
    "operation over": (["UPDATE operation SET state = 3 WHERE id = 100"], 1, [OPERATION]),
    "operation state": (["UPDATE operation SET state = 1 WHERE id = 100"], 1, [OPERATION]),
    "operation events": (["DELETE FROM event WHERE subject_id = 100 AND number > 1024"], 1, [OPERATION]),
    "unexpanded": (["UPDATE operation SET unexpanded = 1 WHERE id = 100"], 1, [OPERATION]),
    "stuck": (
        ["DELETE FROM outq WHERE message_id IN (100, 102)", "DELETE FROM later WHERE message_id = 104"],
        3,
        [message(100), message(102)],
    ),
    "scheduled": (["UPDATE message SET state = 1 WHERE id = 100"], 1, [message(100)]),
    "addresses": (["UPDATE message SET address = '+1 +2' WHERE id = 100"], 1, [message(100)]),
    "two places": (["INSERT INTO outq VALUES (1, 99, 101, 1, 0)"], 1, [message(101)]),
    "unnamed queue": (["UPDATE outq SET queue_id = 2 WHERE message_id = 101"], 1, [message(101)]),
    "two started": (
        [
            f"UPDATE attempt SET state = 1, started_at = {NOW} WHERE id = 105 * 64 + 1",
            "INSERT INTO attempt (id, sender_id, connection_id, channel, state, segments, reference, marks, started_at,"
            f" updated_at) VALUES (105 * 64 + 2, 5, 3, 'SMS', 1, 1, 0, 0, {NOW}, 0)",
        ],
        1,
        [message(105)],
    ),
    "unnoted": (
        [f"UPDATE attempt SET state = 1, started_at = {NOW} WHERE id = 105 * 64 + 1", "DELETE FROM begun"],
        1,
        [attempt(105)],
    ),
    "attempt number": (["UPDATE message SET attempts = 0 WHERE id = 105"], 1, [attempt(105)]),
    "first event": (["DELETE FROM event WHERE subject_id = 101 AND number = 2"], 1, [message(101)]),
    "last event": (["DELETE FROM event WHERE subject_id = 108 AND number = 20"], 1, [message(108)]),
    "false event": (
        ["INSERT INTO event (subject_id, number, created_at) VALUES (105, 20, 0)"],
        1,
        [message(105)],
    ),
    "sent event": (["DELETE FROM event WHERE subject_id = 106 AND number = 19"], 1, [attempt(106)]),
    "false doubt": (["UPDATE message SET ambiguous = 1 WHERE id = 105"], 1, [message(105)]),
    "unsaid doubt": (["UPDATE message SET ambiguous = 0 WHERE id = 109"], 1, [message(109)]),
    "carrier id": (
        ["INSERT INTO segment (connection_id, carrier_id, attempt_id, part) VALUES (3, 'x', 100 * 64 + 1, 1)"],
        1,
        [attempt(100)],
    ),
    "message without operation": (["UPDATE message SET operation_id = 99 WHERE id = 105"], 1, ["message 105"]),
    "attempt without message": (["DELETE FROM message WHERE id = 105"], 1, [f"attempt {105 * 64 + 1}"]),
    "chunk without operation": (["DELETE FROM operation WHERE id = 200"], 1, ["operation 200"]),
    "queued too long": (
        [f"UPDATE operation SET deadline = {_OLD} WHERE id = 100"],
        5,
        [message(100), message(101)],
    ),
    "chunk too long": (
        [f"UPDATE chunk SET due = {_OLD}", "UPDATE operation SET scheduled = 3, queued = 0 WHERE id = 200"],
        1,
        [ids.operation_id((200).to_bytes(16, "big"))],
    ),
    "no result": (
        [f"UPDATE attempt SET state = 1, started_at = {NOW - 16 * _MINUTE} WHERE id = 105 * 64 + 1"],
        1,
        [attempt(105)],
    ),
    "no connection": (
        [
            f"UPDATE attempt SET state = 1, started_at = {NOW - 6 * _MINUTE} WHERE id = 105 * 64 + 1",
            f"UPDATE connection SET active = 0, updated_at = {NOW - 6 * _MINUTE}",
        ],
        1,
        [attempt(105)],
    ),
    "epoch over": (
        [
            f"UPDATE attempt SET state = 1, epoch = 4, started_at = {NOW - 6 * _MINUTE} WHERE id = 105 * 64 + 1",
            f"UPDATE lease SET epoch = 5, taken_at = {NOW - 6 * _MINUTE}",
        ],
        1,
        [attempt(105)],
    ),
    "lease of nobody": (
        [
            f"UPDATE lease SET until = {NOW - 6 * _MINUTE}",
            "INSERT INTO lease (scope, until, taken_at, epoch, debts) VALUES ('connection:4', 0, 0, 0, '{}'),"
            f" ('keeper', {NOW - 6 * _MINUTE}, 1, 2, '{{}}')",
        ],
        2,
        ["carrier-a", "keeper"],
    ),
    "row too late": ([f"UPDATE later SET due = {NOW - 16 * _MINUTE}"], 1, [message(104)]),
    "row without message": (["INSERT INTO outq VALUES (1, 99, 77, 1, 0)"], 1, ["message 77"]),
    "deleted pool": (
        [f"UPDATE sender_pool SET deleted_at = {NOW - 16 * _MINUTE}", "UPDATE sender SET active = 0"],
        4,
        [message(100), message(101)],
    ),
    "receipt not matched": (
        [
            "INSERT INTO receipt (connection_id, carrier_id, state, code, received_at)"
            f" VALUES (3, '105', 2, '', {NOW - 6 * _MINUTE})"
        ],
        1,
        ["carrier-a 105"],
    ),
    "receipt unmatched": (
        [
            "INSERT INTO receipt (connection_id, carrier_id, state, code, received_at)"
            f" VALUES (3, '4711', 2, '', {NOW - 61 * _MINUTE})"
        ],
        1,
        ["carrier-a 4711"],
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
async def test_damage_is_found_and_named(database: Database, name: str) -> None:
    statements, count, examples = DAMAGES[name]
    await database.write(sound())
    await database.write(script(*statements))

    report = await look(database)

    assert not report.sound
    finding = wrong(report)[name]
    assert (finding.count, finding.examples) == (count, examples)
    assert finding.todo
    assert finding.what


@pytest.mark.parametrize("rule", [*RULES, *OVERDUE], ids=lambda rule: rule.name)
def test_every_rule_has_a_damage(rule: Rule) -> None:
    assert rule.name in DAMAGES


async def test_what_a_server_has_had_no_time_for_is_not_late(database: Database) -> None:
    await database.write(sound())
    for name in (
        "queued too long",
        "no result",
        "no connection",
        "row too late",
        "deleted pool",
        "receipt unmatched",
        "lease of nobody",
    ):
        await database.write(script(*DAMAGES[name][0]))
    assert wrong(await look(database))

    # It was off for all that time, and has run for four minutes.
    await database.write(script(f"UPDATE uptime SET began_at = {NOW - 4 * _MINUTE}"))

    found = wrong(await look(database))
    assert not found.keys() & {rule.name for rule in OVERDUE}
    assert not found.keys() & {"row too late", "deleted pool", "receipt unmatched", "lease of nobody"}


class Moving:
    """A database in which something moves between two looks."""

    def __init__(self, database: Database, moves: Sequence[Script[None]]) -> None:
        self._database = database
        self._moves = list(moves)

    async def read(self, asked: Script[object]) -> object:
        if self._moves:
            await self._database.write(self._moves.pop(0))
        return await self._database.read(asked)


async def test_what_moves_while_it_is_looked_at_is_no_finding(database: Database) -> None:
    await database.write(sound())

    def swap(there: int, back: int) -> Script[None]:
        """One row from the lane to the end of the queue, or back: a walk meets it twice, or not at all."""
        yield Query("UPDATE outq SET rank = ? WHERE message_id IN (100, 103) AND rank = ?", (there, back))

    moves = [swap(900, 0) if turn % 2 else swap(0, 900) for turn in range(60)]
    for _ in range(5):
        report = await audit(Moving(database, moves), lambda: NOW, SMALL)  # type: ignore[arg-type]
        assert report.sound, report.findings


async def test_a_reader_looks_beside_the_server_and_at_no_other_schema(tmp_path: Path) -> None:
    path = tmp_path / "sendpool.db"
    with pytest.raises(OSError, match="cannot be read"):
        async with open_reader(path):
            pass
    migrate(path)
    async with open_reader(path) as reader:
        assert (await audit(reader, lambda: NOW)).sound
        with pytest.raises(Exception, match="readonly"):
            await reader.read(script("DELETE FROM event"))

    def older() -> None:
        import sqlite3
        from contextlib import closing

        with closing(sqlite3.connect(path)) as connection:
            connection.execute("UPDATE alembic_version SET version_num = 'v0000'")
            connection.commit()

    older()
    with pytest.raises(WrongSchema, match="has schema v0000, this version of sendpool reads"):
        async with open_reader(path):
            pass


def test_a_set_of_keys_is_one() -> None:
    keys = KeySet()
    many = [5, 3, 70_000, 1 << 62, 8_191, 8_192]
    keys.update(many)
    keys.discard(3)
    keys.discard(4)

    assert not keys.add(5)
    assert keys.add(6)
    assert list(keys) == sorted({*many, 6} - {3})
