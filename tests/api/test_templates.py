"""Templates: kept, resolved into each channel's content at acceptance, and never changed afterwards."""

from __future__ import annotations

from typing import Any

import pytest

TYPES = {
    "twilio/text": {"body": "Dear {{1}}, your order {{2}} is on its way."},
    "twilio/card": {"title": "Order {{2}}", "body": "Dear {{1}}, it is on its way."},
}
TEMPLATE = {"friendly_name": "order", "language": "en", "variables": {"1": "customer", "2": "4711"}, "types": TYPES}
PHONE = {"address": "+19143188062", "channel": "PHONE"}


async def made(client: Any, **changes: Any) -> Any:
    answer = await client.post("/v1/Content", {**TEMPLATE, **changes})
    assert answer.status == 201, answer.json
    return answer.json


async def said(client: Any, sid: str, **variables: str) -> list[Any]:
    """What a message to one recipient says, as a fetch shows it."""
    operation_id = await client.sent(to=[{**PHONE, "variables": variables}], content={"contentId": sid})
    (listed,) = await client.listed(f"?operationId={operation_id}")
    answer = await client.get(f"/v1/Messages/{listed['id']}")
    content = answer.json["content"]
    assert content["contentId"] == sid
    modules: list[Any] = content["modules"]
    return modules


async def test_a_template_is_kept_listed_changed_and_deleted(client: Any) -> None:
    template = await made(client)
    sid = template["sid"]

    assert template["url"].endswith(f"/v1/Content/{sid}")
    assert (await client.get(f"/v1/Content/{sid}")).json == template
    assert (await client.get("/v1/Content")).json["contents"] == [template]
    changed = await client.post(f"/v1/Content/{sid}", {"types": {"twilio/text": {"body": "x"}}}, "PUT")
    assert (changed.status, changed.json["types"]) == (200, {"twilio/text": {"body": "x"}})
    assert (await client.delete(f"/v1/Content/{sid}")).status == 204
    for ask in (client.get, client.delete):
        assert (await ask(f"/v1/Content/{sid}")).status == 404
    assert (await client.get("/v1/Content")).json["contents"] == []


async def test_a_list_of_templates_has_pages(client: Any) -> None:
    sids = [(await made(client))["sid"] for _ in range(3)]

    first = (await client.get("/v1/Content?pageSize=2")).json
    second = (await client.get(f"/v1/Content?pageSize=2&pageToken={first['pagination']['next']}")).json

    assert [one["sid"] for one in first["contents"] + second["contents"]] == sids[::-1]
    assert second["pagination"]["next"] is None


async def test_each_recipient_gets_the_template_with_their_variables_or_its_defaults(client: Any) -> None:
    sid = (await made(client))["sid"]

    modules = await said(client, sid, **{"1": "Ana"})

    assert {"sms": {"text": "Dear Ana, your order 4711 is on its way."}} in modules
    card = next(one["rcs"] for one in modules if "rcs" in one)["richCard"]["standaloneCard"]["cardContent"]
    assert card == {"title": "Order 4711", "description": "Dear Ana, it is on its way."}


async def test_a_later_change_of_a_template_changes_no_message(client: Any) -> None:
    sid = (await made(client))["sid"]
    operation_id = await client.sent(to=[PHONE], content={"contentId": sid})

    await client.post(f"/v1/Content/{sid}", {"types": {"twilio/text": {"body": "Other"}}}, "PUT")
    await client.delete(f"/v1/Content/{sid}")

    (listed,) = await client.listed(f"?operationId={operation_id}")
    content = (await client.get(f"/v1/Messages/{listed['id']}")).json["content"]
    assert {"sms": {"text": "Dear customer, your order 4711 is on its way."}} in content["modules"]


@pytest.mark.parametrize("sid", ["HX" + "0" * 32, "HX" + "a" * 26])
async def test_a_template_that_does_not_exist_is_named_by_its_place(client: Any, sid: str) -> None:
    answer = await client.post("/v1/Messages", {"to": [PHONE], "content": {"contentId": sid}})

    assert (answer.status, answer.codes, answer.contexts) == (400, [20404], ["$.content.contentId"])


async def test_a_deleted_template_and_one_of_another_account_look_unknown(world: Any) -> None:
    client = world.client
    deleted, foreign = (await made(client))["sid"], (await made(world.other))["sid"]
    await client.delete(f"/v1/Content/{deleted}")

    for sid in (deleted, foreign):
        answer = await client.post("/v1/Messages", {"to": [PHONE], "content": {"contentId": sid}})
        assert (answer.status, answer.codes) == (400, [20404])
        assert (await client.get(f"/v1/Content/{sid}")).status == 404
    assert (await client.post(f"/v1/Content/{foreign}", TEMPLATE, "PUT")).status == 404


@pytest.mark.parametrize("content", [{"contentId": "x"}, {"contentId": 1}, {"contentId": "HX" + "0" * 35}])
async def test_a_malformed_content_id_is_refused(client: Any, content: Any) -> None:
    answer = await client.post("/v1/Messages", {"to": [PHONE], "content": content})

    assert (answer.status, answer.contexts) == (400, ["$.content.contentId"])


@pytest.mark.parametrize(
    ("changes", "context"),
    [
        ({"types": None}, "$.types"),
        ({"types": {}}, "$.types"),
        ({"types": {"twilio/list-picker": {}}}, "$.types"),
        ({"types": {"twilio/text": {"body": ""}}}, "$.types.twilio/text.body"),
        ({"types": {"twilio/text": {"body": "{{1"}}}, "$.types.twilio/text.body"),
        ({"types": {"twilio/media": {"media": ["ftp://a.example/x"]}}}, "$.types.twilio/media.media[0]"),
        ({"types": {"twilio/quick-reply": {"body": "x", "actions": [{"title": "y" * 26}]}}}, "$.types"),
        ({"types": {"twilio/text": {"body": "x" * 1_601}}}, "$.types"),
        ({"variables": {"1": 2}}, "$.variables"),
        ({"variables": []}, "$.variables"),
        ({"language": "x y"}, "$.language"),
        ({"friendly_name": "x" * 257}, "$.friendly_name"),
    ],
)
async def test_what_is_wrong_with_a_template_is_named_by_its_place(client: Any, changes: Any, context: str) -> None:
    answer = await client.post("/v1/Content", {**TEMPLATE, **changes})

    assert answer.status == 400
    assert set(answer.contexts) == {context}


async def test_an_unknown_field_of_a_template_is_refused(client: Any) -> None:
    answer = await client.post("/v1/Content", {**TEMPLATE, "colour": "red"})

    assert (answer.status, answer.contexts) == (400, [None])
