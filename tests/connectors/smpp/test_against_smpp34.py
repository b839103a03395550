"""The connector works with a message centre that is not ours: the server of PyPI's smpp34, in real time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import smpp34

from sendpool.connectors.base import (
    AttemptKey,
    CarrierId,
    ConnectionSettings,
    Receipt,
    ReceiptState,
    Rejected,
    SenderSettings,
    Submission,
    Throttled,
    Uncertain,
)
from sendpool.connectors.smpp.connector import SmppConnector
from sendpool.connectors.smpp.status import Status
from sendpool.domain.failures import FailureClass
from sendpool.domain.message import Content
from sendpool.domain.segments import count
from sendpool.domain.sender import Channel
from sendpool.testing.inbox import RecordingInbox

OURS, PERSON = "+12034458910", "+447700900123"
#: A tag that their stub names one by one in the module only.
RECEIPTED_MESSAGE_ID = 0x001E


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Their server runs in threads of its own, so time here is real."""
    return "asyncio", {}


class Bound:
    """Their server, our connector and what it said."""

    def __init__(self, server: smpp34.Server, connector: SmppConnector, inbox: RecordingInbox) -> None:
        self.server = server
        self.connector = connector
        self.inbox = inbox

    async def bound(self) -> smpp34.Esme:
        """The next session that binds."""
        while not isinstance(event := await self.server.next(), smpp34.Esme):
            pass
        return event

    async def submits(self, wanted: int) -> list[smpp34.SubmitSmEvent]:
        """The next submits by recipient and text: their server reads several at once and may swap them."""
        events: list[smpp34.SubmitSmEvent] = []
        while len(events) < wanted:
            event = await self.server.next()
            assert isinstance(event, smpp34.SubmitSmEvent)
            events.append(event)
        return sorted(events, key=lambda event: (event.destination_addr, event.short_message))


@asynccontextmanager
async def peers(**options: Any) -> AsyncIterator[Bound]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = smpp34.Server("127.0.0.1", port, system_id="peer")
    await server.start()
    connector = SmppConnector(
        ConnectionSettings(
            name="carrier",
            type="smpp",
            window=20,
            senders=(SenderSettings(channel=Channel.SMS, address=OURS),),
            options={"host": "127.0.0.1", "port": port, "system_id": "pool1", "password": "secret08", **options},
        ),
        random=lambda: 0.0,
    )
    inbox = RecordingInbox()
    async with asyncio.timeout(30):
        await connector.open(inbox)
        try:
            yield Bound(server, connector, inbox)
        finally:
            await connector.close()
            await server.stop()


def submission(number: int, text: str = "hi", **changes: Any) -> Submission:
    return Submission(
        attempt=AttemptKey(number, 1),
        channel=Channel.SMS,
        sender=OURS,
        recipient=f"+4477009000{number:02}",
        content=Content(text=text),
        segments=count(text),
        reference=number,
        validity=3600,
        parts=(1 << count(text)) - 1,
        options={},
    )._replace(**changes)


async def test_their_server_takes_our_bind_and_our_submits() -> None:
    async with peers() as peer:
        esme = await peer.bound()
        assert (esme.system_id, esme.can_receive) == ("pool1", True)
        await peer.inbox.wait_for(lambda inbox: inbox.is_up)

        await peer.connector.submit([submission(1, "Hi @ {€}"), submission(2, "я" * 71), submission(3, sender="INFO")])
        events = await peer.submits(4)
        for n, event in enumerate(events):
            event.accept(f"id-{n}")
        await peer.inbox.wait_for(lambda inbox: len(inbox.outcome_list) == 4)

        first, second, third, fourth = events
        assert (first.short_message, first.data_coding) == (b"Hi \x00 \x1b(\x1be\x1b)", 0)
        assert (first.source_addr_ton, first.source_addr) == (1, "12034458910")
        assert (first.dest_addr_npi, first.destination_addr) == (1, "447700900001")
        assert (second.esm_class, second.data_coding, second.short_message[:6].hex()) == (0x40, 8, "050003020201")
        text = (second.short_message[6:] + third.short_message[6:]).decode("utf-16-be")
        assert text == "я" * 71
        assert (fourth.source_addr_ton, fourth.source_addr) == (5, "INFO")
        assert {outcome for _, _, outcome in peer.inbox.outcome_list} == {CarrierId(f"id-{n}") for n in range(4)}


async def test_their_refusals_become_outcomes() -> None:
    async with peers() as peer:
        await peer.bound()
        await peer.inbox.wait_for(lambda inbox: inbox.is_up)

        await peer.connector.submit([submission(n) for n in range(3)])
        statuses = (Status.RTHROTTLED, Status.RINVSRCADR, Status.RSYSERR)
        for event, status in zip(await peer.submits(3), statuses, strict=True):
            event.reject(status)
        await peer.inbox.wait_for(lambda inbox: len(inbox.outcome_list) == 3)

        assert sorted(peer.inbox.outcome_list) == [
            (AttemptKey(0, 1), 1, Throttled("connection", None, "0x58")),
            (AttemptKey(1, 1), 1, Rejected(FailureClass.SENDER, "0x0a", "sender", "smpp/0x0a")),
            (AttemptKey(2, 1), 1, Rejected(FailureClass.TRANSIENT, "0x08", "message", "smpp/0x08")),
        ]


async def test_their_receipts_and_texts_are_acknowledged_once_stored_and_asked_for_again_if_not() -> None:
    async with peers(id_format={"resp": "hex", "receipt": "dec"}) as peer:
        esme = await peer.bound()
        await peer.inbox.wait_for(lambda inbox: inbox.is_up)
        peer.inbox.failures = 1
        text = b"id:0439041101 sub:001 dlvrd:001 submit date:2511220101 done date:2511220102 stat:DELIVRD err:000 text:"
        tlv_id = smpp34.Tlv(RECEIPTED_MESSAGE_ID, b"1A2B3C4D\0")

        failed = await esme.deliver_sm(OURS[1:], text, source_addr=PERSON[1:], esm_class=4)
        stored = await esme.deliver_sm(OURS[1:], text, source_addr=PERSON[1:], esm_class=4, tlvs=[tlv_id])
        words = "Grüße".encode("latin-1")
        inbound = await esme.deliver_sm(OURS[1:], words, source_addr=PERSON[1:], source_addr_ton=1, data_coding=3)

        assert [answer.command_status for answer in (failed, stored, inbound)] == [Status.RX_T_APPN, 0, 0]
        assert [one._replace(about=()) for one in peer.inbox.stored] == [
            Receipt("439041101", ReceiptState.DELIVERED, None, "")
        ]
        assert peer.inbox.texts[0][1:4] == (PERSON, OURS, "Grüße")


async def test_their_unbind_leaves_submits_uncertain_and_the_link_comes_back() -> None:
    async with peers() as peer:
        esme = await peer.bound()
        await peer.inbox.wait_for(lambda inbox: inbox.is_up)
        await peer.connector.submit([submission(1)])
        unanswered = await peer.submits(1)

        await esme.unbind()
        await peer.bound()
        await peer.inbox.wait_for(lambda inbox: inbox.is_up and len(inbox.links) == 3)

        assert len(unanswered) == 1
        assert isinstance(peer.inbox.outcome_list[0][2], Uncertain)
        assert peer.inbox.links[1].detail == "the carrier unbound"
