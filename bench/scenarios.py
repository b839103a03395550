"""The loads that are timed: bulk in large requests, and single messages, each on fresh processes and database."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from bench.api import Api, Load, Prober, load, recipient, send_body
from bench.carrier_log import quantile
from bench.event_sinks import ANYWHERE, Tally, subscribe
from bench.rig import Carrier, Neighbours, Rig, RigFailed, Server, Sink, Usage, family, wait_for

from sendpool.testing.postgres_server import PostgresServer, postgres_server

#: The sender of the warm-up, and of everything else.
SENDER = "+12034458000"
#: Faster than anything here: what is measured is never waiting for a rate.
NO_LIMIT = 100_000
WINDOW = 500
REQUEST = 10_000
#: Recipients of warm-up messages, and of probes, away from those that are counted.
WARM_UP, PROBES = 9_999_000, 5_000_000
#: Seconds that a load may take before it counts as failed.
PATIENCE = 90.0
#: Seconds from one probe to the next: of one message, and of a large request.
PROBE_EVERY, LARGE_EVERY = 0.02, 4.0
#: Connections of those of one message: as many as may be late at once.
PROBERS = 10
#: What a production server would have; the throw-away one of the tests has no durability.
POSTGRES = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
}


class Setup(NamedTuple):
    """What a load meets."""

    #: Milliseconds from a submit to its receipt.
    receipts_after: int = 100
    #: Senders of the pool, one connection's or shared out among those of all processes.
    senders: int = 1
    #: Processes on one PostgreSQL database, each with a connection to the carrier; 0: one process on SQLite.
    nodes: int = 0
    #: Whether a webhook is told of every event of a message.
    sink: bool = False
    #: Processes beside the server that take connections.
    fronts: int = 0


USUAL = Setup()


class Bench(NamedTuple):
    """Servers with one fast SMPP connection each, their links up; `server` is the first."""

    sink: Sink
    server: Server
    api: Api
    pool_id: str
    others: Sequence[Server] = ()
    events: Tally | None = None
    postgres: PostgresServer | None = None

    def bases(self) -> list[str]:
        """Where all listen."""
        return [one.base for one in (self.server, *self.others)]

    def used(self) -> Usage:
        """What all servers and their children have used."""
        return Usage(*map(sum, zip(*(one.family() for one in (self.server, *self.others)), strict=True)))

    def database_cpu(self) -> float:
        """CPU seconds of the PostgreSQL server."""
        return family(self.postgres.pid).cpu_seconds if self.postgres is not None else 0.0


class Before(NamedTuple):
    """What had been used when a load began."""

    used: Usage
    database_cpu: float
    neighbours: Neighbours


def fast_server(rig: Rig, setup: Setup = USUAL) -> Bench:
    """Servers whose senders are as fast as it goes, to a carrier that sends every receipt."""
    sink = rig.sink("carrier-a", "--dlr", f"1/{setup.receipts_after}")
    postgres = rig.enter(postgres_server(POSTGRES)) if setup.nodes else None
    url = postgres.url() if postgres is not None else ""
    carriers = _carriers(sink, setup)
    names = ["server", *(f"node-{number}" for number in range(2, setup.nodes + 1))]
    settings = f"{ANYWHERE}front_processes = {setup.fronts}\n"
    servers = [rig.server(*carriers, url=url, name=name, settings=settings) for name in names]
    api = Api(servers[0].base)
    if len(servers) > 1:
        wait_for(lambda: _all_hold_a_connection(rig, len(servers)), 60.0, "every process has a connection", 0.5)
    pool_id = api.create_pool()
    events = Tally(rig.folder) if setup.sink else None
    if events is not None:
        subscribe(servers[0].base, events.port)
    api.warm_up(pool_id, WARM_UP)
    if events is not None:
        events.wait(1, 30.0)
    return Bench(sink, servers[0], api, pool_id, servers[1:], events, postgres)


def _carriers(sink: Sink, setup: Setup) -> list[Carrier]:
    """A connection for each process, with its part of the senders."""
    senders = [(f"+1203{4458000 + number}", NO_LIMIT) for number in range(max(setup.senders, setup.nodes))]
    connections = max(1, setup.nodes)
    return [
        Carrier(f"carrier-{number}", sink.port, senders[number::connections], WINDOW, NO_LIMIT)
        for number in range(connections)
    ]


def _all_hold_a_connection(rig: Rig, nodes: int) -> bool:
    leases = [one for one in rig.command("nodes")["leases"] if one["connection"]]
    return len({one["node"] for one in leases}) == nodes


def bulk(messages: int, setup: Setup = USUAL, *, connections: int = 2) -> dict[str, Any]:
    """Messages in requests of 10,000: from the first HTTP byte until all operations count them as delivered."""
    with Rig() as rig:
        bench = fast_server(rig, setup)
        before = _before(bench)
        sent = load(bench.bases(), _large(bench, 0, messages), connections, PATIENCE)
        if bench.events is not None:
            # To ask the server all the while is work for it, which nobody asks of Kannel.
            bench.events.wait(messages + 1, PATIENCE)
        done = bench.api.wait_delivered(sent.operation_ids(), PATIENCE)
        return {**_rate(messages, sent, done), **_finish(bench, before, sent, messages)}


def single(messages: int, setup: Setup = USUAL, *, connections: int = 50) -> dict[str, Any]:
    """One message a request: from the first HTTP byte until the carrier's last receipt is durable."""
    with Rig() as rig:
        bench = fast_server(rig, setup)
        bodies = [send_body(bench.pool_id, number, 1) for number in range(messages)]
        before = _before(bench)
        sent = load(bench.bases(), bodies, connections, PATIENCE)
        sent.operation_ids()
        everything = messages + 1
        wait_for(
            lambda: bench.sink.receipts_acknowledged() >= everything, PATIENCE, "every receipt is acknowledged", 0.05
        )
        found = _finish(bench, before, sent, messages, by_log=True)
        done = sent.began + found["seconds_to_last_receipt"]
        accepted = round(messages / (sent.ended - sent.began))
        return {**_rate(messages, sent, done), "accepted_per_second": accepted, **found}


