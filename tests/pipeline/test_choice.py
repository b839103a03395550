"""Pools choose: the same sender for a recipient, the nearest, the best tier; and keep to countries and hours."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.pipeline.carriers import Carrier, refused
from tests.pipeline.worlds import Line, World, everyone, virtually, world

from sendpool.domain.message import Category
from sendpool.domain.request import PoolOrigin
from sendpool.store.pools import Share, remove_member, update_pool

NUMBERS = [f"+1203555000{n}" for n in range(1, 6)]
US = [f"+1212555{n:04}" for n in range(40)]
GB = everyone(40)


async def pool_of(w: World, addresses: Sequence[str], shares: Any = None, **settings: Any) -> PoolOrigin:
    by_address = {address: Share(*share) for address, share in (shares or {}).items()}
    uids = {address: w.sender(address).uid for address in addresses}
    places = {uids[address]: share for address, share in by_address.items()}
    return PoolOrigin(await w.make_pool(list(uids.values()), places, **settings))


def senders(carrier: Carrier) -> dict[str, str]:
    """Who sent to whom."""
    return {one.submission.recipient: one.submission.sender for one in carrier.sent}


@virtually
async def test_a_recipient_gets_the_same_sender_each_time_and_after_others_have_left(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, dict.fromkeys(NUMBERS))) as w:
        origin = await pool_of(w, NUMBERS, preference="sticky")
        first = await w.send(*GB, origin=origin)
        await w.until_states(operation=first, DELIVERED=40)
        before = senders(carrier)

        carrier.sent.clear()
        again = await w.send(*GB, origin=origin)
        await w.until_states(operation=again, DELIVERED=40)
        assert senders(carrier) == before
        assert len(set(before.values())) > 2

        gone = w.sender(before[GB[0]])
        await w.engine.change(lambda: remove_member(w.account_id, origin.uid, gone.uid, w.engine.clock.wall()))
        carrier.sent.clear()
        last = await w.send(*GB, origin=origin)
        await w.until_states(operation=last, DELIVERED=40)

        after = senders(carrier)
        assert all(after[one] == sender for one, sender in before.items() if sender != gone.address)
        assert gone.address not in after.values()


@virtually
async def test_what_waits_for_a_sender_that_is_away_goes_to_the_next_at_once_and_to_one_that_is_busy_after_the_grace(
    fresh: Path,
) -> None:
    here, away = Carrier(), Carrier()
    lines = {"a": Line(here, {NUMBERS[0]: 100.0}), "b": Line(away, {NUMBERS[1]: 100.0})}
    async with world(fresh, **lines) as w:
        origin = await pool_of(w, NUMBERS[:2], preference="sticky")
        away.link(up=False)
        operation = await w.send(*GB, origin=origin)
        # Lanes are looked at every five seconds.
        await w.until_states(within=8, operation=operation, DELIVERED=40)

        assert set(senders(here)) == set(GB)


@virtually
async def test_one_that_all_want_lets_others_help_after_the_grace(fresh: Path) -> None:
    carrier = Carrier()
    lines = {"a": Line(carrier, {NUMBERS[0]: 1.0, "+12125550001": 100.0})}
    wanted = [f"+1203556{n:04}" for n in range(60)]
    async with world(fresh, **lines) as w:
        origin = await pool_of(w, [NUMBERS[0], "+12125550001"], preference="match", grace=5)
        operation = await w.send(*wanted, origin=origin)
        await asyncio.sleep(4)
        assert set(senders(carrier).values()) == {NUMBERS[0]}, "within the grace they are its own"

        await w.until_states(within=10, operation=operation, DELIVERED=60)
        taken = Counter(one.submission.sender for one in carrier.sent)
        assert taken["+12125550001"] > 40
        assert taken[NUMBERS[0]] >= 5


@virtually
async def test_the_nearest_number_sends(fresh: Path) -> None:
    carrier = Carrier()
    numbers = ["+12035550001", "+12125550001", "+442071234567"]
    async with world(fresh, a=Line(carrier, dict.fromkeys(numbers))) as w:
        origin = await pool_of(w, numbers, preference="match")
        recipients = ["+12035559999", "+12125559999", "+447700900001", "+13105559999"]
        operation = await w.send(*recipients, origin=origin)
        await w.until_states(operation=operation, DELIVERED=4)

        found = senders(carrier)
        assert [found[one] for one in recipients[:3]] == numbers
        assert found[recipients[3]] in numbers[:2]


@virtually
async def test_a_lower_tier_stays_idle_while_the_higher_one_keeps_up(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {"62442": 10.0, NUMBERS[0]: 100.0})) as w:
        origin = await pool_of(w, ["62442", NUMBERS[0]], {NUMBERS[0]: (None, 1)}, grace=5)
        operation = await w.send(*GB, origin=origin)
        await w.until_states(operation=operation, DELIVERED=40)

        assert set(senders(carrier).values()) == {"62442"}, "forty are sent within five seconds"


@virtually
async def test_a_lower_tier_takes_what_the_higher_one_cannot_in_time(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {"62442": 10.0, NUMBERS[0]: 100.0})) as w:
        origin = await pool_of(w, ["62442", NUMBERS[0]], {NUMBERS[0]: (None, 1)}, grace=5)
        operation = await w.send(*everyone(300), origin=origin)
        await w.until_states(within=8, operation=operation, DELIVERED=300)

        taken = Counter(one.submission.sender for one in carrier.sent)
        # 250 of 300 are more than five seconds of the short code's.
        assert 240 <= taken[NUMBERS[0]] <= 265
        assert taken["62442"] >= 35


@virtually
async def test_a_lower_tier_takes_over_at_once_when_the_higher_one_is_away(fresh: Path) -> None:
    upper, lower = Carrier(), Carrier()
    async with world(fresh, a=Line(upper, {"62442": 10.0}), b=Line(lower, {NUMBERS[0]: 100.0})) as w:
        origin = await pool_of(w, ["62442", NUMBERS[0]], {NUMBERS[0]: (None, 1)})
        upper.link(up=False)
        operation = await w.send(*GB, origin=origin)
        await w.until_states(within=3, operation=operation, DELIVERED=40)

        assert not upper.sent
        upper.link(up=True)
        again = await w.send(*GB, origin=origin)
        await w.until_states(operation=again, DELIVERED=40)
        assert len(upper.sent) == 40


@virtually
async def test_senders_keep_to_their_countries(fresh: Path) -> None:
    carrier = Carrier()
    line = Line(
        carrier,
        dict.fromkeys(["62442", "COOL", "+442071234567"]),
        said={"62442": {"country": "US"}, "+442071234567": {"not_countries": ("DE",)}},
    )
    async with world(fresh, a=line) as w:
        origin = await pool_of(w, ["62442", "COOL", "+442071234567"])
        recipients = [*US, *GB, *(f"+4930123{n:04}" for n in range(20))]
        operation = await w.send(*recipients, origin=origin)
        await w.until_states(operation=operation, DELIVERED=100)

        by_country: dict[str, set[str]] = {"+1": set(), "+44": set(), "+49": set()}
        for recipient, sender in senders(carrier).items():
            by_country[next(code for code in by_country if recipient.startswith(code))].add(sender)
        assert by_country == {"+1": {"62442", "+442071234567"}, "+44": {"COOL", "+442071234567"}, "+49": {"COOL"}}


@virtually
async def test_a_large_operation_is_sorted_by_country_as_it_is_expanded(fresh: Path) -> None:
    carrier = Carrier()
    line = Line(carrier, {"COOL": 1000.0, NUMBERS[0]: 1000.0}, said={NUMBERS[0]: {"countries": ("US",)}})
    async with world(fresh, False, (), a=line) as w:
        origin = await pool_of(w, ["COOL", NUMBERS[0]])
        us, gb = [f"+121255{n:05}" for n in range(900)], everyone(900)
        mixed = [one for pair in zip(us, gb, strict=True) for one in pair]
        operation = await w.send(*mixed, origin=origin)
        await w.until_states(within=30, operation=operation, DELIVERED=1800)

        found = senders(carrier)
        assert {found[one] for one in us} == {NUMBERS[0]}
        assert {found[one] for one in gb} == {"COOL"}


@virtually
async def test_nobody_may_send_there_is_told_at_acceptance(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {"COOL": None, NUMBERS[0]: None})) as w:
        names = await pool_of(w, ["COOL"])
        barred = await pool_of(w, NUMBERS[:1], countries={"allow": ["US"], "deny": ["CA"]})
        one = await w.send(US[0], GB[0], origin=names)
        two = await w.send(US[0], GB[0], "+14165550123", origin=barred)
        await w.until_states(DELIVERED=2)

        rows = await w.rows("SELECT operation_id, address, code, reason FROM operation_error ORDER BY 1, 2")
        assert [tuple(row) for row in rows] == [
            (one.operation_id, US[0], 21612, "no sender of this pool may send to US"),
            (two.operation_id, "+14165550123", 21408, "this pool or account does not send to CA; its countries say so"),
            (two.operation_id, GB[0], 21408, "this pool or account does not send to GB; its countries say so"),
        ]
        counts = await w.rows("SELECT recipients, unaddressable, total FROM operation ORDER BY id")
        assert [tuple(row) for row in counts] == [(2, 1, 1), (3, 2, 1)]


@virtually
async def test_failover_names_only_senders_that_may(fresh: Path) -> None:
    bad, good = Carrier(), Carrier()
    bad.answer = lambda submission, part: refused("0x0a")
    lines = {
        "a": Line(bad, {NUMBERS[0]: 100.0}),
        "b": Line(good, {"COOL": 100.0, NUMBERS[1]: 100.0}, said={NUMBERS[1]: {"countries": ("GB",)}}),
    }
    async with world(fresh, **lines) as w:
        origin = await pool_of(w, [NUMBERS[0], "COOL", NUMBERS[1]], {"COOL": (None, 1), NUMBERS[1]: (None, 1)})
        there = await w.send(*US[:3], origin=origin)
        await w.until_states(operation=there, FAILED=3)
        assert not good.sent, "nobody else may send to the US"

        here = await w.send(*GB[:10], origin=origin)
        await w.until_states(operation=here, DELIVERED=10)
        assert {one.submission.sender for one in good.sent} == {"COOL", NUMBERS[1]}


@virtually
async def test_what_waits_for_a_country_that_nobody_sends_to_any_more_ends_with_the_reason(fresh: Path) -> None:
    carrier = Carrier()
    line = Line(carrier, {"COOL": None, NUMBERS[0]: None})
    async with world(fresh, a=line) as w:
        origin = await pool_of(w, ["COOL", NUMBERS[0]])
        carrier.link(up=False)
        operation = await w.send(*US[:5], *GB[:5], origin=origin)
        number = w.sender(NUMBERS[0])
        await w.engine.change(lambda: remove_member(w.account_id, origin.uid, number.uid, w.engine.clock.wall()))
        await w.until_states(within=10, operation=operation, FAILED=5, QUEUED=5)

        codes = await w.rows("SELECT address, error_code FROM message WHERE error_code IS NOT NULL")
        assert {tuple(row) for row in codes} == {(address, 21612) for address in US[:5]}
        carrier.link(up=True)
        await w.until_states(operation=operation, FAILED=5, DELIVERED=5)


@virtually
async def test_many_rows_that_only_one_may_carry_do_not_slow_the_others(fresh: Path) -> None:
    carrier = Carrier()
    others = [f"COOL{n}" for n in range(20)]
    line = Line(carrier, {NUMBERS[0]: 1.0, **dict.fromkeys(others, 50.0)})
    async with world(fresh, False, (), a=line) as w:
        origin = await pool_of(w, [NUMBERS[0], *others])
        await w.send(*(f"+12125{n:06}" for n in range(4_000)), origin=origin)
        operation = await w.send(*everyone(1_000), origin=origin)
        began = w.now
        await w.until_states(within=10, operation=operation, DELIVERED=1_000)

        assert w.now - began < 3.0, "twenty senders at fifty a second"


#: It is eight in the morning in London, so that British nights end in two minutes; in Berlin it is nine.
NIGHT = {"start": "21:00", "end": "08:02"}
DE = [f"+4930123{n:04}" for n in range(40)]


@virtually
async def test_quiet_hours_go_by_the_recipients_clock(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, dict.fromkeys(NUMBERS))) as w:
        origin = await pool_of(w, NUMBERS, quietHours=NIGHT)
        operation = await w.send(*DE[:10], *GB[:10], origin=origin)
        await w.until_states(operation=operation, DELIVERED=10, QUEUED=10)
        assert set(senders(carrier)) == set(DE[:10])
        urgent = await w.send(GB[20], origin=origin, category=Category.OTP)
        await w.until_states(operation=urgent, DELIVERED=1)

        await asyncio.sleep(119 - w.now)
        assert len(carrier.sent) == 11
        await w.until_states(within=5, operation=operation, DELIVERED=20)
        assert all(one.at >= 120 for one in carrier.sent[11:])


@virtually
async def test_a_message_whose_time_ends_in_a_quiet_hour_is_expired(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, dict.fromkeys(NUMBERS))) as w:
        origin = await pool_of(w, NUMBERS, quietHours=NIGHT)
        operation = await w.send(*GB[:3], origin=origin, validity=60)
        await asyncio.sleep(55)
        assert (await w.states(operation)) == Counter(QUEUED=3)
        await w.until_states(within=20, operation=operation, FAILED=3)

        codes = await w.rows("SELECT DISTINCT error_code FROM message")
        assert [tuple(row) for row in codes] == [(30036,)]
        await asyncio.sleep(60)
        assert not carrier.sent


@virtually
async def test_a_window_that_opens_puts_nobody_before_what_is_urgent(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBERS[0]: 10.0})) as w:
        origin = await pool_of(w, NUMBERS[:1], quietHours=NIGHT)
        await w.send(*everyone(400), origin=origin, category=Category.BULK)
        await asyncio.sleep(125)
        assert 10 < len(carrier.sent) < 200
        urgent = await w.send(DE[0], origin=origin, category=Category.OTP)
        await w.until_states(within=3, operation=urgent, DELIVERED=1)


@virtually
async def test_quiet_hours_that_are_taken_away_let_the_rest_through(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, dict.fromkeys(NUMBERS))) as w:
        origin = await pool_of(w, NUMBERS, quietHours=NIGHT)
        await w.engine.change(
            lambda: update_pool(w.account_id, origin.uid, w.engine.clock.wall(), settings={"quietHours": None})
        )
        operation = await w.send(*GB[:3], origin=origin)
        await w.until_states(within=5, operation=operation, DELIVERED=3)


@virtually
async def test_weights_share_out_what_a_pool_sends(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, dict.fromkeys(NUMBERS[:2], 1000.0))) as w:
        origin = await pool_of(w, NUMBERS[:2], {NUMBERS[0]: (3.0, None)})
        for start in range(0, 400, 20):
            operation = await w.send(*everyone(20, first=start), origin=origin)
            await w.until_states(operation=operation, DELIVERED=20)

        taken = Counter(one.submission.sender for one in carrier.sent)
        assert 290 <= taken[NUMBERS[0]] <= 310


@virtually
async def test_a_one_time_password_does_not_wait_for_what_its_busy_sender_is_behind_by(fresh: Path) -> None:
    carrier = Carrier()
    slow, fast = NUMBERS[0], "+12125550001"
    async with world(fresh, False, a=Line(carrier, {slow: 10.0, fast: 100.0})) as w:
        origin = await pool_of(w, [slow, fast], preference="match", grace=300)
        far = [f"+1203557{n:04}" for n in range(600)]
        near = [f"+1212557{n:04}" for n in range(600)]
        # Each in its sender's lane, in turn: the fast sender's are gone while the slow one's have hardly begun.
        await w.send(*[one for pair in zip(far, near, strict=True) for one in pair], origin=origin)
        await asyncio.sleep(8)
        assert Counter(one.submission.sender for one in carrier.sent)[fast] == 600
        began = w.now
        await w.send("+12035579999", origin=origin, category=Category.OTP)
        await w.until(lambda: any(one.submission.recipient == "+12035579999" for one in carrier.sent))

    assert w.now - began < 1.0
