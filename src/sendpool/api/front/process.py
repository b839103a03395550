"""The server's side of its fronts: start them, make durable what they ask for, take over what they hand over."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Awaitable, Sequence
from itertools import count

import structlog

from sendpool.api.front.frames import Credentials
from sendpool.api.front.handing import Taker, pair
from sendpool.api.front.talk import Talk, Wiring
from sendpool.store.accounts import Account
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


class NoFront(OSError):
    """A front does not start. It says what to do."""


class Fronts:
    """All fronts of one server: they know who may call, and listen to the same port."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._credentials = Credentials(0, (), ())
        self._listener: socket.socket | None = None
        self._fronts: list[Front] = []

    async def start(self, listener: socket.socket, wiring: Wiring) -> None:
        """Start them; they listen when this returns. Raises `NoFront`."""
        self._listener = listener
        self._fronts = [Front(listener, wiring, self._credentials) for _ in range(self.number)]
        for front in self._fronts:
            front.start()
        try:
            await asyncio.wait_for(asyncio.gather(*(front.listens.wait() for front in self._fronts)), PATIENCE)
        except TimeoutError:
            await self.stop(0.0)
            raise NoFront(
                f"server.front_processes: no front listens after {PATIENCE:g} s; the lines above may say why; or leave"
                " the setting out"
            ) from None

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
        self._talk: Talk | None = None
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
        # One that does not listen yet reads this before it does.
        if self.listens.is_set():
            await self._within(PROMPT, talk.knows(credentials.number))

    async def _within(self, seconds: float, said: Awaitable[None]) -> None:
        """Wait until it has said something; end it where it does not."""
        try:
            await asyncio.wait_for(said, seconds)
        except TimeoutError:
            log.error("a front does not answer; it is ended", seconds=seconds)
            self._kill()

    async def _watch(self, talk: Talk) -> None:
        """End it once it hangs: whoever connects to it would get no answer."""
        await self.listens.wait()
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
        await self._live()
        while not self._stopping:
            log.warning("a front ended; it is started again", seconds=AGAIN)
            await asyncio.sleep(AGAIN)
            await self._live()

    async def _live(self) -> None:
        """One life of it, whatever it ends by."""
        ours, theirs = socket.socketpair()
        taking, giving = pair()
        try:
            with theirs, giving:
                await self._begin(theirs, giving)
            await self._run(ours, taking)
        except OSError as error:
            log.error("a front cannot be started", error=str(error))
        finally:
            # Closed already, where it ran.
            ours.close()
            taking.close()

    async def _begin(self, theirs: socket.socket, giving: socket.socket) -> None:
        passed = (self._listener.fileno(), theirs.fileno(), giving.fileno())
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

    async def _run(self, ours: socket.socket, taking: socket.socket) -> None:
        taker = Taker(taking, self._wiring.adopt)
        talk = Talk(self._wiring, self.listens)
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
