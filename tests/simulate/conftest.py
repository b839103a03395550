"""A plain SMPP client: it says what a test tells it to say, and nothing by itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest

from sendpool.connectors.smpp.bodies import Address, Bind, Body, Command, MessageId, Sm
from sendpool.connectors.smpp.pdu import Framer, Pdu, encode, parse

Client = Callable[..., "AbstractAsyncContextManager[SmppClient]"]


class SmppClient:
    """One link. `received` has every PDU in order; requests are answered only where a test says so."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.received: list[Pdu] = []
        self.closed = False
        self.sequence = 0
        #: Answers each deliver_sm with this status; None: not at all.
        self.acknowledges: int | None = 0
        self._changed = asyncio.Event()

    def send(self, command: int, body: Body | None = None) -> int:
        self.sequence += 1
        self.writer.write(encode(Pdu(command, 0, self.sequence, body)))
        return self.sequence

    def submit(self, destination: str = "447700900001", text: bytes = b"Hello", **fields: object) -> int:
        sm = Sm(
            source=fields.pop("source", Address(1, 1, "12034458910")),  # type: ignore[arg-type]
            destination=Address(1, 1, destination),
            registered_delivery=1,
            short_message=text,
        )
        for name, value in fields.items():
            sm = type(sm)(**{f: getattr(sm, f) for f in sm.__struct_fields__} | {name: value})
        return self.send(Command.SUBMIT_SM, sm)

    async def bind(self, system_id: str = "sendpool", password: str = "secret") -> Pdu:
        return await self.answer_to(self.send(Command.BIND_TRANSCEIVER, Bind(system_id=system_id, password=password)))

    async def answer_to(self, sequence: int) -> Pdu:
        await self.until(lambda: any(self._answers(sequence)))
        return self._answers(sequence)[0]

    def _answers(self, sequence: int) -> list[Pdu]:
        return [pdu for pdu in self.received if pdu.command & 0x80000000 and pdu.sequence == sequence]

    def of(self, command: Command) -> list[Pdu]:
        return [pdu for pdu in self.received if pdu.command == command]

    def deliveries(self) -> list[Sm]:
        return [pdu.body for pdu in self.of(Command.DELIVER_SM) if isinstance(pdu.body, Sm)]

    async def until(self, condition: Callable[[], object], within: float = 5.0) -> None:
        async with asyncio.timeout(within):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def read(self) -> None:
        framer = Framer()
        with contextlib.suppress(OSError):
            while data := await self.reader.read(65536):
                for frame in framer.feed(data):
                    self._take(parse(frame))
                self._changed.set()
        self.closed = True
        self._changed.set()

    def _take(self, pdu: Pdu) -> None:
        self.received.append(pdu)
        if pdu.command == Command.DELIVER_SM and self.acknowledges is not None:
            response = Pdu(Command.DELIVER_SM_RESP, self.acknowledges, pdu.sequence, MessageId(""))
            self.writer.write(encode(response))


@contextlib.asynccontextmanager
async def _connect(port: int) -> AsyncIterator[SmppClient]:
    client = SmppClient(*await asyncio.open_connection("127.0.0.1", port))
    reading = asyncio.ensure_future(client.read())
    try:
        yield client
    finally:
        reading.cancel()
        client.writer.close()
        with contextlib.suppress(OSError):
            await client.writer.wait_closed()
        await asyncio.gather(reading, return_exceptions=True)


@pytest.fixture
def connect() -> Client:
    return _connect
