"""What a message waits for now, in a sentence: 'waits for throughput of 3 senders, next free in 1.2 s'."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from msgspec import UNSET

from sendpool.domain.decision import CLOSE_AFTER
from sendpool.domain.explanation import Candidate, StepOutcome, StepReason, Waiting, duration, moment
from sendpool.domain.reasons import Verdict
from sendpool.domain.states import MessageState
from sendpool.pipeline.explain_plan import present_reason
from sendpool.store.stories import FAR, Story

_OPEN = (StepReason.NO_RECEIPT, StepReason.FATE_UNKNOWN)


def explain_wait(story: Story, candidates: Sequence[Candidate], now: int) -> Waiting | None:
    """What a message that is under way waits for; None: for nothing."""
    message = story.message
    if message.state not in (MessageState.SCHEDULED, MessageState.QUEUED, MessageState.SENT):
        return None
    outcome, reason = present_reason(story, now)
    if outcome in (StepOutcome.DELIVERED, StepOutcome.FAILED) or reason is StepReason.CLOSED:
        return None
    until = _until(story, reason)
    if reason in (StepReason.IN_QUEUE, StepReason.KEPT):
        return _for_a_sender(story, reason, candidates, now)
    text = reason.sentence if until is None else f"{reason.sentence} {_then(story, reason, until, now)}"
    return Waiting(reason=reason.value, text=text, until=UNSET if until is None else moment(until))


def _until(story: Story, reason: StepReason) -> int | None:
    message = story.message
    if reason is StepReason.SCHEDULED:
        return message.scheduled_for
    if reason is StepReason.PAUSING:
        return next(due for due, queue_id, _ in story.later if queue_id)
    if reason in _OPEN:
        asked = next((due for due, queue_id, _ in story.later if not queue_id), None)
        return asked if asked is not None else message.deadline + int(CLOSE_AFTER * 1e6)
    return None


def _then(story: Story, reason: StepReason, until: int, now: int) -> str:
    left = duration((until - now) / 1e6)
    if reason in _OPEN and any(not queue_id for _, queue_id, _ in story.later):
        return f"In {left} the policy decides what is next."
    return f"That ends in {left}." if reason in _OPEN else f"That is in {left}."


def _for_a_sender(story: Story, reason: StepReason, candidates: Sequence[Candidate], now: int) -> Waiting:
    able = [one for one in candidates if one.verdict is Verdict.WAITED]
    ahead = story.spot.ahead if story.spot is not None else FAR
    before = f"; {ahead:,}{'' if story.spot else ' or more'} messages are before it" if ahead else ""
    if not able:
        why, until = _nobody(candidates)
        reason, text = StepReason.NO_SENDER_READY, f"{StepReason.NO_SENDER_READY.sentence[:-1]}: {why}{before}."
    else:
        times = [at for one in able if (at := _at(one)) is not None]
        until = min(times) if times and len(times) == len(able) else None
        free = f", next free in {duration((until - now) / 1e6)}" if until is not None else ""
        text = f"It waits for {_what(able)} of {_number(len(able), 'sender')}{free}{before}."
        if reason is StepReason.KEPT:
            text = f"It is kept for {able[0].address}, and {text[0].lower()}{text[1:]}"
    return Waiting(
        reason=reason.value,
        text=text,
        until=UNSET if until is None else moment(until),
        ahead=ahead,
        ahead_at_least=UNSET if story.spot is not None else True,
    )


#: What is waited for, by the reason that most senders give.
_WORDS = {
    "used_up": "throughput",
    "connection_used_up": "throughput of the connection",
    "window_full": "room in flight",
    "paused": "the end of the carrier's pause",
    "turn": "its turn",
    "next": "the next free moment",
    "daily_limit": "the daily limit",
    "scope_full": "the shared limit",
    "recipient_limit": "the limit of new recipients",
    "quiet_hours": "the end of quiet hours",
    "pair_limit": "the limit for this recipient",
    "grace": "its own sender",
}


def _what(able: Sequence[Candidate]) -> str:
    (most, _), *_ = Counter(one.reason for one in able).most_common(1)
    return _WORDS.get(most, most)


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _nobody(candidates: Sequence[Candidate]) -> tuple[str, int | None]:
    """Why no sender takes it, and the earliest time at which one may."""
    if not candidates:
        return "the pool has no active sender on this channel", None
    counts = Counter(one.reason.replace("_", " ") for one in candidates)
    times = [at for one in candidates if (at := _at(one)) is not None]
    return ", ".join(f"{n} {reason}" for reason, n in counts.most_common()), min(times, default=None)


def _at(one: Candidate) -> int | None:
    return int(datetime.fromisoformat(one.until).timestamp() * 1e6) if isinstance(one.until, str) else None
