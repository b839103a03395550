"""Events go into a stream of a real NATS server, once and in the order of their message, whatever becomes of it."""

from __future__ import annotations

import asyncio
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import nats
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from nats.js.api import StreamConfig

from sendpool.connectors.jetstream import JetStreams
from sendpool.connectors.sinks import NotInstalled, Target
from sendpool.testing.nats_server import NatsServer, NoNats, binary, nats_server
from sendpool.testing.proxy import Proxy

LOOPBACK = ["127.0.0.0/8"]
SECRET = "not-for-logs"


@pytest.fixture(autouse=True)
def _a_server_to_start() -> None:
    try:
        binary()
    except NoNats as error:
        pytest.skip(str(error))


@pytest.fixture
def broker() -> Iterator[NatsServer]:
    with nats_server() as server:
        yield server


@asynccontextmanager
async def streams(allowed: Sequence[str] = LOOPBACK, within: float = 5.0) -> AsyncIterator[JetStreams]:
    opened = JetStreams(allowed, connect_timeout=2, within=within)
    try:
        yield opened
    finally:
        await opened.close()


def target(*servers: str, subject: str = "sendpool.{type}", **credentials: str) -> Target:
    return Target("DG1", {"servers": list(servers), "subject": subject, **credentials})


def event(message: str, number: int, kind: str = "com.example.message.sent") -> bytes:
    return msgspec.json.encode({"specversion": "1.0", "id": f"{message}.{number}", "type": kind, "data": {}})


async def make_stream(broker: NatsServer, **connecting: Any) -> None:
    client = await nats.connect(broker.url, **connecting)
    await client.jetstream().add_stream(StreamConfig(name="EVENTS", subjects=["sendpool.>"]))
    await client.close()


async def stored(broker: NatsServer, **connecting: Any) -> list[Any]:
    """Every message of the stream, oldest first."""
    client = await nats.connect(broker.url, **connecting)
    stream = client.jetstream()
    last = (await stream.stream_info("EVENTS")).state.last_seq
    found = [await stream.get_msg("EVENTS", seq) for seq in range(1, last + 1)]
    await client.close()
    return found


async def test_events_become_messages_named_by_their_ids(broker: NatsServer) -> None:
    await make_stream(broker)
    async with streams() as opened:
        sent, failed = event("m1", 2), event("m1", 3, "com.example.message.failed")

        assert await opened.hand_over(target(broker.url), [sent, failed], "b") is None

    first, second = await stored(broker)
    assert (first.subject, first.data) == ("sendpool.com.example.message.sent", sent)
    assert (second.subject, second.data) == ("sendpool.com.example.message.failed", failed)
    assert first.headers["Nats-Msg-Id"] == "m1.2"
    assert first.headers["content-type"] == "application/cloudevents+json; charset=utf-8"


async def test_what_is_offered_again_is_not_stored_again(broker: NatsServer) -> None:
    await make_stream(broker)
    async with streams() as opened:
        assert await opened.hand_over(target(broker.url), [event("m1", 1), event("m2", 1)], "a") is None
        assert await opened.hand_over(target(broker.url), [event("m2", 1), event("m3", 1)], "b") is None

    assert [one.headers["Nats-Msg-Id"] for one in await stored(broker)] == ["m1.1", "m2.1", "m3.1"]


async def test_a_message_keeps_its_order_where_the_broker_takes_only_some(broker: NatsServer) -> None:
    await make_stream(broker)
    async with streams() as opened:
        # The second event of m1 goes to a subject that no stream takes, so that its third may not be stored either.
        batch = [
            event("m1", 1, "a"),
            event("m2", 1, "a"),
            event("m1", 2, "gap"),
            event("m1", 3, "a"),
            event("m2", 2, "a"),
        ]
        client = await nats.connect(broker.url)
        await client.jetstream().update_stream(StreamConfig(name="EVENTS", subjects=["sendpool.a"]))
        why = await opened.hand_over(target(broker.url), batch, "b")
        before = [one.headers["Nats-Msg-Id"] for one in await stored(broker)]
        await client.jetstream().update_stream(StreamConfig(name="EVENTS", subjects=["sendpool.>"]))
        await client.close()
        again = await opened.hand_over(target(broker.url), batch, "b")

    assert why == "no stream of the broker takes the subject"
    assert before == ["m1.1", "m2.1", "m2.2"]
    assert again is None
    assert [one.headers["Nats-Msg-Id"] for one in await stored(broker)] == [*before, "m1.2", "m1.3"]


