"""Explain a message: from what is kept of it, the scenes of its attempts and, while it waits, what holds senders now.

Computes and reads; stores nothing. What can be worked out again (rules, tables, who had tried before) is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import UNSET
from msgspec.structs import replace

from sendpool.domain import ids
from sendpool.domain.explanation import (
    AttemptStory,
    Candidate,
    Explanation,
    PlanStep,
    Waiting,
    decided,
    moment,
)
from sendpool.domain.failures import FailureClass, by_rule, of_class
from sendpool.domain.message import LETTER_CHANNEL
from sendpool.domain.states import AttemptState, MessageState
from sendpool.pipeline.explain_choice import MOST, candidates_now, candidates_of, received_by
from sendpool.pipeline.explain_plan import explain_plan
from sendpool.pipeline.explain_wait import explain_wait
from sendpool.pipeline.roster import Roster
from sendpool.pipeline.settle import AHEAD
from sendpool.pipeline.sight import LiveSight, Sight
from sendpool.store.history import MessagePlace
from sendpool.store.stories import Story, StoryOfAttempt, fetch_story

if TYPE_CHECKING:
    from sendpool.pipeline.engine import Engine

#: Attempts that have an end nobody decided about: what follows is always the same.
_USUAL = {
    AttemptState.ACCEPTED: ("wait", "1"),
    AttemptState.DELIVERED: ("stop", "1"),
    AttemptState.READ: ("stop", "1"),
}
_WENT_WELL = (AttemptState.ACCEPTED, AttemptState.DELIVERED, AttemptState.READ)


async def explain_message(engine: Engine, account_id: int, place: MessagePlace) -> Explanation | None:
    """Explain a message of an account as it stands; None: there is no such message."""
    story = await engine.database.read(fetch_story(place, account_id))
    if story is None or story.message.kind == "email":
        return None
    return explain(story, engine.roster, LiveSight(engine.sending, engine.clock))


def explain(story: Story, roster: Roster, sight: Sight) -> Explanation:
    """Say why a message went the way it did, or what it waits for."""
    message = story.message
    plan = explain_plan(story, roster, sight.now)
    waits = _waits(story)
    attempts = [_attempt(one, story, roster) for one in story.attempts]
    candidates = _candidates(story, roster, sight, waits=waits)
    if attempts and not waits:
        # The latest attempt's are the message's own.
        attempts[-1] = replace(attempts[-1], candidates=UNSET)
    waiting = explain_wait(story, candidates, sight.now)
    return Explanation(
        message_id=ids.message_id(message.uid, message.id - message.operation_id, _prefix(message.kind)),
        status=MessageState(message.state).name,
        text=_in_short(story, plan, attempts, waiting),
        plan=plan,
        candidates=candidates[:MOST],
        attempts=attempts,
        waiting=waiting if waiting is not None else UNSET,
        candidates_left_out=len(candidates) - MOST if len(candidates) > MOST else UNSET,
    )


def _prefix(kind: str) -> str:
    return ids.EMAIL if kind == "email" else ids.MESSAGE


def _waits(story: Story) -> bool:
    """Whether the message waits for a sender, or for its time."""
    under_way = story.message.state in (MessageState.SCHEDULED, MessageState.QUEUED, MessageState.SENT)
    due_later = any(queue_id for _, queue_id, _ in story.later)
    return under_way and (story.spot is not None or due_later or not story.attempts)


def _candidates(story: Story, roster: Roster, sight: Sight, *, waits: bool) -> list[Candidate]:
    if story.message.kind == "inbound":
        return received_by(story, roster)
    if waits:
        return candidates_now(story, roster, sight)
    return candidates_of(story.attempts[-1], story, roster) if story.attempts else []


def _attempt(one: StoryOfAttempt, story: Story, roster: Roster) -> AttemptStory:
    message, state = story.message, AttemptState(one.state)
    sender = roster.senders.get(one.sender_id)
    next_word, _, next_rule = (one.next or "").partition("/")
    if not next_word and state in _USUAL:
        next_word, next_rule = _USUAL[state]
    failure = one.failure or (FailureClass.OK.value if state in _WENT_WELL else None)
    return AttemptStory(
        attempt_id=ids.attempt_id(message.uid, message.id - message.operation_id, one.n),
        sender_id=ids.encode(ids.SENDER, sender.uid) if sender else "",
        failure=failure,
        code=one.code or None,
        rule=one.rule or None,
        table_version=one.table_version,
        next=next_word or None,
        next_rule=next_rule or None,
        state=state.name,
        channel=one.channel,
        sender_address=sender.address if sender else "",
        text=_told(one, state, next_word, next_rule),
        started_at=moment(one.started_at),
        updated_at=moment(one.updated_at),
        candidates=candidates_of(one, story, roster)[:MOST],
    )


IN_TEMPLATE = "The recipient had not written to this sender for 24 hours, so it went as a template at once."
_ARRIVED = (AttemptState.DELIVERED.name, AttemptState.READ.name)
_ENDS = {
    AttemptState.STARTED: "Handed to its connection; the carrier has not answered yet.",
    AttemptState.ACCEPTED: "The carrier took it.",
    AttemptState.DELIVERED: "The carrier took it, and reported its delivery.",
    AttemptState.READ: "The carrier took it, and the recipient has read it.",
    AttemptState.AMBIGUOUS: "The carrier may have taken it or not: its answer was lost.",
    AttemptState.UNDELIVERED: "The carrier took it, and reported that it could not be delivered",
    AttemptState.REJECTED: "The carrier refused it",
    AttemptState.EXPIRED: "Its time ran out",
    AttemptState.REVOKED: "The carrier took it back",
    AttemptState.WITHDRAWN: "It did not go out",
}


def _told(one: StoryOfAttempt, state: AttemptState, next_word: str, next_rule: str) -> str:
    """How an attempt ended and what was decided then, in a sentence or two."""
    text = _ENDS[state]
    if not text.endswith("."):
        text = f"{text}{_with_code(one)}."
    if one.marks & AHEAD:
        text = f"{IN_TEMPLATE} {text}"
    if state is AttemptState.WITHDRAWN:
        return f"{text} That is no attempt: the message went back to where it had stood."
    return f"{text} {decided(next_word, next_rule)}" if next_word and next_word != "stop" else text


def _with_code(one: StoryOfAttempt) -> str:
    """The carrier's code and what the table says of it."""
    found = by_rule(one.rule) if one.rule else of_class(FailureClass(one.failure)) if one.failure else None
    code = f" with code {one.code}" if one.code and one.rule else f" ({one.code})" if one.code else ""
    meaning = f": {found.meaning.rstrip('.')} ({one.failure})" if found is not None and one.rule else ""
    return f"{code}{meaning}"


