"""The WhatsApp connector: posts messages to the Cloud API and hears of them, and of what people write, by webhook."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import random
from time import time

import structlog

from sendpool.connectors.base import (
    CallbackAnswer,
    CallbackRequest,
    CallbackRoute,
    ConnectionSettings,
    Heard,
    Inbox,
    Outcome,
    SenderSettings,
    Submission,
    Unavailable,
    Uncertain,
)
from sendpool.connectors.media import MediaCheck, MediaFetch
from sendpool.connectors.web import LinkDown, NoAnswer, NotSent, Reply, Watch, WebConnector
from sendpool.connectors.whatsapp import webhooks
from sendpool.connectors.whatsapp.content import UnfitSubmission, Upload
from sendpool.connectors.whatsapp.inventory import MOST_PAGES, Number, read_number, read_page, sender_of
from sendpool.connectors.whatsapp.replies import classify_reply, judge
from sendpool.connectors.whatsapp.requests import Requests
from sendpool.connectors.whatsapp.settings import DEFAULT_WINDOW, number_options, read_settings
from sendpool.connectors.whatsapp.uploads import NotUploaded, Uploads
from sendpool.domain.failures import Repair
from sendpool.domain.message import Content
from sendpool.domain.sender import Channel
from sendpool.domain.whatsapp_content import needs_window

log = structlog.get_logger(__name__)

#: Octets of files that the platform takes, by type (Cloud API, supported media types).
MEDIA_LIMITS = {
    "image/jpeg": 5_000_000,
    "image/png": 5_000_000,
    "image/webp": 500_000,
    "audio/": 16_000_000,
    "video/mp4": 16_000_000,
    "video/3gpp": 16_000_000,
    "application/": 100_000_000,
    "text/": 100_000_000,
}
#: What follows /callbacks/<connection name> in the webhook's address.
EVENTS_PATH = "/events"
#: News after which the business account is asked for its numbers again.
NEWS_OF_NUMBERS = frozenset({"phone_number_quality_update", "phone_number_name_update", "account_update"})
#: Seconds at least until an account is asked again that tells nothing of the numbers that we lack: calls of this kind
#: are 200 an hour.
ASK_AGAIN = 60.0


def _refusal(reply: Reply) -> str:
    code, found = classify_reply(reply)
    return f"{code}: {found.meaning}"


class WhatsAppConnector(WebConnector):
    """A connection of type "whatsapp". Made from its settings, it does nothing until `open`.

    `forged` counts callbacks whose signature was missing or wrong, `ignored` what said nothing for us.
    """

    def __init__(
        self,
        settings: ConnectionSettings,
        *,
        random: Callable[[], float] = random,
        wall: Callable[[], float] = time,
    ) -> None:
        """Read the settings; *random* gives the jitter of looks while the platform is away, *wall* the time since 1970.

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
        self._name = settings.name
        self._log = log.bind(connection=settings.name)
        self._media = MediaCheck(MEDIA_LIMITS, options.media_networks, on=options.check_media)
        fetch = MediaFetch(MEDIA_LIMITS, options.media_networks)
        self._uploads = Uploads(fetch, self._upload, within=options.response_timeout, keep=options.keep_uploads)
        #: Our senders' addresses by the ids of their numbers.
        given = {one.address: number_options(one.options).phone_number_id for one in settings.senders}
        self._senders = {str(number_id): address for address, number_id in given.items() if number_id is not None}
        #: Our senders whose ids the business account has to tell, and whether it is to be asked.
        self._nameless = {address for address, number_id in given.items() if number_id is None}
        self._addresses = frozenset(given)
        self._asks_account = options.business_account_id is not None
        self._requests = Requests(options)
        self._headers = {"Authorization": f"Bearer {options.access_token}", "Content-Type": "application/json"}

    @classmethod
    def check(cls, settings: ConnectionSettings) -> None:
        """Raise `ValueError` naming the key if the options are no good; connect to nothing."""
        read_settings(settings)

    async def open(self, inbox: Inbox) -> None:
        """Start looking for the platform and return at once."""
        if not self._options.app_secret:
            self._log.warning("whatsapp.no_app_secret", remedy="set app_secret: without it every event is refused")
        await super().open(inbox)

    async def close(self) -> None:
        """Wait for answers to what is in flight (bounded by the response timer), then disconnect."""
        await super().close()
        await self._media.close()
        await self._uploads.close()

    async def probe(self) -> None:
        """See whether the host answers, whatever it says. Raises `LinkDown`."""
        try:
            url = self._requests.sign_of_life()
            await self.call("HEAD", url, headers={}, within=self._options.response_timeout)
        except (NotSent, NoAnswer) as error:
            raise LinkDown(f"no connection to {self._options.base_url}: {error}") from None
        if self._asks_account:
            await self._look_at_account()

    async def _look_at_account(self) -> None:
        """Learn the ids of our numbers, and tell what is wrong with them.

        Raises `LinkDown` where a sender lacks its id, since nothing could leave.
        """
        try:
            numbers = await self._numbers()
        except (NotSent, NoAnswer, ValueError) as error:
            if self._nameless - self._requests.ids.keys():
                raise LinkDown(f"the business account tells nothing of its numbers: {error}", wait=ASK_AGAIN) from None
            self._log.warning("whatsapp.no_inventory", why=str(error))
            return
        self._asks_account = False
        self._requests.ids = {one.address: one.id for one in numbers}
        self._senders |= {one.id: one.address for one in numbers if one.address in self._nameless}
        known = {one.address for one in numbers}
        faults = [f"{one.id}: {one.fault}" for one in numbers if one.fault and one.address in self._addresses]
        if faults or not self._nameless <= known:
            missing = len(self._nameless - known)
            self._log.warning("whatsapp.numbers_cannot_send", numbers=faults, unknown_to_the_account=missing)

    async def objection(self) -> str:
        """Whether the token is good and every declared number sends. Never raises."""
        try:
            numbers = [await self._number(number_id) for number_id in self._senders]
            if self._options.business_account_id is not None:
                numbers += await self._numbers()
        except (NotSent, NoAnswer, ValueError) as error:
            return str(error)
        missing = sorted(self._nameless - {one.address for one in numbers})
        ours = {one.id: one for one in numbers if one.id in self._senders or one.address in self._nameless}
        faults = [f"{one.address} sends nothing: {one.fault}" for one in ours.values() if one.fault]
        return ", ".join([*faults, *(f"the business account has no number {address}" for address in missing)])

    @staticmethod
    def finds(settings: ConnectionSettings) -> bool:
        """Whether the numbers of a business account are to be its senders."""
        options = settings.options
        return options.get("business_account_id") is not None and bool(options.get("all_numbers", True))

    async def inventory(self) -> Sequence[SenderSettings] | None:
        """A sender for each number of the business account that can send; None: nobody could say. Never raises."""
        try:
            numbers = await self._numbers()
        except (NotSent, NoAnswer, ValueError) as error:
            self._log.warning("whatsapp.no_inventory", why=str(error))
            return None
        self._requests.ids = {one.address: one.id for one in numbers}
        return [sender_of(one) for one in numbers if not one.fault]

    async def _number(self, number_id: str) -> Number:
        """One number. Raises as `_numbers` does."""
        within = self._options.response_timeout
        reply = await self.call("GET", self._requests.number(number_id), headers=self._headers, within=within)
        if reply.status != 200:
            raise ValueError(_refusal(reply))
        return read_number(reply.body)

    async def _numbers(self) -> list[Number]:
        """Every phone number of the business account.

        Raises `NotSent` or `NoAnswer`, or `ValueError` where the platform refuses or answers something else.
        """
        numbers: list[Number] = []
        after: str | None = None
        for _ in range(MOST_PAGES):
            within = self._options.response_timeout
            reply = await self.call("GET", self._requests.numbers(after), headers=self._headers, within=within)
            if reply.status != 200:
                raise ValueError(_refusal(reply))
            page, after = read_page(reply.body)
            numbers += page
            if after is None:
                break
        return numbers

    # ---------------------------------------------------------------- sending

    @staticmethod
    def carrier_id(public_id: str) -> str:
        """What webhooks call an attempt: its own id, which we send along (`biz_opaque_callback_data`).

        So a message whose answer is lost is known again, on any node and after a restart. The platform's own id would
        be known only from the answer.
        """
        return public_id

    @staticmethod
    def repairs(settings: ConnectionSettings, sender: SenderSettings) -> frozenset[Repair]:
        """A template for texts outside the 24 hours, where the connection or the number names one."""
        has_one = "window_template" in settings.options or "window_template" in sender.options
        return frozenset({Repair.TEMPLATE} if has_one else ())

    @staticmethod
    def needs_window(content: Content) -> bool:
        """Whatever is no template."""
        return needs_window(content)

    async def send(self, submission: Submission) -> Outcome:
        """Post the message, once: the platform knows no repeats, so one without an answer stays in doubt."""
        if not self._options.upload_media and (refused := await self._media.refusal(submission)):
            return refused
        try:
            uploads = await self._uploads_of(submission) if self._options.upload_media else ()
            post = self._requests.message(submission, uploads)
        except UnfitSubmission as unfit:
            return unfit.outcome
        except NotUploaded as error:
            return error.outcome
        try:
            reply = await self._post(post.url, post.body)
        except NotSent as error:
            return Unavailable(str(error))
        except NoAnswer as error:
            return Uncertain(str(error))
        return judge(reply, self.carrier_id(submission.public_id), self._wall)

    async def _uploads_of(self, submission: Submission) -> tuple[Upload, ...]:
        """The platform's ids of the files of a message. Raises `UnfitSubmission` or `NotUploaded`."""
        links = self._requests.links(submission)
        if not links:
            return ()
        number_id = self._requests.number_id(submission)
        return tuple([await self._uploads.of(number_id, link) for link in links])

    async def _upload(self, number_id: str, headers: Mapping[str, str], body: bytes) -> Reply:
        within = self._options.response_timeout
        given = {**self._headers, **headers}
        return await self.call("POST", self._requests.media(number_id), headers=given, body=body, within=within)

    async def _post(self, url: str, body: bytes) -> Reply:
        within = self._options.response_timeout
        return await self.call("POST", url, headers=self._headers, body=body, within=within)

    # ---------------------------------------------------------------- what is said to us

    def routes(self) -> Sequence[CallbackRoute]:
        """The webhook: asked by GET whether it is ours, told by POST."""
        return (
            CallbackRoute("GET", EVENTS_PATH, self._verify),
            CallbackRoute("POST", EVENTS_PATH, self._handle),
        )

    async def _verify(self, request: CallbackRequest) -> CallbackAnswer:
        challenge = webhooks.challenge_of(request.url, self._options.verify_token)
        if challenge is None:
            self.count_forged("whatsapp.forged_event", connection=self._name)
            return CallbackAnswer(403)
        return CallbackAnswer(200, challenge.encode())

    async def _handle(self, request: CallbackRequest) -> CallbackAnswer:
        return await self.receive(request.headers, request.body)

    async def receive(self, headers: Mapping[str, str], body: bytes) -> CallbackAnswer:
        """Take in what was posted to the webhook; names of *headers* are in lower case. Never raises.

        Answers 200 once it is stored, 401 where the signature is wrong, 503 where it could not be stored: the platform
        says it again, for 7 days. What it says in new words is acknowledged: it would only be said again.
        """
        try:
            said = webhooks.read(headers, body, self._options.app_secret, self._senders)
        except webhooks.Forged:
            self.count_forged("whatsapp.forged_event", connection=self._name)
            return CallbackAnswer(401)
        except webhooks.Unreadable as error:
            self.ignored += 1
            self._log.warning("whatsapp.unreadable_event", why=str(error))
            return CallbackAnswer(200)
        self.ignored += said.ignored
        try:
            await self._take(said)
        except Exception as error:  # noqa: BLE001  # whatever the store raises, it means "not stored"
            self._log.warning("whatsapp.event_not_stored", error=type(error).__name__)
            return CallbackAnswer(503)
        return CallbackAnswer(200)

    async def _take(self, said: webhooks.Said) -> None:
        if self._inbox is None or self._closing:
            raise ConnectionError("not open")
        if said.fields:
            self._log.info("whatsapp.account_event", fields=sorted(set(said.fields)))
            if self._options.business_account_id is not None and not NEWS_OF_NUMBERS.isdisjoint(said.fields):
                self._asks_account = True
                self.suspect()
        if said.heard:
            await self._inbox.heard([Heard(Channel.WHATSAPP, ours, unplaced) for ours, unplaced in said.heard.items()])
        if said.receipts:
            await self._inbox.receipts(said.receipts)
        if said.inbound:
            await self._inbox.inbound(said.inbound)
