from __future__ import annotations

import dataclasses
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendpool.api.app import create_app
from sendpool.api.forwarded import origin_of

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
OWN = "http://backend:8080"
SENT = {"to": [{"address": "+15551230001", "channel": "PHONE"}], "content": {"text": "Hi"}}


def origin(lines: dict[str, str] | list[tuple[str, str]], peer: str = "10.0.0.1", **scope: Any) -> str:
    pairs = lines.items() if isinstance(lines, dict) else lines
    headers = [(b"host", b"backend:8080"), *((name.lower().encode(), value.encode("latin-1")) for name, value in pairs)]
    whole = {"type": "http", "scheme": "http", "client": (peer, 4711), "server": ("10.0.0.9", 8080), "headers": headers}
    return origin_of({**whole, **scope}, dict(headers), None, TRUSTED)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ({"X-Forwarded-Proto": "https"}, "https://backend:8080"),
        ({"X-Forwarded-Proto": "https", "X-Forwarded-Host": "sms.example.com"}, "https://sms.example.com"),
        ({"X-Forwarded-Host": "sms.example.com:8443"}, "http://sms.example.com:8443"),
        ({"X-Forwarded-Host": "sms.example.com", "X-Forwarded-Port": "8443"}, "http://sms.example.com:8443"),
        ({"X-Forwarded-Proto": "HTTPS", "X-Forwarded-Port": "443"}, "https://backend"),
        ({"X-Forwarded-Host": "[2001:db8::1]:8080", "X-Forwarded-Port": "80"}, "http://[2001:db8::1]"),
        ({"X-Forwarded-Prefix": "/twilio-comms/"}, f"{OWN}/twilio-comms"),
        ({"X-Forwarded-Prefix": "/a/b"}, f"{OWN}/a/b"),
        ({"X-Forwarded-Prefix": "/"}, OWN),
        ({"Forwarded": "for=192.0.2.7;proto=https;host=sms.example.com;by=10.0.0.1"}, "https://sms.example.com"),
        ({"Forwarded": 'For="[2001:db8::1]:4711"; Host="sms.example.com:8443"'}, "http://sms.example.com:8443"),
        ({"Forwarded": 'host="sms.exa\\mple.com"'}, "http://sms.example.com"),
        ({"Forwarded": "proto=https", "X-Forwarded-Host": "ignored"}, "https://backend:8080"),
        ({"Forwarded": "host=a.example", "X-Forwarded-Prefix": "/p"}, "http://a.example/p"),
        ([("Forwarded", "host=evil.example"), ("Forwarded", "for=192.0.2.7;host=a.example")], "http://a.example"),
    ],
)
def test_a_trusted_proxy_says_what_its_client_used(lines: Any, expected: str) -> None:
    assert origin(lines) == expected


@pytest.mark.parametrize(
    "lines",
    [
        {"X-Forwarded-Proto": "ftp"},
        {"X-Forwarded-Proto": ""},
        {"X-Forwarded-Host": "user@evil.example"},
        {"X-Forwarded-Host": "evil.example/path"},
        {"X-Forwarded-Host": '"><script>'},
        {"X-Forwarded-Host": "\xff"},
        {"X-Forwarded-Port": "0"},
        {"X-Forwarded-Port": "65536"},
        {"X-Forwarded-Port": "8" * 100},
        {"X-Forwarded-Port": "\xb2"},
        {"X-Forwarded-Prefix": "no-slash"},
        {"X-Forwarded-Prefix": "//evil.example"},
        {"X-Forwarded-Prefix": "/a?b#c"},
        {"X-Forwarded-Prefix": "/a\r\nb"},
        {"Forwarded": "host"},
        {"Forwarded": "host=evil.example;="},
        {"Forwarded": 'host="never closed'},
        {"Forwarded": ""},
        {"X-Forwarded-Host": "a.example", "X-Forwarded-For": "1, " * 5_000},
    ],
)
def test_what_cannot_stand_in_a_url_counts_as_not_said(lines: dict[str, str]) -> None:
    assert origin(lines) == OWN


