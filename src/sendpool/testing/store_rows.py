"""The part of the store suite that checks what the pipeline relies on: queues, attempts, counters, receipts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec

from sendpool.domain.states import AttemptState, MessageState, OperationState
from sendpool.store import attempts, begun, chunks, counters, messages, queue, receipts, runs
from sendpool.store.attempts import AttemptChange
from sendpool.store.begun import NewAttempt, start_attempts
from sendpool.store.chunks import Chunk, Expansion, NewChunk, Run, Share, mix_text
from sendpool.store.database import Query, Script, Unit
from sendpool.store.messages import MessageChange, NewMessage, NewOperation
from sendpool.store.outbox import write_events
from sendpool.store.queue import QueueKey
from sendpool.testing.store_rig import Check, Rig, ask, opened

AT = 1_800_000_000_000_000
FAR = AT + 86_400_000_000


def operation(first: int, total: int, *, unexpanded: int = 0) -> NewOperation:
    """An operation of account 1 in pool 7 that has just been accepted."""
    key = (first, first.to_bytes(16, "big"), 1, "message", OperationState.PROCESSING, 7, "transactional")
    return NewOperation(*key, total, unexpanded, total, 0, FAR, AT, '{"text":"Hi"}', "{}", "{}", 60)


def accept(first: int, total: int) -> Script[None]:
    """An operation whose messages wait in queue 1 at ranks of 10 each."""
    yield from queue.insert_queues([(1, QueueKey(7, "SMS", ""))])
    yield from messages.insert_operations([operation(first, total)])
    keys = range(first, first + total)
    yield from messages.insert_messages([NewMessage(key, first, f"+4477{key}", "P", "S", 1, AT) for key in keys])
    yield from queue.enqueue([(1, 10 * (key - first), key, 1, AT) for key in keys])


def start(keys: Sequence[int], n: int = 1, sender: int = 5) -> Script[None]:
    """Attempts of these messages; their rows leave the queue."""
    rows = yield Query("SELECT queue_id, rank, message_id FROM outq")
    yield from queue.remove([row for row in map(tuple, rows) if row[2] in keys])
    yield from start_attempts([NewAttempt(key, n, sender, 3, "SMS", 1, 0, None, AT) for key in keys])


async def a_queue_gives_its_rows_in_rank_order(rig: Rig) -> None:
    """By rank, then by message; what is taken does not come again, and other queues are left alone."""

    def taken() -> Script[list[list[int]]]:
        heads = []
        for limit in (2, 3, 10):
            rows = yield from queue.head(1, limit)
            heads.append([row.message_id for row in rows])
            yield from queue.remove_head(1, rows)
        return heads

    async with opened(rig) as database:
        await database.write(accept(100, 6))
        await database.write(queue.remove([(1, 30, 103), (1, 0, 105), (2, 10, 101)]))
        await database.write(queue.enqueue([(1, 40, 103, 1, AT)]))
        assert await database.write(taken()) == [[100, 101], [102, 103, 104], [105]]
        await database.write(queue.enqueue([(1, 5, key, 1, AT) for key in range(100, 106)]))


async def an_attempt_is_started_once(rig: Rig) -> None:
    """A withdrawn attempt's number is used again; one in any other state stays as it is."""
    async with opened(rig) as database:
        await database.write(accept(100, 2))
        await database.write(start([100, 101]))
        found = await database.read(begun.started_attempts(10))
        assert [(one.message_id, one.n, one.operation_id) for one in found] == [(100, 1, 100), (101, 1, 100)]
        withdrawn = AttemptChange(100, 1, 1, AttemptState.WITHDRAWN, 0, "THROTTLED", "0x58", "", None, "later")
        await database.write(attempts.change_attempts([withdrawn], AT))
        await database.write(start([100, 101], sender=6))
        rows = await ask(database, "SELECT sender_id, state, code FROM attempt ORDER BY id")
        assert rows == [(6, 1, None), (5, 1, None)]


async def a_change_needs_the_state_it_expects(rig: Rig) -> None:
    """Losing a race changes nothing: neither an attempt nor a message that has moved on."""
    moves = [MessageChange(100, 3, 4, None, 1, 0, 0), MessageChange(101, 2, 2, 5, 0, 0, 0)]

    def script() -> Script[None]:
        yield from attempts.change_attempts([AttemptChange(100, 1, 2, AttemptState.DELIVERED, 1)], AT)
        yield from messages.change_messages(moves, AT)

    async with opened(rig) as database:
        await database.write(accept(100, 2))
        await database.write(start([100, 101]))
        await database.write(script())
        assert await ask(database, "SELECT state FROM attempt ORDER BY id") == [(1,), (1,)]
        assert await ask(database, "SELECT state, sender_id FROM message ORDER BY id") == [(2, None), (2, 5)]


