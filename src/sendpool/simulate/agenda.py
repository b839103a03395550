"""Calls to make later, many thousands of them, with one timer of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sendpool.connectors.sandbox.timetable import Timetable


class Agenda:
    """Like `loop.call_later`, but rounded up to a tick, so that a burst of calls costs one wake-up."""

    def __init__(self) -> None:
        self._calls: Timetable[Callable[[], None]] = Timetable()
        self._alarm: asyncio.TimerHandle | None = None

    def call_later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call after *seconds*."""
        if self._calls.add(asyncio.get_running_loop().time() + seconds, call):
            self._set_alarm()

    def clear(self) -> None:
        """Forget every call."""
        self._calls = Timetable()
        self._set_alarm()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        next_at = self._calls.next_at()
        self._alarm = None if next_at is None else asyncio.get_running_loop().call_at(next_at, self._ring)

    def _ring(self) -> None:
        for call in self._calls.take(asyncio.get_running_loop().time()):
            call()
        self._set_alarm()
