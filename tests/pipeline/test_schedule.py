"""What was accepted for later is queued when it is due: to the second, once, and also by the next process."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from tests.pipeline.carriers import Carrier
from tests.pipeline.rcs_carriers import AGENT, RcsCarrier
from tests.pipeline.worlds import EPOCH, Line, World, everyone, virtually, world

from sendpool.domain.message import Category, Content
from sendpool.domain.request import Accepted, PoolOrigin, Recipient, Refused, SendRequest
from sendpool.domain.schedule import HORIZON, Moment
from sendpool.domain.sender import Channel
from sendpool.pipeline import draft, sweep
from sendpool.pipeline.draft import AT_ONCE
from sendpool.store.pools import delete_pool

NUMBER, OTHER = "+12030000001", "+12030000002"
SCHEDULED, PROCESSING, COMPLETED = 1025, 1026, 1027
#: Seconds that anything may be late: a commit, and a departure that was planned ahead.
LATE = 0.1
#: What two clocks differ by, one in microseconds and one in floating-point seconds.
EARLY = 1e-5
FAST = 100_000
HOUR = 3_600


def at(seconds: float) -> Moment:
    """So many virtual seconds after the world began."""
    return Moment(EPOCH + int(seconds * 1e6))


async def told(w: World, operation: Accepted) -> list[int]:
    """The numbers of an operation's own events, whose key its first message shares."""
    return [number for number in await w.events(operation.operation_id) if number > 1024]


async def counters(w: World, operation: Accepted) -> dict[str, int]:
    """State and counters of an operation, those above zero."""
    names = ("state", "total", "scheduled", "queued", "sent", "delivered", "failed", "canceled", "unexpanded")
    (row,) = await w.rows(f"SELECT {', '.join(names)} FROM operation WHERE id = ?", operation.operation_id)
    return {name: value for name, value in zip(names, row, strict=True) if value}


