"""The SMTP connector passes the suite that every connector must pass, against a relay that reports what it delivers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.connectors.smtp.conftest import BOUNCES, SECRET, free_port, submission

from sendpool.connectors.base import Submission
from sendpool.connectors.smtp.connector import SmtpConnector
from sendpool.testing import connector_suite as suite

if TYPE_CHECKING:
    from tests.connectors.smtp.conftest import Rig

# An email goes whole, and what people answer goes to the sender's own mailbox.
LEFT_OUT = (suite.only_wanted_parts_leave, suite.inbound_texts_are_acknowledged_after_they_are_stored)
CHECKS = [check for check in suite.checks(with_peer=True) if check not in LEFT_OUT]


class RelayPeer:
    """The relay in the hands of the suite."""

    def __init__(self, rig: Rig) -> None:
        self._relay = rig.relay

    def hold(self) -> None:
        self._relay.hold()

    def answer(self) -> None:
        self._relay.answer()

    async def vanish(self) -> None:
        await self._relay.vanish()

    async def come_back(self) -> None:
        await self._relay.start()

    def taken(self) -> int:
        return len(self._relay.received)

    def most_unanswered(self) -> int:
        return self._relay.most_unanswered

    def unacknowledged(self) -> int:
        return self._relay.unacknowledged

    async def send_text(self, sender: str, recipient: str, text: str) -> bool:
        raise NotImplementedError


class SmtpRig:
    """Timers short enough for the suite."""

    window = 10

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.peer = RelayPeer(rig)
        rig.relay.bounce_port = free_port()

    def connector(self) -> SmtpConnector:
        timers: dict[str, Any] = {"response_timeout": 2.0, "final_timeout": 2.0, "close_timeout": 2.0, "idle": 1.0}
        ways_back: dict[str, Any] = {
            "bounce_domain": BOUNCES,
            "secret": SECRET,
            "bounce_port": self._rig.relay.bounce_port,
        }
        return self._rig.connector(self.window, reconnect_max=0.5, **timers, **ways_back)

    def submission(self, number: int, *, segments: int = 1) -> Submission:
        return submission(number)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_smtp_passes_the_connector_suite(check: suite.Check, rig: Rig) -> None:
    await check(SmtpRig(rig))
