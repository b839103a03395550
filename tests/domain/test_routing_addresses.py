"""The next step of a message to several addresses: each gets its turn, and a dead one is no word about the others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendpool.domain.failures import CLASSES, Classified, FailureClass, by_rule, of_class
from sendpool.domain.message import Category
from sendpool.domain.policy import Policy, policy_for
from sendpool.domain.routing import (
    Decision,
    End,
    Failover,
    Fallback,
    Later,
    MessageFacts,
    OutcomeFacts,
    Tried,
    next_step,
)
from sendpool.domain.sender import Channel
from sendpool.domain.states import AttemptState

F, A = FailureClass, AttemptState
RCS, SMS = Channel.RCS, Channel.SMS
TRANSACTIONAL = policy_for(Category.TRANSACTIONAL)
INVALID = "twilio/21211"
#: Classes after which the next address is tried, once the present one has had what is its own.
GOES_ON = {F.TRANSIENT, F.SENDER, F.ACCOUNT, F.CHANNEL, F.RECIPIENT, F.ABSENT, F.CAP, F.EXPIRED}


class Journey:
    """A message to several addresses; its pool has *senders* per channel, each of a connection of its own."""

    def __init__(self, plan: tuple[Channel, ...], senders: int) -> None:
        self.plan = plan
        self.policy: Policy = TRANSACTIONAL.over(len(plan))
        self.members = {channel: [100 * i + n for n in range(senders)] for i, channel in enumerate(Channel)}
        self.attempts: list[Tried] = []
        self.step = 0
        self.now = 0.0

    def untried(self) -> list[int]:
        tried = {one.sender_id for one in self.attempts if one.step == self.step}
        return [sender for sender in self.members[self.plan[self.step]] if sender not in tried]

    def fail(self, sender: int, found: Classified) -> Decision:
        self.attempts.append(
            Tried(self.plan[self.step], sender, sender, A.REJECTED, found.failure, found.rule, step=self.step)
        )
        later = range(self.step + 1, len(self.plan))
        free = bool(self.untried())
        facts = MessageFacts(
            created_at=0.0,
            deadline=self.policy.validity,
            plan=self.plan,
            step=self.step,
            attempts=tuple(self.attempts),
            untried=free,
            untried_elsewhere=free,
            next_step=later[0] if later else None,
            next_elsewhere=bool(later),
            reserved=len(later),
        )
        return next_step(facts, OutcomeFacts(len(self.attempts) - 1, found), self.policy, self.now)

    def run(self, found: Classified) -> Decision:
        """Fail everywhere with the same until nothing is left."""
        sender = self.members[self.plan[0]][0]
        while True:
            decision = self.fail(sender, found)
            if isinstance(decision, Later):
                sender, self.now = decision.sender_id, decision.at
            elif isinstance(decision, Failover):
                sender = self.untried()[0]
            elif isinstance(decision, Fallback):
                self.step, self.now = decision.step, decision.at
                sender = self.members[self.plan[self.step]][0]
            else:
                return decision


@given(
    st.lists(st.sampled_from([RCS, SMS, Channel.WHATSAPP, Channel.EMAIL]), min_size=2, max_size=20),
    st.integers(1, 12),
    st.sampled_from(sorted(GOES_ON)),
)
def test_last_address_is_reached_if_all_before_fail(plan: list[Channel], senders: int, failure: FailureClass) -> None:
    journey = Journey(tuple(plan), senders)

    ended = journey.run(of_class(failure))

    assert isinstance(ended, End)
    assert [step for step in range(len(plan)) if not any(one.step == step for one in journey.attempts)] == []
    assert len(journey.attempts) <= journey.policy.max_attempts
    assert len({one.sender_id for one in journey.attempts}) <= journey.policy.max_senders


@pytest.mark.parametrize("failure", sorted(set(FailureClass) - {F.OK, F.AMBIGUOUS, F.THROTTLED}))
def test_each_class_goes_on_to_the_next_address_or_ends_there(failure: FailureClass) -> None:
    journey = Journey((SMS, SMS), senders=1)

    journey.run(of_class(failure))

    assert (journey.step == 1) == (failure in GOES_ON)


def test_other_senders_of_the_channel_come_before_the_next_address() -> None:
    journey = Journey((SMS, SMS), senders=2)

    journey.run(of_class(F.SENDER))

    assert [(one.step, one.sender_id) for one in journey.attempts] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_invalid_number_is_so_for_its_own_address_only() -> None:
    found = by_rule(INVALID)
    journey = Journey((SMS, SMS), senders=1)

    assert found.invalid
    assert CLASSES[found.failure].channel == "when_valid"
    assert isinstance(journey.fail(0, found), Fallback)


def test_passing_fault_at_one_address_leaves_the_next_one_its_own_tries() -> None:
    journey = Journey((SMS, SMS), senders=1)

    journey.run(of_class(F.TRANSIENT))

    per_step = [sum(one.step == step for one in journey.attempts) for step in (0, 1)]
    assert per_step == [3, 3]
