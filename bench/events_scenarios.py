"""The figures of events: all reach a bad sink, what that costs sending, and what tests say of hours and crashes."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from bench import scenarios
from bench.api import Api, load, send_body
from bench.event_sinks import ANYWHERE, TYPES, EventSink, subscribe
from bench.figures import Figure, say
from bench.rig import ROOT, Carrier, Rig, RigFailed, Server, wait_for


class EventSizes(NamedTuple):
    """How much each figure takes."""

    messages: int = 20_000
    #: Of each kind: single runs of the same differ by a fifth, and medians of fifteen still by a twentieth.
    rounds: int = 40
    bulk: int = 50_000


EVENT_QUICK = EventSizes(3_000, 2, 10_000)


# ---------------------------------------------------------------- a: a bad sink


def bad_sink(sizes: EventSizes) -> list[Figure]:
    """All events reach a sink that fails one request in ten and stalls one in a hundred."""
    wanted = sizes.messages * len(TYPES)
    with Rig() as rig:
        sink = EventSink(rig.folder, fail=0.1, stall=0.01)
        bench = _server(rig)
        subscribe(bench.server.base, sink.port)
        bodies = [send_body(bench.pool_id, first, 1_000) for first in range(0, sizes.messages, 1_000)]
        sent = load(bench.server.base, bodies, 2, scenarios.PATIENCE)
        bench.api.wait_delivered(sent.operation_ids(), scenarios.PATIENCE)
        began = time.monotonic()
        _wait_quiet(sink, 180)
        seen: Counter[str] = Counter()
        kinds: set[tuple[str, str]] = set()
        for event in sink.taken():
            seen[event["id"]] += 1
            kinds.add((event["data"]["message_id"], event["type"]))
    twice = sum(number - 1 for number in seen.values())
    return [
        Figure(
            f"{wanted:,} events to a sink that fails 10 % and stalls 1 %: events that came",
            f"{wanted:,}, none missing, and the same event again only with the same id",
            len(seen),
            len(seen) == len(kinds) == wanted,
            {"again": twice, "seconds_after_the_last_delivery": round(time.monotonic() - began, 1)},
        )
    ]


def _server(rig: Rig) -> scenarios.Bench:
    sink = rig.sink("carrier-a", "--dlr", "1/100")
    carrier = Carrier("carrier-a", sink.port, [(scenarios.SENDER, scenarios.NO_LIMIT)], scenarios.WINDOW)
    carrier = carrier._replace(mps=scenarios.NO_LIMIT)
    server = rig.server(carrier, settings=ANYWHERE)
    api = Api(server.base)
    return scenarios.Bench(sink, server, api, api.create_pool())


def _wait_quiet(sink: EventSink, seconds: float) -> None:
    """Wait until nothing new has come for eight seconds: longer than a request that stalls, and its repetition."""
    size, since = sink.size(), time.monotonic()
    end = since + seconds
    while time.monotonic() - since < 8:
        if time.monotonic() > end:
            raise RigFailed(f"events still came after {seconds:.0f} s")
        time.sleep(0.1)
        if sink.size() != size:
            size, since = sink.size(), time.monotonic()


# ---------------------------------------------------------------- b: what it costs


def _notifier(server: Server) -> float:
    """CPU seconds of the process that hands events over."""
    return server.family().cpu_seconds - server.usage().cpu_seconds


def cost(sizes: EventSizes) -> list[Figure]:
    """Bulk with a sink for every event, and without one, in turn."""
    rates: dict[bool, list[float]] = {True: [], False: []}
    more: list[dict[str, Any]] = []
    for number in range(sizes.rounds):
        for with_sink in (False, True) if number % 2 else (True, False):
            rate, detail = _bulk(sizes.bulk, with_sink=with_sink)
            rates[with_sink].append(rate)
            if with_sink:
                more.append(detail)
        say(f"  round {number + 1}: {rates[False][-1]:.0f}/s without, {rates[True][-1]:.0f}/s with a sink")
    pairs = [with_ / without - 1 for with_, without in zip(rates[True], rates[False], strict=True)]
    change = statistics.median(rates[True]) / statistics.median(rates[False]) - 1
    return [
        Figure(
            "sending with a sink for every event, against without: change of the median rate",
            "falls by less than 5 %",
            round(change, 4),
            change > -0.05,
            {
                "without": [round(rate) for rate in rates[False]],
                "with": [round(rate) for rate in rates[True]],
                "of_pairs": [round(one, 3) for one in pairs],
                "notifier": more,
            },
        )
    ]


def _bulk(messages: int, *, with_sink: bool) -> tuple[float, dict[str, Any]]:
    with Rig() as rig:
        bench = _server(rig)
        sink = EventSink(rig.folder) if with_sink else None
        if sink is not None:
            subscribe(bench.server.base, sink.port)
        bench.api.warm_up(bench.pool_id, scenarios.WARM_UP)
        if sink is not None:
            wait_for(lambda: sink.size() > 0, 30, "the sink gets events")
        before, notifier = bench.server.usage(), _notifier(bench.server)
        bodies = [send_body(bench.pool_id, first, 10_000) for first in range(0, messages, 10_000)]
        sent = load(bench.server.base, bodies, 2, scenarios.PATIENCE)
        done = bench.api.wait_delivered(sent.operation_ids(), scenarios.PATIENCE)
        rate = messages / (done - sent.began)
        used = bench.server.usage().cpu_seconds - before.cpu_seconds
        if sink is None:
            return rate, {}
        began = time.monotonic()
        _wait_quiet(sink, 120)
        return rate, {
            "cpu_seconds_per_1000": round(used / messages * 1_000, 4),
            "cpu_seconds_per_1000_events": round((_notifier(bench.server) - notifier) / messages / 3 * 1_000, 4),
            "last_event_after_seconds": round(time.monotonic() - began - 8, 1),
        }


# ---------------------------------------------------------------- c, d: from tests


def _tests(name: str, target: str, tests: Sequence[str]) -> list[Figure]:
    """A figure that is met where these tests pass."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    last = done.stdout.strip().splitlines()[-1:]
    return [Figure(name, target, last[0] if last else "", done.returncode == 0, {"tests": list(tests)})]


def an_hour_down(sizes: EventSizes) -> list[Figure]:
    """A sink that is down for an hour of virtual time catches up without starving others."""
    place = "tests/pipeline/notify/test_notifier.py::"
    tests = [f"{place}test_a_sink_that_is_down_for_an_hour_catches_up_and_starves_nobody"]
    return _tests("a sink that is down for an hour", "everything comes, and no other sink waits for it", tests)


def killed(sizes: EventSizes) -> list[Figure]:
    """kill -9 of the server in the middle of deliveries loses no event."""
    tests = ["tests/journeys/test_sinks.py::test_kill_9_in_the_middle_of_deliveries_loses_no_event"]
    return _tests("kill -9 in the middle of deliveries", "no event is lost", tests)
