"""An asyncio event loop whose time is virtual: when nothing is left to do, the clock jumps to the next timer.

Tests of anything that waits (throughput, timers, back-off, receipts hours later) then take no time and give the
same answer on every machine. Sockets whose two ends live on the same loop work as usual; threads are waited for.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Executor
from typing import Any, TypeVar

T = TypeVar("T")

#: Seconds of real time after which a loop that waits for nothing we know of is called stuck.
PATIENCE = 10.0


class Stuck(RuntimeError):
    """Everything waits and no timer is set: in real time this test would hang."""


class VirtualSelector(selectors.BaseSelector):
    """Wrap a selector so that waiting for a timer moves the clock instead."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        #: Virtual seconds since the loop was made.
        self.now = 0.0
        #: Calls that run in threads; while there are any, real time has to pass.
        self.threads = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready at once; else advance the clock by *timeout* virtual seconds.

        Raises:
            Stuck: if there is no timer and nothing happens for `PATIENCE` real seconds.
        """
        ready = self._selector.select(0)
        if ready or timeout == 0:
            return ready
        if self.threads:
            return self._selector.select(PATIENCE)
        if timeout is not None:
            self.now += max(timeout, 0.0)
            return ready
        ready = self._selector.select(PATIENCE)
        if not ready:
            raise Stuck(f"no timer is set and nothing happened for {PATIENCE:.0f} s")
        return ready

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Watch *fileobj*, as the wrapped selector does."""
        return self._selector.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """Forget *fileobj*, as the wrapped selector does."""
        return self._selector.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Watch *fileobj* for other events, as the wrapped selector does."""
        return self._selector.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """What is watched, as the wrapped selector has it."""
        return self._selector.get_map()

    def close(self) -> None:
        """Close the wrapped selector."""
        self._selector.close()


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop in which `time()`, `call_later`, `sleep` and timeouts count virtual seconds from 0."""

    def __init__(self) -> None:
        self._virtual = VirtualSelector(selectors.DefaultSelector())
        super().__init__(self._virtual)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual.now

    def run_in_executor(  # type: ignore[override]  # asyncio's own signature is looser than a generic one
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run *func* in a thread; virtual time stands still until it has returned."""
        future: asyncio.Future[T] = super().run_in_executor(executor, func, *args)
        self._virtual.threads += 1
        future.add_done_callback(self._thread_returned)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Join the threads in real time: from Python 3.12 on the inherited way has a timer that would fire at once."""
        self._virtual.threads += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self._virtual.threads -= 1

    def _thread_returned(self, _future: asyncio.Future[Any]) -> None:
        self._virtual.threads -= 1


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """Run *main* on a fresh `VirtualTimeLoop`, as `asyncio.run` would, and return what it returns."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
