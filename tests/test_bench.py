"""The measuring scripts of bench/, as far as they measure nothing: what they make of logs, answers and settings."""

from __future__ import annotations

import json
import socket
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any, cast

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import contract_scenarios, fuzz, hundred_kills, pools_scenarios, run
from bench.api import Answer, Load, recipient, send_body
from bench.carrier_log import (
    Submit,
    accepted,
    busiest_window,
    copies,
    duplicates,
    parse,
    per_second,
    quantile,
    spread,
    steady,
)
from bench.figures import Figure, Sizes
from bench.hundred_kills import POINTS, KillSizes, Plan, Ran, World, plan
from bench.machine import version
from bench.rig import Carrier, DeadPort, OutOfTime, RigFailed, configuration, wait_for
from bench.show import measure, measure_all
from bench.two_nodes import silence

from sendpool import __version__
from sendpool.config import load
from sendpool.failpoints import POINTS as ALL_POINTS

LOG = """\
1770000000.123456 +12034458910 +14155550123 af63bd4c8601b7df 17000001 00000000
1770000000.223456 12034458910 14155550124 af63bd4c8601b7df - 00000045
1770000001.500000 SHOP 14155550123 af63bd4c8601b7df 17000002 00000000
"""


def submit(destination: str, status: int = 0) -> Submit:
    return Submit(1.0, "1", destination, status)


def test_log_line_is_read_with_or_without_plus() -> None:
    submits = parse(LOG.splitlines())

    assert submits == [
        Submit(1770000000.123456, "12034458910", "14155550123", 0),
        Submit(1770000000.223456, "12034458910", "14155550124", 0x45),
        Submit(1770000001.5, "SHOP", "14155550123", 0),
    ]
    assert [one.status for one in accepted(submits)] == [0, 0]


@pytest.mark.parametrize("line", ["", "1770000000.1 a b c d", "when a b c d 00000000", "1.0 a b c d refused"])
def test_line_that_is_no_submit_is_an_error(line: str) -> None:
    with pytest.raises(ValueError):
        parse([line])


def test_only_what_was_accepted_is_a_copy() -> None:
    submits = [submit("1"), submit("2", status=0x45), submit("2"), submit("3"), submit("3"), submit("3")]

    assert copies(submits) == {"1": 1, "2": 1, "3": 3}
    assert duplicates(copies(submits)) == 2


@pytest.mark.parametrize(
    ("times", "most"),
    [
        ([], 0),
        ([5.0], 1),
        # A second has its begin and not its end: a pace of one a second is never two.
        ([0.0, 1.0, 2.0], 1),
        ([0.0, 0.5, 0.999, 1.0], 3),
        # Five around the turn of a second, which fixed seconds would show as two and three.
        ([0.8, 0.9, 1.0, 1.1, 1.2, 9.0], 5),
        ([1.2, 0.8, 1.1, 0.9], 4),
        ([3.0, 3.0, 3.0], 3),
    ],
)
def test_busiest_window_slides_over_all_times(times: list[float], most: int) -> None:
    assert busiest_window(times) == most


@pytest.mark.parametrize(
    ("times", "counts"),
    [
        ([], []),
        ([7.3], [1]),
        ([7.3, 8.2, 8.3, 10.4], [2, 1, 0, 1]),
        ([10.4, 7.3], [1, 0, 0, 1]),
    ],
)
def test_seconds_count_from_the_first_time(times: list[float], counts: list[int]) -> None:
    assert per_second(times) == counts


@pytest.mark.parametrize(("counts", "inner"), [([], []), ([9], []), ([9, 8], []), ([9, 8, 7, 1], [8, 7])])
def test_first_and_last_second_are_not_steady(counts: list[int], inner: list[int]) -> None:
    assert list(steady(counts)) == inner


@pytest.mark.parametrize(
    ("counts", "apart"), [([], 0.0), ([0, 0], 0.0), ([100, 100], 0.0), ([90, 110], 0.2), ([0, 200], 2.0)]
)
def test_spread_is_the_distance_over_the_mean(counts: list[int], apart: float) -> None:
    assert spread(counts) == pytest.approx(apart)


@pytest.mark.parametrize(("share", "value"), [(0.0, 1.0), (0.5, 3.0), (0.99, 5.0), (1.0, 5.0)])
def test_quantile_is_one_of_the_values(share: float, value: float) -> None:
    assert quantile([5.0, 1.0, 4.0, 2.0, 3.0], share) == value
    assert quantile([], share) == 0.0


def test_body_has_a_recipient_of_its_own_for_each_message() -> None:
    body = json.loads(send_body("comms_senderpool_1", 7, 3))

    assert [one["address"] for one in body["to"]] == ["+14150000007", "+14150000008", "+14150000009"]
    assert body["from"] == {"senderPoolId": "comms_senderpool_1"}
    assert len({recipient(number) for number in (0, 9, 99_999, 9_999_999)}) == 4


