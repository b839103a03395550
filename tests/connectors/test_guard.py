"""Requests to URLs of strangers never reach private networks, however the address is written."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from ipaddress import ip_network

import aiohttp
import pytest
from aiohttp import web

from sendpool.connectors.guard import GuardedClient, is_allowed
from sendpool.connectors.web import NotSent

PRIVATE = [
    "127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1",
    "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1",
    "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1",
    "2002:7f00:1::", "2002:a00:1::", "2001:db8::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_refused(address: str) -> None:
    assert not is_allowed(address, ())


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are_taken(address: str) -> None:
    assert is_allowed(address, ())


def test_what_the_operator_allows_is_taken_and_nothing_beside_it() -> None:
    allowed = (ip_network("10.1.0.0/16"), ip_network("fd00::/8"))

    assert is_allowed("10.1.2.3", allowed)
    assert is_allowed("::ffff:10.1.2.3", allowed)
    assert is_allowed("fd00::1", allowed)
    assert not is_allowed("10.2.0.1", allowed)
    assert not is_allowed("127.0.0.1", allowed)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A server on the loopback that sends whoever comes elsewhere."""

    async def redirect(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"location": "http://127.0.0.1:1/"})

    app = web.Application()
    app.router.add_get("/", redirect)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1"])
async def test_no_way_of_writing_the_loopback_leads_there(host: str, port: int) -> None:
    client = GuardedClient((), connect_timeout=1)
    try:
        with pytest.raises(NotSent):
            await client.request("GET", f"http://{host}:{port}/", headers={}, within=2)
    finally:
        await client.close()


async def test_a_redirect_is_an_answer_and_is_not_followed(port: int) -> None:
    client = GuardedClient(["127.0.0.0/8"], connect_timeout=1)
    try:
        reply = await client.request("GET", f"http://localhost:{port}/", headers={}, within=2)
    finally:
        await client.close()

    assert reply.status == 302


async def test_a_name_is_checked_when_it_is_resolved_each_time(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def lie(_: object, host: str, port: int = 0, family: int = 0) -> list[dict[str, object]]:
        asked.append(host)
        found = {"hostname": host, "host": "127.0.0.1", "port": port, "family": socket.AF_INET, "proto": 6, "flags": 0}
        return [found]

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", lie)
    client = GuardedClient((), connect_timeout=1)
    try:
        with pytest.raises(NotSent, match="private network"):
            await client.request("GET", f"http://public.example:{port}/", headers={}, within=2)
    finally:
        await client.close()

    assert asked == ["public.example"]
