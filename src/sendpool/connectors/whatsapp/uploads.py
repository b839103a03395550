"""Files that messages name by URL, uploaded once to the platform, which then need not reach their hosts.

Thousands who get the same file cost one fetch and one upload. What was uploaded is remembered in memory alone: after a
restart it is uploaded again.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import NamedTuple

import aiohttp
import msgspec
import structlog

from sendpool.connectors.base import Outcome, Rejected, Unavailable
from sendpool.connectors.media import UNFIT, File, MediaFetch, Unfetched
from sendpool.connectors.web import NoAnswer, NotSent, Reply, refusal
from sendpool.connectors.whatsapp.content import Upload
from sendpool.connectors.whatsapp.replies import classify_reply
from sendpool.domain.failures import FailureClass

log = structlog.get_logger(__name__)

#: Files in memory at one time, of up to 100 MB each; uploads that are remembered.
AT_ONCE, MOST = 2, 10_000
#: Seconds for which it is remembered that a file is not to be had: for good, or for now.
UNFIT_FOR, PASSING_FOR = 600.0, 15.0
#: The code of a message whose file could not be had, or not be uploaded, just now.
LATER = "media_later"

#: Posts a body with headers to the media of a number. Raises as `WebClient.request` does.
Post = Callable[[str, Mapping[str, str], bytes], Awaitable[Reply]]


class NotUploaded(Exception):
    """There is no id of a file: what becomes of messages with it."""

    def __init__(self, outcome: Outcome, why: str, keep: float) -> None:
        """*keep*: seconds for which that holds."""
        super().__init__(why)
        self.outcome = outcome
        self.keep = keep


class _Entry(NamedTuple):
    """An upload under way or done, and until when it is used (monotonic seconds)."""

    task: asyncio.Task[Upload]
    until: float


class _Uploaded(msgspec.Struct, frozen=True):
    id: str


class Uploads:
    """The platform's ids of files, by number and URL."""

    def __init__(
        self,
        fetch: MediaFetch,
        post: Post,
        *,
        within: float,
        keep: float,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """*within*: seconds for a file to come; *keep*: seconds for which an upload is used again."""
        self._fetch = fetch
        self._post = post
        self._within = within
        self._keep = keep
        self._clock = clock
        self._known: OrderedDict[tuple[str, str], _Entry] = OrderedDict()
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def of(self, number_id: str, url: str) -> Upload:
        """The upload of a file for a number: one for all who want it at the same time, and for a while after.

        Raises `NotUploaded`, also where nobody waits any longer for the answer.
        """
        key = (number_id, url)
        entry = self._known.get(key)
        if entry is None or entry.until <= self._clock():
            task = asyncio.get_running_loop().create_task(self._upload(key))
            task.add_done_callback(_look)
            entry = self._known[key] = _Entry(task, self._clock() + self._keep)
            self._known.move_to_end(key)
            if len(self._known) > MOST:
                self._known.popitem(last=False)
        try:
            return await asyncio.shield(entry.task)
        except asyncio.CancelledError:
            raise NotUploaded(Unavailable("closed before its file was uploaded"), "closed", 0.0) from None

    async def _upload(self, key: tuple[str, str]) -> Upload:
        number_id, url = key
        try:
            async with self._slots:
                file = await self._fetched(url)
                return Upload(url, await self._posted(number_id, file), file.kind, file.name)
        except NotUploaded as error:
            log.info("whatsapp.not_uploaded", why=str(error))
            if (entry := self._known.get(key)) is not None:
                self._known[key] = entry._replace(until=self._clock() + error.keep)
            raise

    async def _fetched(self, url: str) -> File:
        try:
            return await self._fetch.fetch(url, self._within)
        except Unfetched as error:
            if error.passing:
                raise NotUploaded(Rejected(FailureClass.TRANSIENT, LATER), str(error), PASSING_FOR) from None
            raise NotUploaded(Rejected(FailureClass.CONTENT, UNFIT), str(error), UNFIT_FOR) from None

    async def _posted(self, number_id: str, file: File) -> str:
        """The id of a file once the platform has it."""
        headers, body = await _form(file)
        try:
            reply = await self._post(number_id, headers, body)
        except NotSent as error:
            raise NotUploaded(Unavailable(str(error)), str(error), 0.0) from None
        except NoAnswer as error:
            # The message itself has not left, so that it may go again without a doubt.
            raise NotUploaded(Rejected(FailureClass.TRANSIENT, LATER), str(error), 0.0) from None
        if reply.status == 200:
            try:
                return msgspec.json.decode(reply.body, type=_Uploaded).id
            except (msgspec.DecodeError, UnicodeDecodeError):
                words = "the answer is none of the Cloud API; check base_url"
                raise NotUploaded(Rejected(FailureClass.TRANSIENT, LATER), words, PASSING_FOR) from None
        raise _refused(reply)

    async def close(self) -> None:
        """Upload no more."""
        for entry in self._known.values():
            entry.task.cancel()
        await self._fetch.close()


async def _form(file: File) -> tuple[Mapping[str, str], bytes]:
    """Headers and body of the request that uploads a file (multipart/form-data, RFC 7578)."""
    form = aiohttp.MultipartWriter("form-data")
    for name, value in (("messaging_product", "whatsapp"), ("type", file.kind)):
        form.append(value).set_content_disposition("form-data", name=name)
    part = form.append(file.octets, {"Content-Type": file.kind})
    part.set_content_disposition("form-data", name="file", filename=file.name or "file")
    return dict(form.headers), await form.as_bytes()


def _refused(reply: Reply) -> NotUploaded:
    """What a refusal of the platform means for messages with the file."""
    code, found = classify_reply(reply)
    outcome = refusal(found, code, None, reply.status)
    if not isinstance(outcome, Rejected):
        # Nothing of the message has left, whatever became of the upload.
        outcome = outcome if found.failure is FailureClass.THROTTLED else Rejected(FailureClass.TRANSIENT, LATER)
    unfit = found.failure is FailureClass.CONTENT
    return NotUploaded(outcome, f"{code}: {found.meaning}", UNFIT_FOR if unfit else PASSING_FOR)


def _look(task: asyncio.Task[Upload]) -> None:
    """Whoever waited for it may have gone; then nobody else looks at how it ended."""
    if not task.cancelled():
        task.exception()
