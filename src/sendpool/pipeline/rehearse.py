"""Rehearse: what a send would do now, by the very code that accepts one, in hands that leave no trace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import inf
from typing import TYPE_CHECKING

from msgspec import UNSET
from msgspec.structs import replace

from sendpool.domain import ids
from sendpool.domain.dealing import step_cost
from sendpool.domain.explanation import moment
from sendpool.domain.failures import api_code
from sendpool.domain.message import LETTER_CHANNEL, at_step
from sendpool.domain.rehearsal import (
    Rehearsal,
    RehearsedChannel,
    RehearsedRecipient,
    RehearsedStep,
    Unaddressable,
)
from sendpool.domain.request import SendRequest
from sendpool.pipeline.accept import Acceptor
from sendpool.pipeline.acceptance import Acceptance
from sendpool.pipeline.explain_choice import choice_now
from sendpool.pipeline.sight import LiveSight
from sendpool.pipeline.waiter import NOBODY
from sendpool.store.messages import NewMessage

if TYPE_CHECKING:
    from sendpool.pipeline.engine import Engine

#: Recipients, and unaddressable ones, that are told one by one; candidates of each of their steps.
DETAIL, CANDIDATES = 100, 20


async def rehearse(engine: Engine, request: SendRequest) -> Rehearsal:
    """Say what a request would do now. Sends nothing and stores nothing. Raises what accepting it would raise."""
    acceptor = engine.acceptor.rehearsing()
    whole = await engine.intake.prepare(request, acceptor, NOBODY)
    new = whole.operation
    sight = LiveSight(engine.sending, engine.clock)
    roster = acceptor.roster
    firsts = _firsts(whole)
    channels = [_on_channel(engine, sight, new.pool_id, letter, *firsts[letter]) for letter in sorted(firsts)]
    seconds = [channel.seconds for channel in channels]
    known = [one for one in seconds if isinstance(one, float)]
    return Rehearsal(
        sender_pool_id=ids.encode(ids.POOL, roster.pools[new.pool_id].uid),
        category=new.category,
        validity=new.validity,
        recipients=new.recipients,
        total=new.total,
        scheduled=new.scheduled,
        failed=new.failed,
        unaddressable=new.unaddressable,
        segments=sum(channel.segments for channel in channels),
        estimated_seconds=max(known, default=0.0) if len(known) == len(seconds) else UNSET,
        channels=channels,
        detail=[await _one(engine, acceptor, sight, request, i) for i in range(min(DETAIL, len(request.recipients)))],
        unaddressable_detail=[
            Unaddressable(position=position, address=address, code=code, text=_sentence(reason))
            for _, position, address, _, code, reason, _ in whole.errors[:DETAIL]
        ],
    )


def _firsts(whole: Acceptance) -> Mapping[str, tuple[int, int]]:
    """(messages, segments) that begin on each channel, by its letter."""
    messages: Counter[str] = Counter()
    segments: Counter[str] = Counter()
    for letter, cost in whole.firsts():
        messages[letter] += 1
        segments[letter] += cost
    return {letter: (messages[letter], segments[letter]) for letter in messages}


def _on_channel(
    engine: Engine, sight: LiveSight, pool_id: int, letter: str, messages: int, segments: int
) -> RehearsedChannel:
    channel = LETTER_CHANNEL[letter]
    pace = sight.pace(sender for sender, _ in engine.roster.members(pool_id, channel))
    waiting = engine.book.waiting_on(pool_id, channel) + engine.expander.waiting_on(pool_id, letter)
    return RehearsedChannel(
        channel=channel.value,
        messages=messages,
        segments=segments,
        throughput=UNSET if pace == inf else round(pace, 3),
        waiting=waiting,
        seconds=UNSET if not pace else round((waiting + segments) / pace, 3),
    )


async def _one(
    engine: Engine, acceptor: Acceptor, sight: LiveSight, request: SendRequest, position: int
) -> RehearsedRecipient:
    """What would become of the recipient at *position*: the same request, to nobody else."""
    recipient = request.recipients[position]
    alone = await engine.intake.prepare(replace(request, recipients=[recipient]), acceptor, NOBODY)
    if alone.errors:
        code, reason = alone.errors[0][4:6]
        return _nothing(position, recipient.address, "unaddressable", code, _sentence(reason))
    if alone.born_failed:
        code = alone.born_failed[0][1]
        return _nothing(position, recipient.address, "failed", code, api_code(code).meaning)
    (message,) = [*alone.messages, *alone.scheduled]
    due = alone.later[0][0] if alone.later else None
    return RehearsedRecipient(
        position=position,
        address=recipient.address,
        outcome="queued" if due is None else "scheduled",
        text="It would be due at once." if due is None else f"It would be due at {moment(due)}.",
        due_at=UNSET if due is None else moment(due),
        plan=[_step(acceptor, sight, alone.operation.pool_id, message, i) for i in range(len(message.plan))],
    )


def _nothing(position: int, address: str, outcome: str, code: int, text: str) -> RehearsedRecipient:
    return RehearsedRecipient(position=position, address=address, outcome=outcome, text=text, code=code, plan=[])


def _step(acceptor: Acceptor, sight: LiveSight, pool_id: int, message: NewMessage, step: int) -> RehearsedStep:
    letter = message.plan[step]
    channel, address = LETTER_CHANNEL[letter], at_step(message.address, step)
    chosen, candidates = choice_now(pool_id, channel, address, acceptor.roster, sight)
    return RehearsedStep(
        channel=channel.value,
        address=address,
        segments=step_cost(letter, message.segments),
        chosen=UNSET if chosen is None else ids.encode(ids.SENDER, chosen.uid),
        candidates=candidates[:CANDIDATES],
        candidates_left_out=len(candidates) - CANDIDATES if len(candidates) > CANDIDATES else UNSET,
    )


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:].rstrip('.')}."
