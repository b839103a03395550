"""The simulation of bench/: a short run works, its sums hold, and it shows what it is there to show."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import simulation
from bench.charts import Line, Panel, charts
from bench.pool_world import Choosing, Request, SenderPlan, World
from bench.simulation import check, figures, picture, simulate

SECONDS = 120.0


@pytest.fixture(scope="module")
def outcomes() -> dict[Choosing, simulation.Outcome]:
    return {choosing: simulate(choosing, SECONDS) for choosing in Choosing}


@pytest.mark.parametrize("choosing", Choosing)
def test_every_message_is_somewhere_once_and_nobody_is_too_fast(
    outcomes: dict[Choosing, simulation.Outcome], choosing: Choosing
) -> None:
    world = outcomes[choosing].world

    check(world)
    assert world.offered == sum(request.recipients for request in simulation.requests(SECONDS))
    recipients = [(one.flow, one.at, one.sender) for one in world.taken]
    assert len(recipients) == len(world.taken) > 7_000


def test_choosing_late_wastes_few_attempts_in_an_outage_and_hurries_passwords(
    outcomes: dict[Choosing, simulation.Outcome],
) -> None:
    late, static = figures(outcomes[Choosing.SPREAD]), figures(outcomes[Choosing.STATIC])

    assert late["refused_attempts"] <= 30 < 300 < static["refused_attempts"]
    assert late["password_wait_s"]["p95"] < 1.0 < static["password_wait_s"]["p95"]
    assert late["throughput_used_during_the_outage"] is None
    assert late["campaigns_apart"] <= 0.01
    assert late["failed"] == 0


def test_a_pool_without_an_outage_is_used_whole() -> None:
    world = World(Choosing.SPREAD, [SenderPlan(5.0), SenderPlan(15.0)])

    world.run([Request(0.0, 1_000)], 40.0)

    check(world)
    assert len(world.taken) >= 0.99 * 20 * 39
    by_sender = [sum(one.sender == number for one in world.taken) for number in (1, 2)]
    assert by_sender[1] / by_sender[0] == pytest.approx(3.0, rel=0.05)


def test_only_recipients_of_the_sender_that_left_a_sticky_pool_get_another() -> None:
    four, three = World(Choosing.STICKY, [SenderPlan(10.0)] * 4), World(Choosing.STICKY, [SenderPlan(10.0)] * 3)
    for world in (four, three):
        world.run([Request(0.0, 200)], 40.0)

    before = {one.recipient: one.sender for one in four.taken}
    after = {one.recipient: one.sender for one in three.taken}
    assert len(before) == len(after) == 200
    assert {one for one in before if before[one] != after[one]} == {one for one in before if before[one] == 4}
    assert set(before.values()) == {1, 2, 3, 4}


def test_the_picture_has_a_column_for_each_way_and_is_well_formed(
    outcomes: dict[Choosing, simulation.Outcome],
) -> None:
    drawn = ET.fromstring(picture(outcomes))

    lines = [one for one in drawn.iter() if one.tag.endswith("polyline")]
    assert len(lines) == 3 * 3 * 2


def test_a_chart_keeps_values_above_its_top_at_the_edge() -> None:
    drawn = charts("x & y", [[Panel("p", [Line("l", [(0, 0), (10, 99)])], 10, "u")]])

    assert "x &amp; y" in drawn
    high = drawn.index('points="')
    assert drawn[high : high + 60].split('"')[1].split(" ")[1].endswith(",58.0")


def test_the_script_prints_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert simulation.main(["--minutes", "0.5", "--no-keep"]) == 0

    printed = capsys.readouterr().out
    assert all(f'"{choosing}"' in printed for choosing in Choosing)
