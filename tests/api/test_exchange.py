from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from sendpool.api.app import create_app
from sendpool.pipeline.waiter import StoreUnavailable

SEND = {"to": [{"address": "+15551230001", "channel": "PHONE"}], "content": {"text": "Hi"}}


@pytest.mark.parametrize(
    ("headers", "scope", "base"),
    [
        ({"host": "sms.example.com"}, {}, "http://sms.example.com"),
        ({"host": "sms.example.com:8443"}, {"scheme": "https"}, "https://sms.example.com:8443"),
        ({"host": "[::1]:8080"}, {}, "http://[::1]:8080"),
        (
            {"host": "h"},
            {"root_path": "/twilio-comms", "path": "/twilio-comms/v1/Messages"},
            "http://h/twilio-comms",
        ),
        ({"host": ""}, {}, "http://127.0.0.1:8080"),
        ({"host": "a b"}, {}, "http://127.0.0.1:8080"),
        ({"host": 'x"><script>'}, {}, "http://127.0.0.1:8080"),
        ({"host": b"\xff\x00"}, {}, "http://127.0.0.1:8080"),
        ({"host": "user@evil.example"}, {}, "http://127.0.0.1:8080"),
        ({"host": "evil.example/path"}, {}, "http://127.0.0.1:8080"),
        ({"host": ""}, {"server": ("::1", 8080)}, "http://[::1]:8080"),
        ({"host": ""}, {"server": ("/run/sendpool.sock", None)}, "http://localhost"),
        ({"host": ""}, {"server": None}, "http://localhost"),
    ],
)
async def test_locations_lie_below_the_base_that_the_request_used(
    headers: dict[str, Any], scope: dict[str, Any], base: str, client: Any
) -> None:
    answer = await client.post("/v1/Messages", SEND, headers=headers, scope=scope)

    assert answer.status == 202
    operation_id = answer.json["operationId"]
    assert answer.json["operationLocation"] == f"{base}/v1/Messages/Operations/{operation_id}"


async def test_a_public_url_replaces_what_the_request_used(world: Any) -> None:
    services = dataclasses.replace(world.services, public_url="https://sms.example.com/comms/")
    world.client.app = create_app(services)

    answer = await world.client.post("/preview/Messages", SEND)

    assert answer.json["operationLocation"].startswith("https://sms.example.com/comms/preview/Messages/Operations/")


@pytest.mark.parametrize("version", ["v1", "preview"])
async def test_locations_have_the_version_that_the_request_used(version: str, client: Any) -> None:
    answer = await client.post(f"/{version}/Messages", SEND)

    location = answer.json["operationLocation"]
    assert location.startswith(f"http://localhost:8080/{version}/Messages/Operations/")
    message = (await client.get(answer.headers["resource-location"].removeprefix("http://localhost:8080"))).json[
        "messages"
    ][0]
    assert message["related"][0]["uri"] == location


async def test_a_202_says_the_same_in_its_body_and_all_five_headers(client: Any, conforms: Any) -> None:
    answer = await client.post("/v1/Messages", SEND)

    conforms(answer.json, "OperationReference")
    operation_id, location = answer.json["operationId"], answer.json["operationLocation"]
    assert answer.headers["operationid"] == answer.headers["operation-id"] == operation_id
    assert answer.headers["operationlocation"] == answer.headers["operation-location"] == location
    assert answer.headers["resource-location"] == f"http://localhost:8080/v1/Messages?operationId={operation_id}"


async def test_a_store_that_cannot_write_is_a_503_with_retry_after(world: Any, conforms: Any) -> None:
    async def refuse(*_: Any) -> Any:
        raise StoreUnavailable("disk full at /var/lib")

    world.client.app = create_app(dataclasses.replace(world.services, accept=refuse, write=refuse))

    for answer in (await world.client.post("/v1/Messages", SEND), await world.client.post("/v1/SenderPools", {})):
        assert answer.status == 503
        assert answer.headers["retry-after"] == "1"
        assert b"/var" not in answer.body
        conforms(answer.json, "ErrorResponse")


async def test_a_fault_of_ours_is_a_500_that_tells_nothing(world: Any, conforms: Any) -> None:
    async def fail(_: Any) -> Any:
        raise RuntimeError("+15551230001 is in this message")

    world.client.app = create_app(dataclasses.replace(world.services, accept=fail))

    answer = await world.client.post("/v1/Messages", SEND)

    assert answer.status == 500
    assert b"1555" not in answer.body
    conforms(answer.json, "ErrorResponse")


async def test_an_account_with_too_much_waiting_is_told_to_come_back(world: Any, conforms: Any) -> None:
    world.engine.backlog.most = 1
    assert (await world.client.post("/v1/Messages", SEND, headers={"Idempotency-Key": "k"})).status == 202

    answer = await world.client.post("/v1/Messages", SEND)

    assert answer.status == 429
    conforms(answer.json, "ErrorResponse")
    assert answer.codes == [20429]
    assert answer.headers["retry-after"] == "10"
    assert "server.max_queued" in answer.json["message"]
    again = await world.client.post("/v1/Messages", SEND, headers={"Idempotency-Key": "k"})
    assert again.status == 202, "a repeat adds nothing"
