"""Operations, messages and attempts: what is written, and what comes back of it."""

from __future__ import annotations

import pytest

from sendpool.domain.states import AttemptState, MessageState, OperationState
from sendpool.store import attempts, chunks, counters, messages
from sendpool.store.attempts import AttemptChange
from sendpool.store.chunks import NewChunk, Share
from sendpool.store.database import Database, Query, Script
from sendpool.store.messages import MessageChange, NewMessage
from sendpool.testing.store_rig import ask
from sendpool.testing.store_rows import AT, accept, operation, start


async def events(database: Database, subject: int) -> list[int]:
    rows = await ask(database, f"SELECT number FROM event WHERE subject_id = {subject} ORDER BY position")
    return [row[0] for row in rows]


async def test_an_operation_begins_with_its_event_and_all_its_messages_queued(database: Database) -> None:
    await database.write(accept(100, 3))

    row = (await ask(database, "SELECT state, total, queued, sent, unexpanded, attempts FROM operation"))[0]
    assert row == (OperationState.PROCESSING, 3, 3, 0, 0, 0)
    assert await events(database, 100) == [1024 + 2, 2]
    assert await events(database, 102) == [2]


async def test_an_operation_without_messages_has_been_completed_from_birth(database: Database) -> None:
    empty = operation(100, 0)._replace(state=OperationState.COMPLETED, recipients=4, unaddressable=4)

    await database.write(messages.insert_operations([empty]))

    assert await events(database, 100) == [1024 + 2, 1024 + 3]
    assert await ask(database, "SELECT queued, unaddressable FROM operation") == [(0, 4)]


async def test_an_inbound_message_counts_in_no_counter(database: Database) -> None:
    def script() -> Script[None]:
        inbound = operation(100, 1)._replace(kind="inbound", state=OperationState.COMPLETED)
        yield from messages.insert_operations([inbound])
        yield from messages.insert_messages([NewMessage(100, 100, "+44", "P", "", 1, AT)], MessageState.INBOUND)

    await database.write(script())

    assert await ask(database, "SELECT queued, total, state FROM operation") == [(0, 1, OperationState.COMPLETED)]
    assert await events(database, 100) == [9]


@pytest.mark.parametrize(("totals", "following"), [([], 1), ([0], 101), ([1], 101), ([5], 105), ([5, 0], 106)])
async def test_the_next_key_follows_the_last_message(database: Database, totals: list[int], following: int) -> None:
    first = 100
    for total in totals:
        await database.write(messages.insert_operations([operation(first, total)]))
        first += max(1, total)

    assert await database.read(messages.next_operation_id()) == following


async def test_attempts_come_with_their_message_and_strangers_not_at_all(database: Database) -> None:
    await database.write(accept(100, 2))
    await database.write(start([100]))

    found = await database.read(attempts.load_attempts([(100, 1), (100, 2), (101, 1), (999, 1)]))

    assert [(one.message_id, one.n, one.state, one.message_state, one.operation_id) for one in found] == [
        (100, 1, AttemptState.STARTED, MessageState.QUEUED, 100)
    ]


async def test_past_attempts_are_those_of_their_message_in_order(database: Database) -> None:
    await database.write(accept(100, 3))
    for n in (2, 1, 63):
        await database.write(start([101], n=n))
    await database.write(start([100, 102]))

    past = await database.read(attempts.load_past([100, 101]))

    assert {key: [one.n for one in made] for key, made in past.items()} == {100: [1], 101: [1, 2, 63]}


async def test_a_failed_attempt_keeps_why_and_an_accepted_one_keeps_nothing(database: Database) -> None:
    await database.write(accept(100, 2))
    await database.write(start([100, 101]))
    changes = [
        AttemptChange(100, 1, 1, AttemptState.REJECTED, 0, "SENDER", "0x0A", "smpp/0x0a", 3, "failover/7"),
        AttemptChange(101, 1, 1, AttemptState.ACCEPTED, 1),
    ]

    await database.write(attempts.change_attempts(changes, AT + 5))

    rows = await ask(
        database, "SELECT state, marks, failure, code, rule, table_version, next, updated_at FROM attempt ORDER BY id"
    )
    assert rows == [
        (AttemptState.REJECTED, 0, "SENDER", "0x0A", "smpp/0x0a", 3, "failover/7", AT + 5),
        (AttemptState.ACCEPTED, 1, None, None, None, None, None, AT + 5),
    ]


