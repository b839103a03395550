"""The WhatsApp connector passes the suite that every connector must pass, against the simulated platform."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sendpool.connectors.base import Submission
from sendpool.connectors.whatsapp.connector import WhatsAppConnector
from sendpool.testing import connector_suite as suite

if TYPE_CHECKING:
    from tests.connectors.whatsapp.conftest import Rehearse, Rig

# WhatsApp takes a message whole: there are no parts of which some could go alone.
CHECKS = [check for check in suite.checks(with_peer=True) if check is not suite.only_wanted_parts_leave]


class PlatformPeer:
    """The simulated platform in the hands of the suite."""

    def __init__(self, rig: Rig) -> None:
        self._platform = rig.platform

    def hold(self) -> None:
        self._platform.hold_answers()

    def answer(self) -> None:
        self._platform.release_answers()

    async def vanish(self) -> None:
        await self._platform.begin_outage()

    async def come_back(self) -> None:
        await self._platform.end_outage()

    def taken(self) -> int:
        return len(self._platform.messages)

    def most_unanswered(self) -> int:
        return self._platform.most_unanswered

    def unacknowledged(self) -> int:
        return self._platform.unacknowledged

    async def send_text(self, sender: str, recipient: str, text: str) -> bool:
        return await self._platform.send_text(sender, next(iter(self._platform.numbers)), text)


class WhatsAppRig:
    """Timers short enough for the suite."""

    window = 10

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.peer = PlatformPeer(rig)

    def connector(self) -> WhatsAppConnector:
        return self._rig.connector(self.window, response_timeout=2.0, idle=1.0, reconnect_max=0.5)

    def submission(self, number: int, *, segments: int = 1) -> Submission:
        return self._rig.submission(number)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_whatsapp_passes_the_connector_suite(check: suite.Check, rehearse: Rehearse) -> None:
    await check(WhatsAppRig(await rehearse(sent_status=False)))
