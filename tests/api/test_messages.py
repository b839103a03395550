from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert, select, update

from sendpool.connectors.base import Inbound
from sendpool.domain import ids
from sendpool.domain.failures import api_code
from sendpool.domain.sender import Channel
from sendpool.domain.states import AttemptState, MessageState
from sendpool.pipeline.receive import Arrival
from sendpool.store.database import Script
from sendpool.store.tables import attempt, message, operation, sender

PHONE = {"address": "+19143188062", "channel": "PHONE"}
WHATSAPP = {"address": "+19143188063", "channel": "WHATSAPP"}
ORIGIN = "http://localhost:8080"


async def sent(client: Any, *, version: str = "v1", origin: Any = None, **changes: Any) -> str:
    """Send and return the operation's id; *origin* is the request's `from`."""
    body = {"to": [PHONE], "content": {"text": "Hi"}, **changes}
    if origin is not None:
        body["from"] = origin
    answer = await client.post(f"/{version}/Messages", body)
    assert answer.status == 202, answer.body
    operation_id: str = answer.json["operationId"]
    return operation_id


async def listed(client: Any, query: str = "", version: str = "v1") -> list[dict[str, Any]]:
    answer = await client.get(f"/{version}/Messages{query}")
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = answer.json["messages"]
    return found


async def senders(client: Any) -> dict[str, str]:
    """Ids of the senders by address."""
    return {one["address"]: one["id"] for one in (await client.get("/v1/Senders")).json["senders"]}


async def pool_of(client: Any, *addresses: str) -> str:
    known = await senders(client)
    body = {"name": "pool", "senders": [{"senderId": known[address]} for address in addresses]}
    created = await client.post("/v1/SenderPools", body)
    (pool,) = (await client.get(f"/v1/SenderPools?operationId={created.json['operationId']}")).json["senderPools"]
    found: str = pool["id"]
    return found


def change(operation_id: str, index: int, *, address: str | None = None, **values: Any) -> Script[None]:
    """Change a message's row as the pipeline would; *address* binds it to a sender."""
    uid = ids.parse_operation(operation_id)
    ((key,),) = yield select(operation.c.id).where(operation.c.uid == uid)
    if address is not None:
        ((values["sender_id"],),) = yield select(sender.c.id).where(sender.c.address == address)
    if values:
        yield update(message).where(message.c.id == key + index).values(**values)


def tried(operation_id: str, n: int, address: str, state: AttemptState, **values: Any) -> Script[None]:
    """Write an attempt as the pipeline would."""
    uid = ids.parse_operation(operation_id)
    ((key,),) = yield select(operation.c.id).where(operation.c.uid == uid)
    ((sender_id, connection_id, channel),) = yield select(sender.c.id, sender.c.connection_id, sender.c.channel).where(
        sender.c.address == address
    )
    row = {
        "id": key * 64 + n,
        "sender_id": sender_id,
        "connection_id": connection_id,
        "channel": channel,
        "state": int(state),
        "segments": 1,
        "reference": 0,
        "marks": 0,
        "started_at": 1_800_000_000_000_000 + n,
        "updated_at": 1_800_000_001_000_000,
    }
    yield insert(attempt).values(**{**row, **values})


async def test_before_a_sender_is_bound_from_is_the_pool(client: Any, conforms: Any) -> None:
    pool_id = await pool_of(client, "+12034458910", "+12034458911")
    await sent(client, origin={"senderPoolId": pool_id})

    (one,) = await listed(client)

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
    pool_id = await pool_of(client, "+12034458910", "+12034458911")
    operation_id = await sent(client, origin={"senderPoolId": pool_id})
    await world.write(change(operation_id, 0, address="+12034458911", state=int(MessageState.SENT)))

    (one,) = await listed(client)

    conforms(one, "MessageMetadata")
    assert one["from"] == {
        "address": "+12034458911",
        "channel": "SMS",
        "senderId": (await senders(client))["+12034458911"],
        "senderPoolId": pool_id,
    }


