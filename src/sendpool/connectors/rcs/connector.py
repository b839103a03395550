"""The RCS connector: posts agent messages, hears of them by webhook, looks up who is reachable, takes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from random import random
from time import time

import structlog

from sendpool.connectors.base import (
    CallbackAnswer,
    CallbackRequest,
    CallbackRoute,
    CarrierId,
    ConnectionSettings,
    Inbox,
    Outcome,
    Submission,
    Unavailable,
    Uncertain,
)
from sendpool.connectors.media import MediaCheck
from sendpool.connectors.rcs import events
from sendpool.connectors.rcs.access import Access, AccountTokens, FixedToken, NoToken
from sendpool.connectors.rcs.capability import Capability, LookUps
from sendpool.connectors.rcs.doubts import Doubts
from sendpool.connectors.rcs.replies import judge
from sendpool.connectors.rcs.requests import AgentMessage, Requests, UnfitSubmission, message_id
from sendpool.connectors.rcs.settings import DEFAULT_WINDOW, RcsSettings, read_settings
from sendpool.connectors.web import LinkDown, NoAnswer, NotSent, Reply, Watch, WebConnector

log = structlog.get_logger(__name__)

#: Octets of files that the platform takes, by type (RCS for Business, media in messages).
MEDIA_LIMITS = {
    "image/jpeg": 100_000_000,
    "image/png": 100_000_000,
    "image/gif": 100_000_000,
    "video/": 100_000_000,
    "application/pdf": 100_000_000,
}
#: Seconds before each repeat of a message whose fate is unknown; the platform drops what it has already.
REPEATS = (0.5, 1.0, 2.0)
#: What follows /callbacks/<connection name> in the webhook's address.
EVENTS_PATH = "/events"
_JSON = "application/json"


class RcsConnector(WebConnector):
    """A connection of type "rcs". Made from its settings, it does nothing until `open`.

    `forged` counts callbacks whose signature was missing or wrong, `ignored` those that said nothing for us.
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
        self._agents = tuple(sender.address for sender in settings.senders)
        self._requests = Requests(options)
        self._access = self._access_of(options)
        self._look_ups = LookUps(
            self._requests,
            self._ask,
            one_within=options.lookup_timeout,
            many_within=options.bulk_lookup_timeout,
        )
        self._doubts = Doubts()

    @classmethod
    def check(cls, settings: ConnectionSettings) -> None:
        """Raise `ValueError` naming the key if the options are no good; connect to nothing."""
        read_settings(settings)

    async def open(self, inbox: Inbox) -> None:
        """Start looking for the platform and return at once."""
        if not self._options.client_token:
            self._log.warning("rcs.no_client_token", remedy="set client_token: without it every event is refused")
        await super().open(inbox)

    async def close(self) -> None:
        """Wait for answers to what is in flight (bounded by the response timer), then disconnect."""
        await super().close()
        await self._media.close()

    async def probe(self) -> None:
        """Get a token where one is missing, and see whether the host answers, whatever it says. Raises `LinkDown`."""
        within = self._options.response_timeout
        try:
            await self._access.token()
            await self.call("HEAD", self._requests.sign_of_life(), headers={}, within=within)
        except NoToken as error:
            raise LinkDown(str(error), wait=self._options.refused_wait if error.refused else 0.0) from None
        except (NotSent, NoAnswer) as error:
            raise LinkDown(f"no connection to {self._options.root}: {error}") from None

    # ---------------------------------------------------------------- sending

    async def send(self, submission: Submission) -> Outcome:
        """Post the message; while its fate is unknown post it again with the same id, up to three times."""
        if refused := await self._media.refusal(submission):
            return refused
        try:
            message = self._requests.message(submission)
        except UnfitSubmission as unfit:
            return unfit.outcome
        self._doubts.started(message.message_id)
        proven = False
        try:
            outcome = await self._post_until_known(message)
        finally:
            proven = self._doubts.ended(message.message_id)
        if not isinstance(outcome, CarrierId) and proven:
            return CarrierId(message.message_id)
        if isinstance(outcome, Uncertain):
            self._doubts.uncertain(message.message_id, submission.attempt)
        return outcome

    async def _post_until_known(self, message: AgentMessage) -> Outcome:
        loop = asyncio.get_running_loop()
        started_at = loop.time()
        doubt: Uncertain | None = None
        repeats = iter(REPEATS)
        while True:
            elapsed = loop.time() - started_at
            outcome, again, firm = await self._post(message, elapsed)
            if isinstance(outcome, Uncertain):
                doubt = outcome
            elif firm or not (again or doubt):
                return outcome
            wait = next(repeats, None)
            if wait is None or not self._may_repeat(message, loop.time() + wait - started_at, doubtful=bool(doubt)):
                # What a later try met says nothing about the one that may have got in.
                return doubt or outcome
            await asyncio.sleep(wait)

    def _may_repeat(self, message: AgentMessage, elapsed: float, *, doubtful: bool) -> bool:
        """Whether to post a message again *elapsed* seconds after the first try; *doubtful*: it may have got in."""
        if self._closing or not (doubtful or self.is_up) or self._doubts.proven(message.message_id):
            return False
        return message.useful is None or elapsed < message.useful

    async def _post(self, message: AgentMessage, elapsed: float) -> tuple[Outcome, bool, bool]:
        """One try: its outcome, whether to try again, and whether it settles earlier tries too."""
        within = self._options.response_timeout
        if message.useful is not None:
            # No longer than the message is worth: the next channel waits for this answer.
            within = max(1.0, min(within, message.useful - elapsed))
        try:
            reply = await self._authorized("POST", message.url, message.body(elapsed), within)
        except (NoToken, NotSent) as error:
            return Unavailable(str(error)), True, False
        except NoAnswer as error:
            return Uncertain(str(error)), True, False
        return judge(reply, message.message_id, self._wall)

    async def _authorized(self, method: str, url: str, body: bytes, within: float) -> Reply:
        """Make a request with a token; once more with a new one if the first is refused.

        Raises `NoToken`, `NotSent` or `NoAnswer`.
        """
        token = await self._token()
        reply = await self._with_token(token, method, url, body, within)
        if reply.status == 401 and self._access.renews:
            self._access.refused(token)
            reply = await self._with_token(await self._token(), method, url, body, within)
        return reply

    async def _token(self) -> str:
        try:
            return await self._access.token()
        except NoToken:
            self.suspect()
            raise

    async def _with_token(self, token: str, method: str, url: str, body: bytes, within: float) -> Reply:
        headers = {"Authorization": f"Bearer {token}"}
        if body:
            headers["Content-Type"] = _JSON
        return await self.call(method, url, headers=headers, body=body, within=within)

    # ---------------------------------------------------------------- taking back, looking up

    @staticmethod
    def carrier_id(public_id: str) -> str:
        """The id under which the platform knows an attempt."""
        return message_id(public_id)

    async def revoke(self, carrier_id: str, recipient: str, sender: str) -> bool | None:
        """Take a message back. True: it will not arrive (a delivery may still cross). False: it has been delivered.

        None: nobody could say, also where a first try may have done it already. Never raises.
        """
        url = self._requests.revocation(carrier_id, recipient, sender)
        if url is None:
            return False
        doubt = False
        for wait in (*REPEATS, None):
            try:
                status = (await self._authorized("DELETE", url, b"", self._options.response_timeout)).status
            except (NoToken, NotSent):
                status = 0
            except NoAnswer:
                status, doubt = 0, True
            if 200 <= status < 300:
                return True
            if status == 404:
                return None if doubt else False
            if wait is None or self._closing or (0 < status < 499 and status != 429):
                break
            doubt = doubt or status >= 500
            await asyncio.sleep(wait)
        return None

    async def capabilities(self, addresses: Sequence[str], sender: str | None = None) -> Mapping[str, bool | None]:
        """Whether *sender* (None: the first) reaches each address; None: nobody could say. Never raises."""
        agent = sender or (self._agents[0] if self._agents else "")
        return await self._look_ups.many(addresses, agent)

    async def look_up(self, address: str, sender: str | None = None) -> Capability:
        """Whether *sender* (None: the first) reaches one address, and what the phone can do. Never raises."""
        return await self._look_ups.one(address, sender or (self._agents[0] if self._agents else ""))

    async def _ask(self, method: str, url: str, body: bytes, within: float) -> Reply | None:
        try:
            async with asyncio.timeout(within):
                return await self._authorized(method, url, body, within)
        except (NoToken, NotSent, NoAnswer, TimeoutError):
            return None

    def _access_of(self, options: RcsSettings) -> Access:
        if options.service_account_file is None:
            return FixedToken(options.token or "")
        return AccountTokens(options.service_account_file, self._post_form, self._wall)

    async def _post_form(self, url: str, form: bytes) -> Reply:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return await self.call("POST", url, headers=headers, body=form, within=self._options.response_timeout)

    # ---------------------------------------------------------------- what is said to us

    def routes(self) -> Sequence[CallbackRoute]:
        """The webhook."""
        return (CallbackRoute("POST", EVENTS_PATH, self._handle),)

    async def receive(self, headers: Mapping[str, str], body: bytes) -> CallbackAnswer:
        """Take in what was posted to the webhook; names of *headers* are in lower case. Never raises.

        Answers 200 once it is stored, 401 where the signature is wrong, 400 where it cannot be read or a handshake
        names another token, 503 where it could not be stored: the platform says it again, for 7 days.
        """
        try:
            said = events.read(headers, body, self._options.client_token)
        except events.Forged as forged:
            self.count_forged("rcs.forged_event", connection=self._name)
            return CallbackAnswer(400 if isinstance(forged, events.WrongHandshake) else 401)
        except events.Unreadable as error:
            self.ignored += 1
            self._log.warning("rcs.unreadable_event", why=str(error), signed=error.signed)
            # What the platform itself says in new words would only be said again.
            return CallbackAnswer(200 if error.signed else 400)
        if isinstance(said, events.Handshake):
            return CallbackAnswer(200, said.secret.encode())
        try:
            await self._take(said)
        except Exception as error:  # noqa: BLE001  # whatever the store raises, it means "not stored"
            self._log.warning("rcs.event_not_stored", error=type(error).__name__)
            return CallbackAnswer(503)
        return CallbackAnswer(200)

    async def _handle(self, request: CallbackRequest) -> CallbackAnswer:
        return await self.receive(request.headers, request.body)

    async def _take(self, said: events.Notice | events.Launch | events.UserMessage) -> None:
        if self._inbox is None or self._closing:
            raise ConnectionError("not open")
        if isinstance(said, events.UserMessage):
            await self._inbox.inbound([events.inbound_of(said, self._ours(said.agent_id))])
        elif isinstance(said, events.Launch):
            self._log.info("rcs.agent_launch", agent=said.agent_id, region=said.region_id, state=said.new_launch_state)
        else:
            await self._take_notice(self._inbox, said)

    async def _take_notice(self, inbox: Inbox, notice: events.Notice) -> None:
        receipt = events.receipt_of(notice)
        if receipt is None:
            self.ignored += 1
            return
        attempt = self._doubts.heard_of(receipt.carrier_id)
        if attempt is not None:
            # Proof that it got in: the id goes first, so that the receipt finds it.
            inbox.outcomes([(attempt, 1, CarrierId(receipt.carrier_id))])
        await inbox.receipts([receipt])

    def _ours(self, agent_id: str) -> str:
        """Our sender as it is declared; the platform may add a host ("name@rbm.goog")."""
        name = agent_id.partition("@")[0]
        if agent_id in self._agents or not name:
            return agent_id or (self._agents[0] if len(self._agents) == 1 else "")
        return next((agent for agent in self._agents if agent.partition("@")[0] == name), agent_id)
