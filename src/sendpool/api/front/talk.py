"""The server's end of what joins it and a front: it takes what the front asks for, and says what became of it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, cast

from sendpool.api.exchange import TooOften
from sendpool.api.front.faults import fault_of
from sendpool.api.front.frames import Ask, Credentials, Fate, Frames, FrontSays, ServerSays, Settings, frame
from sendpool.api.rates import RequestRates
from sendpool.domain.request import Accepted, SendRequest
from sendpool.pipeline.waiter import TellEach
from sendpool.store.idempotency import Key


class Wiring(NamedTuple):
    """What fronts need of the server."""

    settings: Settings
    accept: Callable[[SendRequest, Key | None], Awaitable[Accepted]]
    #: Whether a request may go the way without a task that waits, and that way for several.
    is_immediate: Callable[[SendRequest], bool]
    accept_each: Callable[[Sequence[SendRequest], TellEach], None]
    rates: RequestRates
    #: Told of answers: method, route and status, and how many seconds each took.
    observe: Callable[..., None]
    #: Takes a connection over, with what has come on it.
    adopt: Callable[[socket.socket, bytes], None]


class Talk(asyncio.Protocol):
    """The server's end of what joins the two. Whatever is said in one turn of the loop goes in one frame."""

    def __init__(self, wiring: Wiring, listens: asyncio.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._wiring = wiring
        self._listens = listens
        self._frames = Frames(FrontSays)
        self._fates: list[Fate] = []
        self._speaks_soon = False
        self._transport: asyncio.Transport | None = None
        #: What it said last.
        self._said = FrontSays()
        self._news = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.gone = asyncio.Event()

    def tell(
        self,
        *,
        settings: Settings | None = None,
        credentials: Credentials | None = None,
        close: bool = False,
        beat: int = 0,
    ) -> None:
        """Say something at once."""
        self._write(ServerSays((), credentials, settings, close, beat))

    async def knows(self, number: int) -> None:
        """Return once the front goes by the credentials of that number, or is gone."""
        await self._until(lambda: self._said.knows >= number)

    async def beats(self, number: int) -> None:
        """Return once the front has said that number, or is gone."""
        await self._until(lambda: self._said.beat >= number)

    async def _until(self, said: Callable[[], bool]) -> None:
        while not said() and not self.gone.is_set():
            self._news.clear()
            await self._news.wait()

    def close(self) -> None:
        """Say no more."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The front is there."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """It says something."""
        for said in self._frames.read(data):
            if said.asks:
                self._take(said.asks)
            for method, route, status, seconds in said.answered:
                self._wiring.observe(method, route, status, *seconds)
            if said.listens and not self._listens.is_set():
                self._listens.set()
            if (said.knows, said.beat) != (self._said.knows, self._said.beat):
                self._news.set()
            self._said = said

    def connection_lost(self, error: Exception | None) -> None:
        """It has gone."""
        self.gone.set()
        self._news.set()

    def _take(self, asks: Sequence[Ask]) -> None:
        """Make requests durable. What a front that has gone has asked for is done all the same."""
        wait, is_immediate = self._wiring.rates.wait, self._wiring.is_immediate
        at_once = []
        for ask in asks:
            if seconds := wait(ask.request.account_id):
                self._tell_fates([ask], TooOften(seconds))
            elif ask.key is None and is_immediate(ask.request):
                at_once.append(ask)
            else:
                task = self._loop.create_task(self._carry_out(ask))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        if at_once:
            self._wiring.accept_each(
                [ask.request for ask in at_once],
                lambda first, end, fates: self._tell_fates(at_once[first:end], fates),
            )

    async def _carry_out(self, ask: Ask) -> None:
        try:
            fates: Sequence[Accepted] | Exception = [await self._wiring.accept(ask.request, ask.key)]
        except Exception as error:  # noqa: BLE001 - the front raises it again
            fates = error
        self._tell_fates([ask], fates)

    def _tell_fates(self, asks: Sequence[Ask], fates: Sequence[Accepted] | Exception) -> None:
        if isinstance(fates, Exception):
            self._fates += [Fate(ask.number, fault=fault_of(fates)) for ask in asks]
        else:
            told = zip(asks, fates, strict=True)
            self._fates += [Fate(ask.number, one.uid, one.operation_id, one.complete) for ask, one in told]
        if not self._speaks_soon:
            self._speaks_soon = True
            self._loop.call_soon(self._speak)

    def _speak(self) -> None:
        self._speaks_soon = False
        fates, self._fates = self._fates, []
        self._write(ServerSays(fates))

    def _write(self, said: ServerSays) -> None:
        if self._transport is not None and not self.gone.is_set():
            self._transport.write(frame(said))
