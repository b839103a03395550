"""The SMPP connector passes the suite that every connector must pass, against the simulated message centre."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sendpool.connectors.base import AttemptKey, ConnectionSettings, SenderSettings, Submission
from sendpool.connectors.smpp.connector import SmppConnector
from sendpool.domain.message import Content
from sendpool.domain.sender import Channel
from sendpool.simulate.centre import MessageCentre
from sendpool.simulate.script import Script
from sendpool.testing import connector_suite as suite

OURS = "+12034458910"


class CentrePeer:
    """The simulated centre in the hands of the suite."""

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
        return self._centre.totals().submits

    def most_unanswered(self) -> int:
        return self._centre.most_unanswered

    def unacknowledged(self) -> int:
        return self._centre.unacknowledged

    async def send_text(self, sender: str, recipient: str, text: str) -> bool:
        return await self._centre.send_text(sender, recipient, text) == 0


class SmppRig:
    window = 20

    def __init__(self, centre: MessageCentre, **options: Any) -> None:
        self._port = centre.port
        self._options = options
        self.peer = CentrePeer(centre)

    def connector(self) -> SmppConnector:
        return SmppConnector(
            ConnectionSettings(
                name="carrier",
                type="smpp",
                window=self.window,
                senders=(SenderSettings(channel=Channel.SMS, address=OURS),),
                options={
                    "host": "127.0.0.1",
                    "port": self._port,
                    "system_id": "pool1",
                    "response_timeout": 5,
                    "unbind_timeout": 1,
                    **self._options,
                },
            )
        )

    def submission(self, number: int, *, segments: int = 1) -> Submission:
        text = f"Message {number} " if segments == 1 else f"{number:<5}".ljust(153 * segments, "x")
        return Submission(
            attempt=AttemptKey(1000 + number, 1),
            channel=Channel.SMS,
            sender=OURS,
            recipient=f"+4477009{number:05}",
            content=Content(text=text),
            segments=segments,
            reference=number % 256,
            validity=None,
            parts=(1 << segments) - 1,
            options={},
        )


#: Ways in which a connection is bound. The suite counts submits over all binds, so they share one window.
WAYS: dict[str, dict[str, Any]] = {
    "transceiver": {},
    "pair": {"bind": "transmitter+receiver"},
    "three": {"binds": 3, "window_of": "connection"},
    "two-pairs": {"bind": "transmitter+receiver", "binds": 2, "window_of": "connection"},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("check", suite.checks(with_peer=True), ids=lambda check: check.__name__)
async def test_smpp_passes_the_connector_suite(check: suite.Check, way: str) -> None:
    async with asyncio.timeout(120), MessageCentre(Script(port=0, receipt_delay=0.1)) as centre:
        await check(SmppRig(centre, **WAYS[way]))
