"""`POST /SenderPools/{id}/Rehearsal`: the body of a send, its errors, and nothing that stays."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.conftest import OTHER_SID, OTHER_TOKEN, PHONE, World

UNKNOWN = "comms_senderpool_01h9krwprkeee8fzqspvwy6nq8"
BODY = {"to": [PHONE, {"address": "a@example.com", "channel": "EMAIL"}], "content": {"text": "Hello"}}


async def pool(world: World) -> str:
    """A pool of every phone sender."""
    senders = (await world.client.get("/v1/Senders?channel=SMS")).json["senders"]
    made = await world.client.post("/v1/SenderPools", {"name": "all", "senders": [{"senderId": senders[0]["id"]}]})
    listed = await world.client.get(f"/v1/SenderPools?operationId={made.json['operationId']}")
    return str(listed.json["senderPools"][0]["id"])


async def test_a_send_is_rehearsed_and_nothing_is_stored(world: World) -> None:
    pool_id = await pool(world)
    body = {**BODY, "to": [PHONE]}

    answer = await world.client.post(f"/v1/SenderPools/{pool_id}/Rehearsal", body)

    assert answer.status == 200
    told = answer.json
    assert (told["senderPoolId"], told["total"], told["segments"]) == (pool_id, 1, 1)
    (step,) = told["detail"][0]["plan"]
    assert (step["channel"], step["address"], step["segments"]) == ("SMS", PHONE["address"], 1)
    assert {"senderId", "address", "verdict", "reason"} <= step["candidates"][0].keys()
    assert await world.client.listed() == []


async def test_from_may_be_there_if_it_names_this_pool(world: World) -> None:
    pool_id = await pool(world)
    path = f"/v1/SenderPools/{pool_id}/Rehearsal"
    same = {"from": {"senderPoolId": pool_id, "channels": {"filterIn": ["RCS"]}}}

    narrowed = await world.client.post(path, {**BODY, "to": [PHONE], **same})
    other = await world.client.post(path, {**BODY, "to": [PHONE], "from": {"senderPoolId": UNKNOWN}})

    assert (narrowed.json["total"], narrowed.json["unaddressable"]) == (0, 1)
    assert other.status == 400
    assert other.contexts == ["$.from"]


@pytest.mark.parametrize(
    "change",
    [
        {"to": []},
        {"to": [{"address": "x", "channel": "PHONE"}], "content": {}},
        {"category": "party"},
        {"colour": "red"},
        {"schedule": {"sendAt": ["2999-01-01T00:00:00Z"]}},
        {"content": {"contentId": "HX" + "0" * 32}},
    ],
)
async def test_what_is_wrong_with_a_send_is_wrong_with_its_rehearsal(world: World, change: dict[str, Any]) -> None:
    pool_id = await pool(world)
    body = {**BODY, "to": [PHONE], **change}

    rehearsed = await world.client.post(f"/v1/SenderPools/{pool_id}/Rehearsal", body)
    sent = await world.client.post("/v1/Messages", {**body, "from": {"senderPoolId": pool_id}})

    assert rehearsed.status == sent.status == 400
    assert rehearsed.json == sent.json


async def test_a_pool_of_another_account_or_none_is_unknown(world: World) -> None:
    pool_id = await pool(world)
    other = world.client.as_account(OTHER_SID, OTHER_TOKEN)

    for client, name in ((other, pool_id), (world.client, UNKNOWN), (world.client, "x")):
        assert (await client.post(f"/v1/SenderPools/{name}/Rehearsal", BODY)).status == 404
