"""The SMTP connector: hands emails to a relay, hears of them by bounces, and lets people unsubscribe."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Sequence
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
    Rejected,
    Submission,
    Unavailable,
    Uncertain,
)
from sendpool.connectors.smtp import unsubscribe
from sendpool.connectors.smtp.bounces import BounceReader, Heard
from sendpool.connectors.smtp.dial import Dialer
from sendpool.connectors.smtp.letters import Letter, Letters, UnfitSubmission
from sendpool.connectors.smtp.listener import Listener
from sendpool.connectors.smtp.pool import Pool
from sendpool.connectors.smtp.replies import refusal
from sendpool.connectors.smtp.session import Lost, Session, Taken
from sendpool.connectors.smtp.settings import DEFAULT_WINDOW, SmtpSettings, read_settings
from sendpool.connectors.smtp.tokens import Tokens, message_uid
from sendpool.connectors.web import LinkDown, Watch, WatchedConnector
from sendpool.domain.failures import classify

log = structlog.get_logger(__name__)

#: What follows /callbacks/<connection name> where a relay posts bounces.
BOUNCES_PATH = "/bounces"


class SmtpConnector(WatchedConnector):
    """A connection of type "smtp". Made from its settings, it does nothing until `open`.

    Its window is how many connections to the relay it has at most; each carries one message at a time.
    """

    def __init__(
        self,
        settings: ConnectionSettings,
        *,
        random: Callable[[], float] = random,
        wall: Callable[[], float] = time,
    ) -> None:
        """Read the settings; *random* gives the jitter of looks while the relay is away, *wall* the time since 1970.

        Raises `ValueError` as `check` does.
        """
        options = self._options = read_settings(settings)
        watch = Watch(options.connect_timeout, options.idle, options.reconnect_min, options.reconnect_max)
        window = settings.window or DEFAULT_WINDOW
        super().__init__(window=window, watch=watch, patience=options.close_timeout, random=random)
        self._name = settings.name
        self._log = log.bind(connection=settings.name)
        self._tokens = Tokens(options.secret) if options.secret else None
        self._letters = Letters(settings, options, self._tokens, wall)
        self._pool = Pool(Dialer(options).open, keep=options.keep, messages=options.messages_per_connection)
        self._reader = self._reader_of(options)
        self._listener: Listener | None = None

    @classmethod
    def check(cls, settings: ConnectionSettings) -> None:
        """Raise `ValueError` naming the key if the options are no good; connect to nothing."""
        read_settings(settings)

    @staticmethod
    def carrier_id(public_id: str) -> str:
        """The id under which bounces name an attempt: its message's, for all tries have one bounce address.

        Receivers that make strangers wait (RFC 6647) know them again by it.
        """
        return message_uid(public_id)

    async def open(self, inbox: Inbox) -> None:
        """Start looking for the relay and listening for bounces, and return at once."""
        await super().open(inbox)
        if self._reader is not None and self._options.bounce_port is not None:
            self._listener = Listener(self._options, self._reader, self._take, self._name)
            self._listener.start()

    async def close(self) -> None:
        """Wait for answers to what is in flight (for `close_timeout` seconds), then disconnect and listen no more."""
        if self._closing:
            return
        await super().close()
        await self._pool.close()
        if self._listener is not None:
            await self._listener.stop()

    async def probe(self) -> None:
        """See whether the relay answers, and takes our credentials. Raises `LinkDown`."""
        await self._pool.check()

    # ---------------------------------------------------------------- sending

    async def send(self, submission: Submission) -> Outcome:
        """Hand one email over. What may have arrived is never sent twice here."""
        session: Session | None = None
        try:
            session = await self._pool.take()
            try:
                return await self._send(session, submission)
            except Lost as lost:
                if lost.begun or session.carried < 2:
                    raise
                # It was dead before we wrote: relays close what rests, without a word.
                session = await self._pool.take(fresh=True)
                return await self._send(session, submission)
        except UnfitSubmission as unfit:
            return unfit.outcome
        except LinkDown as down:
            self.suspect()
            return Unavailable(str(down))
        except Lost as lost:
            self.suspect()
            return _of_lost(lost)
        except asyncio.CancelledError:
            if session is not None and session.complete:
                raise
            if session is not None:
                session.usable = False
            return Unavailable("closed before the message was complete")
        finally:
            if session is not None:
                await self._pool.give(session)

    async def _send(self, session: Session, submission: Submission) -> Outcome:
        letter = await self._written(submission, session)
        answer = await session.send(letter.envelope, letter.message)
        self.heard()
        if isinstance(answer, Taken):
            return CarrierId(letter.uid)
        if answer.reply.code == 421:
            self.suspect()
        return refusal(answer.reply, answer.stage)

    async def _written(self, submission: Submission, session: Session) -> Letter:
        """The email as this relay takes it; large ones and signatures take a while, and are made beside the loop."""
        if self._letters.is_slow(submission):
            return await asyncio.to_thread(self._letters.write, submission, session.offers)
        return self._letters.write(submission, session.offers)

    # ---------------------------------------------------------------- what is said to us

    def routes(self) -> Sequence[CallbackRoute]:
        """Where a relay posts bounces, and where people unsubscribe."""
        found = []
        if self._reader is not None and self._options.bounce_token is not None:
            found.append(CallbackRoute("POST", BOUNCES_PATH, self._bounced))
        if self._tokens is not None:
            found.append(CallbackRoute("GET", unsubscribe.PATH, self._asked))
            found.append(CallbackRoute("POST", unsubscribe.PATH, self._unsubscribed))
        return found

    async def _bounced(self, request: CallbackRequest) -> CallbackAnswer:
        """A relay posts a message that came to a bounce address: 200 once stored, 503 where it was not."""
        assert self._reader is not None
        given = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, f"Bearer {self._options.bounce_token}".encode()):
            return CallbackAnswer(401)
        try:
            await self._take(self._reader.read(request.body))
        except Exception as error:  # noqa: BLE001 - whatever the store raises, it means "not stored"
            self._log.warning("smtp.bounce_not_stored", error=type(error).__name__)
            return CallbackAnswer(503)
        return CallbackAnswer(200)

    async def _asked(self, request: CallbackRequest) -> CallbackAnswer:
        assert self._tokens is not None
        return unsubscribe.shown(request, self._tokens)

    async def _unsubscribed(self, request: CallbackRequest) -> CallbackAnswer:
        assert self._tokens is not None
        if not unsubscribe.posted(request):
            return unsubscribe.refused()
        who = unsubscribe.said_by(request, self._tokens)
        if who is None:
            return unsubscribe.unknown()
        try:
            await self._take(Heard(opted_out=[who]))
        except Exception as error:  # noqa: BLE001 - whatever the store raises, it means "not stored"
            self._log.warning("smtp.unsubscription_not_stored", error=type(error).__name__)
            return unsubscribe.not_stored()
        return unsubscribe.done()

    async def _take(self, heard: Heard) -> None:
        """Have what was said stored. Raises where it could not be."""
        if self._inbox is None:
            raise ConnectionError("not open")
        if heard.receipts:
            await self._inbox.receipts(heard.receipts)
        if heard.opted_out:
            await self._inbox.opted_out(heard.opted_out)

    def _reader_of(self, options: SmtpSettings) -> BounceReader | None:
        if self._tokens is None or options.bounce_domain is None:
            return None
        return BounceReader(self._tokens, options.bounce_domain)


def _of_lost(lost: Lost) -> Outcome:
    if lost.complete:
        return Uncertain(str(lost))
    found = classify("smtp", "lost")
    return Rejected(found.failure, "lost", found.scope, found.rule)
