"""How simulated platforms post events to a webhook: said again until they are acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Coroutine, Mapping

import aiohttp
from yarl import URL

#: Seconds between repeats at most, and for which an event is repeated at all (RBM and WhatsApp guides on webhooks).
LONGEST_WAIT = 600.0
GIVE_UP_AFTER = 7 * 86_400.0
#: Seconds that a webhook has to answer.
PATIENCE = 30.0

#: A body and its headers.
Envelope = tuple[bytes, dict[str, str]]


class Poster:
    """Posts to one address; at most *window* at a time, others wait in order."""

    def __init__(self, url: str, *, window: int, resend_after: float) -> None:
        #: Where to post; "": nobody listens.
        self.url = url
        self._room = asyncio.Semaphore(window)
        self._resend_after = resend_after
        self._numbers = itertools.count(1)
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[int]] = set()
        self._speaks = asyncio.Event()
        self._speaks.set()
        #: Posts made, those answered with 200, and those answered otherwise or not at all.
        self.posts = 0
        self.acknowledged = 0
        self.failed = 0

    @property
    def waiting(self) -> int:
        """Events that are not acknowledged yet."""
        return len(self._tasks)

    async def post_as_it_is(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Post any body with any headers: handshakes and forgeries. Returns status and body of the answer."""
        async with self._client().post(self.url, data=body, headers=headers) as response:
            return response.status, await response.read()

    def fall_silent(self) -> None:
        """Tell nothing until `speak_again`: events wait."""
        self._speaks.clear()

    def speak_again(self) -> None:
        """Tell what has waited, and go on."""
        self._speaks.set()

    async def stop(self) -> None:
        """Say nothing more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _keep_posting(self, envelope: Envelope, url: str | None = None) -> asyncio.Task[int]:
        """Post until it is acknowledged; the task returns the status of the first answer (0: none)."""
        return self._spawn(self._until_acknowledged(envelope, url))

    async def _until_acknowledged(self, envelope: Envelope, url: str | None) -> int:
        first: int | None = None
        wait, waited = self._resend_after, 0.0
        while True:
            await self._speaks.wait()
            async with self._room:
                status = await self._post(*envelope, url)
            first = status if first is None else first
            if status == 200 or waited >= GIVE_UP_AFTER:
                return first
            await asyncio.sleep(wait)
            waited += wait
            wait = min(wait * 2, LONGEST_WAIT)

    async def _post(self, body: bytes, headers: dict[str, str], url: str | None = None) -> int:
        self.posts += 1
        status = 0
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            target = URL(url or self.url, encoded=True)  # As it stands: it is signed.
            async with self._client().post(target, data=body, headers=headers) as response:
                status = response.status
        if status == 200:
            self.acknowledged += 1
        else:
            self.failed += 1
        return status

    def _spawn(self, work: Coroutine[None, None, int]) -> asyncio.Task[int]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=PATIENCE), connector=aiohttp.TCPConnector(limit=0)
            )
        return self._session
