"""Requests that a front hands over in one turn: each is told its own fate, whatever becomes of those beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.pipeline.carriers import Carrier
from tests.pipeline.worlds import Line, World, everyone, virtually, world

from sendpool.domain.message import Content
from sendpool.domain.request import Accepted, PoolOrigin, Recipient, Refused, SendRequest
from sendpool.pipeline.backlog import QueueFull
from sendpool.pipeline.crowd import Crowd
from sendpool.pipeline.waiter import StoreUnavailable

NUMBER = "+12030000001"
Fate = Accepted | Exception


class Callers:
    """Ask for one message each, all in one turn, and are told their fates."""

    def __init__(self, w: World, numbers: Sequence[str], *, pools: Sequence[bytes] = ()) -> None:
        #: By the place of who is told.
        self.fates: dict[int, Fate] = {}
        self._w = w
        uids = pools or [w.pool] * len(numbers)
        self.requests = [
            SendRequest(
                account_id=w.account_id,
                origin=PoolOrigin(uid),
                recipients=[Recipient(number, "P")],
                content=Content(text=f"code for {number}"),
            )
            for number, uid in zip(numbers, uids, strict=True)
        ]

    async def ask(self) -> list[Fate]:
        self._w.engine.intake.accept_each(self.requests, lambda first, end: _Caller(self, first, end))
        await self._w.until(lambda: len(self.fates) == len(self.requests))
        return [self.fates[at] for at in range(len(self.requests))]


class _Caller:
    def __init__(self, callers: Callers, first: int, end: int) -> None:
        self._callers = callers
        self._whom = range(first, end)

    def done(self) -> bool:
        return self._whom[0] in self._callers.fates

    def set_result(self, accepted: Sequence[Accepted], /) -> None:
        self._callers.fates |= dict(zip(self._whom, accepted, strict=True))

    def set_exception(self, error: Exception, /) -> None:
        self._callers.fates |= dict.fromkeys(self._whom, error)


async def meet(w: World) -> None:
    """Let the engine know the kind of these requests."""
    await Callers(w, everyone(1, first=90)).ask()
    await w.until_states(DELIVERED=1)


@virtually
async def test_each_of_a_crowd_is_sent_what_it_asked_for_and_has_its_own_operation(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: None})) as w:
        await meet(w)
        numbers = everyone(7)

        fates = await Callers(w, numbers).ask()
        await w.until_states(DELIVERED=8)

        accepted = [fate for fate in fates if isinstance(fate, Accepted)]
        assert len({one.uid for one in accepted}) == len({one.operation_id for one in accepted}) == 7
        for number, one in zip(numbers, accepted, strict=True):
            rows = await w.rows("SELECT address, state FROM message WHERE operation_id = ?", one.operation_id)
            assert [row[0] for row in rows] == [number]
            said = await w.rows("SELECT content FROM operation_content WHERE operation_id = ?", one.operation_id)
            assert f"code for {number}" in said[0][0]
            assert await w.rows("SELECT total, delivered FROM operation WHERE id = ?", one.operation_id) == [(1, 1)]


@virtually
async def test_a_crowd_stands_in_one_acceptance(fresh: Path) -> None:
    async with world(fresh, a=Line(Carrier(), {NUMBER: None})) as w:
        await meet(w)
        callers = Callers(w, everyone(7))

        w.engine.intake.accept_each(callers.requests, lambda first, end: _Caller(callers, first, end))

        (crowd,) = w.engine._batch.accepts
        assert isinstance(crowd, Crowd)
        assert w.engine._batch.requests == crowd.total == 7
        await w.until(lambda: len(callers.fates) == 7)


@virtually
async def test_who_is_refused_stands_in_nobodys_way(fresh: Path) -> None:
    async with world(fresh, a=Line(Carrier(), {NUMBER: None})) as w:
        await meet(w)
        pools = [w.pool, w.pool, b"?" * 16, w.pool]

        fates = await Callers(w, everyone(4), pools=pools).ask()

        assert [type(fate) for fate in fates] == [Accepted, Accepted, Refused, Accepted]
        await w.until_states(DELIVERED=4)


@virtually
async def test_a_crowd_does_not_pass_the_limit_of_an_account(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: None})) as w:
        await meet(w)
        carrier.link(up=False)
        w.engine.backlog.most = w.engine.backlog.waiting(w.account_id) + 3

        fates = await Callers(w, everyone(5)).ask()

        assert [type(fate) for fate in fates] == [Accepted] * 3 + [QueueFull] * 2
        assert await w.states() == {"DELIVERED": 1, "QUEUED": 3}


@virtually
async def test_a_crowd_that_is_not_stored_leaves_nothing_and_all_are_told(fresh: Path) -> None:
    async with world(fresh, a=Line(Carrier(), {NUMBER: None})) as w:
        await meet(w)
        before = w.engine.backlog.waiting(w.account_id), len(w.engine.sending.contexts), w.engine.book.total()
        w.store.failures = 1

        fates = await Callers(w, everyone(5)).ask()

        assert [type(fate) for fate in fates] == [StoreUnavailable] * 5
        assert (w.engine.backlog.waiting(w.account_id), len(w.engine.sending.contexts), w.engine.book.total()) == before
        assert await w.states() == {"DELIVERED": 1}


@virtually
async def test_a_crowd_that_finds_no_keys_is_refused_and_brings_a_commit_that_has_some(fresh: Path) -> None:
    async with world(fresh, a=Line(Carrier(), {NUMBER: None})) as w:
        await meet(w)
        w.engine.acceptor.numbers._blocks.clear()

        fates = await Callers(w, everyone(5)).ask()

        assert [type(fate) for fate in fates] == [StoreUnavailable] * 5
        await w.until(lambda: w.engine.acceptor.numbers._blocks, 0.5)
        assert [type(fate) for fate in await Callers(w, everyone(5)).ask()] == [Accepted] * 5
        await w.until_states(DELIVERED=6)