async def test_a_broker_that_is_down_is_found_when_it_is_back(broker: NatsServer) -> None:
    await make_stream(broker)
    async with streams() as opened:
        assert await opened.hand_over(target(broker.url), [event("m1", 1)], "a") is None
        broker.stop()
        down = [await opened.hand_over(target(broker.url), [event("m1", 2)], "b") for _ in range(2)]
        broker.start()

        assert await opened.hand_over(target(broker.url), [event("m1", 2)], "b") is None

    assert down[-1] == "Connection refused"
    assert [one.headers["Nats-Msg-Id"] for one in await stored(broker)] == ["m1.1", "m1.2"]


async def test_another_server_is_tried_where_one_is_down(broker: NatsServer) -> None:
    await make_stream(broker)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        dead = f"nats://127.0.0.1:{unused.getsockname()[1]}"
        async with streams() as opened:
            assert await opened.hand_over(target(dead, broker.url), [event("m1", 1)], "a") is None


async def test_a_broker_that_is_killed_in_the_middle_loses_nothing_that_was_taken(broker: NatsServer) -> None:
    await make_stream(broker)
    lanes, batches, taken, failures = 8, 12, [0] * 8, set()

    async with streams() as opened:

        async def lane(number: int) -> None:
            for batch in range(batches):
                events = [event(f"m{number}-{batch}-{n}", step) for n in range(20) for step in (1, 2)]
                while (why := await opened.hand_over(target(broker.url), events, f"{number}.{batch}")) is not None:
                    failures.add(why)
                    await asyncio.sleep(0.05)
                taken[number] += 1

        async def trouble() -> None:
            for at in (0.25, 0.6):
                while sum(taken) < at * lanes * batches:
                    await asyncio.sleep(0.001)
                await asyncio.to_thread(broker.stop)
                await asyncio.to_thread(broker.start)

        async with asyncio.timeout(60):
            await asyncio.gather(trouble(), *map(lane, range(lanes)))

    # Each lane heard of it at once.
    assert failures <= {"the connection broke", "Connection refused"}
    steps = defaultdict(list)
    client = await nats.connect(broker.url)
    state = (await client.jetstream().stream_info("EVENTS")).state
    subscription = await client.jetstream().subscribe("sendpool.>", ordered_consumer=True)
    for _ in range(state.messages):
        one = await subscription.next_msg(timeout=5)
        message, _, step = (one.headers or {})["Nats-Msg-Id"].partition(".")
        steps[message].append(step)
    await client.close()
    assert len(steps) == lanes * batches * 20
    assert set(map(tuple, steps.values())) == {("1", "2")}


async def test_a_broker_that_says_nothing_is_left_for_another(broker: NatsServer) -> None:
    await make_stream(broker)
    with nats_server() as other:
        await make_stream(other)
        async with streams(within=0.5) as opened:
            where = target(broker.url, other.url)
            assert await opened.hand_over(where, [event("m1", 1)], "a") is None
            broker.freeze()

            assert await opened.hand_over(where, [event("m1", 2)], "b") == "no answer within 0.5 s"
            assert await opened.hand_over(where, [event("m1", 2)], "b") is None

        assert [one.headers["Nats-Msg-Id"] for one in await stored(other)] == ["m1.2"]


async def test_a_stream_that_is_full_says_so(broker: NatsServer) -> None:
    client = await nats.connect(broker.url)
    full = StreamConfig(name="EVENTS", subjects=["sendpool.>"], max_msgs=1, discard="new")  # type: ignore[arg-type]
    await client.jetstream().add_stream(full)
    await client.close()
    async with streams() as opened:
        why = await opened.hand_over(target(broker.url), [event("m1", 1), event("m1", 2)], "b")

    assert why == "the broker refused it: maximum messages exceeded (10077)"


async def test_no_stream_at_all_says_so(broker: NatsServer) -> None:
    async with streams() as opened:
        assert await opened.hand_over(target(broker.url), [event("m1", 1)], "b") == (
            "no stream of the broker takes the subject"
        )


@pytest.mark.parametrize(
    ("settings", "right", "wrong"),
    [
        (f"authorization {{token: {SECRET}}}", {"token": SECRET}, {"token": "another"}),
        (
            f"authorization {{user: u, password: {SECRET}}}",
            {"user": "u", "password": SECRET},
            {"user": "u", "password": "another"},
        ),
    ],
    ids=["token", "password"],
)
async def test_credentials_are_shown_to_the_broker(settings: str, right: dict[str, str], wrong: dict[str, str]) -> None:
    with nats_server(settings) as broker:
        await make_stream(broker, **right)
        async with streams() as opened:
            assert await opened.hand_over(target(broker.url, **right), [event("m1", 1)], "a") is None
        async with streams() as opened:
            refused = [await opened.hand_over(target(broker.url, **how), [event("m1", 2)], "b") for how in (wrong, {})]

    assert refused == ["the broker does not take the credentials"] * 2


