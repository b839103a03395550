"""A rehearsal and the send that follows it say the same, and a rehearsal leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.pipeline.carriers import Carrier
from tests.pipeline.rcs_carriers import AGENT, SMS, RcsCarrier, between
from tests.pipeline.worlds import LONG_TEXT, Line, World, everyone, virtually, world

from sendpool.domain import ids
from sendpool.domain.message import Content
from sendpool.domain.rehearsal import Rehearsal
from sendpool.domain.request import PoolOrigin, Recipient, Refused, SendRequest
from sendpool.domain.schedule import Moment
from sendpool.domain.sender import Channel
from sendpool.pipeline.backlog import QueueFull
from sendpool.pipeline.rehearse import DETAIL, rehearse
from sendpool.testing.clock import run_virtually

T = TypeVar("T")

FAST, SLOW = "+12034458910", "+12034458911"


def request(one: World, *recipients: str | Recipient, text: str = "Hello", **more: Any) -> SendRequest:
    people = [each if isinstance(each, Recipient) else Recipient(each, "P") for each in recipients]
    more.setdefault("origin", PoolOrigin(one.pool))
    return SendRequest(
        account_id=one.account_id, recipients=people, content=Content(text=text, liquid="{{" in text), **more
    )


async def traces(one: World) -> list[int]:
    """How many rows there are of everything that a send writes."""
    tables = ("operation", "message", "outq", "later", "chunk", "event", "attempt", "queue", "operation_error")
    return [(await one.rows(f"SELECT count(*) FROM {table}"))[0][0] for table in tables]


@virtually
async def test_a_rehearsal_says_who_would_take_it_and_leaves_no_trace(fresh: Path) -> None:
    first, second = Carrier(), Carrier()
    async with world(fresh, a=Line(first, {FAST: 10.0}), b=Line(second, {SLOW: 5.0})) as one:
        second.link(up=False)
        await one.until(lambda: one.engine.sending.gates[one.sender(FAST).id].bucket.free_at(one.now) <= one.now)
        before, rank = await traces(one), one.engine.acceptor.fair_clock(1, Channel.SMS).virtual

        told = await rehearse(one.engine, request(one, *everyone(3), text=LONG_TEXT))

        assert (told.recipients, told.total, told.unaddressable, told.segments) == (3, 3, 0, 9)
        (channel,) = told.channels
        assert (channel.channel, channel.messages, channel.throughput, channel.waiting) == ("SMS", 3, 10.0, 0)
        assert told.estimated_seconds == channel.seconds == 0.9
        (step,) = told.detail[0].plan
        assert step.chosen == ids.encode(ids.SENDER, one.sender(FAST).uid)
        assert {each.address: each.reason for each in step.candidates} == {FAST: "only_one", SLOW: "down"}
        assert await traces(one) == before
        assert one.engine.acceptor.fair_clock(1, Channel.SMS).virtual == rank
        assert not first.sent


@virtually
async def test_what_waits_already_counts_in_the_estimate(fresh: Path) -> None:
    async with world(fresh, a=Line(Carrier(), {FAST: 2.0})) as one:
        await one.send(*everyone(700))
        await asyncio.sleep(0.5)

        told = await rehearse(one.engine, request(one, *everyone(10)))

        assert told.channels[0].waiting in range(690, 701)
        assert told.estimated_seconds == pytest.approx(355, abs=8)


@virtually
async def test_nobody_ready_means_no_estimate(fresh: Path) -> None:
    carrier = Carrier()
    carrier.up = False
    async with world(fresh, a=Line(carrier, {FAST: 2.0})) as one:
        told = await rehearse(one.engine, request(one, *everyone(1)))

        assert not isinstance(told.estimated_seconds, float)
        assert not isinstance(told.detail[0].plan[0].chosen, str)


@virtually
async def test_both_steps_of_a_plan_are_told_with_what_each_would_cost(fresh: Path) -> None:
    async with between(fresh, RcsCarrier(), Carrier()) as one:
        told = await rehearse(one.engine, request(one, *everyone(1), text=LONG_TEXT))

        assert [(step.channel, step.segments) for step in told.detail[0].plan] == [("RCS", 1), ("SMS", 3)]
        assert [step.candidates[0].address for step in told.detail[0].plan] == [AGENT, SMS]
        assert told.segments == 1


@virtually
async def test_detail_is_bounded_and_totals_are_whole(fresh: Path) -> None:
    async with world(fresh, a=Line(Carrier(), {FAST: 100.0})) as one:
        people: list[str | Recipient] = [*everyone(2_000), *[Recipient(f"a{i}@example.com", "E") for i in range(150)]]

        told = await rehearse(one.engine, request(one, *people))

        assert (told.total, told.unaddressable, told.segments) == (2_000, 150, 2_000)
        assert len(told.detail) == DETAIL == len(told.unaddressable_detail)
        assert told.unaddressable_detail[0].position == 2_000


@virtually
async def test_what_a_send_would_be_refused_for_refuses_its_rehearsal(fresh: Path) -> None:
    async with world(fresh, a=Line(Carrier(), {FAST: 100.0})) as one:
        with pytest.raises(Refused):
            await rehearse(one.engine, request(one, *everyone(1), origin=PoolOrigin(b"x" * 16)))
        one.engine.backlog.most = 0
        with pytest.raises(QueueFull):
            await rehearse(one.engine, request(one, *everyone(1)))


_RECIPIENTS = st.lists(
    st.one_of(
        st.integers(0, 99_999).map(lambda n: Recipient(f"+4477009{n:05}", "P")),
        st.integers(0, 9).map(lambda n: Recipient(f"a{n}@example.com", "E")),
        st.integers(0, 9).map(lambda n: Recipient(f"+4477009{n:05} +4477008{n:05}", "PP")),
        st.sampled_from(["Ana", "", "x" * 300]).map(lambda name: Recipient("+447700900001", "P", {"name": name})),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    people=_RECIPIENTS,
    text=st.sampled_from(["Hi", LONG_TEXT, "{{name}}", "Hi {{name}}"]),
    only=st.sampled_from([None, frozenset({Channel.SMS}), frozenset({Channel.RCS}), frozenset({Channel.WHATSAPP})]),
    hours=st.sampled_from([None, 0, 5, 24 * 400]),
)
def test_a_rehearsal_and_the_send_after_it_agree(
    tmp_path_factory: pytest.TempPathFactory,
    migrated: Path,
    people: list[Recipient],
    text: str,
    only: frozenset[Channel] | None,
    hours: int | None,
) -> None:
    path = tmp_path_factory.mktemp("agree") / "sendpool.db"
    path.write_bytes(migrated.read_bytes())
    run_virtually(_agree(path, people, text, only, hours))


async def _agree(
    path: Path, people: list[Recipient], text: str, only: frozenset[Channel] | None, hours: int | None
) -> None:
    rcs, sms = RcsCarrier(), Carrier()
    rcs.up = sms.up = False
    async with between(path, rcs, sms) as one:
        send_at = None if hours is None else Moment(one.engine.clock.wall() + hours * 3_600_000_000)
        asked = request(one, *people, text=text, origin=PoolOrigin(one.pool, only), send_at=send_at)
        told = await _or_refusal(rehearse(one.engine, asked))
        sent = await _or_refusal(one.engine.intake.accept(asked))
        if isinstance(sent, str):
            assert told == sent
        else:
            assert isinstance(told, Rehearsal)
            await _compare(one, told, sent.operation_id)


async def _or_refusal(answer: Awaitable[T]) -> T | str:
    try:
        return await answer
    except Refused as refused:
        return str(refused)


async def _compare(one: World, told: Rehearsal, operation_id: int) -> None:
    (operation,) = await one.rows(
        "SELECT total, recipients, unaddressable, scheduled, failed, validity FROM operation"
        " JOIN operation_content ON operation_id = id WHERE id = ?",
        operation_id,
    )
    assert tuple(operation) == (
        told.total,
        told.recipients,
        told.unaddressable,
        told.scheduled,
        told.failed,
        told.validity,
    )
    stored = await one.rows(
        "SELECT address, plan, segments FROM message WHERE operation_id = ? AND state <> 7 ORDER BY id", operation_id
    )
    rehearsed = [detail for detail in told.detail if detail.plan]
    assert sorted("".join(step.channel[0] for step in detail.plan) for detail in rehearsed) == sorted(
        row[1] for row in stored
    )
    costs = sorted(detail.plan[0].segments for detail in rehearsed)
    assert costs == sorted(row[2] if row[1][0] == "S" else 1 for row in stored)
    assert told.segments == sum(costs)
    errors = await one.rows(
        "SELECT position, code FROM operation_error WHERE operation_id = ? ORDER BY position", operation_id
    )
    assert [(each.position, each.code) for each in told.unaddressable_detail] == [tuple(row) for row in errors]
