"""The SMPP connector passes the suite that every connector must pass, against the simulated message centre."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest

from sendpool.connectors.base import AttemptKey, ConnectionSettings, SenderSettings, Submission
from sendpool.connectors.smpp.connector import SmppConnector
from sendpool.connectors.smpp.status import Status
from sendpool.domain.message import Content
from sendpool.domain.sender import Channel
from sendpool.simulate.centre import MessageCentre
from sendpool.simulate.script import Script
from sendpool.testing import connector_suite as suite

OURS = "+12034458910"
#: Texts of one, two and three segments.
TEXTS = {n: Content(text="a" * length) for n, length in ((1, 20), (2, 200), (3, 400))}


class CentrePeer:
    """The simulated centre as the suite's peer."""

    def __init__(self, centre: MessageCentre) -> None:
        self._centre = centre

    def hold(self) -> None:
        self._centre.hold_answers()

    def answer(self) -> None:
        self._centre.release_answers()

    async def vanish(self) -> None:
        await self._centre.begin_outage()

    async def come_back(self) -> None:
        await self._centre.end_outage()

    def taken(self) -> int:
        return len(self._centre.submits)

    def most_unanswered(self) -> int:
        return self._centre.most_unanswered

    def unacknowledged(self) -> int:
        return self._centre.unacknowledged

    async def send_text(self, sender: str, recipient: str, text: str) -> bool:
        return await self._centre.send_text(sender, recipient, text) == Status.ROK


class SmppRig:
    """Connectors to one centre, with timers short enough for a test."""

    window = 10

    def __init__(self, centre: MessageCentre) -> None:
        self._centre = centre
        self.peer = CentrePeer(centre)

    def connector(self) -> SmppConnector:
        sender = SenderSettings(channel=Channel.SMS, address=OURS)
        options = {
            "host": "127.0.0.1",
            "port": self._centre.port,
            "system_id": "sendpool",
            "password": "secret",
            "response_timeout": 2.0,
            "unbind_timeout": 1.0,
            "reconnect_min": 0.1,
            "reconnect_max": 0.5,
        }
        settings = ConnectionSettings(
            name="carrier", type="smpp", window=self.window, senders=(sender,), options=options
        )
        return SmppConnector(settings)

    def submission(self, number: int, *, segments: int = 1) -> Submission:
        return Submission(
            attempt=AttemptKey(1000 + number, 1),
            channel=Channel.SMS,
            sender=OURS,
            recipient=f"+4477009{number:05}",
            content=TEXTS[segments],
            segments=segments,
            reference=number % 256,
            validity=None,
            parts=(1 << segments) - 1,
            options={},
        )


@contextlib.asynccontextmanager
async def rig() -> AsyncIterator[SmppRig]:
    async with MessageCentre(Script(port=0, receipt_delay=0.05)) as centre:
        yield SmppRig(centre)


@pytest.mark.parametrize("check", suite.checks(with_peer=True), ids=lambda check: check.__name__)
async def test_smpp_passes_the_connector_suite(check: suite.Check) -> None:
    async with rig() as given:
        await check(given)
