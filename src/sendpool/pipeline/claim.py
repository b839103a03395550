"""Claim due rows of a pool, deal them to its senders and make their attempts durable: one step of one commit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from sendpool.domain.dealing import Offer, References, deal
from sendpool.domain.message import at_step
from sendpool.domain.sender import Channel
from sendpool.domain.states import OPEN_ATTEMPTS, SETTLED_MESSAGES, AttemptState
from sendpool.pipeline.countries import country_of
from sendpool.pipeline.settle import SUPERSEDED
from sendpool.store.attempts import PastAttempt, load_past
from sendpool.store.database import Script
from sendpool.store.messages import Context, load_contexts, load_names, load_variables
from sendpool.store.queue import DueRow, NewAttempt, head, remove, remove_up_to, start_attempts

#: Seconds before its time that a row may be claimed: shorter, and late wake-ups lose throughput.
HORIZON = 0.05
#: Rows that a claim looks at, at least: those that need no attempt any more go together, not each in a commit.
LOOK = 100
#: The same where some sender's health keeps rows to one country waiting, so that those to others are seen behind them.
LOOK_PAST = 500

_SETTLED = frozenset(int(state) for state in SETTLED_MESSAGES)
#: Attempts after which no other may begin while they stand so (promise I3); an ambiguous one is superseded by policy.
_HOLDING = frozenset(int(state) for state in (OPEN_ATTEMPTS - {AttemptState.AMBIGUOUS}) | {AttemptState.DELIVERED})


class Claim(NamedTuple):
    """What one pool may send on one channel now."""

    pool_id: int
    channel: Channel
    #: (queue, sender): rows that only this sender may take.
    lanes: Sequence[tuple[int, int]]
    #: The queue whose rows any of the offers may take, or None where it is empty.
    shared: int | None
    offers: Sequence[Offer]
    #: The number of the scene: what the pool looks like now.
    scene: int | None = None


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


class Claimed(NamedTuple):
    """What a claim brought."""

    claim: Claim
    started: list[Started]
    #: Rows that need no attempt any more: their message ended, or their time is over.
    expired: list[DueRow]
    #: (queue, rows taken out, True: it is empty now).
    taken: list[tuple[int, int, bool]]

    @property
    def moved(self) -> bool:
        """Whether any row left its queue."""
        return any(rows for _, rows, _ in self.taken)


class Clock(NamedTuple):
    """The two clocks of a batch: monotonic seconds for throughput, microseconds since 1970 for rows."""

    monotonic: Callable[[], float]
    wall: Callable[[], int]


def claim_due(claim: Claim, contexts: dict[int, Context], references: References, clock: Clock) -> Script[Claimed]:
    """Take as many due rows as the offers have room for, in rank order, and start their attempts.

    *contexts* holds what is known of operations; what is missing is read and added.
    """
    by_sender = {offer.sender_id: offer for offer in claim.offers}
    started: list[Started] = []
    expired: list[DueRow] = []
    taken: list[tuple[int, int, bool]] = []
    queues = [(queue_id, [by_sender[sender_id]]) for queue_id, sender_id in claim.lanes if sender_id in by_sender]
    if claim.shared is not None:
        queues.append((claim.shared, list(claim.offers)))
    for queue_id, offers in queues:
        in_flight = sum({offer.link: offer.link.room for offer in offers}.values())
        room = min(sum(min(offer.room, offer.slots) for offer in offers), in_flight)
        if room <= 0:
            continue
        look = max(room, LOOK_PAST if any(offer.trickles for offer in offers) else LOOK)
        rows = yield from head(queue_id, look)
        outcome = yield from _start(claim, queue_id, rows, room, offers, contexts, references, clock)
        started += outcome[0]
        expired += outcome[1]
        taken.append((queue_id, outcome[2], outcome[2] == len(rows) < look))
    if claim.channel is Channel.EMAIL:
        started = yield from _named(started)
    if any(one.context.content.liquid for one in started):
        started = yield from _personal(started)
    at = clock.wall()
    yield from start_attempts([_new_attempt(claim, one, at) for one in started])
    return Claimed(claim, started, expired, taken)


def _named(started: Sequence[Started]) -> Script[list[Started]]:
    """The same with the names of their recipients, which only emails carry."""
    names = yield from load_names([one.row.message_id for one in started])
    return [one._replace(name=names.get(one.row.message_id)) for one in started]


def _personal(started: Sequence[Started]) -> Script[list[Started]]:
    """The same with their variables, where their operations have any use for them."""
    ids = [one.row.message_id for one in started if one.context.content.liquid]
    found = yield from load_variables(ids)
    return [one._replace(variables=found.get(one.row.message_id)) for one in started]


def _new_attempt(claim: Claim, one: Started, at: int) -> NewAttempt:
    row, channel = one.row, claim.channel.value
    key = (row.message_id, one.n, one.sender_id, one.connection_id, channel)
    return NewAttempt(*key, row.cost, one.reference, claim.scene, at, row.step, one.epoch)


def _start(
    claim: Claim,
    queue_id: int,
    rows: list[DueRow],
    room: int,
    offers: list[Offer],
    contexts: dict[int, Context],
    references: References,
    clock: Clock,
) -> Script[tuple[list[Started], list[DueRow], int]]:
    """Brings what was started, what needs no attempt any more, and how many rows have left the queue."""
    missing = {row.operation_id for row in rows} - contexts.keys()
    if missing:
        for context in (yield from load_contexts(missing)):
            contexts[context.operation_id] = context
    now = clock.wall()
    past = yield from _past(rows)
    ended, expired, live = _sort(rows, past, contexts, now)
    if any(offer.trickles for offer in offers) and len(offers) > 1:
        # What one country's senders cannot take for now must not hold up the others.
        dealt = deal(live, offers, clock.monotonic(), HORIZON, _country)
    else:
        dealt = deal(live[:room] if len(live) > room else live, offers, clock.monotonic(), HORIZON)
    started = [
        Started(
            row := live[one.place],
            row.attempts + 1,
            one.offer.sender_id,
            one.offer.link.connection_id,
            references.next(one.offer.sender_id, at_step(row.address, row.step), row.message_id) if row.cost > 1 else 0,
            one.departure,
            contexts[row.operation_id],
            _repeated(past.get(row.message_id, ()), one.offer.sender_id) or row.attempts + 1,
            epoch=one.offer.link.epoch,
        )
        for one in dealt
    ]
    gone = len(dealt) + len(ended) + len(expired)
    if gone == len(rows) and rows:
        yield from remove_up_to(queue_id, rows[-1].rank, rows[-1].message_id)
    elif gone:
        leaving = [*ended, *expired, *(one.row for one in started)]
        yield from remove([(queue_id, row.rank, row.message_id) for row in leaving])
    return started, expired, gone


def _country(row: DueRow) -> str:
    return country_of(at_step(row.address, row.step))


def _holds(attempt: PastAttempt) -> bool:
    """Whether no other attempt may begin while this one stands as it does."""
    return attempt.state in _HOLDING and not attempt.marks & SUPERSEDED


def _repeated(past: Sequence[PastAttempt], sender_id: int) -> int | None:
    """The first attempt by a sender of which nobody knows what became: a carrier that drops repeats has to know one."""
    unknown = (one.n for one in past if one.sender_id == sender_id and one.state == AttemptState.AMBIGUOUS)
    return next(unknown, None)


def _past(rows: list[DueRow]) -> Script[dict[int, list[PastAttempt]]]:
    """The attempts made so far of the rows that are retried."""
    retried = [row.message_id for row in rows if row.attempts]
    return (yield from load_past(retried)) if retried else {}


def _sort(
    rows: list[DueRow], past: Mapping[int, Sequence[PastAttempt]], contexts: Mapping[int, Context], now: int
) -> tuple[list[DueRow], list[DueRow], list[DueRow]]:
    """Rows whose message has ended or has an attempt that still holds it; whose time is over; and the others."""
    ended: list[DueRow] = []
    expired: list[DueRow] = []
    live: list[DueRow] = []
    for row in rows:
        if row.state in _SETTLED or any(_holds(one) for one in past.get(row.message_id, ())):
            ended.append(row)
        elif now >= contexts[row.operation_id].deadline:
            expired.append(row)
        else:
            live.append(row)
    return ended, expired, live
