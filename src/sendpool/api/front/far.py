"""The server as a front sees it: it makes requests durable, says who may call, and says when to end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from typing import cast

from sendpool.api.front.faults import error_of
from sendpool.api.front.frames import Ask, Credentials, Fate, Frames, FrontSays, ServerSays, Settings, frame
from sendpool.domain.request import Accepted, SendRequest
from sendpool.pipeline.waiter import Tell, say
from sendpool.store.idempotency import Key

#: Seconds after which an answer is counted at the latest.
_COUNTED = 0.1


class FarServer(asyncio.Protocol):
    """The front's end of what joins the two. Whatever is said in one turn of the loop goes in one frame."""

    def __init__(self, know: Callable[[Credentials], None]) -> None:
        """*know* is told who may call from now on."""
        self._loop = asyncio.get_running_loop()
        self._know = know
        self._frames = Frames(ServerSays)
        self._waiting: dict[int, Tell] = {}
        self._number = 0
        self._knows, self._listens, self._beat = 0, False, 0
        self._asks: list[Ask] = []
        self._answered: dict[tuple[str, str, int], list[float]] = {}
        #: When what was answered is said, if nothing else is said before.
        self._counts_soon: asyncio.TimerHandle | None = None
        self._speaks_soon = False
        self.settings: asyncio.Future[Settings] = self._loop.create_future()
        #: Set when the server wants no new connections.
        self.closing = asyncio.Event()
        #: Set when it is not there any more.
        self.gone = asyncio.Event()

    async def accept(self, request: SendRequest, key: Key | None) -> Accepted:
        """Have a request made durable. Raises what the server raises."""
        done: asyncio.Future[Accepted] = self._loop.create_future()
        self._ask(request, key, partial(_resolve, done))
        return await done

    def ask(self, request: SendRequest, tell: Tell) -> bool:
        """Have a request made durable; *tell* is told what has become of it."""
        self._ask(request, None, tell)
        return True

    def _ask(self, request: SendRequest, key: Key | None, tell: Tell) -> None:
        self._number += 1
        self._waiting[self._number] = tell
        self._asks.append(Ask(self._number, request, key))
        self._speak_soon()

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Say that a request was answered: with what is said next, or in a moment."""
        alike = self._answered.setdefault((method, route, status), [])
        alike.append(seconds)
        if self._counts_soon is None:
            self._counts_soon = self._loop.call_later(_COUNTED, self._speak_soon)

    def listens(self) -> None:
        """Say that connections are taken now."""
        self._listens = True
        self._speak_soon()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The server is there."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """It says something."""
        for said in self._frames.read(data):
            if said.credentials is not None:
                self._know(said.credentials)
                self._knows = said.credentials.number
                self._speak_soon()
            if said.settings is not None:
                self.settings.set_result(said.settings)
            if said.close:
                self.closing.set()
            if said.beat:
                self._beat = said.beat
                self._speak_soon()
            for fate in said.fates:
                self._settle(fate)

    def connection_lost(self, error: Exception | None) -> None:
        """It has gone."""
        self.gone.set()
        self.closing.set()

    def _settle(self, fate: Fate) -> None:
        tell = self._waiting.pop(fate.number)
        accepted = Accepted(fate.uid, fate.operation_id, None, fate.complete)
        say(tell, accepted if fate.fault is None else error_of(fate.fault))

    def _speak_soon(self) -> None:
        if not self._speaks_soon:
            self._speaks_soon = True
            self._loop.call_soon(self._speak)

    def _speak(self) -> None:
        self._speaks_soon = False
        answered = [(*alike, seconds) for alike, seconds in self._answered.items()]
        said = FrontSays(self._asks, answered, self._knows, self._listens, self._beat)
        self._asks, self._answered = [], {}
        if self._counts_soon is not None:
            self._counts_soon.cancel()
            self._counts_soon = None
        with contextlib.suppress(RuntimeError):  # Who has gone is told nothing.
            self._transport.write(frame(said))


def _resolve(done: asyncio.Future[Accepted], fate: Accepted | Exception) -> None:
    if done.done():
        return  # Whoever waited was cancelled.
    if isinstance(fate, Exception):
        done.set_exception(fate)
    else:
        done.set_result(fate)
