"""What connectors of HTTP carriers share: a client, a link that is watched, and options read from the configuration."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from random import random
from time import time
from typing import NamedTuple, Protocol, TypeVar
from urllib.parse import quote, urlsplit

import aiohttp
import msgspec
import structlog
from yarl import URL

from sendpool.connectors.base import (
    CallbackAnswer,
    Inbound,
    Inbox,
    Outcome,
    Receipt,
    Rejected,
    Throttled,
    Uncertain,
)
from sendpool.connectors.one_by_one import OneByOne
from sendpool.domain.failures import Classified, FailureClass

log = structlog.get_logger(__name__)

#: Octets of an answer at most; what is longer is nobody's answer.
LONGEST_ANSWER = 8 * 1024 * 1024
#: Seconds that a connection without requests is kept for the next one.
KEEP_ALIVE = 60.0
#: Seconds at most that a Retry-After is believed.
LONGEST_RETRY_AFTER = 3600.0


class Reply(NamedTuple):
    """A carrier's answer."""

    status: int
    #: By name, ignoring case.
    headers: Mapping[str, str]
    body: bytes


class NotSent(Exception):
    """Nothing left us: there was no connection. The text says why, without address."""


class NoAnswer(Exception):
    """The request may have arrived: no answer in time, or the connection broke. The text says why, without address."""


class TooLong(NoAnswer):
    """The answer is longer than we take."""


class WebClient(Protocol):
    """All that connectors need of an HTTP client."""

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b"", within: float
    ) -> Reply:
        """Make a request; *url* is encoded already. Redirects are answers like others; nothing is repeated.

        Raises `NotSent` or `NoAnswer`, the latter after *within* seconds.
        """

    async def close(self) -> None:
        """Close every connection."""


