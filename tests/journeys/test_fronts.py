"""A server with a front: what it takes is durable, what it hands over is served, and it may end at any moment."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from tests.journeys.conftest import Rig, Server

SENDER = "+12034458910"


def fronts_of(server: Server) -> list[int]:
    """The processes of a server that take connections."""
    pid = server.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    commands = {int(one): Path(f"/proc/{one}/cmdline").read_bytes() for one in children}
    return [one for one, command in commands.items() if b"sendpool.fronting" in command]


async def start(rig: Rig, port: int, front_processes: int = 1) -> tuple[Server, str]:
    carrier = rig.smpp("carrier", port, [(SENDER, 2_000)])
    server = await rig.server(carrier, server=f"front_processes = {front_processes}")
    return server, await server.pool()


async def send_with_key(server: Server, pool: str, phone: str) -> str:
    """Send one message as a client that means to send it once: again under the same key, until it is answered."""
    body = {
        "from": {"senderPoolId": pool},
        "to": [{"address": phone, "channel": "PHONE"}],
        "content": {"text": "Hello"},
    }
    while True:
        try:
            found: Any = await server.call("POST", "/v1/Messages", body, 202, headers={"Idempotency-Key": phone})
            return str(found["operationId"])
        except (aiohttp.ClientError, OSError):
            await asyncio.sleep(0.02)


async def test_a_front_that_is_killed_comes_back_and_nothing_is_lost_or_doubled(rig: Rig) -> None:
    centre = await rig.centre(receipt_delay=0.02)
    server, pool = await start(rig, centre.port)
    phones = rig.phones(300)
    turns = asyncio.Semaphore(10)
    killed = set()

    def is_taken(number: int) -> bool:
        return len(centre.submits) >= number

    async def send(phone: str) -> str:
        async with turns:
            return await send_with_key(server, pool, phone)

    async def kill_twice() -> None:
        for at in (60, 160):
            await rig.until(partial(is_taken, at), what="messages are on their way")
            (front,) = await rig.until(lambda: [one for one in fronts_of(server) if one not in killed])
            os.kill(front, signal.SIGKILL)
            killed.add(front)

    killing = asyncio.create_task(kill_twice())
    operations = await asyncio.gather(*map(send, phones))
    await killing

    assert len(set(operations)) == 300
    await rig.until(lambda: len(centre.submits) >= 300, what="all are at the carrier")
    for operation in operations[::50]:
        await server.wait_stats(operation, delivered=1)
    assert Counter(submit.destination for submit in centre.submits) == Counter(phones)
    assert len(server.events("a front ended")) == 2
    assert await server.stop() == 0


async def test_whatever_is_asked_of_a_front_is_answered_as_by_the_server(rig: Rig) -> None:
    centre = await rig.centre(receipt_delay=0.02)
    server, pool = await start(rig, centre.port, front_processes=2)

    # More than a front takes itself, and a page: both on connections that it hands over.
    large = await server.send(pool, rig.phones(600))
    small = await server.send(pool, rig.phones(1, first=600))
    await server.wait_stats(large, delivered=600)
    await server.wait_stats(small, delivered=1)
    for body, status in (({"to": []}, 400), ({"from": {"senderPoolId": "comms_senderpool_" + "0" * 26}}, 400)):
        await server.call("POST", "/v1/Messages", body, status)
    unknown = {"to": [{"address": "+447700900001", "channel": "PHONE"}], "content": {"text": "x"}}
    unknown |= {"from": {"senderPoolId": pool[:-2] + "00"}}
    refused = await server.call("POST", "/v1/Messages", unknown, 400)
    assert refused["errors"][0]["context"] == "$.from.senderPoolId"

    async def accepted() -> float:
        figures = (await server.ask("GET", "/metrics")).body.decode().splitlines()
        counted = [line for line in figures if line.startswith("sendpool_http_requests_total") and "POST" in line]
        return sum(float(line.rsplit(" ", 1)[1]) for line in counted if '"202"' in line and "/Messages" in line)

    async def is_counted() -> bool:
        return await accepted() == 2

    # A front says a moment later what it has answered.
    await rig.until(is_counted, what="both are counted")
    assert await server.stop() == 0


async def test_a_revoked_key_opens_nothing_once_the_command_has_ended(rig: Rig) -> None:
    centre = await rig.centre(receipt_delay=0.02)
    server, _ = await start(rig, centre.port)
    key = await rig.command(server, "keys", "create")
    headers = {
        "Authorization": aiohttp.encode_basic_auth(key["sid"], key["secret"]),
        "Content-Type": "application/json",
    }
    asked = [await server.ask("POST", "/v1/Messages", b"{}", headers)]
    await rig.command(server, "keys", "revoke", key["sid"])
    asked.append(await server.ask("POST", "/v1/Messages", b"{}", headers))

    assert [one.status for one in asked] == [400, 401]
    assert await server.stop() == 0


async def test_a_front_that_hangs_is_ended_and_another_takes_its_place(rig: Rig) -> None:
    centre = await rig.centre(receipt_delay=0.02)
    server, pool = await start(rig, centre.port)
    (front,) = fronts_of(server)
    os.kill(front, signal.SIGSTOP)

    await rig.until(lambda: server.events("a front does not answer"), within=30.0, what="it is noticed")
    await rig.until(lambda: fronts_of(server) not in ([], [front]), what="another front runs")
    operation = await send_with_key(server, pool, rig.phones(1)[0])

    await server.wait_stats(operation, delivered=1)
    assert await server.stop() == 0


async def test_a_front_ends_with_its_server(rig: Rig) -> None:
    centre = await rig.centre()
    server, _ = await start(rig, centre.port)
    (front,) = fronts_of(server)

    await server.kill()

    await rig.until(lambda: not Path(f"/proc/{front}/cmdline").exists(), what="the front has ended")
