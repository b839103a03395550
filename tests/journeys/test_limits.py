"""Throughput as the carrier sees it: the sum of a pool's senders, never more than one sender's; throttling slows down.

A test process that is kept waiting by the machine sees messages late and together, which says nothing about when
they left; a server that is kept waiting sends fewer than it may. Such a measurement is made again.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING

from sendpool.simulate.script import Throttle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.journeys.conftest import Rig

SENDERS = [f"+1203445891{n}" for n in range(4)]
MPS = 20
#: What a carrier may see of one sender in any second: its rate, its burst (1), and a tenth.
MOST_OF_ONE = MPS + 1 + MPS // 10
#: What four senders send in a second at least where nothing holds them up.
LEAST_OF_ALL = 70
#: Seconds that this process may be kept waiting before what it saw says nothing.
KEPT_WAITING = 0.05
TRIES = 4


class Lag:
    """The longest that this process was kept waiting, in seconds."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            self.longest = max(self.longest, time.monotonic() - before - 0.01)

    async def stop(self) -> float:
        """End the watch; returns what it found."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        return self.longest


def most_in_a_second(times: Sequence[float]) -> int:
    """The most of these ascending times that lie within any second."""
    return max(bisect_left(times, at + 1.0) - i for i, at in enumerate(times))


async def test_pool_runs_at_the_sum_of_its_senders_and_none_exceeds_its_own_rate(rig: Rig) -> None:
    centre = await rig.centre(receipt_delay=0.05)
    server = await rig.server(rig.smpp("carrier", centre.port, [(sender, MPS) for sender in SENDERS]))
    pool = await server.pool()
    await rig.linked(centre)

    rates: list[int] = []
    for _ in range(TRIES):
        centre.submits.clear()
        lag = Lag()
        operation = await server.send(pool, rig.phones(200))
        await rig.until(lambda: len(centre.submits) == 200, what="all have left")
        undisturbed = await lag.stop() < KEPT_WAITING
        await server.wait_stats(operation, delivered=200)
        times = sorted(submit.at for submit in centre.submits)
        # The first tenths belong to growing from one message in flight, the last half second to running out.
        rates = [
            bisect_left(times, begin + 1.0) - bisect_left(times, begin) for begin in (times[0] + 0.3, times[0] + 1)
        ]
        if undisturbed and min(rates) >= LEAST_OF_ALL:
            break

    assert min(rates) >= LEAST_OF_ALL
    assert max(rates) <= len(SENDERS) * (MPS + 2)
    by_sender = {sender: sorted(one.at for one in centre.submits if one.source == sender) for sender in SENDERS}
    assert {sender: len(of_one) for sender, of_one in by_sender.items() if not 40 <= len(of_one) <= 60} == {}
    assert max(most_in_a_second(of_one) for of_one in by_sender.values()) <= MOST_OF_ONE


async def test_throttling_carrier_slows_its_sender_down_and_costs_no_message(rig: Rig) -> None:
    centre = await rig.centre(Throttle(mps=20), receipt_delay=0.05)
    server = await rig.server(rig.smpp("carrier", centre.port, [(SENDERS[0], 40)]))
    pool = await server.pool()
    await rig.linked(centre)

    operation = await server.send(pool, rig.phones(80))
    stats = await server.wait_stats(operation, 40.0, delivered=80)

    taken = Counter(submit.destination for submit in centre.submits if submit.status == 0)
    totals = centre.totals()
    assert taken == Counter(rig.phones(80))
    assert stats["failed"] == stats["undelivered"] == 0
    # A throttled submit is no attempt.
    assert stats["attempts"] == 80
    # At its own pace every second submit would meet the throttle.
    assert 0 < totals.throttled <= totals.accepted // 2
    assert {len(message["attempts"]) for message in await server.fetch_all(operation)} == {1}
