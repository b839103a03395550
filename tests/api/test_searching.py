from __future__ import annotations

from typing import Any

import pytest

PATH = "/v1/Senders/Search"
SMS = {"address": "+12034458910", "channel": "SMS"}


@pytest.mark.parametrize(
    ("body", "addresses"),
    [
        (SMS, ["+12034458910"]),
        ({**SMS, "channel": "sms", "status": "activated"}, ["+12034458910"]),
        ({**SMS, "status": "DEACTIVATED"}, []),
        ({**SMS, "status": None, "pageToken": None, "pageSize": None}, ["+12034458910"]),
        ({**SMS, "channel": "WHATSAPP"}, []),
        ({**SMS, "channel": "push"}, []),
        ({**SMS, "address": "+1203445891"}, []),
        ({**SMS, "address": "%"}, []),
        ({"address": "coolsupport_x12gb_agent", "channel": "RCS"}, ["coolsupport_x12gb_agent"]),
        ({"address": "support@coolcompany.com", "channel": "email"}, ["support@coolcompany.com"]),
        ({**SMS, "pageSize": 1}, ["+12034458910"]),
    ],
)
@pytest.mark.parametrize("version", ["v1", "preview"])
async def test_a_sender_is_found_by_its_exact_address_and_channel(
    body: dict[str, Any], addresses: list[str], version: str, still: Any, conforms: Any
) -> None:
    answer = await still.post(f"/{version}/Senders/Search", body)

    assert answer.status == 200
    conforms(answer.json, "SenderPage")
    assert [one["address"] for one in answer.json["senders"]] == addresses
    assert answer.json["pagination"]["next"] is None


async def test_what_is_found_is_what_the_list_shows(still: Any) -> None:
    listed = {one["id"]: one for one in (await still.get("/v1/Senders")).json["senders"]}

    (found,) = (await still.post(PATH, SMS)).json["senders"]

    assert found == listed[found["id"]]


async def test_a_page_is_named_by_a_token_on_both_versions_so_that_no_address_gets_into_a_url(still: Any) -> None:
    for version in ("v1", "preview"):
        path = f"/{version}/Senders/Search"
        page = (await still.post(path, SMS)).json
        token = page["pagination"]["self"]

        assert "/" not in token
        assert (await still.post(path, {**SMS, "pageToken": token})).json == page
        for other in (
            {**SMS, "channel": "RCS"},
            {**SMS, "address": "+12034458911"},
            {**SMS, "status": "ACTIVATED"},
        ):
            assert (await still.post(path, {**other, "pageToken": token})).contexts == ["$.pageToken"]


@pytest.mark.parametrize(
    ("body", "contexts"),
    [
        ({}, ["$.address", "$.channel"]),
        ({"address": "", "channel": "MMS"}, ["$.address", "$.channel"]),
        ({"address": 1, "channel": 2}, ["$.address", "$.channel"]),
        ({**SMS, "address": "a" * 321}, ["$.address"]),
        ({**SMS, "address": "\0"}, ["$.address"]),
        ({**SMS, "status": "ACTIVE"}, ["$.status"]),
        ({**SMS, "status": 1}, ["$.status"]),
        ({**SMS, "pageSize": 0}, ["$.pageSize"]),
        ({**SMS, "pageSize": 1001}, ["$.pageSize"]),
        ({**SMS, "pageSize": -1}, ["$.pageSize"]),
        ({**SMS, "pageSize": True}, ["$.pageSize"]),
        ({**SMS, "pageSize": "50"}, ["$.pageSize"]),
        ({**SMS, "pageToken": ""}, ["$.pageToken"]),
        ({**SMS, "pageToken": 1}, ["$.pageToken"]),
        ({**SMS, "adress": "x"}, [None]),
        (
            {"pageSize": 0, "status": "x", "pageToken": "x"},
            ["$.address", "$.channel", "$.status", "$.pageSize", "$.pageToken"],
        ),
    ],
)
async def test_a_search_that_cannot_be_read_is_a_400(
    body: dict[str, Any], contexts: list[str | None], still: Any, conforms: Any
) -> None:
    answer = await still.post(PATH, body)

    assert (answer.status, answer.contexts) == (400, contexts)
    conforms(answer.json, "ErrorResponse")


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"\xff"])
async def test_a_search_is_an_object(body: bytes, still: Any, conforms: Any) -> None:
    answer = await still.post(PATH, body)

    assert answer.status == 400
    conforms(answer.json, "ErrorResponse")


async def test_another_accounts_sender_is_not_found(world: Any) -> None:
    assert (await world.client.post(PATH, SMS)).json["senders"]
    assert (await world.other.post(PATH, SMS)).json["senders"] == []
