"""Requests that carry a key are carried out once: the second one gets the first one's operation, also while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from sendpool.api.problems import CONFLICT
from sendpool.domain.request import Problem, Refused
from sendpool.pipeline.waiter import StoreUnavailable
from sendpool.store.idempotency import Kept, Key, KeyTaken, find_key
from sendpool.store.reading import Reader

#: Carries a request out, keeps its key in the same commit, and brings the operation's uid. Raises `KeyTaken`.
Act = Callable[[Key], Awaitable[bytes]]


class Once:
    """The keys whose first request is under way; those of earlier ones are in the store."""

    def __init__(self) -> None:
        self._under_way: dict[tuple[int, str], tuple[bytes, asyncio.Task[Kept]]] = {}

    async def carry_out(self, key: Key, database: Reader, now: int, act: Act) -> bytes:
        """The uid of the operation that *act*, or an earlier request of this key, has made.

        Raises what *act* raises (a key whose request was refused stays free), and Refused (409) where the key
        belongs to a request that asked for something else.
        """
        place = (key.account_id, key.key)
        if place in self._under_way:
            digest, task = self._under_way[place]
            _same(digest, key)
        else:
            task = asyncio.get_running_loop().create_task(_look_or_act(key, database, now, act))
            self._under_way[place] = (key.digest, task)
            task.add_done_callback(lambda _: self._under_way.pop(place))
        # Who waits with us must not lose the answer when our client hangs up.
        kept = await asyncio.shield(task)
        _same(kept.digest, key)
        return kept.operation_uid


async def _look_or_act(key: Key, database: Reader, now: int, act: Act) -> Kept:
    look = (key.account_id, key.key, now)
    kept = await database.read(find_key(*look))
    if kept is None:
        try:
            return Kept(key.digest, await act(key))
        except KeyTaken:
            kept = await database.read(find_key(*look))
    if kept is None:
        raise StoreUnavailable("the key was in use and is free again")
    return kept


def _same(digest: bytes, key: Key) -> None:
    if digest != key.digest:
        message = "this Idempotency-Key belongs to another request; take a new key for a new one"
        raise Refused(Problem(CONFLICT, message), status=409)
