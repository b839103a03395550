"""The pipeline on a real SQLite file, in virtual time, between carriers that do what a test tells them.

Every commit is checked as it is made: nothing lost, counters right, states only forward (`Watched`).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import shutil
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import pytest

from sendpool.connectors.base import (
    CarrierId,
    ConnectionSettings,
    Inbox,
    Outcome,
    Receipt,
    ReceiptState,
    Rejected,
    SenderSettings,
    Submission,
)
from sendpool.domain.failures import classify
from sendpool.domain.message import Category, Content
from sendpool.domain.request import (
    Accepted,
    AccountOrigin,
    AddressOrigin,
    Origin,
    PoolOrigin,
    Recipient,
    SendRequest,
)
from sendpool.domain.sender import Channel, Sender
from sendpool.domain.states import ATTEMPT_MOVES, MESSAGE_MOVES, AttemptState, MessageState
from sendpool.domain.throughput import Bucket
from sendpool.metrics import Metrics
from sendpool.pipeline.claim import Clock
from sendpool.pipeline.engine import Engine
from sendpool.pipeline.roster import load_roster
from sendpool.pipeline.send import Link
from sendpool.pipeline.supervise import ConnectionInbox, Supervisor
from sendpool.pipeline.sweep import Sweeper
from sendpool.store.accounts import ensure_first_account
from sendpool.store.database import Query, Script
from sendpool.store.migrate import migrate
from sendpool.store.pools import NewPool, create_pool, ensure_hidden_pools
from sendpool.store.roster import load_connections
from sendpool.store.senders import store_inventory
from sendpool.store.sqlite import Sqlite
from sendpool.testing.clock import VirtualTimeLoop, run_virtually
from sendpool.testing.invariants import contradictions

T = TypeVar("T")

#: What the wall clock says when virtual time begins: microseconds since 1970.
EPOCH = 1_800_000_000_000_000
#: Commits in one instant of virtual time above which somebody spins.
MOST_AT_ONCE = 100
TEXT = "Hello"
#: A text of three segments.
LONG_TEXT = "x" * 400


def virtually(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an asynchronous test in virtual time."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        run_virtually(test(*args, **kwargs))

    return run


# ---------------------------------------------------------------- carriers


class Sent(NamedTuple):
    """A submission and when it was handed over, in virtual seconds."""

    at: float
    submission: Submission

    @property
    def key(self) -> tuple[int, int]:
        return self.submission.attempt.message_id, self.submission.attempt.n


Answer = Callable[[Submission, int], Outcome | None]
Report = Callable[[Submission, int], Sequence[ReceiptState]]


def refused(code: str) -> Rejected:
    """A refusal with an SMPP command_status, as the SMPP connector would report it."""
    found = classify("smpp", code)
    return Rejected(found.failure, code, found.scope, found.rule)


class Carrier:
    """A connector whose answers and receipts are a test's to choose. By default it takes and delivers everything."""

    def __init__(self, *, window: int = 1000, answer_after: float = 0.02, report_after: float = 0.1) -> None:
        self.window = window
        self.answer_after = answer_after
        self.report_after = report_after
        #: None: no answer at all.
        self.answer: Answer = lambda submission, part: CarrierId(self.name_of(submission, part))
        self.report: Report = lambda submission, part: (ReceiptState.DELIVERED,)
        self.sent: list[Sent] = []
        self.inbox: Inbox | None = None
        self.up = True
        self._reports: set[asyncio.Task[None]] = set()

    @staticmethod
    def name_of(submission: Submission, part: int) -> str:
        """The id that this carrier gives a part."""
        return f"{submission.attempt.message_id}.{submission.attempt.n}.{part}"

    async def open(self, inbox: Inbox) -> None:
        """Be up at once, unless told otherwise."""
        self.inbox = inbox
        self.link(up=self.up)

    def link(self, *, up: bool) -> None:
        """Bring the link up or down."""
        self.up = up
        assert self.inbox is not None
        self.inbox.link(up=up, window=self.window if up else 0, detail="as the test says")

    async def submit(self, batch: Sequence[Submission]) -> None:
        """Take note; the answers come after a while."""
        loop = asyncio.get_running_loop()
        self.sent += [Sent(loop.time(), submission) for submission in batch]
        loop.call_later(self.answer_after, self._answer, batch)

    async def close(self) -> None:
        """Say everything that is owed, then be down."""
        while self._reports:
            await asyncio.wait(self._reports)
        self.link(up=False)

    def _answer(self, batch: Sequence[Submission]) -> None:
        assert self.inbox is not None
        answered = []
        taken = []
        for submission in batch:
            for part in range(1, submission.segments + 1):
                if not submission.parts >> part - 1 & 1:
                    continue
                outcome = self.answer(submission, part)
                if outcome is not None:
                    answered.append((submission.attempt, part, outcome))
                if isinstance(outcome, CarrierId):
                    taken.append((submission, part, outcome.id))
        if answered:
            self.inbox.outcomes(answered)
        if taken:
            asyncio.get_running_loop().call_later(self.report_after, self._report, taken)

    def _report(self, taken: Sequence[tuple[Submission, int, str]]) -> None:
        receipts = [receipt(name, state) for s, part, name in taken for state in self.report(s, part)]
        if receipts:
            self.say(receipts)

    def say(self, receipts: Sequence[Receipt]) -> None:
        """Send receipts; like a carrier, again and again until they are stored."""
        task = asyncio.get_running_loop().create_task(self._say(receipts))
        self._reports.add(task)
        task.add_done_callback(self._reports.discard)

    async def _say(self, receipts: Sequence[Receipt]) -> None:
        assert self.inbox is not None
        while True:
            try:
                return await self.inbox.receipts(receipts)
            except Exception:  # noqa: BLE001 - whatever it is, the carrier asks again
                await asyncio.sleep(0.5)

    def times(self, sender: str | None = None) -> list[float]:
        """When each segment left, of one sender or of all."""
        return [
            sent.at
            for sent in self.sent
            if sender in (None, sent.submission.sender)
            for _ in range(sent.submission.parts.bit_count())
        ]


