"""`sendpool explain` answers while the server runs, and from the database when it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.journeys.conftest import Rig

SENDER = "+12034458910"


async def test_a_message_is_explained_by_the_running_server_and_without_it(rig: Rig) -> None:
    server = await rig.server(rig.sandbox([("SMS", SENDER, 0.4)]))
    operation = await server.send(await server.pool(), rig.phones(200))
    await server.wait_stats(operation, delivered=1)
    messages = await server.fetch_all(operation)
    sent = next(one for one in messages if one["status"] == "DELIVERED")
    waits = max((one for one in messages if one["status"] == "QUEUED"), key=lambda one: one["id"])

    answered = await server.call("GET", f"/v1/Messages/{waits['id']}/Explanation")
    told = await rig.command(server, "explain", waits["id"])
    by_attempt = await rig.command(server, "explain", sent["attempts"][0]["id"])

    assert told["waiting"]["reason"] == answered["waiting"]["reason"] == "in_queue"
    # For a moment its turn has come.
    assert told["candidates"][0]["reason"] in ("used_up", "turn")
    assert by_attempt["messageId"] == sent["id"]
    assert by_attempt["candidates"][0]["verdict"] == "taken"

    assert await server.stop() == 0

    (alone,) = (await rig.command(server, "explain", waits["id"]))["candidates"]
    assert (alone["verdict"], alone["reason"]) == ("skipped", "not_running")
    assert await rig.command(server, "explain", sent["id"]) == by_attempt
