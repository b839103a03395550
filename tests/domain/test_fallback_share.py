"""What falls back has at most half of a channel while others wait there, and all of it while nobody does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sendpool.domain.fairness import UNIT, FairClock
from sendpool.domain.fallback_share import FALLBACK_WEIGHTS, FallbackFlows
from sendpool.domain.message import Category
from sendpool.domain.sender import Channel

ONE, TWO = (1, Channel.SMS), (2, Channel.SMS)
OTP, TRANSACTIONAL, BULK = Category.OTP, Category.TRANSACTIONAL, Category.BULK


def fallen(flows: FallbackFlows, category: Category, number: int, virtual: int = 0, cost: int = 1) -> list[int]:
    return [flows.rank(ONE, category, cost, virtual) for _ in range(number)]


def test_every_category_has_a_flow_and_those_that_nobody_waits_for_have_one_campaigns_weight_together() -> None:
    assert set(FALLBACK_WEIGHTS) == set(Category)
    urgent = {OTP, Category.REPLY}
    assert sum(weight for category, weight in FALLBACK_WEIGHTS.items() if category not in urgent) == 1.0


@given(
    fallbacks=st.integers(1, 400),
    category=st.sampled_from([TRANSACTIONAL, BULK]),
    cost=st.integers(1, 5),
    virtual=st.integers(0, 1 << 40),
)
def test_of_any_beginning_of_the_queue_a_campaign_has_at_least_half(
    fallbacks: int, category: Category, cost: int, virtual: int
) -> None:
    clock = FairClock(virtual)
    own = clock.admit_each("campaign", [1] * 2_000)
    ranks = fallen(FallbackFlows(), category, fallbacks, virtual, cost)

    order = sorted([(rank, 1, "own") for rank in own] + [(rank, cost, "fallback") for rank in ranks])
    segments = {"own": 0, "fallback": 0}
    for _, size, whose in order:
        if segments["own"] == len(own):
            break
        segments[whose] += size
        # What starts at once may be one message ahead.
        assert segments["fallback"] <= segments["own"] + cost


@given(outage=st.lists(st.sampled_from([TRANSACTIONAL, BULK]), min_size=1, max_size=500), otps=st.integers(1, 20))
def test_a_one_time_password_goes_before_all_but_the_first_of_what_has_fallen_back(
    outage: list[Category], otps: int
) -> None:
    flows, clock = FallbackFlows(), FairClock()
    others = [flows.rank(ONE, category, 1, 0) for category in outage]

    own = clock.admit_each(("small", "otp"), [1] * otps, 4.0)
    back = fallen(flows, OTP, otps)

    for last in (own[-1], back[-1]):
        # One of each flow that starts at once, and a quarter of a message for each.
        assert sum(rank < last for rank in others) <= 2 + otps / 4


def test_one_time_passwords_that_fall_back_take_turns_with_those_that_do_not() -> None:
    own = FairClock().admit_each(("small", "otp"), [1] * 100, 4.0)

    assert fallen(FallbackFlows(), OTP, 100) == own


def test_alone_they_have_the_channel_and_later_ones_save_up_nothing() -> None:
    flows = FallbackFlows()
    first = fallen(flows, BULK, 100)

    assert first == sorted(first)
    assert flows.rank(ONE, BULK, 1, virtual=1 << 40) == 1 << 40
    assert flows.rank(TWO, BULK, 1, virtual=0) == 0


def test_pools_that_are_gone_are_forgotten() -> None:
    flows = FallbackFlows()
    flows.rank(ONE, BULK, 1, 0)
    flows.rank(TWO, BULK, 1, 0)
    flows.forget({2})

    assert flows.rank(ONE, BULK, 1, 0) == 0
    assert flows.rank(TWO, BULK, 1, 0) > 0


def test_each_channel_of_a_pool_has_flows_of_its_own_and_lanes_that_lag_are_joined_earlier() -> None:
    flows = FallbackFlows()
    on_sms = fallen(flows, TRANSACTIONAL, 3, virtual=100 * UNIT)
    assert flows.rank((1, Channel.WHATSAPP), TRANSACTIONAL, 1, 7) == 7

    lag = 60 * UNIT
    ranks = [flows.rank(ONE, TRANSACTIONAL, 1, 100 * UNIT, "slow", lag) for _ in range(2)]

    assert ranks[0] == on_sms[-1] + (on_sms[1] - on_sms[0]) - lag
    assert ranks[1] - ranks[0] == on_sms[1] - on_sms[0]
    # It lags more by now: those that it has there already still go before.
    assert flows.rank(ONE, TRANSACTIONAL, 1, 100 * UNIT, "slow", 2 * lag) > ranks[1]