async def test_marks_are_added_to_those_there_are(database: Database) -> None:
    await database.write(accept(100, 1))
    await database.write(start([100]))
    await database.write(attempts.change_attempts([AttemptChange(100, 1, 1, AttemptState.ACCEPTED, 3)], AT))

    await database.write(attempts.note_decisions([(100, 1, 4, "fallback/timer")]))
    await database.write(attempts.note_carrier_ids([(100, 1, "abc")]))

    past = (await database.read(attempts.load_past([100])))[100]
    assert [(one.marks, one.next, one.carrier_id, one.state) for one in past] == [(7, "fallback/timer", "abc", 2)]


async def test_counters_of_many_operations_change_in_one_go(database: Database) -> None:
    for first in (100, 200, 300):
        await database.write(accept(first, 2))

    await database.write(
        counters.add_up(
            {100: {"queued": -2, "sent": 2, "attempts": 2}, 300: {"queued": -1, "read": 1}, 999: {}}, AT + 9
        )
    )

    rows = await ask(database, "SELECT id, queued, sent, read, attempts, state, updated_at FROM operation ORDER BY id")
    assert rows == [(100, 0, 2, 0, 2, 3, AT + 9), (200, 2, 0, 0, 0, 2, AT), (300, 1, 0, 1, 0, 2, AT + 9)]
    assert await events(database, 100) == [1026, 2, 1027]
    assert await events(database, 300) == [1026, 2]


async def test_a_canceled_operation_is_not_completed_by_its_last_message(database: Database) -> None:
    def cancel() -> Script[None]:
        yield Query(f"UPDATE operation SET state = {OperationState.CANCELED:d}")

    await database.write(accept(100, 1))
    await database.write(cancel())
    await database.write(counters.add_up({100: {"queued": -1, "canceled": 1}}, AT))

    assert await ask(database, "SELECT state FROM operation") == [(OperationState.CANCELED,)]
    assert 1027 not in await events(database, 100)


async def test_moving_a_message_leaves_the_others_alone(database: Database) -> None:
    await database.write(accept(100, 3))

    await database.write(messages.change_messages([MessageChange(101, 2, 3, 5, 1, 1, 1, 30410)], AT + 1))

    rows = await ask(
        database, "SELECT state, sender_id, attempts, step, ambiguous, error_code FROM message ORDER BY id"
    )
    assert rows == [(2, None, 0, 0, 0, None), (3, 5, 1, 1, 1, 30410), (2, None, 0, 0, 0, None)]


async def test_operations_with_chunks_left_are_found_oldest_first(database: Database) -> None:
    for first, unexpanded in ((300, 1), (200, 0), (100, 2)):
        await database.write(messages.insert_operations([operation(first, 2, unexpanded=unexpanded)]))
    rows = [(300, 300, 1, "[]", AT), (100, 100, 1, "[]", 0), (100, 101, 1, "[]", 0)]
    await database.write(chunks.insert_chunks([NewChunk(*row, 1, "S") for row in rows]))

    found = await database.read(chunks.expanding_operations())

    assert [row[:2] for row in found] == [[100, 7], [300, 7]]


async def test_a_context_says_what_sending_needs_to_know(database: Database) -> None:
    await database.write(messages.insert_operations([operation(100, 1), operation(200, 1)]))

    found = {one.operation_id: one for one in await database.read(messages.load_contexts([200, 100, 300]))}

    assert set(found) == {100, 200}
    assert found[100].content.text == "Hi"
    assert (found[100].pool_id, found[100].category, found[100].validity) == (7, "transactional", 60)


async def test_standing_says_where_a_message_is_and_what_its_operation_wants(database: Database) -> None:
    await database.write(accept(100, 2))

    found = await database.read(messages.load_standing([101, 999]))

    assert list(found) == [101]
    one = found[101]
    assert (one.state, one.plan, one.step, one.operation_id, one.pool_id, one.account_id) == (2, "S", 0, 100, 7, 1)


async def test_chunks_of_an_earlier_version_are_read_for_what_they_do_not_say(database: Database) -> None:
    body = '[["+4477100","P","S",3],["+4477101","P","RS",2]]'
    await database.write(messages.insert_operations([operation(100, 4, unexpanded=4)]))
    await database.write(
        chunks.insert_chunks([NewChunk(100, 100, 2, body, 0, 40, "SW"), NewChunk(100, 102, 2, body, 0, 1, "R")])
    )

    def as_before() -> Script[None]:
        yield Query("UPDATE chunk SET cost = NULL, letters = NULL WHERE first_id = 102")

    await database.write(as_before())
    found = await database.read(chunks.chunks_of(100))

    # One says its letters and segments, but not what is what: all alike. The other one says nothing: it is read.
    assert found[0] == chunks.Chunk(100, 2, 0, (Share("S", "", 1, 20), Share("W", "", 1, 20)))
    assert ({one.letter for one in found[1].mix}, found[1].messages) == ({"R", "S", "W"}, 2)
