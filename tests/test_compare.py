"""What is made of runs of Sendpool and of Kannel in turn, and what Kannel is told."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import compare, scenarios, speed_figures
from bench.compare import AT_ONCE, LATER, Ran, Sizes
from bench.kannel import configuration
from bench.rig import RigFailed
from bench.scenarios import Setup
from bench.speed_figures import SpeedSizes

FAST = [Ran("kannel spool", AT_ONCE, rate, 1.0, 50) for rate in (900, 1_000, 4_000)]
FAST += [Ran("kannel no store", AT_ONCE, rate, 0.5, 50) for rate in (1_900, 2_000, 2_100)]
FAST += [Ran("bulk", AT_ONCE, rate, 0.1, 200) for rate in (1, 12_000, 13_000)]


def test_medians_are_compared_with_the_same_receipts() -> None:
    later = [Ran("bulk", LATER, 6_000, 0.1, 200), Ran("kannel spool", LATER, 2_000, 0.1, 200)]

    assert compare.ratios(FAST + later) == {
        "bulk over kannel spool, receipts after 0.1 s": 12.0,
        "bulk over kannel no store, receipts after 0.1 s": 6.0,
        "bulk over kannel spool, receipts after 5 s": 3.0,
    }
    assert compare.medians(FAST)["bulk, receipts after 0.1 s"]["runs"] == [1, 12_000, 13_000]
    assert compare.draw(FAST + later).count("<rect") == 1 + 3 * 5


def test_systems_take_turns_and_a_rate_leaves_out_what_the_carrier_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def runs(_: Sizes, after: int) -> dict[str, float]:
        used = {"cpu_seconds_per_1000": 0.1, "peak_rss_mb": 1.0, "cores_of_neighbours": 0.0}
        return {"messages": 1_000, "seconds_to_last_event": 2 + after / 1000, **used}

    monkeypatch.setattr(compare, "SYSTEMS", {"bulk": runs, "single": runs})
    found = compare.rounds([("bulk", AT_ONCE), ("bulk", LATER), ("single", AT_ONCE)], 2, Sizes())

    assert [(one.system, one.receipts_after) for one in found[:4]] == [
        ("bulk", AT_ONCE),
        ("bulk", LATER),
        ("single", AT_ONCE),
        ("single", AT_ONCE),
    ]
    assert [one.rate for one in found] == [pytest.approx(500.0)] * 6


def test_bulk_is_judged_by_both_kannels_its_cpu_and_late_receipts(monkeypatch: pytest.MonkeyPatch) -> None:
    later = [Ran("bulk", LATER, 11_500, 0.115, 200)] * 3
    monkeypatch.setattr(compare, "rounds", lambda *_: FAST + later)

    figures = speed_figures.bulk_beside_kannel(SpeedSizes())

    assert [(one.value, one.met) for one in figures] == [(12.0, True), (6.0, True), (0.1, True), (0.15, False)]


def test_late_receipts_are_judged_within_each_round(monkeypatch: pytest.MonkeyPatch) -> None:
    # The machine became half as fast within the third round: medians of all runs would say 108 %.
    fast_then_slow = (1.0, 1.0, 1.0, 2.0, 2.0)
    bulk = [Ran("bulk", AT_ONCE, 10_000 / slow, 0.1 * slow, 200) for slow in fast_then_slow]
    later = [Ran("bulk", LATER, 10_000 / slow, 0.104 * slow, 200) for slow in (1.0, 1.0, 2.0, 2.0, 2.0)]
    kannel = [one for one in FAST if one.system != "bulk"]
    monkeypatch.setattr(compare, "rounds", lambda *_: [*kannel, *bulk, *later])

    assert speed_figures.bulk_beside_kannel(SpeedSizes())[-1].value == pytest.approx(0.04)


def test_a_thousand_senders_are_judged_by_the_worse_of_time_and_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def bulk(messages: int, setup: Setup) -> dict[str, float]:
        many = setup.senders == 1_000
        used = {"cpu_seconds_per_1000": 0.14 if many else 0.1, "cores_of_neighbours": 0.0, "messages_per_second": 1}
        return {"messages": messages, "seconds": 12.0 if many else 10.0, **used}

    monkeypatch.setattr(scenarios, "bulk", bulk)
    figure = speed_figures.many_senders(SpeedSizes())[0]

    assert (figure.value, figure.met) == (1.4, False)


def test_kannel_has_a_store_only_where_one_is_asked_for(tmp_path: Path) -> None:
    ports = {"admin": 1, "smsbox": 2, "http": 3, "carrier": 4}

    with_, without = (configuration(tmp_path, ports, spool=spool) for spool in (True, False))

    assert f'store-location = "{tmp_path}/spool"' in with_
    assert "store-type" not in without
    assert without.count("group = ") == 4


def test_a_kannel_that_does_not_tell_of_all_runs_again_and_sendpool_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    used = {"cpu_seconds_per_1000": 0.1, "peak_rss_mb": 1.0, "cores_of_neighbours": 0.0}
    tries: list[str] = []

    def fails(system: str, times: int) -> Callable[[Sizes, int], dict[str, float]]:
        def one(_: Sizes, _after: int) -> dict[str, float]:
            tries.append(system)
            if tries.count(system) <= times:
                raise RigFailed("the sink is told of 20001 deliveries: not within 90 s")
            return {"messages": 1_000, "seconds_to_last_event": 2.1, **used}

        return one

    systems = {"kannel spool": fails("kannel spool", 2), "kannel no store": fails("kannel no store", 3)}
    monkeypatch.setattr(compare, "SYSTEMS", systems | {"single": fails("single", 1)})

    assert compare.ran("kannel spool", AT_ONCE, Sizes()).rate == pytest.approx(500.0)
    for system, ran in (("kannel no store", compare.TRIES), ("single", 1)):
        with pytest.raises(RigFailed):
            compare.ran(system, AT_ONCE, Sizes())
        assert tries.count(system) == ran
