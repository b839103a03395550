from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendpool.api.app import create_app
from sendpool.api.rates import RequestRates


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_without_a_rate_nobody_waits() -> None:
    rates = RequestRates()

    assert [rates.wait(1) for _ in range(1_000)] == [0.0] * 1_000


def test_each_account_has_a_burst_of_its_own_and_then_the_rate() -> None:
    clock = Hand()
    rates = RequestRates(4.0, 2.0, clock)

    assert [rates.wait(account) for account in (1, 1, 2, 2)] == [0.0] * 4
    assert [rates.wait(1), rates.wait(1)] == [pytest.approx(0.25)] * 2
    clock.now += 0.25
    assert rates.wait(1) == 0.0
    assert rates.wait(1) == pytest.approx(0.25)


@given(
    st.floats(0.1, 1_000),
    st.floats(1, 100),
    st.lists(st.floats(0, 2), min_size=1, max_size=200),
)
def test_never_more_than_rate_and_burst_in_any_window(rate: float, burst: float, pauses: list[float]) -> None:
    clock = Hand()
    rates = RequestRates(rate, burst, clock)
    taken = []
    for pause in pauses:
        clock.now += pause
        if not rates.wait(1):
            taken.append(clock.now)

    for first, begin in enumerate(taken):
        for last in range(first, len(taken)):
            assert last - first + 1 <= burst + rate * (taken[last] - begin) + 1e-6


@given(st.floats(0.1, 1_000), st.floats(1, 100), st.integers(1, 50))
def test_who_waits_as_long_as_he_is_told_gets_his_turn(rate: float, burst: float, requests: int) -> None:
    clock = Hand()
    rates = RequestRates(rate, burst, clock)

    for _ in range(requests):
        clock.now += rates.wait(1) + 1e-6
        if rates.wait(1):
            clock.now += rates.wait(1) + 1e-6
            assert rates.wait(1) == 0.0


async def test_more_requests_than_allowed_get_a_429_before_their_body_is_read(world: Any, conforms: Any) -> None:
    clock = Hand()
    services = dataclasses.replace(world.services, rates=RequestRates(0.4, 1.0, clock))
    client = type(world.client)(create_app(services))
    other = client.as_account("AC" + "2" * 32, "other-token")

    first = await client.get("/v1/Senders")
    # A body over the limit would be a 413.
    second = await client.request("POST", "/v1/Messages", chunks=[b"x" * 4_000_000], headers={"content-type": "text/x"})

    assert (first.status, second.status) == (200, 429)
    assert second.headers["retry-after"] == "3"
    assert second.codes == [20429]
    conforms(second.json, "ErrorResponse")
    assert (await other.get("/v1/Senders")).status == 200
    clock.now += 3
    assert (await client.get("/v1/Senders")).status == 200


async def test_wrong_credentials_take_nobodys_turn(world: Any) -> None:
    services = dataclasses.replace(world.services, rates=RequestRates(0.001, 1.0, Hand()))
    client = type(world.client)(create_app(services))
    stranger = client.as_account("AC" + "1" * 32, "wrong")

    assert [(await stranger.get("/v1/Senders")).status for _ in range(3)] == [401] * 3
    assert (await client.get("/v1/Senders")).status == 200
