from __future__ import annotations

from typing import Any

import pytest

from sendpool.connectors.base import Inbound
from sendpool.domain import ids
from sendpool.domain.failures import api_code
from sendpool.domain.sender import Channel
from sendpool.domain.states import AttemptState, MessageState
from sendpool.pipeline.receive import Arrival

PHONE = {"address": "+19143188062", "channel": "PHONE"}
ORIGIN = "http://localhost:8080"


async def test_before_a_sender_is_bound_from_is_the_pool(client: Any, conforms: Any) -> None:
    pool_id = await client.pool_of("+12034458910", "+12034458911")
    await client.sent(origin={"senderPoolId": pool_id})

    (one,) = await client.listed()

    conforms(one, "MessageMetadata")
    assert one["from"] == {"senderPoolId": pool_id}
    assert one["to"] == [PHONE]
    assert one["status"] == "QUEUED"
    assert one["scheduledFor"] is one["deletedAt"] is None
    assert "ambiguous" not in one
    assert "content" not in one
    assert "attempts" not in one


async def test_once_a_sender_is_bound_from_is_complete_and_keeps_the_pool(world: Any, conforms: Any) -> None:
    client = world.client
    pool_id = await client.pool_of("+12034458910", "+12034458911")
    operation_id = await client.sent(origin={"senderPoolId": pool_id})
    await world.change(operation_id, 0, address="+12034458911", state=int(MessageState.SENT))

    (one,) = await client.listed()

    conforms(one, "MessageMetadata")
    assert one["from"] == {
        "address": "+12034458911",
        "channel": "SMS",
        "senderId": (await client.senders())["+12034458911"],
        "senderPoolId": pool_id,
    }


async def test_times_that_do_not_apply_to_every_message_show_where_they_do(world: Any, conforms: Any) -> None:
    operation_id = await world.client.sent()
    await world.change(operation_id, 0, scheduled_for=1_800_000_000_000_000, deleted_at=1_800_000_001_500_000)

    (one,) = await world.client.listed()

    conforms(one, "MessageMetadata")
    assert (one["scheduledFor"], one["deletedAt"]) == ("2027-01-15T08:00:00.000Z", "2027-01-15T08:00:01.500Z")


@pytest.mark.parametrize("by", ["senderId", "address"])
async def test_with_one_sender_from_is_complete_from_the_start_and_never_a_pool(
    by: str, client: Any, conforms: Any
) -> None:
    sender_id = (await client.senders())["+12034458910"]
    origin = {"senderId": sender_id} if by == "senderId" else {"address": "+12034458910", "channel": "sms"}
    await client.sent(origin=origin)

    (one,) = await client.listed()
    fetched = (await client.get(f"/v1/Messages/{one['id']}")).json

    assert one["from"] == {"address": "+12034458910", "channel": "SMS", "senderId": sender_id}
    assert fetched["from"] == one["from"]
    conforms(fetched, "Message")
    assert len(await client.listed("?channel=SMS")) == 1
    assert len(await client.listed("?channel=RCS")) == 0


async def test_without_from_the_accounts_own_pool_shows_until_a_sender_is_bound(world: Any) -> None:
    client = world.client
    operation_id = await client.sent()
    (before,) = await client.listed()
    await world.change(operation_id, 0, address="+12034458910", state=int(MessageState.SENT))
    (after,) = await client.listed()

    assert list(before["from"]) == ["senderPoolId"]
    assert (await client.get(f"/v1/SenderPools/{before['from']['senderPoolId']}")).status == 200
    assert set(after["from"]) == {"address", "channel", "senderId"}


async def test_a_message_names_its_operation_and_carries_its_tags(client: Any, conforms: Any) -> None:
    operation_id = await client.sent(version="preview", tags={"campaign": "launch"})

    (one,) = await client.listed(version="preview")

    uri = f"{ORIGIN}/preview/Messages/Operations/{operation_id}"
    assert one["related"] == [{"name": "OPERATION", "id": operation_id, "uri": uri}]
    assert one["tags"] == {"campaign": "launch"}
    conforms((await client.get(uri.removeprefix(ORIGIN))).json, "MessageOperation")


async def test_a_fetch_shows_content_and_attempts_too(world: Any, conforms: Any) -> None:
    client = world.client
    text = "Hello, 😀 World! \u202e"
    operation_id = await client.sent(content={"text": text})
    await world.tried(
        operation_id,
        1,
        "coolsupport_x12gb_agent",
        AttemptState.REJECTED,
        failure="CHANNEL",
        code="404",
        rule="class/CHANNEL",
    )
    await world.tried(operation_id, 2, "+12034458910", AttemptState.WITHDRAWN)
    await world.tried(operation_id, 3, "+12034458911", AttemptState.DELIVERED, marks=1)
    (one,) = await client.listed()

    fetched = (await client.get(f"/v1/Messages/{one['id']}")).json

    conforms(fetched, "Message")
    assert {name: fetched[name] for name in one} == one
    assert fetched["content"] == {"text": text}
    known = await client.senders()
    refused, delivered = fetched["attempts"]
    assert refused["status"] == "FAILED"
    assert refused["from"] == {
        "address": "coolsupport_x12gb_agent",
        "channel": "RCS",
        "senderId": known["coolsupport_x12gb_agent"],
    }
    assert refused["error"]["code"] == 63003
    assert refused["error"]["message"].startswith(api_code(63003).meaning)
    page = await client.get(refused["error"]["infoUrl"].removeprefix(ORIGIN))
    assert page.status == 200
    assert delivered["status"] == "DELIVERED"
    assert delivered["channel"] == "SMS"
    assert delivered["senderId"] == known["+12034458911"]
    assert delivered["to"] == [PHONE]
    assert "error" not in delivered
    for number, shown in ((1, refused), (3, delivered)):
        uid = ids.parse_operation(operation_id)
        assert uid is not None
        assert shown["id"] == ids.attempt_id(uid, 0, number)
        assert shown["infoUrl"] == f"{ORIGIN}/v1/Messages/Seek/{shown['id']}"
        assert shown["attemptedAt"] == shown["createdAt"] == "2027-01-15T08:00:00.000Z"
        assert shown["updatedAt"] == "2027-01-15T08:00:01.000Z"


