"""The same app behind the HTTP server that it runs on, spoken to over a socket."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sendpool.api import quick
from sendpool.api.app import create_app
from sendpool.api.quick import AHEAD
from sendpool.api.quick_head import SMALL
from sendpool.api.serving import HttpServer


@pytest.fixture
async def server(world: Any) -> AsyncIterator[HttpServer]:
    server = HttpServer(world.client.app, 5.0)
    yield server
    await server.stop()


@pytest.fixture
async def port(server: HttpServer) -> int:
    return await listen(server)


async def listen(server: HttpServer) -> int:
    """Start it; the port that it is at."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    await server.start(listener)
    found: int = listener.getsockname()[1]
    return found


async def talk(port: int, data: bytes, *, limit: float = 10) -> bytes:
    """Send raw bytes and read until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        return await asyncio.wait_for(reader.read(), limit)
    finally:
        writer.close()


def request(world: Any, line: str, body: bytes = b"", **headers: str) -> bytes:
    sent = {
        "Host": "localhost",
        "Authorization": world.client.authorization.decode(),
        "Connection": "close",
        "Content-Length": str(len(body)),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    return f"{line} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body


async def test_a_send_over_a_socket_is_answered_with_absolute_locations(world: Any, port: int) -> None:
    body = json.dumps({"to": [{"address": "+15551230001", "channel": "PHONE"}], "content": {"text": "Hi"}}).encode()

    answer = await talk(port, request(world, "POST /v1/Messages", body, Host=f"127.0.0.1:{port}"))

    head, _, payload = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 202 ")
    assert json.loads(payload)["operationLocation"].startswith(f"http://127.0.0.1:{port}/v1/Messages/Operations/")


async def test_head_has_the_length_but_not_the_body(world: Any, port: int) -> None:
    answer = await talk(port, request(world, "HEAD /v1/Senders"))

    head, _, payload = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"content-length: " in head
    assert payload == b""


@pytest.mark.parametrize(
    "line",
    ["GET /v1/%ff%zz%00", "GET /v1/Messages/%2e%2e%2f", "GET http://x/v1/Nothing", "GET /v1/Senders/%", "BREW /"],
)
async def test_odd_request_lines_are_4xx(line: str, world: Any, port: int) -> None:
    answer = await talk(port, request(world, line))

    assert answer.startswith(b"HTTP/1.1 4"), answer[:100]


async def test_a_hundred_megabytes_are_refused_before_they_are_sent(world: Any, port: int) -> None:
    head = request(world, "POST /v1/Messages", Content_Length="100000000", Connection="keep-alive")

    answer = await talk(port, head + b"[" * 100_000)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer.lower()


async def test_a_body_in_chunks_without_end_is_cut_off(world: Any, port: int) -> None:
    head = request(world, "POST /v1/Messages", Connection="keep-alive", Transfer_Encoding="chunked")
    head = head.replace(b"Content-Length: 0\r\n", b"")
    chunk = b"%x\r\n" % 1_000_000 + b" " * 1_000_000 + b"\r\n"

    answer = await talk(port, head + chunk * 4)

    assert answer.startswith(b"HTTP/1.1 413 ")


BODY = json.dumps({"to": [{"address": "+15551230001", "channel": "PHONE"}], "content": {"text": "Hi"}}).encode()


def answers(raw: bytes) -> list[tuple[int, Any]]:
    """(status, JSON) of each answer of a connection."""
    found = []
    while raw:
        head, _, rest = raw.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        found.append((int(head.split(b" ")[1]), json.loads(rest[:length])))
        raw = rest[length:]
    return found


async def test_quick_and_usual_requests_are_answered_in_the_order_in_which_they_came(world: Any, port: int) -> None:
    quick = request(world, "POST /v1/Messages", BODY, Connection="keep-alive")
    usual = request(world, "GET /v1/Messages/Operations?pageSize=1", Connection="keep-alive")
    bad = request(world, "POST /v1/Messages", b"[", Connection="keep-alive")
    last = request(world, "GET /v1/Senders?pageSize=1")

    found = answers(await talk(port, quick + usual + bad + quick + usual + last))

    assert [status for status, _ in found] == [202, 200, 400, 202, 200, 200]
    assert "operationId" in found[0][1]
    assert len(found[4][1]["operations"]) == 1


@pytest.mark.parametrize("piece", [1, 7, 100])
async def test_a_quick_request_may_come_in_pieces(piece: int, world: Any, port: int) -> None:
    data = request(world, "POST /preview/Messages", BODY)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for start in range(0, len(data), piece):
        writer.write(data[start : start + piece])
        await writer.drain()
        await asyncio.sleep(0)

    ((status, answer),) = answers(await asyncio.wait_for(reader.read(), 10))

    writer.close()
    assert (status, answer["operationLocation"].split("/")[3]) == (202, "preview")


async def test_quick_and_usual_requests_have_the_same_answer(world: Any, port: int) -> None:
    quick, usual = [
        await talk(port, request(world, line, b'{"to": []}')) for line in ("POST /v1/Messages", "POST /v1/Messages?")
    ]

    assert quick.partition(b"\r\n\r\n")[2] == usual.partition(b"\r\n\r\n")[2]
    names = [sorted(line.split(b":")[0] for line in raw.split(b"\r\n\r\n")[0].split(b"\r\n")) for raw in (quick, usual)]
    assert names[0] == names[1]


async def test_a_quick_request_without_credentials_is_refused(world: Any, port: int) -> None:
    answer = await talk(port, request(world, "POST /v1/Messages", BODY, Authorization="Basic bm9ib2R5"))

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"www-authenticate: Basic" in answer


async def test_large_chunked_old_and_hesitant_requests_are_served_as_ever(world: Any, port: int) -> None:
    large = BODY[:-1] + b" " * SMALL + b"}"
    chunked = request(world, "POST /v1/Messages", Transfer_Encoding="chunked").replace(b"Content-Length: 0\r\n", b"")
    old = request(world, "POST /v1/Messages", BODY).replace(b"HTTP/1.1", b"HTTP/1.0")
    hesitant = request(world, "POST /v1/Messages", BODY, Expect="100-continue")
    for data in (
        request(world, "POST /v1/Messages", large),
        chunked + b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY),
        old,
    ):
        assert (await talk(port, data)).startswith(b"HTTP/1.1 202 ")
    assert (await talk(port, hesitant)).startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 ")


async def test_who_hangs_up_in_the_middle_of_a_quick_request_disturbs_nobody(world: Any, port: int) -> None:
    data = request(world, "POST /v1/Messages", BODY, Connection="keep-alive")
    for end in (len(data) - 1, len(data)):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(data[:end])
        await writer.drain()
        writer.transport.abort()

    assert (await talk(port, request(world, "POST /v1/Messages", BODY))).startswith(b"HTTP/1.1 202 ")


async def test_a_request_is_quick(world: Any, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def routed(*_: object) -> None:
        raise AssertionError("a hot request went through the router")

    monkeypatch.setattr(world.client.app, "_app", routed)

    assert (await talk(port, request(world, "POST /v1/Messages", BODY))).startswith(b"HTTP/1.1 202 ")


async def read_answer(reader: asyncio.StreamReader) -> int:
    """The status of the next answer, read to its end."""
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
    return int(head.split(b" ")[1])


async def test_a_connection_that_asked_for_something_else_is_quick_again(
    world: Any, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request(world, "GET /v1/Senders", Connection="keep-alive"))
    assert await read_answer(reader) == 200

    async def routed(*_: object) -> None:
        raise AssertionError("a hot request went through the router")

    monkeypatch.setattr(world.client.app, "_app", routed)
    writer.write(request(world, "POST /v1/Messages", BODY, Connection="keep-alive"))

    assert await read_answer(reader) == 202
    writer.close()


async def test_a_request_that_has_begun_is_not_torn_off_when_the_one_before_is_answered(world: Any, port: int) -> None:
    usual = request(world, "GET /v1/Senders", Connection="keep-alive")
    last = request(world, "POST /v1/Messages", BODY)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(usual + last[:30])
    assert await read_answer(reader) == 200
    writer.write(last[30:])

    assert await read_answer(reader) == 202
    writer.close()


async def test_a_client_may_ask_far_ahead(world: Any, port: int) -> None:
    one = request(world, "POST /v1/Messages", BODY, Connection="keep-alive")
    number = 3 * AHEAD // len(one)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(one * number)

    assert [await read_answer(reader) for _ in range(number)] == [202] * number
    writer.close()


@pytest.mark.parametrize("asks", [True, False])
async def test_a_connection_that_says_nothing_more_is_closed(
    asks: bool, world: Any, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quick, "KEPT", 0.05)
    monkeypatch.setattr(quick, "PATIENCE", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    if asks:
        writer.write(request(world, "POST /v1/Messages", BODY, Connection="keep-alive"))
        assert await read_answer(reader) == 202
    else:
        writer.write(b"POST /v1/Mess")

    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()


@pytest.mark.parametrize("short", [True, False])
async def test_who_is_being_answered_while_the_server_stops_gets_the_answer(world: Any, short: bool) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def accept(*about: Any) -> Any:
        asked.set()
        await go_on.wait()
        return await world.services.accept(*about)

    async def ask_later(*about: Any) -> None:
        asked.set()
        await go_on.wait()
        assert world.services.ask(*about)

    def ask(*about: Any) -> bool:
        asking.append(asyncio.ensure_future(ask_later(*about)))
        return True

    asking: list[Any] = []
    ways = {"ask": ask} if short else {"ask": lambda *_: False, "accept": accept}
    server = HttpServer(create_app(dataclasses.replace(world.services, **ways)), 5.0)
    port = await listen(server)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    idle, other = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request(world, "POST /v1/Messages", BODY, Connection="keep-alive"))
    await asked.wait()
    stopping = asyncio.create_task(server.stop())
    assert await asyncio.wait_for(idle.read(), 10) == b""
    go_on.set()

    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)

    assert head.startswith(b"HTTP/1.1 202 ")
    assert b"connection: close" in head
    await stopping
    for one in (writer, other):
        one.close()
        await one.wait_closed()
