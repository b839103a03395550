"""The SMTP connector between a relay on a real socket and a recording inbox, in virtual time."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.connectors.smtp.relay import Relay

from sendpool.connectors.base import AttemptKey, ConnectionSettings, SenderSettings, Submission
from sendpool.connectors.smtp.connector import SmtpConnector
from sendpool.domain.message import Content
from sendpool.domain.sender import Channel
from sendpool.testing.clock import VirtualTimeLoop
from sendpool.testing.inbox import RecordingInbox

SENDER = "shop@example.com"
BOUNCES = "bounces.example.com"
SECRET = "verp-key-1-and-more"
MODULE = {"subject": "Your order", "html": "<p>It is on its way.</p>", "text": "It is on its way."}
CONTENT = Content(text=MODULE["text"], rich=MODULE)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Asynchronous tests here run in virtual time: waiting takes none."""
    return "asyncio", {"loop_factory": VirtualTimeLoop}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def public_id(message: int, n: int = 1) -> str:
    """The attempt's own id, as the pipeline names it."""
    return f"SM{message << 6 | n:032x}"


def submission(number: int = 1, n: int = 1, **changes: Any) -> Submission:
    """An attempt to send an email; a different *number* is a different message and person."""
    return Submission(
        attempt=AttemptKey(1000 + number, n),
        channel=Channel.EMAIL,
        sender=SENDER,
        recipient=f"reader{number}@example.org",
        content=CONTENT,
        segments=1,
        reference=0,
        validity=None,
        parts=1,
        options={},
        public_id=public_id(1000 + number, n),
    )._replace(**changes)


def settings(port: int, window: int | None = None, sender: dict[str, Any] | None = None, **options: Any) -> Any:
    """A connection to a relay at a port of this machine."""
    given = {"host": "127.0.0.1", "port": port, "tls": "none", "helo_name": "send.example.com", **options}
    mailbox = SenderSettings(channel=Channel.EMAIL, address=SENDER, display_name="Cool Shop", options=sender or {})
    return ConnectionSettings(
        name="relay",
        type="smtp",
        window=window,
        senders=(mailbox,),
        options={"reconnect_min": 0.1, **{key: value for key, value in given.items() if value is not None}},
    )


class Rig:
    """A connector, what it says, and the relay at its other end."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.inbox = RecordingInbox()
        self._connectors: list[SmtpConnector] = []

    def connector(self, window: int | None = None, **options: Any) -> SmtpConnector:
        made = SmtpConnector(settings(self.relay.port, window, **options), random=lambda: 1.0, wall=lambda: 1.7e9)
        self._connectors.append(made)
        return made

    async def opened(self, window: int | None = None, **options: Any) -> SmtpConnector:
        """A connector whose link is up."""
        connector = self.connector(window, **options)
        await connector.open(self.inbox)
        await self.inbox.wait_for(lambda inbox: inbox.is_up)
        return connector

    async def outcome(self, connector: SmtpConnector, sent: Submission | None = None, within: float = 700.0) -> Any:
        """Submit one message; return its first outcome."""
        sent = sent or submission()
        await connector.submit([sent])
        await self.inbox.wait_for(lambda inbox: bool(inbox.outcomes_of(sent.attempt)), within)
        return self.inbox.outcomes_of(sent.attempt)[0]

    async def close(self) -> None:
        self.inbox.resume()
        self.relay.answer()
        for connector in self._connectors:
            await connector.close()
        await self.relay.stop()


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A rig in which all is well."""
    relay = Relay()
    await relay.start()
    made = Rig(relay)
    yield made
    await made.close()


@pytest.fixture(scope="session")
def vectors() -> Any:
    """The golden vectors."""
    return json.loads((Path(__file__).parents[2] / "vectors" / "smtp.json").read_text(encoding="utf-8"))