class AiohttpClient:
    """A `WebClient` over aiohttp that keeps connections for the next request."""

    def __init__(
        self,
        *,
        connect_timeout: float,
        connector: aiohttp.TCPConnector | None = None,
        longest: Callable[[Mapping[str, str]], int] = lambda _headers: LONGEST_ANSWER,
    ) -> None:
        """*connect_timeout*: seconds for a connection to come up, TLS included; *longest*: octets of an answer at most,
        by its headers. Make it inside the event loop.
        """
        self._connect_timeout = connect_timeout
        self._longest = longest
        # Unlimited: the connector's window bounds the requests, and look-ups must not queue behind messages.
        connector = connector or aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE)
        self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        # aiohttp repeats a DELETE by itself when a kept connection breaks; whether to repeat is our callers' decision.
        # It has no public switch: this is the one that its own test client uses.
        self._session._retry_connection = False

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b"", within: float
    ) -> Reply:
        """Make a request, as `WebClient` says."""
        connect = min(self._connect_timeout, within)
        # Exact: aiohttp would round longer times up to a whole second.
        timeout = aiohttp.ClientTimeout(total=within, connect=connect, ceil_threshold=within + 1)
        encoded = URL(url, encoded=True)
        try:
            async with self._session.request(
                method, encoded, headers=headers, data=body or None, timeout=timeout, allow_redirects=False
            ) as response:
                return Reply(response.status, response.headers, await _read(response, self._longest(response.headers)))
        except aiohttp.InvalidURL:
            raise NotSent("the URL leads nowhere") from None
        except aiohttp.ConnectionTimeoutError:
            raise NotSent(f"no connection within {connect:.3g} s") from None
        except aiohttp.ClientConnectorError as error:
            raise NotSent(_in_words(error)) from None
        except TimeoutError:
            raise NoAnswer(f"no answer within {within:.3g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise NoAnswer(f"the connection broke: {type(error).__name__}") from None

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()


class LinkDown(Exception):
    """Why messages cannot leave now, in plain words."""

    def __init__(self, why: str, *, wait: float = 0.0) -> None:
        """*wait*: seconds to wait at least before the next look, where only a person can mend it."""
        super().__init__(why)
        self.wait = wait


class Backoff:
    """Doubling waits with full jitter, so that many clients of a carrier that restarts do not come back at once."""

    def __init__(self, first: float, last: float, random: Callable[[], float]) -> None:
        self._first = self._ceiling = first
        self._last = last
        self._random = random

    def wait(self) -> float:
        """Seconds to wait before the next look."""
        seconds = self._random() * self._ceiling
        self._ceiling = min(self._ceiling * 2, self._last)
        return seconds

    def reset(self) -> None:
        """Begin again with the first wait."""
        self._ceiling = self._first


class Watch(NamedTuple):
    """How a `WebConnector` looks after its link. Seconds."""

    connect_timeout: float = 5.0
    #: Without any answer for so long, ask for a sign of life.
    idle: float = 30.0
    #: Waits between looks while the link is down: from the first, doubling, up to the last.
    reconnect_min: float = 1.0
    reconnect_max: float = 60.0


class WatchedConnector(OneByOne):
    """Base of connectors without a standing connection to lose. Their link is up while `probe` finds the carrier there
    and willing; it is looked at when it was idle for a while, and at once where something says that it is down.
    """

    def __init__(self, *, window: int, watch: Watch, patience: float, random: Callable[[], float] = random) -> None:
        """*patience*: seconds that `close` waits for answers; *random* gives the jitter of looks while down."""
        super().__init__(window)
        self._watch = watch
        self._patience = patience
        self._backoff = Backoff(watch.reconnect_min, watch.reconnect_max, random)
        self._watching: asyncio.Task[None] | None = None
        self._suspicion = asyncio.Event()
        self._heard_at = 0.0

    @abstractmethod
    async def probe(self) -> None:
        """Find out whether messages could leave now; costs nothing at the carrier. Raises `LinkDown`."""

    def listen(self, inbox: Inbox) -> None:
        """Take reports for *inbox* without looking for the host: another node has the connection."""
        self._inbox = inbox

    async def open(self, inbox: Inbox) -> None:
        """Start looking for the carrier and return at once."""
        self._inbox = inbox
        self._watching = asyncio.get_running_loop().create_task(self._keep_watch())

    async def close(self) -> None:
        """Wait for answers to what is in flight (bounded by the response timer), then look no more."""
        if self._closing:
            return
        await self.finish(self._patience)
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])

    def heard(self) -> None:
        """The carrier has just answered: it is there."""
        self._heard_at = asyncio.get_running_loop().time()

    def suspect(self) -> None:
        """Look at the link now: something says that messages cannot leave."""
        self._suspicion.set()

    async def _keep_watch(self) -> None:
        # A look that ends just as it is cancelled may take no notice of that (asyncio.wait_for before Python 3.12).
        while not self._closing:
            self._suspicion.clear()
            down = await self._look()
            if down is None:
                self._backoff.reset()
                self.say_link(up=True, detail="the carrier answers")
                await self._wait_for_doubt()
            else:
                self.say_link(up=False, detail=str(down))
                await asyncio.sleep(down.wait + self._backoff.wait())

    async def _look(self) -> LinkDown | None:
        try:
            await self.probe()
        except LinkDown as down:
            return down
        except Exception as error:  # a fault of ours must not end the watch
            log.exception("connector.fault", error=type(error).__name__)
            return LinkDown(f"{type(error).__name__} in the connector")
        return None

    async def _wait_for_doubt(self) -> None:
        """Return when a request found no connection, or when nothing was heard for the idle time."""
        loop = asyncio.get_running_loop()
        self._heard_at = loop.time()
        while (quiet := loop.time() - self._heard_at) < self._watch.idle:
            try:
                async with asyncio.timeout(self._watch.idle - quiet):
                    await self._suspicion.wait()
                    return
            except TimeoutError:
                continue


class WebConnector(WatchedConnector):
    """Base of connectors of HTTP carriers."""

    def __init__(self, *, window: int, watch: Watch, patience: float, random: Callable[[], float] = random) -> None:
        """As `WatchedConnector` has it."""
        super().__init__(window=window, watch=watch, patience=patience, random=random)
        self._client: WebClient | None = None
        #: Callbacks whose signature was missing or wrong, and what said nothing for us.
        self.forged = 0
        self.ignored = 0

    async def open(self, inbox: Inbox) -> None:
        """Start looking for the carrier and return at once."""
        self._client = AiohttpClient(connect_timeout=self._watch.connect_timeout)
        await super().open(inbox)

    async def close(self) -> None:
        """Wait for answers to what is in flight (bounded by the response timer), then disconnect."""
        await super().close()
        if self._client is not None:
            client, self._client = self._client, None
            await client.close()

    async def call(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b"", within: float
    ) -> Reply:
        """Make a request and note what it says about the link. Raises `NotSent` or `NoAnswer`."""
        if self._client is None:
            raise NotSent("not open")
        try:
            reply = await self._client.request(method, url, headers=headers, body=body, within=within)
        except NotSent:
            self.suspect()
            raise
        self.heard()
        return reply

    async def store(self, receipts: Sequence[Receipt], inbound: Sequence[Inbound]) -> None:
        """Have what a callback said stored. Raises where it was not."""
        if self._inbox is None or self._closing:
            raise ConnectionError("not open")
        if receipts:
            await self._inbox.receipts(receipts)
        if inbound:
            await self._inbox.inbound(inbound)

    async def answer_when_stored(
        self, receipts: Sequence[Receipt], inbound: Sequence[Inbound], good: CallbackAnswer
    ) -> CallbackAnswer:
        """Answer *good* once all is stored, 503 where it could not be. Never raises."""
        try:
            await self.store(receipts, inbound)
        except Exception as error:  # noqa: BLE001  # whatever the store raises, it means "not stored"
            log.warning("callback.not_stored", error=type(error).__name__)
            return CallbackAnswer(503)
        return good

    def count_forged(self, event: str, **about: object) -> None:
        """A callback was not the carrier's. Logs the 1st, 2nd, 4th, 8th ...: enough to be noticed."""
        self.forged += 1
        if self.forged & (self.forged - 1) == 0:
            log.warning(event, so_far=self.forged, **about)


