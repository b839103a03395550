"""A message centre that does only what a test says, on real sockets in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest

from sendpool.connectors.base import AttemptKey, ConnectionSettings, SenderSettings, Submission
from sendpool.connectors.smpp.connector import SmppConnector
from sendpool.connectors.smpp.pdu import (
    RESPONSE,
    Address,
    BindResp,
    Body,
    Command,
    Framer,
    MessageId,
    Pdu,
    Sm,
    Tag,
    encode,
    parse,
)
from sendpool.domain.message import Content
from sendpool.domain.segments import count
from sendpool.domain.sender import Channel
from sendpool.testing.clock import VirtualTimeLoop
from sendpool.testing.connector_suite import until
from sendpool.testing.inbox import RecordingInbox

BINDS = (Command.BIND_TRANSCEIVER, Command.BIND_TRANSMITTER, Command.BIND_RECEIVER)
OURS = "+12034458910"
PERSON = "+447700900123"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Asynchronous tests here run in virtual time: waiting takes none."""
    return "asyncio", {"loop_factory": VirtualTimeLoop}


class Link(asyncio.Protocol):
    """One connection to the centre."""

    def __init__(self, centre: Centre) -> None:
        self._centre = centre
        self._framer = Framer()
        self.transport: asyncio.Transport | None = None
        #: Everything that came, and how many reads it came in.
        self.received: list[Pdu] = []
        self.reads = 0
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._centre.links.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True

    def data_received(self, data: bytes) -> None:
        self.reads += 1
        for frame in self._framer.feed(data):
            pdu = parse(frame)
            self.received.append(pdu)
            answer = self._centre.answer(pdu)
            if answer is not None:
                self.send(answer)

    def send(self, *pdus: Pdu) -> None:
        """Send PDUs in one write."""
        self.send_octets(b"".join(encode(pdu) for pdu in pdus))

    def send_octets(self, octets: bytes) -> None:
        assert self.transport is not None
        self.transport.write(octets)

    def cut(self) -> None:
        """Break the connection without a word."""
        assert self.transport is not None
        self.transport.abort()

    def of(self, command: Command) -> list[Pdu]:
        """What came under one command_id."""
        return [pdu for pdu in self.received if pdu.command == command]

    @property
    def bound_as(self) -> int:
        """The command_id that it bound with; 0: with none."""
        return next((pdu.command for pdu in self.received if pdu.command in BINDS), 0)

    @property
    def submits(self) -> list[Pdu]:
        return self.of(Command.SUBMIT_SM)


class Centre:
    """Answers binds, enquire_links and unbinds; submits only with `answers_submits`, as "1", "2", ..."""

    def __init__(self) -> None:
        self.links: list[Link] = []
        self.port = 0
        #: command_status of bind responses; None: no answer at all.
        self.bind_status: int | None = 0
        self.silent_on: set[Command] = set()
        self.answers_submits = False
        self._last_id = 0
        self._server: asyncio.Server | None = None

    @property
    def link(self) -> Link:
        """The latest connection."""
        return self.links[-1]

    async def listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Link(self), "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop_listening(self) -> None:
        assert self._server is not None
        self._server.close()

    def answer(self, pdu: Pdu) -> Pdu | None:
        response = pdu.command | RESPONSE
        if pdu.command in self.silent_on:
            return None
        if pdu.command in BINDS and self.bind_status is not None:
            body: Body | None = None if self.bind_status else BindResp(system_id="centre")
            return Pdu(response, self.bind_status, pdu.sequence, body)
        if pdu.command in (Command.ENQUIRE_LINK, Command.UNBIND):
            return Pdu(response, 0, pdu.sequence)
        if pdu.command == Command.SUBMIT_SM and self.answers_submits:
            self._last_id += 1
            return Pdu(response, 0, pdu.sequence, MessageId(str(self._last_id)))
        return None


class Rig:
    """A connector, what it says, and the centre at its other end."""

    def __init__(self) -> None:
        self.centre = Centre()
        self.inbox = RecordingInbox()
        self._connectors: list[SmppConnector] = []

    def connector(
        self, window: int | None = None, random: Callable[[], float] = lambda: 1.0, **options: Any
    ) -> SmppConnector:
        settings = ConnectionSettings(
            name="carrier",
            type="smpp",
            window=window,
            senders=(SenderSettings(channel=Channel.SMS, address=OURS),),
            options={
                "host": "127.0.0.1",
                "port": self.centre.port,
                "system_id": "pool1",
                "password": "secret08",
                **options,
            },
        )
        made = SmppConnector(settings, random=random)
        self._connectors.append(made)
        return made

    async def opened(self, window: int | None = None, **options: Any) -> SmppConnector:
        """A connector whose link is up."""
        connector = self.connector(window, **options)
        await connector.open(self.inbox)
        await self.inbox.wait_for(lambda inbox: inbox.is_up)
        return connector

    def submission(self, number: int, text: str = "hi", **changes: Any) -> Submission:
        return Submission(
            attempt=AttemptKey(number, 1),
            channel=Channel.SMS,
            sender=OURS,
            recipient=PERSON,
            content=Content(text=text),
            segments=count(text),
            reference=number % 256,
            validity=None,
            parts=(1 << count(text)) - 1,
            options={},
        )._replace(**changes)

    def receipt(self, sequence: int, carrier_id: str, stat: str = "DELIVRD", err: str = "000") -> Pdu:
        """A deliver_sm that reports on a message."""
        text = (
            f"id:{carrier_id} sub:001 dlvrd:001 submit date:2511220101 done date:2511220102 stat:{stat} err:{err} text:"
        )
        sm = Sm(
            source=Address(1, 1, PERSON[1:]),
            destination=Address(1, 1, OURS[1:]),
            esm_class=0x04,
            short_message=text.encode(),
            tlvs={Tag.RECEIPTED_MESSAGE_ID: carrier_id.encode() + b"\0"},
        )
        return Pdu(Command.DELIVER_SM, 0, sequence, sm)

    def inbound(self, sequence: int, text: str) -> Pdu:
        """A deliver_sm with a person's text."""
        sm = Sm(
            source=Address(1, 1, PERSON[1:]), destination=Address(1, 1, OURS[1:]), short_message=text.encode("ascii")
        )
        return Pdu(Command.DELIVER_SM, 0, sequence, sm)

    async def until(self, condition: Callable[[], bool], timeout: float = 5.0) -> None:
        """Wait until *condition* holds, at most *timeout* virtual seconds."""
        await until(condition, timeout)

    async def until_more_links_than(self, seen: int, timeout: float) -> None:
        """Wait until somebody has connected since there were *seen* links."""
        await until(lambda: len(self.centre.links) > seen, timeout)

    async def close(self) -> None:
        self.inbox.resume()
        self.centre.silent_on.clear()
        for connector in self._connectors:
            await connector.close()
        self.centre.stop_listening()
        for link in self.centre.links:
            link.cut()
        await until(lambda: all(link.lost for link in self.centre.links))


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A listening centre, an inbox, and connectors that are closed at the end."""
    rig = Rig()
    await rig.centre.listen()
    yield rig
    await rig.close()