@pytest.mark.parametrize("by", ["senderId", "address"])
async def test_with_one_sender_from_is_complete_from_the_start_and_never_a_pool(
    by: str, client: Any, conforms: Any
) -> None:
    sender_id = (await senders(client))["+12034458910"]
    origin = {"senderId": sender_id} if by == "senderId" else {"address": "+12034458910", "channel": "sms"}
    await sent(client, origin=origin)

    (one,) = await listed(client)
    fetched = (await client.get(f"/v1/Messages/{one['id']}")).json

    assert one["from"] == {"address": "+12034458910", "channel": "SMS", "senderId": sender_id}
    assert fetched["from"] == one["from"]
    conforms(fetched, "Message")
    assert len(await listed(client, "?channel=SMS")) == 1
    assert len(await listed(client, "?channel=RCS")) == 0


async def test_without_from_the_accounts_own_pool_shows_until_a_sender_is_bound(world: Any) -> None:
    client = world.client
    operation_id = await sent(client)
    (before,) = await listed(client)
    await world.write(change(operation_id, 0, address="+12034458910", state=int(MessageState.SENT)))
    (after,) = await listed(client)

    assert list(before["from"]) == ["senderPoolId"]
    assert (await client.get(f"/v1/SenderPools/{before['from']['senderPoolId']}")).status == 200
    assert set(after["from"]) == {"address", "channel", "senderId"}


async def test_a_message_names_its_operation_and_carries_its_tags(client: Any, conforms: Any) -> None:
    operation_id = await sent(client, version="preview", tags={"campaign": "launch"})

    (one,) = await listed(client, version="preview")

    uri = f"{ORIGIN}/preview/Messages/Operations/{operation_id}"
    assert one["related"] == [{"name": "OPERATION", "id": operation_id, "uri": uri}]
    assert one["tags"] == {"campaign": "launch"}
    conforms((await client.get(uri.removeprefix(ORIGIN))).json, "MessageOperation")


async def test_a_fetch_shows_content_and_attempts_too(world: Any, conforms: Any) -> None:
    client = world.client
    text = "Hello, 😀 World! \u202e"
    operation_id = await sent(client, content={"text": text})
    await world.write(
        tried(
            operation_id,
            1,
            "coolsupport_x12gb_agent",
            AttemptState.REJECTED,
            failure="CHANNEL",
            code="404",
            rule="class/CHANNEL",
        )
    )
    await world.write(tried(operation_id, 2, "+12034458910", AttemptState.WITHDRAWN))
    await world.write(tried(operation_id, 3, "+12034458911", AttemptState.DELIVERED, marks=1))
    (one,) = await listed(client)

    fetched = (await client.get(f"/v1/Messages/{one['id']}")).json

    conforms(fetched, "Message")
    assert {name: fetched[name] for name in one} == one
    assert fetched["content"] == {"text": text}
    known = await senders(client)
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
    operation_id = await sent(world.client)
    await world.write(tried(operation_id, 1, "+12034458910", state, **values))
    (one,) = await listed(world.client)

    fetched = (await world.client.get(f"/v1/Messages/{one['id']}")).json

    conforms(fetched, "Message")
    (shown,) = fetched["attempts"]
    assert shown["status"] == status
    assert shown.get("error", {}).get("code") == code
    assert ("0x99" in shown.get("error", {}).get("message", "")) == (values.get("code") == "0x99")


