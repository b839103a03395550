"""Decide what follows from an attempt that ended badly: later, failover, fallback, wait or the end.

The choice is `domain.routing.next_step`'s; this file gathers the facts for it and writes down what it said.
Runs inside the batch's transaction, on fresh rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import ceil, inf
from typing import NamedTuple

import msgspec

from sendpool.domain.consent import SPACE_OF_LETTER, OptOut, person, scope_of
from sendpool.domain.dealing import step_cost
from sendpool.domain.decision import (
    Failover,
    Fallback,
    Later,
    MessageFacts,
    OutcomeFacts,
    Stop,
    Tried,
    Trigger,
    is_closed,
)
from sendpool.domain.event_types import ATTEMPT_ENDED, LATE_RECEIPT
from sendpool.domain.failures import TABLE_VERSION, Classified, FailureClass, Repair, by_rule, of_class
from sendpool.domain.message import LETTER_CHANNEL, STEP_LETTER, Category, at_step
from sendpool.domain.policy import Policy, policy_for
from sendpool.domain.preference import in_time
from sendpool.domain.quarantine import Refusal, place_of
from sendpool.domain.retry_budget import RetryBudget
from sendpool.domain.routing import Decision, End, Wait, next_step
from sendpool.domain.sender import Channel, Sender
from sendpool.domain.states import OPEN_ATTEMPTS, AttemptState, MessageState, event_number
from sendpool.pipeline.book import QueueBook
from sendpool.pipeline.consent import RULE as SUPPRESSED
from sendpool.pipeline.consent import Addressee, Consent
from sendpool.pipeline.lanes import entry
from sendpool.pipeline.repair import repair_of
from sendpool.pipeline.roster import Roster
from sendpool.pipeline.settle import AHEAD, ONCE_AMBIGUOUS, SUBMITTED, SUPERSEDED, Changes, Ending, Revoke
from sendpool.store.attempts import AttemptChange, PastAttempt, load_past
from sendpool.store.codes import Code
from sendpool.store.counters import Tally
from sendpool.store.database import Script
from sendpool.store.locks import lock_messages
from sendpool.store.messages import Standing, load_standing
from sendpool.store.queue import AskingRow
from sendpool.store.receipts import Match

EXPIRED_RULE = "sendpool/deadline"
ORPHANED_CODE = 21703
#: Seconds within which two senders count as free at the same time.
NEARLY = 0.1
#: The queue of rows in `later` that are no sends but questions: what now, for attempt `rank` of this message?
ASK_QUEUE = 0
#: What such a row asks, in place of a cost: the wait is over; the carrier was asked and may not have answered; or the
#: wait is over and so is the carrier's own time.
WAIT_OVER, UNANSWERED, LAPSED = 1, 2, 3
#: What was decided about an attempt whose carrier could not take it back.
UNREVOKED = "unrevoked"
#: Decisions after which the message has a row in a queue.
_DUE_AGAIN = ("later", "failover", "fallback")


class Bench(NamedTuple):
    """What decisions may look at: who there is, where rows wait, and when each sender would be free."""

    roster: Roster
    book: QueueBook
    #: Monotonic seconds at which a sender could take a message; infinite for one that cannot.
    free_at: Callable[[int], float]
    #: Whether a connection can take back what it has submitted.
    revocable: Callable[[int], bool]
    #: The changed forms in which a sender can send what its carrier refuses as it is.
    repairs: Callable[[int], frozenset[Repair]]
    #: Whether a sender may reach an address, as far as we were told.
    reaches: Callable[[int, str], bool]
    #: Whether it means nothing that an attempt by a sender, started at a time in microseconds, has no receipt.
    says_nothing: Callable[[int, int], bool]
    #: Whether a sender is to get little of what a pool sends to an address, for the sake of its health.
    restrains: Callable[[int, int, str], bool]
    #: Where in a queue a message of a category and so many segments stands that falls back.
    fallback_rank: Callable[[int, Category, int], int]
    consent: Consent
    retries: RetryBudget
    #: Microseconds since 1970.
    now: int
    #: The same moment on the monotonic clock, in seconds.
    moment: float
    #: Segments that this batch has given to single senders so far.
    given: Counter[int]
    #: Attempts that this batch wants taken back.
    revokes: list[Revoke]
    #: What this batch adds to the counters of operations.
    tally: Tally
    #: What this batch has heard of refused for what it says, as `Changes.filtered` has it.
    filtered: Counter[tuple[int, str, str, str]]
    #: Whom this batch has found not to be on a channel, as `Changes.unreached` has it.
    unreached: list[tuple[int, str, float | None]]

    def would_take(self, sender: Sender, queue_id: int) -> float:
        """When a sender would get to a new row of its lane: when it is free, and what waits there already is sent."""
        ahead = self.book.waiting(queue_id) + self.given[sender.id]
        return self.free_at(sender.id) + ahead / sender.mps


def decide(changes: Changes, bench: Bench) -> Script[None]:
    """Decide about every ending that a settlement left, and add what follows to its changes."""
    endings = changes.endings
    if not endings:
        return
    keys = {ending.attempt.message_id for ending in endings}
    standing = yield from load_standing(keys)
    past = yield from load_past(keys)
    _bring_up_to_date(standing, past, changes)
    stopped = yield from bench.consent.stopped([asked(one, bench) for one in standing.values()])
    for ending in endings:
        _note_opt_out(ending, standing[ending.attempt.message_id], changes)
        key = ending.attempt.message_id
        _decide_one(ending, standing[key], past[key], changes, bench, suppressed=key in stopped)
    changes.endings = []


def _bring_up_to_date(standing: dict[int, Standing], past: dict[int, list[PastAttempt]], changes: Changes) -> None:
    """What this settlement has moved already is not in the rows yet."""
    for message in standing.values():
        moved = changes.messages.get(message.message_id)
        if moved is not None:
            message.state = moved.state
        for one in past[message.message_id]:
            change = changes.attempts.get((one.message_id, one.n))
            if change is not None:
                one.state, one.marks = int(change.state), change.marks


def asked(message: Standing, bench: Bench) -> Addressee:
    """What the ledger of those who have opted out is asked about a message."""
    address = at_step(message.address, message.step)
    whose = (message.message_id, message.account_id, message.pool_id)
    return Addressee(*whose, message.category, address, message.plan[message.step])


def _note_opt_out(ending: Ending, message: Standing, changes: Changes) -> None:
    """Whom a carrier knows to have opted out is in the ledger from now on."""
    if ending.failure is not FailureClass.CONSENT or ending.rule == SUPPRESSED or not message.address:
        return
    step = _step_of(ending)
    who = person(SPACE_OF_LETTER[message.plan[step]], at_step(message.address, step))
    source = ending.rule or FailureClass.CONSENT.value
    changes.opt_outs.append(OptOut(message.account_id, *who, scope_of(ending.rule), source, "carrier"))


def _decide_one(
    ending: Ending,
    message: Standing,
    past: list[PastAttempt],
    changes: Changes,
    bench: Bench,
    *,
    suppressed: bool = False,
) -> None:
    attempt = ending.attempt
    marks = _marks(ending)
    place = next(i for i, one in enumerate(past) if one.n == attempt.n)
    # Later endings of the same batch see what this one did.
    ended = past[place]
    ended.state, ended.marks = int(ending.state), marks
    ended.failure, ended.code, ended.rule = ending.failure, ending.code, ending.rule
    facts = facts_of(message, past, attempt.connection_id, bench, suppressed=suppressed)
    facts = msgspec.structs.replace(facts, repairs=_repairs_left(ended, past, bench))
    found = by_rule(ending.rule) if ending.rule else of_class(ending.failure)
    index = sum(1 for one in past[:place] if one.state != AttemptState.WITHDRAWN)
    expires_at = None if ending.expires_at is None else ending.expires_at / 1e6
    _note_code(ending, found, changes)
    _note_refusal(ending, message, changes)
    _note_filtered(ending, changes)
    _note_unreached(ending, found, message, changes)
    closed = message.state == MessageState.SENT and is_closed(message.deadline / 1e6, bench.now / 1e6)
    outcome = OutcomeFacts(index, found, Trigger.CLOSING if closed else Trigger.RESULT, expires_at=expires_at)
    decision = next_step(facts, outcome, policy_of(message, bench), bench.now / 1e6)
    changes.move_attempt(
        AttemptChange(
            attempt.message_id,
            attempt.n,
            attempt.state,
            ending.state,
            marks,
            ending.failure,
            ending.code,
            ending.rule or found.rule,
            TABLE_VERSION,
            said := past[place].next if facts.queued else f"{type(decision).__name__.lower()}/{decision.rule}",
        )
    )
    ended.next = said
    _carry_out(decision, ending, message, past, found, changes, bench)


def _note_code(ending: Ending, found: Classified, changes: Changes) -> None:
    """What a carrier has answered is counted; what we ourselves have found is no answer."""
    rule = ending.rule or found.rule
    if ending.code and ending.state is not AttemptState.AMBIGUOUS and not rule.startswith("sendpool/"):
        place = "submit" if ending.state is AttemptState.REJECTED else "receipt"
        changes.codes[Code(ending.attempt.connection_id, place, ending.code, ending.failure.value, rule)] += 1


def _note_refusal(ending: Ending, message: Standing, changes: Changes) -> None:
    """Of whom a carrier says that he does not exist is looked at before the next attempt."""
    if ending.failure is not FailureClass.RECIPIENT or not message.address or by_rule(ending.rule).hard is None:
        return
    step = _step_of(ending)
    channel = LETTER_CHANNEL[message.plan[step]].value
    place = place_of(message.account_id, at_step(message.address, step), channel)
    changes.refusals.append(Refusal(place, ending.attempt.connection_id, ending.rule))


def _note_filtered(ending: Ending, changes: Changes) -> None:
    """What is refused for what it says counts against its operation."""
    if ending.failure is FailureClass.POLICY:
        place = "submit" if ending.state is AttemptState.REJECTED else "receipt"
        changes.filtered[ending.attempt.operation_id, place, ending.code, ending.rule] += 1


def _note_unreached(ending: Ending, found: Classified, message: Standing, changes: Changes) -> None:
    """A refusal is the truth; what a look-up had said was a hint."""
    if ending.failure is FailureClass.CHANNEL and found.lasts != 0 and message.address:
        address = at_step(message.address, _step_of(ending))
        changes.unreached.append((ending.attempt.sender_id, address, found.lasts))


def _step_of(ending: Ending) -> int:
    """The step that an attempt was a try of."""
    return ending.attempt.tried_step if isinstance(ending.attempt, Match) else ending.attempt.step


def _marks(ending: Ending) -> int:
    if ending.state is AttemptState.AMBIGUOUS:
        return ending.attempt.marks | ONCE_AMBIGUOUS
    if ending.state is AttemptState.REJECTED:
        return ending.attempt.marks
    return ending.attempt.marks | SUBMITTED


def facts_of(
    message: Standing, past: Sequence[PastAttempt], connection_id: int, bench: Bench, *, suppressed: bool = False
) -> MessageFacts:
    """What the rules need to know of a message whose attempt over *connection_id* is decided about."""
    made = tuple(_tried(one) for one in past if one.state != AttemptState.WITHDRAWN)
    plan = tuple(LETTER_CHANNEL[letter] for letter in message.plan)
    fresh = untried(message, plan[message.step], past, bench)
    later = later_steps(message, past, bench.roster, message.pool_id)
    several = " " in message.address
    return MessageFacts(
        created_at=message.created_at / 1e6,
        step_at=_step_began(past, message.step) if message.step else None,
        # A redacted message has no address any more, so its time is over.
        deadline=message.deadline / 1e6 if message.address else 0.0,
        plan=plan,
        step=message.step,
        attempts=made,
        untried=bool(fresh),
        untried_elsewhere=any(sender.connection_id != connection_id for sender in fresh),
        next_step=later[0] if later else None,
        next_elsewhere=several and bool(later) and not _same_address(message, message.step, later[0]),
        reserved=len(later) if several else 0,
        queued=_is_queued(past),
        suppressed=suppressed,
        inactive=frozenset(
            one.sender_id
            for one in past
            if (sender := bench.roster.senders.get(one.sender_id)) is None or not sender.active
        ),
    )


def _repairs_left(ended: PastAttempt, past: Sequence[PastAttempt], bench: Bench) -> frozenset[Repair]:
    """The changed forms in which the sender of an attempt could send its message; none after one was tried there."""
    tried = repair_of(past, ended.step) is not None or ended.marks & AHEAD
    return frozenset() if tried else bench.repairs(ended.sender_id)


def later_steps(message: Standing | AskingRow, past: Sequence[PastAttempt], roster: Roster, pool_id: int) -> list[int]:
    """The later steps that have senders who may send there, and go to no address that has turned out to be invalid."""
    dead = {at_step(message.address, one.step) for one in past if one.rule and by_rule(one.rule).invalid}
    return [
        i
        for i in range(message.step + 1, len(message.plan))
        if (address := at_step(message.address, i)) not in dead
        and roster.lanes(pool_id, LETTER_CHANNEL[message.plan[i]]).serves(address)
    ]


def _same_address(message: Standing, step: int, other: int) -> bool:
    return at_step(message.address, step) == at_step(message.address, other)


def _step_began(past: Sequence[PastAttempt], step: int) -> float | None:
    """When the first attempt at this step was started; None: there is none yet."""
    return min((one.started_at / 1e6 for one in past if one.step == step), default=None)


def policy_of(message: Standing, bench: Bench) -> Policy:
    """What its category and its pool say."""
    pool = bench.roster.pools.get(message.pool_id)
    policy = policy_for(Category(message.category), pool.rules if pool else None)
    return policy.over(len(message.plan)) if " " in message.address else policy


def _is_queued(past: Sequence[PastAttempt]) -> bool:
    """Whether the message is due again already: what was decided after its latest attempt still stands."""
    decided = past[-1].next
    return decided is not None and decided.partition("/")[0] in _DUE_AGAIN


def _tried(one: PastAttempt) -> Tried:
    return Tried(
        Channel(one.channel),
        one.sender_id,
        one.connection_id,
        AttemptState(one.state),
        FailureClass(one.failure) if one.failure else None,
        one.rule or "",
        accepted=bool(one.marks & SUBMITTED),
        step=one.step,
    )


def untried(message: Standing, channel: Channel, past: Sequence[PastAttempt], bench: Bench) -> list[Sender]:
    """The senders that may send a message on a channel and have not tried to."""
    tried = {one.sender_id for one in past if one.state != AttemptState.WITHDRAWN and one.step == message.step}
    members = (sender for sender, _ in bench.roster.members(message.pool_id, channel))
    address = at_step(message.address, message.step)
    lanes = bench.roster.lanes(message.pool_id, channel)
    return [
        one for one in members if one.id not in tried and bench.reaches(one.id, address) and lanes.may(one.id, address)
    ]


def _carry_out(
    decision: Decision,
    ending: Ending,
    message: Standing,
    past: Sequence[PastAttempt],
    found: Classified,
    changes: Changes,
    bench: Bench,
) -> None:
    attempt = ending.attempt
    if message.state not in (MessageState.QUEUED, MessageState.SENT) or isinstance(decision, Stop):
        # The message has its end already, or is closed; this is evidence on the attempt.
        if ending.state is not AttemptState.AMBIGUOUS:
            kind = ATTEMPT_ENDED if ending.state is AttemptState.REJECTED else LATE_RECEIPT
            changes.events.append((message.message_id, attempt.n * 16 + kind, found.wire_code, changes.now))
        return
    plan = [LETTER_CHANNEL[letter] for letter in message.plan]
    step = message.step
    if isinstance(decision, Wait):
        ask_later(decision, (attempt.message_id, attempt.n), message, changes)
    elif isinstance(decision, Later):
        at = _in_budget(decision.at, message, plan[step], bench)
        make_due(message, plan[step], str(decision.sender_id), at, ending.rank, changes, bench)
    elif isinstance(decision, Failover):
        chosen = choose(message, plan[step], past, decision, attempt.connection_id, bench)
        at = _in_budget(decision.at, message, plan[step], bench)
        make_due(message, plan[step], str(chosen.id), at, ending.rank, changes, bench)
    elif isinstance(decision, Fallback):
        step = decision.step
        make_due(message, plan[step], None, decision.at, ending.rank, changes, bench, step)
    if isinstance(decision, End):
        changes.move_message(
            attempt, decision.state, bound=attempt.sender_id, ambiguous=0, error_code=decision.code, step=step
        )
        message.state = int(decision.state)
        number = event_number(attempt.n, decision.state)
        changes.events.append((message.message_id, number, decision.code, changes.now))
        return
    if ending.state is not AttemptState.AMBIGUOUS:
        present = MessageState(message.state)
        open_doubt = any(_in_doubt(one) for one in past)
        changes.move_message(attempt, present, bound=attempt.sender_id, ambiguous=int(open_doubt), step=step)
        number = attempt.n * 16 + ATTEMPT_ENDED
        changes.events.append((message.message_id, number, found.wire_code, changes.now))


def _in_doubt(attempt: PastAttempt) -> bool:
    """Whether nobody knows what became of it: whether it was taken, or else whether it was taken back."""
    left = ONCE_AMBIGUOUS | SUPERSEDED
    return attempt.state == AttemptState.AMBIGUOUS or (
        attempt.state == AttemptState.ACCEPTED and attempt.marks & left == left
    )


def _in_budget(at: float, message: Standing, channel: Channel, bench: Bench) -> float:
    """When a retry that is wanted at *at* may be made, so that retries do not storm."""
    moment = bench.moment + at - bench.now / 1e6
    return at + bench.retries.wait(channel, Category(message.category), moment, bench.moment)


def choose(
    message: Standing,
    channel: Channel,
    past: Sequence[PastAttempt],
    decision: Failover,
    connection_id: int,
    bench: Bench,
) -> Sender:
    """The untried sender that would get to it first, on another connection where that is asked for."""
    fresh = untried(message, channel, past, bench)
    elsewhere = [sender for sender in fresh if sender.connection_id != connection_id]
    only = decision.other_connection_only or (decision.prefer_other_connection and elsewhere)
    return first_to_take(elsewhere if only else fresh, message, channel, bench)


def first_to_take(senders: Sequence[Sender], message: Standing, channel: Channel, bench: Bench) -> Sender:
    """Who would get to it first. Senders of one pace run in step, so what is nearly the same time counts as the same,
    and the message's key decides: else the first of them would take over everything.
    """
    address = at_step(message.address, message.step)
    ready = {one.id: bench.would_take(one, _lane_of(one, message, channel, bench)) for one in senders}

    def place(sender: Sender) -> tuple[bool, float, int]:
        at = ready[sender.id]
        weak = at < inf and bench.restrains(message.pool_id, sender.id, address)
        return weak, (at // NEARLY if at < inf else at), (message.message_id * 31 + sender.id * 17) % 97

    chosen = min(_in_tier(senders, ready, message, channel, bench), key=place)
    bench.given[chosen.id] += 1
    return chosen


def _in_tier(
    senders: Sequence[Sender], ready: Mapping[int, float], message: Standing, channel: Channel, bench: Bench
) -> Sequence[Sender]:
    """Those of the best tier in which somebody would get to it within the grace."""
    lanes = bench.roster.lanes(message.pool_id, channel)
    if len(lanes.tiers) < 2:
        return senders
    seats = [seat for seat in lanes.seats if seat.sender_id in ready]
    best = {seat.sender_id for seat in in_time(seats, ready, bench.moment + lanes.choice.grace)}
    return [one for one in senders if one.id in best]


def _lane_of(sender: Sender, message: Standing, channel: Channel, bench: Bench) -> int:
    return bench.book.number(message.pool_id, channel, str(sender.id))


def ask_later(wait: Wait, key: tuple[int, int], message: Standing, changes: Changes) -> None:
    """Ask again about attempt (message, n) when its wait is over; the long wait for a message's end is the sweep's."""
    # Up: asked a microsecond early, the rules would find that the time is not over.
    if wait.until is not None and (due := ceil(wait.until * 1e6)) < message.deadline:
        changes.later.append((due, key[0], ASK_QUEUE, key[1], LAPSED if wait.lapses else WAIT_OVER))


def make_due(
    message: Standing,
    channel: Channel,
    lane: str | None,
    at: float,
    rank: int,
    changes: Changes,
    bench: Bench,
    step: int | None = None,
) -> None:
    """Make the message due again: at once at its old rank, or later.

    Without a *lane* it begins another *step*, at the rank of those that fall back.
    """
    book = bench.book
    if lane is None:
        address = at_step(message.address, message.step if step is None else step)
        lanes = bench.roster.lanes(message.pool_id, channel)
        queue_id = entry(book, lanes, message.pool_id, channel, address)
    else:
        queue_id = book.number(message.pool_id, channel, lane)
    cost = step_cost(STEP_LETTER[channel], message.segments)
    if lane is None:
        rank = bench.fallback_rank(queue_id, Category(message.category), cost)
    due = int(at * 1e6)
    if due <= bench.now:
        changes.due.append((queue_id, rank, message.message_id, cost, bench.now))
    else:
        changes.later.append((due, message.message_id, queue_id, rank, cost))


def expire(
    message_ids: Iterable[int], changes: Changes, *, orphaned: bool = False, rule: str = EXPIRED_RULE
) -> Script[None]:
    """End messages that may not be sent any more: after their deadline, with no sender left in a deleted pool, or for
    the reason that *rule* names.

    One with an attempt whose fate is open stays SENT: what the carrier says still decides.
    """
    keys = list(message_ids)
    if not keys:
        return
    yield from lock_messages(keys)
    standing = yield from load_standing(keys)
    past = yield from load_past(keys)
    found = by_rule(rule)
    for message in standing.values():
        made = [one for one in past.get(message.message_id, ()) if one.state != AttemptState.WITHDRAWN]
        if message.state not in (MessageState.QUEUED, MessageState.SENT):
            continue
        if any(AttemptState(one.state) in OPEN_ATTEMPTS for one in made):
            continue
        submitted = any(one.marks & SUBMITTED for one in made)
        state = MessageState.UNDELIVERED if submitted else MessageState.FAILED
        code = ORPHANED_CODE if orphaned else found.wire_code
        bound = made[-1].sender_id if made else None
        changes.end_message(message, state, bound, code)
