"""A changed file and SIGHUP, a reordered file and a restart, two servers on one database."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.journeys.conftest import Rig, Server

    from sendpool.simulate.centre import MessageCentre

FIRST, SECOND, THIRD = "+12034458910", "+12034458911", "+12034458912"


async def rate_after(rig: Rig, centre: MessageCentre, since: float) -> float:
    """Submits a second over the two seconds that begin shortly after *since* (wall clock)."""
    begin, end = since + 0.5, since + 2.5
    await rig.until(lambda: time.time() > end, what="two seconds are measured")
    return len([submit for submit in centre.submits if begin <= submit.at < end]) / (end - begin)


async def test_changed_throughput_is_taken_over_while_messages_wait(rig: Rig) -> None:
    centre = await rig.centre(receipt_delay=0.05)
    server = await rig.server(rig.smpp("carrier", centre.port, [(FIRST, 10)]))
    pool = await server.pool()
    operation = await server.send(pool, rig.phones(150))
    await rig.until(lambda: centre.submits, what="the first message leaves")
    assert 8 <= await rate_after(rig, centre, time.time()) <= 12

    server.write(rig.smpp("carrier", centre.port, [(FIRST, 40)]))
    assert (await server.reload())["event"] == "configuration applied"

    assert 33 <= await rate_after(rig, centre, time.time()) <= 44
    assert centre.totals().binds == 1
    await server.wait_stats(operation, delivered=150)


async def test_new_sender_appears_and_removed_one_becomes_deactivated(rig: Rig) -> None:
    centre = await rig.centre(receipt_delay=0.05)
    server = await rig.server(rig.smpp("carrier", centre.port, [(FIRST, 10), (SECOND, 10)]))
    before = await server.senders()
    await rig.linked(centre)

    server.write(rig.smpp("carrier", centre.port, [(SECOND, 10), (THIRD, 10)]))
    await server.reload()

    after = await server.senders()
    assert {address: sender["status"] for address, sender in after.items()} == {
        FIRST: "DEACTIVATED",
        SECOND: "ACTIVATED",
        THIRD: "ACTIVATED",
    }
    assert {address: after[address]["id"] for address in before} == {one: before[one]["id"] for one in before}

    body = {"to": [{"address": "+447700900001", "channel": "PHONE"}], "content": {"text": "Hello"}}
    await server.call("POST", "/v1/Messages", {**body, "from": {"senderId": after[FIRST]["id"]}}, expect=400)
    accepted = await server.call("POST", "/v1/Messages", {**body, "from": {"senderId": after[THIRD]["id"]}}, expect=202)
    await server.wait_stats(accepted["operationId"], delivered=1)
    assert [submit.source for submit in centre.submits] == [THIRD]
    assert centre.totals().binds == 1


async def test_bad_file_changes_nothing_and_logs_one_error(rig: Rig) -> None:
    centre = await rig.centre(receipt_delay=0.05)
    connection = rig.smpp("carrier", centre.port, [(FIRST, 50)])
    server = await rig.server(connection)
    before = await server.senders()
    pool = await server.pool()
    await rig.linked(centre)

    server.write(connection.replace("mps = 50", 'mps = "many"'))
    line = await server.reload()

    assert (line["event"], line["level"]) == ("configuration not applied", "error")
    assert str(server.config) in line["error"]
    assert "mps" in line["error"]
    assert len(server.events(level="error")) == 1
    assert await server.senders() == before
    await server.wait_stats(await server.send(pool, rig.phones(5)), delivered=5)
    assert centre.totals().binds == 1


async def test_ids_of_senders_stay_over_a_restart_with_a_reordered_file(rig: Rig) -> None:
    carriers = [
        rig.smpp("a", rig.dead_port(), [(FIRST, 10), (SECOND, 10)]),
        rig.smpp("b", rig.dead_port(), [(THIRD, 10)]),
    ]
    server = await rig.server(*carriers)
    before = {address: sender["id"] for address, sender in (await server.senders()).items()}
    assert await server.stop() == 0

    server.write(
        rig.smpp("b", rig.dead_port(), [(THIRD, 10)]), rig.smpp("a", rig.dead_port(), [(SECOND, 10), (FIRST, 10)])
    )
    await server.start()

    assert {address: sender["id"] for address, sender in (await server.senders()).items()} == before


async def test_second_server_on_the_same_database_ends_with_one_line(rig: Rig) -> None:
    server = await rig.server(rig.sandbox([("SMS", FIRST, 10)]))

    status, errors = _serve_again(rig, server)

    assert status != 0
    assert len(errors.splitlines()) == 1
    assert str(server.database) in errors
    assert (await server.senders())[FIRST]["status"] == "ACTIVATED"


def _serve_again(rig: Rig, server: Server) -> tuple[int, str]:
    again = subprocess.run(
        [sys.executable, "-m", "sendpool", "serve", "--config", str(server.config), "--port", "0"],
        env=rig.environment(),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return again.returncode, again.stderr
