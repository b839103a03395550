"""A relay in the hands of a test: it answers as it is told, holds answers back, vanishes and reports deliveries."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import NamedTuple

import aiosmtplib

EXTENSIONS = ("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES", "SIZE 1000000")


class Received(NamedTuple):
    """A message that arrived whole."""

    mail: str
    rcpt: str
    data: bytes


class Relay:
    """Speaks SMTP; `replies` replaces its answers by the first word of a command, "." for the message itself."""

    def __init__(self, extensions: tuple[str, ...] = EXTENSIONS) -> None:
        self.extensions = extensions
        self.replies: dict[str, str] = {}
        self.received: list[Received] = []
        #: Every line that came, bodies apart, and the lines of each read.
        self.lines: list[str] = []
        self.connections = 0
        self.port = 0
        #: Where notifications go, if they do; and those that are not acknowledged.
        self.bounce_port = 0
        self.unacknowledged = 0
        self.unanswered = 0
        self.most_unanswered = 0
        #: Encrypts from the first octet with this.
        self.tls: ssl.SSLContext | None = None
        #: Cuts the connection after this command.
        self.cut_after = ""
        self._answers = asyncio.Event()
        self._answers.set()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=2**16, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._answers.set()
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._open):
            writer.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def hold(self) -> None:
        """Take messages from now on, but do not answer their end."""
        self._answers.clear()

    def answer(self) -> None:
        self._answers.set()

    async def vanish(self) -> None:
        assert self._server is not None
        self._server.close()
        self._server = None
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        self._open.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._talk(reader, writer)
        self._open.discard(writer)
        writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeting = self.replies.get("greeting", "220 relay ready")
        writer.write(f"{greeting}\r\n".encode())
        mail = rcpt = ""
        while line := (await reader.readuntil(b"\r\n")).decode().rstrip("\r\n"):
            self.lines.append(line)
            word = line.partition(" ")[0].upper()
            if word == "MAIL":
                mail, rcpt = line, ""
            reply = self.replies.get(word) or self._usual(word, rcpt)
            if word == "RCPT" and reply[0] == "2":
                rcpt = line
            writer.write(f"{reply}\r\n".encode())
            if self.cut_after == word:
                await writer.drain()
                writer.transport.abort()
                return
            if reply.startswith("354"):
                await self._message(reader, writer, mail, rcpt)
            if word == "QUIT" or reply.startswith("421"):
                return

    def _usual(self, word: str, rcpt: str) -> str:
        if word == "EHLO":
            lines = ["relay", *self.extensions]
            return "\r\n".join([f"250-{one}" for one in lines[:-1]] + [f"250 {lines[-1]}"])
        if word == "DATA":
            return "354 go on" if rcpt else "554 5.5.1 no valid recipients"
        return {"MAIL": "250 2.1.0 ok", "RCPT": "250 2.1.5 ok", "QUIT": "221 bye", "AUTH": "235 2.7.0 ok"}.get(
            word, "250 ok"
        )

    async def _message(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mail: str, rcpt: str) -> None:
        data = b""
        while (line := await reader.readuntil(b"\r\n")) != b".\r\n":
            data += line
        self.received.append(Received(mail, rcpt, data))
        self.unanswered += 1
        self.most_unanswered = max(self.most_unanswered, self.unanswered)
        if self.cut_after == ".":
            writer.transport.abort()
        await self._answers.wait()
        self.unanswered -= 1
        reply = self.replies.get(".", f"250 2.0.0 queued as {len(self.received)}")
        writer.write(f"{reply}\r\n".encode())
        if self.bounce_port and reply.startswith("2"):
            task = asyncio.ensure_future(self._report(mail, rcpt))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _report(self, mail: str, rcpt: str) -> None:
        """Notify of the delivery, again and again until that is acknowledged."""
        self.unacknowledged += 1
        back, recipient = path_of(mail), path_of(rcpt)
        while True:
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                await post(notification(recipient, "delivered", "2.0.0"), back, self.bounce_port)
                self.unacknowledged -= 1
                return
            await asyncio.sleep(0.1)


async def post(message: bytes, to: str, port: int, sender: str = "") -> str:
    """Hand a message to a port of this machine; returns the answer to it. Raises as aiosmtplib does."""
    client = aiosmtplib.SMTP(
        hostname="127.0.0.1", port=port, start_tls=False, local_hostname="relay.example", timeout=600
    )
    async with client:
        await client.mail(sender)
        await client.rcpt(to)
        return (await client.data(message)).message


def path_of(command: str) -> str:
    """The address between the angle brackets of a command."""
    return command.partition("<")[2].partition(">")[0]


def notification(
    recipient: str, action: str, status: str, *, diagnostic: str = "", envelope: str = "", headers: str = ""
) -> bytes:
    """A delivery status notification about one recipient."""
    lines = [
        "From: Mail Delivery System <mailer-daemon@relay.example>",
        "Subject: Delivery",
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"',
        "MIME-Version: 1.0",
        "",
        "--b",
        "Content-Type: text/plain",
        "",
        "This is about your message.",
        "--b",
        "Content-Type: message/delivery-status",
        "",
        "Reporting-MTA: dns; relay.example",
        *([f"Original-Envelope-Id: {envelope}"] if envelope else []),
        "",
        f"Final-Recipient: rfc822; {recipient}",
        f"Action: {action}",
        *([f"Status: {status}"] if status else []),
        *([f"Diagnostic-Code: smtp; {diagnostic}"] if diagnostic else []),
        "",
        "--b",
        "Content-Type: text/rfc822-headers",
        "",
        headers or "Subject: Your order",
        "",
        "--b--",
        "",
    ]
    return "\r\n".join(lines).encode()
