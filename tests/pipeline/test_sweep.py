"""Housekeeping: what no other stage is woken for happens all the same, and soon."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.pipeline.carriers import Carrier, refused
from tests.pipeline.worlds import EPOCH, Line, everyone, virtually, world

from sendpool.connectors.base import Receipt, ReceiptState
from sendpool.domain.failures import FailureClass
from sendpool.pipeline import sweep
from sendpool.store.begun import note_begun
from sendpool.store.database import Query, Script
from sendpool.store.queue import count_waiting, enqueue, postpone

NUMBER = "+12030000001"


@virtually
async def test_what_is_due_later_is_sent_when_its_time_has_come_and_not_before(fresh: Path) -> None:
    carrier = Carrier()
    take = carrier.answer
    carrier.answer = lambda s, part: refused("0x08") if s.attempt.n == 1 else take(s, part)
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        await w.send(*everyone(1))
        await w.until(lambda: len(carrier.sent) == 1)
        await asyncio.sleep(0.1)
        due = (await w.rows("SELECT due FROM later WHERE queue_id <> 0"))[0][0]
        await w.until_states(DELIVERED=1)

        again = carrier.sent[1].at
        assert again >= (due - EPOCH) / 1e6
        assert again <= (due - EPOCH) / 1e6 + sweep.EVERY + 0.1


@virtually
async def test_rows_that_memory_does_not_know_of_are_found(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        await w.send(*everyone(1))
        await w.until_states(DELIVERED=1)
        carrier.link(up=False)
        await w.send(*everyone(3, first=10))
        queue_id = (await w.rows("SELECT DISTINCT queue_id FROM outq"))[0][0]
        w.engine.book.empty(queue_id)
        carrier.link(up=True)

        await w.until_states(DELIVERED=4, within=sweep.RARELY * sweep.EVERY + 2)


@virtually
async def test_a_hint_that_is_too_high_is_refuted(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        await w.send(*everyone(2))
        await w.until_states(DELIVERED=2)
        queue_id = next(iter(w.engine.book.keys))
        w.engine.book.add(queue_id, 50_000)
        await asyncio.sleep(2)

        assert w.engine.book.total() == 0
        await asyncio.sleep(3)
        before = w.store.commits
        await asyncio.sleep(10)
        assert w.store.commits - before <= 15


@virtually
async def test_a_round_that_fails_is_followed_by_the_next(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        take = carrier.answer
        carrier.answer = lambda submission, part: refused("0x08")
        await w.send(*everyone(5))
        await w.until(lambda: len(carrier.sent) >= 5)
        carrier.answer = take
        w.store.failures = 3

        await w.until_states(DELIVERED=5)


@virtually
async def test_the_depth_and_age_of_queues_are_shown(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        carrier.link(up=False)
        await w.send(*everyone(7))
        await asyncio.sleep(30)

        shown = dict(
            line.split() for line in w.engine.metrics.render().decode().splitlines() if not line.startswith("#")
        )
        assert float(shown["sendpool_queue_depth"]) == 7
        assert float(shown["sendpool_queue_oldest_age_seconds"]) == pytest.approx(30, abs=6)


@virtually
async def test_an_idle_server_hardly_commits(fresh: Path) -> None:
    async with world(fresh, a=Line(Carrier(), {NUMBER: 100})) as w:
        await asyncio.sleep(5)
        before = w.store.commits
        await asyncio.sleep(100)

        assert w.store.commits - before <= 110


@virtually
async def test_recovery_knows_the_queues_and_keys_of_the_earlier_run(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        carrier.link(up=False)
        operation = await w.send(*everyone(3))
        keys = dict(w.engine.book.keys)
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        following = await w.send(*everyone(1, first=100))

        assert following.operation_id >= operation.operation_id + 3
        assert keys.items() <= w.engine.book.keys.items()
        await w.until_states(DELIVERED=4)


@virtually
async def test_many_attempts_of_unknown_fate_are_all_found_at_start(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "AT_ONCE", 7)
    carrier = Carrier()
    async with world(fresh, False, a=Line(carrier, {NUMBER: 100})) as w:
        carrier.link(up=False)
        operation = await w.send(*everyone(40))

        def as_if_started() -> Script[None]:
            yield Query(
                "INSERT INTO attempt (id, sender_id, connection_id, channel, state, segments, reference, marks,"
                " started_at, updated_at) SELECT id * 64 + 1, 1, 1, 'SMS', 1, 1, 0, 0, 0, 0 FROM message"
            )
            yield Query("DELETE FROM outq")
            rows = yield Query("SELECT id FROM attempt")
            yield from note_begun([key for (key,) in rows])

        await w.store.write(as_if_started())
        w.engine.book.empty(next(iter(w.engine.book.keys)))
    async with world(fresh, a=Line(Carrier(), {NUMBER: 100})) as w:
        assert await w.states(operation) == {"SENT": 40}
        assert await w.rows("SELECT count(*) FROM message WHERE ambiguous = 1") == [(40,)]


@virtually
async def test_a_promoted_row_keeps_the_rank_that_it_had(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, False, a=Line(carrier, {NUMBER: 20})) as w:
        carrier.link(up=False)
        await w.send(*everyone(30))
        first = (await w.rows("SELECT queue_id, rank, message_id FROM outq ORDER BY rank LIMIT 1"))[0]

        def put_off() -> Script[None]:
            yield Query("DELETE FROM outq WHERE message_id = ?", (first[2],))
            due = w.engine.clock.wall() + 500_000
            yield from postpone([(due, first[2], first[0], first[1], 1)])

        await w.store.write(put_off())
        await asyncio.sleep(2)
        carrier.link(up=True)
        await w.until(lambda: bool(carrier.sent))

        assert carrier.sent[0].submission.attempt.message_id == first[2]
        await w.until_states(DELIVERED=30)


@virtually
async def test_a_row_that_only_a_dead_sender_may_take_ends_with_its_time(fresh: Path) -> None:
    a, b = Carrier(), Carrier()
    a.report = b.report = lambda submission, part: ()
    async with world(fresh, a=Line(a, {NUMBER: 100}), b=Line(b, {"+12030000002": 100})) as w:
        b.link(up=False)
        operation = await w.send(*everyone(3), validity=60)
        await w.until_states(operation=operation, SENT=3)
        # Each is due again for the other sender, and SENT: no claim will find it, nor whoever ends QUEUED messages.
        names = [a.name_of(sent.submission, 1) for sent in a.sent]
        a.say([Receipt(name, ReceiptState.UNDELIVERED, FailureClass.SENDER, "", "class/SENDER") for name in names])
        await asyncio.sleep(30)
        assert await w.rows("SELECT count(*) FROM outq") == [(3,)]
        assert await w.states() == {"SENT": 3}

        await w.until_states(operation=operation, UNDELIVERED=3, within=40)

        assert await w.rows("SELECT count(*) FROM outq") == [(0,)]
        await w.until(lambda: w.engine.book.total() == 0)


@virtually
async def test_a_row_whose_message_is_no_more_goes(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        carrier.link(up=False)
        await w.send(*everyone(2))
        queue_id = (await w.rows("SELECT DISTINCT queue_id FROM outq"))[0][0]
        await w.store.write(enqueue([(queue_id, 1, 999_999, 1, w.engine.clock.wall())]))
        await asyncio.sleep(sweep.RARELY * sweep.EVERY + 2)

        assert await w.rows("SELECT count(*) FROM outq WHERE message_id = 999999") == [(0,)]
        assert await w.rows("SELECT count(*) FROM outq") == [(2,)]


@virtually
async def test_rows_that_come_in_while_queues_are_counted_are_not_counted_twice(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {"+12030000001": 2.0})) as w:
        await w.send(*everyone(1))
        await w.until_states(DELIVERED=1)
        await w.sweeper.stop()
        read, late = w.store.read, True

        async def reading(script: Script[Any], *, one: bool = False) -> Any:
            nonlocal late
            if late and getattr(script, "gi_code", None) is count_waiting.__code__:
                late = False
                await w.send(*everyone(700, first=10))
                await w.until(lambda: w.engine.book.total() > 600)
            return await read(script)

        w.store.read = reading  # type: ignore[method-assign]
        await w.sweeper._look_at_queues()

        assert not late
        assert 690 <= w.engine.book.total() <= 700
