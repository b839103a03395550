"""The HTTP connector by its two examples, each against an API that behaves as its reference says, in virtual time."""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sendpool.config.connections import read_connections
from sendpool.config.setting import substitute
from sendpool.connectors.base import AttemptKey, ConnectionSettings, Submission
from sendpool.connectors.http.connector import HttpConnector
from sendpool.domain.message import Content
from sendpool.domain.sender import Channel
from sendpool.simulate.sms_api import SmsApi, SmsApiScript
from sendpool.simulate.telnyx import TelnyxApi
from sendpool.simulate.vonage import VonageApi
from sendpool.simulate.web_faults import parse_web_fault
from sendpool.testing.callbacks import Callbacks
from sendpool.testing.clock import VirtualTimeLoop
from sendpool.testing.inbox import RecordingInbox

EXAMPLES = Path(__file__).parents[3] / "examples"
TEXT = Content(text="Hi")
CALLBACK_TOKEN = "callback-token-16"
APIS: dict[str, tuple[type[SmsApi], str]] = {
    "vonage": (VonageApi, "https://rest.nexmo.com"),
    "telnyx": (TelnyxApi, "https://api.telnyx.com"),
}


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Asynchronous tests here run in virtual time: waiting takes none."""
    return "asyncio", {"loop_factory": VirtualTimeLoop}


def example(name: str, api: SmsApi, **settings: Any) -> ConnectionSettings:
    """An example of the repository as its connection, with the host and the secrets of a simulated API."""
    text = (EXAMPLES / f"{name}.toml").read_text(encoding="utf-8").replace(APIS[name][1], api.url)
    environ = {
        "VONAGE_API_KEY": api.script.key,
        "VONAGE_API_SECRET": api.script.secret,
        "VONAGE_CALLBACK_TOKEN": CALLBACK_TOKEN,
        "TELNYX_API_KEY": api.script.secret,
        "TELNYX_PUBLIC_KEY": getattr(api, "public_key", ""),
    }
    (table,) = substitute(tomllib.loads(text), environ)["connections"]
    for key, value in settings.items():
        place, _, inner = key.partition("__")
        table[place] = {**table[place], inner: value} if inner else value
    (connection,) = read_connections("sendpool.toml", [table])
    return connection


class Rig:
    """A connector, what it says, and the API at its other end."""

    def __init__(self, name: str, api: SmsApi, callbacks: Callbacks) -> None:
        self.name, self.api, self.callbacks = name, api, callbacks
        self.inbox = RecordingInbox()
        self.sender = example(name, api, public_url=callbacks.url).senders[0].address
        self._connectors: list[HttpConnector] = []

    def connector(self, window: int | None = None, **settings: Any) -> HttpConnector:
        given = {"public_url": self.callbacks.url, "reconnect_min": 0.1, **settings}
        if window is not None:
            given["window"] = window
        made = HttpConnector(example(self.name, self.api, **given), random=lambda: 1.0)
        self._connectors.append(made)
        self.callbacks.mount(self.name, made)
        return made

    def submission(self, number: int = 1, n: int = 1, **changes: Any) -> Submission:
        """An attempt to say "Hi" to a person; a different *number* is a different message and person."""
        return Submission(
            attempt=AttemptKey(1000 + number, n),
            channel=Channel.SMS,
            sender=self.sender,
            recipient=f"+4477009{number:05}",
            content=TEXT,
            segments=1,
            reference=0,
            validity=None,
            parts=1,
            options={},
            public_id=f"SM{(1000 + number) << 6 | n:032x}",
        )._replace(**changes)

    async def opened(self, window: int | None = None, **settings: Any) -> HttpConnector:
        """A connector whose link is up."""
        connector = self.connector(window, **settings)
        await connector.open(self.inbox)
        await self.inbox.wait_for(lambda inbox: inbox.is_up)
        return connector

    async def outcome(self, connector: HttpConnector, sent: Submission | None = None) -> Any:
        """Submit one message; return its first outcome."""
        sent = sent or self.submission()
        await connector.submit([sent])
        await self.inbox.wait_for(lambda inbox: bool(inbox.outcomes_of(sent.attempt)), 100.0)
        return self.inbox.outcomes_of(sent.attempt)[0]

    async def stored(self, number: int) -> None:
        await self.inbox.wait_for(lambda inbox: len(inbox.stored) >= number, 100.0)

    async def close(self) -> None:
        self.inbox.resume()
        self.api.release_answers()
        for connector in self._connectors:
            await connector.close()
        await self.api.stop()
        await self.callbacks.stop()


class Rehearse:
    """Makes a rig of an example whose API has these faults and settings."""

    def __init__(self) -> None:
        self._rigs: list[Rig] = []

    async def __call__(self, name: str, *faults: str, **settings: Any) -> Rig:
        callbacks = Callbacks()
        await callbacks.listen()
        token = f"?key={CALLBACK_TOKEN}" if name == "vonage" else ""
        usual = {"receipt_delay": 0.05, "inbound": f"{callbacks.url}/callbacks/{name}/events{token}"}
        parsed = tuple(map(parse_web_fault, faults))
        api = APIS[name][0](SmsApiScript(faults=parsed, **{**usual, **settings}))
        await api.start()
        self._rigs.append(Rig(name, api, callbacks))
        return self._rigs[-1]

    async def close(self) -> None:
        for rig in self._rigs:
            await rig.close()


@pytest.fixture
async def rehearse() -> AsyncIterator[Rehearse]:
    """Makes rigs that are closed at the end: `await rehearse("vonage", "refuse status=1 http=200")`."""
    make = Rehearse()
    yield make
    await make.close()