async def the_usual_way_is_all_or_nothing(rig: Rig) -> None:
    """A run of accepted and delivered first attempts moves whole; one stranger in it, and nothing moves."""
    keys = list(range(100, 120))
    counts = {100: {"attempts": 20, "queued": -20, "sent": 20}}

    def script(move: runs.Move, wanted: Sequence[int]) -> Script[Any]:
        return (yield Unit(partial(move.carry_out, wanted, AT)))

    def accepted() -> Script[None]:
        assert (yield from script(runs.ACCEPTED, keys)) is None
        yield from counters.add_up(counts, AT)

    async with opened(rig) as database:
        await database.write(accept(100, 20))
        await database.write(start(keys))
        assert isinstance(await database.write(script(runs.ACCEPTED, [*keys, 120])), runs.Unusual)
        assert isinstance(await database.write(script(runs.DELIVERED, keys)), runs.Unusual)
        await database.write(accepted())
        assert isinstance(await database.write(script(runs.ACCEPTED, keys[:1])), runs.Unusual)
        assert await ask(database, "SELECT DISTINCT state, attempts FROM message") == [(3, 1)]
        assert await ask(database, "SELECT count(*) FROM event WHERE number = 1027") == [(1,)]


async def a_chunk_becomes_rows_once(rig: Rig) -> None:
    """Its messages, queue rows and events appear together, at their ranks; asked again it brings none."""
    body = '[["+4477100","P","S",3],["+4477101","P","RS",3],["+4477102","P","S",1]]'
    mix = (Share("S", "", 2, 4), Share("R", "", 1, 1))
    expansion = Expansion(100, 100, 3, (), {"S": Run(1, 1000, 7), "R": Run(2, 500, 9)})

    def script() -> Script[None]:
        yield from queue.insert_queues([(1, QueueKey(7, "SMS", "")), (2, QueueKey(7, "RCS", ""))])
        yield from messages.insert_operations([operation(100, 3, unexpanded=3)])
        yield from chunks.insert_chunks([NewChunk(100, 100, 3, body, -AT, 5, "RS", mix_text(mix))])

    async with opened(rig) as database:
        await database.write(script())
        assert await database.read(chunks.chunks_of(100)) == [Chunk(100, 3, -AT, mix)]
        assert await database.write(chunks.expand_chunk(expansion, AT)) == (3, {})
        assert await database.write(chunks.expand_chunk(expansion, AT)) == (0, {})
        rows = await ask(database, "SELECT queue_id, rank, message_id, cost FROM outq ORDER BY rank")
        assert rows == [(2, 500, 101, 1), (1, 1000, 100, 3), (1, 1007, 102, 1)]
        assert await database.read(messages.next_operation_id()) == 103
        assert await ask(database, "SELECT unexpanded, queued, state FROM operation") == [(0, 3, 2)]
        assert await ask(database, "SELECT DISTINCT scheduled_for FROM message") == [(AT,)]


async def neighbours_of_a_chunk_take_turns(rig: Rig) -> None:
    """Rows of one turn stand where its first does; each channel of a chunk has turns of its own."""
    plans = ["S", "S", "R", "S", "R", "S", "S", "R"]
    body = msgspec.json.encode([[f"+44771{n:02}", "P", plan, 1] for n, plan in enumerate(plans)]).decode()
    alone = msgspec.json.encode([[f"+44772{n:02}", "P", "S", 1] for n in range(5)]).decode()

    def script() -> Script[None]:
        yield from queue.insert_queues([(1, QueueKey(7, "SMS", "")), (2, QueueKey(7, "RCS", ""))])
        yield from messages.insert_operations([operation(100, 8, unexpanded=8), operation(200, 5, unexpanded=5)])
        yield from chunks.insert_chunks([NewChunk(100, 100, 8, body, 0, 8, "RS", None)])
        yield from chunks.insert_chunks([NewChunk(200, 200, 5, alone, 0, 5, "S", None)])
        yield from chunks.expand_chunk(
            Expansion(100, 100, 8, (), {"S": Run(1, 1000, 7, 2), "R": Run(2, 500, 9, 100)}), AT
        )
        yield from chunks.expand_chunk(Expansion(200, 200, 5, (), {"S": Run(1, 2000, 7, 3)}), AT)

    async with opened(rig) as database:
        await database.write(script())
        rows = await ask(database, "SELECT queue_id, rank, message_id FROM outq ORDER BY queue_id, rank, message_id")
        of_s = [(1, 1000, 100), (1, 1000, 101), (1, 1014, 103), (1, 1014, 105), (1, 1028, 106)]
        assert rows[:5] == of_s
        assert rows[5:10] == [(1, 2000, 200), (1, 2000, 201), (1, 2000, 202), (1, 2021, 203), (1, 2021, 204)]
        assert rows[10:] == [(2, 500, 102), (2, 500, 104), (2, 500, 107)]


