"""Committing: all that one commit does in the database, in one script. Runs where the writer runs, which need not be
the event loop: it reads what belongs to the loop, and leaves what is to be changed there to what it brings back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from sendpool.domain.explanation import UNREACHED, WINDOW_CLOSED
from sendpool.domain.fallback_share import FallbackFlows
from sendpool.domain.message import Category
from sendpool.domain.retry_budget import RetryBudget
from sendpool.domain.sender import Channel
from sendpool.failpoints import ARMED, reach
from sendpool.pipeline.accept import Acceptor
from sendpool.pipeline.acceptance import insert_acceptances, insert_keyed
from sendpool.pipeline.batch import Batch, Brought
from sendpool.pipeline.book import QueueBook
from sendpool.pipeline.capability import NOT_REACHABLE
from sendpool.pipeline.claim import Claim, Claimed, claim_due
from sendpool.pipeline.clock import Clock
from sendpool.pipeline.codes import CodeBook
from sendpool.pipeline.consent import RULE as SUPPRESSED
from sendpool.pipeline.consent import Consent
from sendpool.pipeline.decide import EXPIRED_RULE, Bench, decide, expire
from sendpool.pipeline.fence import Fence, News, store_segments, usable, used
from sendpool.pipeline.launch import Launch
from sendpool.pipeline.quarantine import NOT_ON_CHANNEL, Quarantine, leave_barred
from sendpool.pipeline.receive import store_arrivals
from sendpool.pipeline.roster import Roster, load_roster
from sendpool.pipeline.send import Sending
from sendpool.pipeline.settle import (
    Changes,
    Revoke,
    Usual,
    settle_parked,
    settle_receipts,
    settle_results,
    settle_usual,
)
from sendpool.pipeline.sieve import Guards
from sendpool.pipeline.wait import decide_waits
from sendpool.pipeline.window import WINDOW_RULE, Windows
from sendpool.store.chunks import Expanded, expand_chunk
from sendpool.store.codes import count_codes
from sendpool.store.counters import add_to, count
from sendpool.store.database import Script, Unit
from sendpool.store.numbers import take_block
from sendpool.store.queue import QueueRow, insert_queues
from sendpool.store.scenes import insert_scenes
from sendpool.tracing import Trace

T = TypeVar("T")


@dataclass
class Committing:
    """Writes the scripts of commits, which come one after another."""

    clock: Clock
    book: QueueBook
    sending: Sending
    acceptor: Acceptor
    consent: Consent
    quarantine: Quarantine
    codes: CodeBook
    windows: Windows
    retries: RetryBudget
    #: Operations that are paused.
    paused: Collection[int]
    #: As `Bench` has them.
    says_nothing: Callable[[int, int], bool]
    restrains: Callable[[int, int, str], bool]
    #: Told of what has been started, while the disk takes the commit; nothing may leave before that is over.
    make_ready: Callable[[Launch], None]
    fallbacks: FallbackFlows = field(default_factory=FallbackFlows)
    #: Whether a receipt may be waiting for its segment; if not, new ids need not look.
    _parked: bool = True

    def apply(self, batch: Batch, fence: Fence, trace: Trace) -> Script[Brought]:
        """The whole commit, in an order in which each part sees what the earlier ones wrote."""
        now = self.clock.wall()
        trace.begins("accept")
        if batch.queues:
            yield from insert_queues(batch.queues)
        if batch.scenes:
            yield from insert_scenes(batch.scenes)
        block = (yield from take_block()) if batch.numbers else None
        units = []
        for waiting in batch.units:
            units.append((yield waiting.unit))
        roster = (yield from load_roster()) if batch.units else None
        bench = self.bench(now, roster)
        if batch.accepts:
            yield from insert_acceptances(batch.accepts)
        keyed = []
        for acceptance, key in batch.keyed:
            keyed.append((yield Unit(partial(insert_keyed, acceptance, key, now))))
        if batch.arrivals:
            yield from store_arrivals(batch.arrivals, now, self.consent.keep)
        due: list[QueueRow] = []
        claims = batch.claims if fence.shared else ()
        held = yield from fence.held(used(batch.said, claims))
        trace.begins("settle")
        unmatched = yield from self._settle_all(batch, held, bench, due)
        trace.begins("expand")
        expanded = []
        for expansion in batch.expansions:
            expanded.append((expansion, *(yield from expand_chunk(expansion, now))))
        claims = usable(batch.claims, held) if fence.shared else batch.claims
        self._note_entered(batch, due, expanded)
        before = len(due)
        trace.begins("claim")
        claimed = yield from self._claim_all(claims, bench, due)
        self.book.heads.entered(due[before:])
        yield from count(bench.tally, now)
        # Decisions above may have opened lanes; a row in a queue without a name would be lost by a restart.
        opened = self.book.unsaved()
        if opened:
            batch.queues += opened
            yield from insert_queues(opened)
        if ARMED:
            reach_all(batch, claimed, "applied")
        trace.begins("tell")
        yield from self._tell(fence, batch, due, bench.revokes, expanded)
        trace.begins("store")
        launch = Launch(self.sending.launcher, claimed)
        if any(one.started for one in claimed):
            self.make_ready(launch)
        told = (bench.revokes, block, bench.filtered, bench.unreached, bench.tally)
        return Brought(units, keyed, roster, expanded, claimed, launch, due, unmatched, *told)

    def _note_entered(self, batch: Batch, due: Sequence[QueueRow], expanded: Sequence[Expanded]) -> None:
        """What this commit puts into queues its claims are to see."""
        heads = self.book.heads
        if heads.on:
            heads.entered(due)
            for acceptance in batch.accepted():
                heads.entered(acceptance.rows)
            for expansion, _, placed in expanded:
                for queue_id, rank in expansion.lowest(placed):
                    heads.entered_from([queue_id], rank)

    def _claim_all(self, claims: Iterable[Claim], bench: Bench, due: list[QueueRow]) -> Script[list[Claimed]]:
        """Start what the claims may, end what is not to be sent any more, and note how long the longest text is."""
        claimed = []
        longest = 1
        whom = (self._off_channel, partial(self.windows.watched, self.sending.roster))
        guards = Guards(self.consent, self.quarantine, self.paused, *whom)
        for claim in claims:
            one = yield from claim_due(claim, self.sending.contexts, self.sending.references, self.clock, guards)
            for rows, rule in ((one.stopped, SUPPRESSED), (one.expired, EXPIRED_RULE)):
                if rows:
                    yield from self._settle(partial(expire, [row.message_id for row in rows], rule=rule), bench, due)
            if one.unreached:
                rule = NOT_REACHABLE if claim.channel is Channel.RCS else NOT_ON_CHANNEL
                stage = partial(leave_barred, one.unreached, bench, noted=UNREACHED, rule=rule)
                yield from self._settle(stage, bench, due)
            if one.shut:
                stage = partial(leave_barred, one.shut, bench, noted=WINDOW_CLOSED, rule=WINDOW_RULE)
                yield from self._settle(stage, bench, due)
            if one.barred:
                yield from self._settle(partial(leave_barred, one.barred, bench), bench, due)
            if one.started:
                longest = max(longest, *[start.row.cost for start in one.started])
            claimed.append(one)
        yield from self.sending.limiter.started(longest, bench.now)
        return claimed

    def _tell(
        self,
        fence: Fence,
        batch: Batch,
        due: Sequence[QueueRow],
        revokes: Sequence[Revoke],
        expanded: Sequence[Expanded],
    ) -> Script[None]:
        """Let other processes know what this commit brings."""
        opted_out, self.consent.unsaid = self.consent.unsaid, False
        if fence.company:
            yield from fence.tell(_news(batch, due, revokes, expanded)._replace(consent=opted_out))

    def _settle_all(self, batch: Batch, held: Collection[int], bench: Bench, due: list[QueueRow]) -> Script[int]:
        """Results before receipts, so that a receipt finds its segment. Brings how many receipts found none."""
        unmatched = 0
        yield from store_segments(batch.said, held)
        results, told = yield from settle_usual(Usual(batch.said.usual(held), batch.delivered), bench.now, bench.tally)
        results += batch.said.unusual(held)
        if batch.results or results:
            yield from self._settle(partial(settle_results, batch.results + results), bench, due)
        if self._parked and (segments := batch.said.all_segments()):
            self._parked = yield from self._settle(partial(settle_parked, segments), bench, due)
        if batch.told or told:
            unmatched = yield from self._settle(partial(settle_receipts, batch.told + told), bench, due)
            self._parked = self._parked or unmatched > 0
        for step in batch.sweep:
            yield from self._settle(step, bench, due)
        return unmatched

    def _settle(self, stage: Callable[[Changes], Script[T]], bench: Bench, due: list[QueueRow]) -> Script[T]:
        """Run one stage that gathers changes, decide what follows from its endings, and write it all."""
        changes = Changes(bench.now)
        result = yield from stage(changes)
        yield from decide(changes, bench)
        yield from decide_waits(changes, bench)
        yield from changes.write()
        if changes.codes:
            yield from count_codes(self.codes.note(changes.codes), bench.now)
        if changes.refusals:
            yield from self.quarantine.note(changes.refusals, bench.now)
        if changes.opt_outs:
            yield from self.consent.keep(changes.opt_outs, bench.now)
        add_to(bench.tally, changes.deltas)
        due += changes.due
        bench.revokes.extend(changes.revokes)
        bench.filtered.update(changes.filtered)
        bench.unreached.extend(changes.unreached)
        return result

    def settled(self, stage: Callable[[Changes], Script[T]]) -> Script[T]:
        """A stage with the decisions that follow from it, as one script: for what runs before the engine does."""
        bench = self.bench(self.clock.wall())
        result = yield from self._settle(stage, bench, [])
        yield from count(bench.tally, bench.now)
        return result

    def bench(self, now: int, roster: Roster | None = None) -> Bench:
        """What decisions may look at."""
        sending = self.sending
        rules = (self._fallback_rank, self.consent, self.retries)
        whom = (sending.revocable, sending.repairs, sending.reaches, self.says_nothing, self.restrains)
        times = (now, self.clock.monotonic())
        fresh: tuple[Any, ...] = (Counter(), [], {}, Counter(), [])
        return Bench(roster or sending.roster, self.book, sending.free_at, *whom, *rules, *times, *fresh)

    def _fallback_rank(self, queue_id: int, category: Category, cost: int) -> int:
        """Commits come one after another, so that these flows need no lock; the fair clock is only read."""
        key = self.book.keys[queue_id]
        line = (key.pool_id, Channel(key.channel))
        virtual, lag = self.acceptor.fair_clock(*line).virtual, self.acceptor.lag(*line, queue_id)
        return self.fallbacks.rank(line, category, cost, virtual, queue_id, lag)

    def _off_channel(self, pool_id: int, channel: Channel) -> Callable[[str], bool] | None:
        """What tells whether it is known of every sender of a pool that an address is not on a channel."""
        if not self.sending.reach.refusals:
            return None
        return partial(
            self.sending.reach.nobody, [sender.id for sender, _ in self.sending.roster.members(pool_id, channel)]
        )


def reach_all(batch: Batch, claimed: Sequence[Claimed], place: str) -> None:
    """Be at the points of everything that a batch carries."""
    carried = {
        "accept": batch.accepts or batch.keyed,
        "change": batch.units,
        "expansion": batch.expansions,
        "claim": any(one.started for one in claimed),
        "result": batch.results or batch.said,
        "receipt": batch.told or batch.delivered,
        "sweep": batch.sweep,
    }
    for what, is_there in carried.items():
        if is_there:
            reach(f"{what}.{place}")


def _news(batch: Batch, due: Sequence[QueueRow], revokes: Sequence[Revoke], expanded: Sequence[Expanded]) -> News:
    accepted = batch.accepted()
    queues: dict[int, int] = {}
    for rows in (*(acceptance.rows for acceptance in accepted), due):
        for row in rows:
            if row[1] < queues.get(row[0], row[1] + 1):
                queues[row[0]] = row[1]
    for expansion, _, placed in expanded:
        for queue_id, rank in expansion.lowest(placed):
            queues[queue_id] = min(rank, queues.get(queue_id, rank))
    wanted = any(one.chunks or one.operations[0].scheduled_for is not None for one in accepted)
    return News(queues, bool(batch.units), wanted, [(one.message_id, one.n, one.connection_id) for one in revokes])
