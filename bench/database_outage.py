"""The database goes away for a minute: requests are answered 503, and everything goes on without a restart."""

from __future__ import annotations

import contextlib
import json
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from bench.api import Api, send_body
from bench.carrier_log import copies, duplicates
from bench.figures import Figure, addresses, patiently, read_log
from bench.rig import Carrier, Rig, RigFailed, wait_for

from sendpool.testing.postgres_server import DURABLE, PostgresServer, postgres_server
from sendpool.testing.proxy import ThreadedProxy, threaded_proxy

#: Seconds that a client waits for an answer, and between two of its requests.
PATIENCE, EVERY = 30.0, 1.0


class OutageSizes(NamedTuple):
    """How long it lasts, and how much is under way meanwhile."""

    seconds: float = 60.0
    messages: int = 4_000
    mps: int = 100


OUTAGE_QUICK = OutageSizes(8.0, 600, 60)


class Probe(NamedTuple):
    """One request during the outage."""

    #: 0: nobody answered.
    status: int
    retry_after: str
    seconds: float


def database_outage(sizes: OutageSizes) -> list[Figure]:
    """The database gone for a minute: killed, and behind a network that is cut."""
    return [
        *_outage("killed", sizes, _crash, _come_back),
        *_outage("behind a cut network", sizes, _cut, _mend),
    ]


Break = Callable[[PostgresServer, ThreadedProxy], None]


def _crash(postgres: PostgresServer, proxy: ThreadedProxy) -> None:
    postgres.stop(signal.SIGQUIT)
    proxy.cut()


def _come_back(postgres: PostgresServer, proxy: ThreadedProxy) -> None:
    del proxy
    postgres.start()


def _cut(postgres: PostgresServer, proxy: ThreadedProxy) -> None:
    del postgres
    proxy.stall()


def _mend(postgres: PostgresServer, proxy: ThreadedProxy) -> None:
    # What had been sent into the cut is lost; new connections get through.
    del postgres
    proxy.cut()
    proxy.resume()


def _outage(how: str, sizes: OutageSizes, break_it: Break, mend_it: Break) -> list[Figure]:
    with contextlib.ExitStack() as stack:
        rig = stack.enter_context(Rig())
        postgres = stack.enter_context(postgres_server(DURABLE))
        proxy = stack.enter_context(threaded_proxy(path=str(postgres.folder / f".s.PGSQL.{postgres.port}")))
        sink = rig.sink("carrier-a", "--dlr", "1/50")
        senders = [(address, sizes.mps // 2) for address in addresses(0, 2)]
        server = rig.server(
            Carrier("carrier-a", sink.port, senders, window=50),
            url=f"postgresql://sendpool@127.0.0.1:{proxy.port}/postgres?sslmode=disable",
        )
        pid = server.pid
        api = Api(server.base, PATIENCE)
        pool_id = api.create_pool()
        operations = [api.send(send_body(pool_id, 0, sizes.messages))[0]]
        wait_for(lambda: api.stats(operations)["delivered"] > sizes.mps, 30.0, "some are delivered")
        break_it(postgres, proxy)
        probes = _probe_for(sizes.seconds, api, pool_id)
        mend_it(postgres, proxy)
        mended = time.monotonic()
        operations += _until_taken(api, pool_id)
        back_after = time.monotonic() - mended
        left = sizes.messages / sizes.mps + 60.0
        problem = patiently(lambda: _wait_settled(api, operations, left))
        stats = api.stats(operations)
        unknown = len(list(api.pages("/v1/Messages", "messages", ambiguous="true")))
        same = not server.has_ended() and server.pid == pid
        sink.stop()
        at_carrier = copies(read_log(sink))
    return _figures(how, sizes, probes, back_after, stats, unknown, at_carrier, same, problem)


def _probe_for(seconds: float, api: Api, pool_id: str) -> list[Probe]:
    ends = time.monotonic() + seconds
    probes = []
    while time.monotonic() < ends:
        began = time.monotonic()
        probes.append(_probe(api, pool_id))
        time.sleep(max(0.0, min(EVERY - (time.monotonic() - began), ends - time.monotonic())))
    return probes


def _probe(api: Api, pool_id: str) -> Probe:
    began = time.monotonic()
    try:
        status, _ = api.ask("POST", "/v1/Messages", send_body(pool_id, 9_000_000, 1))
    except RigFailed:
        return Probe(0, "", time.monotonic() - began)
    return Probe(status, api.headers.get("retry-after") or "", time.monotonic() - began)


def _until_taken(api: Api, pool_id: str) -> list[str]:
    """Ask as a client does that is answered 503, until it is taken."""
    taken: list[str] = []

    def ask() -> bool:
        with contextlib.suppress(RigFailed):
            status, text = api.ask("POST", "/v1/Messages", send_body(pool_id, 8_000_000, 50))
            if status == 202:
                taken.append(json.loads(text)["operationId"])
        return bool(taken)

    wait_for(ask, 60.0, "requests are taken again", 0.2)
    return taken


def _wait_settled(api: Api, operations: Sequence[str], seconds: float) -> None:
    def settled() -> bool:
        stats = api.stats(operations)
        unknown = list(api.pages("/v1/Messages", "messages", ambiguous="true"))
        return not stats["queued"] and stats["sent"] == len(unknown)

    wait_for(settled, seconds, "every message is delivered, ended or said to be of unknown fate", 0.5)


def _figures(
    how: str,
    sizes: OutageSizes,
    probes: Sequence[Probe],
    back_after: float,
    stats: Counter[str],
    unknown: int,
    at_carrier: Counter[str],
    same: bool,
    problem: str,
) -> list[Figure]:
    wrong = [probe for probe in probes if probe.status != 503 or not probe.retry_after.isdigit()]
    accounted = stats["delivered"] + stats["failed"] + stats["undelivered"] + unknown
    detail: dict[str, Any] = {
        "probes": len(probes),
        "slowest_answer_seconds": round(max((probe.seconds for probe in probes), default=0.0), 2),
        "retry_after": sorted({probe.retry_after for probe in probes}),
        "others": sorted({probe.status for probe in wrong}),
    }
    return [
        Figure(
            f"database {how} for {sizes.seconds:.0f} s: answers that are not 503 with Retry-After",
            "0",
            len(wrong),
            bool(probes) and not wrong,
            detail,
        ),
        Figure(
            f"database {how}: then requests are taken again, by the same process",
            "within 10 s",
            round(back_after, 2),
            same and back_after <= 10,
        ),
        Figure(
            f"database {how}: accepted less delivered, failed and stated unknown, and copies too many at the carrier",
            "0 and 0",
            [stats["total"] - accounted, duplicates(at_carrier)],
            stats["total"] == accounted and not duplicates(at_carrier) and not problem,
            {
                "accepted": stats["total"],
                "delivered": stats["delivered"],
                "stated_unknown": unknown,
                **({"problem": problem} if problem else {}),
            },
        ),
    ]
