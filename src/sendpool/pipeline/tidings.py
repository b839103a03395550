"""Tidings: what a connection goes through, told as notices. Rare by design: never one per message."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from sendpool.connectors.base import Outcome, Throttled
from sendpool.domain.closure import Closure
from sendpool.pipeline.clock import Clock
from sendpool.pipeline.settle import Changes
from sendpool.store.database import Script
from sendpool.store.notices import Notice, write_notices

UP, DOWN, THROTTLED = "sendpool.connection.up", "sendpool.connection.down", "sendpool.throughput.throttled"
REFUSED = "sendpool.connection.refused"
#: Seconds for which a pause of one scope is told once.
_ONCE = 60.0

#: Has a stage run in the next commit.
Sweep = Callable[[Callable[[Changes], Script[None]]], None]


def _tell(notice: Notice, changes: Changes) -> Script[None]:
    yield from write_notices([notice])


class Tidings:
    """What is told of one connection."""

    def __init__(self, account_id: int, name: str, clock: Clock, sweep: Sweep) -> None:
        self._account_id = account_id
        self._name = name
        self._clock = clock
        self._sweep = sweep
        #: What was told last; None: nothing. That it comes up as it should is no news.
        self._up: bool | None = None
        #: What the carrier refuses, as it was told last.
        self._refused = ""
        #: By scope: when (monotonic seconds) a pause was told.
        self._paused: dict[str, float] = {}

    def link(self, *, up: bool, detail: str) -> None:
        """The link went up or down; not where we have closed it ourselves."""
        if up is self._up or (up and self._up is None):
            return
        self._up = up
        self._say(UP if up else DOWN, {"reason": detail})

    def account(self, closure: Closure) -> bool:
        """The carrier may refuse the account or the settings. Brings whether that is news."""
        refused = ("settings" if closure.of_settings else "account") if closure.closed else ""
        if refused == self._refused:
            return False
        self._refused = refused
        self._say(REFUSED, {"state": "closed", "reason": refused} if refused else {"state": "open"})
        return True

    def outcomes(self, outcomes: Iterable[Outcome]) -> None:
        """Tell of the pauses among these, each scope's once a minute."""
        now = self._clock.monotonic()
        for scope, wait in {one.scope: one.retry_after for one in outcomes if isinstance(one, Throttled)}.items():
            if now - self._paused.get(scope, -_ONCE) >= _ONCE:
                self._paused[scope] = now
                self._say(THROTTLED, {"scope": str(scope), **({} if wait is None else {"seconds": f"{wait:g}"})})

    def _say(self, name: str, data: dict[str, str]) -> None:
        notice = Notice(self._account_id, name, self._name, data, self._clock.wall())
        self._sweep(partial(_tell, notice))
