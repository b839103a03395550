"""Publish events to NATS JetStream: one message each, which the broker knows again by the event's id.

Needs the extra `sendpool[nats]`. Credentials leave us only over TLS where the server was given as tls://: the library
would go on in plain text where a server does not ask for TLS.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from ipaddress import ip_network
from typing import Any
from urllib.parse import SplitResult, urlsplit

import msgspec
from nats.aio.client import Client
from nats.errors import (
    ConnectionClosedError,
    Error,
    MaxPayloadError,
    NoServersError,
    SecureConnWantedError,
    UnexpectedEOF,
)
from nats.js import JetStreamContext
from nats.js.api import Header
from nats.js.errors import APIError, NoStreamResponseError

from sendpool.connectors.guard import Network, PrivateNetwork, addresses_of
from sendpool.connectors.sinks import Target
from sendpool.connectors.web import KEEP_ALIVE
from sendpool.domain.delivery import ANSWER_WITHIN, waves

#: The port of a server that names none.
PORT = 4222
#: Seconds to close a connection in order, and between looks whether one is still there.
_CLOSE, _LOOK = 1.0, 0.1
#: The media type of one event (CloudEvents, NATS protocol binding 1.0, structured mode).
_MEDIA_TYPE = "application/cloudevents+json; charset=utf-8"
#: Characters of a broker's own words that are passed on.
_MOST_WORDS = 200


class _Head(msgspec.Struct):
    """What is needed of an event."""

    id: str
    type: str


_head = msgspec.json.Decoder(_Head).decode


class JetStreams:
    """A `SinkConnector` for JetStream, with one connection to each sink."""

    def __init__(
        self,
        allowed: Iterable[str],
        *,
        connect_timeout: float,
        within: float = ANSWER_WITHIN,
        keep: float = KEEP_ALIVE,
    ) -> None:
        """*allowed*: private networks that may be reached. Seconds: *connect_timeout* for a connection to come up,
        *within* for a batch with its connection, *keep* for which a connection without events is kept.
        """
        self._allowed = tuple(ip_network(one) for one in allowed)
        self._connect_timeout = connect_timeout
        self._within = within
        self._keep = keep
        self._links: dict[str, _Link] = {}

    async def hand_over(self, target: Target, events: Sequence[bytes], batch_id: str) -> str | None:
        """Publish events, as `SinkConnector` says."""
        link = self._links.get(target.sid)
        if link is None:
            link = _Link(target, self._allowed, self._connect_timeout)
            self._links[target.sid] = link
        with link.used(self._keep, lambda: self._links.pop(target.sid, None)):
            return await link.offer(events, self._within)

    async def close(self) -> None:
        """Close every connection."""
        links = list(self._links.values())
        self._links.clear()
        for link in links:
            await link.close()


class _Link:
    """The connection to one sink's broker. It is made when it is needed, and never made again by the library: each
    time the names of servers are resolved and checked anew.
    """

    def __init__(self, target: Target, allowed: tuple[Network, ...], connect_timeout: float) -> None:
        where = target.configuration
        self._subject: str = where["subject"]
        self._credentials = {name: where[name] for name in ("token", "user", "password") if name in where}
        #: The one that is tried next stands first.
        self._servers = deque(urlsplit(server) for server in where["servers"])
        self._allowed = allowed
        self._connect_timeout = connect_timeout
        self._connecting = asyncio.Lock()
        self._open: _Connection | None = None
        self._users = 0
        self._idle: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None

    @contextmanager
    def used(self, keep: float, gone: Callable[[], object]) -> Iterator[None]:
        """For the length of a block the connection is in use; *keep* seconds after its last use it is closed."""
        if self._idle is not None:
            self._idle.cancel()
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._idle = asyncio.get_running_loop().call_later(keep, self._leave, gone)

    def _leave(self, gone: Callable[[], object]) -> None:
        gone()
        self._closing = asyncio.get_running_loop().create_task(self.close())

    async def offer(self, events: Sequence[bytes], within: float) -> str | None:
        """Publish events once, *within* seconds; None: the broker has all of them."""
        connection = None
        try:
            async with asyncio.timeout(within):
                connection = await self._connected()
                await self._publish(connection, events, within)
        except TimeoutError:
            why = f"no answer within {within:.3g} s"
            if connection is not None:
                why = connection.complaint or why
                # It may never answer: the next try takes another connection, to another server if there is one.
                await self._leave_it(connection)
            return why
        except Exception as error:  # noqa: BLE001 - whatever the library trips over, the lane has to go on
            return _in_words(error)
        return None

    async def close(self) -> None:
        """Close the connection, if there is one."""
        if self._idle is not None:
            self._idle.cancel()
        if self._open is not None:
            await self._open.shut()

    async def _leave_it(self, connection: _Connection) -> None:
        if not connection.is_closed:
            self._servers.rotate(-1)
        await connection.shut()

    async def _connected(self) -> _Connection:
        async with self._connecting:
            if self._open is None or self._open.is_closed:
                self._open = await self._connect()
            return self._open

    async def _connect(self) -> _Connection:
        """Connect to the first server that answers. Raises Error, OSError or TimeoutError: the last one's."""
        failure: Exception = OSError("it has no servers")
        for _ in range(len(self._servers)):
            try:
                return await self._connect_to(self._servers[0])
            except (Error, OSError) as error:
                failure = error
                self._servers.rotate(-1)
            except BaseException:
                # Our time is up: it is another one's turn the next time.
                self._servers.rotate(-1)
                raise
        raise failure

    async def _connect_to(self, server: SplitResult) -> _Connection:
        host, port = server.hostname or "", server.port or PORT
        failure: Exception = PrivateNetwork()
        for address in await addresses_of(host, port, self._allowed):
            connection = _Connection(secure=server.scheme == "tls")
            try:
                await connection.open(host, address, port, self._credentials, self._connect_timeout)
            except (Error, OSError) as error:
                failure = error
                await connection.shut()
            except BaseException:
                await connection.shut()
                raise
            else:
                return connection
        raise failure

    async def _publish(self, connection: _Connection, events: Sequence[bytes], within: float) -> None:
        """Publish event by event of each message: one goes out when the broker has the one before."""
        heads = [_head(event) for event in events]
        for wave in waves(head.id.rpartition(".")[0] for head in heads):
            await connection.publish(
                [
                    (self._subject.replace("{type}", heads[place].type), heads[place].id, events[place])
                    for place in wave
                ],
                within,
            )


