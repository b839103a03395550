"""The RCS connector between a simulated platform and a webhook on a real socket, in virtual time."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sendpool.connectors.base import AttemptKey, ConnectionSettings, SenderSettings, Submission
from sendpool.connectors.rcs.connector import RcsConnector
from sendpool.domain.message import Content
from sendpool.domain.sender import Channel
from sendpool.simulate.rcs import RcsPlatform
from sendpool.simulate.rcs_script import RcsScript, parse_rcs_fault
from sendpool.testing.callbacks import Callbacks
from sendpool.testing.clock import VirtualTimeLoop
from sendpool.testing.inbox import RecordingInbox

AGENT = "a1"
CLIENT_TOKEN = "SJENCPGJESMGUFPY"
TOKEN = "static-token-1"
TEXT = Content(text="Hello")


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Asynchronous tests here run in virtual time: waiting takes none."""
    return "asyncio", {"loop_factory": VirtualTimeLoop}


def public_id(message: int, n: int) -> str:
    """The attempt's own id, as the pipeline names it."""
    return f"SM{message << 6 | n:032x}"


class Rig:
    """A connector, what it says, and the platform at its other end."""

    def __init__(self, platform: RcsPlatform, callbacks: Callbacks) -> None:
        self.platform = platform
        self.callbacks = callbacks
        self.inbox = RecordingInbox()
        self._connectors: list[RcsConnector] = []

    def connector(self, window: int | None = None, **options: Any) -> RcsConnector:
        made = RcsConnector(self.settings(window, **options), random=lambda: 1.0)
        self._connectors.append(made)
        self.callbacks.mount("google", made)
        return made

    def settings(self, window: int | None = None, **options: Any) -> ConnectionSettings:
        given = {
            "base_url": self.platform.url,
            "token": TOKEN,
            "client_token": CLIENT_TOKEN,
            "reconnect_min": 0.1,
            **options,
        }
        return ConnectionSettings(
            name="google",
            type="rcs",
            window=window,
            senders=(SenderSettings(channel=Channel.RCS, address=AGENT),),
            options={key: value for key, value in given.items() if value is not None},
        )

    @staticmethod
    def submission(number: int = 1, n: int = 1, **changes: Any) -> Submission:
        """An attempt to say "Hello" to a person; a different *number* is a different message and person."""
        return Submission(
            attempt=AttemptKey(1000 + number, n),
            channel=Channel.RCS,
            sender=AGENT,
            recipient=f"+4477009{number:05}",
            content=TEXT,
            segments=1,
            reference=0,
            validity=None,
            parts=1,
            options={},
            public_id=public_id(1000 + number, n),
        )._replace(**changes)

    async def opened(self, window: int | None = None, **options: Any) -> RcsConnector:
        """A connector whose link is up."""
        connector = self.connector(window, **options)
        await connector.open(self.inbox)
        await self.inbox.wait_for(lambda inbox: inbox.is_up)
        return connector

    async def outcome(self, connector: RcsConnector, sent: Submission | None = None, within: float = 100.0) -> Any:
        """Submit one message; return its first outcome."""
        sent = sent or self.submission()
        await connector.submit([sent])
        await self.inbox.wait_for(lambda inbox: bool(inbox.outcomes_of(sent.attempt)), within)
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
        script = RcsScript(
            port=0,
            webhook=f"{callbacks.url}/callbacks/google/events",
            client_token=CLIENT_TOKEN,
            faults=tuple(map(parse_rcs_fault, faults)),
            **{"receipt_delay": 0.05, **settings},
        )
        platform = RcsPlatform(script)
        await platform.start()
        self._rigs.append(Rig(platform, callbacks))
        return self._rigs[-1]

    async def close(self) -> None:
        for rig in self._rigs:
            await rig.close()


@pytest.fixture
async def rehearse() -> AsyncIterator[Rehearse]:
    """Makes rigs that are closed at the end: `await rehearse("refuse status=404", receipt_delay=1)`."""
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
    return json.loads((Path(__file__).parents[2] / "vectors" / "rcs.json").read_text(encoding="utf-8"))