def receipt(carrier_id: str, state: ReceiptState) -> Receipt:
    """A receipt, with what a carrier would say of a failure."""
    if state in (ReceiptState.UNDELIVERED, ReceiptState.EXPIRED, ReceiptState.REVOKED):
        stat = {ReceiptState.UNDELIVERED: "UNDELIV", ReceiptState.EXPIRED: "EXPIRED"}.get(state, "DELETED")
        found = classify("smpp.stat", stat)
        return Receipt(carrier_id, state, found.failure, stat, found.rule)
    return Receipt(carrier_id, state, None, "")


# ---------------------------------------------------------------- the store


class Watched:
    """A store in virtual time that stands still while it works, checks each commit, and fails when it is told to."""

    def __init__(self, inner: Sqlite, *, audit: bool = True) -> None:
        self.inner = inner
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

    async def read(self, script: Script[T]) -> T:
        """As the store inside."""
        with _standing_still():
            return await self.inner.read(script)

    async def write(self, script: Script[T]) -> T:
        """As the store inside, with a look at what the commit leaves."""
        await self._notice_spinning()
        with _standing_still():
            return await self.inner.write(self._watched(script))

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
        """Check everything that must hold, and that states have only moved forward since the last look."""
        self.found += yield from contradictions()
        attempts = dict((yield Query("SELECT id, state FROM attempt")))
        messages = dict((yield Query("SELECT id, state FROM message")))
        for key, state in self._attempts.items():
            if attempts[key] != state and AttemptState(attempts[key]) not in _REACHABLE_ATTEMPTS[AttemptState(state)]:
                self.found.append(f"attempt {key} went from {AttemptState(state).name} to {attempts[key]}")
        for key, state in self._messages.items():
            if messages[key] != state and MessageState(messages[key]) not in _REACHABLE_MESSAGES[MessageState(state)]:
                self.found.append(f"message {key} went from {MessageState(state).name} to {messages[key]}")
        self._attempts, self._messages = attempts, messages


S = TypeVar("S")


def _reachable(moves: Mapping[S, frozenset[S]]) -> dict[S, frozenset[S]]:
    """Where each state may be after any number of moves."""
    reached = dict(moves)
    for _ in moves:
        reached = {state: next_.union(*(reached[one] for one in next_)) for state, next_ in reached.items()}
    return reached


