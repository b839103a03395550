"""One bind of a connection, kept: it is made anew, after a while, whenever it is lost or does not come about."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable

import structlog

from sendpool.connectors.smpp.backoff import Backoff
from sendpool.connectors.smpp.carrier import Carrier, Role, SessionEnd
from sendpool.connectors.smpp.session import Session
from sendpool.connectors.smpp.settings import SmppSettings, status_overrides
from sendpool.connectors.smpp.status import code_text
from sendpool.connectors.smpp.tls import refusal_in_words, trusted
from sendpool.domain.failures import FailureClass, classify

log = structlog.get_logger(__name__)

#: Refusals of a bind that only a person can mend.
_OPERATOR = frozenset({FailureClass.ACCOUNT, FailureClass.REQUEST})


class Line:
    """Does nothing until `start`; from then on it connects and binds again and again until `close`."""

    def __init__(self, carrier: Carrier, role: Role, backoff: Backoff, changed: Callable[[], None]) -> None:
        """*changed* is called when the bind came up, went down or could not be made; `bound` and `reason` tell."""
        self.role = role
        #: How the last change came about, in plain words.
        self.reason = ""
        #: The session of this moment; it may be bound before the call that connects it has returned.
        self._session: Session | None = None
        self._connected = False
        self._carrier = carrier._replace(link=self._told)
        self._settings: SmppSettings = carrier.settings
        self._overrides = status_overrides(carrier.settings)
        self._backoff = backoff
        self._changed = changed
        self._log = log.bind(connection=carrier.name)
        self._running: asyncio.Task[None] | None = None
        self._closing = False

    @property
    def bound(self) -> bool:
        """Whether the bind stands."""
        return self._session is not None and self._session.bound

    @property
    def sends(self) -> bool:
        """Whether submits may be handed over."""
        return self.role.submits and self.bound

    @property
    def congestion(self) -> int:
        """The carrier's congestion_state by its last word on this bind, in percent."""
        return self._session.congestion if self._session is not None else 0

    def push(self, at_most: int) -> None:
        """Write of what waits as much as the window has room for, but no more than *at_most*."""
        if self._session is not None and self._session.bound:
            self._session.push(at_most)

    def start(self, after: float) -> None:
        """Connect in *after* seconds, and keep at it."""
        self._running = asyncio.get_running_loop().create_task(self._keep_bound(after))

    async def close(self) -> None:
        """Wait for answers in flight (bounded by the response timer), unbind, disconnect, stop reconnecting."""
        self._closing = True
        if self._session is not None and (self._connected or self._session.bound):
            await self._session.unbind()
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    def _told(self, up: bool, detail: str) -> None:
        self.reason = detail
        self._changed()

    async def _keep_bound(self, after: float) -> None:
        if after:
            await asyncio.sleep(after)
        while True:
            end = await self._one_session()
            self._session, self._connected = None, False
            if self._closing:
                return
            self._told(False, end.reason)
            seconds = self._backoff.wait(bound_for=end.bound_for, at_least=self._patience(end.refused))
            self._log.info("smpp.reconnecting", after=round(seconds, 3), reason=end.reason)
            await asyncio.sleep(seconds)

    async def _one_session(self) -> SessionEnd:
        """Connect, and stay until the connection is gone."""
        session = self._session = Session(self._carrier, self.role)
        try:
            async with asyncio.timeout(self._settings.connect_timeout):
                await self._connect(session)
        except TimeoutError:
            return self._not_connected(f"no answer within {self._settings.connect_timeout:g} s")
        except (OSError, ValueError) as error:
            return self._not_connected(in_words(error))
        self._connected = True
        return await session.ended

    async def _connect(self, session: Session) -> None:
        """Open the connection. With TLS the session hears of it, and binds, only once the certificate is trusted."""
        options, loop = self._settings, asyncio.get_running_loop()
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
        return SessionEnd(f"no connection to {self._settings.host}:{self._settings.port}: {why}", None, 0.0)

    def _patience(self, refused: int | None) -> float:
        """Seconds to wait at least after a refused bind: a wrong password does not mend itself in a minute."""
        if refused is None:
            return 0.0
        known = classify("smpp", code_text(refused), self._overrides)
        return self._settings.refused_wait if known.failure in _OPERATOR else known.after or 0.0


def in_words(error: Exception) -> str:
    """Why a connection failed, without the address that asyncio repeats in its own words."""
    if isinstance(error, ssl.SSLError):
        return refusal_in_words(error)
    if isinstance(error, ValueError):  # A file of a certificate that is not there any more.
        return str(error)
    if isinstance(error, socket.gaierror):
        return str(error.strerror)
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number else str(error) or "it closed the connection"
