"""Named scopes and lasting limits in the running pipeline: never exceeded at the write, also over restarts."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.domain.test_throughput import assert_never_exceeded
from tests.pipeline.carriers import Carrier
from tests.pipeline.worlds import LONG_TEXT, Line, everyone, virtually, world

from sendpool.connectors.base import CarrierId, Outcome, Submission, Throttled
from sendpool.domain.limits import WINDOW, Limits
from sendpool.domain.request import PoolOrigin
from sendpool.domain.scopes import ScopeSettings
from sendpool.pipeline.gauges import Gauges
from sendpool.store.pools import Share

S1, S2, S3 = "+12034458910", "+12034458911", "+12034458912"
CAMPAIGN = ScopeSettings(name="campaign", mps=10.0)


@virtually
async def test_shared_scope_bounds_senders_of_different_connections(fresh: Path) -> None:
    a, b = Carrier(), Carrier()
    scopes = (CAMPAIGN,)
    async with world(
        fresh,
        True,
        scopes,
        a=Line(a, {S1: 50.0}, scopes=("campaign",)),
        b=Line(b, {S2: 50.0, S3: 50.0}, sender_scopes={S2: ("campaign",)}),
    ) as w:
        began = w.now
        await w.send(*everyone(300))
        await w.until_states(DELIVERED=300)

        shared = sorted([*a.times(S1), *b.times(S2)])
        assert_never_exceeded([(at, 1) for at in shared], 10.0, 1.0)
        # The third sender takes the rest at its own pace: nobody waits for the campaign.
        assert w.now - began < 300 / 60 * 1.2
        assert len(shared) == pytest.approx(10.0 * (max(b.times()) - began), abs=3)


@virtually
async def test_sender_at_its_daily_limit_is_out_until_midnight_and_others_go_on(fresh: Path) -> None:
    carrier = Carrier()
    limits = {S1: Limits(daily=7)}
    async with world(fresh, a=Line(carrier, {S1: None, S2: None}, sender_limits=limits)) as w:
        await w.send(*everyone(40))
        await w.until_states(DELIVERED=40)

        assert len(carrier.times(S1)) == 7
        assert len(carrier.times(S2)) == 33


@virtually
async def test_message_that_waits_for_the_day_goes_after_midnight_in_the_zone(fresh: Path) -> None:
    carrier = Carrier()
    limits = {S1: Limits(daily=3, zone="Asia/Kolkata")}
    async with world(fresh, a=Line(carrier, {S1: None}, sender_limits=limits)) as w:
        # 08:00 in UTC is 13:30 there: ten and a half hours to midnight.
        await w.send(*everyone(5))
        await w.until_states(DELIVERED=3, QUEUED=2)
        assert w.engine.planner.gates[w.sender(S1).id].capped_until == pytest.approx(37_800, abs=1)
        w.ahead = 37_790 - w.now
        await w.until(lambda: len(carrier.sent) == 5)

        assert [sent.at + w.ahead > 37_800 for sent in carrier.sent[3:]] == [True] * 2


@virtually
async def test_daily_limit_holds_over_crashes_and_commits_that_fail(fresh: Path, tmp_path: Path) -> None:
    line = {"limits": Limits(daily=20)}
    first = Carrier()
    async with world(fresh, a=Line(first, {S1: 40.0, S2: 40.0}, **line)) as w:  # type: ignore[arg-type]
        await w.send(*everyone(60))
        await w.until(lambda: len(first.sent) >= 8)
        w.store.failures = 3
        await w.until(lambda: len(first.sent) >= 12)
        crashed = await w.copy(tmp_path / "crashed.db")
        sent = len(first.sent)
        with contextlib.closing(sqlite3.connect(crashed)) as copied:
            [(counted,)] = copied.execute("SELECT used FROM scope_day")
        await w.until(lambda: len(first.sent) == 20)
        await w.until_states(DELIVERED=20, QUEUED=40)

    second = Carrier()
    async with world(crashed, a=Line(second, {S1: 40.0, S2: 40.0}, **line)) as w:  # type: ignore[arg-type]
        # What was started and not written when it crashed counts all the same.
        assert sent <= counted < 20
        await w.until(lambda: len(second.sent) == 20 - counted)
        await w.until(lambda: w.now > 5)
        assert len(second.sent) == 20 - counted


@virtually
async def test_recipients_of_24_hours_are_counted_once_and_over_a_restart(fresh: Path, tmp_path: Path) -> None:
    limits = {S1: Limits(recipients=5)}
    first = Carrier()
    async with world(fresh, a=Line(first, {S1: None}, sender_limits=limits)) as w:
        await w.send(*everyone(8), validity=200_000)
        await w.until_states(DELIVERED=5, QUEUED=3)
        known = everyone(5)
        await w.send(*known)
        await w.until_states(DELIVERED=10, QUEUED=3)
        held = await w.rows("SELECT held FROM later WHERE held IS NOT NULL")
        assert [row[0] for row in held] == ["recipient_limit"] * 3
        restarted = await w.copy(tmp_path / "restarted.db")

    second = Carrier()
    async with world(restarted, a=Line(second, {S1: None}, sender_limits=limits)) as w:
        await w.send(known[0])
        await w.until(lambda: len(second.sent) == 1)
        await w.send("+447700999999", validity=200_000)
        await w.until_states(DELIVERED=11, QUEUED=4)
        w.ahead = WINDOW / 1e6 - 20 - w.now
        await w.until(lambda: len(second.sent) == 5)

        assert min(sent.at + w.ahead for sent in second.sent[1:]) > WINDOW / 1e6


@virtually
async def test_pair_keeps_its_pace_while_everybody_else_goes_on(fresh: Path) -> None:
    carrier = Carrier()
    limits = {S1: Limits(pair_seconds=6.0, pair_burst=2)}
    async with world(fresh, a=Line(carrier, {S1: None}, sender_limits=limits)) as w:
        await w.until(lambda: w.now >= 20)
        began = w.now
        for _ in range(6):
            await w.send("+447700900001")
        await w.send(*everyone(50, first=100))
        await w.until_states(DELIVERED=56)

        pair = [s.at - began for s in carrier.sent if s.submission.recipient == "+447700900001"]
        others = [s.at - began for s in carrier.sent if s.submission.recipient != "+447700900001"]
        assert max(others) < 2.0
        assert_never_exceeded([(at, 1) for at in pair], 1 / 6.0, 2.0)
        assert max(pair) < 6.0 * 4 + 2.0


@virtually
async def test_throttle_of_a_named_scope_pauses_all_who_share_it_and_nobody_else(fresh: Path) -> None:
    a, b = Carrier(), Carrier()
    told: list[float] = []

    def throttle_once(submission: Submission, part: int) -> Outcome:
        if not told:
            told.append(w.now)
            return Throttled("campaign", 5.0, "30022")
        return CarrierId(a.name_of(submission, part))

    a.answer = throttle_once
    async with world(
        fresh,
        True,
        (CAMPAIGN,),
        a=Line(a, {S1: 20.0}, sender_scopes={S1: ("campaign",)}),
        b=Line(b, {S2: 20.0, S3: 20.0}, sender_scopes={S2: ("campaign",)}),
    ) as w:
        await w.send(*everyone(150))
        await w.until_states(DELIVERED=150)

        paused = [at for at in (*a.times(S1), *b.times(S2)) if told[0] + 0.06 < at < told[0] + 4.999]
        assert not paused
        assert [at for at in b.times(S3) if told[0] + 0.06 < at < told[0] + 4.999]
        learned = w.engine.limiter.learned["scope:campaign"]
        assert learned.mps == pytest.approx(5.0)
        assert (await w.rows("SELECT scope, throttles FROM scope_learned")) == [("scope:campaign", 1)]


@virtually
async def test_throttled_connection_without_a_pace_of_its_own_halves_its_senders(fresh: Path) -> None:
    carrier = Carrier()
    told: list[float] = []

    def throttle_once(submission: Submission, part: int) -> Outcome:
        if not told:
            told.append(w.now)
            return Throttled("connection", 2.0, "0x58")
        return CarrierId(carrier.name_of(submission, part))

    carrier.answer = throttle_once
    async with world(fresh, a=Line(carrier, {S1: 40.0, S2: 40.0})) as w:
        await w.send(*everyone(300))
        await w.until_states(DELIVERED=300)

        resumed = told[0] + 2.0
        assert not [at for at in carrier.times() if told[0] + 0.06 < at < resumed]
        in_first_second = [at for at in carrier.times() if resumed <= at < resumed + 1.0]
        assert 35 <= len(in_first_second) <= 46


@virtually
async def test_what_was_throttled_does_not_count_for_the_day(fresh: Path) -> None:
    carrier = Carrier()
    refusals = [Throttled("sender", 1.0, "0x58")] * 4

    def answer(submission: Submission, part: int) -> Outcome:
        return refusals.pop() if refusals else CarrierId(carrier.name_of(submission, part))

    carrier.answer = answer
    async with world(fresh, a=Line(carrier, {S1: 20.0}, sender_limits={S1: Limits(daily=10)})) as w:
        await w.send(*everyone(12))
        await w.until_states(DELIVERED=10, QUEUED=2)

        assert len(carrier.sent) == 14


@virtually
async def test_learned_rate_is_where_a_restart_begins(fresh: Path, tmp_path: Path) -> None:
    carrier = Carrier()
    refusals = [Throttled("sender", 1.0, "0x58")]

    def answer(submission: Submission, part: int) -> Outcome:
        return refusals.pop() if refusals else CarrierId(carrier.name_of(submission, part))

    carrier.answer = answer
    async with world(fresh, a=Line(carrier, {S1: 40.0})) as w:
        await w.send(*everyone(20))
        await w.until(lambda: not w.engine.limiter.unsaved and not refusals)
        copied = await w.copy(tmp_path / "copied.db")

    async with world(copied, a=Line(Carrier(), {S1: 40.0})) as w:
        assert w.engine.sending.gates[w.sender(S1).id].bucket.rate(w.now) <= 21.0


@virtually
async def test_a_clean_restart_in_the_middle_gives_no_sender_its_burst_again(fresh: Path) -> None:
    before, after = Carrier(), Carrier()
    said = {S1: {"burst": 4.0}}
    async with world(fresh, a=Line(before, {S1: 1.0}, said=said)) as w:
        await w.until(lambda: w.now > 5)  # The bucket is full: what begins, begins with a burst.
        await w.send(*everyone(4), text=LONG_TEXT)
        await w.until(lambda: len(before.sent) == 2)

    async with world(fresh, a=Line(after, {S1: 1.0}, said=said)) as w:
        await w.until(lambda: len(after.sent) == 2)

    left = [(one.at, one.submission.segments) for one in (*before.sent, *after.sent)]
    assert [segments for _, segments in left] == [3] * 4
    assert_never_exceeded(left, 1.0, 4.0)


@virtually
async def test_held_rows_are_looked_at_again_when_somebody_else_may_send(fresh: Path) -> None:
    a, b = Carrier(), Carrier()
    b.up = False
    limits = {S1: Limits(recipients=2)}
    async with world(fresh, a=Line(a, {S1: None}, sender_limits=limits), b=Line(b, {S2: None})) as w:
        await w.send(*everyone(5))
        await w.until_states(DELIVERED=2, QUEUED=3)
        b.link(up=True)
        await w.until_states(DELIVERED=5)

        assert len(b.sent) == 3


@virtually
async def test_what_the_limits_of_every_tier_refuse_is_held_until_the_earliest_of_them(fresh: Path) -> None:
    carrier = Carrier()
    pace = {S1: Limits(pair_seconds=40.0, pair_burst=1), S2: Limits(pair_seconds=25.0, pair_burst=1)}
    async with world(fresh, a=Line(carrier, {S1: 50.0, S2: 50.0}, sender_limits=pace)) as w:
        upper, lower = (w.sender(one).uid for one in (S1, S2))
        origin = PoolOrigin(await w.make_pool([upper, lower], {lower: Share(None, 1)}, grace=1))
        await w.until(lambda: w.now > 50)
        began = w.now
        operation = await w.send(*["+447700900001"] * 4, origin=origin)
        await w.until_states(operation=operation, DELIVERED=2, QUEUED=2)
        await w.until(lambda: w.now > began + 5)

        assert await w.rows("SELECT count(*) FROM outq") == [(0,)], "nothing is looked at on every claim"
        held = await w.rows("SELECT held, due FROM later WHERE held IS NOT NULL ORDER BY due")
        assert [reason for reason, _ in held] == ["pair_limit"] * 2
        await w.until_states(operation=operation, DELIVERED=4)
        at = {address: [time - began for time in carrier.times(address)] for address in (S1, S2)}
        assert at[S1] == pytest.approx([0, 40], abs=1.5)
        assert at[S2] == pytest.approx([1, 27], abs=1.5)


@virtually
async def test_a_lower_tier_takes_what_a_limit_of_the_upper_one_refuses(fresh: Path) -> None:
    carrier = Carrier()
    pace = {S1: Limits(recipients=3)}
    async with world(fresh, a=Line(carrier, {S1: 50.0, S2: 50.0}, sender_limits=pace)) as w:
        upper, lower = (w.sender(one).uid for one in (S1, S2))
        origin = PoolOrigin(await w.make_pool([upper, lower], {lower: Share(None, 1)}, grace=2))
        operation = await w.send(*everyone(8), origin=origin)
        await w.until_states(within=4, operation=operation, DELIVERED=8)

        assert (len(carrier.times(S1)), len(carrier.times(S2))) == (3, 5)


@settings(
    deadline=None,
    max_examples=40,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    mps=st.lists(st.sampled_from([3.0, 15.0, 60.0]), min_size=3, max_size=3),
    link_mps=st.sampled_from([None, 20.0]),
    scope_mps=st.sampled_from([8.0, 25.0]),
    member_of=st.lists(st.booleans(), min_size=3, max_size=3),
    windows=st.lists(st.integers(1, 40), min_size=2, max_size=2),
    batches=st.lists(st.tuples(st.integers(1, 40), st.booleans()), min_size=1, max_size=5),
    daily=st.integers(10, 80),
    crash_at=st.floats(0.2, 3.0),
)
def test_no_limit_is_exceeded_at_the_write_in_any_pool(
    migrated: Path,
    tmp_path_factory: pytest.TempPathFactory,
    mps: Sequence[float],
    link_mps: float | None,
    scope_mps: float,
    member_of: Sequence[bool],
    windows: Sequence[int],
    batches: Sequence[tuple[int, bool]],
    daily: int,
    crash_at: float,
) -> None:
    folder = tmp_path_factory.mktemp("any-pool")
    path = folder / "sendpool.db"
    shutil.copyfile(migrated, path)
    scopes = (ScopeSettings(name="x", mps=scope_mps, limits=Limits(daily=daily)),)
    member = {s: ("x",) for s, is_in in zip((S1, S2, S3), member_of, strict=True) if is_in}
    left: list[tuple[float, str, int]] = []
    ended: list[float] = []

    def lines() -> dict[str, Line]:
        a, b = Carrier(window=windows[0]), Carrier(window=windows[1])
        return {
            "a": Line(a, {S1: mps[0], S2: mps[1]}, mps=link_mps, sender_scopes=member),
            "b": Line(b, {S3: mps[2]}, sender_scopes=member),
        }

    def note(made: dict[str, Line], offset: float) -> None:
        for line in made.values():
            left.extend((s.at + offset, s.submission.sender, s.submission.segments) for s in line.carrier.sent)

    @virtually
    async def run(start: Path, crash: Path | None) -> None:
        made = lines()
        async with world(start, False, scopes, **made) as w:
            if crash is None:
                await w.until(lambda: w.now > 6.0)
            else:
                for number, long in batches:
                    await w.send(*everyone(number), text=LONG_TEXT if long else "Hello")
                await w.until(lambda: w.now >= crash_at)
                await w.copy(crash)
                note(made, 0.0)
                ended.append(w.now)
                return
        # The new process begins when the old one has ended.
        note(made, ended[0])

    crashed = folder / "crashed.db"
    run(path, crashed)
    run(crashed, None)

    # Departures are rounded up to a millisecond, so that two of them may be that much nearer to each other.
    longest = 3 + 0.001 * max(*mps, scope_mps, link_mps or 0.0)
    for i, sender in enumerate((S1, S2, S3)):
        own = [(at, cost) for at, s, cost in left if s == sender]
        assert_never_exceeded(own, mps[i], max(longest, 0.05 * mps[i]))
    if link_mps:
        assert_never_exceeded([(at, c) for at, s, c in left if s != S3], link_mps, longest)
    shared = [(at, cost) for at, s, cost in left if s in member]
    assert_never_exceeded(shared, scope_mps, max(longest, 0.05 * scope_mps))
    assert sum(cost for _, cost in shared) <= daily
    counted = Counter(s for _, s, _ in left)
    assert sum(counted.values()) > 0


@virtually
async def test_paces_are_shown_and_go_when_nobody_has_them_any_more(fresh: Path) -> None:
    async with world(fresh, True, (CAMPAIGN,), a=Line(Carrier(), {S1: 20.0}, mps=30.0, scopes=("campaign",))) as w:
        gauges = Gauges(w.engine)
        await gauges.show()
        w.engine.sending.limiter.scopes["campaign"].pause(w.now, 0.001)
        await gauges.show()
        shown = w.engine.metrics.render().decode()

        assert 'sendpool_throughput_mps{scope="a"} 30.0' in shown
        assert 'sendpool_throughput_mps{scope="scope:campaign"} 5.0' in shown
        w.engine.limiter.configure((), w.now, w.engine.clock.wall())
        await gauges.show()
        assert "scope:campaign" not in w.engine.metrics.render().decode()


@virtually
async def test_what_is_past_its_time_ends_and_holds_up_nothing_that_is_not(fresh: Path) -> None:
    carrier = Carrier()
    carrier.up = False
    async with world(fresh, False, a=Line(carrier, {S1: 50.0})) as w:
        old = await w.send(*everyone(6_000), validity=3)
        await w.until(lambda: w.now > 4)
        carrier.link(up=True)
        began = w.now
        live = await w.send("+447700900999")
        await w.until(lambda: carrier.sent)

        assert [s.submission.attempt.message_id for s in carrier.sent] == [live.operation_id]
        assert carrier.sent[0].at - began < 0.5
        await w.until_states(operation=old, FAILED=6_000)
        assert len(carrier.sent) == 1
