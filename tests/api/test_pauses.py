"""A paused operation says so, and `.../Resume` lets it go on; what is somebody else's is unknown."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.conftest import World

from sendpool.domain import ids
from sendpool.store.feed import operation_key
from sendpool.store.pauses import Pause, pause_operation

UNKNOWN = "comms_operation_01h9krwprkeee8fzqspvwy6nq8"


async def pause(world: World, operation_id: str) -> None:
    uid = ids.parse_operation(operation_id)
    assert uid is not None
    key = await world.services.database.read(operation_key(uid))
    assert key is not None
    one = Pause(key, world.services.now(), 3, 41, "30007", "twilio/30007")
    assert await world.services.write(lambda: pause_operation(one))


@pytest.mark.parametrize("kind", ["Messages", "Emails"])
async def test_a_paused_operation_says_why_until_it_is_resumed(kind: str, world: World, conforms: Any) -> None:
    client = world.client
    operation_id = await (client.mailed if kind == "Emails" else client.sent)()
    path = f"/v1/{kind}/Operations/{operation_id}"
    assert "paused" not in (await client.get(path)).json
    await pause(world, operation_id)

    shown = (await client.get(path)).json
    assert shown["status"] == "PROCESSING"
    assert shown["paused"].pop("since").endswith("Z")
    assert shown["paused"] == {"refused": 3, "answers": 41, "code": "30007", "rule": "twilio/30007"}
    assert shown["estimatedCompletion"] is None
    listed = (await client.get(f"/v1/{kind}/Operations")).json["operations"]
    assert [one["paused"]["code"] for one in listed] == ["30007"]

    answer = await client.post(f"{path}/Resume", b"")
    assert (answer.status, answer.json["operationId"]) == (202, operation_id)
    assert "paused" not in (await client.get(path)).json
    assert (await client.post(f"{path}/Resume", b"")).status == 202
    other = "Messages" if kind == "Emails" else "Emails"
    assert (await client.post(f"/v1/{other}/Operations/{operation_id}/Resume", b"")).status == 404
    assert (await client.post(f"/v1/{kind}/Operations/{UNKNOWN}/Resume", b"")).status == 404
