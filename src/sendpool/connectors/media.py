"""Files that messages name by URL, looked at before they are sent: whether their type and size suit the channel.

A carrier that cannot take a file says so only after it has taken the message, if at all; by then the next channel has
waited for nothing. Each URL is asked once by HEAD, through the guard: clients chose it.
"""

from __future__ import annotations

import asyncio
import mimetypes
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_network
from time import monotonic
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

import structlog

from sendpool.connectors.base import Rejected, Submission
from sendpool.connectors.guard import GuardedClient
from sendpool.connectors.web import LONGEST_ANSWER, NoAnswer, NotSent, Reply, TooLong
from sendpool.domain.failures import FailureClass

log = structlog.get_logger(__name__)

#: Octets that a file may have, by its media type or what that begins with; what is not named is not taken.
Limits = Mapping[str, int]

#: The code of a message whose files its channel does not take.
UNFIT = "media"
#: Seconds for a connection, for an answer, and for which it is remembered; files that are remembered.
CONNECT, WITHIN, REMEMBERED, MOST = 3.0, 5.0, 600.0, 10_000
#: How often a file may be elsewhere; what says that, and what may be otherwise a little later.
REDIRECTS = 3
_ELSEWHERE, _PASSING = frozenset({301, 302, 303, 307, 308}), frozenset({408, 425, 429, 500, 502, 503, 504})


def check_networks(names: Iterable[str]) -> None:
    """Raise `ValueError` that begins with the key if one is no network."""
    for name in names:
        try:
            ip_network(name)
        except ValueError as error:
            raise ValueError(f"key 'media_networks': {error}; give networks such as 10.0.0.0/8") from None


def most_of(limits: Limits, kind: str) -> int | None:
    """Octets that a file of a type may have; None: it is not taken."""
    return limits.get(kind, limits.get(f"{kind.partition('/')[0]}/", limits.get("")))


class File(NamedTuple):
    """A file as its host gave it."""

    octets: bytes
    #: Its media type, and the name at the end of its URL ("" where there is none).
    kind: str
    name: str


class Unfetched(Exception):
    """Why there is no file that the channel takes, in plain words and without its URL."""

    def __init__(self, why: str, *, passing: bool = False) -> None:
        """*passing*: it may be there a little later."""
        super().__init__(why)
        self.passing = passing


class MediaFetch:
    """Fetches whole files through the guard, from its first use on."""

    def __init__(self, limits: Limits, allowed: Iterable[str] = ()) -> None:
        """*allowed*: private networks in which files may be."""
        self._limits = limits
        self._allowed = tuple(allowed)
        self._client: GuardedClient | None = None

    async def fetch(self, url: str, within: float) -> File:
        """The file of a URL, in at most *within* seconds for each host that it leads to. Raises `Unfetched`."""
        for _ in range(REDIRECTS + 1):
            reply = await self._get(url, within)
            if reply.status not in _ELSEWHERE:
                return self._judge(url, reply)
            url = urljoin(url, reply.headers.get("Location", ""))
            if urlsplit(url).scheme not in ("http", "https"):
                break
        raise Unfetched("it leads elsewhere once too often")

    async def _get(self, url: str, within: float) -> Reply:
        if self._client is None:
            self._client = GuardedClient(self._allowed, connect_timeout=CONNECT, longest=self._longest)
        try:
            return await self._client.request("GET", url, headers={}, within=within)
        except NotSent as error:
            raise Unfetched(f"nobody can fetch the file: {error}") from None
        except TooLong:
            raise Unfetched("the file has more octets than the channel takes of its type") from None
        except NoAnswer as error:
            raise Unfetched(f"its host does not give the file: {error}", passing=True) from None

    def _longest(self, headers: Mapping[str, str]) -> int:
        # One more than is taken would do, but types that are not taken at all are named as that.
        return most_of(self._limits, _kind(headers)) or LONGEST_ANSWER

    def _judge(self, url: str, reply: Reply) -> File:
        if reply.status != 200:
            raise Unfetched(f"there is no file: status {reply.status}", passing=reply.status in _PASSING)
        name = urlsplit(url).path.rpartition("/")[2]
        kind = _kind(reply.headers)
        if kind in ("", "application/octet-stream", "binary/octet-stream"):
            kind = mimetypes.guess_type(name)[0] or kind
        most = most_of(self._limits, kind)
        if most is None or not reply.body:
            raise Unfetched(f"the channel takes no files of type {kind}" if reply.body else "the file is empty")
        if len(reply.body) > most:
            raise Unfetched(f"the file has {len(reply.body):,} octets; the channel takes {most:,} of its type")
        return File(reply.body, kind, name)

    async def close(self) -> None:
        """Fetch no more."""
        if self._client is not None:
            await self._client.close()


def _kind(headers: Mapping[str, str]) -> str:
    return headers.get("Content-Type", "").partition(";")[0].strip().lower()


class MediaCheck:
    """Asks for files, from its first use on."""

    def __init__(
        self, limits: Limits, allowed: Iterable[str] = (), *, on: bool = True, clock: Callable[[], float] = monotonic
    ) -> None:
        """*allowed*: private networks in which files may be; *on*: whether to ask at all."""
        self._limits = limits
        self._allowed = tuple(allowed)
        self._on = on
        self._clock = clock
        self._client: GuardedClient | None = None
        self._known: OrderedDict[str, tuple[float, asyncio.Task[str]]] = OrderedDict()

    async def refusal(self, submission: Submission) -> Rejected | None:
        """The outcome of a submission whose files cannot go along: another channel may say it with a link."""
        if not self._on or not submission.content.media:
            return None
        why = await self.objection(submission.content.media)
        if why:
            log.info("media.unfit", why=why, message=submission.attempt.message_id)
        return Rejected(FailureClass.CONTENT, UNFIT) if why else None

    async def objection(self, urls: Iterable[str]) -> str:
        """Why one of the files cannot go along, in plain words and without its URL; "": nothing speaks against them."""
        for url in urls:
            if why := await asyncio.shield(self._asked(url)):
                return why
        return ""

    def _asked(self, url: str) -> asyncio.Task[str]:
        """The answer for a URL: one for all who want it at the same time, and for a while after."""
        until, task = self._known.get(url, (-1.0, None))
        if task is None or until <= self._clock():
            task = asyncio.get_running_loop().create_task(self._ask(url))
            self._known[url] = (self._clock() + REMEMBERED, task)
            if len(self._known) > MOST:
                self._known.popitem(last=False)
        return task

    async def _ask(self, url: str) -> str:
        if self._client is None:
            self._client = GuardedClient(self._allowed, connect_timeout=CONNECT)
        try:
            return self._judge(await self._client.request("HEAD", url, headers={}, within=WITHIN))
        except NotSent as error:
            return f"nobody can fetch the file: {error}"
        except NoAnswer:
            return ""  # Its server is slow; the carrier may be more patient.

    def _judge(self, reply: Reply) -> str:
        if reply.status in (404, 410):
            return f"there is no file: status {reply.status}"
        if reply.status != 200:
            return ""  # It may have something against HEAD, or against us.
        kind = _kind(reply.headers)
        most = most_of(self._limits, kind) if kind else max(self._limits.values())
        size = reply.headers.get("Content-Length", "")
        if most is None:
            return f"the channel takes no files of type {kind}"
        if size.isdecimal() and int(size) > most:
            return f"the file has {int(size):,} octets; the channel takes {most:,} of its type"
        return ""

    async def close(self) -> None:
        """Ask no more."""
        for _, task in self._known.values():
            task.cancel()
        if self._client is not None:
            await self._client.close()
