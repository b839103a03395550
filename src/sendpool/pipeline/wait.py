"""Wait for a receipt no longer than the policy says, then go on: take the attempt back, next channel, once more.

The choice is `domain.routing.next_step`'s, as in `decide`; here it is about attempts that are still open.
"""

from __future__ import annotations

from sendpool.domain.decision import Decision, Failover, Fallback, Later, OutcomeFacts, Wait
from sendpool.domain.failures import FailureClass, by_rule, of_class
from sendpool.domain.message import LETTER_CHANNEL, at_step
from sendpool.domain.routing import next_step
from sendpool.domain.states import AttemptState, MessageState
from sendpool.pipeline.decide import (
    ASK_QUEUE,
    UNANSWERED,
    UNREVOKED,
    Bench,
    ask_later,
    asked,
    choose,
    facts_of,
    make_due,
    policy_of,
)
from sendpool.pipeline.settle import SUPERSEDED, Ask, Changes, Revoke
from sendpool.store.attempts import PastAttempt, load_past
from sendpool.store.database import Script
from sendpool.store.locks import lock_messages
from sendpool.store.messages import Standing, load_standing

#: Seconds after which a carrier that was asked to take an attempt back, and has not answered, is asked again.
ASK_AGAIN_AFTER = 20.0

#: What is decided where the wait is over and the sender's receipts are broken.
DEAF = "wait/deaf"

_OPEN = (AttemptState.ACCEPTED, AttemptState.AMBIGUOUS)
_UNDER_WAY = (MessageState.QUEUED, MessageState.SENT)


def decide_waits(changes: Changes, bench: Bench) -> Script[None]:
    """Decide about every wait that a settlement began or found over, and add what follows to its changes."""
    asks, changes.asks = changes.asks, []
    if not asks:
        return
    keys = {ask.message_id for ask in asks}
    yield from lock_messages(keys)
    standing = yield from load_standing(keys)
    past = yield from load_past(keys)
    stopped = yield from bench.consent.stopped([asked(one, bench) for one in standing.values()])
    for ask in asks:
        message, attempts = standing[ask.message_id], past[ask.message_id]
        place = next(i for i, one in enumerate(attempts) if one.n == ask.n)
        if message.state in _UNDER_WAY and _is_open(ask, attempts[place], changes):
            suppressed = ask.message_id in stopped
            decision = _decision(ask, message, attempts, place, bench, suppressed=suppressed)
            _carry_out(decision, ask, message, attempts, place, changes, bench)


def _is_open(ask: Ask, attempt: PastAttempt, changes: Changes) -> bool:
    """Whether the attempt is still open, with what this very settlement does to it."""
    change = changes.attempts.get((ask.message_id, ask.n))
    if change is not None:
        attempt.state, attempt.marks = int(change.state), change.marks
    # The carrier was asked and has answered meanwhile: another question stands for that.
    answered = ask.unanswered and attempt.next == UNREVOKED
    return attempt.state in _OPEN and not answered


def _decision(
    ask: Ask, message: Standing, past: list[PastAttempt], place: int, bench: Bench, *, suppressed: bool
) -> Decision:
    attempt = past[place]
    doubtful = attempt.state == AttemptState.AMBIGUOUS or attempt.next == UNREVOKED
    found = by_rule(ask.rule) if ask.rule else of_class(FailureClass.AMBIGUOUS if doubtful else FailureClass.OK)
    index = sum(1 for one in past[:place] if one.state != AttemptState.WITHDRAWN)
    facts = facts_of(message, past, attempt.connection_id, bench, suppressed=suppressed)
    expires_at = None if ask.expires_at is None else ask.expires_at / 1e6
    outcome = OutcomeFacts(index, found, ask.trigger, expires_at=expires_at)
    return next_step(facts, outcome, policy_of(message, bench), bench.now / 1e6)


def _carry_out(
    decision: Decision,
    ask: Ask,
    message: Standing,
    past: list[PastAttempt],
    place: int,
    changes: Changes,
    bench: Bench,
) -> None:
    attempt, channel = past[place], LETTER_CHANNEL[message.plan[message.step]]
    said = f"{type(decision).__name__.lower()}/{decision.rule}"
    if _is_deaf(decision, attempt, bench):
        changes.decisions.append((ask.message_id, ask.n, 0, DEAF))
    elif isinstance(decision, Wait):
        ask_later(decision, (ask.message_id, ask.n), message, changes)
    elif isinstance(decision, Fallback) and decision.revoke and _revoke(ask, message, attempt, changes, bench):
        changes.decisions.append((ask.message_id, ask.n, 0, f"revoke/{decision.rule}"))
    elif isinstance(decision, Fallback):
        step = decision.step
        make_due(message, LETTER_CHANNEL[message.plan[step]], None, decision.at, 0, changes, bench, step)
        changes.steps.append((ask.message_id, decision.step, ""))
        changes.decisions.append((ask.message_id, ask.n, SUPERSEDED, said))
    elif isinstance(decision, Later):
        make_due(message, channel, str(decision.sender_id), decision.at, 0, changes, bench)
        changes.decisions.append((ask.message_id, ask.n, SUPERSEDED, said))
    elif isinstance(decision, Failover):
        chosen = choose(message, channel, past, decision, attempt.connection_id, bench)
        make_due(message, channel, str(chosen.id), decision.at, 0, changes, bench)
        changes.decisions.append((ask.message_id, ask.n, SUPERSEDED, said))


def _is_deaf(decision: Decision, attempt: PastAttempt, bench: Bench) -> bool:
    """Whether only time speaks for leaving the channel, and receipts are broken: it would send everything twice."""
    timed = isinstance(decision, Fallback) and decision.rule == "timer" and attempt.state == AttemptState.ACCEPTED
    return timed and bench.says_nothing(attempt.sender_id, attempt.started_at)


def _revoke(ask: Ask, message: Standing, attempt: PastAttempt, changes: Changes, bench: Bench) -> bool:
    """Have the attempt taken back first. False where that cannot be, or has been tried.

    A carrier that cannot take it back was given the same time as we took, and has given up by itself.
    """
    connection_id, carrier_id = attempt.connection_id, attempt.carrier_id
    if not carrier_id or attempt.next == UNREVOKED or not bench.revocable(connection_id):
        return False
    address = at_step(message.address, attempt.step)
    whose = (ask.message_id, ask.n, connection_id, attempt.sender_id)
    changes.revokes.append(Revoke(*whose, carrier_id, address, again=ask.unanswered))
    # If this process ends before the carrier has answered, the question is asked again.
    again = bench.now + int(ASK_AGAIN_AFTER * 1e6)
    changes.later.append((again, ask.message_id, ASK_QUEUE, ask.n, UNANSWERED))
    return True