def _in_short(story: Story, plan: Sequence[PlanStep], attempts: Sequence[AttemptStory], waiting: Waiting | None) -> str:
    """The whole in a sentence or two."""
    message, state = story.message, MessageState(story.message.state)
    if state is MessageState.INBOUND:
        return "It came in; nothing was sent."
    counted = [one for one in attempts if one.state != AttemptState.WITHDRAWN.name]
    if waiting is not None:
        before = f"{_tries(len(counted))} so far. " if counted and _waits(story) else ""
        return f"{before}On {LETTER_CHANNEL[message.plan[message.step]]}: {waiting.text}"
    if state in (MessageState.DELIVERED, MessageState.READ):
        by = next(one for one in reversed(counted) if one.state in _ARRIVED)
        return f"Delivered over {by.channel} by {by.sender_address}, {_with(len(counted))}."
    if state is MessageState.CANCELED:
        return f"Canceled, {_with(len(counted))}."
    if not counted:
        return f"It ended {state.name} without an attempt. {plan[message.step].text}"
    last = counted[-1]
    return f"{_tries(len(counted))}; the last, over {last.channel} by {last.sender_address}: {last.text}"


def _with(number: int) -> str:
    return "without an attempt" if not number else f"with {_tries(number).lower()}"


def _tries(number: int) -> str:
    return "One attempt" if number == 1 else f"{number} attempts"