@virtually
async def test_a_scheduled_message_is_sent_when_it_is_due_and_not_before(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        operation = await w.send(*everyone(3), send_at=at(w.now + 30))
        due = w.now + 30
        await asyncio.sleep(29.9)

        assert await counters(w, operation) == {"state": 1, "total": 3, "scheduled": 3}
        assert await told(w, operation) == [SCHEDULED]
        assert await w.rows("SELECT DISTINCT scheduled_for FROM message") == [(EPOCH + int(due * 1e6),)]
        assert carrier.sent == []
        await w.until_states(DELIVERED=3)

        assert all(due <= sent.at <= due + LATE for sent in carrier.sent)
        assert (await told(w, operation))[:2] == [SCHEDULED, PROCESSING]
        assert await w.events(operation.operation_id + 1) == [2, 19, 20]


@virtually
async def test_something_due_in_a_moment_is_not_late(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        for step in range(20):
            await asyncio.sleep(0.37)
            due = w.now + 0.05 * (step + 1)
            await w.send(everyone(1, first=step)[0], send_at=at(due))
            await asyncio.sleep(0.05 * (step + 1) + LATE)

            assert due - EARLY <= carrier.sent[step].at <= due + LATE


@pytest.mark.parametrize("seconds", [-1e9, -1, 0])
@virtually
async def test_what_is_past_is_sent_at_once(fresh: Path, seconds: float) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        operation = await w.send(*everyone(2), send_at=at(w.now + seconds))
        await w.until_states(DELIVERED=2)

        assert (await told(w, operation))[0] == PROCESSING
        assert await w.rows("SELECT DISTINCT scheduled_for FROM message") == [(None,)]


#: A clock shows this when it is ten minutes past in Kathmandu, and in five minutes in Delhi, 35 in Karachi.
CLOCK = Moment(EPOCH + (5 * HOUR + 35 * 60) * 1_000_000, local=True)
NEPAL, INDIA, PAKISTAN = "+97798412", "+91987654", "+92301234"


@virtually
async def test_without_a_zone_everybody_gets_it_by_his_own_clock(fresh: Path) -> None:
    carrier = Carrier()
    nepal, india, pakistan = (f"{prefix}1234" for prefix in (NEPAL, INDIA, PAKISTAN))
    async with world(fresh, False, a=Line(carrier, {NUMBER: 100})) as w:
        operation = await w.send(pakistan, india, nepal, send_at=CLOCK, validity=60)
        await asyncio.sleep(1)

        assert await counters(w, operation) == {"state": 2, "total": 3, "scheduled": 2, "delivered": 1}
        assert await told(w, operation) == [PROCESSING]
        await asyncio.sleep(36 * 60)

        minutes = [(sent.submission.recipient, round(sent.at / 60, 1)) for sent in carrier.sent]
        assert minutes == [(nepal, 0), (india, 5), (pakistan, 35)]
        assert {sent.submission.validity for sent in carrier.sent} <= {59, 60}
        assert await told(w, operation) == [PROCESSING, COMPLETED]


@virtually
async def test_a_time_beyond_the_horizon_is_refused(fresh: Path) -> None:
    async with world(fresh, a=Line(Carrier(), {NUMBER: 100})) as w:
        with pytest.raises(Refused, match="366 days") as caught:
            await w.send(*everyone(1), send_at=Moment(w.engine.clock.wall() + HORIZON + 1))

        assert caught.value.problems[0].context == "$.schedule.sendAt"
        await w.send(*everyone(1), send_at=Moment(w.engine.clock.wall() + HORIZON))
        assert await w.states() == {"SCHEDULED": 1}


@virtually
async def test_validity_begins_when_a_message_is_due(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        await w.send(*everyone(1), send_at=at(w.now + 100), validity=30)
        late = await w.send(*everyone(1, first=1), send_at=at(w.now + 200), validity=30)
        await asyncio.sleep(150)
        assert len(carrier.sent) == 1

        carrier.link(up=False)
        await w.until_states(operation=late, within=90, FAILED=1)
        assert 230 <= w.now <= 240


@virtually
async def test_the_time_on_a_channel_begins_when_a_message_is_due(fresh: Path) -> None:
    rcs, sms = RcsCarrier(), Carrier()
    lines = {"r": Line(rcs, {AGENT: 100}, channel=Channel.RCS), "s": Line(sms, {NUMBER: 100})}
    async with world(fresh, **lines) as w:
        rcs.report_after = 1_000_000
        due = w.now + 300
        await w.send(*everyone(1), send_at=at(due), category=Category.OTP)
        await w.until(lambda: bool(sms.sent), within=400)

        assert due <= rcs.sent[0].at <= due + 1
        assert due + 20 <= sms.sent[0].at <= due + 35


@virtually
async def test_a_large_request_stays_in_chunks_until_it_is_due(fresh: Path) -> None:
    carrier = Carrier(answer_after=0.2, report_after=0.3)
    async with world(fresh, False, a=Line(carrier, {NUMBER: FAST})) as w:
        due = w.now + 60
        operation = await w.send(*everyone(10_000), send_at=at(due))
        await asyncio.sleep(59)
        assert await counters(w, operation) == {"state": 1, "total": 10_000, "scheduled": 10_000, "unexpanded": 10_000}
        assert await w.rows("SELECT count(*) FROM message") == [(0,)]

        await asyncio.sleep(1.1)
        assert "scheduled" not in await counters(w, operation)
        assert (await counters(w, operation))["state"] == 2
        await w.until_states(DELIVERED=10_000, within=30)

        assert min(sent.at for sent in carrier.sent) >= due
        assert carrier.sent[0].at <= due + LATE
        assert Counter(sent.submission.recipient for sent in carrier.sent) == Counter(everyone(10_000))
        assert await w.rows("SELECT DISTINCT scheduled_for FROM message") == [(EPOCH + int(due * 1e6),)]
        assert await told(w, operation) == [SCHEDULED, PROCESSING, COMPLETED]


@virtually
async def test_a_large_request_by_local_clocks_goes_out_zone_by_zone(fresh: Path) -> None:
    carrier = Carrier(answer_after=0.2, report_after=0.3)
    zones = {NEPAL: 0, INDIA: 5}
    recipients = [f"{prefix}{n:04}" for n in range(600) for prefix in zones]
    async with world(fresh, False, a=Line(carrier, {NUMBER: FAST})) as w:
        operation = await w.send(*recipients, send_at=CLOCK)
        await asyncio.sleep(60)
        found = await counters(w, operation)
        assert found == {"state": 2, "total": 1_200, "scheduled": 600, "unexpanded": 600, "delivered": 600}
        await asyncio.sleep(6 * 60)

        for prefix, minute in zones.items():
            times = [sent.at / 60 for sent in carrier.sent if sent.submission.recipient.startswith(prefix)]
            assert {round(time, 1) for time in times} == {minute}
        assert await told(w, operation) == [PROCESSING, COMPLETED]


@pytest.mark.parametrize("number", [AT_ONCE, AT_ONCE + 1_000], ids=["rows", "chunks"])
@virtually
async def test_what_is_scheduled_outlives_a_crash(fresh: Path, tmp_path: Path, number: int) -> None:
    first, second = Carrier(), Carrier()
    async with world(fresh, False, a=Line(first, {NUMBER: FAST})) as w:
        due = w.now + 100
        operation = await w.send(*everyone(number), send_at=at(due))
        await asyncio.sleep(20)
        left = await w.copy(tmp_path / "left.db")
    async with world(left, False, a=Line(second, {NUMBER: FAST})) as w:
        assert await w.states(operation) == {"SCHEDULED": number}
        assert w.now < due
        await w.until_states(DELIVERED=number, within=120)

        assert due <= second.sent[0].at <= due + LATE
        assert first.sent == []
        assert Counter(sent.submission.recipient for sent in second.sent) == Counter(everyone(number))
        assert await told(w, operation) == [SCHEDULED, PROCESSING, COMPLETED]


@pytest.mark.parametrize("number", [AT_ONCE, AT_ONCE + 1_000], ids=["rows", "chunks"])
@virtually
async def test_what_became_due_while_nobody_ran_goes_out_at_the_next_start(
    fresh: Path, tmp_path: Path, number: int
) -> None:
    async with world(fresh, False, a=Line(Carrier(), {NUMBER: FAST})) as w:
        operation = await w.send(*everyone(number), send_at=at(w.now + 10))
        left = await w.copy(tmp_path / "left.db")
        await asyncio.sleep(50)
    carrier = Carrier()
    async with world(left, False, a=Line(carrier, {NUMBER: FAST})) as w:
        began = w.now
        await w.until_states(DELIVERED=number, within=20)

        assert carrier.sent[0].at <= began + 1
        assert await told(w, operation) == [SCHEDULED, PROCESSING, COMPLETED]


@virtually
async def test_a_commit_that_fails_loses_nothing_and_queues_nothing_twice(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draft, "AT_ONCE", 50)
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 1_000})) as w:
        small = await w.send(*everyone(40), send_at=at(w.now + 5))
        large = await w.send(*everyone(60, first=1_000), send_at=at(w.now + 5))
        await asyncio.sleep(4.99)
        w.store.failures = 4
        await w.until_states(DELIVERED=100)

        assert max(Counter(sent.submission.recipient for sent in carrier.sent).values()) == 1
        for operation in (small, large):
            assert await told(w, operation) == [SCHEDULED, PROCESSING, COMPLETED]


