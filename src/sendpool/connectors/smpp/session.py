"""One SMPP session over one TCP connection: bind, window, enquire_link, receipts, unbind.

It never connects by itself and never decides what a refused message does next. Everything that one socket read
brought is handed over in one call of each kind, and answered in one write.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from collections.abc import Awaitable, Sequence
from enum import Enum, auto
from functools import partial
from struct import Struct
from typing import cast

import structlog

from sendpool.connectors.base import (
    AttemptKey,
    Inbound,
    Outcome,
    Receipt,
    Unavailable,
    Uncertain,
)
from sendpool.connectors.smpp import pdu
from sendpool.connectors.smpp.answers import Answer, AnswerReader
from sendpool.connectors.smpp.carrier import Carrier, Role, SessionEnd
from sendpool.connectors.smpp.congestion import state_in
from sendpool.connectors.smpp.pdu import HEADER, HEADER_LENGTH, RESPONSE, Command, PduError
from sendpool.connectors.smpp.status import Status, describe
from sendpool.connectors.smpp.tls import refusal_in_words
from sendpool.connectors.smpp.window import PartKey, Window, parts_of
from sendpool.failpoints import reach

log = structlog.get_logger(__name__)

# Plain integers: comparing with an IntEnum costs a tenth of reading a PDU.
_SUBMIT_SM_RESP = int(Command.SUBMIT_SM_RESP)
_DELIVER_SM = int(Command.DELIVER_SM)
_DELIVER_SM_RESP = int(Command.DELIVER_SM_RESP)
_DATA_SM = int(Command.DATA_SM)
_unpack_header = HEADER.unpack_from
_pack_acknowledgement = Struct(">IIIIB").pack

#: The longest time between two looks at the timers, in seconds.
_TICK = 1.0


class _State(Enum):
    OPEN = auto()
    BOUND = auto()
    #: We leave: nothing new is submitted.
    CLOSING = auto()
    CLOSED = auto()


class Session(asyncio.Protocol):
    """A client session (ESME). `ended` resolves when the connection is gone."""

    def __init__(self, carrier: Carrier, role: Role) -> None:
        self._carrier = carrier
        self._bind_command = role.command
        self._settings = carrier.settings
        self._inbox = carrier.inbox
        size = carrier.window if role.submits else 0
        self._window = Window(size, carrier.settings.response_timeout, carrier.shared)
        self._answers = AnswerReader(carrier.settings, self._window, self._note_congestion)
        self._framer = pdu.Framer()
        self._state = _State.OPEN
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[SessionEnd] = self._loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._tick: asyncio.TimerHandle | None = None
        self._out: list[bytes] = []
        self._outcomes: list[tuple[AttemptKey, int, Outcome]] = []
        self._receipts: list[Receipt] = []
        self._receipt_acks: list[tuple[int, int]] = []
        self._inbounds: list[Inbound] = []
        self._inbound_acks: list[tuple[int, int]] = []
        #: The carrier's congestion_state as it was told last, in percent.
        self.congestion = 0
        self._congestion_heard = False
        self._storing: set[asyncio.Future[None]] = set()
        self._drained: asyncio.Future[None] | None = None
        self._unbound: asyncio.Future[None] | None = None
        self._reason = ""
        self._refused: int | None = None
        self._opened_at = self._heard_at = self._loop.time()
        self._bound_at: float | None = None
        self._enquired_at: float | None = None
        self._hung_up_at: float | None = None

    # What the connector asks for

    @property
    def bound(self) -> bool:
        """Whether submits may be handed over."""
        return self._state is _State.BOUND and self._transport is not None and not self._transport.is_closing()

    def push(self, at_most: int) -> None:
        """Write of what waits as much as the window has room for, but no more than *at_most*. Only while `bound`."""
        self._flush(at_most)
        reach("submit.written")

    async def unbind(self) -> None:
        """Wait for what is in flight (bounded by the response timer), unbind, disconnect."""
        if self._state is not _State.BOUND:
            self._hang_up("closed before it was bound")
        else:
            self._state = _State.CLOSING
            self._report(self._window.take_queued(), Unavailable("the connection is closing"))
            if self._window.in_flight:
                self._drained = self._loop.create_future()
                await self._drained
            if self._storing:
                await asyncio.wait(self._storing, timeout=self._settings.unbind_timeout)
            await self._say_goodbye()
        await self.ended

    async def _say_goodbye(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._unbound = self._loop.create_future()
        self._out.append(pdu.header(Command.UNBIND, 0, self._window.next_sequence()))
        self._flush()
        await asyncio.wait([self._unbound], timeout=self._settings.unbind_timeout)
        self._hang_up("closed")

    # What the transport brings

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Bind at once: message centres close connections that do not (session-init timer)."""
        self._transport = cast(asyncio.Transport, transport)
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        settings = self._settings
        bind = pdu.Bind(
            system_id=settings.system_id,
            password=settings.password,
            system_type=settings.system_type,
            interface_version=settings.interface_version,
        )
        self._opened_at = self._heard_at = self._loop.time()
        self._transport.write(pdu.encode(pdu.Pdu(self._bind_command, 0, self._window.next_sequence(), bind)))
        self._schedule_tick()

    def data_received(self, data: bytes) -> None:
        """Read every PDU that *data* completes, hand over what they say, answer in one write."""
        self._heard_at = self._loop.time()
        self._enquired_at = None
        read_usual = self._carrier.receipts.read_usual
        answers: list[Answer] = []
        for frame in self._framer.feed(data):
            _, command, status, sequence = _unpack_header(frame)
            if command == _SUBMIT_SM_RESP:
                answers.append((sequence, status, frame))
            elif command == _DELIVER_SM:
                receipt = read_usual(frame)
                if receipt is None:
                    self._collect(frame, command, sequence)
                else:
                    self._receipts.append(receipt)
                    self._receipt_acks.append((_DELIVER_SM_RESP, sequence))
            elif command == _DATA_SM:
                self._collect(frame, command, sequence)
            else:
                self._converse(command, status, sequence, frame)
        if answers:
            self._outcomes += self._answers.read(answers)
        self._hand_over()
        if self._congestion_heard:
            self._congestion_heard = False
            self._carrier.congested()
        if self._framer.broken:
            self._out.append(pdu.header(Command.GENERIC_NACK, Status.RINVCMDLEN, 0))
            self._hang_up("the carrier sent a PDU of an impossible length")
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Settle what was in flight: written submits may have arrived, queued ones have not."""
        state, self._state = self._state, _State.CLOSED
        if self._tick is not None:
            self._tick.cancel()
        reason = self._reason or self._why_lost(exc, state)
        if state is not _State.CLOSING:
            self._carrier.link(False, reason)
        self._report(self._window.take_pending(), Uncertain(reason), send=False)
        self._report(self._carrier.stranded(), Unavailable(reason))
        for future in (self._drained, self._unbound):
            if future is not None and not future.done():
                future.set_result(None)
        bound_for = 0.0 if self._bound_at is None else self._loop.time() - self._bound_at
        if not self.ended.done():
            self.ended.set_result(SessionEnd(reason, self._refused, bound_for))

    def _why_lost(self, error: Exception | None, state: _State) -> str:
        """In words, how a connection ended that nobody closed on this side."""
        if error is not None:
            return f"the link was lost: {refusal_in_words(error) if isinstance(error, ssl.SSLError) else error}"
        if state is _State.OPEN and self._settings.tls and self._settings.certificate_file is None:
            # Many centres hang up without a word where they miss our certificate.
            return (
                "the carrier closed the link before it answered; if it wants a client certificate, set certificate_file"
            )
        return "the carrier closed the link"

    # Reading

    def _note_congestion(self, tlvs: bytes) -> None:
        """Note what a response says about the carrier's load."""
        state = state_in(tlvs)
        if state is not None:
            self.congestion, self._congestion_heard = state, True

    def _collect(self, frame: bytes, command: int, sequence: int) -> None:
        """Note a receipt or an inbound text of this turn."""
        response = command | RESPONSE
        try:
            sm = pdu.parse(frame).body
        except PduError as error:
            log.warning("smpp.unreadable_deliver_sm", reason=str(error))
            self._out.append(_response(response, error.status, sequence))
            return
        if not isinstance(sm, pdu.Sm):
            return
        if self._carrier.receipts.is_receipt(sm):
            self._receipts.append(self._carrier.receipts.read(sm))
            self._receipt_acks.append((response, sequence))
        else:
            self._inbounds.append(self._carrier.inbound.read(sm))
            self._inbound_acks.append((response, sequence))

    def _converse(self, command: int, status: int, sequence: int, frame: bytes) -> None:
        """Everything that is not a message or its answer."""
        if command == Command.ENQUIRE_LINK:
            self._out.append(pdu.header(Command.ENQUIRE_LINK_RESP, 0, sequence))
        elif command == self._bind_command | RESPONSE and self._state is _State.OPEN:
            self._bind_answered(status)
        elif command == Command.ENQUIRE_LINK_RESP:
            self._note_congestion(frame[HEADER_LENGTH:])
        elif command == Command.GENERIC_NACK:
            self._nacked(sequence, status, frame)
        elif command == Command.UNBIND:
            self._out.append(pdu.header(Command.UNBIND_RESP, 0, sequence))
            self._hang_up("the carrier unbound")
        elif command == Command.UNBIND_RESP and self._unbound is not None and not self._unbound.done():
            self._unbound.set_result(None)
        elif not command & RESPONSE and command not in (Command.ALERT_NOTIFICATION, Command.OUTBIND):
            self._out.append(pdu.header(Command.GENERIC_NACK, Status.RINVCMDID, sequence))

    def _bind_answered(self, status: int) -> None:
        if status != 0:
            self._refused = status
            self._hang_up(f"bind refused: {describe(status)}")
            return
        self._state = _State.BOUND
        self._bound_at = self._loop.time()
        settings = self._settings
        self._carrier.link(True, f"bound to {settings.host}:{settings.port} as {settings.system_id}")

    def _nacked(self, sequence: int, status: int, frame: bytes) -> None:
        """The carrier could not read a request: that request failed; without a sequence the stream is out of step."""
        if self._state is _State.OPEN:
            self._bind_answered(status or Status.RINVCMDID)
        elif sequence == 0:
            self._hang_up(f"the carrier lost step with us: {describe(status)}")
        else:
            self._outcomes += self._answers.read([(sequence, status or Status.RSYSERR, frame)])

    # Handing over and answering

    def _hand_over(self) -> None:
        if self._outcomes:
            outcomes, self._outcomes = self._outcomes, []
            self._inbox.outcomes(outcomes)
        if self._receipts:
            receipts, self._receipts = self._receipts, []
            acks, self._receipt_acks = self._receipt_acks, []
            self._acknowledge_once(self._inbox.receipts(receipts), acks)
        if self._inbounds:
            inbounds, self._inbounds = self._inbounds, []
            acks, self._inbound_acks = self._inbound_acks, []
            self._acknowledge_once(self._inbox.inbound(inbounds), acks)
        if self._drained is not None and not self._drained.done() and not self._window.in_flight:
            self._drained.set_result(None)

    def _acknowledge_once(self, storing: Awaitable[None], acks: list[tuple[int, int]]) -> None:
        """Acknowledge messages all together when the inbox has stored them; ask for a repeat if it could not."""
        stored = asyncio.ensure_future(storing)
        self._storing.add(stored)
        stored.add_done_callback(partial(self._stored, acks))

    def _stored(self, acks: list[tuple[int, int]], stored: asyncio.Future[None]) -> None:
        self._storing.discard(stored)
        status = Status.ROK
        if stored.cancelled() or stored.exception() is not None:
            # RX_T_APPN and nothing else: the permanent ones would make the carrier throw the message away.
            status = Status.RX_T_APPN
            log.warning("smpp.not_stored", messages=len(acks))
        self._out.extend(_response(command, status, sequence) for command, sequence in acks)
        self._flush()
        reach("receipt.acknowledged")

    def _report(self, parts: Sequence[PartKey], outcome: Outcome, *, send: bool = True) -> None:
        """Give the same outcome to many parts; *send* False leaves them for the next report."""
        self._outcomes.extend((attempt, one, outcome) for attempt, part in parts for one in parts_of(part))
        if send:
            self._hand_over()

    def _flush(self, at_most: int = sys.maxsize) -> None:
        """Write the answers of this turn and the submits that now have room, at once."""
        if self._transport is None or self._transport.is_closing():
            return
        chunks, self._out = self._out, []
        if self._state is _State.BOUND and self._hung_up_at is None:
            chunks += self._window.take(self._loop.time(), at_most)
        if chunks:
            self._transport.write(b"".join(chunks))

    def _hang_up(self, reason: str) -> None:
        """Write the answers of this turn, no more submits, and disconnect once all is written."""
        self._reason = self._reason or reason
        self._hung_up_at = self._loop.time()
        self._flush()
        if self._transport is not None:
            self._transport.close()

    # Timers

    def _schedule_tick(self) -> None:
        settings = self._settings
        shortest = min(
            settings.bind_timeout,
            settings.response_timeout,
            settings.enquire_link,
            settings.enquire_timeout,
            settings.unbind_timeout,
        )
        self._tick = self._loop.call_later(min(_TICK, shortest / 4), self._look_at_timers)

    def _look_at_timers(self) -> None:
        now = self._loop.time()
        settings = self._settings
        if self._hung_up_at is not None:
            if now - self._hung_up_at >= settings.unbind_timeout:
                self._give_up("the carrier takes no more octets")
        elif self._state is _State.OPEN:
            if now - self._opened_at >= settings.bind_timeout:
                self._give_up(f"no answer to the bind within {settings.bind_timeout:g} s")
        elif self._enquired_at is not None and now - self._enquired_at >= settings.enquire_timeout:
            self._give_up(f"no sign of life within {settings.enquire_timeout:g} s of asking for one")
        else:
            overdue = self._window.expire(now)
            self._report(overdue, Uncertain(f"no answer within {settings.response_timeout:g} s"))
            if self._enquired_at is None and now - self._heard_at >= settings.enquire_link:
                self._enquired_at = now
                self._out.append(pdu.header(Command.ENQUIRE_LINK, 0, self._window.next_sequence()))
            self._flush()
        self._schedule_tick()

    def _give_up(self, reason: str) -> None:
        """Cut a connection whose other end does not answer: nothing more can be flushed to it."""
        self._reason = self._reason or reason
        if self._transport is not None:
            self._transport.abort()


def _response(command: int, status: Status, sequence: int) -> bytes:
    """deliver_sm_resp or data_sm_resp: its message_id is one NUL, always sent (SMPP 3.4 §4.6.2)."""
    return _pack_acknowledgement(HEADER_LENGTH + 1, command, status, sequence, 0)
