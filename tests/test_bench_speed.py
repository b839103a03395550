"""The measuring scripts of speed, as far as they measure nothing: what they count, draw and make of runs."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import churn, run, scenarios
from bench.bars import Chart, bars
from bench.event_sinks import DELIVERED, Tally
from bench.rig import RigFailed, Sink, family, usage
from bench.scenarios import Setup


def texts(picture: str) -> list[str]:
    return [one.text or "" for one in ET.fromstring(picture).iter() if one.tag.endswith("text")]


def ask(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as to:
        to.sendall(request)
        return to.recv(1000)


def test_a_tally_counts_deliveries_in_posted_batches_and_in_calls_of_others(tmp_path: Path) -> None:
    tally = Tally(tmp_path)
    event = b'{"type":"com.twilio.comms-api.message.%s"}'
    batch = b"[" + b",".join([event % b"sent", event % b"delivered", event % b"delivered"]) + b"]"

    assert b" 200 " in ask(tally.port, b"POST /events HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(batch), batch))
    assert tally.delivered() == 2
    assert b" 200 " in ask(tally.port, f"GET /{DELIVERED}/1?id=7 HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    assert tally.wait(3, 10.0) > 0
    with pytest.raises(RigFailed, match="told of 3 deliveries of 2"):
        tally.wait(2, 10.0)


def test_a_family_is_a_process_with_all_below_it() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 60 & wait"]) as shell:
        try:
            children = Path(f"/proc/{shell.pid}/task/{shell.pid}/children")
            while not children.read_text():
                pass
            assert family(shell.pid).rss_mb > usage(shell.pid).rss_mb
        finally:
            for child in children.read_text().split():
                subprocess.run(["kill", child], check=True)


def test_senders_are_shared_out_among_the_connections_of_all_processes() -> None:
    sink = object.__new__(Sink)
    sink.port = 2775

    many = scenarios._carriers(sink, Setup(senders=1_000, nodes=4))
    alone = scenarios._carriers(sink, Setup())

    assert [len(one.senders) for one in many] == [250] * 4
    assert len({address for one in many for address, _ in one.senders}) == 1_000
    assert [one.senders for one in alone] == [[(scenarios.SENDER, scenarios.NO_LIMIT)]]


def line(**more: Any) -> dict[str, Any]:
    told = {"scenario": "senders", "version": "1.0", "machine": {"cores": 2, "processor": "some"}}
    return {
        **told,
        "messages_per_second": 10,
        "cpu_seconds_per_1000": 0.1,
        "accept_ms": {"p50": 1.5, "p99": 9.25},
        **more,
    }


def test_a_picture_has_the_median_of_each_case_and_a_dot_for_each_run() -> None:
    lines = [line(senders=1_000, messages_per_second=4), *(line(senders=1, messages_per_second=n) for n in (7, 9, 23))]

    picture = run.draw("senders", lines)

    shown = texts(picture)
    assert shown[0] == "senders: 1.0, 2 cores of some"
    assert shown[1:6] == ["Messages, a second", "1 senders", "9", "1000 senders", "4"]
    assert "Accepting, p99, ms" in shown
    assert "Peak RSS of all processes, MB" not in shown
    assert picture.count("<circle") == 4 * 4


def test_bars_of_nothing_but_zeros_can_be_drawn() -> None:
    assert "0" in texts(bars("nothing", [Chart("rate", "a second", {"x": [0.0]})]))


def test_every_case_of_a_scenario_says_what_differs_in_it() -> None:
    for name, cases in run.SCENARIOS.items():
        differs = [json.dumps(case.differs) for case in cases]
        assert len(set(differs)) == len(cases), name
        assert len({tuple(case.differs) for case in cases}) == 1, name


def test_cases_take_turns_forwards_and_backwards(monkeypatch: pytest.MonkeyPatch) -> None:
    took: list[str] = []

    def case(name: str) -> run.Case:
        def measure(messages: int) -> dict[str, Any]:
            took.append(name)
            return {"messages": messages}

        return run.Case({"n": name}, measure, (100, 10))

    monkeypatch.setattr(run, "SCENARIOS", {"x": [case("a"), case("b")]})
    lines = list(run.rounds("x", 2, None, quick=True))

    assert took == ["a", "b", "b", "a"]
    assert [one["messages"] for one in lines] == [10] * 4
    assert [one["n"] for one in lines] == took


def test_churn_is_drawn_without_and_with_the_transaction() -> None:
    windows = [[False, 5.0, 1.0, 10], [False, 5.0, 2.0, 20], [True, 5.0, 3.0, 30], [True, 5.0, 9.0, 90]]

    picture = churn.draw({"version": "1.0", "windows": windows})

    assert picture.count("<polyline") == 4
    assert {"nobody", "held", "Median claim", "Dead rows"} <= set(texts(picture))
