"""Both clients, against a whole server and against servers that misbehave as told."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.client.conftest import Phones, ScriptedServer
from tests.running import ACCOUNT_SID, AUTH_TOKEN

from sendpool.client import (
    AsyncClient,
    BadRequest,
    Client,
    NotFound,
    OutcomeUnknown,
    TookTooLong,
    Unauthorized,
    Unreachable,
)

ACCEPTED = json.dumps({"operationId": "comms_operation_x", "operationLocation": "https://x/y"})


def tomorrow() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


def client_of(url: str, **more: Any) -> Client:
    return Client(account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN, base_url=url, **more)


def async_client_of(url: str, **more: Any) -> AsyncClient:
    return AsyncClient(account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN, base_url=url, **more)


def test_a_pool_is_made_and_sends_and_every_message_is_seen(server_url: str, phones: Phones) -> None:
    with client_of(server_url) as client:
        senders = [sender.id for sender in client.senders.list(channel="SMS")]
        made = client.pools.create("clients", senders=senders[:1], tags={"region": "APAC"})
        assert client.pool_operations.wait(made.operation_id, within=20).stats.created == 1
        (pool,) = client.pools.list(operation=made.operation_id)
        client.pools.add(pool.id, [{"senderId": senders[1], "weight": 2}])
        client.pools.update(pool.id, name="clients of ours")

        accepted = client.messages.send(phones(25), "Hello", from_=pool.id, tags={"run": "1"})
        done = client.operations.wait(accepted.operation_id, within=20, every=0.1)
        # In pages of ten.
        listed = list(client.messages.list(operation=accepted.operation_id, page_size=10))
        fetched = client.messages.fetch(listed[0].id)
        told = client.messages.explain(listed[0].id)

        assert (pool.name, client.pools.fetch(pool.id).name) == ("clients", "clients of ours")
        assert {member.id: member.weight for member in client.pools.members(pool.id)}[senders[1]] == 2
        assert done.is_finished
        assert done.stats.total == 25
        assert sorted(message.to[0].address or "" for message in listed) == phones(25)
        assert fetched.content == {"text": "Hello"}
        assert fetched.tags == {"run": "1"}
        assert fetched.attempts is not None
        assert fetched.attempts[0].id is not None
        assert client.messages.seek(fetched.attempts[0].id).id == fetched.id
        assert told["messageId"] == fetched.id
        assert next(operation.id for operation in client.operations.list()) == accepted.operation_id
        assert client.senders.resolve([{"address": phones(1)[0], "channel": "PHONE"}], pool=pool.id).results
        assert [one.id for one in client.senders.search("+12034458910", "SMS")] == [
            client.senders.fetch(one.id).id for one in client.senders.search("+12034458910", "SMS")
        ]
        assert client.pools.remove(pool.id, senders[1]).resource_id == senders[1]
        assert client.pools.delete(pool.id).resource_id == pool.id
        with pytest.raises(NotFound):
            client.pools.fetch(pool.id)


async def test_the_same_calls_wait_without_blocking(server_url: str, phones: Phones) -> None:
    async with async_client_of(server_url) as client:
        accepted = await client.messages.send(phones(5), "Hello", from_={"address": "+12034458910", "channel": "SMS"})
        seen = [found.status async for found in client.operations.watch(accepted.operation_id, within=20, every=0.1)]
        listed = [message.id async for message in client.messages.list(operation=accepted.operation_id, page_size=2)]

        assert seen[-1] == "COMPLETED"
        assert len(set(listed)) == 5
        assert (await client.operations.wait(accepted.operation_id)).stats.total == 5


def test_emails_go_the_same_way(server_url: str) -> None:
    with client_of(server_url) as client:
        accepted = client.emails.send(
            ["ana@example.com"], from_="support@example.com", subject="Hi", html="<p>Your order</p>"
        )
        done = client.email_operations.wait(accepted.operation_id, within=20, every=0.1)
        (email,) = client.emails.list(operation=accepted.operation_id)

        assert done.stats.total == 1
        assert accepted.operation_id in [one.id for one in client.email_operations.list()]
        assert client.emails.fetch(email.id).to[0].address == "ana@example.com"


def test_what_is_scheduled_can_be_canceled(server_url: str, phones: Phones) -> None:
    with client_of(server_url) as client:
        accepted = client.messages.send(phones(2), "Later", send_at=tomorrow())
        (first, second) = client.messages.list(operation=accepted.operation_id, status="SCHEDULED")
        client.messages.cancel(first.id)
        client.operations.cancel(accepted.operation_id)

        assert client.operations.wait(accepted.operation_id, within=20).stats.canceled == 2
        assert client.messages.fetch(second.id).status == "CANCELED"
        client.messages.delete(first.id)
        assert client.messages.fetch(first.id).deleted_at is not None


def test_one_key_is_one_operation(server_url: str, phones: Phones) -> None:
    with client_of(server_url) as client:
        once = client.messages.send(phones(3), "Hello", idempotency_key="client-once")
        again = client.messages.send(phones(3), "Hello", idempotency_key="client-once")

        assert once == again


def test_refusals_are_errors_that_say_what_to_do(server_url: str) -> None:
    with client_of(server_url) as client, pytest.raises(BadRequest) as raised:
        client.messages.send(["12"], "")
    with Client(account_sid=ACCOUNT_SID, auth_token="no", base_url=server_url) as stranger, pytest.raises(Unauthorized):
        next(stranger.senders.list())

    assert {problem.context for problem in raised.value.problems} == {"$.to[0].address", "$.content.text"}


def test_a_wait_ends(server_url: str, phones: Phones) -> None:
    with client_of(server_url) as client:
        accepted = client.messages.send(phones(1), "Later", send_at=tomorrow())
        with pytest.raises(TookTooLong, match=r"is not finished within 0\.2 s"):
            client.operations.wait(accepted.operation_id, within=0.2)


def test_too_fast_is_tried_again_under_the_same_key(scripted: ScriptedServer) -> None:
    scripted.answers = [(429, {"Retry-After": "0"}, "{}"), (503, {"Retry-After": "0"}, "{}"), None, (202, {}, ACCEPTED)]

    with client_of(scripted.url) as client:
        accepted = client.messages.send("+447700900123", "Hi")

    assert accepted.operation_id == "comms_operation_x"
    assert len(scripted.asked) == 4
    assert len({asked.headers["idempotency-key"] for asked in scripted.asked}) == 1
    assert len({asked.body for asked in scripted.asked}) == 1


async def test_too_fast_is_tried_again_also_without_blocking(scripted: ScriptedServer) -> None:
    scripted.answers = [(429, {"Retry-After": "0"}, "{}"), None, (202, {}, ACCEPTED)]

    async with async_client_of(scripted.url) as client:
        accepted = await client.messages.send("+447700900123", "Hi")

    assert accepted.operation_id == "comms_operation_x"
    assert len(scripted.asked) == 3


def test_the_hosted_api_gets_no_key_and_no_second_send(scripted: ScriptedServer) -> None:
    scripted.answers = [None]

    with client_of(f"{scripted.url}/preview", keys=False) as client, pytest.raises(OutcomeUnknown):
        client.messages.send("+447700900123", "Hi")

    (asked,) = scripted.asked
    assert asked.path == "/preview/Messages"
    assert "idempotency-key" not in asked.headers


async def test_nobody_there_is_said_so() -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unheard.getsockname()[1]}"
        with client_of(url, tries=1) as client, pytest.raises(Unreachable, match="check the base URL"):
            client.messages.fetch("comms_message_x")
        async with async_client_of(url, tries=1) as later:
            with pytest.raises(Unreachable, match="check the base URL"):
                await later.messages.fetch("comms_message_x")


def test_pages_repeat_their_filters_until_there_is_no_next_one(scripted: ScriptedServer) -> None:
    def page(token: str | None) -> str:
        return json.dumps({"senders": [], "pagination": {"next": token, "self": None}, "more": 1})

    scripted.answers = [(200, {}, page("a b")), (200, {}, page(None))]
    with client_of(scripted.url) as client:
        assert list(client.senders.list(channel="SMS")) == []

    assert [asked.path for asked in scripted.asked] == [
        "/v1/Senders?channel=SMS&pageSize=1000",
        "/v1/Senders?channel=SMS&pageSize=1000&pageToken=a+b",
    ]
