"""SIGTERM: nothing new starts, what is on its way is finished, the rest waits for the next start."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING

import aiohttp
import pytest

if TYPE_CHECKING:
    from tests.journeys.conftest import Rig

SENDER = "+12034458910"


async def test_drained_server_loses_nothing_and_the_rest_goes_out_once_after_a_restart(rig: Rig) -> None:
    centre = await rig.centre(answer_delay=0.3, receipt_delay=0.1)
    server = await rig.server(rig.smpp("carrier", centre.port, [(SENDER, 40)]))
    pool = await server.pool()
    operation = await server.send(pool, rig.phones(200))
    await rig.until(lambda: len(centre.submits) >= 40, what="the queue is on its way")

    began = time.monotonic()
    assert await server.stop(within=15.0) == 0
    took = time.monotonic() - began

    at_the_stop = len(centre.submits)
    assert took < 15.0
    assert 40 <= at_the_stop < 150
    # Every submit was answered and its answer stored: no attempt stands as begun (1) or of unknown fate (3).
    assert server.rows("SELECT count(*) FROM attempt WHERE state IN (1, 3)") == [(0,)]
    assert server.events(level="error") == []

    server.write(rig.smpp("carrier", centre.port, [(SENDER, 100)]))
    await server.start()
    stats = await server.wait_stats(operation, delivered=200)
    assert stats["failed"] == 0
    assert Counter(submit.destination for submit in centre.submits) == Counter(rig.phones(200))
    assert await server.messages(operation, "&ambiguous=true") == []
    assert await server.stop() == 0


@pytest.mark.parametrize("fronts", [0, 1])
async def test_every_request_that_is_accepted_while_the_server_drains_is_delivered(fronts: int, rig: Rig) -> None:
    centre = await rig.centre(receipt_delay=0.05)
    carrier = rig.smpp("carrier", centre.port, [(SENDER, 200)])
    server = await rig.server(carrier, server=f"front_processes = {fronts}")
    pool = await server.pool()
    accepted: list[str] = []

    async def send_until_refused() -> None:
        for first in range(10_000):
            try:
                accepted.append(await server.send(pool, rig.phones(1, first)))
            except (aiohttp.ClientError, AssertionError):
                return

    sending = asyncio.create_task(send_until_refused())
    await rig.until(lambda: len(accepted) >= 10, what="requests are accepted")
    assert await server.stop() == 0
    await sending

    await server.start()
    for operation in accepted:
        await server.wait_stats(operation, delivered=1)
    assert Counter(submit.destination for submit in centre.submits) == Counter(rig.phones(len(accepted)))
    assert await server.stop() == 0


async def test_a_drained_connection_takes_receipts_and_its_messages_go_elsewhere_or_wait(rig: Rig) -> None:
    first, second = await rig.centre(receipt_delay=1.0), await rig.centre(receipt_delay=0.05)
    server = await rig.server(
        rig.smpp("first", first.port, [(SENDER, 50)]), rig.smpp("second", second.port, [("+12034458911", 50)])
    )
    pool, alone = await server.pool(), await server.pool(SENDER)
    operation = await server.send(pool, rig.phones(20))
    await rig.until(lambda: first.submits, what="the first carrier has some")

    said = await rig.run(server, "connections", "drain", "first")
    assert said.stdout.startswith("first is drain")
    before = len(first.submits)
    rest = await server.send(pool, rig.phones(20, 100))
    waiting = await server.send(alone, rig.phones(5, 200))
    await server.wait_stats(rest, delivered=20)
    await server.wait_stats(operation, delivered=20)

    assert len(first.submits) == before
    assert (await server.stats(waiting))["queued"] == 5
    assert (await server.senders())[SENDER]["status"] == "ACTIVATED"
    metrics = (await server.ask("GET", "/metrics")).body.decode()
    assert 'sendpool_drained_senders{connection="first"} 1.0' in metrics
    await server.stop()
    await server.start()
    (row, _) = await rig.command(server, "connections", "list")
    assert (row["name"], row["status"], row["inFlight"]) == ("first", "drained", 0)
    assert (await server.stats(waiting))["queued"] == 5

    await rig.command(server, "connections", "resume", "first")
    await server.wait_stats(waiting, delivered=5)


async def test_drain_ends_the_server_and_says_how_far_it_is(rig: Rig) -> None:
    centre = await rig.centre(answer_delay=2.5, receipt_delay=0.1)
    server = await rig.server(rig.smpp("carrier", centre.port, [(SENDER, 40)]))
    await server.send(await server.pool(), rig.phones(1_000))
    await rig.until(lambda: len(centre.submits) >= 5, what="some are on their way")

    said = (await rig.run(server, "drain")).stdout
    refused = await rig.run(server, "drain", status=1)

    assert "attempts in flight\n" in said
    assert said.endswith("The server has ended.\n")
    assert await server.stop() == 0
    assert server.rows("SELECT count(*) FROM attempt WHERE state IN (1, 3)") == [(0,)]
    assert refused.stderr.startswith("sendpool: no server takes commands at")
