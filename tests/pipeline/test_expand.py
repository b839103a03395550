"""Expanding: large operations become rows shortly before their turn, once each, whatever happens in between."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from tests.pipeline.carriers import Carrier
from tests.pipeline.pools_in_memory import PoolInMemory, numbers
from tests.pipeline.worlds import Line, World, everyone, virtually, world

from sendpool.domain.destinations import ANYWHERE, Countries, Destinations
from sendpool.domain.message import Content
from sendpool.domain.request import PoolOrigin, Recipient, SendRequest
from sendpool.domain.sender import Channel
from sendpool.pipeline.draft import CHUNK
from sendpool.pipeline.expand import CHUNKS_A_COMMIT, ENOUGH_DUE, MOST_DUE
from sendpool.pipeline.expanding import Expanding, Group, groups_of
from sendpool.store.chunks import Chunk, Share
from sendpool.testing.invariants import contradictions

NUMBER, OTHER = "+12030000001", "+12030000002"
#: So fast that the window alone sets the pace: a few large batches instead of many small ones.
FAST = 100_000


def quick() -> Carrier:
    """A carrier that takes a thousand at a time."""
    return Carrier(answer_after=0.2, report_after=0.3)


async def sound(w: World) -> bool:
    """Whether counters are right just now, and nothing else is wrong."""
    return await w.store.read(contradictions()) == []


@virtually
async def test_ten_thousand_recipients_all_become_messages_and_are_counted_right_at_any_time(fresh: Path) -> None:
    carrier = quick()
    async with world(fresh, False, a=Line(carrier, {NUMBER: FAST})) as w:
        operation = await w.send(*everyone(10_000))
        for _ in range(6):
            await asyncio.sleep(0.3)
            assert await sound(w)
            assert sum((await w.states(operation)).values()) == 10_000
        await w.until_states(DELIVERED=10_000, within=30)

        assert Counter(sent.submission.recipient for sent in carrier.sent) == Counter(everyone(10_000))
        assert [sent.submission.recipient for sent in carrier.sent] == everyone(10_000), "in the order given"
        assert await w.rows("SELECT count(*) FROM event WHERE number = 2") == [(10_000,)]
        assert await w.rows("SELECT count(*) FROM chunk") == [(0,)]
        assert (await w.events(operation.operation_id)).count(1027) == 1


@virtually
async def test_queues_stay_short_however_much_waits(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, False, a=Line(carrier, {NUMBER: 50})) as w:
        await w.send(*everyone(10_000))
        await asyncio.sleep(10)

        due = (await w.rows("SELECT count(*) FROM outq"))[0][0]
        assert due <= ENOUGH_DUE + CHUNKS_A_COMMIT * CHUNK
        assert (await w.rows("SELECT unexpanded FROM operation"))[0][0] >= 5_000


@virtually
async def test_a_restart_in_the_middle_goes_on_where_it_was(fresh: Path, tmp_path: Path) -> None:
    sent: Counter[str] = Counter()
    first, second, third = quick(), quick(), quick()
    async with world(fresh, False, a=Line(first, {NUMBER: FAST})) as w:
        await w.send(*everyone(7_000))
        await w.until(lambda: len(first.sent) >= 2_500)
    async with world(fresh, False, a=Line(second, {NUMBER: FAST})) as w:
        await w.until(lambda: len(second.sent) >= 1_200)
        left = await w.copy(tmp_path / "left.db")
        sent.update(one.submission.recipient for one in second.sent)
    async with world(left, False, a=Line(third, {NUMBER: FAST})) as w:
        while (await w.states())["QUEUED"]:
            await asyncio.sleep(0.2)
        ambiguous = await w.rows("SELECT address FROM message WHERE ambiguous = 1")

    for carrier in (first, third):
        sent.update(one.submission.recipient for one in carrier.sent)
    assert max(sent.values()) == 1
    assert set(everyone(7_000)) - set(sent) <= {row[0] for row in ambiguous}


@virtually
async def test_a_commit_that_fails_skips_no_chunk_and_expands_none_twice(fresh: Path) -> None:
    carrier = quick()
    async with world(fresh, False, a=Line(carrier, {NUMBER: FAST})) as w:
        await w.send(*everyone(6_000))
        for _ in range(4):
            w.store.failures = 1
            await asyncio.sleep(0.6)
        await w.until_states(DELIVERED=6_000, within=60)

        assert Counter(sent.submission.recipient for sent in carrier.sent) == Counter(everyone(6_000))


@pytest.mark.parametrize("up", [True, False], ids=["sender_up", "sender_down"])
@virtually
async def test_an_expired_operation_ends_all_of_its_messages_by_name(fresh: Path, *, up: bool) -> None:
    carrier = Carrier()
    async with world(fresh, False, a=Line(carrier, {NUMBER: 5})) as w:
        carrier.link(up=up)
        operation = await w.send(*everyone(5_500), validity=4)
        await asyncio.sleep(60)

        states = await w.states(operation)
        assert states["FAILED"] + states["DELIVERED"] == 5_500
        assert states["DELIVERED"] == len(carrier.sent) <= 25
        assert await w.rows("SELECT count(*) FROM event WHERE number = 7 AND error_code = 30036") == [
            (states["FAILED"],)
        ]
        assert (await w.events(operation.operation_id)).count(1027) == 1
        assert await w.rows("SELECT count(*) FROM chunk") == [(0,)]


@virtually
async def test_an_operation_that_cannot_go_holds_up_no_other(fresh: Path) -> None:
    dead, good = quick(), quick()
    async with world(fresh, False, a=Line(dead, {NUMBER: FAST}), b=Line(good, {OTHER: FAST})) as w:
        dead.link(up=False)
        mine = await w.make_pool([w.sender(NUMBER).uid])
        yours = await w.make_pool([w.sender(OTHER).uid])
        for n in range(3):
            await w.send(*everyone(5_000, first=10_000 * n), origin=PoolOrigin(mine))
        operation = await w.send(*everyone(4_000, first=50_000), origin=PoolOrigin(yours))

        await w.until_states(operation=operation, DELIVERED=4_000, within=10)


@virtually
async def test_recipients_of_every_channel_wait_in_the_queue_of_their_first_step(fresh: Path) -> None:
    sms, rcs, whatsapp = quick(), quick(), quick()
    lines = {
        "s": Line(sms, {NUMBER: FAST}),
        "r": Line(rcs, {"agent": FAST}, channel=Channel.RCS),
        "w": Line(whatsapp, {OTHER: FAST}, channel=Channel.WHATSAPP),
    }
    async with world(fresh, False, **lines) as w:
        addresses = everyone(1_500)
        recipients = [Recipient(one, "PW"[n % 2]) for n, one in enumerate(addresses)]
        request = SendRequest(
            account_id=w.account_id, origin=PoolOrigin(w.pool), recipients=recipients, content=Content(text="x" * 400)
        )
        await w.engine.intake.accept(request)
        await w.until_states(DELIVERED=1_500)

        assert len(rcs.sent) == len(whatsapp.sent) == 750
        assert sms.sent == []
        assert {sent.submission.segments for sent in (*rcs.sent, *whatsapp.sent)} == {1}


GB, DE = "+442071234567", "+493012345678"


def germans(number: int) -> list[str]:
    """So many recipients in Germany."""
    return [f"+4915112{n:06}" for n in range(number)]


@virtually
async def test_who_may_not_take_the_first_half_of_an_operation_is_busy_with_the_second_at_once(fresh: Path) -> None:
    slow, quick_one = Carrier(), Carrier()
    lines = {
        "slow": Line(slow, {GB: 2.0}, said={GB: {"countries": ("GB",)}}),
        "quick": Line(quick_one, {DE: 100.0}, said={DE: {"countries": ("DE",)}}),
    }
    async with world(fresh, False, **lines) as w:
        start = w.now
        await w.send(*everyone(5_000), *germans(5_000))
        await asyncio.sleep(14)

        # The first chunk of the second half is empty after 10 s.
        times = Counter(int(sent.at - start) for sent in quick_one.sent)
        assert all(times[second] >= 95 for second in range(1, 13)), times
        assert len(slow.sent) >= 25
        assert (await w.rows("SELECT count(*) FROM outq"))[0][0] <= ENOUGH_DUE + CHUNKS_A_COMMIT * CHUNK
        assert [s.submission.recipient for s in quick_one.sent] == germans(len(quick_one.sent)), "in the order given"


def carried(pool: PoolInMemory, sender_id: int, seconds: int) -> tuple[list[int], int]:
    """Messages that left through a sender in each of so many seconds; and the most rows that there were."""
    most = 0
    for _ in range(seconds):
        pool.run(1)
        most = max(most, pool.waiting().total())
    times = Counter(int(one.at) for one in pool.left if one.sender_id == sender_id)
    return [times[second] for second in range(seconds)], most


def test_a_channel_does_not_wait_for_what_begins_on_another() -> None:
    pool = PoolInMemory((Channel.SMS, 2.0, ANYWHERE), (Channel.WHATSAPP, 150.0, ANYWHERE))
    pool.send([*numbers(8_000, "P"), *numbers(8_000, "W", "+4478")])

    times, most = carried(pool, 2, 20)

    assert min(times[1:]) >= 140
    assert most <= ENOUGH_DUE + CHUNKS_A_COMMIT * CHUNK


def test_what_only_a_slow_sender_takes_fills_the_database_no_further_than_a_bound() -> None:
    countries = [Destinations(countries=Countries(only=frozenset({one}))) for one in ("GB", "DE")]
    pool = PoolInMemory((Channel.SMS, 1.0, countries[0]), (Channel.SMS, 1_000.0, countries[1]))
    # Of each ten, two: what keeps the quick one busy brings four times as much for the slow one.
    british, others = iter(everyone(32_000)), iter(germans(8_000))
    pool.send([(next(others) if n % 5 == 0 else next(british), "P") for n in range(40_000)])

    times, most = carried(pool, 2, 8)

    assert sum(times) >= 3_500
    assert MOST_DUE <= most <= MOST_DUE + CHUNKS_A_COMMIT * CHUNK


def test_senders_that_take_the_same_are_one_group() -> None:
    german = Destinations(countries=Countries(only=frozenset({"DE"})))
    pool = PoolInMemory((Channel.SMS, 1.0, ANYWHERE), (Channel.SMS, 2.0, german), (Channel.SMS, 4.0, german))

    found = groups_of(pool.acceptor.roster, pool.pool.id, [("S", "DE"), ("S", "GB"), ("W", "")])

    assert {one.mps: one.classes for one in found} == {
        1.0: {("S", "DE"), ("S", "GB")},
        6.0: {("S", "DE")},
    }


def test_a_class_has_no_more_rows_due_than_wait_where_it_may() -> None:
    pool = PoolInMemory((Channel.SMS, 2.0, ANYWHERE), (Channel.WHATSAPP, 150.0, ANYWHERE))
    made = pool.send([*numbers(1_000, "P"), *numbers(1_000, "W", "+4478"), *numbers(5_000, "P", "+4479")])
    pool.run(0.1)
    operation = pool.expander._operations[made.operation.id]
    assert operation.due_of["W", ""] > 900

    # Another process has sent nearly all of it.
    waiting = dict.fromkeys(pool.expander.mixed_queues(), 10)
    pool.expander.bound(waiting)

    assert operation.due_of == {("S", ""): 10, ("W", ""): 10}


def test_a_chunk_from_the_middle_that_a_commit_has_lost_returns_to_its_place() -> None:
    shares = [(Share("S", "", 5, 5),), (Share("W", "", 5, 5),), (Share("S", "", 5, 5),)]
    chunks = [Chunk(n, 5, 0, mix) for n, mix in enumerate(shares)]
    operation = Expanding(1, 1, chunks, "normal")
    place = operation.first_for([Group(frozenset({("W", "")}), 1.0)], 2.0)
    assert place == 1

    operation.put_back(operation.take(place))

    assert list(operation.chunks) == chunks
    assert (operation.due, operation.due_of.total()) == (0, 0)
    assert operation.to_come == {"S": 10, "W": 5}