def test_refused_request_of_a_load_is_an_error_not_a_figure() -> None:
    taken = Answer(0.1, 202, b'{"operationId": "comms_operation_1"}')

    assert Load(0.0, 1.0, [taken, taken]).operation_ids() == ["comms_operation_1", "comms_operation_1"]
    with pytest.raises(RigFailed, match="1 requests were refused"):
        Load(0.0, 1.0, [taken, Answer(0.1, 503, b"{}")]).operation_ids()


def test_server_takes_the_configuration_that_is_written_for_it(tmp_path: Path) -> None:
    path = tmp_path / "bench.toml"
    carriers = [Carrier("a", 2775, [("+12034458000", 20), ("+12034458001", 30)], 500, 1000), Carrier("b", 2776, [])]
    path.write_text(configuration(tmp_path / "bench.db", carriers))

    config = load(path, {})

    assert [(one.name, one.window, one.mps, one.options["port"]) for one in config.connections] == [
        ("a", 500, 1000, 2775),
        ("b", 50, None, 2776),
    ]
    assert [(one.address, one.mps) for one in config.connections[0].senders] == [
        ("+12034458000", 20),
        ("+12034458001", 30),
    ]


def test_wait_ends_when_it_takes_too_long() -> None:
    assert wait_for(lambda: True, 0.0, "it holds") < 1.0
    with pytest.raises(RigFailed, match="the moon is full: not within 0 s"):
        wait_for(lambda: False, 0.0, "the moon is full")


def test_dead_port_refuses_connections() -> None:
    dead = DeadPort()
    try:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", dead.port), timeout=5)
    finally:
        dead.close()


def test_version_is_known_without_importing_the_tree() -> None:
    assert version().startswith(__version__)


def test_figure_shows_its_detail_beside_value_and_target() -> None:
    figure = Figure("rate", "at least 10", 12, True, {"runs": [11, 12, 13]})

    assert figure.as_json() == {
        "name": "rate",
        "target": "at least 10",
        "value": 12,
        "met": True,
        "runs": [11, 12, 13],
    }


def test_figure_that_cannot_be_measured_is_not_met_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    def broken(sizes: Sizes) -> list[Figure]:
        """Something."""
        raise RigFailed(f"no {sizes.bulk} today")

    assert measure("x", Sizes(bulk=7), {"x": broken}) == [
        Figure("Something.", None, None, False, {"problem": "no 7 today"})
    ]
    assert "MISSED: Something.: None (no 7 today)" in capsys.readouterr().err


def test_figures_that_time_did_not_suffice_for_are_not_met() -> None:
    def quick(_: Sizes) -> list[Figure]:
        """One."""
        return [Figure("one", None, 1, True)]

    def endless(_: Sizes) -> list[Figure]:
        """Another."""
        raise OutOfTime("too long")

    figures = {"x": quick, "y": endless, "z": quick}

    assert [(figure.name, figure.met) for figure in measure_all("xyz", Sizes(), figures)] == [
        ("one", True),
        ("Another.", False),
        ("One.", False),
    ]