@virtually
async def test_many_due_at_once_are_queued_batch_by_batch(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "AT_ONCE", 50)
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: FAST})) as w:
        due = w.now + 10
        for n in range(6):
            await w.send(*everyone(60, first=n * 100), send_at=at(due))
        await w.until_states(DELIVERED=360)

        assert max(sent.at for sent in carrier.sent) <= due + 1


@virtually
async def test_a_promoted_message_stands_behind_what_waits_and_before_what_comes_later(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, False, a=Line(carrier, {NUMBER: 10})) as w:
        await w.send(*everyone(20, first=100), send_at=at(w.now + 5))
        await asyncio.sleep(1)
        await w.send(*everyone(200, first=1_000))
        await w.until(lambda: any(sent.submission.recipient < everyone(1, 1_000)[0] for sent in carrier.sent))
        await asyncio.sleep(20)

        mine = [sent.at for sent in carrier.sent if sent.submission.recipient < everyone(1, 1_000)[0]]
        others = [sent.at for sent in carrier.sent if min(mine) <= sent.at <= max(mine)]
        assert len(mine) == 20, "it waits for its share, not for the end of the other operation"
        assert 30 <= len(others) <= 50, "both take turns from the moment on in which it was due"


@virtually
async def test_scheduled_rcs_is_asked_about_when_it_is_due(fresh: Path) -> None:
    rcs, sms = RcsCarrier(), Carrier()
    lines = {"r": Line(rcs, {AGENT: 100}, channel=Channel.RCS), "s": Line(sms, {NUMBER: 100})}
    async with world(fresh, **lines) as w:
        due = w.now + 50
        await w.send(*everyone(2), send_at=at(due))
        await asyncio.sleep(45)
        asked_early = len(rcs.asked)
        await w.until_states(DELIVERED=2)

        assert asked_early == 0
        assert len(rcs.sent) == 2
        assert all(due <= sent.at <= due + 1 for sent in rcs.sent)


