"""Several engines over one PostgreSQL database, each with connections of its own, and faults at random."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, TypeVar

import asyncpg
from tests.pipeline.carriers import Carrier
from tests.pipeline.worlds import TEXT

from sendpool.connectors.base import ConnectionSettings, SenderSettings
from sendpool.domain.message import Content
from sendpool.domain.request import Accepted, PoolOrigin, Recipient, SendRequest
from sendpool.domain.sender import Channel
from sendpool.domain.states import MessageState
from sendpool.domain.throughput import Bucket
from sendpool.metrics import Metrics
from sendpool.pipeline.engine import Engine
from sendpool.pipeline.fence import Alone
from sendpool.pipeline.links import Link
from sendpool.pipeline.roster import load_roster
from sendpool.pipeline.supervise import ConnectionInbox, Supervisor
from sendpool.pipeline.sweep import Sweeper
from sendpool.store.accounts import ensure_first_account
from sendpool.store.database import Query, Script, Work
from sendpool.store.pools import NewPool, create_pool, ensure_hidden_pools
from sendpool.store.postgres import Postgres
from sendpool.store.roster import load_connections
from sendpool.store.senders import store_inventory

T = TypeVar("T")


class Undone(Exception):
    """A transaction that a test has undone."""


class Faulty:
    """A database of which some transactions fail at their very end, as often as asked for."""

    shared = True

    def __init__(self, inner: Postgres, chance: random.Random, conflicts: float = 0.0, failures: float = 0.0) -> None:
        self.inner = inner
        self.conflicts, self.failures = conflicts, failures
        self.done: Counter[str] = Counter()
        self._chance = chance

    async def read(self, script: Script[T], *, one: bool = False) -> T:
        return await self.inner.read(script, one=one)

    async def write(self, work: Work[T], *, brief: bool = False) -> T:
        assert callable(work), "a batch that could not be run again"
        return await self.inner.write(lambda: self._failing(work()), brief=brief)

    def _failing(self, script: Script[T]) -> Script[T]:
        result = yield from script
        drawn = self._chance.random()
        if drawn < self.conflicts:
            self.done["conflict"] += 1
            raise asyncpg.SerializationError("could not serialize access")
        if drawn < self.conflicts + self.failures:
            self.done["failure"] += 1
            raise Undone
        self.done["commit"] += 1
        return result

    async def close(self) -> None:
        await self.inner.close()


class Together(Alone):
    """Others write too, each over connections that nobody else has: no lease is needed to tell."""

    shared = True
    company = True


class Node:
    """One process of a cluster, without HTTP: an engine, its sweep, and the connection that it has to itself."""

    def __init__(self, database: Faulty, name: str, carrier: Carrier) -> None:
        self.database = database
        self.name = name
        self.carrier = carrier
        self.engine = Engine(database, Metrics())
        self.engine.fence = Together()
        self.engine.book.heads.on = True
        self.sweeper = Sweeper(self.engine)

    async def start(self, account_id: int) -> None:
        await self.sweeper.recover()
        self.engine.use_roster(await self.database.read(load_roster()))
        self.engine.start()
        key = (await self.database.read(load_connections()))[account_id, self.name]
        link = Link(key, self.name, "scripted", self.carrier, Bucket(None, None))
        self.engine.sending.links[key] = link
        await self.carrier.open(ConnectionInbox(self.engine, link, account_id))
        Supervisor(self.engine).gates(self.engine.roster)
        self.sweeper.start()

    async def stop(self) -> None:
        self.engine.drain()
        await self.sweeper.stop()
        await self.carrier.close()
        await self.engine.stop()
        await self.database.close()


class Cluster:
    """Nodes, and the one pool of all their senders."""

    def __init__(self, nodes: Sequence[Node], account_id: int, pool: bytes) -> None:
        self.nodes = nodes
        self.account_id = account_id
        self.pool = pool

    @property
    def store(self) -> Postgres:
        return self.nodes[0].database.inner

    async def send(self, node: int, recipients: Sequence[str]) -> Accepted:
        request = SendRequest(
            account_id=self.account_id,
            origin=PoolOrigin(self.pool),
            recipients=[Recipient(one, "P") for one in recipients],
            content=Content(text=TEXT),
        )
        return await self.nodes[node].engine.intake.accept(request)

    async def rows(self, sql: str, *args: Any) -> list[Any]:
        def script() -> Script[list[Any]]:
            found: list[Any] = yield Query(sql, args)
            return found

        return await self.store.read(script())

    async def states(self) -> dict[str, int]:
        rows = await self.rows("SELECT state, count(*) FROM message GROUP BY state")
        return {MessageState(state).name: count for state, count in rows}

    async def until(self, condition: Callable[[], Any], what: str, within: float = 30.0) -> None:
        """Wait until something is so; *condition* is awaited where it has to be."""
        try:
            async with asyncio.timeout(within):
                while True:
                    found = condition()
                    if await found if asyncio.iscoroutine(found) else found:
                        return
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"not within {within} s: {what}; {await self.states()}") from None


@contextlib.asynccontextmanager
async def cluster(
    url: str, carriers: Sequence[Carrier], seed: int = 0, *, conflicts: float = 0.0, failures: float = 0.0
) -> AsyncIterator[Cluster]:
    """So many nodes on one database, with two senders each."""
    names = [f"c{i}" for i in range(len(carriers))]
    chance = random.Random(seed)
    opened = [await Postgres.connect(url, readers=2, shared=True) for _ in carriers]
    account = await opened[0].write(lambda: ensure_first_account("ACtest", "token", b"k" * 32, 1))
    pool = await opened[0].write(lambda: _declare(account.id, names))
    nodes = [
        Node(Faulty(one, chance, conflicts, failures), name, carrier)
        for one, name, carrier in zip(opened, names, carriers, strict=True)
    ]
    try:
        for node in nodes:
            await node.start(account.id)
        yield Cluster(nodes, account.id, pool)
    finally:
        for node in nodes:
            await node.stop()


def _declare(account_id: int, names: Sequence[str]) -> Script[bytes]:
    settings = [
        ConnectionSettings(
            name=name,
            type="scripted",
            senders=tuple(
                SenderSettings(channel=Channel.SMS, address=f"+120300000{i}{j}", mps=1000.0) for j in range(2)
            ),
        )
        for i, name in enumerate(names)
    ]
    yield from store_inventory(account_id, settings, 1)
    yield from ensure_hidden_pools(account_id, 1)
    roster = yield from load_roster()
    uids = [one.uid for one in roster.senders.values()]
    made = yield from create_pool(account_id, NewPool("pool", {}, uids, {}), 1)
    return made.pool_uid