def test_results_are_kept_a_line_each(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(run, "RESULTS", tmp_path / "results")

    run.keep("bulk", {"messages_per_second": 1})
    run.keep("bulk", {"messages_per_second": 2})

    lines = (tmp_path / "results" / "bulk.jsonl").read_text().splitlines()
    assert [json.loads(line)["messages_per_second"] for line in lines] == [1, 2]


def test_results_in_the_project_say_what_they_were_measured_on() -> None:
    for path in sorted(run.RESULTS.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            result = json.loads(line)
            assert result["scenario"] == path.stem
            assert result["version"]
            assert result["machine"]["cores"]
            known = path.stem in ("simulation", "claim_cost", "churn", "queued", "soak", "compare")
            assert known or result["messages_per_second"]


@pytest.mark.parametrize(
    ("section", "count", "first"), [("15", 21, "operation id in 202"), ("16", 14, "recipients per send")]
)
def test_rows_of_the_contracts_tables_are_found(section: str, count: int, first: str) -> None:
    found = contract_scenarios.rows(section)

    assert (len(found), found[0]) == (count, first)


@pytest.mark.parametrize(
    ("row", "test"),
    [
        ("email `from.name`, `content.html`", "test_email_from_name_and_content_html"),
        ("search and resolve", "test_search_and_resolve"),
        ("202 body", "test_202_body"),
        ("email request size; ipPoolName", "test_email_request_size_ippoolname"),
    ],
)
def test_a_row_is_known_by_the_words_of_its_test(row: str, test: str) -> None:
    assert contract_scenarios.plain(row) == contract_scenarios.plain(test)


def test_schemathesis_is_told_of_what_is_there() -> None:
    told = tomllib.loads(fuzz.settings({"messages": ["a", "b"], "emailSender": ["c"]}))

    assert told["dictionaries"] == {"messages": {"values": ["a", "b"]}, "emailSender": {"values": ["c"]}}
    assert told["parameters"]["path.messageId"]["dictionary"] == "messages"
    emails = next(one for one in told["operations"] if one["include-path-regex"] == "^/Emails")
    assert emails["parameters"]["body.from.address"]["dictionary"] == "emailSender"


def test_a_seed_decides_every_kill_and_all_kinds_come_up() -> None:
    sizes = KillSizes()

    plans = [plan(sizes, number) for number in range(sizes.kills)]

    assert plans == [plan(sizes, number) for number in range(sizes.kills)]
    assert plans != [plan(sizes._replace(seed=2), number) for number in range(sizes.kills)]
    assert {one.point for one in plans} == {"", *POINTS}
    assert sum(not one.point for one in plans) == 50
    assert all(1 <= one.times <= POINTS.get(one.point, 1) and 200 <= one.messages <= 400 for one in plans)
    phones = [number for one in plans for number in range(one.first, one.first + one.messages)]
    assert len(phones) == len(set(phones))


class Restarted:
    """Stands for a server that is started again after a run that failed."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def kill(self) -> None:
        self.done.append("kill")

    def start(self) -> None:
        self.done.append("start")


def test_a_run_that_cannot_be_judged_is_told_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    plans = [plan(KillSizes(), number) for number in range(7)]

    def one_run(_: World, one: Plan) -> Ran:
        if one is plans[2]:
            raise RigFailed("the server is ready: not within 120 s")
        return Ran(one, 0, set(), Counter(delivered=one.messages), died_by_itself=False, seconds=1.0)

    monkeypatch.setattr(hundred_kills, "_run", one_run)
    said: list[str] = []
    monkeypatch.setattr(hundred_kills, "say", said.append)
    server, failed = Restarted(), list[str]()

    ran = hundred_kills._run_all(World("SQLite, SMPP", cast(Any, server), "", Counter), plans, failed)

    assert [one.plan for one in ran] == plans[:2] + plans[3:]
    assert failed == [f"SQLite, SMPP, {plans[2].how}: the server is ready: not within 120 s"]
    assert server.done == ["kill", "start"]
    assert said[-1].startswith("  SQLite, SMPP: 5 of 7 kills after ")
    assert hundred_kills._judged(7, failed).met is False


def test_a_takeover_takes_as_long_as_a_carrier_is_silent_about_the_end() -> None:
    steady = [n / 10 for n in range(100)]

    assert silence(steady, 5.0, 5.0) == pytest.approx(0.1)
    assert silence([at for at in steady if not 5.0 < at < 8.0], 5.0, 5.2) == pytest.approx(3.0)
    assert silence([at for at in steady if not 1.0 < at < 3.0], 5.0, 5.2) == pytest.approx(0.1)
    assert silence([at for at in steady if at < 5.0], 5.0, 5.2) == float("inf")


def test_kills_are_ordered_at_points_that_there_are() -> None:
    assert POINTS.keys() <= ALL_POINTS.keys()


def test_configuration_names_a_file_or_a_url() -> None:
    by_file = tomllib.loads(configuration(Path("/x/bench.db"), []))["server"]
    by_url = tomllib.loads(configuration("postgresql://sendpool@/bench", []))["server"]

    assert by_file == {"database": "sqlite:////x/bench.db", "port": 0}
    assert by_url["database"] == "postgresql://sendpool@/bench"
    assert by_url["secret_key"]


def test_property_tests_that_figures_name_exist() -> None:
    for named in pools_scenarios.EXACTNESS:
        path, _, name = named.partition("::")
        assert f"def {name}(" in (Path(__file__).parents[1] / path).read_text(encoding="utf-8")


def test_an_explanation_that_leaves_something_open_is_found() -> None:
    whole = {
        "messageId": "m",
        "text": "Delivered.",
        "plan": [{"channel": "SMS", "address": "+1", "outcome": "delivered", "reason": "delivered", "text": "It was."}],
        "candidates": [{"senderId": "s", "address": "+2", "verdict": "taken", "reason": "only_one", "text": "It was."}],
        "attempts": [],
    }

    assert pools_scenarios.incomplete(whole) == []
    assert pools_scenarios.incomplete({**whole, "candidates": []}) == ["nobody was looked at"]
    assert pools_scenarios.incomplete({**whole, "attempts": [{"text": "x."}]}) != []
    assert pools_scenarios.incomplete({key: value for key, value in whole.items() if key != "plan"}) == ["no plan"]


def test_campaigns_are_judged_by_what_the_carrier_saw() -> None:
    submits = [
        Submit(100.0 + i / 100, str(i % 2), recipient((i // 2 % 2) * 1_000_000 + i).lstrip("+"), 0)
        for i in range(1_000)
    ]
    submits.append(Submit(105.0, "0", recipient(2_000_000).lstrip("+"), 0))

    password, apart, used, most = pools_scenarios._of_campaigns(submits, (100.0, 110.0), {0: 104.5})

    assert (password.value, password.met) == (0.5, True)
    assert (apart.value, apart.met) == (0.0, True)
    assert (used.value, used.met) == (1.001, True)
    assert most.met
