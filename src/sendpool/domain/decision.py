"""What `next_step` is told, what follows from that directly, and what it may answer: values only."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import msgspec

from sendpool.domain.failures import Classified, FailureClass, Repair, by_rule, of_class
from sendpool.domain.policy import Policy
from sendpool.domain.sender import Channel
from sendpool.domain.states import AttemptState, MessageState


class Trigger(StrEnum):
    """What makes a decision due."""

    #: A submit result or a receipt.
    RESULT = "result"
    #: The time of a `Wait` is over and nothing new is known.
    TIME_OVER = "time_over"
    #: The same, and the carrier's own time for the attempt, which was shorter than the message's, is long over.
    LAPSED = "lapsed"
    #: The validity and an hour are over.
    CLOSING = "closing"


class Tried(NamedTuple):
    """One attempt as it stands now. Withdrawn ones are none, so they are left out."""

    channel: Channel
    sender_id: int
    connection_id: int
    state: AttemptState
    failure: FailureClass | None = None
    #: The rule stored with it ("smpp/0x0a"); "" where only the class is known.
    rule: str = ""
    #: A carrier had taken it (`ACCEPTED` at some time): the sender has had its one accepted attempt.
    accepted: bool = False
    #: Index in the plan: two steps may go to different addresses over the same channel.
    step: int = 0

    @property
    def found(self) -> Classified:
        """What its code meant."""
        return by_rule(self.rule) if self.rule else of_class(self.failure or FailureClass.OK)


class MessageFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision needs to know of a message. Times are seconds on one clock, the one of *now*."""

    created_at: float
    #: Created plus validity: nothing is sent at or after it.
    deadline: float
    plan: tuple[Channel, ...]
    #: Index in `plan` of the present step.
    step: int = 0
    #: When the present step began; None: with the message.
    step_at: float | None = None
    #: Every attempt made so far, in order, the one that the outcome is about included.
    attempts: tuple[Tried, ...] = ()
    #: Whether the present step has an active sender that this message has not tried, and one of another connection
    #: than the outcome's attempt.
    untried: bool = False
    untried_elsewhere: bool = False
    #: Index in `plan` of the next step that has an active sender; None: there is none.
    next_step: int | None = None
    #: Whether that step carries other content than the present one.
    next_differs: bool = False
    #: Whether that step goes to another address, of which a fault of the present one says nothing.
    next_elsewhere: bool = False
    #: Later steps for each of which an attempt and a sender are kept, so that every address gets its turn.
    reserved: int = 0
    #: Tried senders that are not active any more.
    inactive: frozenset[int] = frozenset()
    #: Changed forms in which the content can be sent and has not been yet.
    repairs: frozenset[Repair] = frozenset()
    #: Times that carriers have throttled this message.
    throttled: int = 0
    #: The message is queued (due or later) already: its next attempt is settled.
    queued: bool = False
    #: The recipient opted out or is suppressed for the account.
    suppressed: bool = False


class OutcomeFacts(NamedTuple):
    """What happened to one attempt."""

    #: Its place in `MessageFacts.attempts`, which holds its new state already.
    attempt: int
    #: What the carrier's code means; of class OK for an acceptance or delivery.
    found: Classified
    trigger: Trigger = Trigger.RESULT
    #: Seconds until the throttled scope resumes, where known.
    retry_after: float | None = None
    #: When the carrier gives the attempt up by itself, where that is before the message's own deadline.
    expires_at: float | None = None


class Later(NamedTuple):
    """Due again at `at`, through the sender named."""

    rule: str
    at: float
    sender_id: int
    #: Whether that is the sender of the outcome's attempt.
    same_sender: bool = True
    #: The changed form to send; None: as it is.
    repair: Repair | None = None


class Failover(NamedTuple):
    """Due at `at` through a sender of the same channel that this message has not tried."""

    rule: str
    at: float
    prefer_other_connection: bool = False
    #: Only a sender of another connection will do.
    other_connection_only: bool = False


class Fallback(NamedTuple):
    """Due at `at` on a later step of the plan."""

    rule: str
    at: float
    step: int
    #: First take the open attempt back where its carrier can (RCS); a late delivery then makes no double.
    revoke: bool = False


class Wait(NamedTuple):
    """Nothing to do until something is heard, or until `until` (then ask again, with `Trigger.TIME_OVER`).

    None: what was decided before still holds.
    """

    rule: str
    until: float | None
    #: True: at `until` the carrier must have given up and said so; ask with `Trigger.LAPSED`.
    lapses: bool = False


class End(NamedTuple):
    """The message ends: FAILED, or UNDELIVERED if a carrier had accepted any attempt."""

    rule: str
    state: MessageState
    failure: FailureClass
    #: The `error.code` on the wire.
    code: int


