"""The figures of sender pools that are about limits: many senders with texts of several lengths, and a shared scope."""

from __future__ import annotations

import time
from collections.abc import Sequence

from bench.api import Api, recipient
from bench.carrier_log import Submit, accepted, busiest_window, parse
from bench.figures import Figure, addresses
from bench.pools_scenarios import PoolSizes, body
from bench.rig import Carrier, Rig, wait_for

#: Senders and the segments a second of each; the texts that they send have these numbers of segments.
SENDERS, PACE = 20, 20
LENGTHS = {1: "x" * 100, 2: "x" * 300, 4: "x" * 600}
#: Segments a second of the shared scope, below the 200 of its senders.
SCOPE = 60
#: Seconds before and during which the carrier's log is looked at.
LEAD_IN, LOOK = 5.0, 20.0


def mixed(sizes: PoolSizes) -> list[Figure]:
    """Twenty senders of 20 segments a second, with messages of one, two and four segments queued."""
    del sizes
    numbers = addresses(0, SENDERS)
    submits, begin, end = _run(numbers, {})
    longest = max(LENGTHS)
    most = int((PACE + max(longest, 0.05 * PACE)) * 1.1)
    return [
        _used("20 senders of 20/s, texts of 1, 2 and 4 segments", submits, begin, end, SENDERS * PACE),
        _busiest("the most that one of 20 senders reaches in any second", submits, most),
    ]


def shared_scope(sizes: PoolSizes) -> list[Figure]:
    """Ten senders of 20 segments a second that share a scope of 60."""
    del sizes
    scope = f'[[scopes]]\nname = "campaign"\nmps = {SCOPE}\n'
    submits, begin, end = _run(addresses(0, 10), {1: LENGTHS[1]}, scope)
    most = int((SCOPE + 0.05 * SCOPE) * 1.1)
    busiest = busiest_window([one.at for one in submits])
    return [
        _used("10 senders of 20/s that share a scope of 60/s", submits, begin, end, SCOPE),
        Figure(
            "throughput: the most that a shared scope of 60/s reaches in any second at the carrier",
            f"<= {most}",
            busiest,
            busiest <= most,
        ),
    ]


def _run(numbers: Sequence[str], texts: dict[int, str], scope: str = "") -> tuple[list[Submit], float, float]:
    """Queue more than can leave, and look at the carrier's log for a while."""
    with Rig() as rig:
        sink = rig.sink("carrier-a", "--dlr", "1/100")
        server = rig.server(Carrier("carrier-a", sink.port, [(one, PACE) for one in numbers], window=500))
        if scope:
            head, header, senders = server.configured().partition("[[connections.senders]]")
            server.reconfigure(f'{head}scopes = ["campaign"]\n{header}{senders}\n{scope}')
        api = Api(server.base)
        pool_id = api.create_pool()
        for number, text in enumerate((texts or LENGTHS).values()):
            people = [recipient(number * 100_000 + one) for one in range(6_000)]
            api.call("POST", "/v1/Messages", body(pool_id, people, content={"text": text}))
        began = time.time()
        wait_for(lambda: time.time() >= began + LEAD_IN + LOOK, LEAD_IN + LOOK + 5, "the look is over")
        server.kill()
        sink.stop()
        return accepted(parse(sink.log.read_text().splitlines())), began + LEAD_IN, began + LEAD_IN + LOOK


def _used(what: str, submits: Sequence[Submit], begin: float, end: float, pace: float) -> Figure:
    within = sum(begin <= one.at < end for one in submits)
    used = within / ((end - begin) * pace)
    return Figure(
        f"throughput: the part that is used while anything is due, {what}",
        ">= 0.97",
        round(used, 4),
        used >= 0.97,
        {"segments": within, "seconds": end - begin},
    )


def _busiest(what: str, submits: Sequence[Submit], most: int) -> Figure:
    sources = {one.source for one in submits}
    busiest = max((busiest_window([one.at for one in submits if one.source == who]) for who in sources), default=0)
    return Figure(f"throughput: {what} at the carrier", f"<= {most}", busiest, busiest <= most)
