"""The figures of the main job, each measured on processes of its own; that of the kills is in `three_kills.py`."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from bench import scenarios
from bench.api import Api, recipient, send_body
from bench.carrier_log import Submit, accepted, busiest_window, copies, duplicates, parse, per_second, spread, steady
from bench.rig import Carrier, Rig, RigFailed, Sink


class Figure(NamedTuple):
    """One figure and what it should be; `met` is None where it is only for information."""

    name: str
    target: str | None
    value: Any
    met: bool | None
    detail: Mapping[str, Any] = {}

    def as_json(self) -> dict[str, Any]:
        """As it is printed."""
        return {"name": self.name, "target": self.target, "value": self.value, "met": self.met, **self.detail}


#: MB that a server may take with a million messages that wait.
QUEUED_MOST_MB = 400


class Sizes(NamedTuple):
    """How many messages each figure takes."""

    spread: int = 1_000
    failover: int = 300
    killed: int = 6_000
    killed_rate: int = 1_000
    accepts: int = 5
    queued: int = 100_000
    bulk: int = 100_000
    bulk_runs: int = 3
    single: int = 20_000


QUICK = Sizes(600, 60, 1_500, 300, 3, 20_000, 20_000, 1, 4_000)


def addresses(first: int, count: int) -> list[str]:
    """Senders' numbers."""
    return [f"+1203445{8000 + number}" for number in range(first, first + count)]


def read_log(sink: Sink) -> list[Submit]:
    """The submits of a stopped carrier, without warm-up messages."""
    away = recipient(scenarios.WARM_UP).lstrip("+")
    return [one for one in parse(sink.log.read_text().splitlines()) if one.destination != away]


def say(text: str) -> None:
    """Progress."""
    print(text, file=sys.stderr, flush=True)


def patiently(wait: Callable[[], object]) -> str:
    """What kept a wait from ending; the figures say the rest."""
    try:
        wait()
    except RigFailed as error:
        return str(error)
    return ""


# ---------------------------------------------------------------- a: ten senders at their rate


def ten_senders(sizes: Sizes) -> list[Figure]:
    """Ten senders of 20 segments a second on one connection, kept busy: as fast as they may, none faster."""
    with Rig() as rig:
        sink = rig.sink("carrier-a", "--dlr", "1/100")
        server = rig.server(Carrier("carrier-a", sink.port, [(address, 20) for address in addresses(0, 10)]))
        api = Api(server.base)
        pool_id = api.create_pool()
        api.warm_up(pool_id, scenarios.WARM_UP)
        operation_id, _ = api.send(send_body(pool_id, 0, sizes.spread))
        api.wait_delivered([operation_id], sizes.spread / 200 * 2 + 20)
        sink.stop()
        submits = accepted(read_log(sink))
    times = [submit.at for submit in submits]
    by_sender: dict[str, list[float]] = {}
    for submit in submits:
        by_sender.setdefault(submit.source, []).append(submit.at)
    seconds = per_second(times)
    rates = list(steady(seconds))
    busiest = max(busiest_window(own) for own in by_sender.values())
    fixed = max(max(per_second(own)) for own in by_sender.values())
    shares = {sender: len(own) for sender, own in sorted(by_sender.items())}
    distance = round(spread(shares.values()), 3)
    span = max(times) - min(times)
    return [
        Figure(
            "ten senders: segments a second in all",
            "180-220 in every whole second but the first and the last",
            [min(rates, default=0), max(rates, default=0)],
            len(submits) == sizes.spread and bool(rates) and all(180 <= rate <= 220 for rate in rates),
            {"segments": len(submits), "each_second": seconds, "mean": round((len(times) - 1) / span, 1)},
        ),
        Figure(
            "ten senders: most of one sender in any second at the carrier",
            "at most 23",
            busiest,
            busiest <= 23,
            {"in_fixed_seconds": fixed},
        ),
        Figure(
            "ten senders: spread, (most - least) / mean",
            "at most 0.25",
            distance,
            len(shares) == 10 and distance <= 0.25,
            {"by_sender": shares},
        ),
    ]


# ---------------------------------------------------------------- b: two carriers that do not work


