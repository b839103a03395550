"""The Twilio connector: posts messages, and hears of them and of what people write by signed callbacks."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from random import random
from time import time
from urllib.parse import urlsplit

import structlog

from sendpool.connectors.base import (
    CallbackAnswer,
    CallbackRequest,
    CallbackRoute,
    CarrierId,
    ConnectionSettings,
    Inbox,
    Outcome,
    Receipt,
    ReceiptState,
    SenderSettings,
    Submission,
    Unavailable,
    Uncertain,
)
from sendpool.connectors.media import MediaCheck
from sendpool.connectors.twilio import callbacks
from sendpool.connectors.twilio.inventory import MOST_PAGES, distinct, lists_of, read_page
from sendpool.connectors.twilio.replies import classify_reply, judge, read_fate
from sendpool.connectors.twilio.requests import (
    MESSAGES_PATH,
    STATUS_PATH,
    Requests,
    UnfitSubmission,
    body_of,
    encoded,
    read_listed,
)
from sendpool.connectors.twilio.settings import DEFAULT_WINDOW, read_settings
from sendpool.connectors.web import LinkDown, NoAnswer, NotSent, Watch, WebConnector, callback_url
from sendpool.domain.message import Content

log = structlog.get_logger(__name__)

#: Octets of files that Twilio takes: images, and any other type (provider page, MediaUrl).
MEDIA_LIMITS = {"image/": 5_000_000, "": 500_000}
#: Seconds between looks for a message whose answer is missing: a list may lag behind.
SEARCH_EVERY = 2.0
#: Seconds by which Twilio's clock may be behind ours.
CLOCKS_APART = 5.0
#: Messages that are asked for at one time, beside those that are sent.
MOST_ASKING = 5
#: Sids of messages that are known to be of other attempts, the latest.
REMEMBERED = 10_000
#: An answer that sends nothing back to the person.
NO_REPLY = CallbackAnswer(200, b'<?xml version="1.0" encoding="UTF-8"?><Response/>', "text/xml")


class TwilioConnector(WebConnector):
    """A connection of type "twilio". Made from its settings, it does nothing until `open`.

    `forged` counts callbacks whose signature was missing or wrong, `ignored` what said nothing for us.
    """

    def __init__(
        self,
        settings: ConnectionSettings,
        *,
        random: Callable[[], float] = random,
        wall: Callable[[], float] = time,
    ) -> None:
        """Read the settings; *random* gives the jitter of looks while Twilio is away, *wall* the time since 1970.

        Raises `ValueError` as `check` does.
        """
        options = self._options = read_settings(settings)
        watch = Watch(options.connect_timeout, options.idle, options.reconnect_min, options.reconnect_max)
        super().__init__(
            window=settings.window or DEFAULT_WINDOW,
            watch=watch,
            patience=options.connect_timeout + options.response_timeout,
            random=random,
        )
        self._wall = wall
        #: As `KnowsFates` has it.
        self.ask_after = options.first_question
        self._asking = asyncio.Semaphore(MOST_ASKING)
        self._name = settings.name
        self._log = log.bind(connection=settings.name)
        self._media = MediaCheck(MEDIA_LIMITS, options.media_networks, on=options.check_media)
        self._requests = Requests(options, settings.name)
        self._secrets = callbacks.Secrets(options.auth_token, options.signing_keys)
        self._sids: dict[str, None] = {}
        #: Messages on their way, by who gets what from whom.
        self._flying: Counter[tuple[str, str, Content]] = Counter()
        #: Attempts of which a callback has told while their answer was missing.
        self._searching: dict[str, asyncio.Future[str]] = {}

    @classmethod
    def check(cls, settings: ConnectionSettings) -> None:
        """Raise `ValueError` naming the key if the options are no good; connect to nothing."""
        read_settings(settings)

    async def open(self, inbox: Inbox) -> None:
        """Start looking for Twilio and return at once."""
        if self._options.public_url is None:
            self._log.warning(
                "twilio.no_public_url", remedy="set public_url: without it deliveries have to be asked for"
            )
        if not self._secrets.known:
            self._log.warning("twilio.no_auth_token", remedy="set auth_token: without it every callback is refused")
        await super().open(inbox)

    async def close(self) -> None:
        """Wait for answers to what is in flight (bounded by the response timer), then disconnect."""
        await super().close()
        await self._media.close()

    async def probe(self) -> None:
        """See whether the host answers, whatever it says. Raises `LinkDown`."""
        try:
            within = self._options.response_timeout
            await self.call("HEAD", self._requests.sign_of_life(), headers={}, within=within)
        except (NotSent, NoAnswer) as error:
            raise LinkDown(f"no connection to {self._options.base_url}: {error}") from None

    # ---------------------------------------------------------------- numbers

    @staticmethod
    def finds(settings: ConnectionSettings) -> bool:
        """Whether the numbers of the account are to be its senders."""
        return bool(settings.options.get("all_numbers", True))

    async def inventory(self) -> Sequence[SenderSettings] | None:
        """A sender for each number and short code of the account that can send; None: nobody could say."""
        try:
            found = [one for url in lists_of(self._options) for one in await self._pages(url)]
        except (NotSent, NoAnswer, ValueError) as error:
            self._log.warning("twilio.no_inventory", why=str(error))
            return None
        return distinct(found)

    async def _pages(self, url: str) -> list[SenderSettings]:
        """Every sender of a list. Raises `NotSent`, `NoAnswer`, or `ValueError` where Twilio refuses."""
        senders: list[SenderSettings] = []
        for _ in range(MOST_PAGES):
            within = self._options.response_timeout
            reply = await self.call("GET", url, headers=self._requests.headers, within=within)
            if reply.status != 200:
                code, found = classify_reply(reply)
                raise ValueError(f"{code}: {found.meaning}")
            page, following = read_page(reply.body, self._options)
            senders += page
            if following is None:
                break
            url = following
        return senders

    # ---------------------------------------------------------------- sending

    @staticmethod
    def carrier_id(public_id: str) -> str:
        """What callbacks call an attempt: its own id, which stands in the address that they are posted to.

        So a message whose answer is lost is known again, on any node and after a restart.
        """
        return public_id

    async def send(self, submission: Submission) -> Outcome:
        """Post the message, once: Twilio knows no repeats. One without an answer is looked for, then stays in doubt."""
        if refused := await self._media.refusal(submission):
            return refused
        try:
            form = encoded(self._requests.form(submission))
        except UnfitSubmission as unfit:
            return unfit.outcome
        began, name = self._wall(), self.carrier_id(submission.public_id)
        self._searching[name] = asyncio.get_running_loop().create_future()
        what = (submission.sender, submission.recipient, submission.content)
        self._flying[what] += 1
        try:
            outcome = await self._post(form, name)
            if isinstance(outcome, Uncertain):
                outcome = await self._search(submission, name, began) or outcome
        finally:
            del self._searching[name]
            self._flying[what] -= 1
            if not self._flying[what]:
                del self._flying[what]
        if isinstance(outcome, CarrierId):
            self._remember(outcome.also)
        return outcome

    async def _post(self, form: bytes, name: str) -> Outcome:
        headers, within = self._requests.form_headers, self._options.response_timeout
        try:
            reply = await self.call("POST", self._requests.messages, headers=headers, body=form, within=within)
        except NotSent as error:
            return Unavailable(str(error))
        except NoAnswer as error:
            return Uncertain(str(error))
        return judge(reply, name, self._wall)

    async def _search(self, submission: Submission, name: str, began: float) -> Outcome | None:
        """Look for proof that a message got in: a callback, or one like it in the account. None: there is none."""
        told = self._searching[name]
        loop = asyncio.get_running_loop()
        until = loop.time() + self._options.search_timeout
        while not self._closing and (left := until - loop.time()) > 0:
            sid = await self._find(submission, began, left)
            if sid is None and not told.done():
                await asyncio.wait([told], timeout=min(SEARCH_EVERY, left))
            if told.done():
                return CarrierId(name, told.result())
            if sid:
                return CarrierId(name, sid)
            if sid == "":
                return None
        return None

    async def _find(self, submission: Submission, began: float, within: float) -> str | None:
        """The sid of the one message of the account that can be ours; None: not yet; "": that cannot be found out."""
        since = datetime.fromtimestamp(began - CLOCKS_APART, UTC)
        url = self._requests.search(submission, since)
        within = min(within, self._options.response_timeout)
        try:
            reply = await self.call("GET", url, headers=self._requests.headers, within=within)
            listed = read_listed(reply.body) if reply.status == 200 else []
        except NotSent:
            return ""
        except (NoAnswer, ValueError):
            return None
        body, earliest = body_of(submission), began - CLOCKS_APART
        like_it = [
            one for one in listed if one.body == body and one.created_at >= earliest and one.sid not in self._sids
        ]
        rivals = self._flying[submission.sender, submission.recipient, submission.content]
        if len(like_it) > 1 or rivals > 1:
            return ""  # Two alike: to take one of them might take another attempt's.
        return like_it[0].sid if like_it else None

    def _remember(self, sid: str) -> None:
        self._sids[sid] = None
        if len(self._sids) > REMEMBERED:
            del self._sids[next(iter(self._sids))]

    # ---------------------------------------------------------------- asking

    async def fates(self, carrier_ids: Sequence[str]) -> Mapping[str, Receipt | None]:
        """What became of messages, by Twilio's sids; None: still open. Those it does not answer about are left out."""
        answers = await asyncio.gather(*map(self._fate, carrier_ids))
        return {sid: answer[0] for sid, answer in zip(carrier_ids, answers, strict=True) if answer is not None}

    async def _fate(self, sid: str) -> tuple[Receipt | None] | None:
        """What became of a message, in a tuple; None: no answer about it."""
        async with self._asking:
            try:
                within = self._options.response_timeout
                reply = await self.call(
                    "GET", self._requests.message(sid), headers=self._requests.headers, within=within
                )
                if reply.status == 404:
                    return (None,)  # Deleted, or never there: no news.
                status, code = read_fate(reply.body) if reply.status == 200 else ("", "")
            except (NotSent, NoAnswer, ValueError):
                return None
        if not status:
            return None
        receipt = callbacks.receipt_for(sid, status, code)
        return (receipt if receipt is not None and receipt.state is not ReceiptState.PROGRESS else None,)

    # ---------------------------------------------------------------- what is said to us

    def routes(self) -> Sequence[CallbackRoute]:
        """Where Twilio posts statuses, and what people write."""
        return (
            CallbackRoute("POST", STATUS_PATH, self._take_status),
            CallbackRoute("POST", MESSAGES_PATH, self._take_message),
        )

    async def _take_status(self, request: CallbackRequest) -> CallbackAnswer:
        form = self._read(request, STATUS_PATH)
        if form is None:
            return CallbackAnswer(403)
        receipt = callbacks.receipt_of(request.url, form)
        told = self._searching.get(callbacks.attempt_of(request.url))
        if told is not None and not told.done():
            told.set_result(callbacks.sid_of(form))
        if receipt is None:
            self.ignored += 1
        return await self.answer_when_stored([receipt] if receipt else [], [], CallbackAnswer(200))

    async def _take_message(self, request: CallbackRequest) -> CallbackAnswer:
        form = self._read(request, MESSAGES_PATH)
        if form is None:
            return CallbackAnswer(403)
        inbound = callbacks.inbound_of(form)
        if inbound is None:
            self.ignored += 1
        return await self.answer_when_stored([], [inbound] if inbound else [], NO_REPLY)

    def _read(self, request: CallbackRequest, path: str) -> callbacks.Form | None:
        """The fields of a callback; None where its signature is wrong."""
        url = request.url
        if self._options.public_url is not None:
            # By the configuration, not by what a request says of the host.
            query = urlsplit(url).query
            url = callback_url(self._options.public_url, self._name, path) + (f"?{query}" if query else "")
        try:
            return callbacks.read_signed(url, request.headers, request.body, self._secrets)
        except callbacks.Forged:
            self.count_forged("twilio.forged_callback", connection=self._name)
            return None
