"""The requests of the two guides that this project began with, literally (with ids that exist)."""

from __future__ import annotations

from typing import Any

LIST = "/preview/Senders?status=ACTIVATED"
AS_CURL = {"content-type": "application/json"}

CREATE_WITH_TAGS = b"""
{
  "name": "Sales Leads - APAC",
  "tags": {
    "region": "APAC"
  }
}"""
CREATE_WITH_SENDERS = """{
    "name": "My First Pool",
    "senders": [
        { "senderId": "%s" },
        { "senderId": "%s" }
    ]
}"""
ADD = """{
  "senderId": "%s"
}"""
SEND_SMS = """{
  "from": {
    "senderPoolId": "%s"
  },
  "to": [
    {
      "address": "+19143188062",
      "channel": "PHONE"
    }
  ],
  "content": {
    "text": "Now I'm just using some of my senders!"
  }
}"""
SEND_BOTH = """{
    "from": {
        "senderPoolId": "%s"
    },
    "to": [
        {
            "address": "+19143188062",
            "channel": "PHONE"
        },
        {
            "address": "+19143188063",
            "channel": "WHATSAPP"
        }
    ],
    "content": {
        "text": "Hello, World!"
    }
}"""


async def test_the_guides_requests_work_literally(client: Any, conforms: Any) -> None:
    # Retrieve all Senders: the header is sent with a GET too.
    listed = await client.get(LIST, headers=AS_CURL)
    assert listed.status == 200
    conforms(listed.json, "SenderPage")
    senders = {sender["channel"]: sender["id"] for sender in listed.json["senders"]}
    assert set(senders) == {"SMS", "RCS", "WHATSAPP", "EMAIL"}
    assert listed.json["pagination"]["next"] is None

    # Create a Sender Pool, with name and tags.
    created = await client.request("POST", "/preview/SenderPools", CREATE_WITH_TAGS, headers=AS_CURL)
    assert created.status == 202
    conforms(created.json, "OperationReference")
    location = created.headers["resource-location"].removeprefix("http://localhost:8080")
    (pool,) = (await client.get(location)).json["senderPools"]
    assert (pool["name"], pool["tags"]) == ("Sales Leads - APAC", {"region": "APAC"})

    # Add a Sender to it.
    added = await client.request(
        "POST", f"/preview/SenderPools/{pool['id']}/Senders", (ADD % senders["SMS"]).encode(), headers=AS_CURL
    )
    assert added.status == 202
    conforms(added.json, "OperationReference")

    # Send a message using the Sender Pool.
    sent = await client.request("POST", "/preview/Messages", (SEND_SMS % pool["id"]).encode(), headers=AS_CURL)
    assert sent.status == 202

    # Create a pool with senders.
    body = (CREATE_WITH_SENDERS % (senders["SMS"], senders["WHATSAPP"])).encode()
    assert (await client.request("POST", "/preview/SenderPools", body, headers=AS_CURL)).status == 202

    # Retrieve a Sender Pool ID.
    pools = await client.get("/preview/SenderPools", headers=AS_CURL)
    conforms(pools.json, "SenderPoolPage")
    assert [pool["name"] for pool in pools.json["senderPools"]] == ["My First Pool", "Sales Leads - APAC"]
    assert pools.json["pagination"] == {"next": None, "self": "http://localhost:8080/preview/SenderPools"}

    # Send using a Sender Pool, to both kinds of recipient.
    pool_id = pools.json["senderPools"][0]["id"]
    sent = await client.request("POST", "/preview/Messages", (SEND_BOTH % pool_id).encode(), headers=AS_CURL)
    assert sent.status == 202
    conforms(sent.json, "OperationReference")
    operation = (await client.get(sent.json["operationLocation"].removeprefix("http://localhost:8080"))).json
    conforms(operation, "MessageOperation")
    assert (operation["status"], operation["stats"]["total"]) == ("PROCESSING", 2)


async def test_the_guides_placeholder_ids_are_malformed(client: Any, conforms: Any) -> None:
    for path, body in (
        ("/preview/SenderPools", CREATE_WITH_SENDERS % ("comms_sender_123", "comms_sender_456")),
        ("/preview/Messages", SEND_BOTH % "comms_senderpool_123"),
    ):
        answer = await client.request("POST", path, body.encode(), headers=AS_CURL)
        assert answer.status == 400
        conforms(answer.json, "ErrorResponse")
    added = await client.request(
        "POST",
        "/preview/SenderPools/comms_senderpool_12345/Senders",
        (ADD % "comms_sender_01h9krwprkeee8fzqspvwy6nq8").encode(),
    )
    assert added.status == 404
