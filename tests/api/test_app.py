from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from sendpool.api.app import ROUTES, create_app


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/",
        "/v2/Messages",
        "/v1/messages",
        "/v1/Messages/",
        "/Messages",
        "/v1/emails",
        "/preview/Senders/Search/x",
        "/v1/%ff%fe",
        "/v1/Messages%2FOperations%2Fx%2Fy",
        "/v1/" + "a" * 20_000,
        "//v1//Messages",
        "/v1/../v1/Messages",
        "/docs/errors/1",
        "/docs/errors/x",
        "/docs/errors/%D9%A3",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
async def test_a_path_that_does_not_exist_is_a_404_in_the_contracts_shape(
    method: str, path: str, still: Any, conforms: Any
) -> None:
    answer = await still.request(method, path)

    assert answer.status in ((404, 405) if path.startswith("/docs") else (404,))
    conforms(answer.json, "ErrorResponse")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/v1/Messages", {"GET", "HEAD", "POST"}),
        ("OPTIONS", "/v1/Messages", {"GET", "HEAD", "POST"}),
        ("PUT", "/v1/SenderPools/comms_senderpool_01h9krwprkeee8fzqspvwy6nq8", {"GET", "HEAD", "PATCH", "DELETE"}),
        ("POST", "/v1/Senders", {"GET", "HEAD"}),
        ("GET", "/v1/Senders/Search", {"POST"}),
        ("PUT", "/preview/Senders/Resolve", {"POST"}),
        ("POST", "/v1/Messages/Seek/x", {"GET", "HEAD"}),
        ("BREW", "/preview/Messages/Operations", {"GET", "HEAD"}),
        ("GET", "/v1/SenderPools/a/Senders/b", {"DELETE"}),
        ("POST", "/healthz", {"GET", "HEAD"}),
        ("POST", "/metrics", {"GET", "HEAD"}),
    ],
)
async def test_another_method_is_a_405_that_names_those_allowed(
    method: str, path: str, allow: set[str], still: Any, conforms: Any
) -> None:
    answer = await still.request(method, path)

    assert answer.status == 405
    assert set(answer.headers["allow"].split(", ")) == allow
    conforms(answer.json, "ErrorResponse")


async def test_head_answers_like_get_without_the_body(still: Any) -> None:
    readable = [path for path, handlers in ROUTES.items() if "GET" in handlers and "{" not in path]
    for path in (
        *(f"/v1{path}" for path in readable),
        "/healthz",
        "/readyz",
        "/docs",
        "/docs/errors",
        "/docs/errors/30008",
        "/openapi.json",
    ):
        got, head = await still.get(path), await still.request("HEAD", path)

        assert (head.status, head.body) == (200, b"")
        assert head.headers == got.headers
        assert int(head.headers["content-length"]) == len(got.body) > 0


async def test_health_and_readiness_need_no_credentials(world: Any) -> None:
    world.client.authorization = None

    assert (await world.client.get("/healthz")).status == 200
    assert (await world.client.get("/readyz")).status == 200


async def test_a_server_that_is_still_starting_is_not_ready(world: Any) -> None:
    services = dataclasses.replace(world.services, ready=lambda: False)
    world.client.app = create_app(services)

    assert (await world.client.get("/readyz")).status == 503
    assert (await world.client.get("/healthz")).status == 200


async def test_metrics_ask_for_their_token_where_one_is_set(world: Any) -> None:
    world.client.authorization = None
    open_to_all = await world.client.get("/metrics")
    world.client.app = create_app(dataclasses.replace(world.services, metrics_token="t0ken"))

    assert open_to_all.status == 200
    assert b"sendpool_build_info" in open_to_all.body
    assert open_to_all.headers["content-type"].startswith("text/plain; version=0.0.4")
    refused = await world.client.get("/metrics")
    assert (refused.status, refused.headers["www-authenticate"]) == (401, 'Bearer realm="metrics"')
    assert (await world.client.get("/metrics", headers={"authorization": "Bearer t0ken"})).status == 200


async def test_each_answer_is_observed_under_its_route_never_its_path(world: Any) -> None:
    seen: list[tuple[str, str, int]] = []
    services = dataclasses.replace(world.services, observe=lambda *what: seen.append(what[:3]))
    world.client.app = create_app(services)

    await world.client.get("/v1/Senders/comms_sender_01h9krwprkeee8fzqspvwy6nq8")
    await world.client.request("BREW", "/v1/Senders")

    assert seen == [("GET", "/v1/Senders/{sender_id}", 404), ("other", "/v1/Senders", 405)]


async def test_a_websocket_is_turned_away(world: Any) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(event: Any) -> None:
        sent.append(event["type"])

    await world.client.app({"type": "websocket", "path": "/v1/Messages", "headers": []}, receive, send)

    assert sent == ["websocket.close"]