@pytest.mark.parametrize("peer", ["192.0.2.1", "::1", "11.0.0.1", "unknown"])
@pytest.mark.parametrize(
    "lines",
    [
        {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/x"},
        {"X-Forwarded-Host": "evil.example", "X-Forwarded-For": "10.0.0.1"},
        {"Forwarded": "for=10.0.0.1;host=evil.example"},
    ],
)
def test_nobody_else_is_believed(lines: dict[str, str], peer: str) -> None:
    assert origin(lines, peer) == OWN


def test_no_network_is_trusted_until_one_is_named() -> None:
    headers = [(b"host", b"backend:8080"), (b"x-forwarded-host", b"evil.example")]
    scope = {"scheme": "http", "client": ("127.0.0.1", 4711), "headers": headers}

    assert origin_of(scope, dict(headers), None) == OWN


def test_an_ipv4_peer_on_an_ipv6_socket_is_the_same_peer() -> None:
    assert origin({"X-Forwarded-Proto": "https"}, "::ffff:10.0.0.1") == "https://backend:8080"
    assert origin({"X-Forwarded-Proto": "https"}, "fd00::1") == "https://backend:8080"


def test_a_request_without_a_peer_is_believed_nothing() -> None:
    assert origin({"X-Forwarded-Proto": "https"}, client=None) == OWN


@pytest.mark.parametrize(
    ("clients", "hosts", "expected"),
    [
        # The client wrote the first host itself; the one proxy appended what it was asked for.
        ("192.0.2.7", "evil.example, a.example", "a.example"),
        # Two proxies of ours: the outer one was asked for a.example.
        ("192.0.2.7, 10.0.0.2", "a.example, inner.example", "a.example"),
        ("192.0.2.7, 10.0.0.2", "evil.example, a.example, inner.example", "a.example"),
        ("192.0.2.7:4711, 10.0.0.2:4711", "a.example, inner.example", "a.example"),
        ("evil, 192.0.2.7, [fd00::2]:4711", "evil.example, a.example, inner.example", "a.example"),
        # The inner proxy replaces the host with the only one that counts.
        ("192.0.2.7, 10.0.0.2", "a.example", "a.example"),
        # Somebody outside claims to be one of ours, but asked through a proxy that names the outsider.
        ("10.0.0.2, 192.0.2.7", "evil.example, a.example", "a.example"),
        ("10.0.0.4, 10.0.0.3, 10.0.0.2", "a.example, b.example", "a.example"),
    ],
)
def test_a_chain_is_followed_as_far_as_it_is_trusted(clients: str, hosts: str, expected: str) -> None:
    assert origin({"X-Forwarded-For": clients, "X-Forwarded-Host": hosts}) == f"http://{expected}"

    quoted = [f'"{client.strip()}"' for client in clients.split(",")]
    names = [host.strip() for host in hosts.split(",")]
    if len(quoted) == len(names):
        elements = [f"for={client};host={host}" for client, host in zip(quoted, names, strict=True)]
        assert origin({"Forwarded": ", ".join(elements)}) == f"http://{expected}"


@given(
    st.dictionaries(
        st.sampled_from(["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Prefix"]),
        st.text(alphabet='afor=hst;,":.\\[]/10 \t', max_size=40),
    )
)
def test_whatever_a_proxy_says_the_base_is_an_http_url(lines: dict[str, str]) -> None:
    found = origin(lines)

    assert found.startswith("http://")
    assert not set(found) & set(' "\\;,\t\r\n')


async def test_locations_behind_a_proxy_lie_below_what_the_client_used(world: Any) -> None:
    services = dataclasses.replace(world.services, trusted_proxies=(ip_network("127.0.0.0/8"),))
    world.client.app = create_app(services)
    told = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "sms.example.com", "X-Forwarded-Prefix": "/comms"}

    answer = await world.client.post("/v1/Messages", SENT, headers=told)

    base = "https://sms.example.com/comms/v1"
    assert answer.json["operationLocation"].startswith(f"{base}/Messages/Operations/")
    assert answer.headers["resource-location"].startswith(f"{base}/Messages?")


async def test_the_public_urls_path_may_stand_before_every_path(world: Any) -> None:
    services = dataclasses.replace(world.services, public_url="https://sms.example.com/comms")
    world.client.app = create_app(services)

    for path in ("/comms/v1/Messages", "/v1/Messages"):
        answer = await world.client.post(path, SENT)
        assert answer.json["operationLocation"].startswith("https://sms.example.com/comms/v1/Messages/Operations/")
    assert (await world.client.get("/comms/healthz")).status == 200
    for path in ("/comms", "/comms/", "/commsv1/Messages", "/comms/comms/v1/Messages"):
        assert (await world.client.get(path)).status == 404
