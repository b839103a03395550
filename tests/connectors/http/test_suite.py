"""The HTTP connector passes the suite that every connector must pass, by each of its examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sendpool.connectors.base import Submission
from sendpool.connectors.http.connector import HttpConnector
from sendpool.testing import connector_suite as suite

if TYPE_CHECKING:
    from tests.connectors.http.conftest import Rehearse, Rig

# Such APIs take a message whole: there are no parts of which some could go alone.
CHECKS = [check for check in suite.checks(with_peer=True) if check is not suite.only_wanted_parts_leave]


class ApiPeer:
    """The simulated API in the hands of the suite."""

    def __init__(self, rig: Rig) -> None:
        self._api = rig.api

    def hold(self) -> None:
        self._api.hold_answers()

    def answer(self) -> None:
        self._api.release_answers()

    async def vanish(self) -> None:
        await self._api.begin_outage()

    async def come_back(self) -> None:
        await self._api.end_outage()

    def taken(self) -> int:
        return len(self._api.messages)

    def most_unanswered(self) -> int:
        return self._api.most_unanswered

    def unacknowledged(self) -> int:
        return self._api.unacknowledged

    async def send_text(self, sender: str, recipient: str, text: str) -> bool:
        return await self._api.send_text(sender, recipient, text)


class HttpRig:
    """Timers short enough for the suite."""

    window = 10

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.peer = ApiPeer(rig)

    def connector(self) -> HttpConnector:
        return self._rig.connector(self.window, response_timeout=2.0, idle=1.0, reconnect_max=0.5)

    def submission(self, number: int, *, segments: int = 1) -> Submission:
        return self._rig.submission(number)


@pytest.mark.parametrize("name", ["vonage", "telnyx"])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_http_passes_the_connector_suite(check: suite.Check, name: str, rehearse: Rehearse) -> None:
    await check(HttpRig(await rehearse(name, sent_status=False)))
