"""Who was looked at for an attempt, or is looked at for a message that waits, and why each took it or not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from sendpool.domain import ids
from sendpool.domain.explanation import Candidate, moment
from sendpool.domain.message import LETTER_CHANNEL, at_step
from sendpool.domain.reasons import Reason, Remark, Verdict, say
from sendpool.domain.sender import Sender
from sendpool.domain.states import AttemptState
from sendpool.pipeline.book import ANYONE, ASKING
from sendpool.pipeline.roster import Roster
from sendpool.pipeline.scene import Standing
from sendpool.pipeline.settle import SUBMITTED
from sendpool.pipeline.sight import Sight
from sendpool.store.stories import Story, StoryOfAttempt

#: Candidates that are shown of one choice.
MOST = 100
_ORDER = {verdict: place for place, verdict in enumerate(Verdict)}
#: What a standing means where its sender got the message all the same.
_TAKEN_AS = {Reason.PROBING: Reason.PROBE, Reason.TRICKLE: Reason.TRIAL, Reason.RECOVERING: Reason.TRIAL}


def candidates_of(attempt: StoryOfAttempt, story: Story, roster: Roster) -> list[Candidate]:
    """Who was looked at for an attempt, as its scene has it; only who tried, where that scene is gone or was none."""
    scene = _standings(story.scenes.get(attempt.scene or 0))
    before = [one for one in story.attempts if one.n < attempt.n and one.step == attempt.step]
    spent = tried_before(before)
    previous = _decided(story.attempts, attempt)
    remarks: dict[int, Remark] = {}
    for sender_id, standing in scene.items():
        remark = Remark(standing_reason(standing), standing.until, standing.about)
        if sender_id in spent:
            remark = Remark(spent[sender_id])
        elif remark.reason is Reason.READY and previous in ("failover", "later"):
            remark = Remark(Reason.OTHER_LANE)
        remarks[sender_id] = remark
    for sender_id, reason in spent.items():
        remarks.setdefault(sender_id, Remark(reason))
    own = scene.get(attempt.sender_id)
    others = [remark.reason for sender_id, remark in remarks.items() if sender_id != attempt.sender_id]
    remarks[attempt.sender_id] = _why_taken(own, previous, others, _names_sender(story))
    return _shown(remarks, roster)


def candidates_now(story: Story, roster: Roster, sight: Sight) -> list[Candidate]:
    """Who is looked at for a message that waits at its present step."""
    message, spot = story.message, story.spot
    channel = LETTER_CHANNEL[message.plan[message.step]]
    spent = tried_before([one for one in story.attempts if one.step == message.step])
    lane = spot.lane if spot is not None else ANYONE
    address = at_step(message.address, message.step)
    remarks = {}
    for sender, _ in roster.members(message.pool_id, channel):
        if lane == str(sender.id):
            remark = sight.remark(sender)
        elif sender.id in spent:
            remark = Remark(spent[sender.id])
        elif lane not in (ANYONE, ASKING) and lane.isdigit():
            remark = Remark(Reason.OTHER_LANE)
        elif not sight.reaches(sender.id, address):
            remark = Remark(Reason.UNREACHABLE)
        else:
            remark = sight.remark(sender)
        if remark.reason is Reason.READY:
            # Ready is who would take the next message: this one, or those before it.
            remark = Remark(Reason.TURN if spot is None or spot.ahead else Reason.NEXT)
        remarks[sender.id] = remark
    for sender_id, reason in spent.items():
        remarks.setdefault(sender_id, Remark(reason))
    return _shown(remarks, roster)


def received_by(story: Story, roster: Roster) -> list[Candidate]:
    """The sender to which an inbound message came."""
    sender_id = story.message.sender_id
    return [] if sender_id is None else _shown({sender_id: Remark(Reason.RECEIVED)}, roster)


def tried_before(attempts: Iterable[StoryOfAttempt]) -> dict[int, Reason]:
    """Senders that made these attempts; withdrawn ones are none."""
    spent: dict[int, Reason] = {}
    for one in attempts:
        if one.state == AttemptState.WITHDRAWN:
            continue
        if one.marks & SUBMITTED:
            spent[one.sender_id] = Reason.ACCEPTED_BEFORE
        else:
            spent.setdefault(one.sender_id, Reason.TRIED)
    return spent


def candidate(sender: Sender, remark: Remark) -> Candidate:
    """A sender and what is said of it, as clients see it."""
    until = None if remark.until is None else moment(int(remark.until * 1e6))
    return Candidate(
        sender_id=ids.encode(ids.SENDER, sender.uid),
        address=sender.address,
        verdict=remark.reason.verdict,
        reason=remark.reason.value,
        text=say(remark.reason, until or "", remark.about),
        until=until if until is not None else UNSET,
    )


def in_order(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Who took it, who might yet, who did not, who may not."""
    return sorted(candidates, key=lambda one: _ORDER[one.verdict])


def _shown(remarks: Mapping[int, Remark], roster: Roster) -> list[Candidate]:
    known = ((roster.senders.get(sender_id), remark) for sender_id, remark in remarks.items())
    return in_order(candidate(sender, remark) for sender, remark in known if sender is not None)


def _why_taken(own: Standing | None, previous: str, others: Sequence[Reason], named: bool) -> Remark:
    state = standing_reason(own) if own is not None else Reason.READY
    about = own.about if own is not None else ""
    if state in _TAKEN_AS:
        return Remark(_TAKEN_AS[state], about=about)
    if previous == "later":
        return Remark(Reason.AGAIN)
    if previous == "failover":
        return Remark(Reason.UNTRIED)
    if named:
        return Remark(Reason.NAMED)
    return Remark(Reason.FIRST_FREE if Reason.READY in others else Reason.ONLY_ONE)


def _decided(attempts: Sequence[StoryOfAttempt], attempt: StoryOfAttempt) -> str:
    """What had been decided before an attempt at the same step: "failover", "later", or "" where it was the first."""
    for one in reversed(attempts):
        # A withdrawn one went back to where it had stood: what was decided before it still held.
        if one.n < attempt.n and one.next and one.state != AttemptState.WITHDRAWN:
            word = one.next.partition("/")[0]
            return word if one.step == attempt.step else ""
    return ""


def _names_sender(story: Story) -> bool:
    return msgspec.json.decode(story.message.origin).get("kind") in ("sender", "address")


def _standings(body: str | None) -> dict[int, Standing]:
    """A scene's members; those of an earlier version have fewer fields."""
    if body is None:
        return {}
    members: list[list[Any]] = msgspec.json.decode(body)["members"]
    return {one[0]: Standing(*one) for one in members}


def standing_reason(standing: Standing) -> Reason:
    """The reason that a standing's state names; one of a later version says nothing."""
    try:
        return Reason(standing.state)
    except ValueError:
        return Reason.READY
