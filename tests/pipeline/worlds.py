"""The pipeline on a real SQLite file, in virtual time, between carriers that do what a test tells them.

Every commit is checked as it is made: nothing lost, counters right, states only forward.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tests.pipeline.carriers import Carrier
from tests.pipeline.stores import Watched

from sendpool.connectors.base import ConnectionSettings, NamesAttempts, SenderSettings
from sendpool.domain.keywords import Keywords
from sendpool.domain.limits import Limits
from sendpool.domain.message import Category, Content
from sendpool.domain.request import Accepted, Origin, PoolOrigin, Recipient, SendRequest
from sendpool.domain.schedule import Moment
from sendpool.domain.scopes import ScopeSettings
from sendpool.domain.sender import Channel, Sender
from sendpool.domain.states import AttemptState, MessageState
from sendpool.domain.throughput import Bucket
from sendpool.metrics import Metrics
from sendpool.pipeline.capability import CapabilityLoop
from sendpool.pipeline.clock import Clock
from sendpool.pipeline.engine import Engine
from sendpool.pipeline.health import HealthKeeper
from sendpool.pipeline.limiting import connection_key
from sendpool.pipeline.links import Link
from sendpool.pipeline.reply import Replier
from sendpool.pipeline.revoke import Revoker
from sendpool.pipeline.roster import load_roster
from sendpool.pipeline.supervise import ConnectionInbox, Supervisor
from sendpool.pipeline.sweep import Sweeper
from sendpool.store.accounts import ensure_first_account
from sendpool.store.database import Query, Script
from sendpool.store.pools import NewPool, Share, create_pool, ensure_hidden_pools
from sendpool.store.roster import load_connections
from sendpool.store.senders import store_inventory
from sendpool.store.sqlite import Sqlite
from sendpool.testing.clock import run_virtually

T = TypeVar("T")

#: What the wall clock says when virtual time begins: microseconds since 1970.
EPOCH = 1_800_000_000_000_000
TEXT = "Hello"
#: A text of three segments.
LONG_TEXT = "x" * 400


def virtually(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an asynchronous test in virtual time."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        run_virtually(test(*args, **kwargs))

    return run


class Line(NamedTuple):
    """A connection with its carrier and senders: address to segments a second (None: 100)."""

    carrier: Carrier
    senders: Mapping[str, float | None]
    channel: Channel = Channel.SMS
    mps: float | None = None
    burst: float | None = None
    #: Named scopes of the connection, and of senders by address.
    scopes: tuple[str, ...] = ()
    sender_scopes: Mapping[str, tuple[str, ...]] = {}
    #: What else senders say, by address: where they send.
    said: Mapping[str, Mapping[str, Any]] = {}
    #: Lasting limits of the connection, and of senders by address.
    limits: Limits = Limits()
    sender_limits: Mapping[str, Limits] = {}
    keywords: Keywords = Keywords()
    #: Its type of connection, and the options of that.
    type: str = "scripted"
    options: Mapping[str, Any] = {}


class World:
    """A server without HTTP: store, engine, sweep and the connections that a test gives it."""

    def __init__(self, store: Watched, lines: Mapping[str, Line], scopes: Sequence[ScopeSettings] = ()) -> None:
        self.store = store
        self.lines = dict(lines)
        self.scopes = scopes
        loop = asyncio.get_running_loop()
        #: Seconds by which the wall clock was set ahead.
        self.ahead = 0.0
        clock = Clock(loop.time, lambda: EPOCH + int((loop.time() + self.ahead) * 1e6))
        self.engine = Engine(store, Metrics(), clock)
        self.sweeper = Sweeper(self.engine, lambda _, public_id: self._carrier_id(public_id))
        self.capability = CapabilityLoop(self.engine)
        self.supervisor = Supervisor(self.engine)
        self.revoker = Revoker(self.engine)
        self.health = HealthKeeper(self.engine)
        self.replier = Replier(self.engine)
        self.engine.revoke = self.revoker.ask
        self.account_id = 0
        #: The pool of all senders.
        self.pool: bytes = b""

    def _carrier_id(self, public_id: str) -> str:
        """The carrier id of an attempt, where the first carrier that names attempts has one."""
        named = [line.carrier for line in self.lines.values() if isinstance(line.carrier, NamesAttempts)]
        return named[0].carrier_id(public_id) if named else ""

    @property
    def now(self) -> float:
        """Virtual seconds."""
        return asyncio.get_running_loop().time()

    @property
    def roster(self) -> Any:
        """Senders and pools as they stand."""
        return self.engine.roster

    def sender(self, address: str) -> Sender:
        """A sender by its address."""
        return next(one for one in self.engine.roster.senders.values() if one.address == address)

    async def start(self) -> None:
        """Begin as the runtime does: recover, store the inventory, run, connect."""
        account = await self.store.write(ensure_first_account("ACtest", "token", b"k" * 32, self.engine.clock.wall()))
        self.account_id = account.id
        await self.sweeper.recover()
        await self.declare(self.lines)
        self.engine.use_roster(await self.store.read(load_roster()))
        uids = [one.uid for one in self.engine.roster.senders.values()]
        known = [pool for pool in self.engine.roster.pools.values() if not pool.hidden and not pool.deleted]
        if known:
            self.pool = known[0].uid
        else:
            self.pool = await self.make_pool(uids)
        self.engine.start()
        for name in self.lines:
            await self.connect(name)
        self.sweeper.start()
        self.capability.start()
        await self.health.recover()
        self.health.start()
        self.replier.start()

    async def declare(self, lines: Mapping[str, Line]) -> None:
        """Store these connections and their senders as all there are."""
        settings = [
            ConnectionSettings(
                name=name,
                type=line.type,
                options=line.options,
                mps=line.mps,
                burst=line.burst,
                scopes=line.scopes,
                limits=line.limits,
                senders=tuple(
                    SenderSettings(
                        channel=line.channel,
                        address=address,
                        mps=mps or 100.0,
                        scopes=line.sender_scopes.get(address, ()),
                        limits=line.sender_limits.get(address, Limits()),
                        **line.said.get(address, {}),
                    )
                    for address, mps in line.senders.items()
                ),
            )
            for name, line in lines.items()
        ]

        def script() -> Script[None]:
            yield from store_inventory(self.account_id, settings, self.engine.clock.wall())
            yield from ensure_hidden_pools(self.account_id, self.engine.clock.wall())

        await self._change(script)
        keys = await self.store.read(load_connections())
        self.supervisor._wanted = {keys[self.account_id, one.name]: (one, self.account_id) for one in settings}
        self.engine.limiter.configure(self.scopes, self.now, self.engine.clock.wall())
        self.supervisor.gates(self.engine.roster)

    async def make_pool(
        self, sender_uids: Sequence[bytes], shares: Mapping[bytes, Share] | None = None, **settings: Any
    ) -> bytes:
        """A pool of these senders with these settings; its uid."""
        new = NewPool("pool", {}, sender_uids, settings, shares or {})
        made = await self._change(lambda: create_pool(self.account_id, new, self.engine.clock.wall()))
        return made.pool_uid

    async def _change(self, script: Callable[[], Script[T]]) -> T:
        if self.engine._running is not None:
            return await self.engine.change(script)
        result = await self.store.write(script())
        self.engine.use_roster(await self.store.read(load_roster()))
        return result

    async def connect(self, name: str) -> Link:
        """Open a connection as the supervisor does."""
        line = self.lines[name]
        keys = await self.store.read(load_connections())
        key = keys[self.account_id, name]
        link = Link(key, name, "scripted", line.carrier, Bucket(line.mps, line.burst))
        self.engine.limiter.begin(link.bucket, connection_key(key), self.now, self.engine.clock.wall())
        self.engine.sending.links[key] = link
        await line.carrier.open(ConnectionInbox(self.engine, link, self.account_id, lambda: line.keywords))
        self.supervisor.gates(self.engine.roster)
        return link

    async def stop(self) -> None:
        """End in order; whatever was found wrong on the way is raised."""
        running = self.engine._running
        if running is not None and running.done():
            running.result()
        self.engine.drain()
        for loop in (self.sweeper, self.capability, self.revoker, self.health, self.replier):
            await loop.stop()
        for line in self.lines.values():
            if line.carrier.inbox is not None:
                await line.carrier.close()
        await self.engine.stop()

    async def send(
        self,
        *recipients: str | Recipient,
        text: str = TEXT,
        origin: Origin | None = None,
        validity: int | None = None,
        category: Category = Category.TRANSACTIONAL,
        space: str = "P",
        send_at: Moment | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Accepted:
        """Accept a request, from the pool of all senders where nothing else is said."""
        return await self.engine.intake.accept(
            SendRequest(
                account_id=self.account_id,
                origin=PoolOrigin(self.pool) if origin is None else origin,
                recipients=[one if isinstance(one, Recipient) else Recipient(one, space) for one in recipients],
                content=Content(text=text),
                validity=validity,
                category=category,
                send_at=send_at,
                tags=tags or {},
            )
        )

    async def until(self, condition: Callable[[], object], within: float = 60.0) -> None:
        """Wait until something is so, for at most so many virtual seconds."""
        async with asyncio.timeout(within):
            while not condition():
                await asyncio.sleep(0.01)

    async def rows(self, sql: str, *args: Any) -> list[Any]:
        """What a statement brings, on a snapshot."""

        def script() -> Script[list[Any]]:
            found: list[Any] = yield Query(sql, args)
            return found

        return await self.store.read(script())

    async def states(self, operation: Accepted | None = None) -> Counter[str]:
        """How many messages are in each state, of one operation or of all; those in chunks are SCHEDULED or QUEUED."""
        where = "" if operation is None else f" WHERE operation_id = {operation.operation_id}"

        def script() -> Script[tuple[list[Any], list[Any]]]:
            # On one snapshot: a chunk may become rows at any moment.
            states = yield Query(f"SELECT state, count(*) FROM message{where} GROUP BY state")
            chunks = yield Query(f"SELECT due > 0, sum(count) FROM chunk{where} GROUP BY 1")
            return states, chunks

        states, chunks = await self.store.read(script())
        found = Counter({MessageState(state).name: count for state, count in states})
        for held, count in chunks:
            found["SCHEDULED" if held else "QUEUED"] += count
        return found

    async def until_states(self, within: float = 60.0, operation: Accepted | None = None, **wanted: int) -> None:
        """Wait until exactly so many messages are in these states, and none in others."""
        async with asyncio.timeout(within):
            while (found := await self.states(operation)) != Counter(wanted):
                try:
                    await asyncio.sleep(0.05)
                except asyncio.CancelledError:
                    raise AssertionError(f"{dict(found)} is not {wanted} after {within} s") from None

    async def attempts(self, message_id: int) -> list[tuple[str, str]]:
        """(sender's address, state) of each attempt of a message, in order."""
        rows = await self.rows(
            "SELECT s.address, a.state FROM attempt a JOIN sender s ON s.id = a.sender_id"
            " WHERE a.id BETWEEN ? AND ? ORDER BY a.id",
            message_id * 64,
            message_id * 64 + 63,
        )
        return [(address, AttemptState(state).name) for address, state in rows]

    async def events(self, subject_id: int) -> list[int]:
        """The numbers of a message's events, or an operation's, as they were written."""
        rows = await self.rows("SELECT number FROM event WHERE subject_id = ? ORDER BY position", subject_id)
        return [row[0] for row in rows]

    async def copy(self, path: Path) -> Path:
        """What a crash would leave now: the files as they are between two commits."""

        def script() -> Script[None]:
            yield Query("SELECT 1")
            copy_files(self.store.inner.path, path)

        await self.store.write(script())
        return path


def copy_files(source: Path, target: Path) -> None:
    """Copy a database with its log as they are."""
    shutil.copyfile(source, target)
    log = Path(f"{source}-wal")
    if log.exists():
        shutil.copyfile(log, f"{target}-wal")


def everyone(number: int, first: int = 0) -> list[str]:
    """So many recipients."""
    return [f"+4477009{n:05}" for n in range(first, first + number)]


@contextlib.asynccontextmanager
async def world(
    path: Path, audit: bool = True, scopes: Sequence[ScopeSettings] = (), /, **lines: Line
) -> AsyncIterator[World]:
    """A running world on a file; at the end nothing may have been wrong after any of its commits."""
    database = Sqlite(path, readers=1)
    # A crash here is a copy of the files, not a power cut: nothing has to wait for the disk.
    database._writer.connection.execute("PRAGMA synchronous=OFF")
    store = Watched(database, audit=audit)
    made = World(store, lines, scopes)
    try:
        await made.start()
        yield made
        await made.stop()
        if not audit:
            await store.write(store.look())
        assert not store.found, store.found[:5]
    finally:
        for line in made.lines.values():
            line.carrier.hush()
        if made.engine._running is not None:
            made.engine._running.cancel()
        for loop in (made.sweeper, made.capability, made.revoker):
            await loop.stop()
        await store.close()
