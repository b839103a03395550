"""The Twilio connector between a simulated account and its callbacks on a real socket, in virtual time."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sendpool.connectors.base import AttemptKey, ConnectionSettings, SenderSettings, Submission
from sendpool.connectors.twilio.connector import TwilioConnector
from sendpool.domain.message import Content
from sendpool.domain.sender import Channel
from sendpool.simulate.twilio import TwilioAccount
from sendpool.simulate.twilio_script import TwilioScript
from sendpool.simulate.web_faults import parse_web_fault
from sendpool.testing.callbacks import Callbacks
from sendpool.testing.clock import VirtualTimeLoop
from sendpool.testing.inbox import RecordingInbox

ADDRESS, TOKEN, ACCOUNT = "+12034458910", "token-of-the-account", "AC00000000000000000000000000000001"
TEXT = Content(text="Hi")


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Asynchronous tests here run in virtual time: waiting takes none."""
    return "asyncio", {"loop_factory": VirtualTimeLoop}


class Rig:
    """A connector, what it says, and the account at its other end."""

    def __init__(self, account: TwilioAccount, callbacks: Callbacks) -> None:
        self.account = account
        self.callbacks = callbacks
        self.inbox = RecordingInbox()
        self._connectors: list[TwilioConnector] = []

    def connector(self, window: int | None = None, **options: Any) -> TwilioConnector:
        made = TwilioConnector(self.settings(window, **options), random=lambda: 1.0)
        self._connectors.append(made)
        self.callbacks.mount("tw", made)
        return made

    def settings(self, window: int | None = None, **options: Any) -> ConnectionSettings:
        given = {
            "account_sid": ACCOUNT,
            "auth_token": TOKEN,
            "base_url": self.account.url,
            "public_url": self.callbacks.url,
            "reconnect_min": 0.1,
            **options,
        }
        sender = SenderSettings(channel=Channel.SMS, address=ADDRESS)
        options = {key: value for key, value in given.items() if value is not None}
        return ConnectionSettings(name="tw", type="twilio", window=window, senders=(sender,), options=options)

    @staticmethod
    def submission(number: int = 1, n: int = 1, **changes: Any) -> Submission:
        """An attempt to say "Hi" to a person; a different *number* is a different message and person."""
        return Submission(
            attempt=AttemptKey(1000 + number, n),
            channel=Channel.SMS,
            sender=ADDRESS,
            recipient=f"+4477009{number:05}",
            content=TEXT,
            segments=1,
            reference=0,
            validity=None,
            parts=1,
            options={},
            public_id=f"SM{(1000 + number) << 6 | n:032x}",
        )._replace(**changes)

    async def opened(self, window: int | None = None, **options: Any) -> TwilioConnector:
        """A connector whose link is up."""
        connector = self.connector(window, **options)
        await connector.open(self.inbox)
        await self.inbox.wait_for(lambda inbox: inbox.is_up)
        return connector

    async def outcome(self, connector: TwilioConnector, sent: Submission | None = None) -> Any:
        """Submit one message; return its first outcome."""
        sent = sent or self.submission()
        await connector.submit([sent])
        await self.inbox.wait_for(lambda inbox: bool(inbox.outcomes_of(sent.attempt)), 100.0)
        return self.inbox.outcomes_of(sent.attempt)[0]

    async def stored(self, number: int) -> None:
        await self.inbox.wait_for(lambda inbox: len(inbox.stored) >= number, 100.0)

    async def close(self) -> None:
        self.inbox.resume()
        self.account.release_answers()
        for connector in self._connectors:
            await connector.close()
        await self.account.stop()
        await self.callbacks.stop()


class Rehearse:
    """Makes a rig whose account has these faults and settings."""

    def __init__(self) -> None:
        self._rigs: list[Rig] = []

    async def __call__(self, *faults: str, **settings: Any) -> Rig:
        callbacks = Callbacks()
        await callbacks.listen()
        usual = {"auth_token": TOKEN, "receipt_delay": 0.05, "inbound": f"{callbacks.url}/callbacks/tw/messages"}
        parsed = tuple(map(parse_web_fault, faults))
        account = TwilioAccount(TwilioScript(port=0, faults=parsed, **{**usual, **settings}))
        await account.start()
        self._rigs.append(Rig(account, callbacks))
        return self._rigs[-1]

    async def close(self) -> None:
        for rig in self._rigs:
            await rig.close()


@pytest.fixture
async def rehearse() -> AsyncIterator[Rehearse]:
    """Makes rigs that are closed at the end: `await rehearse("refuse status=21610", receipt_delay=1)`."""
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
    return json.loads((Path(__file__).parents[2] / "vectors" / "twilio.json").read_text(encoding="utf-8"))
