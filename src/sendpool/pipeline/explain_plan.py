"""What each step of a message's plan came to, and which channels never came into it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sendpool.domain.decision import is_closed
from sendpool.domain.explanation import PASSED, PlanStep, StepOutcome, StepReason
from sendpool.domain.failures import FailureClass, api_code, by_rule, of_class
from sendpool.domain.message import LETTER_CHANNEL, STEP_LETTER, Content, at_step, space_at_step
from sendpool.domain.plan import SPACES
from sendpool.domain.routing import CHANNELS_OF
from sendpool.domain.sender import Channel
from sendpool.domain.states import AttemptState, MessageState
from sendpool.pipeline.book import ANYONE, ASKING
from sendpool.pipeline.capability import NOT_REACHABLE
from sendpool.pipeline.decide import EXPIRED_RULE, ORPHANED_CODE
from sendpool.pipeline.render import EMPTY, UNFIT
from sendpool.pipeline.roster import Roster
from sendpool.pipeline.window import WINDOW_RULE
from sendpool.store.stories import Story, StoryOfAttempt

_ENDED = (MessageState.UNDELIVERED, MessageState.FAILED, MessageState.CANCELED)
_DONE = (MessageState.DELIVERED, MessageState.READ)
#: Why a message ended without an attempt, by its error.
_ENDINGS = {
    by_rule(NOT_REACHABLE).wire_code: (StepOutcome.PASSED, StepReason.UNREACHABLE),
    of_class(FailureClass.CHANNEL).wire_code: (StepOutcome.PASSED, StepReason.UNREACHABLE),
    ORPHANED_CODE: (StepOutcome.PASSED, StepReason.ABANDONED),
    EMPTY: (StepOutcome.PASSED, StepReason.NOTHING_TO_SAY),
    UNFIT: (StepOutcome.PASSED, StepReason.NOTHING_TO_SAY),
    by_rule("sendpool/suppressed").wire_code: (StepOutcome.PASSED, StepReason.OPTED_OUT),
    by_rule("sendpool/quarantined").wire_code: (StepOutcome.PASSED, StepReason.IN_QUARANTINE),
    by_rule(WINDOW_RULE).wire_code: (StepOutcome.PASSED, StepReason.WINDOW_CLOSED),
    by_rule("sendpool/country").wire_code: (StepOutcome.PASSED, StepReason.COUNTRY_CLOSED),
    by_rule("sendpool/destination").wire_code: (StepOutcome.PASSED, StepReason.NO_SENDER_THERE),
    by_rule("sendpool/campaign").wire_code: (StepOutcome.PASSED, StepReason.NO_CAMPAIGN),
    by_rule(EXPIRED_RULE).wire_code: (StepOutcome.PASSED, StepReason.EXPIRED),
}
_OPEN = {
    AttemptState.STARTED: (StepOutcome.SENDING, StepReason.AT_CARRIER),
    AttemptState.ACCEPTED: (StepOutcome.SENT, StepReason.NO_RECEIPT),
    AttemptState.AMBIGUOUS: (StepOutcome.UNKNOWN, StepReason.FATE_UNKNOWN),
    AttemptState.DELIVERED: (StepOutcome.DELIVERED, StepReason.DELIVERED),
    AttemptState.READ: (StepOutcome.DELIVERED, StepReason.READ),
}

#: How a step stands: its outcome, the code of the reason, and that as a sentence.
_Stand = tuple[StepOutcome, str, str]


def explain_plan(story: Story, roster: Roster, now: int) -> list[PlanStep]:
    """Every step in order, then the channels that were ruled out when the request was accepted."""
    message = story.message
    if message.kind == "inbound":
        return []
    steps = []
    for i, letter in enumerate(message.plan):
        outcome, reason, text = _stand(i, story, now)
        channel, address = LETTER_CHANNEL[letter].value, at_step(message.address, i)
        steps.append(PlanStep(channel=channel, address=address, outcome=outcome, reason=reason, text=text))
    return steps + _left_out(story, roster)


def made_at(step: int, attempts: Sequence[StoryOfAttempt]) -> list[StoryOfAttempt]:
    """The attempts at a step, withdrawn ones left out."""
    return [one for one in attempts if one.step == step and one.state != AttemptState.WITHDRAWN]


def present_reason(story: Story, now: int) -> tuple[StepOutcome, StepReason]:
    """How the present step of a message that is under way stands."""
    message = story.message
    if message.state == MessageState.SCHEDULED:
        return StepOutcome.WAITING, StepReason.SCHEDULED
    if message.paused and _queued(story):
        return StepOutcome.WAITING, StepReason.OPERATION_PAUSED
    if story.spot is not None:
        lanes = {ASKING: StepReason.ASKING, ANYONE: StepReason.IN_QUEUE}
        own = StepReason.KEPT if story.spot.lane.isdigit() else StepReason.IN_QUEUE
        return StepOutcome.WAITING, lanes.get(story.spot.lane, own)
    if any(queue_id for _, queue_id, _ in story.later):
        return StepOutcome.WAITING, StepReason.PAUSING
    made = made_at(message.step, story.attempts)
    if made and made[-1].state in _OPEN:
        outcome, reason = _OPEN[AttemptState(made[-1].state)]
        closed = reason is StepReason.NO_RECEIPT and is_closed(message.deadline / 1e6, now / 1e6)
        return outcome, StepReason.CLOSED if closed else reason
    return StepOutcome.WAITING, StepReason.IN_QUEUE if story.deep else StepReason.BETWEEN


def _queued(story: Story) -> bool:
    """Whether it is in some queue, due or not; one that is deep in a queue counts, where no attempt is open."""
    made = made_at(story.message.step, story.attempts)
    waits = story.spot is not None or any(queue_id for _, queue_id, _ in story.later)
    return waits or not (made and made[-1].state in _OPEN)


def _stand(step: int, story: Story, now: int) -> _Stand:
    message = story.message
    made = made_at(step, story.attempts)
    delivered = [one for one in made if one.state in (AttemptState.DELIVERED, AttemptState.READ)]
    if delivered:
        return _worded(*_OPEN[AttemptState(delivered[-1].state)])
    under_way = message.state not in (*_ENDED, *_DONE)
    if step == message.step and under_way:
        return _worded(*present_reason(story, now))
    if made:
        last = made[-1]
        if last.state in _OPEN:
            return _worded(*_OPEN[AttemptState(last.state)])
        found = by_rule(last.rule) if last.rule else of_class(FailureClass(last.failure or "TRANSIENT"))
        return StepOutcome.FAILED, last.failure or found.failure.value, _sentence(found.meaning)
    if step < message.step:
        return _worded(StepOutcome.PASSED, _why_passed(step, story))
    if step == message.step and message.state in _ENDED:
        return _why_never(story)
    if under_way:
        return _worded(StepOutcome.SPARE, StepReason.TURN_LATER)
    done = message.state in _DONE
    return _worded(StepOutcome.UNUSED, StepReason.DONE_BEFORE if done else StepReason.ENDED_BEFORE)


def _worded(outcome: StepOutcome, reason: StepReason) -> _Stand:
    return outcome, reason.value, reason.sentence


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:].rstrip('.')}."


def _why_passed(step: int, story: Story) -> StepReason:
    """Why a step was left, or jumped over, without an attempt that counts."""
    message = story.message
    for noted in (message.passed or "").split():
        if noted[:-1] == str(step) and noted[-1] in PASSED:
            return PASSED[noted[-1]]
    invalid = {at_step(message.address, one.step) for one in story.attempts if one.rule and by_rule(one.rule).invalid}
    return StepReason.INVALID if at_step(message.address, step) in invalid else StepReason.NO_SENDER


def _why_never(story: Story) -> _Stand:
    """Why a message ended at a step where nobody had tried."""
    code = story.message.error_code
    if story.message.state == MessageState.CANCELED:
        return _worded(StepOutcome.UNUSED, StepReason.CANCELED)
    if code is not None and code not in _ENDINGS:
        return StepOutcome.PASSED, str(code), api_code(code).meaning
    return _worded(*_ENDINGS.get(code, (StepOutcome.PASSED, StepReason.EXPIRED)))


def _left_out(story: Story, roster: Roster) -> list[PlanStep]:
    message = story.message
    content = msgspec.json.decode(story.message.content, type=Content)
    only = msgspec.json.decode(message.origin).get("only")
    present = roster.channels(message.pool_id)
    steps = []
    for address, space in _addresses(message.address, message.space):
        for channel in CHANNELS_OF[SPACES[space]]:
            if _goes_there(channel, address, message.plan, message.address):
                continue
            reason = _why_left_out(channel, content, only, present)
            outcome = StepOutcome.LEFT_OUT
            steps.append(PlanStep(channel=channel.value, address=address, outcome=outcome, **_reasoned(reason)))
    return steps


def _reasoned(reason: StepReason) -> dict[str, str]:
    return {"reason": reason.value, "text": reason.sentence}


def _addresses(addresses: str, spaces: str) -> list[tuple[str, str]]:
    """The addresses of a message with their spaces, each once."""
    places = range(len(addresses.split(" ")))
    return list(dict.fromkeys((at_step(addresses, i), space_at_step(spaces, i)) for i in places))


def _goes_there(channel: Channel, address: str, plan: str, addresses: str) -> bool:
    letter = STEP_LETTER[channel]
    return any(one == letter and at_step(addresses, i) == address for i, one in enumerate(plan))


def _why_left_out(
    channel: Channel, content: Content, only: Sequence[str] | None, present: frozenset[Channel]
) -> StepReason:
    if only is not None and channel.value not in only:
        return StepReason.FILTERED
    redacted = not (content.text or content.media or content.modules)
    if not redacted and not content.says_on(channel):
        return StepReason.NO_CONTENT
    if channel in present and content.liquid:
        return StepReason.NOTHING_TO_SAY
    return StepReason.NO_SENDER
