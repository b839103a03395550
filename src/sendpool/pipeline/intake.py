"""Intake: what requests come to, before the next commit makes it durable."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Protocol

from sendpool.aside import aside
from sendpool.domain.consent import Person
from sendpool.domain.message import Category
from sendpool.domain.request import Accepted, SendRequest
from sendpool.pipeline.accept import Acceptor
from sendpool.pipeline.acceptance import Acceptance
from sendpool.pipeline.alike import Alike, runs
from sendpool.pipeline.backlog import Backlog
from sendpool.pipeline.clock import Clock
from sendpool.pipeline.consent import Consent
from sendpool.pipeline.crowd import Crowd
from sendpool.pipeline.draft import AT_ONCE, Draft, draft
from sendpool.pipeline.numbers import OutOfNumbers
from sendpool.pipeline.render import Readings, read_each
from sendpool.pipeline.resolve import pool_of
from sendpool.pipeline.waiter import OfOne, StoreUnavailable, Waiter
from sendpool.store.database import Database
from sendpool.store.idempotency import Key


class NextCommit(Protocol):
    """Where what requests come to goes."""

    def check_open(self) -> None:
        """Return if it takes requests. Raises `StoreUnavailable`."""

    def take(self, acceptance: Acceptance | Crowd, key: Key | None) -> None:
        """Carry it."""

    def bring_numbers(self) -> None:
        """Bring a block of integer keys."""


class Intake:
    """Lives on the event loop."""

    def __init__(
        self,
        acceptor: Acceptor,
        consent: Consent,
        backlog: Backlog,
        commit: NextCommit,
        database: Database,
        clock: Clock,
    ) -> None:
        self._acceptor = acceptor
        self._consent = consent
        self._backlog = backlog
        self._commit = commit
        self._database = database
        self._clock = clock

    async def accept(self, request: SendRequest, key: Key | None = None) -> Accepted:
        """Store a request; returns once it is durable. Raises `Refused`, `StoreUnavailable`, `QueueFull`, or
        `KeyTaken`.
        """
        done: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
        self._commit.take(await self.prepare(request, self._acceptor, done), key)
        return await done

    def is_immediate(self, request: SendRequest) -> bool:
        """Whether a request can be accepted without a look into the database (`accept_each`)."""
        return not request.personal and not self._consent.any_of(request.account_id)

    def accept_each(
        self, requests: Sequence[SendRequest], waiter: Callable[[int, int], Waiter[Sequence[Accepted]]]
    ) -> None:
        """Put immediate requests into the next commit, those in a row that are alike together.

        Who *waiter* makes for those from its first number to before its second is told what has become of them.
        """
        for first, end, alike in runs(requests, self._acceptor.roster.alike):
            if alike is not None and self._backlog.has_room(requests[first].account_id, end - first):
                self._accept_one(partial(self._together, requests[first:end], alike), waiter(first, end))
                continue
            for at in range(first, end):
                self._accept_one(partial(self._by_itself, requests[at]), waiter(at, at + 1))

    def _accept_one(
        self,
        made: Callable[[Waiter[Sequence[Accepted]]], Acceptance | Crowd],
        done: Waiter[Sequence[Accepted]],
    ) -> None:
        try:
            self._commit.take(made(done), None)
        except Exception as error:  # noqa: BLE001 - others are accepted all the same
            done.set_exception(error)

    def _together(self, requests: Sequence[SendRequest], alike: Alike, done: Waiter[Sequence[Accepted]]) -> Crowd:
        self._commit.check_open()
        with self._asking_for_numbers():
            return self._acceptor.together(requests, alike, done)

    def _by_itself(self, request: SendRequest, done: Waiter[Sequence[Accepted]]) -> Acceptance:
        return self._prepared(request, self._acceptor, OfOne(done), None, None)

    async def prepare(self, request: SendRequest, acceptor: Acceptor, waiter: Waiter[Accepted]) -> Acceptance:
        """What a request comes to in the hands of *acceptor*, for the next commit or for nothing at all.

        Raises `Refused`, `StoreUnavailable`, or `QueueFull`.
        """
        readings = await read_each(request, self._clock.wall()) if request.personal else None
        self._commit.check_open()
        opted_out = await self._opted_out(request) if self._consent.any_of(request.account_id) else None
        made = None
        if len(request.recipients) > AT_ONCE:
            self._backlog.admit(request.account_id)
            at = readings.at if readings else self._clock.wall()
            made = await aside(partial(draft, request, acceptor.roster, at, readings, opted_out))
        return self._prepared(request, acceptor, waiter, readings, opted_out, made)

    def _prepared(
        self,
        request: SendRequest,
        acceptor: Acceptor,
        waiter: Waiter[Accepted],
        readings: Readings | None,
        opted_out: set[Person] | None,
        made: Draft | None = None,
    ) -> Acceptance:
        self._commit.check_open()
        self._backlog.admit(request.account_id)
        with self._asking_for_numbers():
            if made is not None:
                return acceptor.number(made, waiter)
            return acceptor.prepare(request, waiter, readings, opted_out)

    @contextlib.contextmanager
    def _asking_for_numbers(self) -> Iterator[None]:
        """Where none are left the next commit brings some, and whoever asks meanwhile is to come again."""
        try:
            yield
        except OutOfNumbers as error:
            self._commit.bring_numbers()
            raise StoreUnavailable(str(error)) from error

    async def _opted_out(self, request: SendRequest) -> set[Person]:
        pool = pool_of(request, self._acceptor.roster)
        category = request.category or pool.category or Category.TRANSACTIONAL
        return await self._consent.opted_out(request, pool, category, self._database)
