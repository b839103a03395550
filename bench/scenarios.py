"""The loads that are timed: bulk in large requests, and single messages, each on fresh processes and database."""

from __future__ import annotations

from typing import Any, NamedTuple

from bench.api import Api, load, recipient, send_body
from bench.carrier_log import quantile
from bench.rig import Carrier, Neighbours, Rig, RigFailed, Server, Sink, Usage, wait_for

#: The sender of the warm-up, and of everything else.
SENDER = "+12034458000"
#: Faster than anything here: what is measured is never waiting for a rate.
NO_LIMIT = 100_000
WINDOW = 500
REQUEST = 10_000
#: Recipients of warm-up messages, away from those that are counted.
WARM_UP = 9_999_000
#: Seconds that a load may take before it counts as failed.
PATIENCE = 90.0


class Bench(NamedTuple):
    """One server with one fast SMPP connection, its link up."""

    sink: Sink
    server: Server
    api: Api
    pool_id: str


def fast_server(rig: Rig) -> Bench:
    """A server with one sender on one connection, as fast as it goes, to a carrier that sends every receipt."""
    sink = rig.sink("carrier-a", "--dlr", "1/100")
    server = rig.server(Carrier("carrier-a", sink.port, [(SENDER, NO_LIMIT)], WINDOW, NO_LIMIT))
    api = Api(server.base)
    pool_id = api.create_pool()
    api.warm_up(pool_id, WARM_UP)
    return Bench(sink, server, api, pool_id)


def bulk(messages: int, *, connections: int = 2) -> dict[str, Any]:
    """Messages in requests of 10,000: from the first HTTP byte until all operations count them as delivered."""
    with Rig() as rig:
        bench = fast_server(rig)
        size = min(REQUEST, messages)
        bodies = [send_body(bench.pool_id, first, size) for first in range(0, messages, size)]
        before, neighbours = bench.server.usage(), Neighbours()
        sent = load(bench.server.base, bodies, connections, PATIENCE)
        done = bench.api.wait_delivered(sent.operation_ids(), PATIENCE)
        after, others = bench.server.usage(), neighbours.cores()
        totals = bench.sink.stop()
        _check(totals, messages)
        return {
            "messages": messages,
            "messages_per_second": round(messages / (done - sent.began)),
            "seconds": round(done - sent.began, 3),
            # The carrier's view of the same end, without what our looking for it adds.
            "seconds_to_last_receipt": round(totals["last_dlr_ack"] - sent.began, 3),
            "seconds_to_last_accept": round(sent.ended - sent.began, 3),
            "accept_ms": _milliseconds([answer.seconds for answer in sent.answers]),
            **_used(before, after, messages, others),
        }


def single(messages: int, *, connections: int = 50) -> dict[str, Any]:
    """One message a request: from the first HTTP byte until the carrier's last receipt is durable."""
    with Rig() as rig:
        bench = fast_server(rig)
        bodies = [send_body(bench.pool_id, number, 1) for number in range(messages)]
        before, neighbours = bench.server.usage(), Neighbours()
        sent = load(bench.server.base, bodies, connections, PATIENCE)
        sent.operation_ids()
        everything = messages + 1
        wait_for(
            lambda: bench.sink.receipts_acknowledged() >= everything, PATIENCE, "every receipt is acknowledged", 0.05
        )
        after, others = bench.server.usage(), neighbours.cores()
        _check_delivered(bench.api, messages)
        totals = bench.sink.stop()
        _check(totals, messages)
        seconds = totals["last_dlr_ack"] - sent.began
        return {
            "messages": messages,
            "messages_per_second": round(messages / seconds),
            "seconds": round(seconds, 3),
            "accepted_per_second": round(messages / (sent.ended - sent.began)),
            "accept_ms": _milliseconds([answer.seconds for answer in sent.answers]),
            **_used(before, after, messages, others),
        }


def _check(totals: dict[str, Any], messages: int) -> None:
    """A rate at which messages are lost or doubled is none."""
    if totals["accepted"] != messages + 1 or totals["duplicates"]:
        taken = f"{totals['accepted']} of {messages + 1} messages"
        raise RigFailed(f"the carrier accepted {taken}, {totals['duplicates']} of them twice")


def _check_delivered(api: Api, messages: int) -> None:
    wanted = {recipient(number) for number in range(messages)}
    wanted -= {one["to"][0]["address"] for one in api.pages("/v1/Messages", "messages", status="DELIVERED")}
    if wanted:
        raise RigFailed(f"{len(wanted)} messages are not DELIVERED although every receipt was acknowledged")


def _milliseconds(seconds: list[float]) -> dict[str, float]:
    shares = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {name: round(quantile(seconds, share) * 1000, 1) for name, share in shares.items()}


def _used(before: Usage, after: Usage, messages: int, others: float) -> dict[str, float]:
    return {
        "cpu_seconds_per_1000": round((after.cpu_seconds - before.cpu_seconds) / messages * 1000, 4),
        "peak_rss_mb": round(after.peak_rss_mb, 1),
        "cores_of_neighbours": round(others, 2),
    }