@virtually
async def test_what_is_scheduled_for_a_pool_that_is_deleted_ends_when_it_is_due(fresh: Path) -> None:
    async with world(fresh, a=Line(Carrier(), {NUMBER: 100})) as w:
        pool = await w.make_pool([w.sender(NUMBER).uid])
        operation = await w.send(*everyone(2), origin=PoolOrigin(pool), send_at=at(w.now + 30))
        await w.declare({"a": Line(w.lines["a"].carrier, {OTHER: 100})})
        await w.engine.change(lambda: delete_pool(w.account_id, pool, w.engine.clock.wall()))
        await asyncio.sleep(20)
        assert await w.states(operation) == {"SCHEDULED": 2}
        await w.until_states(operation=operation, FAILED=2)

        assert w.now >= 30


@pytest.mark.parametrize("number", [5, 40], ids=["rows", "chunks"])
@virtually
async def test_everybody_gets_his_own_text_at_his_own_time(
    fresh: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(draft, "AT_ONCE", 30)
    carrier = Carrier()
    # Those who are not due yet come first in the request, so their order is not that of their keys.
    addresses = [f"{prefix}{n:04}" for n in range(number) for prefix in (INDIA, NEPAL)]
    async with world(fresh, False, a=Line(carrier, {NUMBER: 1_000})) as w:
        request = SendRequest(
            account_id=w.account_id,
            origin=PoolOrigin(w.pool),
            recipients=[Recipient(one, "P", {"number": one}) for one in addresses],
            content=Content(text="Hello {{ number }}", liquid=True),
            send_at=CLOCK,
        )
        operation = await w.engine.intake.accept(request)
        await asyncio.sleep(2)
        assert await w.states(operation) == {"DELIVERED": number, "SCHEDULED": number}
        await asyncio.sleep(6 * 60)

        texts = {sent.submission.recipient: sent.submission.content.text for sent in carrier.sent}
        assert texts == {one: f"Hello {one}" for one in addresses}


@virtually
async def test_unaddressable_recipients_of_a_scheduled_request_are_known_at_once(fresh: Path) -> None:
    async with world(fresh, a=Line(Carrier(), {NUMBER: 100})) as w:
        request = SendRequest(
            account_id=w.account_id,
            origin=PoolOrigin(w.pool),
            recipients=[Recipient("+4477009", "W")],
            content=Content(text="x"),
            send_at=at(w.now + 10),
        )
        operation = await w.engine.intake.accept(request)

        assert await counters(w, operation) == {"state": 3}
        assert await told(w, operation) == [PROCESSING, COMPLETED]
        await asyncio.sleep(12)
        assert await told(w, operation) == [PROCESSING, COMPLETED]
