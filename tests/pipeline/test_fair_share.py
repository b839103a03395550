"""Fair share on every channel of a pool, through acceptance and expansion: each has a virtual time of its own."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pipeline.carriers import Carrier
from tests.pipeline.pools_in_memory import PoolInMemory, by_channel, channel_of, numbers
from tests.pipeline.worlds import Line, everyone, virtually, world

from sendpool.domain.destinations import ANYWHERE, Countries, Destinations
from sendpool.domain.fairness import turn_of
from sendpool.domain.message import Category
from sendpool.domain.sender import Channel
from sendpool.pipeline.acceptance import Acceptance

RCS, SMS, WHATSAPP = Channel.RCS, Channel.SMS, Channel.WHATSAPP

#: How the spaces of a campaign follow each other: P begins on RCS, W on WhatsApp.
MIXTURES = st.text("PW", min_size=1, max_size=12)
PACES = st.sampled_from([20.0, 60.0, 200.0])
#: What may be on its way at once: without any, campaigns take turns message by message.
WINDOWS = st.sampled_from([0, 4, 500])


def only(country: str) -> Destinations:
    return Destinations(countries=Countries(only=frozenset({country})))


def served_while_both_wait(pool: PoolInMemory, one: Acceptance, other: Acceptance, channel: Channel) -> tuple[int, int]:
    """Messages of each that leave on a channel until one of them has nothing left there."""
    left = [_begin_on(each, channel) - pool.of(each, channel) for each in (one, other)]
    served = [0, 0]
    keys = [each.operation.id for each in (one, other)]
    while served[0] < left[0] and served[1] < left[1]:
        assert pool.now < 600
        for row in [one.row for one in pool.tick() if channel_of(one.row) is channel]:
            # Within a claim too one of them may come to its end, and the other has all the rest.
            if served[0] < left[0] and served[1] < left[1]:
                served[keys.index(row.operation_id)] += 1
    return served[0], served[1]


def _begin_on(operation: Acceptance, channel: Channel) -> int:
    return sum(letter == channel.value[0] for letter, _ in operation.firsts())


@settings(deadline=None, max_examples=30)
@given(
    mixes=st.tuples(MIXTURES, MIXTURES),
    paces=st.tuples(PACES, PACES),
    later=st.floats(0, 4),
    sizes=st.booleans(),
    window=WINDOWS,
)
def test_two_equal_campaigns_have_equal_shares_of_every_channel_where_both_wait(
    mixes: tuple[str, str], paces: tuple[float, float], later: float, sizes: bool, window: int
) -> None:
    for channel, pace in ((RCS, paces[0]), (WHATSAPP, paces[1])):
        pool = PoolInMemory((RCS, paces[0], ANYWHERE), (WHATSAPP, paces[1], ANYWHERE), window=window)
        first = pool.send(numbers(1_500, mixes[0]))
        pool.run(later)
        # Small enough to be rows at once, or in chunks.
        second = pool.send(numbers(500 if sizes else 1_500, mixes[1], "+4478"))

        a, b = served_while_both_wait(pool, first, second, channel)

        # Each may have begun a turn that the other has still to answer with its own.
        assert abs(a - b) <= 0.2 * max(a, b) + 2 + 2 * turn_of(pace, window, 1)


@settings(deadline=None, max_examples=30)
@given(mixes=st.tuples(MIXTURES, MIXTURES), paces=st.tuples(PACES, PACES), at=st.floats(0.5, 6), window=WINDOWS)
def test_a_one_time_password_goes_before_the_backlog_of_every_channel(
    mixes: tuple[str, str], paces: tuple[float, float], at: float, window: int
) -> None:
    pool = PoolInMemory((RCS, paces[0], ANYWHERE), (WHATSAPP, paces[1], ANYWHERE), window=window)
    for mix, prefix in zip(mixes, ("+4477", "+4478"), strict=True):
        pool.send(numbers(1_500, mix, prefix))
    pool.run(at)
    for space, channel, pace in (("P", RCS, paces[0]), ("W", WHATSAPP, paces[1])):
        before = len(pool.left)
        otp = pool.send([("+447900000001", space)], Category.OTP)
        while not pool.of(otp, channel):
            pool.tick()
        order = [one.row.operation_id for one in pool.left[before:] if channel_of(one.row) is channel]
        # Behind the rest of the turn that has begun.
        assert order.index(otp.operation.id) <= 4 + turn_of(pace, window, 1)


def test_what_comes_to_a_slow_channel_does_not_stand_behind_what_a_fast_one_did() -> None:
    pool = PoolInMemory((RCS, 200.0, ANYWHERE), (WHATSAPP, 5.0, ANYWHERE))
    both = pool.send(numbers(1_900, "PW"))
    pool.run(4)

    late = pool.send(numbers(600, "W", "+4478"))
    pool.run(20)

    assert by_channel(pool.waiting(), both, WHATSAPP) > 500, "it waits there still"
    assert pool.of(late, WHATSAPP) == pytest.approx(50, abs=3)


def test_what_falls_back_has_half_of_a_slow_channel_and_passwords_go_first_however_fast_others_refuse() -> None:
    pool = PoolInMemory((RCS, 1_000.0, ANYWHERE), (SMS, 20.0, ANYWHERE))
    refused = pool.send(numbers(1_900, "P"))
    for _ in range(40):
        for one in pool.tick():
            if one.sender_id == 1:
                pool.fall_back(one.row, SMS, Category.TRANSACTIONAL)
    pool.acceptor.roster = type(pool.acceptor.roster)(
        [one for one in pool.acceptor.roster.senders.values() if one.channel is SMS], [pool.pool]
    )
    before = len(pool.left)
    own = pool.send(numbers(600, "P", "+4478"))
    otp = pool.send([("+447900000001", "P")], Category.OTP)
    pool.run(20)

    order = [one.row.operation_id for one in pool.left[before:] if one.sender_id == 2]
    assert order.index(otp.operation.id) <= 3
    assert order.count(own.operation.id) >= len(order) / 2 - 2
    assert order.count(refused.operation.id) >= len(order) / 4, "nor is that starved"


@pytest.mark.parametrize("recipients", [1, 400, 1_500])
def test_what_joins_a_country_whose_sender_is_slow_stands_where_that_one_is(recipients: int) -> None:
    pool = PoolInMemory((SMS, 200.0, only("GB")), (SMS, 4.0, only("DE")))
    pool.send([one for pair in zip(numbers(900, "P"), numbers(900, "P", "+4915"), strict=True) for one in pair])
    pool.run(5)

    late = pool.send(numbers(recipients, "P", "+4916"))
    pool.run(10)

    took = len([one for one in pool.left if one.row.operation_id == late.operation.id])
    # Of 40. The campaign has another country as well, and so has half as much of this one.
    assert min(recipients, 18) <= took <= 28


def test_what_joins_a_country_does_not_pass_what_its_own_operation_has_there() -> None:
    pool = PoolInMemory((SMS, 200.0, only("GB")), (SMS, 4.0, only("DE")))
    campaign = pool.send(
        [one for pair in zip(numbers(3_000, "P"), numbers(3_000, "P", "+4915"), strict=True) for one in pair]
    )
    pool.run(60)

    slow = [one.row.message_id for one in pool.left if one.sender_id == 2]
    assert slow == sorted(slow)
    assert campaign.chunks


def test_an_empty_lane_is_as_far_behind_as_the_one_that_its_sender_works_off() -> None:
    both = Destinations(countries=Countries(only=frozenset({"DE", "FR"})))
    pool = PoolInMemory((SMS, 200.0, only("GB")), (SMS, 4.0, both))
    pool.send([one for pair in zip(numbers(900, "P"), numbers(900, "P", "+4915"), strict=True) for one in pair])
    pool.run(5)

    otp = pool.send([("+33612345678", "P")], Category.OTP)
    pool.run(1.5)

    assert [one for one in pool.left if one.row.operation_id == otp.operation.id]


@virtually
async def test_fast_campaigns_take_turns_of_what_leaves_at_once(fresh: Path) -> None:
    window, each = 50, 3_000
    carrier = Carrier(window=window, answer_after=0.01, report_after=0.1)
    async with world(fresh, False, a=Line(carrier, {"+12030000001": 100_000})) as w:
        for first in (0, each):
            await w.send(*everyone(each, first))
        await w.until_states(DELIVERED=2 * each)

    ones = set(everyone(each))
    order = [sent.submission.recipient in ones for sent in carrier.sent]
    turns = [len(list(group)) for _, group in groupby(order)]
    assert max(turns[1:-1]) <= 2 * window
    # Rows at the edges of chunks begin turns of their own.
    assert sum(turns) / len(turns) >= window / 2
    shares = [sum(order[:sent]) for sent in range(window, each, window)]
    assert all(
        abs(2 * mine - sent) <= 4 * window for mine, sent in zip(shares, range(window, each, window), strict=True)
    )
