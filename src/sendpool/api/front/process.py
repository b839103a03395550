"""The server's side of its fronts: start them, make durable what they ask for, take over what they hand over."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import NamedTuple, cast

import structlog

from sendpool.api.exchange import TooOften
from sendpool.api.front.faults import fault_of
from sendpool.api.front.frames import Ask, Credentials, Fate, Frames, FrontSays, ServerSays, Settings, frame
from sendpool.api.front.handing import Taker, pair
from sendpool.api.rates import RequestRates
from sendpool.domain.request import Accepted, SendRequest
from sendpool.store.accounts import Account
from sendpool.store.idempotency import Key
from sendpool.store.keys import ApiKey

log = structlog.get_logger()

#: Seconds before a front that has ended by itself is started again.
AGAIN = 0.5
#: Seconds in which a front has to listen, and to know who may call.
PATIENCE, PROMPT = 30.0, 2.0
#: Seconds between looks whether it is well, and in which it has to say so.
BEAT, ALIVE = 5.0, 10.0
#: Seconds for a front to end, besides those that requests have.
_LAST = 3.0


class Wiring(NamedTuple):
    """What fronts need of the server."""

    settings: Settings
    accept: Callable[[SendRequest, Key | None], Awaitable[Accepted]]
    rates: RequestRates
    #: Told of each answer: method, route, status and seconds.
    observe: Callable[[str, str, int, float], None]
    #: Takes a connection over, with what has come on it.
    adopt: Callable[[socket.socket, bytes], None]


class Fronts:
    """All fronts of one server: they know who may call, and listen to the same port."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._credentials = Credentials(0, (), ())
        self._listener: socket.socket | None = None
        self._fronts: list[Front] = []

    async def start(self, listener: socket.socket, wiring: Wiring) -> None:
        """Start them; they listen when this returns. Raises `TimeoutError`."""
        self._listener = listener
        self._fronts = [Front(listener, wiring, self._credentials) for _ in range(self.number)]
        for front in self._fronts:
            front.start()
        await asyncio.wait_for(asyncio.gather(*(front.listens.wait() for front in self._fronts)), PATIENCE)

    async def know(self, accounts: Sequence[Account], keys: Sequence[ApiKey]) -> None:
        """Let in who comes with these and nobody else; they do when this returns."""
        self._credentials = Credentials(self._credentials.number + 1, accounts, keys)
        await asyncio.gather(*(front.know(self._credentials) for front in self._fronts))

    async def stop(self, grace: float) -> None:
        """Take no new connection, answer what was asked within *grace* seconds, and end them."""
        if self._listener is not None:
            self._listener.close()
        await asyncio.gather(*(front.stop(grace) for front in self._fronts))


class Front:
    """One front: started again whenever it ends by itself."""

    def __init__(self, listener: socket.socket, wiring: Wiring, credentials: Credentials) -> None:
        self._listener = listener
        self._wiring = wiring
        self._credentials = credentials
        self._talk: _Talk | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        #: Set while it takes connections.
        self.listens = asyncio.Event()

    def start(self) -> None:
        """Begin to keep it running."""
        self._keeping = asyncio.get_running_loop().create_task(self._keep(), name="front")

    async def know(self, credentials: Credentials) -> None:
        """Return once it goes by these; one that does not say so in time is ended, and knows them when it is back."""
        self._credentials = credentials
        talk = self._talk
        if talk is None:
            return
        talk.tell(credentials=credentials)
        await self._within(PROMPT, talk.knows(credentials.number))

    async def _within(self, seconds: float, said: Awaitable[None]) -> None:
        """Wait until it has said something; end it where it does not."""
        try:
            await asyncio.wait_for(said, seconds)
        except TimeoutError:
            log.error("a front does not answer; it is ended", seconds=seconds)
            self._kill()

    async def _watch(self, talk: _Talk) -> None:
        """End it once it hangs: whoever connects to it would get no answer."""
        for number in count(1):
            await asyncio.sleep(BEAT)
            talk.tell(beat=number)
            await self._within(ALIVE, talk.beats(number))

    async def stop(self, grace: float) -> None:
        """End it."""
        if self._keeping is None:
            return
        self._stopping = True
        if self._talk is not None:
            self._talk.tell(close=True)
        if self._process is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), grace + _LAST)
        self._keeping.cancel()
        await asyncio.wait([self._keeping])

    async def _keep(self) -> None:
        await self._run()
        while not self._stopping:
            log.warning("a front ended; it is started again", seconds=AGAIN)
            await asyncio.sleep(AGAIN)
            await self._run()

    async def _run(self) -> None:
        ours, theirs = socket.socketpair()
        taking, giving = pair()
        passed = (self._listener.fileno(), theirs.fileno(), giving.fileno())
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "sendpool.fronting",
                *map(str, passed),
                pass_fds=passed,
                stdin=asyncio.subprocess.DEVNULL,
                # A Ctrl-C in the terminal is for the server, which ends this process in its turn.
                start_new_session=True,
            )
        finally:
            theirs.close()
            giving.close()
        taker = Taker(taking, self._wiring.adopt)
        talk = _Talk(self._wiring, self.listens)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: talk, ours)
            talk.tell(settings=self._wiring.settings, credentials=self._credentials)
            self._talk = talk
            watching = asyncio.create_task(self._watch(talk))
            try:
                await talk.gone.wait()
            finally:
                watching.cancel()
        finally:
            self._talk = None
            self.listens.clear()
            taker.close()
            talk.close()
            await self._end()

    async def _end(self) -> None:
        """Wait for the process; one that hangs is killed."""
        if self._process is None:
            return
        try:
            await asyncio.wait_for(self._process.wait(), _LAST)
        except (TimeoutError, asyncio.CancelledError):
            self._kill()
            await self._process.wait()

    def _kill(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()


class _Talk(asyncio.Protocol):
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
            for ask in said.asks:
                task = self._loop.create_task(self._carry_out(ask))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            for answered in said.answered:
                self._wiring.observe(*answered)
            if said.listens and not self._listens.is_set():
                self._listens.set()
            if (said.knows, said.beat) != (self._said.knows, self._said.beat):
                self._news.set()
            self._said = said

    def connection_lost(self, error: Exception | None) -> None:
        """It has gone."""
        self.gone.set()
        self._news.set()

    async def _carry_out(self, ask: Ask) -> None:
        """Make a request durable. What a front that has gone has asked for is done all the same."""
        try:
            if wait := self._wiring.rates.wait(ask.request.account_id):
                raise TooOften(wait)
            done = await self._wiring.accept(ask.request, ask.key)
            fate = Fate(ask.number, done.uid, done.operation_id, done.complete)
        except Exception as error:  # noqa: BLE001 - the front raises it again
            fate = Fate(ask.number, fault=fault_of(error))
        self._fates.append(fate)
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
