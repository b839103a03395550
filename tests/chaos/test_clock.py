"""The wall clock jumps under a running server: nothing is lost or doubled, and throughput is kept to."""

from __future__ import annotations

import struct
import time
from collections import Counter
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sendpool.store.sqlite import connect, transact
from sendpool.testing.invariants import contradictions

if TYPE_CHECKING:
    from tests.journeys.conftest import Rig

    from sendpool.simulate.centre import MessageCentre

MPS = 100
HOUR = 3600.0
#: Seconds by which the clock is wrong, in turn: forward, back behind where it began, far ahead, right again.
JUMPS = (HOUR, -HOUR, 20 * HOUR, 0.0)
EACH = 150


async def test_a_clock_that_is_set_forward_and_back_loses_and_doubles_nothing(
    rig: Rig, shim: Path, tmp_path: Path
) -> None:
    clock = tmp_path / "clock"
    set_clock(clock, 0.0)
    centre = await rig.centre(receipt_delay="0.1-0.5")
    server = await rig.server(rig.smpp("carrier", centre.port, [("+12034458910", MPS)]), start=False)
    server.variables = {"LD_PRELOAD": str(shim), "SHIM_CLOCK": str(clock)}
    await server.start()
    pool = await server.pool()

    operations, jumped = [], []
    for n, jump in enumerate(JUMPS):
        operations.append(await server.send(pool, rig.phones(EACH, first=1_000 * n)))
        await rig.until(partial(arrived, centre, EACH * n + EACH // 3), what="some are at the carrier")
        set_clock(clock, jump)
        jumped.append(time.time())
    for operation in operations:
        await server.wait_stats(operation, 60.0, delivered=EACH)

    phones = Counter(submit.destination for submit in centre.submits)
    assert len(phones) == phones.total() == EACH * len(JUMPS)
    times = sorted(submit.at for submit in centre.submits)
    burst = max(1.0, 0.05 * MPS)
    for i, at in enumerate(times):
        within = sum(1 for later in times[i:] if later - at < 1.0)
        assert within <= MPS + burst + MPS / 10, f"{within} in the second from {at}; the clock jumped at {jumped}"
    assert await server.stop() == 0
    assert not server.events(level="error")
    with closing(connect(server.database)) as database:
        assert transact(database, contradictions()) == []


async def test_what_is_scheduled_is_sent_by_the_clock_as_it_is_set(rig: Rig, shim: Path, tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    set_clock(clock, 0.0)
    centre = await rig.centre()
    server = await rig.server(rig.smpp("carrier", centre.port, [("+12034458910", MPS)]), start=False)
    server.variables = {"LD_PRELOAD": str(shim), "SHIM_CLOCK": str(clock)}
    await server.start()
    pool = await server.pool()
    later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + HOUR))
    body = {
        "from": {"senderPoolId": pool},
        "to": [{"address": phone, "channel": "PHONE"} for phone in rig.phones(3)],
        "content": {"text": "Hello"},
        "schedule": {"sendAt": [later]},
    }
    operation = (await server.call("POST", "/v1/Messages", body, 202))["operationId"]
    set_clock(clock, -HOUR)
    at_once = await server.send(pool, rig.phones(3, first=10))
    await server.wait_stats(at_once, delivered=3)
    assert (await server.stats(operation))["scheduled"] == 3

    set_clock(clock, HOUR + 60)

    await server.wait_stats(operation, delivered=3)
    assert len(centre.submits) == 6


def arrived(centre: MessageCentre, number: int) -> bool:
    return len(centre.submits) >= number


def set_clock(path: Path, seconds: float) -> None:
    """Let the server's wall clock be off by so much. In place: the file is mapped."""
    with path.open("r+b" if path.exists() else "wb") as file:
        file.write(struct.pack("<q", int(seconds * 1e9)))