def latency(messages: int, setup: Setup = USUAL) -> dict[str, Any]:
    """How long accepting takes while bulk runs: a request of one message each 20 ms, one of 10,000 each few seconds."""
    with Rig() as rig:
        bench = fast_server(rig, setup)
        size, at = min(REQUEST, messages), bench.bases()[-1]
        ones = [send_body(bench.pool_id, PROBES + number, 1) for number in range(round(PATIENCE / PROBE_EVERY))]
        larger = [send_body(bench.pool_id, messages + number * size, size) for number in range(int(PATIENCE))]
        before = _before(bench)
        # While others are encoded or decoded here, a probe would wait for our own interpreter.
        bodies = _large(bench, 0, messages)
        probers = Prober(at, ones, PROBE_EVERY, PROBERS), Prober(at, larger, LARGE_EVERY, 2)
        with contextlib.ExitStack() as stack:
            for prober in probers:
                stack.callback(prober.stop)
            sent = load(bench.bases(), bodies, 2, PATIENCE)
            done = bench.api.wait_delivered(sent.operation_ids(), PATIENCE)
        more = [operation_id for prober in probers for operation_id in prober.operation_ids]
        bench.api.wait_delivered(more, PATIENCE)
        total = messages + len(probers[0].seconds) + size * len(probers[1].seconds)
        large = [*(answer.seconds for answer in sent.answers), *probers[1].seconds]
        return {
            **_rate(messages, sent, done),
            **_finish(bench, before, sent, total),
            "messages": total,
            "single_ms": milliseconds(probers[0].seconds),
            "large_ms": milliseconds(large),
            "single_requests": len(probers[0].seconds),
            "large_requests": len(large),
        }


def _large(bench: Bench, first: int, messages: int) -> list[bytes]:
    size = min(REQUEST, messages)
    return [send_body(bench.pool_id, at, size) for at in range(first, first + messages, size)]


def _before(bench: Bench) -> Before:
    return Before(bench.used(), bench.database_cpu(), Neighbours())


def _rate(messages: int, sent: Load, done: float) -> dict[str, Any]:
    return {
        "messages": messages,
        "messages_per_second": round(messages / (done - sent.began)),
        "seconds": round(done - sent.began, 3),
    }


def _finish(bench: Bench, before: Before, sent: Load, messages: int, *, by_log: bool = False) -> dict[str, Any]:
    """What a load of so many messages used until the last event came; ends the carrier and checks what it took."""
    told: dict[str, Any] = {}
    if bench.events is not None:
        last = bench.events.wait(messages + 1, PATIENCE)
        told["seconds_to_last_event"] = round(last - sent.began, 3)
    after, database, others = bench.used(), bench.database_cpu(), before.neighbours.cores()
    if by_log:
        _check_delivered(bench.api, messages)
    totals = bench.sink.stop()
    check_taken(totals, messages)
    if bench.postgres is not None:
        told["database_cpu_seconds_per_1000"] = round((database - before.database_cpu) / messages * 1000, 4)
    return {
        # The carrier's view of the end, without what our looking for it adds.
        "seconds_to_last_receipt": round(totals["last_dlr_ack"] - sent.began, 3),
        "seconds_to_last_accept": round(sent.ended - sent.began, 3),
        **told,
        "accept_ms": milliseconds([answer.seconds for answer in sent.answers]),
        "cpu_seconds_per_1000": round((after.cpu_seconds - before.used.cpu_seconds) / messages * 1000, 4),
        "peak_rss_mb": round(after.peak_rss_mb, 1),
        "cores_of_neighbours": round(others, 2),
    }


def check_taken(totals: dict[str, Any], messages: int) -> None:
    """A rate at which messages are lost or doubled is none."""
    if totals["accepted"] != messages + 1 or totals["duplicates"]:
        taken = f"{totals['accepted']} of {messages + 1} messages"
        raise RigFailed(f"the carrier accepted {taken}, {totals['duplicates']} of them twice")


def _check_delivered(api: Api, messages: int) -> None:
    wanted = {recipient(number) for number in range(messages)}
    wanted -= {one["to"][0]["address"] for one in api.pages("/v1/Messages", "messages", status="DELIVERED")}
    if wanted:
        raise RigFailed(f"{len(wanted)} messages are not DELIVERED although every receipt was acknowledged")


def milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    """What answers took."""
    shares = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {name: round(quantile(seconds, share) * 1000, 1) for name, share in shares.items()}
