"""The HTTP connector: any API that takes one message a request, described by the configuration alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from random import random
from time import time
from urllib.parse import urlsplit

import structlog

from sendpool.connectors.base import (
    CallbackAnswer,
    CallbackRequest,
    CallbackRoute,
    Caution,
    ConnectionSettings,
    Inbox,
    Outcome,
    Submission,
    Unavailable,
    Uncertain,
)
from sendpool.connectors.http import callbacks
from sendpool.connectors.http.checks import cautions_of, read_settings
from sendpool.connectors.http.replies import Replies
from sendpool.connectors.http.requests import EVENTS_PATH, Post, Requests, UnfitSubmission
from sendpool.connectors.http.settings import DEFAULT_WINDOW
from sendpool.connectors.web import LinkDown, NoAnswer, NotSent, Watch, WebConnector, callback_url

log = structlog.get_logger(__name__)

#: Seconds before each repeat to a carrier that drops repeats.
REPEATS = (0.5, 2.0)


class HttpConnector(WebConnector):
    """A connection of type "http". Made from its settings, it does nothing until `open`.

    `forged` counts callbacks that were not the carrier's, `ignored` what said nothing for us.
    """

    def __init__(
        self,
        settings: ConnectionSettings,
        *,
        random: Callable[[], float] = random,
        wall: Callable[[], float] = time,
    ) -> None:
        """Read the settings; *random* gives the jitter of looks while the host is away, *wall* the time since 1970.

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
        self._requests = Requests(options, settings.name)
        self._replies = Replies(options.response, wall)
        senders = [sender.address for sender in settings.senders]
        self._callbacks = callbacks.Callbacks(options.callback, senders) if options.callback else None

    @classmethod
    def check(cls, settings: ConnectionSettings) -> None:
        """Raise `ValueError` naming the key if the options are no good; connect to nothing."""
        read_settings(settings)

    @staticmethod
    def cautions(settings: ConnectionSettings) -> Sequence[Caution]:
        """What is unwise about the callbacks."""
        callback = read_settings(settings).callback
        return cautions_of(callback) if callback is not None else ()

    async def open(self, inbox: Inbox) -> None:
        """Start looking for the host and return at once."""
        for caution in cautions_of(self._options.callback) if self._options.callback is not None else ():
            self._log.warning("http.unwise_callback", why=caution.says, remedy=caution.remedy)
        if self._callbacks is None:
            self._log.warning("http.no_callback", remedy="add [connections.callback]: without it there are no receipts")
        await super().open(inbox)

    async def probe(self) -> None:
        """See whether the host answers, whatever it says. Raises `LinkDown`."""
        url = self._requests.sign_of_life
        try:
            await self.call("HEAD", url, headers={}, within=self._options.response_timeout)
        except (NotSent, NoAnswer) as error:
            raise LinkDown(f"no connection to {url}: {error}") from None

    # ---------------------------------------------------------------- sending

    @staticmethod
    def carrier_id(public_id: str) -> str:
        """What we call an attempt: its own id, which templates may send along.

        Where callbacks bring it back, a message whose answer is lost is known again, also after a restart.
        """
        return public_id

    async def send(self, submission: Submission) -> Outcome:
        """Post the message: once, or again where the carrier drops repeats and no answer came."""
        try:
            post = self._requests.message(submission, self._wall())
        except UnfitSubmission as unfit:
            return unfit.outcome
        outcome = await self._try(post, submission)
        doubt = isinstance(outcome, Uncertain)
        for wait in REPEATS if self._options.request.idempotent else ():
            if not doubt or self._closing:
                break
            await asyncio.sleep(wait)
            again = await self._try(self._requests.message(submission, self._wall()), submission)
            # What was never sent again says nothing of the first try.
            outcome = outcome if isinstance(again, Unavailable) else again
            doubt = isinstance(outcome, Uncertain)
        return outcome

    async def _try(self, post: Post, submission: Submission) -> Outcome:
        within = self._options.response_timeout
        try:
            reply = await self.call(post.method, post.url, headers=post.headers, body=post.body, within=within)
        except NotSent as error:
            return Unavailable(str(error))
        except NoAnswer as error:
            return Uncertain(str(error))
        return self._replies.judge(reply, self.carrier_id(submission.public_id))

    # ---------------------------------------------------------------- what is said to us

    def routes(self) -> Sequence[CallbackRoute]:
        """Where the carrier reports, if the configuration says how to check it."""
        callback = self._options.callback
        return (CallbackRoute(callback.method, EVENTS_PATH, self._take),) if callback else ()

    async def _take(self, request: CallbackRequest) -> CallbackAnswer:
        callback = self._options.callback
        assert self._callbacks is not None
        assert callback is not None
        try:
            said = self._callbacks.read(request, self._called(request.url), self._wall())
        except callbacks.Forged:
            self.count_forged("http.forged_callback", connection=self._name)
            return CallbackAnswer(403)
        except callbacks.Unreadable as error:
            self.ignored += 1
            self._log.warning("http.unreadable_callback", why=str(error))
            return CallbackAnswer(callback.answer)
        self.ignored += said.ignored
        good = CallbackAnswer(callback.answer, callback.answer_body.encode())
        return await self.answer_when_stored(said.receipts, said.inbound, good)

    def _called(self, url: str) -> str:
        """The address that the carrier called: by the configuration, not by what a request says of the host."""
        if self._options.public_url is None:
            return url
        query = urlsplit(url).query
        return callback_url(self._options.public_url, self._name, EVENTS_PATH) + (f"?{query}" if query else "")
