"""Claiming: at each sender's and connection's pace to the segment, in order, fairly, and never too late."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pipeline.carriers import Carrier, receipt, refused
from tests.pipeline.worlds import LONG_TEXT, TEXT, Line, everyone, virtually, world

from sendpool.connectors.base import ReceiptState
from sendpool.domain.failures import by_rule
from sendpool.domain.request import PoolOrigin
from sendpool.domain.throughput import Bucket
from sendpool.testing.clock import run_virtually


def assert_within(times: Sequence[float], mps: float, longest: int) -> None:
    """In no window of any length did more segments leave than the rate, its burst and one longest message allow.

    Departures less than a millisecond apart leave together, so that much is theirs.
    """
    spare = max(Bucket(mps).burst, longest) + mps * 0.001
    ordered = sorted(times)
    for first, begin in enumerate(ordered):
        for count, end in enumerate(ordered[first:], 1):
            assert count <= mps * (end - begin) + spare + 1e-6, f"{count} between {begin} and {end} at {mps} a second"


# ---------------------------------------------------------------- pace

rates = st.sampled_from([0.7, 3.0, 7.0, 33.0, 110.0])


@settings(max_examples=8, deadline=None)
@given(
    mine=st.lists(rates, min_size=1, max_size=3),
    yours=st.lists(rates, min_size=1, max_size=2),
    limit=st.none() | rates,
    text=st.sampled_from([TEXT, LONG_TEXT]),
    window=st.sampled_from([4, 1000]),
)
def test_exactly_never_too_fast_at_the_write(
    mine: list[float],
    yours: list[float],
    limit: float | None,
    text: str,
    window: int,
    migrated: Path,
    tmp_path_factory: Any,
) -> None:
    path = tmp_path_factory.mktemp("pace") / "sendpool.db"
    shutil.copyfile(migrated, path)
    a, b = Carrier(window=window), Carrier(answer_after=0.3)
    senders = {f"+1203000000{n}": mps for n, mps in enumerate(mine)}
    others = {f"+1203000001{n}": mps for n, mps in enumerate(yours)}

    async def run() -> None:
        async with world(path, False, a=Line(a, dict(senders), mps=limit), b=Line(b, dict(others))) as w:
            for n in range(4):
                await w.send(*everyone(20, first=100 * n), text=text)
                await asyncio.sleep(0.037 * n)
            await asyncio.sleep(8)

    run_virtually(run())

    longest = 3 if text == LONG_TEXT else 1
    for carrier, declared in ((a, senders), (b, others)):
        for address, mps in declared.items():
            assert_within(carrier.times(address), mps, longest)
    if limit is not None:
        assert_within(a.times(), limit, longest)


@virtually
async def test_a_pool_runs_at_the_sum_of_its_senders_and_spreads_evenly(fresh: Path) -> None:
    carrier = Carrier()
    senders = {f"+1203000000{n}": 20.0 for n in range(10)}
    async with world(fresh, False, a=Line(carrier, dict(senders))) as w:
        await w.send(*everyone(500))
        await w.send(*everyone(500, first=500))
        began = w.now
        await w.until(lambda: len(carrier.sent) == 1000)

        assert 1000 / (w.now - began) == pytest.approx(200, rel=0.1)
        counts = Counter(sent.submission.sender for sent in carrier.sent)
        assert min(counts.values()) >= 95
        assert max(counts.values()) <= 105
        for address in senders:
            per_second = Counter(int(at) for at in carrier.times(address))
            assert max(per_second.values()) <= 21


@pytest.mark.parametrize("kind", ["down", "silent"])
@virtually
async def test_a_dead_sender_delays_nobody(kind: str, fresh: Path) -> None:
    dead, good = Carrier(window=10), Carrier()
    dead.answer = lambda submission, part: None
    dead.up = kind == "silent"
    async with world(fresh, False, a=Line(dead, {"+12030000001": 50}), b=Line(good, {"+12030000002": 50})) as w:
        await asyncio.sleep(1)
        began = w.now
        await w.send(*everyone(400))
        await w.until(lambda: len(good.sent) + len(dead.sent) == 400)

        assert len(dead.sent) == (10 if kind == "silent" else 0)
        assert w.now - began <= 400 / 50 + 1
        assert_within(good.times(), 50, 1)


@virtually
async def test_a_route_that_fails_at_once_does_not_pull_most(fresh: Path) -> None:
    failing, good = Carrier(answer_after=0.0), Carrier()
    failing.answer = lambda submission, part: refused("0x08")
    async with world(fresh, a=Line(failing, {"+12030000001": 1000}), b=Line(good, {"+12030000002": 20})) as w:
        await w.send(*everyone(100))
        await w.until_states(DELIVERED=100)

        assert len(failing.sent) <= 30, "stopped after five faults, then probed"


# ---------------------------------------------------------------- windows and long texts


@virtually
async def test_no_more_is_in_flight_than_the_window(fresh: Path) -> None:
    carrier = Carrier(window=7, answer_after=0.5)
    async with world(fresh, a=Line(carrier, {"+12030000001": 1000, "+12030000002": 1000})) as w:
        await w.send(*everyone(60))
        await w.until_states(DELIVERED=60)

        for sent in carrier.sent:
            # A timer is as fine as the loop's clock.
            flying = [one for one in carrier.sent if one.at <= sent.at < one.at + 0.5 - 1e-6]
            assert len(flying) <= 7


@pytest.mark.parametrize("window", [2, 4, 50])
@virtually
async def test_long_texts_fit_into_any_window_and_stay_in_one_piece(window: int, fresh: Path) -> None:
    carrier = Carrier(window=window)
    async with world(fresh, a=Line(carrier, {"+12030000001": 30, "+12030000002": 30})) as w:
        await w.send(*everyone(20), text=LONG_TEXT)
        await w.until_states(DELIVERED=20)

        assert len(carrier.sent) == 20
        assert all((one.submission.segments, one.submission.parts) == (3, 0b111) for one in carrier.sent)


@virtually
async def test_long_texts_to_one_phone_have_references_of_their_own(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {"+12030000001": 1000})) as w:
        for _ in range(20):
            await w.send("+447700900001", text=LONG_TEXT)
        await w.until_states(DELIVERED=20)

        references = [sent.submission.reference for sent in carrier.sent]
        stored = await w.rows("SELECT reference FROM attempt ORDER BY id")
        assert len(set(references)) == 20
        assert sorted(references) == sorted(row[0] for row in stored)


@virtually
async def test_nobody_spins_while_a_long_text_waits_for_room(fresh: Path) -> None:
    carrier = Carrier(window=10, answer_after=5.0)
    async with world(fresh, a=Line(carrier, {"+12030000001": 1000})) as w:
        await w.send(*everyone(20), text=LONG_TEXT)
        await w.until(lambda: len(carrier.sent) == 3)
        before = w.store.commits
        await asyncio.sleep(4)

        assert w.store.commits - before < 200, "the next commit waits for an answer, not for a processor"


# ---------------------------------------------------------------- order and fairness


@virtually
async def test_messages_leave_in_the_order_in_which_they_were_accepted(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {"+12030000001": 40})) as w:
        await w.send(*everyone(50))
        await w.until_states(DELIVERED=50)

        assert [sent.submission.recipient for sent in carrier.sent] == everyone(50)


@virtually
async def test_a_single_message_goes_before_a_campaign_that_waits(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, False, a=Line(carrier, {"+12030000001": 50})) as w:
        await w.send(*everyone(5_000))
        await w.until(lambda: len(carrier.sent) >= 200)

        await w.send("+12025550123")
        accepted = len(carrier.sent)
        await w.until(lambda: any(one.submission.recipient == "+12025550123" for one in carrier.sent))

        place = [one.submission.recipient for one in carrier.sent].index("+12025550123")
        assert place - accepted <= 5


@virtually
async def test_a_single_message_goes_first_after_a_restart_too_and_so_does_the_campaign(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, False, a=Line(carrier, {"+12030000001": 50})) as w:
        await w.send(*everyone(3_000))
        await w.until(lambda: len(carrier.sent) >= 500)
    carrier = Carrier()
    async with world(fresh, False, a=Line(carrier, {"+12030000001": 50})) as w:
        for n in range(30):
            await w.send(*everyone(11, first=50_000 + 100 * n))
        await w.until(lambda: len(carrier.sent) >= 150)

        old = sum(sent.submission.recipient < "+447700950000" for sent in carrier.sent)
        assert old >= 3, "what waited before the restart is not pushed back by all that came after it"


@virtually
async def test_two_campaigns_share_a_pool_and_two_pools_share_a_sender(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, False, a=Line(carrier, {"+12030000001": 50})) as w:
        other = await w.make_pool([w.sender("+12030000001").uid])
        await w.send(*everyone(400))
        await w.send(*everyone(400, first=1_000))
        await w.send(*everyone(400, first=2_000), origin=PoolOrigin(other))
        await w.until(lambda: len(carrier.sent) >= 200)

        counts = Counter(sent.submission.recipient[-4] for sent in carrier.sent[:200])
        assert counts["2"] == pytest.approx(100, abs=10), "the pools take turns"
        assert counts["0"] == pytest.approx(50, abs=10), "and so do the campaigns of one pool"


@virtually
async def test_a_campaign_of_long_texts_pays_for_its_segments(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, False, a=Line(carrier, {"+12030000001": 50})) as w:
        await w.send(*everyone(300), text=LONG_TEXT)
        await w.send(*everyone(300, first=1_000))
        await w.until(lambda: len(carrier.sent) >= 200)

        segments = Counter[int]()
        for sent in carrier.sent[:200]:
            segments[sent.submission.segments] += sent.submission.segments
        assert segments[3] == pytest.approx(segments[1], rel=0.2)


# ---------------------------------------------------------------- rows that are not sent


@virtually
async def test_what_waits_past_its_deadline_ends_by_name_and_is_not_sent(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {"+12030000001": 2})) as w:
        operation = await w.send(*everyone(40), validity=5)
        deadline = w.now + 5
        await w.until(lambda: w.now > deadline + 12)

        late = [sent for sent in carrier.sent if sent.at > deadline + 0.05]
        assert late == []
        states = await w.states(operation)
        assert states["FAILED"] + states["DELIVERED"] == 40
        assert states["DELIVERED"] == len(carrier.sent) >= 8
        code = by_rule("sendpool/deadline").wire_code
        assert code == 30036
        failed = await w.rows("SELECT DISTINCT error_code FROM message WHERE state = 7")
        assert failed == [(30036,)]
        told = await w.rows("SELECT count(*) FROM event WHERE number = 7 AND error_code = 30036")
        assert told == [(states["FAILED"],)]
        assert await w.rows("SELECT state FROM operation") == [(3,)]


@virtually
async def test_with_no_sender_up_messages_still_end_at_their_deadline(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {"+12030000001": 50})) as w:
        carrier.link(up=False)
        await w.send(*everyone(30), validity=3)
        await w.until_states(FAILED=30, within=15)

        carrier.link(up=True)
        await asyncio.sleep(5)
        assert carrier.sent == []
        assert await w.rows("SELECT count(*) FROM outq") == [(0,)]


@virtually
async def test_a_row_whose_message_was_delivered_meanwhile_is_dropped(fresh: Path) -> None:
    a, b = Carrier(), Carrier()
    blocked = by_rule("class/SENDER")
    a.report = lambda submission, part: ()
    async with world(fresh, a=Line(a, {"+12030000001": 50}), b=Line(b, {"+12030000002": 50})) as w:
        b.link(up=False)
        await w.send(*everyone(1))
        await w.until_states(SENT=1)
        name = a.name_of(a.sent[0].submission, 1)
        a.say([receipt(name, ReceiptState.UNDELIVERED)._replace(failure=blocked.failure, rule=blocked.rule)])
        await asyncio.sleep(1)
        assert await w.rows("SELECT count(*) FROM outq") == [(1,)]
        a.say([receipt(name, ReceiptState.DELIVERED)])
        await w.until_states(DELIVERED=1)

        b.link(up=True)
        await asyncio.sleep(5)

        assert b.sent == []
        assert await w.rows("SELECT count(*) FROM outq") == [(0,)]


@virtually
async def test_an_attempt_is_durable_before_its_bytes_leave(fresh: Path) -> None:
    carrier = Carrier()
    seen: list[list[Any]] = []
    async with world(fresh, a=Line(carrier, {"+12030000001": 50})) as w:
        submit = carrier.submit

        async def look_first(batch: Any) -> None:
            for submission in batch:
                attempt = submission.attempt
                seen.append(await w.rows("SELECT state FROM attempt WHERE id = ?", attempt.message_id * 64 + attempt.n))
            await submit(batch)

        carrier.submit = look_first  # type: ignore[method-assign]
        await w.send(*everyone(20))
        await w.until_states(DELIVERED=20)

        assert seen == [[(1,)]] * 20


@virtually
async def test_departures_of_one_sender_are_spread_over_time_and_not_bunched(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {"+12030000001": 10})) as w:
        await w.send(*everyone(30))
        await w.until_states(DELIVERED=30)

        bunches = [len(list(group)) for _, group in groupby(carrier.times(), key=lambda at: int(at * 20))]
        assert max(bunches) <= 2
