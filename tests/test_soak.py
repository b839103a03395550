"""The soak is summed up by what the carrier's log says of each window, and by what was seen in it."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.carrier_log import Submit
from bench.soak import Arrived, Window, arrived, draw, summary


def window(began: float, cpu: float, dead: int, *, held: bool) -> Window:
    return Window(held, began, began + 10, cpu, 2 * cpu, 100 + began, {"outq": dead, "attempt": 0})


WINDOWS = [window(0, 1.0, 5, held=False), window(10, 1.0, 9, held=False), window(20, 3.0, 90, held=True)]


def submit(at: float, to: str) -> Submit:
    return Submit(at, "1", to, 0)


def test_a_single_message_belongs_to_the_window_in_which_it_was_asked_for() -> None:
    log = [submit(-0.5, "c"), submit(1.0, "c"), submit(10.25, "one"), submit(29.0, "two"), submit(31.0, "c")]

    found = arrived(log, WINDOWS, {"one": 9.75, "two": 28.0, "never": 5.0})

    assert [there.messages for there in found] == [1, 1, 1]
    assert [there.single_ms for there in found] == [[500.0], [], [1000.0]]


def test_both_halves_are_told_and_what_the_transaction_has_changed() -> None:
    log = [Arrived(1_000, [1.0, 2.0]), Arrived(1_000, [4.0]), Arrived(1_000, [8.0])]

    found = summary(WINDOWS, log)

    assert found["without"] == {
        "messages_per_second": 100,
        "single_ms": {"p50": 2.0, "p99": 4.0},
        "cpu_seconds_per_1000": 1.0,
        "database_cpu_seconds_per_1000": 2.0,
        "rss_mb": [100, 110],
        "dead_at_end": {"outq": 9, "attempt": 0},
    }
    assert found["held"]["dead_at_end"] == {"outq": 90, "attempt": 0}
    assert found["held_over_without"] == {"single_p99": 2.0, "cpu": 3.0, "database_cpu": 3.0}


def test_both_halves_are_drawn() -> None:
    lines = [[False, 10.0, 900, 1.0, 2.0, 80.0, 5], [False, 10.0, 1_000, 1.0, 2.0, 81.0, 9]]

    picture = draw({"version": "1.0", "windows": [*lines, [True, 10.0, 990, 1.5, 3.0, 82.0, 90]]})

    texts = {one.text for one in ET.fromstring(picture).iter() if one.tag.endswith("text")}
    assert picture.count("<polyline") == 8
    assert {"nobody", "held", "Messages", "RSS", "Dead rows", "Single, request to carrier, p99"} <= texts
