from __future__ import annotations

from typing import Any

import pytest


async def listed(client: Any, query: str = "") -> list[str]:
    answer = await client.get(f"/v1/Senders{query}")
    assert answer.status == 200, answer.body
    return [sender["address"] for sender in answer.json["senders"]]


async def test_senders_show_what_their_connection_declares(still: Any, conforms: Any) -> None:
    answer = await still.get("/v1/Senders?channel=sms")

    conforms(answer.json, "SenderPage")
    plain, named = answer.json["senders"]
    assert (named["address"], named["displayName"]) == ("+12034458910", "Cool Support")
    assert (plain["address"], plain["displayName"]) == ("+12034458911", None)
    assert named["channel"] == "SMS"
    assert named["status"] == "ACTIVATED"
    assert named["tags"] == {}
    assert named["createdAt"] == named["updatedAt"]


@pytest.mark.parametrize(
    ("query", "addresses"),
    [
        ("?channel=SMS", {"+12034458910", "+12034458911"}),
        ("?channel=Sms&status=activated", {"+12034458910", "+12034458911"}),
        ("?channel=email", {"support@coolcompany.com"}),
        ("?channel=PUSH", set()),
        ("?status=deactivated", set()),
        ("?startDate=2099-01-01T00:00:00Z", set()),
        ("?endDate=2001-01-01T00:00:00Z", set()),
        ("?channel=RCS&startDate=2001-01-01T00:00:00Z&endDate=2099-01-01T00:00:00Z", {"coolsupport_x12gb_agent"}),
    ],
)
async def test_filters_narrow_the_list(query: str, addresses: set[str], still: Any) -> None:
    assert set(await listed(still, query)) == addresses


@pytest.mark.parametrize(
    ("query", "context"),
    [
        ("?channel=MMS", "$.channel"),
        ("?channel=", "$.channel"),
        ("?status=ACTIVE", "$.status"),
        ("?pageToken=", "$.pageToken"),
        ("?pageToken=x", "$.pageToken"),
        ("?pageSize=0", "$.pageSize"),
    ],
)
async def test_a_filter_that_cannot_be_read_is_a_400(query: str, context: str, still: Any, conforms: Any) -> None:
    answer = await still.get(f"/v1/Senders{query}")

    assert answer.status == 400
    assert answer.contexts == [context]
    conforms(answer.json, "ErrorResponse")


async def test_one_sender_can_be_fetched(still: Any, conforms: Any) -> None:
    first = (await still.get("/v1/Senders")).json["senders"][0]

    answer = await still.get(f"/v1/Senders/{first['id']}")

    assert answer.json == first
    conforms(answer.json, "Sender")


@pytest.mark.parametrize(
    "name",
    [
        "comms_sender_123",
        "comms_sender_01h9krwprkeee8fzqspvwy6nq8",
        "comms_sender_01h9krwprkeee8fzqspvwy6nq8zzzz",
        "comms_senderpool_01h9krwprkeee8fzqspvwy6nq8",
        "%00",
        "%ff",
        "a" * 10_000,
    ],
)
async def test_a_sender_that_does_not_exist_is_a_404(name: str, still: Any, conforms: Any) -> None:
    answer = await still.get(f"/v1/Senders/{name}")

    assert answer.status == 404
    conforms(answer.json, "ErrorResponse")


async def test_another_accounts_senders_look_unknown(world: Any) -> None:
    first = (await world.client.get("/v1/Senders")).json["senders"][0]

    assert await listed(world.other) == []
    foreign = await world.other.get(f"/v1/Senders/{first['id']}")
    unknown = await world.other.get("/v1/Senders/comms_sender_01h9krwprkeee8fzqspvwy6nq8")
    assert (foreign.status, foreign.body) == (unknown.status, unknown.body) == (404, unknown.body)