async def test_a_user_that_may_not_publish_is_told_so() -> None:
    users = "{user: a, password: p}, {user: b, password: p, permissions: {publish: elsewhere}}"
    with nats_server(f"authorization {{users: [{users}]}}") as broker:
        await make_stream(broker, user="a", password="p")
        async with streams(within=0.5) as opened:
            why = await opened.hand_over(target(broker.url, user="b", password="p"), [event("m1", 1)], "a")

    assert why == "the broker does not let this user publish there"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1"])
async def test_private_networks_are_refused_however_they_are_written(broker: NatsServer, host: str) -> None:
    async with streams(allowed=()) as opened:
        why = await opened.hand_over(target(f"nats://{host}:{broker.port}"), [event("m1", 1)], "a")

    assert why == "its address is in a private network; see allow_private_networks"


async def test_the_address_that_was_checked_is_the_one_that_is_connected_to(
    broker: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_stream(broker)
    asked: list[str] = []

    async def lie(_: object, host: str, port: int = 0, family: int = 0) -> list[dict[str, object]]:
        asked.append(host)
        found = {"hostname": host, "host": "127.0.0.1", "port": port, "family": socket.AF_INET, "proto": 6, "flags": 0}
        return [found]

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", lie)
    # Nobody else knows the name: whoever resolved it a second time would not get there.
    where = target(f"nats://public.invalid:{broker.port}")
    async with streams() as opened:
        assert await opened.hand_over(where, [event("m1", 1)], "a") is None
    async with streams(allowed=()) as opened:
        assert "private network" in (await opened.hand_over(where, [event("m1", 2)], "b") or "")

    assert asked == ["public.invalid", "public.invalid"]


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for *name* that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    names = x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ip_address("127.0.0.9"))])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert, private = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    private.write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))
    return cert, private


async def test_tls_is_made_with_who_the_name_says_and_with_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = certificate(tmp_path, "localhost")
    with nats_server(f'tls {{cert_file: "{cert}", key_file: "{key}"}}\nauthorization {{token: {SECRET}}}') as broker:
        port = broker.port

        async def offer(host: str) -> str | None:
            async with streams() as opened:
                return await opened.hand_over(target(f"tls://{host}:{port}", token=SECRET), [event("m1", 1)], "a")

        stranger = await offer("localhost")
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))
        right, wrong = await offer("localhost"), await offer("127.0.0.1")

    assert stranger == "its certificate is not trusted, or is another server's"
    # It got as far as its answer: there is no stream.
    assert right == "no stream of the broker takes the subject"
    assert wrong == stranger


async def test_credentials_never_leave_in_plain_text_where_tls_is_demanded() -> None:
    heard = bytearray()

    async def without_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.10.0","max_payload":1048576,"auth_required":true}\r\n')
        while octets := await reader.read(1024):
            heard.extend(octets)
            writer.write(b"PONG\r\n")
        writer.close()

    server = await asyncio.start_server(without_tls, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    why = []
    for credentials in ({"token": SECRET}, {"user": "u", "password": SECRET}, {}):
        async with streams() as opened:
            where = target(f"tls://127.0.0.1:{port}", **credentials)
            why.append(await opened.hand_over(where, [event("m1", 1)], "a"))
    server.close()
    await server.wait_closed()

    assert why == ["the server does not offer TLS, which tls:// demands"] * 3
    assert SECRET.encode() not in heard
    assert b"m1.1" not in heard


@pytest.mark.parametrize(
    "greeting", [b"INFO []", b"INFO {", b"HTTP/1.1 400 Bad Request", b"INFO " + b"x" * 99_999, b""]
)
async def test_whatever_answers_instead_of_a_broker_is_no_broker(greeting: bytes) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting + b"\r\n")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with streams() as opened:
        where = target(f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}", token=SECRET)
        why = await opened.hand_over(where, [event("m1", 1)], "a")
    server.close()
    await server.wait_closed()

    assert why
    assert SECRET not in why


async def test_a_connection_that_nobody_needs_is_closed(broker: NatsServer) -> None:
    await make_stream(broker)
    opened = JetStreams(LOOPBACK, connect_timeout=2, keep=0.05)
    async with Proxy(port=broker.port) as proxy:
        where = target(f"nats://127.0.0.1:{proxy.port}")
        assert await opened.hand_over(where, [event("m1", 1)], "a") is None
        async with asyncio.timeout(5):
            while proxy._links:
                await asyncio.sleep(0.01)
        assert await opened.hand_over(where, [event("m1", 2)], "b") is None
        assert proxy.connections == 2
        await opened.close()


async def test_without_the_extra_it_says_what_to_install() -> None:
    why = await NotInstalled("nats").hand_over(target("nats://x"), [b"{}"], "a")

    assert why is not None
    assert 'install "sendpool[nats]"' in why
