"""Launch: what a commit starts is made ready while the disk takes it; it leaves as things stand when it has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.pipeline.carriers import Carrier
from tests.pipeline.worlds import Line, World, everyone, virtually, world

from sendpool.connectors.base import Submission
from sendpool.pipeline.launch import STALE, Launch

NUMBER, OTHER = "+12030000001", "+12030000002"


class Ahead(Carrier):
    """A carrier whose connector makes ahead what it will write."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        #: Recipients for whom something was made, and for whom it was handed over.
        self.made: list[str] = []
        self.handed: list[str] = []

    def prepare(self, batch: Sequence[Submission]) -> Callable[[], None]:
        self.made += [one.recipient for one in batch]
        return partial(self._hand_over, batch)

    def _hand_over(self, batch: Sequence[Submission]) -> None:
        self.handed += [one.recipient for one in batch]
        self.task = asyncio.ensure_future(self.submit(batch))


def meanwhile(w: World, something: Callable[[Launch], object]) -> None:
    """Have *something* happen once between a launch's being made ready and its leaving."""
    sending: Any = w.engine.sending
    leave = sending.launch

    def launch(one: Launch) -> None:
        sending.launch = leave
        assert one.flights
        something(one)

    sending.launch = launch


@virtually
async def test_a_connection_that_goes_while_the_disk_takes_a_commit_strands_nothing(fresh: Path) -> None:
    a, b = Carrier(), Carrier()
    async with world(fresh, a=Line(a, {NUMBER: 1000}), b=Line(b, {OTHER: 20})) as w:
        link = next(one for one in w.engine.sending.links.values() if one.name == "a")

        def removed(one: Launch) -> None:
            w.engine.sending.links.pop(link.connection_id, None)
            w.engine.sending.launch(one)

        meanwhile(w, removed)
        await w.send(*everyone(60))
        await w.until_states(DELIVERED=60)

        assert a.sent == []
        assert not w.engine.sending.flights


@virtually
async def test_what_leaves_late_is_given_no_more_time_than_is_left(fresh: Path) -> None:
    carrier, late = Carrier(), 20 * STALE
    async with world(fresh, a=Line(carrier, {NUMBER: 1000})) as w:
        loop = asyncio.get_running_loop()
        meanwhile(w, lambda one: loop.call_later(late, w.engine.sending.launch, one))
        await w.send(*everyone(3), validity=100)
        await w.until_states(DELIVERED=3)

        assert {sent.submission.validity for sent in carrier.sent} == {80}


@virtually
async def test_nothing_that_was_made_ahead_leaves_without_its_commit(fresh: Path) -> None:
    carrier = Ahead()
    async with world(fresh, a=Line(carrier, {NUMBER: 1000})) as w:
        await w.send(*everyone(5))
        await w.until_states(DELIVERED=5)
        assert carrier.made == carrier.handed == everyone(5)

        # The first commit is that of the request itself, which its sender is told of.
        accepted = asyncio.ensure_future(w.send(*everyone(3, 5)))
        w.store.failures = 1
        with pytest.raises(Exception, match="did not take it"):
            await accepted
        await asyncio.sleep(5)
        assert len(carrier.handed) == 5
        assert len(carrier.made) == 8


@virtually
async def test_a_connector_that_cannot_make_it_leaves_its_messages_of_unknown_fate(fresh: Path) -> None:
    class Broken(Ahead):
        def prepare(self, batch: Sequence[Submission]) -> Callable[[], None]:
            raise LookupError("a fault of ours")

    async with world(fresh, a=Line(Broken(), {NUMBER: 100})) as w:
        await w.send(*everyone(3))
        await w.until_states(SENT=3)

        assert await w.rows("SELECT DISTINCT ambiguous FROM message") == [(1,)]
        assert not w.engine.sending.flights


@virtually
async def test_a_server_that_ends_recalls_what_was_made_ahead(fresh: Path) -> None:
    carrier = Ahead()
    async with world(fresh, a=Line(carrier, {NUMBER: 1000})) as w:

        def ended(one: Launch) -> None:
            w.engine.drain()
            w.engine.sending.launch(one)

        meanwhile(w, ended)
        await w.send(*everyone(4))
        await w.engine.stop()

        assert carrier.handed == []
        assert await w.states() == {"QUEUED": 4}
        assert await w.rows("SELECT count(*) FROM outq") == [(4,)]
