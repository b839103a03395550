"""Senders and connections that are drained: nothing new starts, what was started ends, nothing that waits fails."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from tests.pipeline.carriers import Carrier, refused
from tests.pipeline.worlds import Line, World, everyone, virtually, world

from sendpool.domain.pool import GRACE
from sendpool.domain.reasons import Reason
from sendpool.pipeline.supervise import Supervisor
from sendpool.store import draining
from sendpool.store.database import Script

A, B, C = "+12030000001", "+12030000002", "+12030000003"


async def drain(w: World, address: str, *, at: int | None = 1, connection: bool = False) -> None:
    """As the command does."""
    sender = w.sender(address)

    def script() -> Script[None]:
        if connection:
            yield from draining.drain_connection(sender.connection_id, at)
        else:
            yield from draining.drain_senders([sender.id], at)

    await w.engine.change(script)
    Supervisor(w.engine).gates(w.engine.roster)


def shown(w: World, name: str) -> dict[str, float]:
    """A gauge by connection."""
    families = text_string_to_metric_families(w.engine.metrics.render().decode())
    return {one.labels["connection"]: one.value for family in families for one in family.samples if one.name == name}


@virtually
async def test_a_drained_sender_ends_what_it_has_and_starts_nothing_new(fresh: Path) -> None:
    first, second = Carrier(answer_after=0.5, report_after=1.0), Carrier()
    async with world(fresh, a=Line(first, {A: 100}), b=Line(second, {B: 100})) as w:
        await w.send(*everyone(40))
        await w.until(lambda: len(first.sent) > 5)

        await drain(w, A)
        await asyncio.sleep(0.1)
        before = len(first.sent)
        await w.send(*everyone(40, first=100))
        await w.until_states(DELIVERED=80)

        assert len(first.sent) == before, "answers and receipts came, nothing was started"
        assert shown(w, "sendpool_drained_senders") == {"a": 1, "b": 0}
        assert await _drawn(w)

        await drain(w, A, at=None)
        await w.send(*everyone(40, first=200))
        await w.until_states(DELIVERED=120)
        assert len(first.sent) > before
        assert shown(w, "sendpool_drained_senders") == {"a": 0, "b": 0}


async def _drawn(w: World) -> bool:
    """Whether some scene shows a member that is drained."""
    rows = await w.rows("SELECT body FROM scene")
    return any(member[1] == Reason.DRAINING for row in rows for member in json.loads(row[0])["members"])


@virtually
async def test_what_only_a_drained_connection_could_carry_waits_and_does_not_fail(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {A: 100, B: 100})) as w:
        await drain(w, A, connection=True)
        assert shown(w, "sendpool_drained_senders") == {"a": 2}

        await w.send(*everyone(20))
        await asyncio.sleep(300)
        assert await w.states() == {"QUEUED": 20}
        assert not carrier.sent

        await drain(w, A, at=None, connection=True)
        await w.until_states(DELIVERED=20, within=5)


@virtually
async def test_what_waits_in_the_lane_of_a_drained_sender_is_planned_anew_at_once(fresh: Path) -> None:
    slow, bad, good = Carrier(), Carrier(), Carrier()
    async with world(fresh, a=Line(slow, {A: 0.5}), b=Line(bad, {B: 100}), c=Line(good, {C: 100})) as w:
        # What fails at one sender goes to the lane of the slow one, for the third is cut off.
        bad.answer = lambda submission, part: refused("0x08")
        good.link(up=False)
        await w.send(*everyone(12))
        lane = f"SELECT q.message_id FROM outq q JOIN queue k ON k.id = q.queue_id WHERE k.lane = '{w.sender(A).id}'"
        async with asyncio.timeout(60):
            while len(await w.rows(lane)) < 5:
                await asyncio.sleep(0.1)

        good.link(up=True)
        waiting = {row[0] for row in await w.rows(lane)}
        began = w.now
        await drain(w, A)
        await w.until(lambda: waiting <= {one.key[0] for one in good.sent}, within=GRACE / 4)

        assert w.now - began < GRACE / 4
        assert not await w.rows(lane)


@virtually
async def test_a_restart_changes_nothing_of_it(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {A: 100})) as w:
        await drain(w, A)
        await w.send(*everyone(3))
        await asyncio.sleep(2)
    again = Carrier()
    async with world(fresh, a=Line(again, {A: 100})) as w:
        await asyncio.sleep(20)
        assert not again.sent
        assert w.sender(A).drained
        assert w.sender(A).active
        await drain(w, A, at=None)
        await w.until_states(DELIVERED=3)
