"""The WhatsApp connector between a simulated platform and a webhook on a real socket, in virtual time."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sendpool.connectors.base import AttemptKey, ConnectionSettings, SenderSettings, Submission
from sendpool.connectors.whatsapp.connector import WhatsAppConnector
from sendpool.domain.message import Content
from sendpool.domain.sender import Channel
from sendpool.simulate.whatsapp import WhatsAppPlatform
from sendpool.simulate.whatsapp_script import Number, WhatsAppScript, parse_whatsapp_fault
from sendpool.testing.callbacks import Callbacks
from sendpool.testing.clock import VirtualTimeLoop
from sendpool.testing.inbox import RecordingInbox

ADDRESS, NUMBER_ID = "+15550783881", "1065"
NUMBER = Number(id=NUMBER_ID, display_phone_number="+1 555-078-3881")
APP_SECRET, VERIFY_TOKEN, TOKEN = "app-secret-1", "vt", "EAAtoken"
TEXT = Content(text="Hi")


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Asynchronous tests here run in virtual time: waiting takes none."""
    return "asyncio", {"loop_factory": VirtualTimeLoop}


class Rig:
    """A connector, what it says, and the platform at its other end."""

    def __init__(self, platform: WhatsAppPlatform, callbacks: Callbacks) -> None:
        self.platform = platform
        self.callbacks = callbacks
        self.inbox = RecordingInbox()
        self._connectors: list[WhatsAppConnector] = []

    def connector(self, window: int | None = None, **options: Any) -> WhatsAppConnector:
        made = WhatsAppConnector(self.settings(window, **options), random=lambda: 1.0)
        self._connectors.append(made)
        self.callbacks.mount("meta", made)
        return made

    def settings(self, window: int | None = None, **options: Any) -> ConnectionSettings:
        given = {
            "base_url": self.platform.url,
            "access_token": TOKEN,
            "app_secret": APP_SECRET,
            "verify_token": VERIFY_TOKEN,
            "reconnect_min": 0.1,
            # Of the sender; None: the business account has to tell.
            "phone_number_id": NUMBER_ID,
            **options,
        }
        number_id = given.pop("phone_number_id")
        own = {} if number_id is None else {"phone_number_id": number_id}
        sender = SenderSettings(channel=Channel.WHATSAPP, address=ADDRESS, options=own)
        options = {key: value for key, value in given.items() if value is not None}
        return ConnectionSettings(name="meta", type="whatsapp", window=window, senders=(sender,), options=options)

    @staticmethod
    def submission(number: int = 1, n: int = 1, **changes: Any) -> Submission:
        """An attempt to say "Hi" to a person; a different *number* is a different message and person."""
        return Submission(
            attempt=AttemptKey(1000 + number, n),
            channel=Channel.WHATSAPP,
            sender=ADDRESS,
            recipient=f"+4477009{number:05}",
            content=TEXT,
            segments=1,
            reference=0,
            validity=None,
            parts=1,
            options={"phone_number_id": NUMBER_ID},
            public_id=f"SM{(1000 + number) << 6 | n:032x}",
        )._replace(**changes)

    async def opened(self, window: int | None = None, **options: Any) -> WhatsAppConnector:
        """A connector whose link is up."""
        connector = self.connector(window, **options)
        await connector.open(self.inbox)
        await self.inbox.wait_for(lambda inbox: inbox.is_up)
        return connector

    async def outcome(self, connector: WhatsAppConnector, sent: Submission | None = None) -> Any:
        """Submit one message; return its first outcome."""
        sent = sent or self.submission()
        await connector.submit([sent])
        await self.inbox.wait_for(lambda inbox: bool(inbox.outcomes_of(sent.attempt)), 100.0)
        return self.inbox.outcomes_of(sent.attempt)[0]

    async def close(self) -> None:
        self.inbox.resume()
        self.platform.release_answers()
        for connector in self._connectors:
            await connector.close()
        await self.platform.stop()
        await self.callbacks.stop()


class Rehearse:
    """Makes a rig whose platform has these faults and settings."""

    def __init__(self) -> None:
        self._rigs: list[Rig] = []

    async def __call__(self, *faults: str, **settings: Any) -> Rig:
        callbacks = Callbacks()
        await callbacks.listen()
        usual = {"numbers": (NUMBER,), "token": TOKEN, "app_secret": APP_SECRET, "receipt_delay": 0.05}
        parsed = tuple(map(parse_whatsapp_fault, faults))
        script = WhatsAppScript(
            port=0, webhook=f"{callbacks.url}/callbacks/meta/events", faults=parsed, **{**usual, **settings}
        )
        platform = WhatsAppPlatform(script)
        await platform.start()
        self._rigs.append(Rig(platform, callbacks))
        return self._rigs[-1]

    async def close(self) -> None:
        for rig in self._rigs:
            await rig.close()


@pytest.fixture
async def rehearse() -> AsyncIterator[Rehearse]:
    """Makes rigs that are closed at the end: `await rehearse("refuse status=131056", receipt_delay=1)`."""
    make = Rehearse()
    yield make
    await make.close()


@pytest.fixture
async def rig(rehearse: Rehearse) -> Rig:
    """A rig in which all is well."""
    return await rehearse()


@pytest.fixture(scope="session")
def vectors() -> Any:
    """The golden vectors."""
    return json.loads((Path(__file__).parents[2] / "vectors" / "whatsapp.json").read_text(encoding="utf-8"))