async def test_an_ambiguous_message_is_flagged_and_can_be_found(world: Any, conforms: Any) -> None:
    client = world.client
    operation_id = await sent(client, to=[PHONE] * 3)
    await world.write(change(operation_id, 1, state=int(MessageState.SENT), ambiguous=1))

    (found,) = await listed(client, "?ambiguous=True")
    conforms(found, "MessageMetadata")
    assert found["ambiguous"] is True
    assert found["status"] == "SENT"
    assert len(await listed(client, "?ambiguous=false")) == 2
    assert (await client.get("/v1/Messages?ambiguous=yes")).contexts == ["$.ambiguous"]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("?operationId={id}", 2),
        ("?operation_id={id}", 2),
        ("?operationId={id}&operation_id={id}", 2),
        ("?operationId=comms_operation_01h9krwprkeee8fzqspvwy6nq8", 0),
        ("?operationId={id}zzz", 0),
        ("?status=queued", 1),
        ("?status=Delivered", 2),
        ("?status=GROUP", 0),
        ("?channel=sms", 1),
        ("?channel=WHATSAPP", 1),
        ("?channel=RCS", 0),
        ("?tags=campaign:launch", 2),
        ("?tags=campaign:launch;kind:a;", 2),
        ("?tags=campaign:other", 0),
        ("?tags=", 3),
        ("?sessionId=x", 0),
        ("?profile=mem_profile_01h9krwprkeee8fzqspvwy6nq8", 0),
        ("?startDate=2001-01-01T00:00:00Z", 3),
        ("?startDate=2099-01-01T00:00:00Z", 0),
        ("?endDate=2001-01-01T00:00:00Z", 0),
        ("?endDate=9999-12-31T00:00:00Z", 3),
        ("?status=delivered&channel=sms&tags=kind:a&operationId={id}", 1),
        ("?somethingElse=x", 3),
    ],
)
async def test_filters_narrow_the_list(query: str, count: int, world: Any) -> None:
    client = world.client
    operation_id = await sent(client, to=[PHONE, WHATSAPP], tags={"campaign": "launch", "kind": "a"})
    await sent(client)
    await world.write(change(operation_id, 0, address="+12034458910", state=int(MessageState.DELIVERED)))
    await world.write(change(operation_id, 1, address="+12034458912", state=int(MessageState.DELIVERED)))

    assert len(await listed(client, query.format(id=operation_id))) == count


@pytest.mark.parametrize(
    ("query", "context"),
    [
        ("?status=BOGUS", "$.status"),
        ("?channel=PUSH", "$.channel"),
        ("?profile=x", "$.profile"),
        ("?operation_id=x", "$.operationId"),
        ("?tags=a", "$.tags"),
        ("?startDate=x", "$.startDate"),
        ("?pageSize=1001", "$.pageSize"),
    ],
)
async def test_a_filter_that_cannot_be_read_is_a_400(query: str, context: str, still: Any, conforms: Any) -> None:
    answer = await still.get(f"/v1/Messages{query}")

    assert (answer.status, answer.contexts) == (400, [context])
    conforms(answer.json, "ErrorResponse")


async def test_messages_are_listed_from_the_newest(client: Any, conforms: Any) -> None:
    first, second = await sent(client, to=[PHONE, WHATSAPP]), await sent(client)

    answer = await client.get("/v1/Messages")

    conforms(answer.json, "MessagePage")
    assert [(m["related"][0]["id"], m["to"][0]["channel"]) for m in answer.json["messages"]] == [
        (second, "PHONE"),
        (first, "WHATSAPP"),
        (first, "PHONE"),
    ]


async def test_an_operation_shows_all_twelve_counters(client: Any, conforms: Any) -> None:
    operation_id = await sent(client, to=[PHONE, WHATSAPP])

    answer = await client.get(f"/v1/Messages/Operations/{operation_id}")

    conforms(answer.json, "MessageOperation")
    assert answer.json["id"] == operation_id
    assert answer.json["status"] == "PROCESSING"
    stats = answer.json["stats"]
    assert len(stats) == 12
    assert (stats["total"], stats["recipients"], stats["queued"]) == (2, 2, 2)
    assert sum(stats.values()) == 6


