"""Claim due rows of a pool, deal them to its senders and make their attempts durable: one step of one commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple

from sendpool.domain.bounded import Asked, BoundOffer, Held, Refusals, deal_bounded
from sendpool.domain.bounded import hold as hold_back
from sendpool.domain.dealing import Dealt, Offer, References, deal
from sendpool.domain.failures import Repair
from sendpool.domain.low_water import LowWater, Passed
from sendpool.domain.message import at_step
from sendpool.domain.policy import PoolRules
from sendpool.domain.quarantine import Place
from sendpool.domain.quiet import QuietHours
from sendpool.domain.scopes import Moment
from sendpool.domain.sender import Channel
from sendpool.domain.tuples import maker
from sendpool.pipeline.clock import Clock
from sendpool.pipeline.countries import country_of
from sendpool.pipeline.holding import hold_limited
from sendpool.pipeline.limiting import Limiter
from sendpool.pipeline.repair import repair_of, repeated
from sendpool.pipeline.settle import AHEAD
from sendpool.pipeline.sieve import Guards, Sieved, sieve
from sendpool.store.attempts import PastAttempt, mark_attempts
from sendpool.store.begun import NewAttempt, start_attempts
from sendpool.store.database import Script
from sendpool.store.messages import Context, load_contexts, load_names, load_variables
from sendpool.store.pauses import hold_rows
from sendpool.store.quarantine import note_trials
from sendpool.store.queue import DueRow, head, postpone, remove_head, remove_of_head

#: Seconds before its time that a row may be claimed: shorter, and late wake-ups lose throughput.
HORIZON = 0.05
#: Rows that a claim looks at, at least: those that need no attempt any more go together, not each in a commit.
LOOK = 100
#: The same where some sender's health keeps rows to one country waiting, so that those to others are seen behind them.
LOOK_PAST = 500
#: Rows that a claim looks at behind those that there is room for where one sender has many lanes beside it.
LOOK_IN_LANE = 10


class Queue(NamedTuple):
    """A queue with rows of a pool."""

    id: int
    #: Who takes its rows; None: any of the pool's senders.
    takers: frozenset[int] | None
    #: It is kept for one sender, so that it holds few rows that need no attempt any more.
    lane: bool = False
    #: Where it begins; None: at its first row, whatever has gone before.
    mark: LowWater | None = None


class Tier(NamedTuple):
    """Senders of one tier, and the segments that they may take before the grace of a row is over."""

    sender_ids: frozenset[int]
    spare: float


class Claim(NamedTuple):
    """What one pool may send on one channel now."""

    pool_id: int
    channel: Channel
    queues: Sequence[Queue]
    offers: Sequence[Offer]
    #: The number of the scene: what the pool looks like now.
    scene: int | None = None
    #: When the pool sends nothing, by the recipient's clock.
    quiet: QuietHours | None = None
    #: The tiers of the pool, the best first; empty where there is one.
    tiers: Sequence[Tier] = ()
    #: Microseconds that a row waits for a better tier.
    grace: int = 0
    #: Where named scopes or lasting limits bound an offer: what counts them.
    limiter: Limiter | None = None
    #: What the pool decides in place of the policies of categories.
    rules: PoolRules | None = None
    #: Of a large pool only some are asked: the lowest place of these (`spread.Spread`). None: all are asked.
    level: float | None = None
    #: Nobody but the offers could take a row of the pool, so that one which limits refuse to them all has to wait.
    all_in: bool = False


class Started(NamedTuple):
    """A row that became an attempt; its bytes may leave at `departure` (monotonic seconds)."""

    row: DueRow
    n: int
    sender_id: int
    connection_id: int
    reference: int
    departure: float
    context: Context
    #: The attempt by whose id a carrier is to know it: its own, or that of unknown fate which it repeats.
    named: int
    #: The recipient's name beside an email address.
    name: str | None = None
    #: Values for what the operation says, where it is personal.
    variables: Mapping[str, str] | None = None
    #: Of the tenure of its connection under which it was started.
    epoch: int = 0
    #: The changed form to send it in, as was decided after an earlier attempt, or since it is `ahead`.
    repair: Repair | None = None
    #: It is known that its carrier would refuse it as it is.
    ahead: bool = False


_started_of, _new_attempt_of = maker(Started), maker(NewAttempt)


class Claimed(NamedTuple):
    """What a claim brought."""

    claim: Claim
    started: list[Started]
    #: Rows that need no attempt any more: their message ended, or their time is over.
    expired: list[DueRow]
    #: (queue, rows taken out, rows seen, True: it is empty now).
    taken: list[tuple[int, int, int, bool]]
    #: Rows that wait until it is no quiet hour any more.
    postponed: Sequence[DueRow] = ()
    #: Rows whose recipients have opted out since they were accepted.
    stopped: Sequence[DueRow] = ()
    #: Rows whose addresses are in quarantine on their channel.
    barred: Sequence[DueRow] = ()
    #: Rows whose recipients are not on the channel.
    unreached: Sequence[DueRow] = ()
    #: How far it has come, by queue; None: it saw nothing there.
    passed: Sequence[tuple[int, Passed | None]] = ()
    #: Rows whose recipients have not written to any sender of the pool lately, as all of them need.
    shut: Sequence[DueRow] = ()

    @property
    def unsent(self) -> list[DueRow]:
        """Rows that left their queues without an attempt, other than those of messages that had ended before."""
        return [*self.expired, *self.postponed, *self.stopped, *self.barred, *self.unreached, *self.shut]

    @property
    def moved(self) -> bool:
        """Whether any row left its queue."""
        return any(rows for _, rows, _, _ in self.taken)


class _Looked(NamedTuple):
    """What a look at one queue brought."""

    started: list[Started]
    sieved: Sieved
    #: Rows that wait for the end of a quiet hour, for a limit, or for somebody who lets them go on.
    postponed: list[DueRow]
    #: How many rows have left the queue.
    gone: int
    passed: Passed | None


def claim_due(
    claim: Claim, contexts: dict[int, Context], references: References, clock: Clock, guards: Guards
) -> Script[Claimed]:
    """Take as many due rows as the offers have room for, in rank order, and start their attempts.

    *contexts* holds what is known of operations; what is missing is read and added.
    """
    if claim.limiter is not None:
        yield from claim.limiter.prepare(clock.wall())
    started: list[Started] = []
    expired: list[DueRow] = []
    postponed: list[DueRow] = []
    stopped: list[DueRow] = []
    barred: list[DueRow] = []
    unreached: list[DueRow] = []
    shut: list[DueRow] = []
    suspected: dict[int, Place] = {}
    taken: list[tuple[int, int, int, bool]] = []
    passed: list[tuple[int, Passed | None]] = []
    for queue_id, lane, rows, offers, look in (yield from _heads(claim)):
        room = _room(offers)
        if room <= 0:
            continue  # Another queue, whose head is before its own, has had it.
        table = _Table(claim, offers, room, all_in=claim.all_in and not lane)
        outcome = yield from _start(table, queue_id, rows, contexts, references, clock, guards)
        started += outcome.started
        expired += outcome.sieved.expired
        postponed += outcome.postponed
        stopped += outcome.sieved.stopped
        barred += outcome.sieved.barred
        unreached += outcome.sieved.unreached
        shut += outcome.sieved.shut
        suspected |= outcome.sieved.suspected
        taken.append((queue_id, outcome.gone, len(rows), outcome.gone == len(rows) < look))
        passed.append((queue_id, outcome.passed))
    if claim.limiter is not None:
        yield from claim.limiter.save()
    if claim.channel is Channel.EMAIL:
        started = yield from _named(started)
    if any(one.context.personal for one in started):
        started = yield from _personal(started)
    at = clock.wall()
    yield from start_attempts(_new_attempts(claim, started, at))
    if suspected:
        tried = [(one.row.message_id, one.n) for one in started if one.row.message_id in suspected]
        yield from note_trials([(key * 64 + n, suspected[key]) for key, n in tried])
    if claim.channel is Channel.WHATSAPP:
        yield from mark_attempts([(one.row.message_id, one.n) for one in started if one.ahead], AHEAD)
    return Claimed(claim, started, expired, taken, postponed, stopped, barred, unreached, passed, shut)


class _Head(NamedTuple):
    """The first rows of a queue, as many as were looked at, and who could take them."""

    queue_id: int
    #: It is for one sender alone.
    lane: bool
    rows: list[DueRow]
    offers: list[Offer]
    look: int


def _heads(claim: Claim) -> Script[list[_Head]]:
    """What the queues of a pool begin with; the one whose first row has waited longest for its turn goes first."""
    found: list[_Head] = []
    for queue in claim.queues:
        offers = [one for one in claim.offers if queue.takers is None or one.sender_id in queue.takers]
        room = _room(offers)
        if room <= 0:
            continue
        look = room + LOOK_IN_LANE if queue.lane else max(room, _least(offers))
        rows = yield from head(queue.id, look, queue.mark.begin(look) if queue.mark is not None else None)
        found.append(_Head(queue.id, queue.lane, rows, offers, look))
    if len(found) > 1:
        found.sort(key=lambda one: one.rows[0].rank if one.rows else 0)
    return found


def _least(offers: Sequence[Offer]) -> int:
    return LOOK_PAST if any(offer.trickles or isinstance(offer, BoundOffer) for offer in offers) else LOOK


def _room(offers: Sequence[Offer]) -> int:
    """Segments that these may start together."""
    in_flight = sum({offer.link: offer.link.room for offer in offers}.values())
    return min(sum(min(offer.room, offer.slots) for offer in offers), in_flight)


def _named(started: Sequence[Started]) -> Script[list[Started]]:
    """The same with the names of their recipients, which only emails carry."""
    names = yield from load_names([one.row.message_id for one in started])
    return [one._replace(name=names.get(one.row.message_id)) for one in started]


def _personal(started: Sequence[Started]) -> Script[list[Started]]:
    """The same with their variables, where their operations have any use for them."""
    ids = [one.row.message_id for one in started if one.context.personal]
    found = yield from load_variables(ids)
    return [one._replace(variables=found.get(one.row.message_id)) for one in started]


def _new_attempts(claim: Claim, started: Sequence[Started], at: int) -> list[NewAttempt]:
    channel, scene = claim.channel.value, claim.scene
    return [
        _new_attempt_of(
            (
                one.row.message_id,
                one.n,
                one.sender_id,
                one.connection_id,
                channel,
                one.row.cost,
                one.reference,
                scene,
                at,
                one.row.step,
                one.epoch,
            )
        )
        for one in started
    ]


class _Table(NamedTuple):
    """Who takes rows of one queue: the offers, together for this many segments."""

    claim: Claim
    offers: Sequence[Offer]
    room: int
    #: Nobody but the offers could take a row.
    all_in: bool

    def deal(self, rows: Sequence[DueRow], clock: Clock) -> tuple[list[Dealt], list[Held]]:
        """Give rows to senders; those that limits refuse are passed by, or held where that goes for everybody."""
        moment = Moment(clock.monotonic(), clock.wall())
        dealt, refused = self._deal_tiers(rows, moment) if self.claim.tiers else self._deal(rows, moment)
        return dealt, hold_back(_asked(rows), refused, moment) if refused else []

    def _deal(self, rows: Sequence[DueRow], moment: Moment) -> tuple[list[Dealt], Sequence[Refusals]]:
        now = moment.now
        if self.claim.limiter is not None:
            return deal_bounded(_asked(rows), self.offers, moment, HORIZON, all_in=self.all_in)
        if len(self.offers) > 1 and any(offer.trickles for offer in self.offers):
            # What one country's senders cannot take for now must not hold up the others.
            return deal(rows, self.offers, now, HORIZON, _country), ()
        return deal(rows[: self.room] if len(rows) > self.room else rows, self.offers, now, HORIZON), ()

    def _deal_tiers(self, rows: Sequence[DueRow], moment: Moment) -> tuple[list[Dealt], Sequence[Refusals]]:
        """Deal to the best tier first, and to the next ones what it cannot take within the grace of the rows.

        Only what every tier with an offer was asked for and refuses is refused.
        """
        dealt: list[Dealt] = []
        left = list(range(len(rows)))
        refused: list[dict[int, Refusals]] = []
        for i, tier in enumerate(self.claim.tiers):
            theirs = [offer for offer in self.offers if offer.sender_id in tier.sender_ids]
            if not theirs:
                continue
            table = self._replace(offers=theirs, room=_room(theirs))
            places = left if not i else _due_below(rows, left, tier.spare, moment.wall - self.claim.grace)
            found, not_here = table._deal([rows[place] for place in places], moment) if table.room > 0 else ([], ())
            dealt += [one._replace(place=places[one.place]) for one in found]
            refused.append({places[one.place]: one for one in not_here})
            taken = {one.place for one in dealt}
            left = [place for place in left if place not in taken]
        dealt.sort(key=attrgetter("place"))
        everywhere = [place for place in left if all(place in some for some in refused)] if self.all_in else []
        return dealt, [Refusals(place, [one for some in refused for one in some[place].by]) for place in everywhere]


def _asked(rows: Sequence[DueRow]) -> list[Asked]:
    """Rows as limits see them."""
    return [Asked(row.cost, address := at_step(row.address, row.step), country_of(address)) for row in rows]


def _start(
    table: _Table,
    queue_id: int,
    rows: list[DueRow],
    contexts: dict[int, Context],
    references: References,
    clock: Clock,
    guards: Guards,
) -> Script[_Looked]:
    # A difference with the keys of a dict would go through all of them.
    missing = {row.operation_id for row in rows if row.operation_id not in contexts}
    if missing:
        for context in (yield from load_contexts(missing)):
            contexts[context.operation_id] = context
    claim = table.claim
    line = (claim.pool_id, claim.channel)
    sieved = yield from sieve(rows, contexts, line, claim.quiet, guards, clock.wall())
    live, past = sieved.live, sieved.past
    dealt, held = table.deal(live, clock)
    started = [_started(live[one.place], one, contexts, references, past) for one in dealt]
    if sieved.changed:
        started = [_ahead(one) if (one.row.message_id, one.sender_id) in sieved.changed else one for one in started]
    limited = [live[one.place] for one in held]
    leaving: Sequence[DueRow] = [*sieved.out, *[one.row for one in started], *limited]
    if len(leaving) == len(rows):
        leaving = rows
    yield from _take_out(queue_id, rows, leaving)
    # Without a rank: it would be before all others when the window opens, however urgent they are.
    yield from postpone([(opens, row.message_id, queue_id, None, row.cost) for opens, row in sieved.quiet])
    moment = Moment(clock.monotonic(), clock.wall())
    yield from hold_limited(live, held, claim.channel, claim.rules, contexts, moment)
    paused = sieved.paused
    yield from hold_rows([(contexts[row.operation_id].deadline, row.message_id, queue_id, row.cost) for row in paused])
    later = [*paused, *(row for _, row in sieved.quiet), *limited]
    return _Looked(started, sieved, later, len(leaving), _passed(rows, leaving))


def _started(
    row: DueRow,
    dealt: Dealt,
    contexts: Mapping[int, Context],
    references: References,
    past: Mapping[int, Sequence[PastAttempt]],
) -> Started:
    """The attempt that a row becomes."""
    n, sender_id, link = row.attempts + 1, dealt.offer.sender_id, dealt.offer.link
    reference, named, repair = 0, n, None
    if row.cost > 1:
        reference = references.next(sender_id, at_step(row.address, row.step), row.message_id)
    if n > 1:
        tried = past.get(row.message_id, ())
        named, repair = repeated(tried, sender_id) or n, repair_of(tried, row.step)
    leaves = (sender_id, link.connection_id, reference, dealt.departure)
    return _started_of((row, n, *leaves, contexts[row.operation_id], named, None, None, link.epoch, repair, False))


def _ahead(started: Started) -> Started:
    """The same in the form that its carrier takes at any time."""
    return started._replace(repair=Repair.TEMPLATE, ahead=True)


def _take_out(queue_id: int, rows: Sequence[DueRow], leaving: Sequence[DueRow]) -> Script[None]:
    """Remove those that leave of the first *rows* of a queue."""
    if leaving is rows and rows:
        yield from remove_head(queue_id, rows)
    elif leaving:
        yield from remove_of_head(queue_id, leaving)


def _passed(rows: Sequence[DueRow], leaving: Sequence[DueRow]) -> Passed | None:
    """How far a claim that saw *rows*, in their order, has come."""
    if not rows:
        return None
    if len(leaving) == len(rows):
        return Passed((rows[-1].rank, rows[-1].message_id))
    gone = {row.message_id for row in leaving}
    places = [(row.rank, row.message_id) for row in rows]
    to = max([place for place in places if place[1] in gone], default=places[0])
    return Passed(to, [place for place in places if place[1] not in gone])


def _due_below(live: Sequence[DueRow], left: Sequence[int], spare: float, old: int) -> list[int]:
    """The places of those rows that a lower tier may take: due before *old*, and this many segments of the others."""
    places = []
    for place in left:
        row = live[place]
        if row.due > old:
            if spare < row.cost:
                continue
            spare -= row.cost
        places.append(place)
    return places


def _country(row: DueRow) -> str:
    return country_of(at_step(row.address, row.step))
