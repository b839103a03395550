"""The explanation of a message: what each step of its plan came to, who was looked at, what followed from each attempt.

Shapes and words only; `pipeline.explain` fills them in. The words for senders are `domain.reasons`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Self

import msgspec
from msgspec import UNSET, UnsetType

from sendpool.domain.reasons import Verdict


class StepOutcome(StrEnum):
    """How far a message came with a step of its plan."""

    #: Not due yet, or in a queue.
    WAITING = "waiting"
    #: Handed to a carrier that has not answered yet.
    SENDING = "sending"
    #: A carrier has it; nothing is known of its delivery.
    SENT = "sent"
    #: Nobody knows whether a carrier has it.
    UNKNOWN = "unknown"
    DELIVERED = "delivered"
    FAILED = "failed"
    #: Left without a failure there.
    PASSED = "passed"
    #: Its turn may still come.
    SPARE = "spare"
    #: Its turn never came.
    UNUSED = "unused"
    #: Not in the plan: the channel was ruled out when the request was accepted.
    LEFT_OUT = "left_out"


class StepReason(StrEnum):
    """Why a step stands as it does: a code and its sentence. A failed step has its last failure's class instead."""

    sentence: str

    def __new__(cls, code: str, sentence: str = "") -> Self:
        """Make a member that is its code; called with the code alone it finds the member."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.sentence = sentence
        return member

    SCHEDULED = "scheduled", "It is to be sent later."
    ASKING = "asking", "Nobody has said yet whether the recipient can be reached on this channel; that is being asked."
    IN_QUEUE = "in_queue", "It waits for a sender."
    KEPT = "kept", "It is kept for one sender."
    PAUSING = "pausing", "It is tried again a little later."
    OPERATION_PAUSED = (
        "operation_paused",
        "Its operation is paused, since carriers refused what it says; it waits until somebody resumes or cancels it.",
    )
    NO_SENDER_READY = "no_sender_ready", "No sender is ready."
    BETWEEN = "between", "It is being moved just now."
    AT_CARRIER = "at_carrier", "The carrier has not answered yet."
    NO_RECEIPT = "no_receipt", "The carrier took it and has not reported its delivery."
    CLOSED = "closed", "The carrier took it and did not report its delivery in time; nothing more is done."
    FATE_UNKNOWN = "fate_unknown", "The carrier may have taken it or not; its answer was lost."
    DELIVERED = "delivered", "The carrier reported its delivery."
    READ = "read", "The recipient has read it."
    UNREACHABLE = "unreachable", "The recipient cannot be reached on this channel."
    TIME_OVER = "time_over", "No sender of this channel took it within the time that its policy stays there."
    NO_SENDER = "no_sender", "No active sender of the pool is on this channel."
    TURN_LATER = "turn_later", "Its turn comes where an earlier step fails."
    DONE_BEFORE = "done_before", "An earlier step delivered it."
    ENDED_BEFORE = "ended_before", "The message ended before its turn came."
    CANCELED = "canceled", "The message was canceled."
    EXPIRED = "expired", "Its time was over before a sender took it."
    ABANDONED = "abandoned", "Its pool was deleted, and no sender was left in it."
    OPTED_OUT = "opted_out", "The recipient takes no such messages from this account."
    COUNTRY_CLOSED = "country_closed", "The pool or its account does not send to the recipient's country."
    NO_SENDER_THERE = "no_sender_there", "No sender of the pool may send to the recipient's country."
    NO_CAMPAIGN = "no_campaign", "No sender of the pool has a registered campaign for the recipient's country."
    NO_CONTENT = "no_content", "The request says nothing on this channel."
    FILTERED = "filtered", "The request left this channel out."
    INVALID = "invalid", "This address had turned out to be invalid."
    IN_QUARANTINE = (
        "in_quarantine",
        "Carriers have said twice that nobody has this address, so that nothing is sent to it on this channel for now.",
    )
    WINDOW_CLOSED = (
        "window_closed",
        "The recipient has not written to any of these senders for 24 hours, and none has a template for that.",
    )
    NOTHING_TO_SAY = "nothing_to_say", "The text came out empty or unusable for this recipient."


#: Why a message left a step without a failure there, as its row has it: one letter after the step's index.
UNREACHED, TOO_LONG, DESERTED, QUARANTINED, WINDOW_CLOSED = "n", "t", "s", "q", "c"
PASSED: Mapping[str, StepReason] = MappingProxyType(
    {
        UNREACHED: StepReason.UNREACHABLE,
        TOO_LONG: StepReason.TIME_OVER,
        DESERTED: StepReason.NO_SENDER,
        QUARANTINED: StepReason.IN_QUARANTINE,
        WINDOW_CLOSED: StepReason.WINDOW_CLOSED,
    }
)
#: What stands in the same place for an attempt that was none: "0w2.7.1800000000.throttled" is attempt 2 of step 0, by
#: sender 7, at that second, and the code.
WITHDRAWN = "w"

#: What the rules of `routing.next_step` say, by their number.
RULES: Mapping[str, str] = MappingProxyType(
    {
        "0": "the message's time was over, or its recipient takes no messages",
        "1": "a carrier took it",
        "timer": "no receipt came within the time that the policy stays on the channel",
        "deaf": "no receipts of its sender come any more, so that it means nothing that this one has not come",
        "2": "the carrier takes no more for this recipient from this sender just now; that is no failure",
        "3": "the carrier takes no more from this sender just now; that is no failure",
        "4": "the carrier takes no more over this connection just now; that is no failure",
        "5": "a fault of the route that may pass",
        "6": "nobody knows whether the carrier took it, and the policy for duplicates decides",
        "7": "the fault is this sender's",
        "8": "the fault is this sender's, in the recipient's country",
        "9": "the account at the carrier may not or cannot send, which every sender of the connection shares",
        "10": "the request itself is wrong, so that every sender would be refused",
        "11": "the recipient's number or address is the reason, so that another sender would change nothing",
        "12": "the recipient is not on this channel",
        "13": "the recipient has opted out, or has had as many messages as the carrier allows",
        "14": "the recipient is out of reach for now",
        "15": "the carrier asked for another form of the same message",
        "16": "a filter refused what it says; the same text is never tried through another sender",
        "17": "what it says is refused, whoever sends it",
        "18": "the carrier gave up, or it was taken back",
        "19": "it was accepted, and then nobody knows what became of it",
        "20": "the carrier's code is in no table; such a message gets one more sender",
        "caps": "it has had as many attempts or senders as one message may have",
        "closed": "its time and the hour for late receipts were over",
    }
)

#: What was decided after an attempt: the first word of `next`.
NEXT: Mapping[str, str] = MappingProxyType(
    {
        "failover": "Another sender of the channel was to try",
        "fallback": "The next step of the plan had its turn",
        "later": "A sender that had tried already was to try again later",
        "wait": "Nothing further was sent, and a receipt awaited",
        "end": "No further attempt was made",
        "stop": "Nothing was left to do",
        "revoke": "The carrier was asked to take it back",
        "unrevoked": "The carrier could not take it back",
    }
)


def decided(next_word: str, rule: str) -> str:
    """Return what was decided and why, as a sentence."""
    because = RULES.get(rule)
    return f"{NEXT.get(next_word, next_word)}{f': {because}' if because else ''}."


def moment(microseconds: int) -> str:
    """Return a time as explanations tell it: RFC 3339 in UTC."""
    return datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def duration(seconds: float) -> str:
    """Return a span of time in words: "1.2 s", "3 min", "2 h 5 min"."""
    if seconds < 60:
        return f"{max(0.0, seconds):.1f} s"
    minutes = round(seconds / 60)
    hours, rest = divmod(minutes, 60)
    return f"{minutes} min" if not hours else f"{hours} h {rest} min" if rest else f"{hours} h"


_Moment = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]


class Explained(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A part of an explanation."""