#: What the tables call "account" pauses the connection, since it has one; what is about no more than the message, the
#: sender.
_PAUSED = {"account": "connection", "message": "sender"}


def refusal(found: Classified, code: str, wait: float | None, status: int) -> Outcome:
    """The outcome of a message that its carrier did not take: *found* is what *code* means, *status* that of HTTP.

    *wait*: seconds that the carrier asks for, or None.
    """
    if found.failure is FailureClass.AMBIGUOUS:
        return Uncertain(f"the carrier answers {status}")
    if found.failure is FailureClass.THROTTLED:
        return Throttled(_PAUSED.get(found.scope, found.scope), wait, code)
    return Rejected(found.failure, code, found.scope, found.rule)


def callback_url(public_url: str, connection: str, path: str) -> str:
    """Where the carrier of a connection reports, as it sees us."""
    return f"{public_url.rstrip('/')}/callbacks/{quote(connection, safe='')}{path}"


def is_base_url(base_url: str) -> bool:
    """Whether it names a host, and perhaps a port and a path, and nothing more."""
    try:
        url = urlsplit(base_url)
        host = (url.hostname or "").encode("idna")
        usable = url.port is None or url.port > 0
    except ValueError:  # UnicodeError is one
        return False
    more = url.query or url.fragment or url.username or url.password
    return bool(url.scheme in ("https", "http") and host and usable and not more)


def retry_after(headers: Mapping[str, str], wall: Callable[[], float] = time) -> float | None:
    """The seconds that a Retry-After asks for, as a number or as a date; None where it says nothing."""
    said = headers.get("Retry-After", "").strip()
    if said.isdecimal():
        seconds = float(said)
    else:
        try:
            seconds = parsedate_to_datetime(said).timestamp() - wall()
        except ValueError:
            return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


async def _read(response: aiohttp.ClientResponse, longest: int) -> bytes:
    chunks, length = [], 0
    async for chunk in response.content.iter_any():
        length += len(chunk)
        if length > longest:
            response.close()
            raise TooLong(f"an answer of more than {longest} octets")
        chunks.append(chunk)
    return b"".join(chunks)


def _in_words(error: aiohttp.ClientConnectorError) -> str:
    """Why there is no connection, without the address that aiohttp repeats."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not trusted"
    if isinstance(error, aiohttp.ClientSSLError):
        return "no TLS connection"
    if isinstance(error.os_error, socket.gaierror):
        return str(error.os_error.strerror)
    if error.os_error.errno:
        return os.strerror(error.os_error.errno)
    return error.os_error.strerror or "no connection"


_Options = TypeVar("_Options", bound=msgspec.Struct)
_PATH = re.compile(r" - at (?:`key` in )?`(?:key in )?\$\.?(?P<path>[^`]*)`$")
_FIELD = re.compile(r"Object (?P<what>contains unknown|missing required) field `(?P<name>[^`]*)`.*")


def read_options(options: Mapping[str, object], kind: type[_Options]) -> _Options:
    """The options of a connection or sender as *kind*. Raises `ValueError` ("key 'port': what is wrong")."""
    try:
        return msgspec.convert(dict(options), kind)
    except msgspec.ValidationError as error:
        raise ValueError(_wrong_option(str(error), kind)) from None


def _wrong_option(problem: str, kind: type[msgspec.Struct]) -> str:
    """Turn msgspec's sentence about a value into ours, which begins with the key."""
    where = _PATH.search(problem)
    path = where["path"] if where else ""
    what = problem[: where.start()] if where else problem
    field = _FIELD.match(what)
    if field is None:
        return f"key '{path}': {what[:1].lower()}{what[1:].replace('`', '')}"
    key = f"{path}.{field['name']}" if path else field["name"]
    if field["what"] == "missing required":
        return f"key '{key}': it is missing"
    if path:
        return f"key '{key}': not a setting here; leave it out, or look for its name in the connector's README"
    return f"key '{key}': not a setting here; known are {', '.join(kind.__struct_fields__)}"
