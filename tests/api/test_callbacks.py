from __future__ import annotations

import dataclasses
from ipaddress import ip_network
from typing import Any

import pytest

from sendpool.api.app import create_app
from sendpool.api.callbacks import MAX_REPORT
from sendpool.connectors.base import CallbackAnswer, CallbackRequest, CallbackRoute

PROXY = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "sms.example.com", "X-Forwarded-Prefix": "/comms"}


@pytest.fixture
def seen(world: Any) -> list[CallbackRequest]:
    """What the one endpoint of the connection "rcs" was handed."""
    found: list[CallbackRequest] = []

    async def handle(request: CallbackRequest) -> CallbackAnswer:
        found.append(request)
        return CallbackAnswer(202, b"thanks", "text/plain")

    routes = (CallbackRoute("POST", "/events", handle),)
    services = dataclasses.replace(
        world.services,
        callbacks=lambda connection: routes if connection == "rcs" else (),
        trusted_proxies=(ip_network("127.0.0.0/8"),),
    )
    world.client.app = create_app(services)
    world.client.authorization = None
    return found


async def test_a_report_is_handed_over_as_it_came(seen: list[CallbackRequest], world: Any) -> None:
    answer = await world.client.request("POST", "/callbacks/rcs/events?a=b", b"\xff{}", headers={"X-Signature": "s"})

    assert (answer.status, answer.body, answer.headers["content-type"]) == (202, b"thanks", "text/plain")
    (request,) = seen
    assert (request.url, request.body) == ("http://localhost:8080/callbacks/rcs/events?a=b", b"\xff{}")
    assert request.headers["x-signature"] == "s"


async def test_a_report_has_the_url_that_its_carrier_called(seen: list[CallbackRequest], world: Any) -> None:
    await world.client.request("POST", "/callbacks/rcs/events", headers=PROXY)
    mounted = {"path": "/mounted/callbacks/rcs/events", "root_path": "/mounted"}
    await world.client.request("POST", "/callbacks/rcs/events", scope=mounted)

    assert [request.url for request in seen] == [
        "https://sms.example.com/comms/callbacks/rcs/events",
        "http://localhost:8080/mounted/callbacks/rcs/events",
    ]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/callbacks/rcs/other", 404),
        ("POST", "/callbacks/nobody/events", 404),
        ("GET", "/callbacks/rcs/events", 405),
    ],
)
async def test_what_no_connection_takes_is_refused_in_the_contracts_shape(
    method: str, path: str, status: int, seen: list[CallbackRequest], world: Any, conforms: Any
) -> None:
    answer = await world.client.request(method, path)

    assert answer.status == status
    assert answer.headers.get("allow") == ("POST" if status == 405 else None)
    conforms(answer.json, "ErrorResponse")
    assert seen == []


async def test_a_report_that_is_too_large_is_a_413(seen: list[CallbackRequest], world: Any, conforms: Any) -> None:
    answer = await world.client.request("POST", "/callbacks/rcs/events", b" " * (MAX_REPORT + 1))

    assert answer.status == 413
    conforms(answer.json, "ErrorResponse")
    assert seen == []
