"""The engine: gather one batch, hand it to the writer whole, give back what it brought.

There is no timer: while a commit runs the next batch gathers, so the commit size sets itself and one fsync carries
hundreds of messages. One future per request or receipt batch, nothing per message. A batch is safe to run again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import structlog

from sendpool.connectors.base import Receipt, ReceiptState
from sendpool.domain.failures import FailureClass
from sendpool.domain.resolving import Pair, Question
from sendpool.domain.retry_budget import RetryBudget
from sendpool.domain.sender import Sender
from sendpool.domain.states import AttemptState
from sendpool.failpoints import ARMED, reach
from sendpool.metrics import Metrics
from sendpool.pipeline.accept import Acceptor
from sendpool.pipeline.acceptance import Acceptance
from sendpool.pipeline.backlog import Backlog
from sendpool.pipeline.batch import Batch, Brought, Waiting
from sendpool.pipeline.book import QueueBook
from sendpool.pipeline.claim import HORIZON, Claimed
from sendpool.pipeline.clock import Clock
from sendpool.pipeline.codes import CodeBook
from sendpool.pipeline.commit import Committing, reach_all
from sendpool.pipeline.company import Company
from sendpool.pipeline.consent import Consent
from sendpool.pipeline.crowd import Crowd
from sendpool.pipeline.echo import Echo
from sendpool.pipeline.expand import Expander
from sendpool.pipeline.fence import Alone, Fence, WriteBacks
from sendpool.pipeline.flagging import Filtered, Flagging
from sendpool.pipeline.intake import Intake
from sendpool.pipeline.launch import Launch
from sendpool.pipeline.links import Link
from sendpool.pipeline.listen import Listener
from sendpool.pipeline.pairs import pairs
from sendpool.pipeline.plan import Planner
from sendpool.pipeline.quarantine import Quarantine
from sendpool.pipeline.receive import Arrival
from sendpool.pipeline.roster import Roster
from sendpool.pipeline.send import Sending
from sendpool.pipeline.settle import (
    Changes,
    Result,
    Revoke,
    Told,
)
from sendpool.pipeline.waiter import StoreUnavailable, Waiter
from sendpool.pipeline.window import Windows
from sendpool.store.database import Database, FateUnknown, Script, Unit
from sendpool.store.idempotency import Key
from sendpool.tracing import TRACING

T = TypeVar("T")

log = structlog.get_logger()

#: Seconds before a failed commit is tried again, with what cannot be refused.
AFTER_FAILURE = 0.5
#: Seconds between two lines in the log while commits go on failing.
SAY_AGAIN = 60.0
#: Seconds that a commit may take before whoever waits is answered that the database does not.
PATIENCE = 5.0
#: Messages that a commit may be about, in all, where the loop may stand still for its statements: some 4 ms of work.
BRIEF = 256
#: Seconds for which commits are kept short after a small request: where one came, others follow.
AWAITED = 1.0
#: Such spans of patience for which a server that is to stop waits for a commit.
LAST_WAITS = 3
#: Failed commits after which a server that is to stop gives up.
LAST_TRIES = 10
#: The code of attempts that may have been begun by a commit of which nobody knows what became.
UNKNOWN_COMMIT = "commit"
#: Microseconds ahead within which what is scheduled wakes the sweep, which may be asleep for as long.
SOON = 1_000_000


SYSTEM_CLOCK = Clock(time.monotonic, lambda: time.time_ns() // 1000)


def _not_answered() -> StoreUnavailable:
    return StoreUnavailable("the database does not answer")


class Engine:
    """Owns the writer. Everything else puts things into its next batch and is woken by what they bring."""

    def __init__(self, database: Database, metrics: Metrics, clock: Clock = SYSTEM_CLOCK) -> None:
        self.database = database
        self.metrics = metrics
        self.clock = clock
        self.book = QueueBook()
        self.roster = Roster()
        self.acceptor = Acceptor(self.book, clock.wall)
        self.sending = Sending(self.book, self.wake, clock)
        self.limiter = self.sending.limiter
        self.planner = Planner(
            self.book, self.sending.links, self.sending.gates, self.sending.spreads, self.limiter, self.wake, clock
        )
        self.sending.closed = self.planner.restraint.close
        self.expander = Expander(self.acceptor)
        self.expander.window = self.sending.window
        self.backlog = Backlog()
        self.codes = CodeBook(metrics, self._link_name)
        self.windows = Windows(self.sending.gates)
        self.consent = Consent(lambda: self.roster)
        self.quarantine = Quarantine(clock.wall, metrics.quarantined.inc)
        self.listener = Listener(clock.wall)
        self.retries = RetryBudget()
        self.intake = Intake(self.acceptor, self.consent, self.backlog, self, database, clock)
        #: Knows which connections may be used: on PostgreSQL other nodes may have taken over.
        self.fence: Fence = Alone()
        #: Told of attempts that are to be taken back, after the commit that decided so.
        self.revoke: Callable[[list[Revoke]], None] = lambda _: None
        self.reach = self.sending.reach
        self.book.asks = self.sending.asks
        self.planner.unexpanded = self.expander.waiting
        self.flagging = Flagging(clock, self.expander, self.sweep, metrics.paused_operations.set)
        self.committing = Committing(
            clock,
            self.book,
            self.sending,
            self.acceptor,
            self.consent,
            self.quarantine,
            self.codes,
            self.windows,
            self.retries,
            self.flagging.paused,
            self.listener.says_nothing,
            self.planner.restraint.restrains,
            self._make_ready,
        )
        self._batch = Batch()
        self._company = Company()
        self._echo = Echo(self.sending.links, clock.monotonic)
        self._woken = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._draining = False
        self._stopping = False
        #: When to look again at what nobody could take.
        self._again: asyncio.TimerHandle | None = None
        #: Commits that failed since the last good one, and when (monotonic seconds) the log has said so.
        self._failures, self._said_at = 0, 0.0
        #: When a small request last came (monotonic seconds).
        self._awaited_at = -AWAITED
        #: A commit has had no answer for too long.
        self._stalled = False
        self.idle = asyncio.Event()
        #: Set when something was accepted that is due before the sweep would look again.
        self.soon = asyncio.Event()
        #: Set when people have written: keywords may be owed replies.
        self.heard = asyncio.Event()

    # ------------------------------------------------------------ put in

    def take(self, acceptance: Acceptance | Crowd, key: Key | None) -> None:
        """Store what requests come to; whoever waits for it is told when it is durable."""
        self.backlog.taken(acceptance.account_id, acceptance.total)
        if key is None:
            self._batch.accept(acceptance)
        else:
            assert isinstance(acceptance, Acceptance)
            self._batch.accept_keyed(acceptance, key)
        self._company.came(self._batch.requests)
        self._woken.set()
        reach("accept.waiting")

    def check_open(self) -> None:
        """Return if requests are taken. Raises `StoreUnavailable`."""
        if self._draining:
            raise StoreUnavailable("the server is shutting down")
        if self._stalled:
            raise _not_answered()

    def bring_numbers(self) -> None:
        """Have the next commit bring a block of integer keys."""
        self._batch.numbers = True
        self._woken.set()

    def has_pool(self, account_id: int, uid: bytes) -> bool:
        """Whether an account has a pool of this uid."""
        pool = self.roster.pool_by_uid.get(uid)
        return pool is not None and pool.account_id == account_id

    def pairs(self, account_id: int, question: Question) -> list[Pair[Sender]] | None:
        """The senders that could reach a human; None: the account has no such pool."""
        return pairs(self.roster, account_id, question)

    async def change(self, script: Callable[[], Script[T]]) -> T:
        """Run a cold change in the next commit. The roster is read again before this returns."""
        if self._stalled:
            raise _not_answered()
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._batch.units.append(Waiting(Unit(script), done))
        self._woken.set()
        return await done

    def receipts(self, link: Link, receipts: Sequence[Receipt]) -> asyncio.Future[None]:
        """Store receipts; the future resolves when they are durable."""
        if self._stalled:
            return self._acknowledged()
        batch = self._batch
        connection_id, awaiting = link.connection_id, link.awaiting
        for receipt in receipts:
            usual = awaiting.pop(receipt.carrier_id, None) if receipt.state is ReceiptState.DELIVERED else None
            if usual is not None:
                batch.delivered.append((*usual, connection_id, receipt))
            else:
                batch.told.append(Told(connection_id, receipt))
        self.sending.pulse.receipts(link, receipts)
        reach("receipt.heard")
        return self._acknowledged()

    def arrivals(self, arrivals: Sequence[Arrival]) -> asyncio.Future[None]:
        """Store inbound texts; the future resolves when they are durable."""
        self._batch.arrivals += arrivals
        return self._acknowledged()

    def results(self, results: Sequence[Result]) -> None:
        """Put results in that no connector will report (a rescued attempt, for one)."""
        self._batch.results += results
        self._woken.set()

    def sweep(self, *steps: Callable[[Changes], Script[Any]]) -> None:
        """Run housekeeping in the next commit; each step gathers changes like any settlement."""
        self._batch.sweep += steps
        self._woken.set()

    async def settle(self, stage: Callable[[Changes], Script[Any]]) -> None:
        """Run one stage that gathers changes in the next commit; returns when it is durable."""
        done = self._acknowledged()
        self._batch.sweep.append(stage)
        await done

    def _acknowledged(self) -> asyncio.Future[None]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._stalled:
            # Carriers say it again; what is in the batch already is no news then.
            done.set_exception(_not_answered())
            return done
        self._batch.acknowledge.append(done)
        self._woken.set()
        return done

    def wake(self) -> None:
        """Look again at what can be sent."""
        self._woken.set()

    # ------------------------------------------------------------ run

    def start(self) -> None:
        """Begin to commit."""
        self._loop = asyncio.get_running_loop()
        self._running = self._loop.create_task(self._run(), name="engine")

    async def wait_ended(self) -> None:
        """Return when the engine has stopped; raises what made it fail, which only a fault of ours can."""
        if self._running is not None:
            await asyncio.shield(self._running)

    def drain(self) -> None:
        """Take no new request and start no new attempt; what is under way goes on."""
        self._draining = True
        self.sending.halt()

    async def stop(self) -> None:
        """Commit what is there, and end. What a disk that stays full does not take is of unknown fate afterwards."""
        self._draining = self._stopping = True
        self._woken.set()
        waits = LAST_WAITS
        while self._running is not None and not self._running.done():
            await asyncio.wait([self._running], timeout=PATIENCE)
            waits -= self._stalled
            if waits <= 0:
                self._running.cancel()
        if self._running is not None and not self._running.cancelled():
            self._running.result()

    async def _run(self) -> None:
        tries = LAST_TRIES
        while tries:
            await self._woken.wait()
            await self._company.gather(self._batch.requests)
            await self._echo.gather(self._woken, self._may_wait)
            self._woken.clear()
            batch = self._gather()
            if not batch:
                self.book.unsave(batch.queues)
                self.planner.scenes.unsave(batch.scenes)
                if self._stopping:
                    return
                self.idle.set()
                continue
            self.idle.clear()
            stored = await self._commit(batch)
            if self._stopping:
                # Nothing else may wake it any more.
                self._woken.set()
                tries -= not stored

    def _may_wait(self) -> bool:
        """Whether the next commit is of nobody's but the carriers'."""
        return self._batch.only_reports and not self._draining

    def _gather(self) -> Batch:
        batch, self._batch = self._batch, Batch()
        sending, planner = self.sending, self.planner
        batch.results += sending.results
        sending.said.put_back(batch.said)
        batch.said = sending.said
        sending.results, sending.said = [], WriteBacks()
        entered: defaultdict[int, int] = defaultdict(int)
        now = self.clock.monotonic()
        for acceptance in batch.accepted():
            if not acceptance.chunks:
                self._awaited_at = now
            # Its rows may be claimed in the very commit that makes them.
            sending.contexts.update(acceptance.contexts())
            for row in acceptance.rows:
                entered[row[0]] += 1
        for queue_id, rows in entered.items():
            self.book.add(queue_id, rows)
        # On a shared database the way to it is most of a commit: shorter ones would only be more.
        short = not self.fence.shared and now - self._awaited_at < AWAITED
        batch.expansions = self.expander.next(short=short)
        batch.brief = short and batch.size() + self.book.total() <= BRIEF
        if not self._draining:
            planner.scenes.turn(self.clock.wall(), self.clock.monotonic())
            batch.claims = planner.plan(short=short)
        batch.queues = self.book.unsaved()
        batch.scenes = planner.scenes.unsaved(self.clock.wall())
        if batch and self.acceptor.numbers.low:
            batch.numbers = True
        return batch

    async def _commit(self, batch: Batch) -> bool:
        """False: it failed."""
        began = time.monotonic()
        trace = TRACING.batch("commit")
        try:
            with self._watched(batch):
                brought = await self.database.write(
                    partial(self.committing.apply, batch, self.fence, trace), brief=batch.brief
                )
        except Exception as error:  # noqa: BLE001 - whatever the database says, nobody may wait for ever
            trace.ends(type(error).__name__)
            self._note_failure(error)
            if isinstance(error, FateUnknown):
                self._doubt(error.result)
            self._fail(batch, error)
            self._company.answered(0, 0)
            await asyncio.sleep(AFTER_FAILURE)
            return False
        if self._failures and (batch.accepts or batch.told or batch.claims):
            log.info("commits succeed again", failures=self._failures)
            self._failures = 0
        started = sum([len(one.started) for one in brought.claimed])
        self._company.answered(batch.requests, started)
        trace.ends(accepted=batch.requests, results=len(batch.results), reported=len(batch.told), started=started)
        self.metrics.commit(time.monotonic() - began, len(batch.results) + len(batch.told) + batch.requests)
        if ARMED:
            reach_all(batch, brought.claimed, "committed")
        self._give_back(batch, brought)
        return True

    @contextlib.contextmanager
    def _watched(self, batch: Batch) -> Iterator[None]:
        """Let nobody wait long for a database that does not answer."""
        timer = asyncio.get_running_loop().call_later(PATIENCE, self._stall, batch)
        try:
            yield
        finally:
            timer.cancel()
            self._stalled = False

    def _stall(self, batch: Batch) -> None:
        """A commit takes too long: whoever waits for it or comes after it is answered at once.

        What the commit carries may still be stored. What waits behind it is not, and is dropped.
        """
        self._stalled = True
        log.error("the database does not answer", seconds=PATIENCE)
        self._answer(batch, _not_answered())
        waiting, self._batch = self._batch, Batch()
        self._keep(waiting)
        self._answer(waiting, _not_answered())
        for acceptance in waiting.accepted():
            self._not_stored(acceptance, _not_answered())

    def _answer(self, batch: Batch, error: Exception) -> None:
        for future in (*(w.done for w in batch.units), *batch.acknowledge):
            _resolve(future, error)
        for acceptance in batch.accepted():
            _resolve(acceptance.done, error)

    def _doubt(self, brought: Brought) -> None:
        """Nobody knows whether these attempts were begun; none has left. Those that were are of unknown fate now."""
        doubt = (AttemptState.AMBIGUOUS, FailureClass.AMBIGUOUS, UNKNOWN_COMMIT)
        for claimed in brought.claimed:
            for one in claimed.started:
                self._batch.results.append(
                    Result(one.row.message_id, one.n, *doubt, rank=one.row.rank, epoch=one.epoch)
                )

    def _note_failure(self, error: Exception) -> None:
        """Count it, and say it once a minute: a disk that is full stays so for a while."""
        now = self.clock.monotonic()
        self._failures += 1
        self.metrics.failed_commit()
        if self._failures == 1 or now - self._said_at >= SAY_AGAIN:
            self._said_at = now
            log.error("commit failed", error=str(error), failures=self._failures)

    def _make_ready(self, launch: Launch) -> None:
        """The loop has time for it while the disk takes the commit."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(launch.make_ready, self.clock.monotonic())

    def _give_back(self, batch: Batch, brought: Brought) -> None:
        if brought.block is not None:
            self.acceptor.numbers.add(brought.block)
        if brought.roster is not None:
            self.use_roster(brought.roster)
        for waiting, result in zip(batch.units, brought.units, strict=True):
            _resolve(waiting.done, result)
        for acceptance in batch.accepts:
            self._stored(acceptance)
        for (acceptance, _), undone in zip(batch.keyed, brought.keyed, strict=True):
            if undone is None:
                self._stored(acceptance)
                self.metrics.accepted(1, acceptance.operation.total)
            else:
                self._not_stored(acceptance, undone)
        for done in batch.acknowledge:
            _resolve(done, None)
        if batch.arrivals:
            self.heard.set()
        self.flagging.settled(Counter({Filtered(*key): n for key, n in brought.filtered.items()}), brought.tally)
        for sender_id, address, lasting in brought.unreached:
            self.reach.learn(sender_id, address, reachable=False, lasting=lasting)
        accepted = sum([len(one.operations) for one in batch.accepts])
        self.metrics.accepted(accepted, sum([one.total for one in batch.accepts]))
        self._send_on(batch, brought)

    def _stored(self, acceptance: Acceptance | Crowd) -> None:
        self.backlog.stored(acceptance.account_id, acceptance.total)
        if isinstance(acceptance, Acceptance):
            if self.fence.keeper:
                self.expander.accepted(acceptance)
            if (due := acceptance.operation.scheduled_for) is not None and due < self.clock.wall() + SOON:
                self.soon.set()
        _resolve(acceptance.done, acceptance.accepted())

    def _not_stored(self, acceptance: Acceptance | Crowd, error: Exception) -> None:
        self.backlog.dropped(acceptance.account_id, acceptance.total)
        for row in acceptance.rows:
            self.book.add(row[0], -1)
        for operation in acceptance.operations:
            self.sending.contexts.pop(operation.id, None)
        _resolve(acceptance.done, error)

    def _note_turns(self, claimed: Claimed) -> None:
        """How far the fair clock has come; and each lane that few senders take, which may lag behind it."""
        clock = self.acceptor.fair_clock(claimed.claim.pool_id, claimed.claim.channel)
        if claimed.started:
            clock.claimed(max([one.row.rank for one in claimed.started]))
        lanes = {queue.id for queue in claimed.claim.queues if queue.takers is not None}
        if not lanes:
            return
        for queue_id, how_far in claimed.passed:
            if how_far is not None and queue_id in lanes:
                # The last row that was claimed, or the first that waits.
                clock.stands(queue_id, max(how_far.to, next(iter(how_far.left), how_far.to))[0])
        for queue_id, _, _, empty in claimed.taken:
            if empty:
                clock.emptied(queue_id)

    def _send_on(self, batch: Batch, brought: Brought) -> None:
        """Tell the stages what became due and what was started."""
        for row in brought.due:
            self.book.add(row[0], 1)
        for expansion, rows, queued in brought.expanded:
            self.expander.expanded(expansion, rows, queued)
        for claimed in brought.claimed:
            self.expander.claimed(claimed)
            self.book.heads.committed(claimed.passed)
            self._note_turns(claimed)
            if claimed.started:
                first = sum([one.n == 1 for one in claimed.started])
                self.retries.began(claimed.claim.channel, first, self.clock.monotonic())
            self.sending.count(claimed)
        if any(one.started for one in brought.claimed):
            # Behind the next commit's way to the writer, which has nothing to do until it comes.
            asyncio.get_running_loop().call_soon(self.sending.launch, brought.launch)
        if brought.revokes:
            self.revoke([one for one in brought.revokes if not self.fence.leaves_to(one.connection_id)])
        self.metrics.unmatched(brought.unmatched)
        if brought.due or batch.accepts or batch.keyed or batch.expansions or any(one.moved for one in brought.claimed):
            self._woken.set()
        elif batch.claims:
            # Nobody could take what waits (a long message, say): look again when its time may have come.
            # One timer, whatever else wakes the engine meanwhile: each would keep itself going.
            if self._again is not None:
                self._again.cancel()
            self._again = asyncio.get_running_loop().call_later(HORIZON / 2, self.wake)

    def _fail(self, batch: Batch, error: Exception) -> None:
        """Tell who waits; keep what cannot be refused, since the carrier has already done it."""
        refused = StoreUnavailable(f"the database did not take it: {error}")
        self.book.unsave(batch.queues)
        self.planner.scenes.unsave(batch.scenes)
        self.limiter.undone()
        for future in (*(w.done for w in batch.units), *batch.acknowledge):
            _resolve(future, refused)
        for acceptance in batch.accepted():
            self._not_stored(acceptance, refused)
        self.expander.failed(batch.expansions)
        self._keep(batch)
        self._woken.set()

    def _keep(self, batch: Batch) -> None:
        """Put into the next commit what a carrier has done already."""
        self._batch.results = batch.results + self._batch.results
        self._batch.said.put_back(batch.said)

    def _link_name(self, connection_id: int) -> str:
        link = self.sending.links.get(connection_id)
        return link.name if link else "gone"

    def use_roster(self, roster: Roster) -> None:
        """Take over a new picture of senders and pools."""
        self.limiter.release = True
        self.committing.fallbacks.forget(set(roster.pools))
        self.roster = self.acceptor.roster = self.sending.roster = self.planner.roster = roster
        self.sending.launcher.roster = roster
        # What waits for a sender that takes nothing any more is planned anew at once.
        self.soon.set()


def _resolve(future: asyncio.Future[Any] | Waiter[Any], result: Any) -> None:
    """Answer whoever waits, if he still does."""
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
