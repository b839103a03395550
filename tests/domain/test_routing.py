"""The plan of a message and its next step: the golden vectors, every class, and no way to loop or to break a rule."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendpool.domain.decision import MOST_FORGIVEN
from sendpool.domain.failures import CLASSES, ROWS, Classified, FailureClass, Repair, by_rule, of_class
from sendpool.domain.message import Category
from sendpool.domain.policy import OpenOutcome, Policy, PoolRules, policy_for
from sendpool.domain.routing import (
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
    next_step,
    plan,
)
from sendpool.domain.sender import AddressSpace, Channel
from sendpool.domain.states import AttemptState, MessageState

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "failover.json").read_text(encoding="utf-8"))
F = FailureClass
A = AttemptState
DAY = 86_400.0
#: Submit refusals leave REJECTED; these come by receipt, after an acceptance.
AFTER_ACCEPTANCE = {A.ACCEPTED, A.DELIVERED, A.READ, A.UNDELIVERED, A.EXPIRED, A.REVOKED}


class Journey:
    """One message in a pool: applies outcomes, asks for the next step, and knows what the pool still offers."""

    def __init__(
        self,
        policy: Policy,
        channels: tuple[Channel, ...],
        pool: dict[Channel, list[tuple[int, int]]],
        repairs: frozenset[Repair] = frozenset(),
    ) -> None:
        self.policy = policy
        self.channels = channels
        self.pool = pool
        self.repairs = repairs
        self.attempts: list[Tried] = []
        self.step = 0
        self.step_at = 0.0
        self.throttled = 0
        self.without_tokens: set[int] = set()

    def outcome(
        self, sender_id: int, state: AttemptState, found: Classified, now: float, *, place: int | None = None
    ) -> int:
        channel = next(c for c in self.pool if sender_id in [sender for sender, _ in self.pool[c]])
        connection = dict(self.pool[channel])[sender_id]
        accepted = state in AFTER_ACCEPTANCE
        tried = Tried(channel, sender_id, connection, state, found.failure, found.rule, accepted)
        if place is None or place == len(self.attempts):
            self.attempts.append(tried)
            place = len(self.attempts) - 1
        else:
            self.attempts[place] = tried
        return place

    def untried(self) -> list[tuple[int, int]]:
        """Senders of the present step that this message may still take, with their connections."""
        gone = {tried.sender_id for tried in self.attempts} | self.without_tokens
        return [entry for entry in self.pool[self.channels[self.step]] if entry[0] not in gone]

    def facts(self, place: int, *, queued: bool = False) -> MessageFacts:
        untried = self.untried()
        later = [i for i in range(self.step + 1, len(self.channels)) if self.pool.get(self.channels[i])]
        return MessageFacts(
            created_at=0.0,
            deadline=self.policy.validity,
            plan=self.channels,
            step=self.step,
            step_at=self.step_at,
            attempts=tuple(self.attempts),
            untried=bool(untried),
            untried_elsewhere=any(link != self.attempts[place].connection_id for _, link in untried),
            next_step=later[0] if later else None,
            repairs=self.repairs,
            throttled=self.throttled,
            queued=queued,
        )

    def decide(
        self, place: int, found: Classified, now: float, trigger: Trigger = Trigger.RESULT, *, queued: bool = False
    ) -> Decision:
        decision = next_step(self.facts(place, queued=queued), OutcomeFacts(place, found, trigger), self.policy, now)
        if found.failure is F.THROTTLED:
            self.throttled += 1
        if isinstance(decision, Later) and decision.repair is not None:
            self.repairs -= {decision.repair}
        if isinstance(decision, Fallback):
            self.step, self.step_at = decision.step, decision.at
        return decision


def policy_of(settings: dict[str, Any]) -> Policy:
    return policy_for(
        Category(settings["category"]),
        PoolRules(
            fallback_after=settings.get("fallback_after"),
            open_outcome=OpenOutcome(settings["open_outcome"]) if "open_outcome" in settings else None,
            filtered_may_fall_back=settings.get("filtered_may_fall_back", False),
        ),
    )


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: f"{vector['n']}: {vector['title']}")
def test_golden_vectors_of_the_failover_table(vector: dict[str, Any]) -> None:
    names = [name for senders in vector["pool"].values() for name, _ in senders]
    links = sorted({link for senders in vector["pool"].values() for _, link in senders})
    pool = {
        Channel(channel): [(names.index(name), links.index(link)) for name, link in senders]
        for channel, senders in vector["pool"].items()
    }
    journey = Journey(
        policy_of(vector["policy"]),
        tuple(Channel(channel) for channel in vector["plan"]),
        pool,
        frozenset(Repair(repair) for repair in vector.get("repairs", [])),
    )
    for event in vector["events"]:
        found = by_rule(event["code"])
        assert found.known, event["code"]
        place = journey.outcome(
            names.index(event["sender"]), AttemptState[event["state"]], found, event["at"], place=event["attempt"]
        )
        decision = journey.decide(place, found, event["at"], Trigger(event.get("trigger", "result")))
        seen = {"do": type(decision).__name__.lower(), **decision._asdict()}
        seen["sender"] = names[decision.sender_id] if isinstance(decision, Later) else None
        seen["state"] = decision.state.name if isinstance(decision, End) else None
        assert {key: seen[key] for key in event["expect"]} == event["expect"]


def test_every_golden_vector_is_here_or_says_where_it_is() -> None:
    here = {vector["n"].split()[0] for vector in VECTORS["vectors"]}
    assert here | VECTORS["elsewhere"].keys() == {str(n) for n in range(1, 16)}


# ---------------------------------------------------------------- the plan


ALL = frozenset(Channel)


@pytest.mark.parametrize(
    ("space", "available", "filter_in", "priority", "reach", "expected"),
    [
        (AddressSpace.PHONE, ALL, None, None, None, "RCS SMS"),
        (AddressSpace.PHONE, {Channel.SMS}, None, None, None, "SMS"),
        (AddressSpace.PHONE, {Channel.WHATSAPP, Channel.EMAIL}, None, None, None, ""),
        (AddressSpace.WHATSAPP, ALL, None, None, None, "WHATSAPP"),
        (AddressSpace.EMAIL, ALL, None, None, None, "EMAIL"),
        (AddressSpace.PHONE, ALL, {Channel.SMS}, None, None, "SMS"),
        (AddressSpace.PHONE, ALL, set(), None, None, ""),
        (AddressSpace.PHONE, ALL, None, {Channel.SMS: 0, Channel.RCS: 1}, None, "SMS RCS"),
        (AddressSpace.PHONE, ALL, None, {Channel.SMS: 7}, None, "SMS RCS"),
        (AddressSpace.PHONE, ALL, None, {Channel.RCS: 0, Channel.SMS: 1}, None, "RCS SMS"),
        (AddressSpace.PHONE, ALL, None, {Channel.WHATSAPP: 0}, None, "RCS SMS"),
        (AddressSpace.PHONE, ALL, None, {}, (Channel.RCS, Channel.SMS, Channel.WHATSAPP), "RCS SMS WHATSAPP"),
        (AddressSpace.PHONE, ALL, None, {}, (Channel.SMS,), "SMS"),
        (AddressSpace.PHONE, ALL, None, {}, (Channel.WHATSAPP, Channel.RCS), "WHATSAPP RCS"),
        (AddressSpace.PHONE, {Channel.SMS}, None, {}, (Channel.WHATSAPP, Channel.RCS), ""),
        (AddressSpace.PHONE, ALL, {Channel.SMS}, {}, (Channel.SMS, Channel.RCS), "SMS"),
        (AddressSpace.WHATSAPP, ALL, None, {}, (Channel.SMS,), "WHATSAPP"),
        (AddressSpace.EMAIL, ALL, None, {}, (Channel.SMS,), "EMAIL"),
        (AddressSpace.PHONE, ALL, None, {Channel.WHATSAPP: 0}, (Channel.SMS, Channel.WHATSAPP), "WHATSAPP SMS"),
    ],
)
def test_plan_orders_the_channels_that_reach_an_address(
    space: AddressSpace,
    available: set[Channel],
    filter_in: set[Channel] | None,
    priority: dict[Channel, int] | None,
    reach: tuple[Channel, ...] | None,
    expected: str,
) -> None:
    assert " ".join(plan(space, available, filter_in, priority, reach)) == expected


# ---------------------------------------------------------------- one class each

SMS, RCS, WHATSAPP = Channel.SMS, Channel.RCS, Channel.WHATSAPP
TWO_AND_NEXT = {SMS: [(1, 1), (2, 2)], WHATSAPP: [(9, 9)]}
TWO_ALONE = {SMS: [(1, 1), (2, 2)]}
ONE_ALONE = {SMS: [(1, 1)]}


def first_decision(
    code: str,
    pool: dict[Channel, list[tuple[int, int]]],
    state: AttemptState = A.REJECTED,
    category: Category = Category.TRANSACTIONAL,
    now: float = 1.0,
) -> Decision:
    journey = Journey(policy_for(category), tuple(pool), pool)
    found = by_rule(code)
    return journey.decide(journey.outcome(1, state, found, now), found, now)


#: What each class does first where another sender and another channel exist, where only another sender does, and
#: alone: the default actions of the error taxonomy.
BY_CLASS = {
    F.TRANSIENT: (Later, Later, Later),
    F.CAP: (Failover, Failover, Later),
    F.SENDER: (Failover, Failover, End),
    F.ACCOUNT: (Failover, Failover, End),
    F.CHANNEL: (Fallback, End, End),
    F.RECIPIENT: (Fallback, End, End),
    F.ABSENT: (Fallback, Later, Later),
    F.CONSENT: (End, End, End),
    F.CONTENT: (End, End, End),
    F.POLICY: (End, End, End),
    F.REQUEST: (End, End, End),
    F.EXPIRED: (Fallback, End, End),
    F.THROTTLED: (Failover, Failover, Later),
    F.AMBIGUOUS: (Wait, Wait, Wait),
    F.OK: (Wait, Wait, Wait),
}


@pytest.mark.parametrize("failure", list(F))
@pytest.mark.parametrize("place", [0, 1, 2])
def test_each_class_does_what_the_table_says(failure: FailureClass, place: int) -> None:
    pool = (TWO_AND_NEXT, TWO_ALONE, ONE_ALONE)[place]
    state = {F.OK: A.ACCEPTED, F.AMBIGUOUS: A.AMBIGUOUS, F.THROTTLED: A.WITHDRAWN}.get(failure, A.REJECTED)

    decision = first_decision(f"class/{failure}", pool, state)

    assert type(decision) is BY_CLASS[failure][place]


def test_passing_fault_repeats_once_then_takes_another_sender_then_backs_off() -> None:
    journey = Journey(policy_for(Category.TRANSACTIONAL), (SMS,), TWO_ALONE)
    found = by_rule("smpp/0x08")
    now, sender, seen = 0.0, 1, []
    for _ in range(12):
        decision = journey.decide(journey.outcome(sender, A.REJECTED, found, now), found, now)
        if isinstance(decision, End):
            assert decision == ("5", MessageState.FAILED, F.TRANSIENT, 30008)
            break
        assert isinstance(decision, Later | Failover)
        seen.append((type(decision).__name__, round(decision.at - now, 3)))
        sender = decision.sender_id if isinstance(decision, Later) else 2
        now = decision.at

    assert seen == [("Later", 0.5), ("Failover", 0.0), ("Later", 0.5), ("Later", 2.0), ("Later", 8.0)]


def test_passing_fault_reported_after_acceptance_never_goes_to_the_same_sender() -> None:
    decision = first_decision("smpp.map/34", TWO_ALONE, A.UNDELIVERED)
    assert decision == Failover("5", 1.0, prefer_other_connection=True)

    assert isinstance(first_decision("smpp.map/34", ONE_ALONE, A.UNDELIVERED), End)


def test_unknown_code_acts_once_as_transient_on_another_connection_and_then_ends() -> None:
    journey = Journey(policy_for(Category.TRANSACTIONAL), (SMS,), {SMS: [(1, 1), (2, 2), (3, 3)]})
    unknown = by_rule("smpp/?")

    first = journey.decide(journey.outcome(1, A.REJECTED, unknown, 0.0), unknown, 0.0)
    second = journey.decide(journey.outcome(2, A.REJECTED, unknown, 1.0), unknown, 1.0)

    assert first == Failover("20", 0.0, prefer_other_connection=True)
    assert second == End("20", MessageState.FAILED, F.TRANSIENT, 30008)


def test_refusal_without_a_reason_is_repeated_once_before_another_sender() -> None:
    journey = Journey(policy_for(Category.TRANSACTIONAL), (SMS,), TWO_ALONE)
    found = by_rule("smpp/0x45")

    first = journey.decide(journey.outcome(1, A.REJECTED, found, 0.0), found, 0.0)
    second = journey.decide(journey.outcome(1, A.REJECTED, found, 0.5), found, 0.5)

    assert first == Later("7", 0.5, 1)
    assert isinstance(second, Failover)


def test_refused_account_takes_only_a_sender_of_another_connection() -> None:
    same = {SMS: [(1, 1), (2, 1)]}
    assert isinstance(first_decision("class/ACCOUNT", same), End)
    assert first_decision("class/ACCOUNT", TWO_ALONE) == Failover(
        "9", 1.0, prefer_other_connection=True, other_connection_only=True
    )


def test_invalid_number_falls_back_to_no_channel() -> None:
    assert isinstance(first_decision("twilio/30005", TWO_AND_NEXT), Fallback)
    assert first_decision("twilio/21211", TWO_AND_NEXT) == End("11", MessageState.FAILED, F.RECIPIENT, 21211)


def test_content_falls_back_only_where_the_next_channel_carries_other_content() -> None:
    found = of_class(F.CONTENT)
    message = MessageFacts(
        created_at=0.0,
        deadline=DAY,
        plan=(RCS, SMS),
        attempts=(Tried(RCS, 1, 1, A.REJECTED, F.CONTENT),),
        next_step=1,
        next_differs=True,
    )

    assert next_step(message, OutcomeFacts(0, found), policy_for(Category.BULK), 1.0) == Fallback("17", 1.0, 1)


def test_absent_phone_is_tried_again_after_minutes_within_the_steps_time_and_then_falls_back() -> None:
    policy = policy_for(Category.TRANSACTIONAL, PoolRules(fallback_after=3600.0))
    journey = Journey(policy, (SMS, WHATSAPP), TWO_AND_NEXT)
    found = of_class(F.ABSENT)
    decisions, now, sender = [], 0.0, 1
    for state in (A.UNDELIVERED, A.UNDELIVERED, A.UNDELIVERED):
        decision = journey.decide(journey.outcome(sender, state, found, now), found, now)
        decisions.append(decision)
        if isinstance(decision, Fallback):
            break
        assert isinstance(decision, Failover)
        now, sender = decision.at, 2

    assert decisions == [Failover("14", 600.0), Fallback("14", 600.0, 1)]


def test_absent_phone_refused_at_the_door_is_tried_by_the_same_sender_until_the_deadline() -> None:
    journey = Journey(policy_for(Category.TRANSACTIONAL), (SMS,), ONE_ALONE)
    found = of_class(F.ABSENT)
    now, waits = 0.0, []
    while True:
        decision = journey.decide(journey.outcome(1, A.REJECTED, found, now), found, now)
        if not isinstance(decision, Later):
            break
        waits.append(decision.at - now)
        now = decision.at

    assert waits == [600.0, 1800.0, 7200.0, 28_800.0, 28_800.0, 28_800.0, 28_800.0, 28_800.0]
    assert decision == End("14", MessageState.FAILED, F.ABSENT, 30003)


def test_quota_waits_for_its_reset_where_nothing_else_is_left() -> None:
    assert first_decision("twilio/30023", ONE_ALONE) == Later("13", DAY + 1.0, 1)
    assert isinstance(first_decision("twilio/30023", ONE_ALONE, category=Category.OTP), End)


def test_pair_throttle_backs_off_by_four_on_the_same_sender() -> None:
    journey = Journey(policy_for(Category.TRANSACTIONAL), (WHATSAPP,), {WHATSAPP: [(1, 1), (2, 2)]})
    found = by_rule("whatsapp/131056")
    waits = []
    for _ in range(4):
        decision = journey.decide(journey.outcome(1, A.WITHDRAWN, found, 0.0), found, 0.0)
        assert isinstance(decision, Later)
        waits.append(decision.at)

    assert waits == [1.0, 4.0, 16.0, 64.0]


def test_pair_throttle_beyond_the_steps_time_falls_back() -> None:
    journey = Journey(policy_for(Category.OTP), (WHATSAPP, SMS), {WHATSAPP: [(1, 1)], SMS: [(2, 2)]})
    found = by_rule("whatsapp/131056")
    journey.throttled = 3

    decision = journey.decide(journey.outcome(1, A.WITHDRAWN, found, 5.0), found, 5.0)

    assert decision == Fallback("2", 5.0, 1)


def test_throttle_waits_as_long_as_the_carrier_asks() -> None:
    message = MessageFacts(
        created_at=0.0, deadline=DAY, plan=(SMS,), attempts=(Tried(SMS, 1, 1, A.WITHDRAWN, F.THROTTLED),)
    )
    outcome = OutcomeFacts(0, of_class(F.THROTTLED), retry_after=17.0)

    assert next_step(message, outcome, policy_for(Category.BULK), 3.0) == Later("3", 20.0, 1)


# ---------------------------------------------------------------- silence and doubt


def test_silence_falls_back_only_where_the_policy_times_the_channel() -> None:
    found = of_class(F.OK)
    for category, expected in ((Category.OTP, Fallback), (Category.TRANSACTIONAL, Wait), (Category.BULK, Wait)):
        journey = Journey(policy_for(category), (SMS, WHATSAPP), TWO_AND_NEXT)
        place = journey.outcome(1, A.ACCEPTED, found, 1.0)

        assert type(journey.decide(place, found, 71.0, Trigger.TIME_OVER)) is expected


def test_receipt_timer_ends_after_the_carriers_own_expiry() -> None:
    found = of_class(F.OK)
    journey = Journey(policy_for(Category.OTP), (SMS, WHATSAPP), TWO_AND_NEXT)
    place = journey.outcome(1, A.ACCEPTED, found, 1.0)

    assert journey.decide(place, found, 1.0) == Wait("1", 70.0)
    assert journey.policy.carrier_validity(SMS, 500.0) == 60.0


def test_without_a_later_step_an_accepted_message_waits_for_its_receipt_until_it_is_closed() -> None:
    found = of_class(F.OK)
    journey = Journey(policy_for(Category.OTP), (SMS,), ONE_ALONE)

    assert journey.decide(journey.outcome(1, A.ACCEPTED, found, 1.0), found, 1.0) == Wait("1", 600.0 + 3600.0)


def test_tolerated_doubt_uses_the_same_sender_first_then_others_and_then_the_next_channel() -> None:
    journey = Journey(policy_for(Category.OTP), (SMS, WHATSAPP), TWO_AND_NEXT)
    found = of_class(F.AMBIGUOUS)
    now, sender, seen = 0.0, 1, []
    for _ in range(9):
        place = journey.outcome(sender, A.AMBIGUOUS, found, now)
        wait = journey.decide(place, found, now)
        assert isinstance(wait, Wait)
        assert wait.until is not None
        now = wait.until
        decision = journey.decide(place, found, now, Trigger.TIME_OVER)
        seen.append(type(decision).__name__)
        if not isinstance(decision, Later | Failover):
            break
        sender = 2 if isinstance(decision, Failover) else decision.sender_id

    assert seen == ["Later", "Later", "Failover", "Later", "Later", "Fallback"]


RCS_AND_SMS = {RCS: [(1, 1), (2, 2)], SMS: [(9, 9)]}


@pytest.mark.parametrize(
    ("category", "rules", "doubt_at", "until"),
    [
        (Category.OTP, None, 2.0, 12.0),  # The grace.
        (Category.OTP, None, 15.0, 20.0),  # Its time on the channel is over before.
        (Category.OTP, None, 21.0, 21.0),
        (Category.TRANSACTIONAL, PoolRules(fallback_after=10.0), 2.0, 15.0),  # The carrier gives up first.
        (Category.TRANSACTIONAL, PoolRules(fallback_after=10.0), 30.0, 35.0),
        (Category.TRANSACTIONAL, None, 2.0, 2 * DAY + 3600.0),
    ],
)
def test_doubt_waits_no_longer_than_the_time_on_the_channel(
    category: Category, rules: PoolRules | None, doubt_at: float, until: float
) -> None:
    journey = Journey(policy_for(category, rules), (RCS, SMS), RCS_AND_SMS)
    found = of_class(F.AMBIGUOUS)

    wait = journey.decide(journey.outcome(1, A.AMBIGUOUS, found, doubt_at), found, doubt_at)

    assert wait == Wait("6", until)


def test_doubt_whose_time_on_the_channel_is_over_takes_back_and_leaves_it() -> None:
    for category, rules in ((Category.OTP, None), (Category.TRANSACTIONAL, PoolRules(fallback_after=20.0))):
        journey = Journey(policy_for(category, rules), (RCS, SMS), RCS_AND_SMS)
        found = of_class(F.AMBIGUOUS)
        place = journey.outcome(1, A.AMBIGUOUS, found, 15.0)

        assert journey.decide(place, found, 20.0, Trigger.TIME_OVER) == Fallback("timer", 20.0, 1, revoke=True)


@pytest.mark.parametrize("state", [A.ACCEPTED, A.AMBIGUOUS])
def test_carrier_that_is_silent_after_its_own_time_is_asked_before_the_next_channel(state: AttemptState) -> None:
    journey = Journey(policy_for(Category.TRANSACTIONAL), (RCS, SMS), RCS_AND_SMS)
    found = of_class(F.OK if state is A.ACCEPTED else F.AMBIGUOUS)
    place = journey.outcome(1, state, found, 1.0)
    outcome = OutcomeFacts(place, found, expires_at=61.0)

    wait = next_step(journey.facts(place), outcome, journey.policy, 1.0)
    assert isinstance(wait, Wait)
    assert (wait.until, wait.lapses) == (121.0, True)
    assert journey.decide(place, found, 121.0, Trigger.LAPSED) == Fallback("timer", 121.0, 1, revoke=True)


def test_message_with_an_open_attempt_does_not_end() -> None:
    journey = Journey(policy_for(Category.OTP), (SMS,), TWO_ALONE)
    unsure, refused = of_class(F.AMBIGUOUS), of_class(F.CONTENT)
    journey.outcome(1, A.AMBIGUOUS, unsure, 0.0)

    decision = journey.decide(journey.outcome(1, A.REJECTED, refused, 11.0), refused, 11.0)
    assert decision == Wait("17", 600.0 + 3600.0)

    receipt = by_rule("smpp.stat/UNDELIV")
    last = journey.decide(journey.outcome(1, A.UNDELIVERED, receipt, 20.0, place=0), receipt, 20.0)
    assert isinstance(last, End)
    assert last.state is MessageState.UNDELIVERED


def test_failure_of_a_superseded_attempt_changes_nothing_while_the_next_is_queued() -> None:
    journey = Journey(policy_for(Category.OTP), (SMS,), TWO_ALONE)
    unsure, late = of_class(F.AMBIGUOUS), by_rule("smpp.stat/UNDELIV")
    journey.outcome(1, A.AMBIGUOUS, unsure, 0.0)

    decision = journey.decide(journey.outcome(1, A.UNDELIVERED, late, 12.0, place=0), late, 12.0, queued=True)

    assert decision == Wait("11", None)


def test_closing_ends_the_waiting_and_keeps_the_doubt() -> None:
    journey = Journey(policy_for(Category.BULK), (SMS,), ONE_ALONE)
    found = of_class(F.AMBIGUOUS)
    place = journey.outcome(1, A.AMBIGUOUS, found, 0.0)

    assert journey.decide(place, found, 2 * DAY + 3600.0, Trigger.CLOSING) == Stop("closed")


def test_doubt_about_a_superseded_attempt_starts_nothing() -> None:
    journey = Journey(policy_for(Category.OTP), (SMS,), TWO_ALONE)
    unsure, taken = of_class(F.AMBIGUOUS), of_class(F.OK)
    journey.outcome(1, A.AMBIGUOUS, unsure, 0.0)
    journey.outcome(1, A.ACCEPTED, taken, 11.0)

    assert journey.decide(0, unsure, 20.0, Trigger.TIME_OVER) == Wait("6", 600.0 + 3600.0)
    assert journey.decide(0, taken, 20.0) == Wait("1", 600.0 + 3600.0)


def test_doubt_lasts_where_policy_and_plan_leave_nothing_else() -> None:
    policy = policy_for(Category.BULK, PoolRules(open_outcome=OpenOutcome.FAILOVER))
    journey = Journey(policy, (SMS,), ONE_ALONE)
    found = of_class(F.AMBIGUOUS)
    place = journey.outcome(1, A.AMBIGUOUS, found, 0.0)

    assert journey.decide(place, found, 0.0) == Wait("6", 2 * DAY + 3600.0)
    assert journey.decide(place, found, 5.0, Trigger.TIME_OVER) == Wait("6", 2 * DAY + 3600.0)


def test_sender_that_left_is_not_asked_again() -> None:
    message = MessageFacts(
        created_at=0.0,
        deadline=DAY,
        plan=(SMS,),
        attempts=(Tried(SMS, 1, 1, A.REJECTED, F.TRANSIENT),),
        inactive=frozenset({1}),
    )
    decision = next_step(message, OutcomeFacts(0, of_class(F.TRANSIENT)), policy_for(Category.BULK), 1.0)

    assert decision == End("5", MessageState.FAILED, F.TRANSIENT, 30008)


def test_passing_fault_with_a_wait_of_its_own_takes_another_sender_at_once_or_waits() -> None:
    assert isinstance(first_decision("whatsapp/131057", TWO_ALONE), Failover)
    assert first_decision("whatsapp/131057", ONE_ALONE) == Later("5", 61.0, 1)


def test_back_off_beyond_the_steps_time_falls_back_instead() -> None:
    journey = Journey(policy_for(Category.OTP), (SMS, WHATSAPP), {SMS: [(1, 1)], WHATSAPP: [(9, 9)]})
    found = of_class(F.TRANSIENT)
    journey.outcome(1, A.REJECTED, found, 58.0)

    decision = journey.decide(journey.outcome(1, A.REJECTED, found, 59.0), found, 59.0)

    assert decision == Fallback("5", 59.0, 1)


def test_marketing_cap_of_a_pair_goes_to_no_other_sender_even_if_it_is_no_marketing() -> None:
    pool = {WHATSAPP: [(1, 1), (2, 2)]}
    assert isinstance(first_decision("whatsapp/131049", {**pool, SMS: [(9, 9)]}), Fallback)
    assert first_decision("whatsapp/131049", pool) == End("13", MessageState.FAILED, F.CAP, 63049)


def test_absent_phone_of_a_single_sender_ends_once_that_sender_had_its_accepted_attempt() -> None:
    assert first_decision("class/ABSENT", ONE_ALONE, A.UNDELIVERED) == End(
        "14", MessageState.UNDELIVERED, F.ABSENT, 30003
    )


# ---------------------------------------------------------------- ends


def test_deadline_ends_the_message_as_expired() -> None:
    assert first_decision("class/TRANSIENT", TWO_AND_NEXT, category=Category.OTP, now=600.0) == End(
        "0", MessageState.FAILED, F.EXPIRED, 30036
    )


def test_recipient_suppressed_meanwhile_ends_the_message() -> None:
    message = MessageFacts(
        created_at=0.0,
        deadline=DAY,
        plan=(SMS,),
        attempts=(Tried(SMS, 1, 1, A.REJECTED, F.TRANSIENT),),
        untried=True,
        suppressed=True,
    )
    decision = next_step(message, OutcomeFacts(0, of_class(F.TRANSIENT)), policy_for(Category.OTP), 1.0)

    assert decision == End("0", MessageState.FAILED, F.CONSENT, 21610)


def test_end_is_undelivered_once_a_carrier_had_accepted_and_failed_otherwise() -> None:
    assert first_decision("smpp.stat/UNDELIV", ONE_ALONE, A.UNDELIVERED) == End(
        "11", MessageState.UNDELIVERED, F.RECIPIENT, 30008
    )
    assert first_decision("smpp/0x0b", ONE_ALONE) == End("11", MessageState.FAILED, F.RECIPIENT, 21614)


def test_end_gives_the_first_permanent_reason_of_the_best_channel() -> None:
    journey = Journey(policy_for(Category.TRANSACTIONAL), (SMS, WHATSAPP), TWO_AND_NEXT)
    decision: Decision | None = None
    steps = [(1, "smpp/0x0a"), (2, "smpp/0x08"), (2, "smpp/0x08"), (2, "smpp/0x08"), (9, "whatsapp/100")]
    for n, (sender, code) in enumerate(steps):
        found = by_rule(code)
        decision = journey.decide(journey.outcome(sender, A.REJECTED, found, float(n)), found, float(n))

    assert decision == End("17", MessageState.FAILED, F.SENDER, 21606)


def test_fifth_sender_is_never_asked() -> None:
    pool = {SMS: [(n, n) for n in range(1, 9)]}
    journey = Journey(policy_for(Category.TRANSACTIONAL), (SMS,), pool)
    found = of_class(F.SENDER)
    decision: Decision | None = None
    for sender in range(1, 9):
        decision = journey.decide(journey.outcome(sender, A.REJECTED, found, 1.0), found, 1.0)
        if isinstance(decision, End):
            break

    assert len(journey.attempts) == 4
    assert decision == End("7", MessageState.FAILED, F.SENDER, 21606)


def test_cap_keeps_a_sender_for_the_next_channel() -> None:
    pool = {SMS: [(n, n) for n in range(1, 9)], WHATSAPP: [(10, 10)]}
    journey = Journey(policy_for(Category.TRANSACTIONAL), (SMS, WHATSAPP), pool)
    found = of_class(F.SENDER)
    decisions = [
        type(journey.decide(journey.outcome(sender, A.REJECTED, found, 1.0), found, 1.0)) for sender in (1, 2, 3)
    ]

    assert decisions == [Failover, Failover, Fallback]


def test_end_by_the_caps_says_so() -> None:
    policy = Policy(category=Category.TRANSACTIONAL, max_attempts=2)
    journey = Journey(policy, (SMS,), TWO_ALONE)
    found = of_class(F.TRANSIENT)
    decision: Decision | None = None
    for sender in (1, 1):
        decision = journey.decide(journey.outcome(sender, A.REJECTED, found, 1.0), found, 1.0)

    assert decision == End("caps", MessageState.FAILED, F.TRANSIENT, 30008)


# ---------------------------------------------------------------- whatever happens

RULES = sorted({row.rule for table in ROWS.values() for row in table.values()} | {"smpp/?", "whatsapp/?"})


def senders_of(first: int) -> st.SearchStrategy[list[tuple[int, int]]]:
    """Senders numbered from *first*, each on one of three connections."""
    links = st.lists(st.integers(0, 2), min_size=1, max_size=6)
    return links.map(lambda drawn: [(first + i, link) for i, link in enumerate(drawn)])


POOLS = st.fixed_dictionaries({RCS: senders_of(100), SMS: senders_of(200), WHATSAPP: senders_of(300)})


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    return policy_for(
        draw(st.sampled_from(Category)),
        PoolRules(
            fallback_after=draw(st.sampled_from([None, 20.0, 3600.0])),
            open_outcome=draw(st.sampled_from(OpenOutcome)),
            filtered_may_fall_back=draw(st.booleans()),
        ),
    )


def state_of(found: Classified, *, by_receipt: bool) -> AttemptState:
    if found.failure is F.OK:
        return A.ACCEPTED
    if found.failure is F.AMBIGUOUS:
        return A.ACCEPTED if by_receipt else A.AMBIGUOUS
    if found.failure is F.THROTTLED:
        return A.WITHDRAWN
    return A.UNDELIVERED if by_receipt else A.REJECTED


@settings(deadline=None)
@given(
    policy=policies(),
    pool=POOLS,
    script=st.lists(st.tuples(st.sampled_from(RULES), st.booleans()), min_size=1, max_size=8),
)
def test_any_message_ends_within_the_caps_and_no_rule_is_broken(
    policy: Policy, pool: dict[Channel, list[tuple[int, int]]], script: list[tuple[str, bool]]
) -> None:
    """The carriers answer by the script, over and over; time only passes as the decisions say."""
    journey = Journey(policy, (RCS, SMS, WHATSAPP), pool, frozenset(Repair))
    now, sender = 0.0, pool[RCS][0][0]
    refused_as_sender: set[int] = set()
    accepted_by: set[int] = set()
    repairing = False
    for n in range(6000):
        rule, by_receipt = script[n % len(script)]
        found = by_rule(rule)
        state = state_of(found, by_receipt=by_receipt)
        # Only a repaired form may follow an acceptance that turned into a refusal.
        assert sender not in accepted_by or repairing
        place = journey.outcome(sender, state, found, now)
        if journey.attempts[place].accepted:
            accepted_by.add(sender)
        if found.failure is F.SENDER and (found.cap or 1) < 2:
            refused_as_sender.add(sender)
        decision = journey.decide(place, found, now)
        while isinstance(decision, Wait):
            assert decision.until is not None
            assert decision.until >= now
            now = decision.until
            closing = now >= policy.validity + 3600.0
            decision = journey.decide(place, found, now, Trigger.CLOSING if closing else Trigger.TIME_OVER)
        if isinstance(decision, End | Stop):
            break
        assert found.failure is not F.CONSENT
        assert found.failure is not F.REQUEST or (isinstance(decision, Later) and decision.repair is not None)
        assert found.failure is not F.POLICY or isinstance(decision, Fallback)
        assert now <= decision.at <= policy.validity
        link = journey.attempts[place].connection_id
        if state is A.WITHDRAWN:
            journey.attempts.pop()
            journey.without_tokens.add(sender)
        if state is not A.WITHDRAWN:
            repairing = isinstance(decision, Later) and decision.repair is not None
        if isinstance(decision, Later):
            sender = decision.sender_id
        else:
            only = isinstance(decision, Failover) and decision.other_connection_only
            sender = next(s for s, of in journey.untried() if of != link or not only)
        assert sender not in refused_as_sender
        now = decision.at
    else:
        pytest.fail("the message never ended")

    made = [tried for tried in journey.attempts if tried.state is not A.WITHDRAWN]
    forgiven = [tried for tried in made if tried.found.of_settings][:MOST_FORGIVEN]
    counted = [tried for tried in made if not any(tried is one for one in forgiven)]
    assert len(counted) <= policy.max_attempts
    assert len({tried.sender_id for tried in counted}) <= policy.max_senders


@pytest.mark.parametrize("rule", RULES)
def test_every_row_of_the_failure_table_leads_to_a_decision(rule: str) -> None:
    found = by_rule(rule)
    decision = first_decision(rule, TWO_AND_NEXT, state_of(found, by_receipt=False))

    assert isinstance(decision, Later | Failover | Fallback | Wait | End)
    assert CLASSES[found.failure].wire is None or found.wire_code is not None