async def test_operations_are_listed_and_filtered(world: Any, conforms: Any) -> None:
    client = world.client
    first, second = await sent(client), await sent(client)

    answer = await client.get("/v1/Messages/Operations?status=processing")
    conforms(answer.json, "MessageOperationPage")
    assert [one["id"] for one in answer.json["operations"]] == [second, first]
    assert (await client.get("/v1/Messages/Operations?status=COMPLETED")).json["operations"] == []
    assert (await client.get("/v1/Messages/Operations?endDate=2001-01-01T00:00:00Z")).json["operations"] == []
    assert (await client.get("/v1/Messages/Operations?status=FAILED")).contexts == ["$.status"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/Messages/comms_message_01h9krwprkeee8fzqspvwy6nq8",
        "/v1/Messages/comms_message_01h9krwprkeee8fzqspvwy6nq8zzz",
        "/v1/Messages/comms_message_12345",
        "/v1/Messages/SM" + "0" * 32,
        "/v1/Messages/%00",
        "/v1/Messages/%F0%9F%98%80",
        "/v1/Messages/Operations/comms_operation_01h9krwprkeee8fzqspvwy6nq8",
        "/v1/Messages/Operations/comms_operation_12345",
        "/v1/Messages/Operations/x",
    ],
)
async def test_what_does_not_exist_is_a_404(path: str, still: Any, conforms: Any) -> None:
    answer = await still.get(path)

    assert answer.status == 404
    conforms(answer.json, "ErrorResponse")


async def test_a_message_beyond_the_last_of_its_operation_does_not_exist(client: Any) -> None:
    first = ids.parse_operation(await sent(client))
    await sent(client)
    assert first is not None

    # The next integer key belongs to the next operation's message.
    assert (await client.get(f"/v1/Messages/{ids.message_id(first, 0)}")).status == 200
    assert (await client.get(f"/v1/Messages/{ids.message_id(first, 1)}")).status == 404


async def test_another_accounts_messages_look_unknown(world: Any) -> None:
    client, other = world.client, world.other
    operation_id = await sent(client)
    (one,) = await listed(client)

    assert await listed(other) == []
    assert await listed(other, f"?operationId={operation_id}") == []
    assert (await other.get("/v1/Messages/Operations")).json["operations"] == []
    for path in (f"/v1/Messages/{one['id']}", f"/v1/Messages/Operations/{operation_id}"):
        assert (await client.get(path)).status == 200
        assert (await other.get(path)).status == 404
    sender_id = (await senders(client))["+12034458910"]
    pool_id = await pool_of(client, "+12034458910")
    for origin in ({"senderId": sender_id}, {"senderPoolId": pool_id}):
        body = {"from": origin, "to": [PHONE], "content": {"text": "Hi"}}
        assert (await other.post("/v1/Messages", body)).status == 400


async def test_a_recipient_that_nobody_reaches_makes_no_message(client: Any) -> None:
    pool_id = await pool_of(client, "+12034458910")
    operation_id = await sent(client, to=[PHONE, WHATSAPP], origin={"senderPoolId": pool_id})

    stats = (await client.get(f"/v1/Messages/Operations/{operation_id}")).json["stats"]
    assert (stats["total"], stats["recipients"], stats["unaddressable"]) == (1, 2, 1)
    assert len(await listed(client)) == 1


@pytest.mark.parametrize("known", [True, False])
async def test_an_inbound_text_is_a_message_from_the_person_to_our_address(
    known: bool, world: Any, conforms: Any
) -> None:
    client = world.client
    ours = next(one for one in world.engine.roster.senders.values() if one.address == "+12034458910")
    inbound = Inbound(Channel.SMS, "+19143188062", "+12034458910", "STOP", "id-1")
    arrival = Arrival(world.engine.acceptor.take_ids(1), ours.connection_id, inbound, ours if known else None, 1)
    await world.engine.arrivals([arrival])

    (one,) = await listed(client, "?status=inbound")
    fetched = (await client.get(f"/v1/Messages/{one['id']}")).json

    sender_id = {"senderId": (await senders(client))["+12034458910"]} if known else {}
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


async def test_ten_thousand_recipients_are_accepted_at_once(client: Any) -> None:
    to = [{"address": f"+1555{i:07d}", "channel": "PHONE"} for i in range(10_000)]

    operation_id = await sent(client, to=to)

    stats = (await client.get(f"/v1/Messages/Operations/{operation_id}")).json["stats"]
    assert stats["total"] == 10_000


async def test_a_key_that_cannot_be_honoured_is_refused(client: Any) -> None:
    body = {"to": [PHONE], "content": {"text": "Hi"}}
    answer = await client.post("/v1/Messages", body, headers={"Idempotency-Key": ""})

    assert (answer.status, answer.codes) == (400, [60701])
    assert await listed(client) == []
