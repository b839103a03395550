"""The Twilio connector passes the suite that every connector must pass, against the simulated account."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sendpool.connectors.base import Submission
from sendpool.connectors.twilio.connector import TwilioConnector
from sendpool.testing import connector_suite as suite

if TYPE_CHECKING:
    from tests.connectors.twilio.conftest import Rehearse, Rig

# Twilio takes a message whole: there are no parts of which some could go alone.
CHECKS = [check for check in suite.checks(with_peer=True) if check is not suite.only_wanted_parts_leave]


class AccountPeer:
    """The simulated account in the hands of the suite."""

    def __init__(self, rig: Rig) -> None:
        self._account = rig.account

    def hold(self) -> None:
        self._account.hold_answers()

    def answer(self) -> None:
        self._account.release_answers()

    async def vanish(self) -> None:
        await self._account.begin_outage()

    async def come_back(self) -> None:
        await self._account.end_outage()

    def taken(self) -> int:
        return len(self._account.messages)

    def most_unanswered(self) -> int:
        return self._account.most_unanswered

    def unacknowledged(self) -> int:
        return self._account.unacknowledged

    async def send_text(self, sender: str, recipient: str, text: str) -> bool:
        return await self._account.send_text(sender, recipient, text)


class TwilioRig:
    """Timers short enough for the suite."""

    window = 10

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.peer = AccountPeer(rig)

    def connector(self) -> TwilioConnector:
        return self._rig.connector(self.window, response_timeout=2.0, idle=1.0, reconnect_max=0.5, search_timeout=3.0)

    def submission(self, number: int, *, segments: int = 1) -> Submission:
        return self._rig.submission(number)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_twilio_passes_the_connector_suite(check: suite.Check, rehearse: Rehearse) -> None:
    await check(TwilioRig(await rehearse(sent_status=False)))
