"""Who was looked at for an attempt, or is looked at for a message that waits, and why each took it or not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from sendpool.domain import ids
from sendpool.domain.dealing import step_cost
from sendpool.domain.explanation import Candidate, moment
from sendpool.domain.message import LETTER_CHANNEL, at_step
from sendpool.domain.preference import Preference
from sendpool.domain.reasons import Reason, Remark, Verdict, say
from sendpool.domain.sender import Channel, Sender
from sendpool.domain.states import AttemptState
from sendpool.pipeline.book import ANYONE
from sendpool.pipeline.countries import country_of, destination_of
from sendpool.pipeline.restraint import in_country
from sendpool.pipeline.roster import Roster
from sendpool.pipeline.scene import Standing
from sendpool.pipeline.settle import SUBMITTED
from sendpool.pipeline.sight import LiveSight, Sight
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
    lanes = roster.lanes(story.message.pool_id, Channel(attempt.channel))
    address = at_step(story.message.address, attempt.step)
    excluded = lanes.exclusions(destination_of(address))
    meant = lanes.pick(address) if not previous else None
    country = country_of(address)
    scene = {key: _at(standing, country) for key, standing in scene.items()}
    own = scene.get(attempt.sender_id)
    remarks: dict[int, Remark] = {}
    for sender_id, standing in scene.items():
        remark = Remark(standing_reason(standing), standing.until, standing.about)
        if sender_id in spent:
            remark = Remark(spent[sender_id])
        elif sender_id in excluded and sender_id != attempt.sender_id:
            remark = excluded[sender_id]
        elif remark.reason is Reason.READY and own is not None and standing.tier > own.tier:
            remark = Remark(Reason.LOWER_TIER)
        elif remark.reason is Reason.READY and previous in ("failover", "later"):
            remark = Remark(Reason.OTHER_LANE)
        elif remark.reason is Reason.READY and meant is not None and meant.sender_id == attempt.sender_id:
            remark = Remark(_NOT_PREFERRED.get(lanes.choice.preference, Reason.READY))
        remarks[sender_id] = remark
    for sender_id, reason in spent.items():
        remarks.setdefault(sender_id, Remark(reason))
    others = [remark.reason for sender_id, remark in remarks.items() if sender_id != attempt.sender_id]
    taken = _why_taken(own, previous, others, named=_names_sender(story), again=attempt.sender_id in spent)
    if taken.reason in (Reason.FIRST_FREE, Reason.ONLY_ONE) and meant is not None:
        preferred = _PREFERRED.get(lanes.choice.preference) if meant.sender_id == attempt.sender_id else None
        taken = Remark(preferred) if preferred is not None else taken
    remarks[attempt.sender_id] = taken
    return _shown(remarks, roster)


def candidates_now(story: Story, roster: Roster, sight: Sight) -> list[Candidate]:
    """Who is looked at for a message that waits at its present step."""
    message, spot = story.message, story.spot
    channel = LETTER_CHANNEL[message.plan[message.step]]
    spent = tried_before([one for one in story.attempts if one.step == message.step])
    lane = spot.lane if spot is not None else ANYONE
    cost = step_cost(message.plan[message.step], message.segments)
    remarks = _now(message.pool_id, channel, at_step(message.address, message.step), roster, sight, spent, lane, cost)
    for sender_id, remark in remarks.items():
        if remark.reason is Reason.READY:
            # Ready is who would take the next message: this one, or those before it.
            remarks[sender_id] = Remark(Reason.TURN if spot is None or spot.ahead else Reason.NEXT)
    for sender_id, reason in spent.items():
        remarks.setdefault(sender_id, Remark(reason))
    return _shown(remarks, roster)


def choice_now(
    pool_id: int, channel: Channel, address: str, roster: Roster, sight: LiveSight
) -> tuple[Sender | None, list[Candidate]]:
    """Who would take a message to *address* now (or first), and everybody who is looked at."""
    lanes = roster.lanes(pool_id, channel)
    seat = lanes.pick(address)
    lane = ANYONE if seat is None else str(seat.sender_id)
    remarks = _now(pool_id, channel, address, roster, sight, {}, lane)
    able = [roster.senders[key] for key, remark in remarks.items() if _may(remark)]
    ready = [sender for sender in able if remarks[sender.id].reason is Reason.READY]
    chosen = min(ready or able, key=lambda sender: sight.place(pool_id, sender), default=None)
    if chosen is not None and ready:
        preferred = _PREFERRED.get(lanes.choice.preference) if seat is not None else None
        remarks[chosen.id] = Remark(preferred or (Reason.FIRST_FREE if len(ready) > 1 else Reason.ONLY_ONE))
    return chosen, _shown(remarks, roster)


#: What a pool's preference makes of the one sender that should have a message, and of the others.
_PREFERRED = {Preference.STICKY: Reason.STICKY, Preference.MATCH: Reason.MATCHED}
_NOT_PREFERRED = {Preference.STICKY: Reason.OTHER_STICKY, Preference.MATCH: Reason.LESS_MATCHING}


def _may(remark: Remark) -> bool:
    return remark.reason is Reason.READY or remark.reason.verdict is Verdict.WAITED


def _now(
    pool_id: int,
    channel: Channel,
    address: str,
    roster: Roster,
    sight: Sight,
    spent: Mapping[int, Reason],
    lane: str,
    cost: int = 1,
) -> dict[int, Remark]:
    """What is said of each member for a message in this lane: who may not at all, then who is not meant, then who is
    not ready.
    """
    lanes = roster.lanes(pool_id, channel)
    excluded = lanes.exclusions(destination_of(address))
    others = Reason.OTHER_LANE if spent else _NOT_PREFERRED.get(lanes.choice.preference, Reason.OTHER_LANE)
    remarks: dict[int, Remark] = {}
    for sender, _ in roster.members(pool_id, channel):
        if lane == str(sender.id):
            remarks[sender.id] = _held_back(sender, address, cost, sight)
        elif sender.id in spent:
            remarks[sender.id] = Remark(spent[sender.id])
        elif sender.id in excluded:
            remarks[sender.id] = excluded[sender.id]
        elif not sight.reaches(sender.id, address):
            remarks[sender.id] = Remark(Reason.UNREACHABLE)
        elif lane.isdigit():
            remarks[sender.id] = Remark(others)
        else:
            remarks[sender.id] = _held_back(sender, address, cost, sight)
    return _with_tiers(remarks, lanes.tier_of)


#: What passes in a moment, so that a limit which lasts is said instead.
_PASSING = (Reason.READY, Reason.USED_UP, Reason.CONNECTION_USED_UP, Reason.SCOPE_FULL, Reason.WINDOW_FULL)


def _held_back(sender: Sender, address: str, cost: int, sight: Sight) -> Remark:
    """What holds a sender back from a message to an address, or that it is ready."""
    found = in_country(sight.remark(sender), country_of(address))
    if found.reason not in _PASSING:
        return found
    return sight.refusal(sender, address, cost) or found


def _with_tiers(remarks: dict[int, Remark], tier_of: Mapping[int, int]) -> dict[int, Remark]:
    """The same, where a better tier takes the message as long as any of it can."""
    best = min((tier_of[key] for key, remark in remarks.items() if remark.reason is Reason.READY), default=None)
    if best is None:
        return remarks
    return {
        key: Remark(Reason.LOWER_TIER) if remark.reason is Reason.READY and tier_of[key] > best else remark
        for key, remark in remarks.items()
    }


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


def _why_taken(own: Standing | None, previous: str, others: Sequence[Reason], *, named: bool, again: bool) -> Remark:
    state = standing_reason(own) if own is not None else Reason.READY
    about = own.about if own is not None else ""
    if state in _TAKEN_AS:
        return Remark(_TAKEN_AS[state], about=about)
    if previous in ("later", "failover"):
        # What was to be tried again by one sender may have gone to another, if that one was not free in time.
        return Remark(Reason.AGAIN if again else Reason.UNTRIED)
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


def _at(standing: Standing, country: str) -> Standing:
    """What a standing says of a message to a country: poor health is that of some countries only."""
    remark = in_country(Remark(standing_reason(standing), standing.until, standing.about), country)
    return standing._replace(state=remark.reason.value, about=remark.about)


def standing_reason(standing: Standing) -> Reason:
    """The reason that a standing's state names; one of a later version says nothing."""
    try:
        return Reason(standing.state)
    except ValueError:
        return Reason.READY