#: A withdrawn attempt was none, and its number is used again.
_REACHABLE_ATTEMPTS = {
    state: reached | ({AttemptState.STARTED} | ATTEMPT_MOVES[AttemptState.STARTED] if state.name == "WITHDRAWN" else set())
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


# ---------------------------------------------------------------- the world


class Line(NamedTuple):
    """A connection with its carrier and senders: address to segments a second (None: 100)."""

    carrier: Carrier
    senders: Mapping[str, float | None]
    channel: Channel = Channel.SMS
    mps: float | None = None
    burst: float | None = None


class World:
    """A server without HTTP: store, engine, sweep and the connections that a test gives it."""

    def __init__(self, store: Watched, lines: Mapping[str, Line]) -> None:
        self.store = store
        self.lines = dict(lines)
        loop = asyncio.get_running_loop()
        self.engine = Engine(store, Metrics(), Clock(loop.time, lambda: EPOCH + int(loop.time() * 1e6)))
        self.sweeper = Sweeper(self.engine)
        self.account_id = 0
        #: The pool of all senders.
        self.pool: bytes = b""

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
        self.sweeper.start()
        for name in self.lines:
            await self.connect(name)

    async def declare(self, lines: Mapping[str, Line]) -> None:
        """Store these connections and their senders as all there are."""
        settings = [
            ConnectionSettings(
                name=name,
                type="scripted",
                mps=line.mps,
                burst=line.burst,
                senders=tuple(
                    SenderSettings(channel=line.channel, address=address, mps=mps or 100.0)
                    for address, mps in line.senders.items()
                ),
            )
            for name, line in lines.items()
        ]

        def script() -> Script[None]:
            yield from store_inventory(self.account_id, settings, self.engine.clock.wall())
            yield from ensure_hidden_pools(self.account_id, self.engine.clock.wall())

        await self._change(script)
        Supervisor(self.engine).gates(self.engine.roster)

    async def make_pool(self, sender_uids: Sequence[bytes]) -> bytes:
        """A pool of these senders; its uid."""
        new = NewPool("pool", {}, sender_uids)
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
        link.bucket.empty(self.now)
        self.engine.sending.links[key] = link
        await line.carrier.open(ConnectionInbox(self.engine, link, self.account_id))
        Supervisor(self.engine).gates(self.engine.roster)
        return link

    async def stop(self) -> None:
        """End in order; whatever was found wrong on the way is raised."""
        running = self.engine._running
        if running is not None and running.done():
            running.result()
        self.engine.drain()
        await self.sweeper.stop()
        for line in self.lines.values():
            if line.carrier.inbox is not None:
                await line.carrier.close()
        await self.engine.stop()

    async def send(
        self,
        *recipients: str,
        text: str = TEXT,
        origin: Origin | None = None,
        validity: int | None = None,
        category: Category = Category.TRANSACTIONAL,
        space: str = "P",
    ) -> Accepted:
        """Accept a request, from the pool of all senders where nothing else is said."""
        return await self.engine.accept(
            SendRequest(
                account_id=self.account_id,
                origin=origin or PoolOrigin(self.pool),
                recipients=[Recipient(recipient, space) for recipient in recipients],
                content=Content(text=text),
                validity=validity,
                category=category,
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
            return (yield Query(sql, args))

        return await self.store.read(script())

    async def states(self, operation: Accepted | None = None) -> Counter[str]:
        """How many messages are in each state, of one operation or of all; those in chunks count as QUEUED."""
        where = "" if operation is None else f" WHERE operation_id = {operation.operation_id}"
        found = Counter(
            {
                MessageState(state).name: count
                for state, count in await self.rows(f"SELECT state, count(*) FROM message{where} GROUP BY state")
            }
        )
        key = "" if operation is None else f" WHERE id = {operation.operation_id}"
        unexpanded = (await self.rows(f"SELECT sum(unexpanded) FROM operation{key}"))[0][0] or 0
        if unexpanded:
            found["QUEUED"] += unexpanded
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
        rows = await self.rows(
            "SELECT number FROM event WHERE subject_id = ? ORDER BY position", subject_id
        )
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


Opener = Callable[..., contextlib.AbstractAsyncContextManager[World]]


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "sendpool.db"
    migrate(path)
    return path


@pytest.fixture
def fresh(migrated: Path, tmp_path: Path) -> Path:
    """A migrated, empty file."""
    path = tmp_path / "sendpool.db"
    shutil.copyfile(migrated, path)
    return path


@contextlib.asynccontextmanager
async def world(path: Path, *, audit: bool = True, **lines: Line) -> AsyncIterator[World]:
    """A running world on a file; at the end nothing may have been wrong after any of its commits."""
    store = Watched(Sqlite(path, readers=1), audit=audit)
    made = World(store, lines)
    try:
        await made.start()
        yield made
        await made.stop()
        if not audit:
            await store.write(store.look())
        assert store.found == []
    finally:
        if made.engine._running is not None:
            made.engine._running.cancel()
        await made.sweeper.stop()
        await store.close()


def everywhere(account: AccountOrigin | AddressOrigin) -> Origin:
    """An origin that names no pool."""
    return account
