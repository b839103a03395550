"""Two nodes on one PostgreSQL, one of which ends in the middle: killed with -9, and asked to (SIGTERM).

How long a takeover takes is what the carriers' logs say: the longest silence of a carrier that begins about the end.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import signal
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from bench.api import Api, recipient, send_body
from bench.carrier_log import Submit, accepted, busiest_window, copies, duplicates, parse
from bench.figures import Figure, addresses, patiently
from bench.rig import Carrier, Rig, Server, Sink, wait_for

from sendpool.testing.postgres_server import postgres_server

CARRIERS = 4
#: Seconds: the longest silence of any carrier after a kill, and after SIGTERM.
AFTER_KILL, AFTER_TERM = 20.0, 2.0


class NodeSizes(NamedTuple):
    """How many messages over four carriers, and segments a second of each."""

    messages: int = 16_000
    mps: int = 100


NODES_QUICK = NodeSizes(3_000, 60)


class Ended(NamedTuple):
    """What the carriers and the API say of one run."""

    submits: dict[str, list[Submit]]
    #: When the node was told to end, and had ended (seconds since 1970).
    told_at: float
    gone_at: float
    #: Its exit status.
    status: int
    stats: Counter[str]
    #: Destinations of messages that are said to be of unknown fate.
    marked: set[str]
    problem: str


def two_nodes(sizes: NodeSizes) -> list[Figure]:
    """Two nodes and four carriers on PostgreSQL, one node killed at half, and one asked to end at half."""
    killed, asked = _run(sizes, signal.SIGKILL), _run(sizes, signal.SIGTERM)
    burst = max(1.0, 0.05 * sizes.mps)
    allowed = sizes.mps + burst + sizes.mps / 10
    return [
        _lost("killed", killed, sizes),
        _lost("asked to end", asked, sizes),
        _pace("killed", killed, allowed),
        _pace("asked to end", asked, allowed),
        _takeover("kill -9", killed, AFTER_KILL),
        _takeover("SIGTERM", asked, AFTER_TERM),
    ]


def _run(sizes: NodeSizes, how: signal.Signals) -> Ended:
    with contextlib.ExitStack() as stack:
        rig = stack.enter_context(Rig())
        url = stack.enter_context(postgres_server()).url()
        sinks = [rig.sink(f"carrier-{n}", "--dlr", "1/100") for n in range(CARRIERS)]
        carriers = [
            Carrier(sink.name, sink.port, [(addresses(n, 1)[0], sizes.mps)], window=50, mps=sizes.mps)
            for n, sink in enumerate(sinks)
        ]
        first = rig.server(*carriers, url=url, name="node-1")
        second = rig.server(*carriers, url=url, name="node-2")
        api = Api(second.base)
        pool_id = api.create_pool()
        operations = [api.send(send_body(pool_id, at, 2_000))[0] for at in range(0, sizes.messages, 2_000)]
        total = sum(api.stats([one])["total"] for one in operations)
        wait_for(lambda: _sent(api, operations) >= total / 2, 120.0, "half of it is sent", 0.2)
        told_at = time.time()
        status = _end(first, how)
        gone_at = time.time()
        left = total / (CARRIERS * sizes.mps) + 60.0
        problem = patiently(lambda: _wait_settled(api, operations, left))
        stats = api.stats(operations)
        marked = {
            str(one["to"][0]["address"]).lstrip("+") for one in api.pages("/v1/Messages", "messages", ambiguous="true")
        }
        submits = {sink.name: _stopped(sink) for sink in sinks}
    return Ended(submits, told_at, gone_at, status, stats, marked, problem)


def _end(server: Server, how: signal.Signals) -> int:
    if how is signal.SIGKILL:
        server.kill()
        return -int(how)
    return server.stop()


def _sent(api: Api, operations: Sequence[str]) -> int:
    stats = api.stats(operations)
    return stats["sent"] + stats["delivered"]


def _wait_settled(api: Api, operations: Sequence[str], seconds: float) -> None:
    def settled() -> bool:
        stats = api.stats(operations)
        unknown = len(list(api.pages("/v1/Messages", "messages", ambiguous="true")))
        return not stats["queued"] and stats["sent"] == unknown

    wait_for(settled, seconds, "every message is delivered, ended or said to be of unknown fate", 0.5)


def _stopped(sink: Sink) -> list[Submit]:
    sink.stop()
    return accepted(parse(sink.log.read_text().splitlines()))


# ---------------------------------------------------------------- what it comes to


def _lost(how: str, ended: Ended, sizes: NodeSizes) -> Figure:
    at_carriers = copies([one for submits in ended.submits.values() for one in submits])
    total = ended.stats["total"]
    wanted = {recipient(number).lstrip("+") for number in range(total)}
    lost = wanted - at_carriers.keys() - ended.marked
    twice = {phone for phone, number in at_carriers.items() if number > 1}
    detail: dict[str, Any] = {
        "delivered": ended.stats["delivered"],
        "stated_unknown": len(ended.marked),
        "duplicates": duplicates(at_carriers),
        "by_carrier": {name: len(submits) for name, submits in ended.submits.items()},
        "exit_status": ended.status,
        **({"problem": ended.problem} if ended.problem else {}),
    }
    met = not lost and not twice - ended.marked and not ended.problem and total >= sizes.messages
    return Figure(
        f"two nodes, one {how} at half: messages neither at a carrier nor marked",
        f"0 of {total}",
        len(lost),
        met,
        detail,
    )


def _pace(how: str, ended: Ended, allowed: float) -> Figure:
    busiest = {name: busiest_window(one.at for one in submits) for name, submits in ended.submits.items()}
    most = max(busiest.values())
    name = f"two nodes, one {how} at half: most of one carrier in any second"
    return Figure(name, f"at most {allowed:g}", most, most <= allowed, {"by_carrier": busiest})


def silence(times: Sequence[float], told_at: float, gone_at: float) -> float:
    """The longest time without a submit that was under way between the order to end and 30 s after the end.

    Infinite where the carrier got nothing more: nobody has taken it over.
    """
    ordered = sorted(times)
    if not ordered or ordered[-1] <= gone_at:
        return math.inf
    gaps = itertools.pairwise(ordered)
    return max((after - before for before, after in gaps if after >= told_at and before <= gone_at + 30.0), default=0.0)


def _takeover(how: str, ended: Ended, within: float) -> Figure:
    silences = {
        name: round(silence([one.at for one in submits], ended.told_at, ended.gone_at), 2)
        for name, submits in ended.submits.items()
    }
    longest = max(silences.values())
    name = f"two nodes: seconds until the other one sends over every carrier after {how}"
    shown = longest if longest < math.inf else "not at all"
    return Figure(name, f"at most {within:g}", shown, longest <= within, {"by_carrier": silences})