class PlanStep(Explained, frozen=True, kw_only=True):
    """One step of the plan and what became of it. `reason` is a code, or the class of the failure that ended it."""

    channel: str
    address: str
    outcome: StepOutcome
    reason: str
    text: str


class Candidate(Explained, frozen=True, kw_only=True):
    """A sender that was looked at, and why it took the message or not."""

    sender_id: str
    address: str
    verdict: Verdict
    reason: str
    text: str
    #: When the reason no longer holds, where that is known: coarse for what is past.
    until: _Moment | UnsetType = UNSET


class AttemptStory(Explained, frozen=True, kw_only=True, omit_defaults=False):
    """One attempt: how it ended, by which row of which table, and what was decided then; withdrawn ones too."""

    attempt_id: str
    sender_id: str
    #: A failure class; OK for what a carrier took; null while nothing is known.
    failure: Annotated[str | None, msgspec.Meta(description="The class of how it ended.")] = msgspec.field(name="class")
    #: The carrier's own code.
    code: str | None
    #: The row of the table that gave the class.
    rule: str | None
    table_version: int | None
    #: failover, fallback, later, wait, end, stop, revoke or again.
    next: str | None
    #: The number of the rule that decided so.
    next_rule: str | None
    #: As we keep it: STARTED, ACCEPTED, AMBIGUOUS, DELIVERED, READ, UNDELIVERED, REJECTED, EXPIRED, REVOKED, WITHDRAWN.
    state: str
    channel: str
    sender_address: str
    text: str
    started_at: _Moment
    updated_at: _Moment
    #: Who else was looked at; of the latest attempt this stands above, unless the message waits again.
    candidates: list[Candidate] | UnsetType = UNSET


class Waiting(Explained, frozen=True, kw_only=True):
    """What a message waits for now."""

    reason: str
    text: str
    #: When that is expected to be over.
    until: _Moment | UnsetType = UNSET
    #: Messages of its queue before it; where they are very many, only that there are at least so many.
    ahead: int | UnsetType = UNSET
    ahead_at_least: bool | UnsetType = UNSET


class Explanation(Explained, frozen=True, kw_only=True):
    """Why a message went the way it did, or waits."""

    message_id: str
    status: str
    #: The whole in a sentence or two.
    text: str
    plan: list[PlanStep]
    #: Who was looked at for the present or latest attempt.
    candidates: list[Candidate]
    attempts: list[AttemptStory]
    waiting: Waiting | UnsetType = UNSET
    #: Members of a large pool that are left out of `candidates`, which has the first hundred.
    candidates_left_out: int | UnsetType = UNSET