class _Client(Client):
    """The library's client, which also knows whether its connection is encrypted."""

    def __init__(self) -> None:
        super().__init__()
        self.encrypted = False

    @property
    def ssl_context(self) -> ssl.SSLContext:
        """What TLS is made with. The library asks for it just before it goes on encrypted, or not at all."""
        self.encrypted = True
        return super().ssl_context


class _Connection:
    """One connection, to one address."""

    def __init__(self, *, secure: bool) -> None:
        """*secure*: only over TLS."""
        self._secure = secure
        self._client = _Client()
        self._stream = JetStreamContext(self._client)
        #: What went wrong last, in its own words.
        self._error: Exception | None = None

    @property
    def is_closed(self) -> bool:
        """Whether it has ended, by whomever. To be looked at: the library's call-back may not come where the broker
        was killed while something was on its way there (nats-py 2.16).
        """
        return self._client.is_closed

    @property
    def complaint(self) -> str:
        """What the broker has said beside its answers, in our words."""
        denied = isinstance(self._error, Error) and "permissions violation" in str(self._error).lower()
        return "the broker does not let this user publish there" if denied else ""

    async def open(self, host: str, address: str, port: int, credentials: dict[str, str], within: float) -> None:
        """Connect to *address*, which has to be *host* by its certificate where it is over TLS.

        Raises Error or OSError, the latter also where it takes longer than *within* seconds.
        """
        place = f"nats://[{address}]:{port}" if ":" in address else f"nats://{address}:{port}"
        # As functions: they are asked for when the connection is encrypted, if it will be.
        secrets: dict[str, Any] = {name: partial(self._kept, value) for name, value in credentials.items()}
        try:
            async with asyncio.timeout(within):
                await self._client.connect(
                    place,
                    name="sendpool",
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    tls_hostname=host,
                    error_cb=self._note,
                    **secrets,
                )
        except TimeoutError:
            raise OSError(0, f"no connection within {within:.3g} s") from None
        except NoServersError:
            # The library tells only its listener why.
            raise self._error or OSError(0, "no connection") from None
        self._check()

    def _kept(self, secret: str) -> str:
        self._check()
        return secret

    def _check(self) -> None:
        if self._secure and not self._client.encrypted:
            raise SecureConnWantedError

    async def _note(self, error: Exception) -> None:
        self._error = error

    async def publish(self, messages: Iterable[tuple[str, str, bytes]], within: float) -> None:
        """Publish messages, each a subject, an id and a body; returns when the broker has stored all of them.

        Raises Error, also where the connection breaks, or TimeoutError after *within* seconds.
        """
        # Not `publish_async`, whose futures never hear of it where the broker refuses a message (nats-py 2.16).
        storing = [asyncio.ensure_future(self._store(*message, within)) for message in messages]
        try:
            waiting = set(storing)
            while waiting:
                _, waiting = await asyncio.wait(waiting, timeout=_LOOK)
                if waiting and self.is_closed:
                    raise ConnectionClosedError
            for message in storing:
                message.result()
        finally:
            for message in storing:
                message.cancel()
            await asyncio.gather(*storing, return_exceptions=True)

    async def _store(self, subject: str, name: str, body: bytes, within: float) -> None:
        headers = {Header.MSG_ID.value: name, "content-type": _MEDIA_TYPE}
        try:
            await self._stream.publish(subject, body, timeout=within, headers=headers)
        except RuntimeError:
            # What uvloop says of a transport that has just broken.
            raise ConnectionClosedError from None

    async def shut(self) -> None:
        """Close it, in order if it can be."""
        with suppress(TimeoutError, Error, OSError):
            async with asyncio.timeout(_CLOSE):
                await self._client.close()


def _in_words(error: Exception) -> str:
    """Why a broker did not take events, without address or secrets."""
    if isinstance(error, NoStreamResponseError):
        return "no stream of the broker takes the subject"
    if isinstance(error, APIError):
        told = "".join(letter for letter in error.description or "" if letter.isprintable())
        return f"the broker refused it: {told[:_MOST_WORDS]} ({error.err_code})"
    if isinstance(error, ssl.SSLCertVerificationError):
        return "its certificate is not trusted, or is another server's"
    if isinstance(error, ssl.SSLError):
        return "no TLS connection"
    if isinstance(error, SecureConnWantedError):
        return "the server does not offer TLS, which tls:// demands"
    if isinstance(error, MaxPayloadError):
        return "an event is larger than the broker takes (its max_payload)"
    if isinstance(error, (ConnectionClosedError, UnexpectedEOF)):
        return "the connection broke"
    if "authorization" in str(error).lower() or "authentication" in str(error).lower():
        return "the broker does not take the credentials"
    if isinstance(error, socket.gaierror):
        return str(error.strerror)
    if isinstance(error, OSError):
        return os.strerror(error.errno) if error.errno else error.strerror or "no connection"
    return f"the client gave up: {type(error).__name__}"
