from __future__ import annotations

import threading
from typing import Any

import pytest

from sendpool.api import messages
from sendpool.api.sending import read_send
from sendpool.domain import ids
from sendpool.domain.states import MessageState
from sendpool.pipeline import intake
from sendpool.pipeline.draft import draft

PHONE = {"address": "+19143188062", "channel": "PHONE"}
WHATSAPP = {"address": "+19143188063", "channel": "WHATSAPP"}


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
    operation_id = await client.sent(to=[PHONE, WHATSAPP], tags={"campaign": "launch", "kind": "a"})
    await client.sent()
    await world.change(operation_id, 0, address="+12034458910", state=int(MessageState.DELIVERED))
    await world.change(operation_id, 1, address="+12034458912", state=int(MessageState.DELIVERED))

    assert len(await client.listed(query.format(id=operation_id))) == count


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
    first, second = await client.sent(to=[PHONE, WHATSAPP]), await client.sent()

    answer = await client.get("/v1/Messages")

    conforms(answer.json, "MessagePage")
    assert [(m["related"][0]["id"], m["to"][0]["channel"]) for m in answer.json["messages"]] == [
        (second, "PHONE"),
        (first, "WHATSAPP"),
        (first, "PHONE"),
    ]


async def test_an_operation_shows_all_twelve_counters(client: Any, conforms: Any) -> None:
    operation_id = await client.sent(to=[PHONE, WHATSAPP])

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
    first, second = await client.sent(), await client.sent()

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
    first = ids.parse_operation(await client.sent())
    await client.sent()
    assert first is not None

    # The next integer key belongs to the next operation's message.
    assert (await client.get(f"/v1/Messages/{ids.message_id(first, 0)}")).status == 200
    assert (await client.get(f"/v1/Messages/{ids.message_id(first, 1)}")).status == 404


async def test_another_accounts_messages_look_unknown(world: Any) -> None:
    client, other = world.client, world.other
    operation_id = await client.sent()
    (one,) = await client.listed()

    assert await other.listed() == []
    assert await other.listed(f"?operationId={operation_id}") == []
    assert (await other.get("/v1/Messages/Operations")).json["operations"] == []
    for path in (f"/v1/Messages/{one['id']}", f"/v1/Messages/Operations/{operation_id}"):
        assert (await client.get(path)).status == 200
        assert (await other.get(path)).status == 404
    sender_id = (await client.senders())["+12034458910"]
    pool_id = await client.pool_of("+12034458910")
    for origin in ({"senderId": sender_id}, {"senderPoolId": pool_id}):
        body = {"from": origin, "to": [PHONE], "content": {"text": "Hi"}}
        assert (await other.post("/v1/Messages", body)).status == 400


async def test_a_recipient_that_nobody_reaches_makes_no_message(client: Any) -> None:
    pool_id = await client.pool_of("+12034458910")
    operation_id = await client.sent(to=[PHONE, WHATSAPP], origin={"senderPoolId": pool_id})

    stats = (await client.get(f"/v1/Messages/Operations/{operation_id}")).json["stats"]
    assert (stats["total"], stats["recipients"], stats["unaddressable"]) == (1, 2, 1)
    assert len(await client.listed()) == 1


async def test_ten_thousand_recipients_are_accepted_at_once(client: Any) -> None:
    to = [{"address": f"+1555{i:07d}", "channel": "PHONE"} for i in range(10_000)]

    operation_id = await client.sent(to=to)

    stats = (await client.get(f"/v1/Messages/Operations/{operation_id}")).json["stats"]
    assert stats["total"] == 10_000


async def test_a_large_request_is_read_and_drafted_beside_the_loop_and_a_small_one_on_it(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []

    def noting(work: Any) -> Any:
        def noted(*arguments: Any) -> Any:
            threads.append(threading.current_thread().name)
            return work(*arguments)

        return noted

    monkeypatch.setattr(messages, "read_send", noting(read_send))
    monkeypatch.setattr(intake, "draft", noting(draft))
    await client.sent(to=[PHONE])
    assert threads == [threading.current_thread().name]

    threads.clear()
    await client.sent(to=[{"address": f"+1415{number:07}", "channel": "PHONE"} for number in range(5_000)])
    assert len(threads) == 2
    assert all(name.startswith("aside") for name in threads)


async def test_an_operation_says_when_it_will_be_complete_until_it_is(world: Any, conforms: Any) -> None:
    client = world.client
    body = {"to": [{"address": "+19143188062", "channel": "PHONE"}], "content": {"text": "Hello"}}

    answer = await client.post("/v1/Messages", body)
    keyed = await client.post("/v1/Messages", body, headers={"idempotency-key": "once"})

    assert answer.json["estimatedCompletion"] is None  # Nobody is told of any senders here.
    assert "estimatedCompletion" not in keyed.json
    operation = (await client.get(f"/v1/Messages/Operations/{answer.json['operationId']}")).json
    conforms(operation, "MessageOperation")
    assert operation["status"] in ("PROCESSING", "COMPLETED")
    assert ("estimatedCompletion" in operation) == (operation["status"] == "PROCESSING")