class Stop(NamedTuple):
    """No further attempt: it was delivered, or it is closed with its fate unknown."""

    rule: str


Decision = Later | Failover | Fallback | Wait | End | Stop

#: Seconds after the validity at which a message without a receipt is closed.
CLOSE_AFTER = 3600.0


def is_closed(deadline: float, now: float) -> bool:
    """Whether a message that is still SENT is over: it stays SENT, in doubt where it was, and counts as ended.

    Nothing is written when that happens; what is heard later is evidence on the attempt alone.
    """
    return now >= deadline + CLOSE_AFTER


#: Attempts refused for our settings of a connection that count against no cap (failover notes, row 10).
MOST_FORGIVEN = 12

#: The rule that each class fires.
_RULES = {
    FailureClass.OK: "1",
    FailureClass.TRANSIENT: "5",
    FailureClass.THROTTLED: "3",
    FailureClass.CAP: "13",
    FailureClass.SENDER: "7",
    FailureClass.ACCOUNT: "9",
    FailureClass.CHANNEL: "12",
    FailureClass.RECIPIENT: "11",
    FailureClass.ABSENT: "14",
    FailureClass.CONSENT: "13",
    FailureClass.CONTENT: "17",
    FailureClass.POLICY: "16",
    FailureClass.REQUEST: "10",
    FailureClass.EXPIRED: "18",
    FailureClass.AMBIGUOUS: "6",
}


class Case(NamedTuple):
    """One decision: the facts, and what follows from them directly."""

    message: MessageFacts
    outcome: OutcomeFacts
    tried: Tried
    found: Classified
    policy: Policy
    now: float

    @property
    def rule(self) -> str:
        """The rule that the outcome fires."""
        found = self.found
        if not found.known:
            return "20"
        if found.failure is FailureClass.THROTTLED:
            return {"pair": "2", "sender": "3"}.get(found.scope, "4")
        if found.failure is FailureClass.AMBIGUOUS and self.tried.accepted:
            return "19"
        if found.failure is FailureClass.SENDER and found.scope == "sender_country":
            return "8"
        if found.of_settings:
            return "10"
        return _RULES[found.failure]

    @property
    def made(self) -> list[Tried]:
        """The attempts that count."""
        return [tried for tried in self.message.attempts if tried.state is not AttemptState.WITHDRAWN]

    @property
    def counted(self) -> list[Tried]:
        """Those that the message pays for: our own wrong settings are not its fault, up to a number."""
        forgiven = [tried for tried in self.made if tried.found.of_settings][:MOST_FORGIVEN]
        return [tried for tried in self.made if not any(tried is one for one in forgiven)]

    @property
    def here(self) -> list[Tried]:
        """Those on the present step."""
        present = self.tried
        return [tried for tried in self.made if tried.channel is present.channel and tried.step == present.step]

    @property
    def superseded(self) -> bool:
        """Whether a later attempt was made: what becomes of this one changes nothing more."""
        return self.outcome.attempt < len(self.message.attempts) - 1

    @property
    def closes_at(self) -> float:
        """When a message without a final word is closed."""
        return max(self.message.deadline, self.now) + CLOSE_AFTER

    @property
    def budget_ends(self) -> float | None:
        """When the step's time is over; None: it has none, or there is no later step."""
        budget = self.policy.budget(self.tried.channel)
        if budget is None or self.message.next_step is None:
            return None
        message = self.message
        return (message.created_at if message.step_at is None else message.step_at) + budget

    @property
    def may_try(self) -> bool:
        """Whether the caps allow one more attempt at all."""
        return len(self.counted) < self.policy.max_attempts

    @property
    def may_try_here(self) -> bool:
        """Whether they allow one more on the present step."""
        if len(self.counted) + self.message.reserved >= self.policy.max_attempts:
            return False
        present = self.tried
        here = sum(tried.channel is present.channel and tried.step == present.step for tried in self.counted)
        return here < self.policy.max_step_attempts

    def may_take_new_sender(self, reserve: int = 0) -> bool:
        """Whether they allow one more sender, and *reserve* further ones for later steps."""
        kept = max(reserve, self.message.reserved) if reserve else 0
        return len({tried.sender_id for tried in self.counted}) + kept < self.policy.max_senders

    def tries_of(self, sender_id: int) -> int:
        """How often this sender has tried on the present step."""
        return sum(tried.sender_id == sender_id for tried in self.here)

    @property
    def used_up(self) -> bool:
        """Whether the attempt's sender may not try again: it had its accepted attempt, or it is gone."""
        return self.tried.accepted or self.tried.sender_id in self.message.inactive
