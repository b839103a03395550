"""Every connector goes through the life of a message with somebody who is not ours; what was said is kept in build/."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections import defaultdict
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.peers.meetings import http, rcs, smpp, smtp, twilio, whatsapp
from tests.peers.meetings.base import OURS, PERSON, TEXT, Meeting, Place

from sendpool.connectors.registry import BUILT_IN

pytestmark = pytest.mark.peer

#: By connector, then by peer.
MEETINGS: dict[str, dict[str, Meeting]] = {
    "smpp": smpp.MEETINGS,
    "smtp": smtp.MEETINGS,
    "whatsapp": whatsapp.MEETINGS,
    "rcs": rcs.MEETINGS,
    "twilio": twilio.MEETINGS,
    "http": http.MEETINGS,
}
PAIRS = [(connector, peer) for connector, peers in MEETINGS.items() for peer in peers]
#: The sandbox has no protocol: it is the carrier itself.
CONNECTORS = sorted(BUILT_IN.keys() - {"sandbox"})
#: What was recorded in this run, by connector.
RECORDED: dict[str, list[Path]] = defaultdict(list)


@pytest.mark.parametrize(("connector", "peer"), PAIRS)
async def test_the_life_of_a_message_is_recorded(connector: str, peer: str, tmp_path: Path) -> None:
    meeting = MEETINGS[connector][peer]
    async with asyncio.timeout(120), AsyncExitStack() as stack:
        conversation = await meeting.run(Place(stack, tmp_path))

    path = conversation.write()
    text = path.read_text(encoding="utf-8")
    assert path.name == f"{connector}-{peer}.txt"
    at = 0
    for who, what in meeting.life:
        found = re.compile(rf"^ *[0-9.]+ {who} {what}$", re.MULTILINE).search(text, at)
        assert found, f"nobody says {who} {what} after {text[:at].strip().splitlines()[-1:]}"
        at = found.end()
    for secret in (TEXT, PERSON[1:], OURS[1:], *conversation.secrets):
        assert secret not in text
    RECORDED[connector].append(path)


@pytest.mark.parametrize("connector", CONNECTORS)
def test_every_connector_has_its_conversation_in_this_run(connector: str) -> None:
    if connector == "twilio" and shutil.which("npm") is None and not os.environ.get("CI"):
        pytest.skip("needs node and npm; install the packages nodejs and npm")
    assert RECORDED[connector], f"{connector} has talked to nobody but us: add a meeting, or run this file whole"
