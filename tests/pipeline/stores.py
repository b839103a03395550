"""A store whose every commit is checked."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator, Mapping
from typing import TypeVar, cast

from sendpool.domain.states import ATTEMPT_MOVES, MESSAGE_MOVES, AttemptState, MessageState
from sendpool.store.database import Query, Script, Work
from sendpool.store.sqlite import Sqlite
from sendpool.testing.clock import VirtualTimeLoop
from sendpool.testing.invariants import contradictions

S = TypeVar("S")
T = TypeVar("T")

#: Commits in one instant of virtual time above which somebody spins.
MOST_AT_ONCE = 1000


class Watched:
    """A store in virtual time that stands still while it works, checks each commit, and fails when it is told to."""

    def __init__(self, inner: Sqlite, *, audit: bool = True) -> None:
        self.inner = inner
        self.shared = False
        #: Commits that will fail at their very end.
        self.failures = 0
        self.commits = 0
        #: What was wrong after some commit.
        self.found: list[str] = []
        self._audit = audit
        self._at = 0.0
        self._at_once = 0
        self._attempts: dict[int, int] = {}
        self._messages: dict[int, int] = {}

    async def read(self, script: Script[T], *, one: bool = False) -> T:
        """As the store inside."""
        with _standing_still():
            return await self.inner.read(script, one=one)

    async def write(self, work: Work[T], *, brief: bool = False) -> T:
        """As the store inside, with a look at what the commit leaves."""
        await self._notice_spinning()
        with _standing_still():
            return await self.inner.write(self._watched(work() if callable(work) else work), brief=brief)

    async def close(self) -> None:
        """As the store inside."""
        await self.inner.close()

    async def _notice_spinning(self) -> None:
        """Nobody may commit for ever without time passing: in real time that is a processor that does nothing else."""
        now = asyncio.get_running_loop().time()
        self._at_once = self._at_once + 1 if now == self._at else 0
        self._at = now
        if self._at_once > MOST_AT_ONCE:
            self.found.append(f"{self._at_once} commits at {now}")
            await asyncio.sleep(0.001)

    def _watched(self, script: Script[T]) -> Script[T]:
        result = yield from script
        if self.failures:
            self.failures -= 1
            raise sqlite3.OperationalError("disk I/O error")
        self.commits += 1
        if self._audit:
            yield from self.look()
        return result

    def look(self) -> Script[None]:
        """Check everything that must hold, and that states have only moved forward since the last look.

        What retention has removed is not there any more.
        """
        self.found += yield from contradictions()
        attempts = dict((yield Query("SELECT id, state FROM attempt")))
        messages = dict((yield Query("SELECT id, state FROM message")))
        for key, state in self._attempts.items():
            if (
                attempts.get(key, state) != state
                and AttemptState(attempts[key]) not in _REACHABLE_ATTEMPTS[AttemptState(state)]
            ):
                self.found.append(f"attempt {key} went from {AttemptState(state).name} to {attempts[key]}")
        for key, state in self._messages.items():
            if (
                messages.get(key, state) != state
                and MessageState(messages[key]) not in _REACHABLE_MESSAGES[MessageState(state)]
            ):
                self.found.append(f"message {key} went from {MessageState(state).name} to {messages[key]}")
        self._attempts, self._messages = attempts, messages


def _reachable(moves: Mapping[S, frozenset[S]]) -> dict[S, frozenset[S]]:
    """Where each state may be after any number of moves."""
    reached = dict(moves)
    for _ in moves:
        reached = {state: next_.union(*(reached[one] for one in next_)) for state, next_ in reached.items()}
    return reached


#: A withdrawn attempt was none, and its number is used again.
_REACHABLE_ATTEMPTS = {
    state: reached
    | ({AttemptState.STARTED} | ATTEMPT_MOVES[AttemptState.STARTED] if state.name == "WITHDRAWN" else set())
    for state, reached in _reachable(ATTEMPT_MOVES).items()
}
_REACHABLE_MESSAGES = _reachable(MESSAGE_MOVES)


@contextlib.contextmanager
def _standing_still() -> Iterator[None]:
    """Let no virtual time pass while a thread of the store works."""
    selector = cast(VirtualTimeLoop, asyncio.get_running_loop())._virtual
    selector.threads += 1
    try:
        yield
    finally:
        selector.threads -= 1
