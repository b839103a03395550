"""The same app behind the HTTP server that it runs on, spoken to over a socket."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn


@pytest.fixture
async def port(world: Any) -> AsyncIterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        world.client.app, http="httptools", ws="none", lifespan="off", log_config=None, server_header=False
    )
    server = uvicorn.Server(config)
    server.capture_signals = _leave_signals  # type: ignore[method-assign]
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.005)
    yield listener.getsockname()[1]
    server.should_exit = True
    await serving


def _leave_signals() -> Any:
    import contextlib

    return contextlib.nullcontext()


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
