"""The short way of a simple send: read, asked for and answered without a task, and like the usual way in all else."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.api.test_http import BODY, answers, listen, request, talk

from sendpool.api.app import create_app
from sendpool.api.exchange import Resource
from sendpool.api.sending import read_at_once, read_send
from sendpool.api.serving import HttpServer
from sendpool.domain.request import Accepted, Problem, Refused, SendRequest
from sendpool.pipeline.backlog import QueueFull
from sendpool.pipeline.waiter import StoreUnavailable
from sendpool.store.database import DatabaseAway

ORIGIN = {"senderPoolId": "comms_senderpool_01h9krwprkeee8fzqspvwy6nq8"}
USUAL = json.dumps(
    {"to": [{"address": "+12025550123", "channel": "PHONE"}], "content": {"text": "a"}, "from": ORIGIN}
).encode()
Tell = Callable[[Accepted | Exception], None]


@pytest.fixture
async def port(world: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """A server that has no other way: whatever does not go the short way fails."""
    server = HttpServer(world.client.app, 5.0)
    monkeypatch.setattr(Resource, "quickly", None)
    yield await listen(server)
    await server.stop()


async def test_a_simple_send_is_accepted(world: Any, port: int) -> None:
    ((status, answer),) = answers(await talk(port, request(world, "POST /v1/Messages", BODY)))

    assert status == 202
    operation = (await world.client.get(f"/v1/Messages/Operations/{answer['operationId']}")).json
    assert operation["stats"]["total"] == 1
    assert answer["operationLocation"] == f"http://localhost/v1/Messages/Operations/{answer['operationId']}"


async def test_requests_in_a_row_are_answered_in_a_row(world: Any, port: int) -> None:
    kept = request(world, "POST /v1/Messages", BODY, Connection="keep-alive")

    found = answers(await talk(port, 20 * kept + request(world, "POST /preview/Messages", BODY)))

    assert [status for status, _ in found] == [202] * 21
    assert len({answer["operationId"] for _, answer in found}) == 21
    assert [answer["operationLocation"].split("/")[3] for _, answer in found] == ["v1"] * 20 + ["preview"]


async def test_what_many_ask_at_once_is_accepted_together(world: Any, port: int, monkeypatch: Any) -> None:
    await talk(port, request(world, "POST /v1/Messages", BODY))
    together = []
    real = world.engine.acceptor.together

    def watched(requests: Any, *rest: Any) -> Any:
        together.append(len(requests))
        return real(requests, *rest)

    monkeypatch.setattr(world.engine.acceptor, "together", watched)
    one = request(world, "POST /v1/Messages", BODY)

    found = await asyncio.gather(*(talk(port, one) for _ in range(30)))

    assert [answers(raw)[0][0] for raw in found] == [202] * 30
    assert sum(together) == 30
    assert max(together) > 1


async def test_who_has_gone_is_not_answered_and_is_accepted_all_the_same(world: Any, port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request(world, "POST /v1/Messages", BODY, Connection="keep-alive"))
    await writer.drain()
    writer.transport.abort()

    assert answers(await talk(port, request(world, "POST /v1/Messages", BODY)))[0][0] == 202
    total = (await world.client.get("/v1/Messages?pageSize=10")).json["messages"]
    assert len(total) in (1, 2)


@pytest.mark.parametrize(
    ("fate", "status"),
    [
        (Refused(Problem(20404, "no such sender pool"), status=404), 404),
        (StoreUnavailable("the database does not answer"), 503),
        (DatabaseAway("gone"), 503),
        (QueueFull("10 messages wait"), 429),
        (ValueError("a fault of ours"), 500),
    ],
)
async def test_why_it_is_not_accepted_is_answered_as_ever(world: Any, fate: Exception, status: int) -> None:
    def ask(asked: SendRequest, tell: Tell) -> bool:
        asyncio.get_running_loop().call_soon(tell, fate)
        return True

    async def accept(*_: Any) -> Accepted:
        raise fate

    raws = []
    ways: list[dict[str, Any]] = [{"ask": ask}, {"ask": lambda *_: False, "accept": accept}]
    for services in ways:
        server = HttpServer(create_app(dataclasses.replace(world.services, **services)), 5.0)
        raws.append(await talk(await listen(server), request(world, "POST /v1/Messages", BODY)))
        await server.stop()

    assert raws[0].startswith(b"HTTP/1.1 %d " % status)
    short, usual = [sorted(raw.splitlines()) for raw in raws]
    assert [line for line in short if not line.startswith(b"date")] == [
        line for line in usual if not line.startswith(b"date")
    ]


async def test_one_answer_that_fails_is_nothing_to_the_others(world: Any) -> None:
    told: list[Accepted | Exception] = []

    def fail(_: Accepted | Exception) -> None:
        raise RuntimeError("no answer")

    send = read_send(BODY, world.accounts[0].id)
    for tell in (fail, told.append):
        assert world.services.ask(send, tell)
    async with asyncio.timeout(10):
        while not told:
            await asyncio.sleep(0)

    assert isinstance(told[0], Accepted)


_SENDS = st.fixed_dictionaries(
    {
        "to": st.lists(
            st.fixed_dictionaries(
                {
                    "address": st.sampled_from(["+447700900001", "+12025550123", "+1", "x", "", "+447700900001 ", 1]),
                    "channel": st.sampled_from(["PHONE", "phone", "WHATSAPP", "Phone", "EMAIL", None]),
                },
                optional={"variables": st.sampled_from([{}, {"a": "b"}])},
            ),
            max_size=2,
        ),
        "content": st.sampled_from([{"text": "Hi"}, {"text": ""}, {}, {"text": "{{x}}"}, {"text": "a", "b": 1}, [], 7]),
    },
    optional={
        "from": st.sampled_from([ORIGIN, {}, {"address": "+447700900001", "channel": "PHONE"}, None, 5]),
        "tags": st.just({"a": "b"}),
        "category": st.just("OTP"),
        "validity": st.just(60),
        "priority": st.just("high"),
        "schedule": st.just({"sendAt": "2030-01-01T00:00:00Z"}),
        "unknown": st.just(1),
    },
)


@given(_SENDS, st.booleans())
def test_what_is_read_at_once_is_what_the_usual_way_reads(send: dict[str, Any], cut: bool) -> None:
    read_send(
        json.dumps(
            {"to": [{"address": "+12025550123", "channel": "PHONE"}], "content": {"text": "a"}, "from": ORIGIN}
        ).encode(),
        1,
    )
    body = json.dumps(send).encode()[: -1 if cut else None]

    found = read_at_once(body, 1)

    if found is not None:
        assert msgspec.to_builtins(found) == msgspec.to_builtins(read_send(body, 1))


def test_most_sends_are_read_at_once() -> None:
    read_send(USUAL, 1)

    assert read_at_once(USUAL, 1) is not None
    assert read_at_once(BODY, 1) is not None
