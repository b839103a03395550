"""The HTTP client tells what left us from what did not, and a web connector watches its link."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any

import msgspec
import pytest
from aiohttp import web

from sendpool.connectors.base import CarrierId, Outcome, Submission
from sendpool.connectors.web import (
    AiohttpClient,
    Backoff,
    LinkDown,
    NoAnswer,
    NotSent,
    Watch,
    WebConnector,
    read_options,
)
from sendpool.testing.clock import VirtualTimeLoop
from sendpool.testing.inbox import RecordingInbox

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Asynchronous tests here run in virtual time: waiting takes none."""
    return "asyncio", {"loop_factory": VirtualTimeLoop}


class Site:
    """A web server that counts connections."""

    def __init__(self, answer: Answer) -> None:
        self.connections = 0
        self.requests: list[tuple[str, str, bytes]] = []
        self._answer = answer
        self._web = web.Server(self._take, access_log=None, handler_cancellation=True)
        self._server: asyncio.Server | None = None
        self.url = ""

    async def start(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(self._connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for connection in self._web.connections:
            if connection.transport is not None:
                connection.transport.abort()
        await self._web.shutdown(1.0)

    def _connected(self) -> asyncio.BaseProtocol:
        self.connections += 1
        return self._web()

    async def _take(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append((request.method, request.raw_path, await request.read()))
        return await self._answer(request)


async def fine(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(body=b"fine", headers={"Retry-After": "3"})


async def never(request: web.BaseRequest) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def cut(request: web.BaseRequest) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def endless(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(body=b"x" * (9 * 1024 * 1024))


async def elsewhere(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "/other"})


@contextlib.asynccontextmanager
async def visiting(answer: Answer) -> AsyncIterator[tuple[Site, AiohttpClient]]:
    site, client = Site(answer), AiohttpClient(connect_timeout=5)
    await site.start()
    try:
        yield site, client
    finally:
        await client.close()
        await site.stop()


def unused_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


async def test_an_answer_has_status_headers_and_body() -> None:
    async with visiting(fine) as (site, client):
        reply = await client.request("POST", f"{site.url}/v1/%2B44?a=b%40c", headers={}, body=b"{}", within=5)

        assert (reply.status, reply.body, reply.headers["retry-after"]) == (200, b"fine", "3")
        assert site.requests == [("POST", "/v1/%2B44?a=b%40c", b"{}")]


async def test_requests_one_after_the_other_share_a_connection() -> None:
    async with visiting(fine) as (site, client):
        for _ in range(20):
            await client.request("GET", f"{site.url}/", headers={}, within=5)

        assert site.connections == 1


async def test_redirects_are_answers() -> None:
    async with visiting(elsewhere) as (site, client):
        reply = await client.request("GET", f"{site.url}/", headers={}, within=5)

        assert reply.status == 302
        assert len(site.requests) == 1


async def test_no_answer_in_time_may_have_arrived() -> None:
    async with visiting(never) as (site, client):
        with pytest.raises(NoAnswer, match=r"^no answer within 15 s$"):
            await client.request("POST", f"{site.url}/", headers={}, body=b"x", within=15)

        assert len(site.requests) == 1


@pytest.mark.parametrize("method", ["POST", "DELETE", "GET"])
async def test_a_connection_that_breaks_may_have_arrived_and_nothing_is_repeated(method: str) -> None:
    async with visiting(cut) as (site, client):
        with pytest.raises(NoAnswer, match=r"^the connection broke: \w+$"):
            await client.request(method, f"{site.url}/", headers={}, within=5)

        assert len(site.requests) == 1


async def test_a_kept_connection_that_breaks_is_not_tried_again_either() -> None:
    answers = iter([fine, cut])

    async def first_fine(request: web.BaseRequest) -> web.StreamResponse:
        return await next(answers)(request)

    async with visiting(first_fine) as (site, client):
        await client.request("DELETE", f"{site.url}/", headers={}, within=5)
        with pytest.raises(NoAnswer):
            await client.request("DELETE", f"{site.url}/", headers={}, within=5)

        assert len(site.requests) == 2


async def test_without_a_listener_nothing_left() -> None:
    client = AiohttpClient(connect_timeout=5)
    port = unused_port()

    with pytest.raises(NotSent, match=r"^Connection refused$"):
        await client.request("POST", f"http://127.0.0.1:{port}/+447700900123", headers={}, within=15)

    await client.close()


async def test_a_listener_without_tls_gets_nothing() -> None:
    async with visiting(fine) as (site, client):
        with pytest.raises(NotSent, match=r"^no TLS connection$"):
            await client.request("POST", site.url.replace("http", "https"), headers={}, within=15)

        assert site.requests == []


async def test_an_answer_without_end_is_none() -> None:
    async with visiting(endless) as (site, client):
        with pytest.raises(NoAnswer, match="an answer of more than"):
            await client.request("GET", f"{site.url}/", headers={}, within=60)


# The watched link


class Probed(WebConnector):
    """A connector whose probe fails while `why` says something."""

    def __init__(self) -> None:
        super().__init__(window=7, watch=Watch(idle=30, reconnect_min=1, reconnect_max=8), patience=1, random=lambda: 1)
        self.why = ""
        self.wait = 0.0
        self.fault: Exception | None = None
        self.probes: list[float] = []

    async def probe(self) -> None:
        self.probes.append(asyncio.get_running_loop().time())
        if self.fault is not None:
            raise self.fault
        if self.why:
            raise LinkDown(self.why, wait=self.wait)

    async def send(self, submission: Submission) -> Outcome:
        return CarrierId("1")

    @property
    def gaps(self) -> list[float]:
        return [round(b - a, 3) for a, b in zip(self.probes, self.probes[1:], strict=False)]


@pytest.fixture
async def probed() -> AsyncIterator[Probed]:
    connector = Probed()
    yield connector
    await connector.close()


async def test_link_is_up_once_the_probe_succeeds(probed: Probed) -> None:
    inbox = RecordingInbox()
    await probed.open(inbox)
    assert inbox.links == []

    await inbox.wait_for(lambda i: i.is_up)

    assert (inbox.window, inbox.links[-1].detail) == (7, "the carrier answers")


async def test_waits_between_looks_double_up_to_the_last(probed: Probed) -> None:
    inbox = RecordingInbox()
    probed.why = "nobody there"
    await probed.open(inbox)
    await asyncio.sleep(28)

    assert probed.gaps == [1, 2, 4, 8, 8]
    assert [link.detail for link in inbox.links] == ["nobody there"]


async def test_a_refusal_that_only_a_person_can_mend_waits_longer(probed: Probed) -> None:
    inbox = RecordingInbox()
    probed.why, probed.wait = "wrong key", 300
    await probed.open(inbox)
    await asyncio.sleep(400)

    assert probed.gaps == [301]


async def test_an_idle_link_is_looked_at(probed: Probed) -> None:
    inbox = RecordingInbox()
    await probed.open(inbox)
    await asyncio.sleep(95)

    assert probed.gaps == [30, 30, 30]


async def test_a_busy_link_is_not_looked_at() -> None:
    async with visiting(fine) as (site, _):
        probed = Probed()
        await probed.open(RecordingInbox())
        for _ in range(10):
            await asyncio.sleep(10)
            await probed.call("GET", f"{site.url}/", headers={}, within=5)

        assert len(probed.probes) == 1
        await probed.close()


async def test_a_request_without_a_connection_brings_a_look_at_once(probed: Probed) -> None:
    inbox = RecordingInbox()
    await probed.open(inbox)
    await inbox.wait_for(lambda i: i.is_up)
    probed.why = "gone"

    with pytest.raises(NotSent):
        await probed.call("GET", f"http://127.0.0.1:{unused_port()}/", headers={}, within=5)
    await inbox.wait_for(lambda i: not i.is_up, within=1)

    assert inbox.links[-1].detail == "gone"


async def test_a_fault_in_the_probe_does_not_end_the_watch(probed: Probed) -> None:
    inbox = RecordingInbox()
    probed.fault = KeyError("oops")
    await probed.open(inbox)
    await inbox.wait_for(lambda i: bool(i.links))
    assert inbox.links[-1].detail == "KeyError in the connector"

    probed.fault = None
    await inbox.wait_for(lambda i: i.is_up)


async def test_calls_before_open_and_after_close_send_nothing(probed: Probed) -> None:
    with pytest.raises(NotSent, match="not open"):
        await probed.call("GET", "http://127.0.0.1/", headers={}, within=5)
    await probed.open(RecordingInbox())
    await probed.close()
    with pytest.raises(NotSent, match="not open"):
        await probed.call("GET", "http://127.0.0.1/", headers={}, within=5)


def test_backoff_draws_from_a_growing_span_and_begins_again() -> None:
    draws = iter([0.5, 0.5, 1.0, 1.0])
    backoff = Backoff(2, 6, lambda: next(draws))

    assert [backoff.wait() for _ in range(3)] == [1, 2, 6]
    backoff.reset()
    assert backoff.wait() == 2


# Options


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    host: str
    port: Annotated[int, msgspec.Meta(ge=1)] = 80


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "key 'host': it is missing"),
        ({"host": 1}, "key 'host': expected str, got int"),
        ({"host": "a", "port": 0}, "key 'port': expected int >= 1"),
        ({"host": "a", "prot": 1}, "key 'prot': not a setting here; known are host, port"),
    ],
)
def test_wrong_options_are_named_by_their_key(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError) as error:
        read_options(given, Options)

    assert str(error.value) == said