@pytest.mark.parametrize(
    ("state", "values", "status", "code"),
    [
        (AttemptState.STARTED, {}, "QUEUED", None),
        (AttemptState.ACCEPTED, {"marks": 1}, "SENT", None),
        (AttemptState.AMBIGUOUS, {"marks": 2}, "SENT", 30410),
        (AttemptState.ACCEPTED, {"marks": 3}, "SENT", 30410),
        (AttemptState.DELIVERED, {"marks": 3}, "DELIVERED", 30410),
        (AttemptState.DELIVERED, {"marks": 1}, "DELIVERED", None),
        (AttemptState.READ, {"marks": 1}, "READ", None),
        (AttemptState.UNDELIVERED, {"marks": 1, "failure": "ABSENT", "rule": "class/ABSENT"}, "UNDELIVERED", 30003),
        (AttemptState.UNDELIVERED, {"marks": 3, "failure": "ABSENT", "rule": "class/ABSENT"}, "UNDELIVERED", 30410),
        (AttemptState.UNDELIVERED, {"marks": 1}, "UNDELIVERED", 30008),
        (AttemptState.REJECTED, {"failure": "CONSENT", "rule": "connection/CONSENT"}, "FAILED", 21610),
        (AttemptState.REJECTED, {"failure": "CONSENT", "rule": "gone/1"}, "FAILED", 21610),
        (AttemptState.REJECTED, {"failure": "TRANSIENT", "rule": "smpp/?", "code": "0x99"}, "FAILED", 30008),
        (AttemptState.EXPIRED, {"marks": 1, "failure": "EXPIRED"}, "UNDELIVERED", 30036),
        (AttemptState.EXPIRED, {"marks": 0, "failure": "EXPIRED"}, "FAILED", 30036),
        (AttemptState.REVOKED, {"marks": 1}, "UNDELIVERED", 30008),
    ],
)
async def test_an_attempt_shows_its_state_and_why(
    state: AttemptState, values: dict[str, Any], status: str, code: int | None, world: Any, conforms: Any
) -> None:
    operation_id = await world.client.sent()
    await world.tried(operation_id, 1, "+12034458910", state, **values)
    (one,) = await world.client.listed()

    fetched = (await world.client.get(f"/v1/Messages/{one['id']}")).json

    conforms(fetched, "Message")
    (shown,) = fetched["attempts"]
    assert shown["status"] == status
    assert shown.get("error", {}).get("code") == code
    assert ("0x99" in shown.get("error", {}).get("message", "")) == (values.get("code") == "0x99")


async def test_an_ambiguous_message_is_flagged_and_can_be_found(world: Any, conforms: Any) -> None:
    client = world.client
    operation_id = await client.sent(to=[PHONE] * 3)
    await world.change(operation_id, 1, state=int(MessageState.SENT), ambiguous=1)

    (found,) = await client.listed("?ambiguous=True")
    conforms(found, "MessageMetadata")
    assert found["ambiguous"] is True
    assert found["status"] == "SENT"
    assert len(await client.listed("?ambiguous=false")) == 2
    assert (await client.get("/v1/Messages?ambiguous=yes")).contexts == ["$.ambiguous"]


@pytest.mark.parametrize("known", [True, False])
async def test_an_inbound_text_is_a_message_from_the_person_to_our_address(
    known: bool, world: Any, conforms: Any
) -> None:
    client = world.client
    ours = next(one for one in world.engine.roster.senders.values() if one.address == "+12034458910")
    inbound = Inbound(Channel.SMS, "+19143188062", "+12034458910", "STOP", "id-1", postback="yes-please")
    arrival = Arrival(world.engine.acceptor.take_ids(1), ours.connection_id, inbound, ours if known else None, 1)
    await world.engine.arrivals([arrival])

    (one,) = await client.listed("?status=inbound")
    fetched = (await client.get(f"/v1/Messages/{one['id']}")).json
    session = next(related for related in one["related"] if related["name"] == "SESSION")
    in_session = await client.get(session["uri"].removeprefix(ORIGIN))
    in_another = await client.get(f"/v1/Messages?sessionId={ids.encode(ids.SESSION, bytes(16))}")

    assert [message["id"] for message in in_session.json["messages"]] == [one["id"]]
    assert (in_another.status, in_another.json["messages"]) == (200, [])
    assert one["postback"] == "yes-please"
    sender_id = {"senderId": (await client.senders())["+12034458910"]} if known else {}
    assert one["from"] == {"address": "+19143188062", "channel": "SMS", **sender_id}
    assert one["to"] == [{"address": "+12034458910", "channel": "PHONE"}]
    assert one["status"] == "INBOUND"
    assert (fetched["content"], fetched["attempts"]) == ({"text": "STOP"}, [])
    if known:
        conforms(fetched, "Message")
    operation = await client.get(one["related"][0]["uri"].removeprefix(ORIGIN))
    assert operation.status == 200
    conforms(operation.json, "MessageOperation")
    assert (await client.get("/v1/Messages/Operations")).json["operations"] == []
