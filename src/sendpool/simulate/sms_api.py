"""What simulated SMS APIs share: one request a message, fates by a script, reports by webhook until they are heard."""

from __future__ import annotations

import asyncio
import functools
import itertools
from abc import abstractmethod
from collections.abc import Callable
from math import inf
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta

from sendpool.simulate.agenda import Agenda
from sendpool.simulate.poster import Envelope, Poster
from sendpool.simulate.script import Count, span
from sendpool.simulate.web_faults import WebFate, WebFates, WebFault
from sendpool.simulate.web_platform import WebPlatform

#: Seconds that an answer waits for a report that is to overtake it.
OVERTAKING = 5.0


class SmsApiScript(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One simulated API: how it behaves when all is well, and its faults."""

    host: str = "127.0.0.1"
    #: 0 takes a free port.
    port: Annotated[int, Meta(ge=0, le=65535)] = 0
    seed: int = 1
    #: What requests are let in with.
    key: str = "key-1"
    secret: str = "secret-1"  # noqa: S105  # of no account
    #: Where messages of people are posted.
    inbound: str = ""
    #: Seconds, fixed ("0.2") or drawn from a range ("0.1-0.5"): until the answer, and until the delivery.
    answer_delay: str | float = 0.0
    receipt_delay: str | float = 0.1
    #: Tell also that a message was sent on, before its delivery or failure.
    sent_status: bool = True
    event_window: Count = 50
    #: Seconds until a report that was not acknowledged is posted again; doubling.
    resend_after: Annotated[float, Meta(gt=0)] = 0.2
    faults: tuple[WebFault, ...] = ()

    def __post_init__(self) -> None:
        for seconds in (self.answer_delay, self.receipt_delay):
            span(seconds)


class Text(msgspec.Struct, kw_only=True):
    """One message that was taken, and where it stands."""

    id: str
    to: str
    sender: str
    text: str
    #: Ours, where it came along.
    reference: str = ""
    webhook: str = ""
    status: str = "queued"
    failure: str = ""
    #: Every field of the request.
    fields: dict[str, Any] = {}  # msgspec copies it


class Refused(Exception):
    """The API's error and its HTTP status."""

    def __init__(self, code: str, http: int = 400, retry_after: int | None = None) -> None:
        super().__init__(code)
        self.code, self.http, self.retry_after = code, http, retry_after


class Reporter(Poster):
    """Posts the reports of an API until they are acknowledged."""

    def tell(self, url: str, envelope: Envelope) -> asyncio.Task[int]:
        """Post a report until it is acknowledged; the task returns the status of the first answer (0: none)."""
        return self._keep_posting(envelope, url)

    async def tell_once(self, url: str, envelope: Envelope) -> int:
        """Post it once; the status of the answer (0: none)."""
        return await self._post(*envelope, url)


class SmsApi(WebPlatform):
    """An API on a real socket: answers by its script, delivers, reports, and remembers every message it took."""

    #: Where messages are posted.
    path: str
    #: The code of too fast, with its HTTP status, and that of a failure that the script does not name.
    too_fast: tuple[str, int]
    unknown_failure: str

    def __init__(self, script: SmsApiScript | None = None) -> None:
        self.script = script = script or SmsApiScript()
        #: Every message that was taken, in order of arrival, and codes of those that were refused.
        self.messages: list[Text] = []
        self.refusals: list[str] = []
        self.reporter = Reporter(script.inbound, window=script.event_window, resend_after=script.resend_after)
        super().__init__(script, self.reporter)
        self._fates = WebFates(script.seed, script.answer_delay, script.receipt_delay, script.faults)
        self._agenda = Agenda()
        self._numbers = itertools.count(1)

    @abstractmethod
    def read(self, request: web.BaseRequest, body: bytes) -> Text:
        """What a request to send says. Raises `Refused`."""

    @abstractmethod
    def taken(self, message: Text) -> web.Response:
        """The answer for a message that was taken."""

    @abstractmethod
    def refused(self, refusal: Refused) -> web.Response:
        """The answer for one that was not."""

    @abstractmethod
    def report(self, message: Text) -> Envelope:
        """The report of where a message stands."""

    @abstractmethod
    def received(self, phone: str, sender: str, text: str) -> Envelope:
        """The report of a message of a person."""

    async def send_text(self, phone: str, sender: str, text: str) -> bool:
        """A person writes to a sender; return whether the webhook acknowledged it. Said once, never repeated."""
        return await self.reporter.tell_once(self.script.inbound, self.received(phone, sender, text)) == 200

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path != self.path or request.method != "POST":
            return web.Response(status=404)
        body = await request.read()
        fate = WebFate()
        try:
            message = self.read(request, body)
            fate = self._fates.of_message(message.sender, message.to, message.text, self.elapsed)
            self._let_in(fate)
        except Refused as refusal:
            self.refusals.append(refusal.code)
            response = self.refused(refusal)
            if refusal.retry_after is not None:
                response.headers["Retry-After"] = str(refusal.retry_after)
        else:
            self.messages.append(message)
            response = self.taken(message)
            await self._begin(message, fate)
        requests = len(self.messages) + len(self.refusals)
        return await self._reply(request, response, requests, fate.answer_after, answered=fate.answered)

    def _let_in(self, fate: WebFate) -> None:
        if fate.throttled:
            raise Refused(*self.too_fast)
        if fate.refused is not None:
            raise Refused(str(fate.refused.status), fate.refused.http, fate.refused.retry_after)

    async def _begin(self, message: Text, fate: WebFate) -> None:
        if fate.early:
            told = [*self._sent(message, fate), *self._end(message, fate)]
            if told:
                await asyncio.wait(told, timeout=OVERTAKING)
            return
        self._later(min(fate.ended_after, 0.01), functools.partial(self._sent, message, fate))
        self._later(fate.ended_after, functools.partial(self._end, message, fate))

    def _sent(self, message: Text, fate: WebFate) -> list[asyncio.Task[int]]:
        message.status = "sent"
        return self._tell(message, fate) if self.script.sent_status else []

    def _end(self, message: Text, fate: WebFate) -> list[asyncio.Task[int]]:
        message.status = "failed" if fate.failure else "delivered"
        message.failure = fate.failure if fate.failure not in ("", "001") else fate.failure and self.unknown_failure
        return self._tell(message, fate)

    def _tell(self, message: Text, fate: WebFate) -> list[asyncio.Task[int]]:
        if not message.webhook:
            return []
        report = self.report(message)
        return [self.reporter.tell(message.webhook, report) for _ in range(fate.told)]

    def _later(self, seconds: float, then: Callable[[], object]) -> None:
        if seconds < inf:
            self._agenda.call_later(seconds, functools.partial(_call, then))

    def _forget_deliveries(self) -> None:
        self._agenda.clear()


def as_json(value: object, status: int = 200) -> web.Response:
    """An answer in JSON."""
    return web.Response(status=status, body=msgspec.json.encode(value), content_type="application/json")


def _call(then: Callable[[], object]) -> None:
    then()
