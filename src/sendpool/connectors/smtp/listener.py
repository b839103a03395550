"""The port at which mail servers leave bounces, by SMTP or LMTP: a message is taken once what it says is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP

from sendpool.connectors.smtp.bounces import BounceReader, Heard
from sendpool.connectors.smtp.settings import Protocol, SmtpSettings

log = structlog.get_logger(__name__)

#: Octets of a message: servers send what they could not deliver back whole, if they like.
LARGEST = 10 * 1024 * 1024
#: Seconds until a port that somebody else has is tried again, and that a silent server is borne with.
RETRY_AFTER, PATIENCE = 15.0, 120.0

Take = Callable[[Heard], Awaitable[None]]


class _Handler:
    """What aiosmtpd asks: whether we know a recipient, and what becomes of a message."""

    def __init__(self, reader: BounceReader, take: Take) -> None:
        self._reader = reader
        self._take = take

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        """Take bounce addresses of ours and no others, so that nothing can be relayed through this port."""
        if not self._reader.ours(address):
            return "550 5.1.1 no such bounce address"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, _server: SMTP, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Store what it says, then acknowledge. A server repeats what was not stored, for days."""
        heard = self._reader.read(envelope.content or b"", envelope.rcpt_tos, envelope.mail_from or "")
        try:
            await self._take(heard)
        except Exception as error:  # noqa: BLE001 - whatever the store raises, it means "not stored"
            log.warning("smtp.bounce_not_stored", error=type(error).__name__)
            return "451 4.3.0 not stored; try again"
        return "250 2.0.0 stored"


class Listener:
    """Listens for one connection from `start` to `stop`."""

    def __init__(self, options: SmtpSettings, reader: BounceReader, take: Take, name: str) -> None:
        """*take* stores what was said, and raises where it could not; *name*: the connection's."""
        self._options = options
        self._handler = _Handler(reader, take)
        self._log = log.bind(connection=name)
        self._server: asyncio.Server | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to listen."""
        self._task = asyncio.get_running_loop().create_task(self._listen(), name="bounces")

    async def stop(self) -> None:
        """Listen no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._server is not None:
            self._server.close()

    async def _listen(self) -> None:
        options, loop = self._options, asyncio.get_running_loop()
        while self._server is None:
            try:
                self._server = await loop.create_server(self._protocol, options.bounce_host, options.bounce_port)
            except OSError as error:
                where = f"{options.bounce_host}:{options.bounce_port}"
                self._log.error("smtp.bounces_not_heard", at=where, why=error.strerror, again_in=RETRY_AFTER)
                await asyncio.sleep(RETRY_AFTER)

    def _protocol(self) -> SMTP:
        kind = LMTP if self._options.bounce_protocol is Protocol.LMTP else SMTP
        return kind(
            self._handler,
            data_size_limit=LARGEST,
            enable_SMTPUTF8=True,
            hostname=self._options.bounce_domain,
            ident="bounces",
            timeout=PATIENCE,
            loop=asyncio.get_running_loop(),
        )