async def a_receipt_finds_its_segment_or_waits(rig: Rig) -> None:
    """The newest attempt with a carrier's id is meant; what matches nothing is kept, in order, until it does."""
    early = [
        receipts.ParkedRow(3, "early", 4, "TRANSIENT", "1", AT),
        receipts.ParkedRow(3, "never", 2, None, "", AT),
        receipts.ParkedRow(3, "early", 2, None, "", AT),
    ]

    async with opened(rig) as database:
        await database.write(accept(100, 3))
        await database.write(start([100, 101, 102]))
        segments = [(3, "same", 100, 1, 1), (3, "same", 102, 1, 1), (4, "same", 101, 1, 1), (3, "same", 100, 1, 1)]
        await database.write(receipts.insert_segments(segments))
        found = await database.read(receipts.match(3, ["none", "same"]))
        assert [(one.place, one.message_id, one.n, one.state) for one in found] == [(1, 102, 1, 1), (1, 100, 1, 1)]
        assert not await database.read(receipts.any_parked())
        await database.write(receipts.park(early))
        waiting = await database.read(receipts.parked_for([(3, "early"), (3, "none"), (4, "early")]))
        assert [(row[2], row[3]) for row in waiting] == [("early", 4), ("early", 2)]
        await database.write(receipts.unpark([row[0] for row in waiting]))
        assert [row[2] for row in await database.read(receipts.oldest_parked(9))] == ["never"]


async def rows_that_are_not_due_wait(rig: Rig) -> None:
    """They come when their time has, earliest first, and go when they are taken."""
    rows = [(AT + 30, 101, 1, 5, 1), (AT + 10, 102, 1, 0, 1), (AT + 20, 100, 1, 7, 2)]

    async with opened(rig) as database:
        await database.write(accept(100, 3))
        await database.write(queue.remove([(1, 10 * n, 100 + n) for n in range(3)]))
        await database.write(queue.postpone(rows))
        assert await database.read(queue.next_due()) == AT + 10
        assert await database.read(queue.due_later(AT + 9, 10)) == []
        assert [row[1] for row in await database.read(queue.due_later(AT + 25, 10))] == [102, 100]
        await database.write(queue.remove_later([(AT + 10, 102)]))
        await database.write(queue.enqueue([(1, 0, 102, 1, AT)]))
        assert await database.read(queue.next_due()) == AT + 20


async def an_operation_is_completed_once(rig: Rig) -> None:
    """When nothing is queued any more, with one event; no later change completes it again."""

    def end(key: int) -> Script[None]:
        yield from messages.change_messages([MessageChange(key, 2, int(MessageState.FAILED), None, 0, 0, 0)], AT)
        yield from queue.remove([(1, 10 * (key - 100), key)])
        yield from write_events([(key, int(MessageState.FAILED), 30036, AT)] * 2)
        yield from counters.add_up({100: {"queued": -1, "failed": 1}}, AT)

    async with opened(rig) as database:
        await database.write(accept(100, 2))
        await database.write(end(100))
        assert await ask(database, "SELECT state, queued, failed FROM operation") == [(2, 1, 1)]
        await database.write(end(101))
        await database.write(counters.add_up({100: {"failed": 0, "queued": 0}}, AT))
        assert await ask(database, "SELECT state, queued, failed FROM operation") == [(3, 0, 2)]


CHECKS: tuple[Check, ...] = (
    a_queue_gives_its_rows_in_rank_order,
    an_attempt_is_started_once,
    a_change_needs_the_state_it_expects,
    the_usual_way_is_all_or_nothing,
    a_chunk_becomes_rows_once,
    neighbours_of_a_chunk_take_turns,
    a_receipt_finds_its_segment_or_waits,
    rows_that_are_not_due_wait,
    an_operation_is_completed_once,
)
