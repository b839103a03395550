"""The SMPP connector: keeps one transceiver session bound and turns submissions into submit_sm."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable, Sequence
from random import random

import structlog

from sendpool.connectors.base import AttemptKey, ConnectionSettings, Inbox, Outcome, Submission, Unavailable
from sendpool.connectors.smpp.backoff import Backoff
from sendpool.connectors.smpp.inbound import InboundReader
from sendpool.connectors.smpp.receipts import ReceiptReader
from sendpool.connectors.smpp.session import Carrier, Session, SessionEnd
from sendpool.connectors.smpp.settings import DEFAULT_WINDOW, PASSWORD_OCTETS, read_settings, status_overrides
from sendpool.connectors.smpp.status import code_text
from sendpool.connectors.smpp.submits import SubmitWriter, UnfitSubmission
from sendpool.connectors.smpp.tls import refusal_in_words, trusted
from sendpool.connectors.smpp.window import Waiting
from sendpool.domain.failures import FailureClass, classify

log = structlog.get_logger(__name__)

#: Refusals of a bind that only a person can mend.
_OPERATOR = frozenset({FailureClass.ACCOUNT, FailureClass.REQUEST})


class SmppConnector:
    """A connection of type "smpp". Made from its settings, it does nothing until `open`."""

    def __init__(self, settings: ConnectionSettings, *, random: Callable[[], float] = random) -> None:
        """Read the settings; *random* gives the jitter of reconnects. Raises `ValueError` as `check` does."""
        self._options = read_settings(settings)
        self._window = settings.window or DEFAULT_WINDOW
        self._addresses = tuple(sender.address for sender in settings.senders)
        self._log = log.bind(connection=settings.name)
        self._writer = SubmitWriter(self._options)
        self._receipts = ReceiptReader(self._options)
        self._backoff = Backoff(self._options.reconnect_min, self._options.reconnect_max, random)
        self._overrides = status_overrides(self._options)
        self._inbox: Inbox | None = None
        self._session: Session | None = None
        self._running: asyncio.Task[None] | None = None
        self._closing = False
        self._last_said: tuple[bool, str] | None = None

    @classmethod
    def check(cls, settings: ConnectionSettings) -> None:
        """Raise `ValueError` naming the key if the options are no good; connect to nothing."""
        trusted(read_settings(settings))

    async def open(self, inbox: Inbox) -> None:
        """Start connecting and return at once; reconnect until `close`."""
        if len(self._options.password.encode()) > PASSWORD_OCTETS:
            self._log.warning("smpp.long_password", remedy="SMPP takes 8 characters; ask the carrier if the bind fails")
        self._inbox = inbox
        self._running = asyncio.get_running_loop().create_task(self._keep_bound(inbox))

    async def submit(self, batch: Sequence[Submission]) -> None:
        """Write a submit_sm for each wanted part, in order; what the window has no room for waits here.

        Every outcome goes to the inbox: what cannot leave at once, what never could, and what the carrier says.
        """
        if self._inbox is None:
            raise RuntimeError("submit before open")
        session = self._session
        if session is None or not session.bound:
            down = Unavailable("no bound session")
            self._inbox.outcomes([(item.attempt, part, down) for item in batch for part in _wanted(item)])
            return
        refused: list[tuple[AttemptKey, int, Outcome]] = []
        waiting: list[Waiting] = []
        for submission in batch:
            try:
                self._writer.write(submission, waiting)
            except UnfitSubmission as unfit:
                refused += [(submission.attempt, part, unfit.outcome) for part in _wanted(submission)]
        if refused:
            self._inbox.outcomes(refused)
        session.submit(waiting)

    async def close(self) -> None:
        """Wait for answers in flight (bounded by the response timer), unbind, disconnect, stop reconnecting."""
        already, self._closing = self._closing, True
        if already:
            return
        if self._session is not None:
            await self._session.unbind()
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
        self._say(False, "closed")

    @property
    def receipts_without_id(self) -> int:
        """Receipts so far that named no message: evidence lost at the carrier."""
        return self._receipts.without_id

    async def _keep_bound(self, inbox: Inbox) -> None:
        inbound = InboundReader(self._options, self._addresses)
        carrier = Carrier(self._options, self._window, inbox, self._receipts, inbound, self._say)
        while True:
            end = await self._one_session(carrier)
            self._say(False, end.reason)
            if self._closing:
                return
            seconds = self._backoff.wait(bound_for=end.bound_for, at_least=self._patience(end.refused))
            self._log.info("smpp.reconnecting", after=round(seconds, 3), reason=end.reason)
            await asyncio.sleep(seconds)

    async def _one_session(self, carrier: Carrier) -> SessionEnd:
        """Connect, and stay until the connection is gone."""
        session = Session(carrier)
        try:
            async with asyncio.timeout(self._options.connect_timeout):
                await self._connect(session)
        except TimeoutError:
            return self._not_connected(f"no answer within {self._options.connect_timeout:g} s")
        except (OSError, ValueError) as error:
            return self._not_connected(_in_words(error))
        self._session = session
        try:
            return await session.ended
        finally:
            self._session = None

    async def _connect(self, session: Session) -> None:
        """Open the connection. With TLS the session hears of it, and binds, only once the certificate is trusted."""
        options, loop = self._options, asyncio.get_running_loop()
        # Made anew each time, so that certificates that were renewed are taken up.
        context = trusted(options)
        if context is None:
            await loop.create_connection(lambda: session, options.host, options.port)
            return
        await loop.create_connection(
            lambda: session,
            options.host,
            options.port,
            ssl=context,
            server_hostname=options.server_name or options.host,
            ssl_shutdown_timeout=options.unbind_timeout,
        )

    def _not_connected(self, why: str) -> SessionEnd:
        return SessionEnd(f"no connection to {self._options.host}:{self._options.port}: {why}", None, 0.0)

    def _patience(self, refused: int | None) -> float:
        """Seconds to wait at least after a refused bind: a wrong password does not mend itself in a minute."""
        if refused is None:
            return 0.0
        known = classify("smpp", code_text(refused), self._overrides)
        return self._options.refused_wait if known.failure in _OPERATOR else known.after or 0.0

    def _say(self, up: bool, detail: str) -> None:
        """Tell the inbox about the link, once per change."""
        if self._inbox is None or self._last_said == (up, detail):
            return
        if not up and self._last_said == (False, "closing"):
            return
        self._last_said = (up, detail)
        self._log.info("smpp.link", up=up, detail=detail)
        self._inbox.link(up=up, window=self._window if up else 0, detail=detail)


def _in_words(error: Exception) -> str:
    """Why a connection failed, without the address that asyncio repeats in its own words."""
    if isinstance(error, ssl.SSLError):
        return refusal_in_words(error)
    if isinstance(error, ValueError):  # A file of a certificate that is not there any more.
        return str(error)
    if isinstance(error, socket.gaierror):
        return str(error.strerror)
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number else str(error) or "it closed the connection"


def _wanted(submission: Submission) -> list[int]:
    return [part for part in range(1, submission.segments + 1) if submission.parts >> part - 1 & 1]
