"""Who is held back in which pool, and when nobody is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from sendpool.domain.reasons import Reason, Remark
from sendpool.pipeline.restraint import CLOSED_FOR, LEFT_AT_LEAST, Able, Restraint, in_country

GB, DE = "+447700900123", "+4915112345678"


def restraint(**shares: dict[str, float]) -> Restraint:
    made = Restraint(lambda: 0.0, {})
    made.restrain({int(name.removeprefix("s")): countries for name, countries in shares.items()})
    return made


def test_part_is_the_usual_share_times_what_health_leaves() -> None:
    found = restraint(s1={"GB": 0.1}).of(7, [Able(1, 3.0, 10.0), Able(2, 1.0, 10.0)])

    assert {sender: {c: t.part for c, t in countries.items()} for sender, countries in found.items()} == {
        1: {"GB": 0.1 * 3 / 4}
    }


def test_trickle_of_a_pool_goes_on_from_claim_to_claim() -> None:
    made, able = restraint(s1={"GB": 0.1}), [Able(1, 1.0, 10.0), Able(2, 1.0, 10.0)]
    first = made.of(7, able)[1]["GB"]

    assert made.of(7, able)[1]["GB"] is first
    assert made.of(8, able)[1]["GB"] is not first
    made.restrain({})
    assert not made
    assert made.of(7, able) == {}


def test_nobody_is_held_back_without_enough_healthy_throughput() -> None:
    made = restraint(s1={"GB": 0.05})
    assert made.of(7, [Able(1, 1.0, 10.0)]) == {}
    assert made.of(7, [Able(1, 1.0, 100.0), Able(2, 1.0, 100.0 * LEFT_AT_LEAST / (1 - LEFT_AT_LEAST) - 1)]) == {}
    assert made.of(7, [Able(1, 1.0, 100.0), Able(2, 1.0, 100.0)]) != {}


def test_all_unhealthy_in_one_country_are_let_alone_there_only() -> None:
    made = restraint(s1={"GB": 0.05}, s2={"GB": 0.05, "DE": 0.4})
    found = made.of(7, [Able(1, 1.0, 10.0), Able(2, 1.0, 10.0)])

    assert list(found) == [2]
    assert list(found[2]) == ["DE"]


def test_addresses_tell_who_is_restrained() -> None:
    made = restraint(s1={"GB": 0.05})

    assert made.restrains(7, 1, GB)
    assert not made.restrains(7, 1, DE)
    assert not made.restrains(7, 2, GB)


def test_closed_country_is_closed_for_an_hour_however_few_the_others_are() -> None:
    now = [0.0]
    made = Restraint(lambda: now[0], {})
    made.close(1, "GB")
    able = [Able(1, 1.0, 100.0), Able(2, 1.0, 1.0)]

    trickle = made.of(7, able)[1]["GB"]
    assert not trickle.may_take(CLOSED_FOR)
    assert made.restrains(7, 1, GB)
    assert made.of(7, able[:1]) == {}
    now[0] = CLOSED_FOR
    made.restrain({})
    assert not made
    made.close(1, "GB")
    made.open(1)
    assert not made


def test_gates_are_told_what_their_health_keeps_from_them() -> None:
    gates: dict[int, Any] = {1: SimpleNamespace(health=None), 2: SimpleNamespace(health=None)}
    made = Restraint(lambda: 0.0, gates)
    made.restrain({1: {"GB": 0.05, "DE": 0.4}, 2: {"DE": 0.4}})

    assert gates[1].health == Remark(Reason.TRICKLE, about="DE, GB")
    assert gates[2].health == Remark(Reason.RECOVERING, about="DE")
    made.restrain({})
    assert gates[1].health is gates[2].health is None


def test_health_is_no_reason_in_another_country() -> None:
    poor = Remark(Reason.TRICKLE, about="DE, GB")

    assert in_country(poor, "GB") == Remark(Reason.TRICKLE, about="GB")
    assert in_country(poor, "FR") == Remark(Reason.READY)
    assert in_country(Remark(Reason.LINK_DOWN), "FR") == Remark(Reason.LINK_DOWN)


def test_pool_that_leaves_health_out_of_account_still_keeps_to_what_carriers_have_closed() -> None:
    made, able = restraint(s1={"GB": 0.05}), [Able(1, 1.0, 10.0), Able(2, 1.0, 10.0)]
    made.heeds = lambda pool_id: pool_id != 8
    poor = Remark(Reason.TRICKLE, about="GB")
    assert (list(made.of(7, able)), made.restrains(7, 1, GB), made.in_pool(poor, 7, 1)) == ([1], True, poor)
    assert (made.of(8, able), made.restrains(8, 1, GB), made.in_pool(poor, 8, 1)) == ({}, False, Remark(Reason.READY))

    made.close(1, "DE")

    assert {sender: list(countries) for sender, countries in made.of(8, able).items()} == {1: ["DE"]}
    assert made.restrains(8, 1, DE)
    assert made.in_pool(Remark(Reason.TRICKLE, about="DE, GB"), 8, 1) == Remark(Reason.TRICKLE, about="DE")
    assert made.in_pool(Remark(Reason.LINK_DOWN), 8, 1) == Remark(Reason.LINK_DOWN)
