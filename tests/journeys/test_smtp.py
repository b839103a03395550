"""Emails from the request over a relay to what became of them; the relay is aiosmtpd, which is not ours."""

from __future__ import annotations

import asyncio
import socket
from collections import defaultdict
from collections.abc import AsyncIterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP
from tests.connectors.smtp.relay import notification, post
from tests.journeys.conftest import Rig, Server, _connection

MAILBOX, OTHER = "shop@example.com", "news@example.com"
BOUNCES, SECRET = "bounces.example.com", "journey-secret-of-some-length"
CONTENT = {
    "subject": "Your order, {{ name | default: 'customer' }}",
    "html": "<p>Dear {{ name | default: 'customer' }}, it is on its way.</p>",
    "attachments": [{"filename": "order.txt", "content": "b25lIGNha2U=", "type": "text/plain"}],
}


class Postbox:
    """What aiosmtpd asks: takes every message, refuses "nobody", and hangs up on "vanish" once it has the message."""

    def __init__(self) -> None:
        self.messages: dict[str, list[EmailMessage]] = defaultdict(list)
        #: Return path by recipient.
        self.back: dict[str, str] = {}

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self, _server: Any, session: Any, _envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [*responses[:-1], "250-PIPELINING", responses[-1]]

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        if address.startswith("nobody"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        (to,) = envelope.rcpt_tos
        message = message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        self.messages[to].append(message)
        self.back[to] = envelope.mail_from
        if to.startswith("vanish"):
            server.transport.abort()
        return "250 2.0.0 queued"


class Relay:
    """A relay, and the port at which the server takes bounces."""

    def __init__(self, box: Postbox, port: int) -> None:
        self.box = box
        self.port = port
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.bounce_port: int = one.getsockname()[1]

    def connection(self, **settings: object) -> str:
        own = {
            "host": "127.0.0.1",
            "port": self.port,
            "tls": "none",
            "helo_name": "send.example.com",
            "bounce_domain": BOUNCES,
            "secret": SECRET,
            "bounce_port": self.bounce_port,
            "public_url": "https://send.example.com",
            "reconnect_min": 0.1,
            "reconnect_max": 0.5,
        }
        return _connection("relay", "smtp", {**own, **settings}, [("EMAIL", MAILBOX, 100), ("EMAIL", OTHER, 100)])

    async def report(self, to: str, action: str, status: str, diagnostic: str = "") -> str:
        """Notify the server of what became of the message to somebody."""
        return await post(notification(to, action, status, diagnostic=diagnostic), self.box.back[to], self.bounce_port)


@pytest.fixture
async def relay() -> AsyncIterator[Relay]:
    box, loop = Postbox(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(box, enable_SMTPUTF8=True, hostname="relay", loop=loop), "127.0.0.1")
    yield Relay(box, server.sockets[0].getsockname()[1])
    server.close()


async def send(server: Server, *to: str, **more: object) -> str:
    """Send to these people; returns the operation's id."""
    people = [{"address": one, "name": "Ana Díaz", "variables": {"name": "Ana"}} for one in to]
    body = {"from": {"address": MAILBOX}, "to": people, "content": CONTENT, **more}
    return str((await server.call("POST", "/v1/Emails", body, 202))["operationId"])


async def statuses(server: Server, operation: str) -> dict[str, str]:
    emails = await server.pages(f"/v1/Emails?operationId={operation}", "emails")
    return {one["to"][0]["address"].partition("@")[0]: one["status"] for one in emails}


async def wait_statuses(rig: Rig, server: Server, operation: str, **wanted: str) -> None:
    async def reached() -> bool:
        found = await statuses(server, operation)
        return all(found[who] == status for who, status in wanted.items())

    await rig.until(reached, 20, f"statuses are {wanted}")


async def test_emails_go_over_the_relay_and_notifications_tell_what_became_of_them(rig: Rig, relay: Relay) -> None:
    server = await rig.server(relay.connection())
    assert {one: it["status"] for one, it in (await server.senders()).items()} == {
        MAILBOX: "ACTIVATED",
        OTHER: "ACTIVATED",
    }
    to = [f"{who}@example.org" for who in ("ana", "ben", "cleo", "dan", "nobody")]

    operation = await send(server, *to)
    await wait_statuses(rig, server, operation, ana="SENT", ben="SENT", cleo="SENT", dan="SENT", nobody="FAILED")
    assert "stored" in await relay.report(to[0], "delivered", "2.0.0")
    await relay.report(to[1], "failed", "5.1.1", "550 5.1.1 moved away")
    await relay.report(to[2], "delayed", "4.4.1")

    await wait_statuses(rig, server, operation, ana="DELIVERED", ben="UNDELIVERED", cleo="SENT", dan="SENT")
    (message,) = relay.box.messages[to[0]]
    assert message["Subject"] == "Your order, Ana"
    assert str(message["To"]) == "Ana Díaz <ana@example.org>"
    assert [one.get_content() for one in message.iter_attachments()] == ["one cake"]
    assert relay.box.messages["nobody@example.org"] == []
    refused = server.rows("SELECT code, rule FROM attempt WHERE code <> ''")
    assert refused == [("5.1.1", "smtp/5.1.1"), ("5.1.1", "smtp/5.1.1")]


async def test_a_connection_that_breaks_after_the_message_leaves_it_open_and_sends_nothing_twice(
    rig: Rig, relay: Relay
) -> None:
    server = await rig.server(relay.connection())

    operation = await send(server, "vanish@example.org")
    await wait_statuses(rig, server, operation, vanish="SENT")

    assert server.rows("SELECT ambiguous FROM message") == [(1,)]
    assert len(relay.box.messages["vanish@example.org"]) == 1
    # The notification finds it all the same, also after a crash.
    await server.kill()
    await server.start()
    await rig.until(lambda: _listens(relay.bounce_port), what="the server takes bounces again")
    await relay.report("vanish@example.org", "delivered", "2.0.0")
    await wait_statuses(rig, server, operation, vanish="DELIVERED")
    assert len(relay.box.messages["vanish@example.org"]) == 1


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


async def test_one_click_ends_mailings_and_nothing_else(rig: Rig, relay: Relay) -> None:
    server = await rig.server(relay.connection())
    to = "ana@example.org"
    first = await send(server, to, category="bulk")
    await wait_statuses(rig, server, first, ana="SENT")
    link = relay.box.messages[to][0]["List-Unsubscribe"].strip("<>").removeprefix("https://send.example.com")

    page = await server.ask("GET", link)
    assert (page.status, b"Unsubscribe?" in page.body) == (200, True)
    assert await rig.command(server, "consent", "list") == []
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    done = await server.ask("POST", link, b"List-Unsubscribe=One-Click", form)

    assert done.status == 200
    (entry,) = await rig.command(server, "consent", "list")
    assert (entry["address"], entry["scope"], entry["source"]) == (to, "marketing", "smtp/unsubscribe")
    second = await send(server, to, "ben@example.org", category="bulk")
    await wait_statuses(rig, server, second, ben="SENT")
    assert (await statuses(server, second))["ana"] == "FAILED"
    third = await send(server, to)
    await wait_statuses(rig, server, third, ana="SENT")
    assert len(relay.box.messages[to]) == 2
