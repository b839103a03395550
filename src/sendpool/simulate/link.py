"""One TCP link to a simulated message centre: bind state, framing, and one write per turn of the loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple, cast

from sendpool.connectors.smpp.bodies import (
    NO_TLVS,
    RESPONSE,
    Bind,
    BindResp,
    Command,
    MessageId,
    PduError,
    Sm,
    Tag,
    Tlvs,
)
from sendpool.connectors.smpp.pdu import LAST_SEQUENCE, Framer, Pdu, encode, header, parse
from sendpool.connectors.smpp.status import Status

if TYPE_CHECKING:
    from sendpool.simulate.centre import MessageCentre

BINDS = (Command.BIND_RECEIVER, Command.BIND_TRANSMITTER, Command.BIND_TRANSCEIVER)
_MAY_SUBMIT = (Command.BIND_TRANSMITTER, Command.BIND_TRANSCEIVER)
_MAY_RECEIVE = (Command.BIND_RECEIVER, Command.BIND_TRANSCEIVER)
_VERSION_3_4 = b"\x34"


class Delivery(NamedTuple):
    """A deliver_sm to make: a receipt or an inbound text."""

    system_id: str
    body: bytes
    #: The link that submitted the message: its receipt goes there if it can.
    preferred: Link | None = None
    #: Gets the command_status of the answer; None for receipts.
    answered: asyncio.Future[int] | None = None


class Link(asyncio.Protocol):
    """The centre's end of one connection. Answers session PDUs by itself, hands submits to the centre."""

    def __init__(self, centre: MessageCentre) -> None:
        self._centre = centre
        self._framer = Framer()
        self._out: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._bind: Command | None = None
        self._sequence = 0
        self.system_id = ""
        self.opened_at = asyncio.get_running_loop().time()
        #: Submits since the link came up.
        self.submits = 0
        #: Submits that wait for their answer.
        self.unanswered = 0
        #: deliver_sm that wait for theirs: sequence -> what, and when it was sent.
        self.in_flight: dict[int, tuple[Delivery, float]] = {}
        self.enquired_at: float | None = None

    @property
    def bound(self) -> bool:
        """Whether a bind was accepted."""
        return self._bind is not None

    @property
    def may_receive(self) -> bool:
        """Whether deliver_sm may go out here."""
        return self._bind in _MAY_RECEIVE and self._transport is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Report to the centre."""
        # uvloop's transports are no subclasses of asyncio's, so there is nothing to check here.
        self._transport = cast("asyncio.Transport", transport)
        self._centre.link_opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Report to the centre; what was not written is lost."""
        self._transport = None
        self._out.clear()
        self._centre.link_lost(self)

    def pause_writing(self) -> None:
        """Stop reading from a peer that does not read: buffers stay bounded."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Read again, unless the centre is frozen."""
        if self._transport is not None and not self._centre.frozen:
            self._transport.resume_reading()

    def freeze(self, *, frozen: bool) -> None:
        """Stop reading altogether, as a centre that hangs, or go on."""
        if self._transport is not None and frozen:
            self._transport.pause_reading()
        elif self._transport is not None:
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Answer what came. After `cut` or `hang_up` the rest is thrown away unread."""
        self.enquired_at = None
        for frame in self._framer.feed(data):
            if self._transport is None or self._transport.is_closing():
                return
            try:
                self._take(parse(frame))
            except PduError as error:
                self._complain(error)
        if self._framer.broken:
            self.send(Command.GENERIC_NACK, Status.RINVCMDLEN, 0)
            self.hang_up()

    def send(self, command: int, status: int, sequence: int, body: bytes = b"") -> None:
        """Write a PDU with all others of this turn of the loop."""
        if self._transport is None:
            return
        if not self._out:
            asyncio.get_running_loop().call_soon(self.flush)
        self._out.append(header(command, status, sequence, len(body)) + body)

    def deliver(self, delivery: Delivery, now: float) -> None:
        """Send a deliver_sm; `in_flight` keeps it until its answer comes."""
        sequence = self._next_sequence()
        self.in_flight[sequence] = (delivery, now)
        self.send(Command.DELIVER_SM, Status.ROK, sequence, delivery.body)

    def answer_submit(self, status: int, sequence: int, body: bytes) -> None:
        """Send a submit_sm_resp."""
        self.unanswered -= 1
        self.send(Command.SUBMIT_SM_RESP, status, sequence, body)

    def enquire(self, now: float) -> None:
        """Ask whether the peer is there; anything it says counts as an answer."""
        self.enquired_at = now
        self.send(Command.ENQUIRE_LINK, Status.ROK, self._next_sequence())

    def flush(self) -> None:
        """Write what waits."""
        out, self._out = self._out, []
        if out and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(out))

    def hang_up(self) -> None:
        """Write what waits, then close."""
        self.flush()
        if self._transport is not None:
            self._transport.close()

    def cut(self) -> None:
        """Break the link without a word; what waits is lost."""
        self._out.clear()
        if self._transport is not None:
            self._transport.abort()

    def _take(self, pdu: Pdu) -> None:
        body = pdu.body
        if pdu.command == Command.SUBMIT_SM and isinstance(body, Sm):
            self._take_submit(pdu.sequence, body)
        elif pdu.command == Command.DELIVER_SM_RESP:
            self._centre.delivery_answered(self, pdu.sequence, pdu.status)
        elif pdu.command in BINDS and isinstance(body, Bind):
            self._take_bind(Command(pdu.command), pdu.sequence, body)
        elif pdu.command == Command.ENQUIRE_LINK:
            self.send(Command.ENQUIRE_LINK_RESP, Status.ROK, pdu.sequence)
        elif pdu.command == Command.UNBIND:
            self.send(Command.UNBIND_RESP, Status.ROK, pdu.sequence)
            self._bind = None
            self.hang_up()
        elif pdu.command == Command.GENERIC_NACK:
            self._centre.delivery_answered(self, pdu.sequence, pdu.status or Status.RSYSERR)
        elif not pdu.command & RESPONSE:
            self.send(Command.GENERIC_NACK, Status.RINVCMDID, pdu.sequence)

    def _take_submit(self, sequence: int, sm: Sm) -> None:
        if self._bind not in _MAY_SUBMIT:
            self.send(Command.SUBMIT_SM_RESP, Status.RINVBNDSTS, sequence)
            return
        self.submits += 1
        self.unanswered += 1
        self._centre.submitted(self, sequence, sm)

    def _take_bind(self, command: Command, sequence: int, bind: Bind) -> None:
        status = Status.RALYBND if self.bound else self._centre.judge_bind(bind)
        response = command | RESPONSE
        if status:
            self.send(response, status, sequence)
            return
        self._bind, self.system_id = command, bind.system_id
        accepted = BindResp(system_id="simulate", tlvs={Tag.SC_INTERFACE_VERSION: _VERSION_3_4})
        self._write(Pdu(response, Status.ROK, sequence, accepted))
        self._centre.link_bound(self)

    def _complain(self, error: PduError) -> None:
        """Answer a PDU that cannot be read: a request we know with its own response, others with generic_nack."""
        if error.command == Command.SUBMIT_SM:
            self.send(Command.SUBMIT_SM_RESP, error.status, error.sequence)
        else:
            self.send(Command.GENERIC_NACK, error.status, error.sequence)

    def _write(self, pdu: Pdu) -> None:
        octets = encode(pdu)
        self.send(pdu.command, pdu.status, pdu.sequence, octets[16:])

    def _next_sequence(self) -> int:
        self._sequence = self._sequence % LAST_SEQUENCE + 1
        return self._sequence


def message_id_body(message_id: str, congestion: int | None = None) -> bytes:
    """The body of a submit_sm_resp, with a congestion_state where there is one."""
    tlvs: Tlvs = NO_TLVS if congestion is None else {int(Tag.CONGESTION_STATE): bytes((congestion,))}
    return encode(Pdu(Command.SUBMIT_SM_RESP, 0, 0, MessageId(message_id, tlvs)))[16:]
