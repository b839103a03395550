"""One test for each row of the table "Where sources disagree" of the contract's behaviour: all that is accepted is
accepted, and what is emitted satisfies everybody.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from sendpool.domain.profile import Profile
from sendpool.domain.states import AttemptState, MessageState
from sendpool.store.profiles import save_profiles

PHONE = {"address": "+19143188062", "channel": "PHONE"}
SEND = {"to": [PHONE], "content": {"text": "Hi"}}
ANA = Profile(
    "mem_profile_01h9krwprkeee8fzqspvwy6nq8", "mem_store_01h9krwprkeee8fzqspvwy6nq8", [("+19143188062", "P")], {}
)
MAIL: dict[str, Any] = {
    "from": {"address": "support@coolcompany.com"},
    "to": [{"address": "ana@example.test"}],
    "content": {"subject": "Hello", "html": "<p>Hello</p>"},
}
BASE = "http://localhost:8080"


def local(url: str) -> str:
    assert url.startswith(BASE)
    return url.removeprefix(BASE)


async def accepted(client: Any) -> list[Any]:
    """The answers of everything that makes an operation."""
    pool_id = await client.pool_of("+12034458910")
    sender_id = (await client.senders())["+12034458911"]
    return [
        await client.post("/v1/Messages", SEND),
        await client.post("/preview/SenderPools", {"name": "x"}),
        await client.post(f"/v1/SenderPools/{pool_id}/Senders", {"senderId": sender_id}),
        await client.post("/preview/Emails", MAIL),
    ]


async def test_operation_id_in_202(client: Any) -> None:
    for answer in await accepted(client):
        operation_id, location = answer.json["operationId"], answer.json["operationLocation"]
        assert answer.headers["operationid"] == answer.headers["operation-id"] == operation_id
        assert answer.headers["operationlocation"] == answer.headers["operation-location"] == location
        assert (await client.get(local(location))).json["id"] == operation_id
        assert (await client.get(local(answer.headers["resource-location"]))).status == 200


async def test_202_body(client: Any, conforms: Any) -> None:
    for answer in await accepted(client):
        assert answer.status == 202
        assert answer.headers["content-type"] == "application/json"
        assert answer.json.keys() - {"estimatedCompletion"} == {"operationId", "operationLocation"}
        conforms(answer.json, "OperationReference")


@pytest.mark.parametrize(
    ("path", "body", "key"),
    [("/v1/Messages", SEND, "messages"), ("/v1/SenderPools", {}, "senderPools"), ("/v1/Emails", MAIL, "emails")],
)
async def test_operation_filter(path: str, body: Any, key: str, client: Any) -> None:
    made, other = [(await client.post(path, body)).json["operationId"] for _ in range(2)]

    for query in (f"operationId={made}", f"operation_id={made}", f"operationId={made}&operation_id={made}"):
        assert len((await client.get(f"{path}?{query}")).json[key]) == 1, query
    refused = await client.get(f"{path}?operationId={made}&operation_id={other}")
    assert (refused.status, refused.contexts) == (400, ["$.operationId"])


async def test_channel_case(world: Any) -> None:
    client = world.client
    pool_id = await client.pool_of("+12034458910", "coolsupport_x12gb_agent")
    channels = {"filterIn": ["sms"], "priority": [{"channel": "Sms", "priority": 0}]}
    for origin in ({"address": "+12034458910", "channel": "sms"}, {"senderPoolId": pool_id, "channels": channels}):
        operation_id = await client.sent(to=[{"address": PHONE["address"], "channel": "phone"}], origin=origin)
        await world.change(operation_id, 0, address="+12034458910")
        (message,) = await client.listed(f"?operationId={operation_id}&channel=sMs")
        assert (message["to"], message["from"]["channel"]) == ([PHONE], "SMS")

    for spelling in ("whatsapp", "WHATSAPP", "WhatsApp"):
        (sender,) = (await client.get(f"/v1/Senders?channel={spelling}")).json["senders"]
        assert sender["channel"] == "WHATSAPP"


async def test_status_case(client: Any) -> None:
    operation_id = await client.sent()
    await client.post("/v1/SenderPools", {})

    for spelling in (str.lower, str.upper, str.title):
        for path, status, key in (
            ("/v1/Messages", "QUEUED", "messages"),
            ("/v1/Messages/Operations", "PROCESSING", "operations"),
            ("/v1/Senders", "ACTIVATED", "senders"),
            ("/v1/SenderPools/Operations", "COMPLETED", "operations"),
        ):
            found = (await client.get(f"{path}?status={spelling(status)}")).json[key]
            assert {one["status"] for one in found} == {status}
        # Some pollers know of a state in which no operation of a pool ends.
        assert (await client.get(f"/v1/SenderPools/Operations?status={spelling('FAILED')}")).json["operations"] == []
    assert (await client.get(f"/v1/Messages/Operations/{operation_id}")).json["status"] == "PROCESSING"


async def test_recipient(world: Any, conforms: Any) -> None:
    await world.write(save_profiles(world.accounts[0].id, [ANA], 1))
    for one in (
        PHONE,
        {"addresses": [PHONE, {"address": "+19143188063", "channel": "WHATSAPP"}]},
        {"profileId": ANA.profile_id, "memoryStoreId": ANA.store_id},
    ):
        operation_id = await world.client.sent(to=[one])

        (message,) = await world.client.listed(f"?operationId={operation_id}")

        conforms(message, "MessageMetadata")
        (to,) = message["to"]
        assert {name: to[name] for name in ("address", "channel")} == PHONE


async def test_profile_recipient(world: Any) -> None:
    await world.write(save_profiles(world.accounts[0].id, [ANA], 1))
    store = {"memoryStoreId": ANA.store_id}
    for more in (store, {}):
        operation_id = await world.client.sent(to=[{"profileId": ANA.profile_id, **more}])

        (message,) = await world.client.listed(f"?operationId={operation_id}&profile={ANA.profile_id}")

        assert message["to"] == [{**PHONE, "profileId": ANA.profile_id, **store}]


async def test_connected_address(client: Any) -> None:
    await client.sent(to=[{"addresses": [PHONE]}])

    refused = await client.post("/v1/Messages", {**SEND, "to": [{"connectedAddress": "comms_address_1"}]})

    assert (refused.status, refused.contexts) == (400, ["$.to[0]"])


async def test_add_pool_senders(client: Any, conforms: Any) -> None:
    sender_id = (await client.senders())["+12034458910"]
    for body in ([{"senderId": sender_id}], {"senderId": sender_id}):
        pool_id = await client.pool_of()

        answer = await client.post(f"/v1/SenderPools/{pool_id}/Senders", body)

        assert answer.status == 202
        conforms(answer.json, "OperationReference")
        members = (await client.get(f"/v1/SenderPools/{pool_id}/Senders")).json["senders"]
        assert [one["id"] for one in members] == [sender_id]


async def test_create_pool_name(client: Any) -> None:
    for body, name in (({}, ""), ({"name": "Alerts"}, "Alerts")):
        made = (await client.post("/v1/SenderPools", body)).json["operationId"]

        (pool,) = (await client.get(f"/v1/SenderPools?operationId={made}")).json["senderPools"]

        assert pool["name"] == name


async def test_add_senders_location(client: Any) -> None:
    pool_id = await client.pool_of()
    sender_id = (await client.senders())["+12034458910"]

    answer = await client.post(f"/v1/SenderPools/{pool_id}/Senders", [{"senderId": sender_id}])

    operation_id = answer.json["operationId"]
    first = f"{BASE}/v1/SenderPools/{pool_id}/Senders/Operations/{operation_id}"
    assert answer.json["operationLocation"] == first
    served = [await client.get(local(url)) for url in (first, f"{BASE}/v1/SenderPools/Operations/{operation_id}")]
    assert [one.status for one in served] == [200, 200]
    assert served[0].json == served[1].json


async def test_pagination_self(client: Any) -> None:
    for _ in range(3):
        await client.sent()
    for version in ("v1", "preview"):
        path = f"/{version}/Messages"
        first = (await client.get(f"{path}?pageSize=2")).json
        page = (await client.get(f"{path}?pageSize=2&pageToken={first['pagination']['next']}")).json
        itself = page["pagination"]["self"]

        # A token on v1, the page's URL on preview; either names the page again, on both versions.
        assert itself.startswith(f"{BASE}{path}?") == (version == "preview")
        for other in ("v1", "preview"):
            again = await client.get(f"/{other}/Messages?pageSize=2&pageToken={quote(itself, safe='')}")
            assert [one["id"] for one in again.json["messages"]] == [one["id"] for one in page["messages"]]


async def test_pagination_next(client: Any) -> None:
    for _ in range(2):
        await client.sent()
        await client.post("/v1/SenderPools", {})
    for path, key in (("/v1/Messages", "messages"), ("/preview/SenderPools", "senderPools")):
        first = (await client.get(f"{path}?pageSize=1")).json
        last = (await client.get(f"{path}?pageSize=1&pageToken={first['pagination']['next']}")).json

        for page in (first, last):
            assert page.keys() == {key, "pagination"}
            assert page["pagination"].keys() == {"next", "self"}
        # A client takes even an empty text for a token.
        assert first["pagination"]["next"]
        assert last["pagination"]["next"] is None


async def test_attempts(world: Any, conforms: Any) -> None:
    operation_id = await world.client.sent()
    await world.tried(operation_id, 1, "+12034458910", AttemptState.REJECTED, failure="RECIPIENT")
    (listed,) = await world.client.listed()

    message = (await world.client.get(f"/v1/Messages/{listed['id']}")).json

    conforms(message, "Message")
    (attempt,) = message["attempts"]
    assert attempt.keys() >= {"from", "to", "status", "attemptedAt", "infoUrl", "error"}
    assert attempt.keys() >= {"id", "status", "channel", "senderId", "to", "createdAt", "updatedAt"}
    assert (attempt["channel"], attempt["senderId"]) == (attempt["from"]["channel"], attempt["from"]["senderId"])
    assert attempt["infoUrl"].endswith(attempt["id"])


async def test_list_items(client: Any) -> None:
    await client.sent()

    (listed,) = await client.listed()

    assert listed["deletedAt"] is None
    assert listed["scheduledFor"] is None
    assert not listed.keys() & {"content", "attempts"}


async def test_search_and_resolve(client: Any, conforms: Any) -> None:
    search = await client.post("/v1/Senders/Search", {"address": "+12034458910", "channel": "sms"})
    resolve = await client.post("/v1/Senders/Resolve", {"recipientAddresses": [PHONE]})

    assert (search.status, resolve.status) == (200, 200)
    conforms(search.json, "SenderPage")
    conforms(resolve.json, "ResolveSendersResponse")
    assert not any(name.startswith("operation") for name in search.headers | resolve.headers)


async def test_tag_value_pattern(client: Any, conforms: Any) -> None:
    to = [{**PHONE, "variables": {"name": name}} for name in ("ana", "ben", "a b")]
    operation_id = await client.sent(to=to, tags={"campaign": "launch", "who": "{{name}}"})

    # Strict once it is filled in: the one whose tag comes out as no tag fails, alone.
    found = {one["status"]: one for one in await client.listed(f"?operationId={operation_id}&status=failed")}
    assert found["FAILED"]["tags"] == {"campaign": "launch"}
    for name in ("ana", "ben"):
        (message,) = await client.listed(f"?tags=who:{name};campaign:launch;")
        conforms(message, "MessageMetadata")
        assert message["tags"] == {"campaign": "launch", "who": name}
        assert (await client.get(f"/v1/Messages/{message['id']}")).json["tags"] == message["tags"]
    assert len(await client.listed("?tags=campaign:launch")) == 3
    for nothing in ("who:cem", "who:an", "campaign:launch;who:", "campaign:other;who:ana"):
        answer = await client.get(f"/v1/Messages?tags={nothing}")
        assert answer.json.get("messages", []) == []
    mailed = {**MAIL, "to": [{**MAIL["to"][0], "variables": {"name": "ana"}}], "tags": {"who": "{{name}}"}}
    await client.post("/v1/Emails", mailed)
    assert [one["tags"] for one in (await client.get("/v1/Emails?tags=who:ana")).json["emails"]] == [{"who": "ana"}]
    for value in ("a b", "", "{{name", "{% nothing %}", "{{a}}" * 300):
        refused = await client.post("/v1/Messages", {**SEND, "tags": {"who": value}})
        assert (refused.status, refused.contexts) == (400, ["$.tags"]), value


async def test_email_guide_stats(client: Any, conforms: Any) -> None:
    location = (await client.post("/v1/Emails", MAIL)).json["operationLocation"]

    operation = (await client.get(local(location))).json

    conforms(operation, "EmailOperation")
    states = {"scheduled", "queued", "sent", "delivered", "opened", "undelivered", "failed", "canceled"}
    assert operation["stats"].keys() == states | {"total", "recipients", "attempts"}


async def test_email_from_name_and_content_html(client: Any) -> None:
    named = {**MAIL, "from": {**MAIL["from"], "name": "Cool Support"}}
    for body, shown in ((MAIL, MAIL["from"]), (named, named["from"])):
        operation_id = (await client.post("/v1/Emails", body)).json["operationId"]
        (email,) = (await client.get(f"/v1/Emails?operationId={operation_id}")).json["emails"]
        assert email["from"] == shown

    for missing in ("subject", "html"):
        content = {name: value for name, value in MAIL["content"].items() if name != missing}
        refused = await client.post("/v1/Emails", {**MAIL, "content": {**content, "text": "Hello"}})
        assert (refused.status, refused.contexts) == (400, [f"$.content.{missing}"])


@pytest.mark.parametrize("version", ["v1", "preview"])
async def test_email_extra(version: str, world: Any, conforms: Any) -> None:
    client = world.client
    operation_id = (await client.post(f"/{version}/Emails", MAIL)).json["operationId"]
    await world.change(operation_id, 0, state=int(MessageState.DELIVERED))

    searched = await client.post(f"/{version}/Emails/Search", {"address": "ana@example.test"})
    assert searched.status == 200
    conforms(searched.json, "EmailPage")
    (email,) = searched.json["emails"]
    deleted = await client.delete(f"/{version}/Emails/{email['id']}")
    assert deleted.status == 202
    conforms(deleted.json, "ResourceReference")
    assert (await client.get(f"/{version}/Emails/{email['id']}")).json["deletedAt"] is not None


async def test_datacontenttype_in_event_samples(world: Any, conforms: Any) -> None:
    await accepted(world.client)

    events = (await world.client.get("/v1/Events")).json["events"]

    assert {event["type"].rpartition(".")[2] for event in events} >= {"processing", "queued"}
    for event in events:
        conforms(event, "CloudEvent")
        assert event["datacontenttype"] == "application/json"
