"""Choose a message's channels, and its next step after each outcome. Pure: it reads no clock and sends nothing.

`next_step` obeys the words of `failures.toml`. *Failover* keeps the channel and changes the sender, *fallback*
changes the channel.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sendpool.domain.decision import (
    Case,
    Decision,
    End,
    Failover,
    Fallback,
    Later,
    MessageFacts,
    OutcomeFacts,
    Stop,
    Tried,
    Trigger,
    Wait,
)
from sendpool.domain.failures import (
    CLASSES,
    Classified,
    FailureClass,
    OtherChannel,
    OtherSender,
    SameSender,
    by_rule,
)
from sendpool.domain.policy import EXPIRY_MARGIN, Duplicates, OpenOutcome, Policy
from sendpool.domain.sender import AddressSpace, Channel
from sendpool.domain.states import OPEN_ATTEMPTS, AttemptState, MessageState

__all__ = [
    "Decision",
    "End",
    "Failover",
    "Fallback",
    "Later",
    "MessageFacts",
    "OutcomeFacts",
    "Stop",
    "Tried",
    "Trigger",
    "Wait",
    "next_step",
    "plan",
]

#: The channels that reach an address, the best first (contract behaviour §6-§7).
CHANNELS_OF: Mapping[AddressSpace, tuple[Channel, ...]] = {
    AddressSpace.PHONE: (Channel.RCS, Channel.SMS),
    AddressSpace.WHATSAPP: (Channel.WHATSAPP,),
    AddressSpace.EMAIL: (Channel.EMAIL,),
}


def plan(
    space: AddressSpace,
    available: Collection[Channel],
    filter_in: Collection[Channel] | None = None,
    priority: Mapping[Channel, int] | None = None,
    reach: Sequence[Channel] | None = None,
) -> tuple[Channel, ...]:
    """Return the channels to try for an address, in order; empty if it is unaddressable.

    *available* are the channels of the active senders; *filter_in* limits them (None: no limit); *priority* orders
    them, lower first, and those left out of it come after. *reach* are the channels on which the pool tries a phone
    number, in this order, in place of the usual ones (None); WhatsApp may be among them.
    """
    channels = CHANNELS_OF[space] if reach is None or space is not AddressSpace.PHONE else reach
    allowed = [c for c in channels if c in available and (filter_in is None or c in filter_in)]
    if priority:
        allowed.sort(key=lambda channel: priority.get(channel, _LAST))
    return tuple(allowed)


#: Seconds before the one repeat that follows a passing fault at once.
FIRST_REPEAT = 0.5
#: Seconds between further tries on a channel after passing faults, and after an absent recipient.
FAULT_BACKOFF = (2.0, 8.0, 30.0, 120.0, 900.0)
ABSENT_BACKOFF = (600.0, 1800.0, 7200.0, 28_800.0)
#: The row of the failover table by which what was refused as it was goes out once more in another form.
REPAIR_RULE = "15"
#: Seconds before a throttled message is due again where the carrier names no time: per pair it grows by 4, else by 2.
PAIR_BACKOFF, SCOPE_BACKOFF, LONGEST_SCOPE_BACKOFF = 4.0, 2.0, 60.0
#: Seconds at most to wait for proof before a message of unknown fate takes the next channel, if its policy says so.
LONGEST_DOUBT = 300.0
#: Seconds after its own expiry at which a carrier that has said nothing is asked (provider notes on RCS, section 4).
LOST_EVENT = 60.0

_LAST = 1 << 62
_DELIVERED = (AttemptState.DELIVERED, AttemptState.READ)
#: Classes that leave open whether another try would succeed; every other one is a reason to give at the end.
_PASSING = frozenset({FailureClass.OK, FailureClass.TRANSIENT, FailureClass.THROTTLED, FailureClass.AMBIGUOUS})


def next_step(message: MessageFacts, outcome: OutcomeFacts, policy: Policy, now: float) -> Decision:
    """Decide what follows from an attempt's outcome, from a wait that is over, or from the end of all waiting.

    | rule | when | then |
    |---|---|---|
    | 0 | suppressed, or at the deadline | end |
    | 1 | accepted or delivered | wait for a receipt; stop |
    | timer | accepted, then no receipt in the step's or the carrier's time | fall back, where there is such a time |
    | 2 | throttled for the pair | same sender later, growing by 4 |
    | 3, 4 | throttled for the sender; connection or account | another sender (of another connection), else later |
    | 5 | TRANSIENT | same sender after 0.5 s, another one, later with back-off, next channel |
    | 6, 19 | AMBIGUOUS, also after acceptance | tolerate: same sender; avoid: wait; its time over: next channel |
    | 7, 8 | SENDER; for one country | another sender, next channel |
    | 9 | ACCOUNT | a sender of another connection, next channel |
    | 10 | REQUEST; ACCOUNT for our settings of the connection | end; as 9, and no cap counts it |
    | 11 | RECIPIENT | next channel unless the number is invalid, next address (0x0B: one more sender first) |
    | 12 | CHANNEL | next channel at once |
    | 13 | CONSENT; CAP | end; next channel unless marketing, later |
    | 14 | ABSENT | next channel, or later while the step's time lasts |
    | 15 | a row that names a repair | the repaired form once |
    | 16 | POLICY | next channel only if the pool says so; never another sender |
    | 17 | CONTENT | next channel if it carries other content |
    | 18 | EXPIRED, revoked | next channel |
    | 20 | unknown code | one sender of another connection, next channel |

    An end waits while another attempt is open. Caps: 12 attempts and 4 senders a message, 10 attempts a channel, 3 a
    sender, one accepted attempt a sender. Terminates: but for twelve, every attempt counts against
    a cap, and every wait has an end.
    """
    case = Case(message, outcome, message.attempts[outcome.attempt], outcome.found, policy, now)
    if any(tried.state in _DELIVERED for tried in message.attempts):
        return Stop("1")
    if outcome.trigger is Trigger.CLOSING:
        return Stop("closed")
    if case.found.failure is FailureClass.OK:
        return _after_acceptance(case)
    if message.queued:
        return Wait(case.rule, None)
    if case.found.failure is FailureClass.AMBIGUOUS:
        return _after_doubt(case)
    if case.superseded or message.suppressed or now >= message.deadline:
        return _end(case)
    if case.found.failure is FailureClass.THROTTLED:
        return _after_throttle(case)
    return _after_failure(case)


def _after_acceptance(case: Case) -> Decision:
    if case.superseded or case.message.queued or case.message.next_step is None:
        return Wait("1", case.closes_at)
    if case.outcome.trigger is Trigger.RESULT:
        return _receipt_wait(case)
    if case.budget_ends is None and case.outcome.trigger is not Trigger.LAPSED:
        return Wait("1", case.closes_at)
    return _leave(case, rule="timer") or Wait("timer", case.closes_at)


def _receipt_wait(case: Case) -> Wait:
    """How long to wait for a receipt. The carrier was given the same time, and should give up before we do."""
    ends, expires_at = case.budget_ends, case.outcome.expires_at
    if ends is not None:
        return Wait("1", max(case.now, ends) + EXPIRY_MARGIN.get(case.tried.channel, 0.0))
    if expires_at is not None:
        return Wait("1", expires_at + LOST_EVENT, lapses=True)
    return Wait("1", case.closes_at)


def _after_doubt(case: Case) -> Decision:
    """Follow the policy for duplicates: an open outcome is neither success nor failure."""
    wait = Wait(case.rule, case.closes_at)
    if case.superseded or case.now >= case.message.deadline or case.message.suppressed:
        return wait
    if case.outcome.trigger is Trigger.RESULT:
        return _doubt_wait(case) or wait
    return _settle_doubt(case) or wait


def _doubt_wait(case: Case) -> Wait | None:
    """How long to wait for proof that it was accepted; None: until it comes."""
    policy, now, ends = case.policy, case.now, case.budget_ends
    if policy.duplicates is Duplicates.TOLERATE:
        # The time on the channel goes on running: nobody waits past it for proof that it was accepted at all.
        latest = now + policy.grace if ends is None or case.tried.accepted else max(now, ends)
        return Wait(case.rule, min(now + policy.grace, latest))
    if case.message.next_step is None:
        return None
    if ends is not None and not case.tried.accepted:
        return Wait(case.rule, max(now, ends) + EXPIRY_MARGIN.get(case.tried.channel, 0.0))
    if policy.open_outcome is OpenOutcome.FAILOVER:
        return Wait(case.rule, now + min(policy.budget(case.tried.channel) or LONGEST_DOUBT, LONGEST_DOUBT))
    if case.outcome.expires_at is not None and not case.tried.accepted:
        return Wait(case.rule, case.outcome.expires_at + LOST_EVENT, lapses=True)
    return None


def _settle_doubt(case: Case) -> Decision | None:
    """The wait for proof is over: once more by the same sender, by another one, or on to the next channel."""
    policy, ends = case.policy, case.budget_ends
    over = case.outcome.trigger is Trigger.LAPSED or (ends is not None and case.now >= ends)
    if case.tried.accepted:
        leaves = policy.duplicates is Duplicates.TOLERATE or policy.open_outcome is OpenOutcome.FAILOVER
        return _leave(case) if leaves else None
    if over:
        # The carrier was given the same time, and what it may have is taken back first.
        return _leave(case, rule="timer")
    if policy.duplicates is Duplicates.TOLERATE:
        # The same text by the same sender is the mildest duplicate, so it comes first.
        return _repeat(case, policy.max_sender_attempts, case.now) or _fail_over(case, OtherSender.NEXT) or _leave(case)
    return _leave(case) if policy.open_outcome is OpenOutcome.FAILOVER else None


def _leave(case: Case, rule: str | None = None) -> Fallback | None:
    return _fall_back(case, OtherChannel.NEXT, rule=rule, revoke=True)


def _after_throttle(case: Case) -> Decision:
    """It is no failure of the message: its scope pauses, and only the deadline runs."""
    message, now, found = case.message, case.now, case.found
    pair = found.scope == "pair"
    growth = PAIR_BACKOFF if pair else SCOPE_BACKOFF
    wait = case.outcome.retry_after
    if wait is None:
        wait = growth ** min(message.throttled, 12)
        wait = wait if pair else min(wait, LONGEST_SCOPE_BACKOFF)
    if pair and case.budget_ends is not None and now + wait > case.budget_ends:
        moved = _fall_back(case, OtherChannel.NEXT)
        if moved is not None:
            return moved
    if not pair:
        elsewhere = found.scope != "sender"
        free = message.untried_elsewhere if elsewhere else message.untried
        if free and case.may_take_new_sender():
            return Failover(case.rule, now, other_connection_only=elsewhere)
    return Later(case.rule, min(now + wait, message.deadline), case.tried.sender_id)


def _after_failure(case: Case) -> Decision:
    """Take the first that the class, its row and the caps allow: same sender, another sender, next channel, later."""
    actions, found = CLASSES[case.found.failure], case.found
    late = actions.same is SameSender.LATER
    return (
        _repaired(case)
        or _repeat_at_once(case, actions.same)
        or _fail_over(case, actions.sender)
        or (_retry_after_fault(case) if actions.same is SameSender.ONCE else None)
        or (_retry_when_there(case, within_budget=True) if late else None)
        or _fall_back(case, found.channel or actions.channel)
        or (_retry_when_there(case, within_budget=False) if late else None)
        or _end(case)
    )


def _repaired(case: Case) -> Later | None:
    repair = case.found.repair
    if repair is None or repair not in case.message.repairs or not case.may_try_here:
        return None
    return Later(REPAIR_RULE, case.now, case.tried.sender_id, repair=repair)


def _repeat_at_once(case: Case, same: SameSender) -> Later | None:
    if case.found.after is not None:
        return None
    tries = case.found.cap or (2 if same is SameSender.ONCE else 1)
    return _repeat(case, min(tries, 2), case.now + FIRST_REPEAT)


def _repeat(case: Case, tries: int, at: float) -> Later | None:
    """The same sender again, if it has had fewer than *tries*."""
    sender_id = case.tried.sender_id
    if case.used_up or not case.may_try_here or case.tries_of(sender_id) >= tries or at >= case.message.deadline:
        return None
    return Later(case.rule, at, sender_id)


def _fail_over(case: Case, word: OtherSender) -> Failover | None:
    """A sender that the message has not tried, as the class or its row allows."""
    found, message = case.found, case.message
    if found.senders is not None:
        same = [t for t in case.here if t.found.rule == found.rule or not (t.found.known or found.known)]
        if len({t.sender_id for t in same} | {case.tried.sender_id}) >= found.senders:
            return None
        word = OtherSender.NEXT
    elsewhere = word is OtherSender.ELSEWHERE
    if elsewhere and found.scope == "pair":
        return None  # It hits every sender alike.
    free = message.untried_elsewhere if elsewhere else message.untried
    if word is OtherSender.NEVER or not free or not case.may_try_here:
        return None
    if not case.may_take_new_sender(reserve=message.next_step is not None):
        return None
    # The fault may be the whole connection's: with few senders a message, another connection is the better bet.
    return Failover(case.rule, case.now, prefer_other_connection=True, other_connection_only=elsewhere)


def _retry_after_fault(case: Case) -> Later | None:
    """One of the senders that met only passing faults, after a back-off that grows."""
    made = case.here
    tries = {tried.sender_id: case.tries_of(tried.sender_id) for tried in made}
    spent = {
        tried.sender_id
        for tried in made
        if tried.state is not AttemptState.REJECTED
        or tried.accepted
        or tried.found.failure is not FailureClass.TRANSIENT
        or tries[tried.sender_id] >= min(tried.found.cap or 3, case.policy.max_sender_attempts)
    }
    able = [sender_id for sender_id in tries if sender_id not in spent | case.message.inactive]
    if not able or not case.may_try_here:
        return None
    before = sum(max(0, n - 2) for n in tries.values())
    pause = max(FAULT_BACKOFF[min(before, len(FAULT_BACKOFF) - 1)], case.found.after or 0.0)
    at = case.now + pause
    if at >= case.message.deadline or (case.budget_ends is not None and at > case.budget_ends):
        return None
    chosen = min(able, key=lambda sender_id: (tries[sender_id], sender_id == case.tried.sender_id))
    return Later(case.rule, at, chosen, same_sender=chosen == case.tried.sender_id)


def _retry_when_there(case: Case, *, within_budget: bool) -> Later | Failover | None:
    """Try again after minutes and hours; a sender that had its accepted attempt gives way to another one."""
    before = sum(tried.found.failure is case.found.failure for tried in case.here) - 1
    pause = ABSENT_BACKOFF[min(max(before, 0), len(ABSENT_BACKOFF) - 1)]
    at = case.now + max(pause, case.found.after or 0.0)
    ends = case.budget_ends
    if within_budget and (ends is None or at > ends):
        return None
    if case.found.failure is FailureClass.CAP and case.found.scope == "pair":
        return None
    if at >= case.message.deadline or not case.may_try_here:
        return None
    if not case.used_up:
        return Later(case.rule, at, case.tried.sender_id)
    # A quota is not another sender's to use; an absent phone may answer any of them.
    absent = case.found.failure is FailureClass.ABSENT
    if absent and case.message.untried and case.may_take_new_sender(reserve=case.message.next_step is not None):
        return Failover(case.rule, at)
    return None


def _fall_back(case: Case, word: OtherChannel, *, rule: str | None = None, revoke: bool = False) -> Fallback | None:
    """The next step of the plan that has a sender, as the class or its row allows."""
    message, policy = case.message, case.policy
    allowed = {
        OtherChannel.NEVER: False,
        OtherChannel.NEXT: True,
        OtherChannel.WHEN_VALID: not case.found.invalid or message.next_elsewhere,
        OtherChannel.WHEN_ASKED: policy.filtered_may_fall_back,
        OtherChannel.WHEN_DIFFERENT: message.next_differs,
        OtherChannel.UNLESS_BULK: not policy.marketing,
    }[word]
    if not allowed or message.next_step is None or not case.may_try or not case.may_take_new_sender():
        return None
    if message.suppressed or case.now >= message.deadline:
        return None
    return Fallback(rule or case.rule, case.now, message.next_step, revoke)


def _end(case: Case) -> Decision:
    """End, unless another attempt is open; then whatever it brings decides."""
    message = case.message
    if any(tried.state in OPEN_ATTEMPTS for tried in message.attempts):
        return Wait(case.rule, case.closes_at)
    accepted = any(tried.accepted for tried in message.attempts)
    state = MessageState.UNDELIVERED if accepted else MessageState.FAILED
    rule, found = _reason(case)
    return End(rule, state, found.failure, found.wire_code or 30008)


def _reason(case: Case) -> tuple[str, Classified]:
    """The rule that ended the message, and the first permanent reason of its best channel."""
    message = case.message
    if message.suppressed:
        return "0", by_rule("sendpool/suppressed")
    reasons = [
        (tried.channel, case.found if i == case.outcome.attempt else tried.found)
        for i, tried in enumerate(message.attempts)
    ]
    permanent = [(channel, found) for channel, found in reasons if found.failure not in _PASSING]
    # A channel that the recipient is not on is not the best one, where another was tried.
    told = [entry for entry in permanent if entry[1].failure is not FailureClass.CHANNEL] or permanent
    if told:
        return case.rule, min(told, key=lambda entry: _place(message.plan, entry[0]))[1]
    if case.now >= message.deadline:
        return "0", by_rule("sendpool/deadline")
    capped = not case.may_try_here or not case.may_take_new_sender()
    return ("caps" if capped else case.rule), case.found


def _place(order: tuple[Channel, ...], channel: Channel) -> int:
    return order.index(channel) if channel in order else len(order)
