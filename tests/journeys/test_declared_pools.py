"""A pool that the file declares: it is there at once, chooses as the file says, follows it, and goes with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.journeys.conftest import Rig, Server

FIRST, SECOND = "+12034458910", "+12124458911"
POOL = """
[[pools]]
name = "nearby"
preference = "match"
allow_countries = ["US"]
[[pools.members]]
channel = "SMS"
address = "+12034458910"
[[pools.members]]
channel = "SMS"
address = "+12124458911"
weight = 2
"""


async def pools(server: Server) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await server.call("GET", "/v1/SenderPools"))["senderPools"]
    return found


async def test_a_declared_pool_follows_the_file_and_sends_as_it_says(rig: Rig) -> None:
    centre = await rig.centre(receipt_delay=0.05)
    connection = rig.smpp("carrier", centre.port, [(FIRST, 50), (SECOND, 50)])
    server = await rig.server(connection + POOL)
    (pool,) = await pools(server)
    assert (pool["name"], pool["preference"], pool["countries"]) == ("nearby", "match", {"allow": ["US"]})
    members = (await server.call("GET", f"/v1/SenderPools/{pool['id']}/Senders"))["senders"]
    assert {one["address"]: one["weight"] for one in members} == {FIRST: 1, SECOND: 2}

    near = ["+12035550001", "+12125550002", "+12035550003"]
    body = {
        "from": {"senderPoolId": pool["id"]},
        "to": [{"address": one, "channel": "PHONE"} for one in [*near, "+447700900001"]],
        "content": {"text": "Hello"},
    }
    accepted = await server.call("POST", "/v1/Messages", body, expect=202)
    await server.wait_stats(accepted["operationId"], delivered=3, unaddressable=1)
    assert {(one.source, one.destination.lstrip("+")) for one in centre.submits} == {
        (FIRST, "12035550001"),
        (SECOND, "12125550002"),
        (FIRST, "12035550003"),
    }
    errors = await server.call("GET", f"/v1/Messages/Operations/{accepted['operationId']}/Errors")
    assert [error["code"] for error in errors["errors"]] == [21408]

    server.write(connection + POOL.replace('"match"', '"spread"'))
    await server.reload()
    (changed,) = await pools(server)
    assert (changed["id"], changed["preference"]) == (pool["id"], "spread")

    server.write(connection)
    await server.reload()
    assert await pools(server) == []