def one_good_carrier(sizes: Sizes) -> list[Figure]:
    """A pool over a carrier that refuses everything, one that is not there and a good one."""
    with Rig() as rig:
        good = rig.sink("good", "--dlr", "1/100")
        refusing = rig.sink("refusing", "--fail-rate", "1")
        server = rig.server(
            Carrier("refusing", refusing.port, [(address, 50) for address in addresses(0, 2)]),
            Carrier("unreachable", rig.dead_port(), [(address, 50) for address in addresses(2, 2)]),
            Carrier("good", good.port, [(address, 50) for address in addresses(4, 2)]),
        )
        api = Api(server.base)
        pool_id = api.create_pool()
        began = time.time()
        operation_id, _ = api.send(send_body(pool_id, 0, sizes.failover))
        problem = patiently(lambda: api.wait_delivered([operation_id], 60.0))
        took = time.time() - began
        stats = api.stats([operation_id])
        good.stop()
        refusals = refusing.stop()["failed"]
        at_carriers = copies([*read_log(good), *read_log(refusing)])
    once = sum(number == 1 for number in at_carriers.values())
    return [
        Figure(
            "one carrier refuses, one is unreachable: delivered, and accepted once at a carrier",
            f"{sizes.failover} and {sizes.failover} of {sizes.failover}",
            [stats["delivered"], once],
            stats["delivered"] == once == len(at_carriers) == sizes.failover,
            {
                "seconds": round(took, 2),
                "refusals": refusals,
                "duplicates": duplicates(at_carriers),
                "stats": dict(stats),
                **({"problem": problem} if problem else {}),
            },
        )
    ]


# ---------------------------------------------------------------- d, e: large requests


def large_requests(sizes: Sizes) -> list[Figure]:
    """10,000 recipients in one request to an idle server."""
    seconds = []
    with Rig() as rig:
        bench = scenarios.fast_server(rig)
        for i in range(sizes.accepts):
            body = send_body(bench.pool_id, i * scenarios.REQUEST, scenarios.REQUEST)
            operation_id, took = bench.api.send(body)
            seconds.append(round(took, 3))
            bench.api.wait_delivered([operation_id], 60.0)
    return [
        Figure(
            "accepting 10,000 recipients in one request: seconds until the answer",
            "under 1",
            max(seconds),
            max(seconds) < 1.0,
            {"median": statistics.median(seconds), "each": seconds},
        )
    ]


def queued_messages(sizes: Sizes) -> list[Figure]:
    """Many messages that wait, behind senders of one segment a second."""
    return queued_memory(sizes.queued, 300)


def queued_memory(messages: int, most_mb: float) -> list[Figure]:
    """The most memory that a server takes while so many messages wait."""
    with Rig() as rig:
        sink = rig.sink("carrier-a", "--dlr", "1/100")
        server = rig.server(Carrier("carrier-a", sink.port, [(address, 1) for address in addresses(0, 10)]))
        api = Api(server.base)
        pool_id = api.create_pool()
        at_start = server.usage()
        requests = range(0, messages, scenarios.REQUEST)
        operations = [api.send(send_body(pool_id, first, scenarios.REQUEST))[0] for first in requests]
        steady_since = time.monotonic()
        rss = server.usage().rss_mb
        while time.monotonic() - steady_since < 3.0:
            time.sleep(0.1)
            now = server.usage().rss_mb
            if abs(now - rss) > 1.0:
                rss, steady_since = now, time.monotonic()
        used, queued = server.usage(), api.stats(operations)["queued"]
    peak = round(used.peak_rss_mb, 1)
    return [
        Figure(
            f"memory with {messages:,} queued: peak RSS in MB",
            f"under {most_mb:g}",
            peak,
            peak < most_mb and queued > messages * 0.99,
            {"queued": queued, "rss_now_mb": round(used.rss_mb, 1), "rss_at_start_mb": round(at_start.rss_mb, 1)},
        )
    ]


# ---------------------------------------------------------------- f: bulk


def bulk(sizes: Sizes) -> list[Figure]:
    """Bulk through one SMPP connection with window 500, receipts on."""
    runs = []
    for number in range(sizes.bulk_runs):
        runs.append(scenarios.bulk(sizes.bulk))
        say(f"  bulk run {number + 1}: {runs[-1]['messages_per_second']} messages/s")
    rate = statistics.median(run["messages_per_second"] for run in runs)
    return [
        Figure(
            f"bulk of {sizes.bulk:,} through one SMPP connection: messages a second until delivered",
            "at least 10,000, median",
            rate,
            rate >= 10_000,
            {"runs": runs},
        )
    ]


def single(sizes: Sizes) -> list[Figure]:
    """One message a request over 50 connections; for information."""
    run = scenarios.single(sizes.single)
    return [
        Figure(
            f"{sizes.single:,} requests of one message: messages a second until delivered",
            None,
            run["messages_per_second"],
            None,
            run,
        )
    ]
