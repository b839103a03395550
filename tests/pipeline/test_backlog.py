"""The most messages of an account that may wait: never passed by more than a request, and right again soon."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.pipeline.carriers import Carrier
from tests.pipeline.worlds import EPOCH, Line, everyone, virtually, world

from sendpool.domain.schedule import Moment
from sendpool.pipeline import draft, sweep
from sendpool.pipeline.backlog import Backlog, QueueFull
from sendpool.pipeline.cancel import Wish, cancel
from sendpool.pipeline.waiter import StoreUnavailable

NUMBER = "+12030000001"
#: Seconds into a run at which nothing is being counted: what is stored during a count is taken for more than it is.
BETWEEN = sweep.EVERY / 2
#: Seconds until the next count has been made, at most.
SOON = (sweep.RARELY + 1) * sweep.EVERY


@virtually
async def test_who_has_too_many_waiting_is_refused_until_some_have_gone(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        await asyncio.sleep(BETWEEN)
        w.engine.backlog.most = 10
        carrier.link(up=False)
        await w.send(*everyone(9))
        await w.send(*everyone(5, first=10))
        for _ in range(3):
            with pytest.raises(QueueFull, match=r"14 messages .* and 10 may \(server.max_queued\); cancel"):
                await w.send(*everyone(1, first=20))
        await asyncio.sleep(20)
        assert w.engine.backlog.waiting(w.account_id) == 14

        carrier.link(up=True)
        await w.until_states(DELIVERED=14)
        await asyncio.sleep(SOON)
        await w.send(*everyone(1, first=20))
        await w.until_states(DELIVERED=15)


@virtually
async def test_requests_that_come_together_do_not_pass_the_limit_together(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        await asyncio.sleep(BETWEEN)
        w.engine.backlog.most = 20
        carrier.link(up=False)
        sends = [w.send(*everyone(5, first=10 * n)) for n in range(30)]
        answers = await asyncio.gather(*sends, return_exceptions=True)

        assert sum(isinstance(answer, QueueFull) for answer in answers) == 26
        assert await w.states() == {"QUEUED": 20}


@virtually
async def test_what_is_scheduled_or_in_chunks_waits_too_and_what_is_canceled_does_not(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draft, "AT_ONCE", 10)
    async with world(fresh, a=Line(Carrier(), {NUMBER: 100})) as w:
        await asyncio.sleep(BETWEEN)
        w.engine.backlog.most = 35
        later = Moment(EPOCH + 60_000_000)
        operations = [await w.send(*everyone(n, first=100 * n), send_at=later) for n in (5, 30)]
        with pytest.raises(QueueFull):
            await w.send(*everyone(1))

        for operation in operations:
            await cancel(w.engine, Wish(w.account_id, operation.uid))
        await asyncio.sleep(SOON)
        await w.send(*everyone(1))


@virtually
async def test_the_limit_holds_right_after_a_restart(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        carrier.link(up=False)
        await w.send(*everyone(10))
        await w.send(*everyone(10, first=10), send_at=Moment(EPOCH + 600_000_000))
    carrier = Carrier()
    carrier.up = False
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        w.engine.backlog.most = 20
        with pytest.raises(QueueFull, match="20 messages"):
            await w.send(*everyone(1, first=20))


@virtually
async def test_what_a_failed_commit_did_not_store_does_not_wait(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        await asyncio.sleep(BETWEEN)
        w.engine.backlog.most = 10
        carrier.link(up=False)
        w.store.failures = 1
        with pytest.raises(StoreUnavailable):
            await w.send(*everyone(10))

        assert w.engine.backlog.waiting(w.account_id) == 0
        await w.send(*everyone(10))
        assert w.engine.backlog.waiting(w.account_id) == 10


@virtually
async def test_another_accounts_messages_do_not_count(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        await asyncio.sleep(BETWEEN)
        w.engine.backlog.most = 10
        w.engine.backlog.taken(w.account_id + 1, 100)

        await w.send(*everyone(1))
        assert w.engine.backlog.waiting(w.account_id) == 1


def test_what_is_stored_while_a_count_runs_is_not_forgotten() -> None:
    backlog = Backlog(10)
    backlog.taken(1, 3)
    backlog.stored(1, 3)
    mark = backlog.mark()
    backlog.taken(1, 4)
    backlog.stored(1, 4)
    backlog.taken(1, 1)

    backlog.counted({1: 3}, mark)
    assert backlog.waiting(1) == 8
    backlog.counted({1: 7}, backlog.mark())
    assert backlog.waiting(1) == 8
    backlog.dropped(1, 1)
    assert backlog.waiting(1) == 7
