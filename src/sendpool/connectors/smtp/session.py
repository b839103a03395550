"""One connection to the relay: set up by aiosmtplib, then a thin layer of ours that pipelines (RFC 2920).

The library waits for the answer to every command; with a round trip of 20 ms that makes 10 messages a second of a
connection. So from the first message on we write MAIL, RCPT and DATA at once, and read their answers in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import NamedTuple, cast

import aiosmtplib

from sendpool.connectors.smtp.replies import Reply, Stage

#: Octets of a line of an answer (the RFC has 512), and its lines at most.
LONGEST_LINE, MOST_LINES = 4096, 100
#: Seconds without a message after which a connection is asked whether it is there before it is used.
STALE = 5.0
#: Seconds that the end of a connection is waited for.
LEAVE_WITHIN = 1.0
_LINE = re.compile(rb"(\d{3})([ -]?)([^\r\n]*)\r?\n")
_BARE = re.compile(rb"\r\n|\r|\n")


class Lost(Exception):
    """The connection broke, or its answers make no sense. The text says why, without address."""

    def __init__(self, why: str, *, begun: bool = False, complete: bool = False) -> None:
        """*begun*: the relay had begun to answer this message; *complete*: it had all of it, so it may be in."""
        super().__init__(why)
        self.begun = begun
        self.complete = complete


class Offers(NamedTuple):
    """What the relay can do, as it says in its answer to EHLO."""

    pipelining: bool
    eight_bit: bool
    utf8: bool
    notifications: bool
    #: Octets of a message at most; 0: it does not say.
    size: int
    #: Messages of one connection at most (RFC 9422); 0: it does not say.
    messages: int


class Envelope(NamedTuple):
    """The commands in front of a message, without their line ends."""

    mail: bytes
    rcpt: bytes


class Taken(NamedTuple):
    """The relay has the message now."""

    reply: Reply


class Refused(NamedTuple):
    """The relay has firmly not taken it."""

    reply: Reply
    stage: Stage


def wired(message: bytes) -> bytes:
    """A message as DATA carries it, without the final dot: CRLF line ends, leading dots doubled (RFC 5321 §4.5.2)."""
    lines = _BARE.sub(b"\r\n", message)
    if not lines.endswith(b"\r\n"):
        lines += b"\r\n"
    lines = lines.replace(b"\r\n.", b"\r\n..")
    return b"." + lines if lines.startswith(b".") else lines


class Session:
    """A connection that is ready for messages, one at a time."""

    def __init__(self, client: aiosmtplib.SMTP, response_timeout: float, final_timeout: float) -> None:
        """Take over the connection of a *client* that has said EHLO and whatever comes before messages."""
        self.offers = offers_of(client)
        self._response_timeout = response_timeout
        self._final_timeout = final_timeout
        loop = self._loop = asyncio.get_running_loop()
        transport = cast(asyncio.Transport, client.transport)
        self._reader = asyncio.StreamReader(limit=LONGEST_LINE, loop=loop)
        protocol = asyncio.StreamReaderProtocol(self._reader, loop=loop)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        # A write is over when the kernel has it: what is told complete has left. Not 0: under TLS an empty buffer would
        # count as full, and the wait for it never end (asyncio.sslproto, `_control_app_writing`).
        transport.set_write_buffer_limits(high=1, low=0)
        self._writer = asyncio.StreamWriter(transport, protocol, self._reader, loop)
        self._used_at = loop.time()
        self._dirty = False
        #: Messages so far.
        self.carried = 0
        #: Whether another message may go over it.
        self.usable = True
        #: Whether all of the message that is under way has been written.
        self.complete = False

    async def ready(self) -> bool:
        """Whether it is still there: asked where it rested for a while or its last message was refused."""
        if not self.usable or self._reader.at_eof() or self._writer.is_closing():
            return False
        if not self._dirty and self._loop.time() - self._used_at < STALE:
            return True
        command, self._dirty = (b"RSET" if self._dirty else b"NOOP"), False
        try:
            await self._write(command + b"\r\n")
            return (await self._answer()).positive and self.usable
        except Lost:
            return False

    async def alive(self) -> bool:
        """Whether the relay answers now."""
        self._used_at -= STALE
        return await self.ready()

    async def send(self, envelope: Envelope, message: bytes) -> Taken | Refused:
        """Hand one message over; *message* as `wired` made it. Raises `Lost`."""
        self.carried += 1
        self.complete = False
        self._dirty = True
        try:
            refused = await (self._pipelined(envelope) if self.offers.pipelining else self._one_by_one(envelope))
            return refused or await self._body(message)
        except BaseException:
            # Left between two answers: nobody could tell what the next one is about.
            self.usable = False
            raise

    async def _pipelined(self, envelope: Envelope) -> Refused | None:
        await self._write(b"%b\r\n%b\r\nDATA\r\n" % envelope)
        mail = await self._answer()
        if mail.code == 421:
            return Refused(mail, Stage.MAIL)
        rcpt = await self._rest()
        if rcpt.code == 421:
            return Refused(rcpt, Stage.RCPT)
        data = await self._rest()
        if mail.positive and rcpt.positive and data.code == 354:
            return None
        if data.code == 354:
            # It would take a message for nobody: an empty one ends that (RFC 2920 §3.1).
            await self._write(b".\r\n")
            await self._rest()
        for reply, stage in ((mail, Stage.MAIL), (rcpt, Stage.RCPT)):
            if not reply.positive:
                return Refused(reply, stage)
        return Refused(data, Stage.DATA)

    async def _one_by_one(self, envelope: Envelope) -> Refused | None:
        begun = False
        for command, stage in zip((*envelope, b"DATA"), (Stage.MAIL, Stage.RCPT, Stage.DATA), strict=True):
            await self._write(command + b"\r\n")
            reply = await (self._rest() if begun else self._answer())
            if not (reply.code == 354 if stage is Stage.DATA else reply.positive):
                return Refused(reply, stage)
            begun = True
        return None

    async def _body(self, message: bytes) -> Taken | Refused:
        try:
            await self._write(message)
            self.complete = True
            await self._write(b".\r\n")
            reply = await self._answer(self._final_timeout)
        except Lost as lost:
            raise Lost(str(lost), begun=True, complete=self.complete) from None
        self.complete = False
        if not reply.positive:
            return Refused(reply, Stage.DATA)
        self._dirty = False
        return Taken(reply)

    async def quit(self) -> None:
        """Take leave, without waiting for an answer."""
        if self.usable and not self._writer.is_closing():
            self._writer.write(b"QUIT\r\n")
        self.usable = False
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(LEAVE_WITHIN):
                await self._writer.wait_closed()
            return
        self._writer.transport.abort()

    async def _write(self, octets: bytes) -> None:
        self._writer.write(octets)
        try:
            async with asyncio.timeout(self._response_timeout):
                await self._writer.drain()
        except TimeoutError:
            raise self._lost(f"nothing was taken for {self._response_timeout:.3g} s") from None
        except OSError as error:
            raise self._lost(f"the connection broke: {type(error).__name__}") from None

    async def _rest(self) -> Reply:
        """A further answer: the relay had begun, so this is no connection that was dead already."""
        try:
            return await self._answer()
        except Lost as lost:
            raise Lost(str(lost), begun=True) from None

    async def _answer(self, within: float | None = None) -> Reply:
        within = within or self._response_timeout
        try:
            async with asyncio.timeout(within):
                reply = await self._read()
        except TimeoutError:
            raise self._lost(f"no answer within {within:.3g} s") from None
        except (ValueError, asyncio.LimitOverrunError):
            raise self._lost("its answer is none of SMTP") from None
        except OSError as error:
            raise self._lost(f"the connection broke: {type(error).__name__}") from None
        self._used_at = self._loop.time()
        if reply.code == 421:
            self.usable = False
        return reply

    async def _read(self) -> Reply:
        """An answer of one or more lines, all of one code. Raises `ValueError` where it is none, `Lost` at its end."""
        texts: list[str] = []
        codes: set[bytes] = set()
        while len(texts) < MOST_LINES:
            line = await self._reader.readline()
            if not line:
                raise self._lost("the connection was closed")
            found = _LINE.fullmatch(line)
            if found is None or len(codes | {found[1]}) > 1:
                raise ValueError
            codes.add(found[1])
            texts.append(found[3].decode("utf-8", "replace"))
            if found[2] != b"-":
                return Reply(int(found[1]), " ".join(texts))
        raise ValueError

    def _lost(self, why: str) -> Lost:
        self.usable = False
        self._writer.transport.abort()
        return Lost(why)


def offers_of(client: aiosmtplib.SMTP) -> Offers:
    """What the relay has offered in its last answer to EHLO."""
    said = {name.lower(): str(value) for name, value in client.esmtp_extensions.items()}
    limits = dict(pair.partition("=")[::2] for pair in said.get("limits", "").upper().split())
    return Offers(
        pipelining="pipelining" in said,
        eight_bit="8bitmime" in said,
        utf8="smtputf8" in said,
        notifications="dsn" in said,
        size=_number(said.get("size", "")),
        messages=_number(limits.get("MAILMAX", "")),
    )


def _number(text: str) -> int:
    return int(text) if text.strip().isdecimal() else 0
